/* SPDX-License-Identifier: Apache-2.0 */
/* Any file as a memory image: what is accepted lies in the file, in order, and can be read. */
#include "introspect/dump.h"

#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "introspect/memory.h"

static void read_ends(int fd, const struct dump_range *range)
{
	struct memory *memory = memory_new();
	char byte;

	assert(memory && memory_add(memory, range->gpa, range->size, fd, range->offset,
				    MEMORY_PAGED, false, NULL) == 0);
	assert(memory_read(memory, range->gpa, &byte, 1) == 0);
	assert(memory_read(memory, range->gpa + range->size - 1, &byte, 1) == 0);
	(void)memory_free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("dump", MFD_CLOEXEC);
	struct dump dump;
	uint64_t end = 0;

	assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	if (dump_open(fd, &dump, NULL) == 0) {
		for (size_t i = 0; i < dump.range_count; i++) {
			assert(dump.ranges[i].gpa >= end);
			end = dump.ranges[i].gpa + dump.ranges[i].size;
			read_ends(fd, &dump.ranges[i]);
		}
		dump_deinit(&dump);
	}
	(void)close(fd);
	return 0;
}
