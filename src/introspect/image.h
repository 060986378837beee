#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the kernel's image lies: found from a vCPU's registers (its page table and its interrupt
 * descriptor table), which the guest cannot forge in memory, by following the page-fault gate into
 * the kernel's text and from there to both ends of the mapping. This is the answer to KASLR: the
 * virtual slide and the physical base are independent and both known then.
 */
#include <stddef.h>
#include <stdint.h>

#include "introspect/memory.h"
#include "introspect/paging.h"
#include "introspect/registers.h"

/* The range that x86-64 Linux keeps for its image (Documentation/arch/x86/x86_64/mm.rst). */
#define IMAGE_VA_FIRST UINT64_C(0xffffffff80000000)
#define IMAGE_VA_LAST UINT64_C(0xffffffffc0000000)
#define IMAGE_VA_UNSLID UINT64_C(0xffffffff81000000)

enum { IMAGE_SIZE_MAX = 256 << 20 };

struct image {
	uint64_t va, size; /* [_text, the end of what is mapped) */
	uint64_t gpa;      /* of _text; the image is physically contiguous */
};

/* All vCPUs whose gates can be followed must agree. Errors, each with the reason: -ENOTSUP (not in
 * 64-bit mode: still booting or not Linux), -ENODATA (no gate leads into a kernel image: not Linux,
 * or encrypted memory), -EUCLEAN (vCPUs disagree), memory_read()'s. */
int image_locate(struct memory *memory, const struct registers *vcpus, size_t vcpu_count,
		 struct image *ret_image, struct paging *ret_paging, struct error *err);

/* Still there: some vCPU's page-fault gate leads into this image at this place. */
int image_check(struct memory *memory, const struct registers *vcpus, size_t vcpu_count,
		const struct image *image, struct error *err);

/* A private copy of the image, so that what is parsed cannot change under the parser; stretches
 * outside memory are zero, freed init sections whatever lies there now. Returns owned by ret_bytes.
 */
int image_copy(struct memory *memory, const struct image *image, uint8_t **ret_bytes,
	       struct error *err);
