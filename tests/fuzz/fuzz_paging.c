/* SPDX-License-Identifier: Apache-2.0 */
/* Damaged page tables and gates: addresses in them, and the search for the image. Bit 1 of the
 * first byte: five levels. */
#include "fuzz_guest.h"
#include "introspect/image.h"

static void translate(const struct paging *paging, uint64_t va)
{
	uint64_t gpa, left, word;

	if (paging_translate(paging, va, &gpa, &left) == 0)
		assert(left > 0 && left <= 1 << 30 && gpa + left <= UINT64_C(1) << 52);
	(void)paging_read(paging, va - 3, &word, sizeof(word));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz_region regions[2];
	int five = size > 0 && data[0] & 2;
	struct test_guest_options options = {.levels = 4 + five, .has_isolation = true};
	const struct test_guest *guest;
	struct image image;
	struct paging paging;

	if (!regions[five].guest)
		fuzz_keep(&regions[five], test_guest_new(&options), 1 << 20, 0x8000, 0x100023);
	guest = regions[five].guest;
	fuzz_damage(&regions[five], data, size);
	if (image_locate(guest->memory, guest->vcpus, TEST_VCPUS, &image, &paging, NULL) == 0)
		assert(image.size > 0 && image.size <= IMAGE_SIZE_MAX);
	paging = (struct paging){guest->memory, guest->root, options.levels};
	for (uint64_t va = UINT64_C(0xff00000000000000); va; va += UINT64_C(1) << 50)
		translate(&paging, va);
	for (uint64_t i = 1, va = 0; i + 8 <= size && i < 64; i += 8) {
		memcpy(&va, data + i, 8);
		translate(&paging, va);
	}
	return 0;
}
