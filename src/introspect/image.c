/* SPDX-License-Identifier: Apache-2.0 */
#include "introspect/image.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
	CR4_LA57 = 1 << 12,
	EFER_LMA = 1 << 10,
	GATE_SIZE = 16,
	GATE_DOUBLE_FAULT = 8,
	GATE_PAGE_FAULT = 14,
	VCPUS_TRIED_MAX = 16,
	STEP_DOWN = 2 << 20,
	STEP_UP = 4096,
	GAP_MAX = 16 << 20,
};

#define CR0_PG (UINT64_C(1) << 31)

static bool in_image_range(uint64_t va)
{
	return va >= IMAGE_VA_FIRST && va < IMAGE_VA_LAST;
}

static bool in_long_mode(const struct registers *vcpu)
{
	return (vcpu->cr0 & CR0_PG) && (!vcpu->has_efer || (vcpu->efer & EFER_LMA));
}

/* The handler of an interrupt gate (Intel SDM volume 3, 6.14.1). */
static int read_gate(const struct paging *paging, uint64_t idt, int gate, uint64_t *ret_handler)
{
	uint8_t bytes[GATE_SIZE];
	uint16_t low, middle;
	uint32_t high;
	int r = paging_read(paging, idt + (uint64_t)gate * GATE_SIZE, bytes, sizeof(bytes));

	if (r < 0)
		return r;
	memcpy(&low, bytes, sizeof(low));
	memcpy(&middle, bytes + 6, sizeof(middle));
	memcpy(&high, bytes + 8, sizeof(high));
	*ret_handler = (uint64_t)high << 32 | (uint64_t)middle << 16 | low;
	return in_image_range(*ret_handler) ? 0 : -ENODATA;
}

/* A page table and the difference va - gpa of the image in it. */
struct anchor {
	struct paging paging;
	uint64_t handler, delta;
};

static int try_root(const struct registers *vcpu, struct anchor *anchor)
{
	uint64_t gpa, other_handler = 0, other_gpa;
	int r = read_gate(&anchor->paging, vcpu->idt_base, GATE_PAGE_FAULT, &anchor->handler);

	if (r == 0)
		r = paging_translate(&anchor->paging, anchor->handler, &gpa, NULL);
	if (r == 0)
		r = read_gate(&anchor->paging, vcpu->idt_base, GATE_DOUBLE_FAULT, &other_handler);
	if (r == 0)
		r = paging_translate(&anchor->paging, other_handler, &other_gpa, NULL);
	if (r < 0)
		return r;
	anchor->delta = anchor->handler - gpa;
	return other_handler - other_gpa == anchor->delta ? 0 : -EUCLEAN;
}

/* With page-table isolation CR3 may name the user half, which maps the gates but not the image: the
 * kernel half lies one page below it. */
static int find_anchor(struct memory *memory, const struct registers *vcpu,
		       struct anchor *ret_anchor)
{
	uint64_t root = vcpu->cr3 & PAGING_ROOT_MASK;
	int r;

	if (!in_long_mode(vcpu))
		return -ENOTSUP;
	ret_anchor->paging = (struct paging){.memory = memory,
					     .root = root & ~PAGING_PTI_BIT,
					     .levels = vcpu->cr4 & CR4_LA57 ? 5 : 4};
	r = try_root(vcpu, ret_anchor);
	if (r == 0 || r == -ETIME || root == ret_anchor->paging.root)
		return r;
	ret_anchor->paging.root = root;
	return try_root(vcpu, ret_anchor);
}

static bool belongs(const struct anchor *anchor, uint64_t va, uint64_t *ret_left)
{
	uint64_t gpa;

	return paging_translate(&anchor->paging, va, &gpa, ret_left) == 0 &&
	       va - gpa == anchor->delta;
}

static uint64_t find_start(const struct anchor *anchor)
{
	uint64_t first = anchor->handler & ~(uint64_t)(STEP_DOWN - 1), va = first;

	while (va > IMAGE_VA_FIRST && first - va <= GAP_MAX) {
		va -= STEP_DOWN;
		if (belongs(anchor, va, NULL))
			first = va;
	}
	return first;
}

static uint64_t find_end(const struct anchor *anchor, uint64_t start)
{
	uint64_t end = anchor->handler & ~(uint64_t)(STEP_UP - 1), va = end, left;

	while (va < IMAGE_VA_LAST && va - end <= GAP_MAX && va - start < IMAGE_SIZE_MAX) {
		left = STEP_UP;
		if (belongs(anchor, va, &left))
			end = va + left;
		else
			left = STEP_UP;
		va += left;
	}
	return end - start <= IMAGE_SIZE_MAX ? end : start + IMAGE_SIZE_MAX;
}

static int explain(int code, struct error *err)
{
	if (code == -ENOTSUP)
		return error_set(err, code,
				 "no vCPU is in 64-bit mode: the guest is still booting, "
				 "is shut down, or is no 64-bit system");
	if (code == -EUCLEAN)
		return error_set(err, code, "the vCPUs' interrupt gates lead to different kernels");
	if (code == -ENODATA || code == -EFAULT)
		return error_set(err, -ENODATA,
				 "no interrupt gate leads into a Linux kernel: the guest is still "
				 "booting, does not run Linux, or its memory is encrypted");
	return error_set_errno(err, code, "reading the guest's memory");
}

static int find_anchors(struct memory *memory, const struct registers *vcpus, size_t count,
			struct anchor *ret_anchor, struct error *err)
{
	int found = -ENOTSUP;

	for (size_t i = 0; i < count && i < VCPUS_TRIED_MAX; i++) {
		struct anchor anchor;
		int r = find_anchor(memory, &vcpus[i], &anchor);

		if (r == -ETIME || r == -EIO || r == -EUCLEAN)
			return explain(r, err);
		if (r < 0) {
			found = found == 0 || r == -ENOTSUP ? found : r;
			continue;
		}
		if (found == 0 && anchor.delta != ret_anchor->delta)
			return explain(-EUCLEAN, err);
		*ret_anchor = anchor;
		found = 0;
	}
	return found < 0 ? explain(found, err) : 0;
}

int image_locate(struct memory *memory, const struct registers *vcpus, size_t vcpu_count,
		 struct image *ret_image, struct paging *ret_paging, struct error *err)
{
	struct anchor anchor;
	int r = find_anchors(memory, vcpus, vcpu_count, &anchor, err);
	uint64_t start, end;

	if (r < 0)
		return r;
	start = find_start(&anchor);
	end = find_end(&anchor, start);
	*ret_image = (struct image){.va = start, .size = end - start, .gpa = start - anchor.delta};
	*ret_paging = anchor.paging;
	return 0;
}

int image_check(struct memory *memory, const struct registers *vcpus, size_t vcpu_count,
		const struct image *image, struct error *err)
{
	struct anchor anchor;
	int r = find_anchors(memory, vcpus, vcpu_count, &anchor, err);

	if (r < 0)
		return r;
	if (anchor.delta != image->va - image->gpa || anchor.handler - image->va >= image->size)
		return error_set(err, -ESTALE, "the guest runs another kernel than before");
	return 0;
}

int image_copy(struct memory *memory, const struct image *image, uint8_t **ret_bytes,
	       struct error *err)
{
	enum { PIECE = 64 << 10 };
	uint8_t *bytes = calloc(1, image->size);

	if (!bytes)
		return error_set_errno(err, -ENOMEM, "copy of the kernel's image");
	for (uint64_t at = 0; at < image->size; at += PIECE) {
		size_t part = image->size - at < PIECE ? (size_t)(image->size - at) : PIECE;
		int r = memory_read(memory, image->gpa + at, bytes + at, part);

		if (r == -ETIME || r == -EIO) {
			free(bytes);
			return error_set_errno(err, r, "copying the kernel's image");
		}
	}
	*ret_bytes = bytes;
	return 0;
}
