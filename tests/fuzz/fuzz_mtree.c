/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as QEMU's "info mtree -f": what is accepted is in order and does not overlap. */
#include "introspect/mtree.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct mtree_range ranges[16];
	char *text = fuzz_text(data, size);
	uint64_t end = 0;
	int count;

	count = mtree_parse(text, ranges, 16, NULL);
	for (int i = 0; i < count; i++) {
		assert(ranges[i].gpa >= end && ranges[i].size > 0);
		assert(ranges[i].offset + ranges[i].size >= ranges[i].offset);
		assert(strnlen(ranges[i].block, MTREE_NAME_SIZE) < MTREE_NAME_SIZE);
		end = ranges[i].gpa + ranges[i].size;
	}
	assert(count <= 16);
	free(text);
	return 0;
}
