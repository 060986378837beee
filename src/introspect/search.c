/* SPDX-License-Identifier: Apache-2.0 */
#include "introspect/search.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "introspect/kallsyms.h"

/* Windows overlap by half, so that an image of up to STEP bytes lies whole in one of them. */
enum {
	STEP = 64 << 20,
	WINDOW = 2 * STEP,
	PIECE = 64 << 10,
	PAGE = 4096,
	GHOSTS_MAX = 16,
	ALIGNMENT = 2 << 20, /* CONFIG_PHYSICAL_ALIGN */
};

static int fill_window(struct memory *memory, uint64_t start, uint8_t *window)
{
	memset(window, 0, WINDOW);
	for (size_t at = 0; at < WINDOW; at += PIECE) {
		int r = memory_read(memory, start + at, window + at, PIECE);

		if (r == -ETIME || r == -EIO)
			return r;
		for (size_t page = 0; r < 0 && page < PIECE; page += PAGE)
			(void)memory_read(memory, start + at + page, window + at + page,
					  PAGE); /* what is not there stays zero */
	}
	return 0;
}

/* Whether the banner that begins at `at` is the one that the table speaks of: then it tells where
 * the image begins, which holds the table and is aligned as the kernel aligns itself. */
static bool begins_image(const struct kallsyms *kallsyms, size_t at, uint64_t window_gpa,
			 struct image *image, uint64_t banner_va)
{
	uint64_t offset = banner_va - image->va, start = at - offset;

	if (at < offset || kallsyms->tokens < start || kallsyms->tokens - start >= image->size)
		return false;
	image->gpa = window_gpa + start;
	return image->gpa % ALIGNMENT == 0;
}

/* The image that the table belongs to: it gives virtual addresses, and its banner, which lies near,
 * the physical ones. */
static bool image_of(const struct kallsyms *kallsyms, uint64_t window_gpa, struct image *image)
{
	static const char *const names[] = {"_text", "_end", "linux_banner"};
	static const char banner[] = "Linux version ";
	const uint8_t *hit = kallsyms->image;
	uint64_t at[3];

	if (kallsyms_resolve(kallsyms, names, 3, at, NULL) < 0 || !at[0] || at[1] <= at[0] ||
	    at[1] - at[0] > IMAGE_SIZE_MAX || at[2] < at[0] || at[2] >= at[1])
		return false;
	*image = (struct image){.va = at[0], .size = at[1] - at[0]};
	while ((hit = memmem(hit, WINDOW - (size_t)(hit - kallsyms->image), banner,
			     sizeof(banner) - 1))) {
		if (begins_image(kallsyms, (size_t)(hit - kallsyms->image), window_gpa, image,
				 at[2]))
			return true;
		hit++;
	}
	return false;
}

/* Stale copies of a table lie about after booting: one that does not lead to an image is wiped from
 * the window, and the next is looked for. */
static bool search_window(uint8_t *window, uint64_t gpa, struct image *image)
{
	for (int i = 0; i < GHOSTS_MAX; i++) {
		struct kallsyms kallsyms;

		if (kallsyms_open(&kallsyms, window, WINDOW, 0, NULL) < 0)
			return false;
		if (image_of(&kallsyms, gpa, image))
			return true;
		memset(window + kallsyms.tokens, 0, PAGE / 4);
	}
	return false;
}

int search_image(struct memory *memory, struct image *ret_image, struct error *err)
{
	cleanup(free) uint8_t *window = malloc(WINDOW);

	if (!window)
		return error_set_errno(err, -ENOMEM, "searching for a kernel");
	for (uint64_t start = 0; start < memory_end(memory); start += STEP) {
		int r = fill_window(memory, start, window);

		if (r < 0)
			return error_set_errno(err, r, "searching for a kernel");
		if (search_window(window, start, ret_image))
			return 0;
	}
	return error_set(err, -ENODATA,
			 "no kernel's symbol table anywhere in the memory image: it is no image of "
			 "a Linux guest, or its kernel is built without CONFIG_KALLSYMS_ALL");
}
