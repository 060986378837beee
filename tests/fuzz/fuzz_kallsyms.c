/* SPDX-License-Identifier: Apache-2.0 */
/* A damaged symbol table of each layout, cut off or not. Of the first byte: bits 1 and 2 the
 * layout, bit 3 whether the image's address is unknown, the others but bit 0 where it is cut. */
#include "fuzz_guest.h"
#include "introspect/kallsyms.h"

enum { START = TEST_KALLSYMS_START, END = TEST_KALLSYMS_END };

static int take(void *userdata, const struct kallsyms_symbol *symbol)
{
	assert(strlen(symbol->name) < sizeof(symbol->name));
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz_region regions[4];
	unsigned int how = size > 0 ? data[0] : 0, layout = how >> 1 & 3;
	struct test_guest_options options = {.kallsyms = layout};
	struct fuzz_region *region = &regions[layout];
	size_t image_size = END - (size_t)(how >> 4) * 0x1234;
	struct kallsyms kallsyms;
	uint8_t *copy;

	if (!region->guest)
		fuzz_keep(region, test_guest_new(&options), TEST_IMAGE_GPA + START, END - START, 0);
	fuzz_damage(region, data, size);
	copy = fuzz_copy(region->guest->ram + TEST_IMAGE_GPA, image_size);
	if (kallsyms_open(&kallsyms, copy, image_size, how & 8 ? 0 : region->guest->image_va,
			  NULL) == 0)
		(void)kallsyms_walk(&kallsyms, take, NULL);
	free(copy);
	return 0;
}
