/* SPDX-License-Identifier: Apache-2.0 */
#include "introspect/memory.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/test.h"

enum { PAGE = MEMORY_PAGE_SIZE, FILE_SIZE = 64 * PAGE };

DEFINE_CLEANUP(struct memory *, memory_free)

/* Byte `i` is i / PAGE + i. */
static uint8_t byte_at(uint64_t offset)
{
	return (uint8_t)(offset / PAGE + offset);
}

static int make_file(void)
{
	int fd = memfd_create("memory", MFD_CLOEXEC);
	static uint8_t bytes[FILE_SIZE];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = byte_at(i);
	return fd >= 0 && write(fd, bytes, sizeof(bytes)) == sizeof(bytes) ? fd : -1;
}

static bool is_right(const uint8_t *bytes, uint64_t offset, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i] != byte_at(offset + i))
			return false;
	return true;
}

static void test_memory_empty(void)
{
	cleanup(memory_free) struct memory *memory = memory_new();
	uint64_t gpa, size;
	char byte;

	check(memory);
	check_int(memory_end(memory), 0);
	check_int(memory_size(memory), 0);
	check(!memory_block(memory, 0, &gpa, &size));
	check_int(memory_read(memory, 0, &byte, 1), -EFAULT);
	check_int(memory_read(memory, 0, &byte, 0), 0);
	check(!memory_free(NULL));
}

static void test_memory_blocks_that_cannot_be(void)
{
	cleanup(memory_free) struct memory *memory = memory_new();
	cleanup(close) int fd = make_file();
	struct error err = ERROR_INIT;

	check(memory && fd >= 0);
	check_int(memory_add(memory, PAGE, 0, fd, 0, MEMORY_PAGED, false, &err), -EINVAL);
	check_int(memory_add(memory, UINT64_MAX - 1, PAGE, fd, 0, MEMORY_PAGED, false, &err),
		  -EINVAL);
	check_int(memory_add(memory, 0, PAGE, fd, UINT64_MAX - 1, MEMORY_PAGED, false, &err),
		  -EINVAL);
	check_int(memory_add(memory, UINT64_C(1) << 52, PAGE, fd, 0, MEMORY_PAGED, false, &err),
		  -EINVAL);
	check_int(memory_add(memory, 0, PAGE, fd, 1, MEMORY_MAPPED, false, &err), -EINVAL);
	check_int(memory_add(memory, 0, PAGE, -1, 0, MEMORY_MAPPED, false, &err), -EBADF);
	check(err.text[0]);
	check_int(memory_size(memory), 0);
}

static void test_memory_blocks_that_overlap(void)
{
	static const struct {
		uint64_t gpa, size;
		int result;
	} blocks[] = {
		{0x10000, 0x2000, 0}, {0x11000, 0x1000, -EINVAL}, {0xf000, 0x2000, -EINVAL},
		{0x12000, 0x1000, 0}, {0x0, 0x20000, -EINVAL},    {0x11fff, 1, -EINVAL},
		{0xe000, 0x2000, 0},  {0x0, 0x1000, 0},           {0x10000, 0x2000, -EINVAL},
		{0x20000, 0x1000, 0},
	};
	cleanup(memory_free) struct memory *memory = memory_new();
	cleanup(close) int fd = make_file();
	uint64_t gpa, size, last = 0, all = 0;
	size_t count = 0;

	check(memory && fd >= 0);
	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++)
		check_int(memory_add(memory, blocks[i].gpa, blocks[i].size, fd, 0, i % 2, false,
				     NULL),
			  blocks[i].result);
	for (; memory_block(memory, count, &gpa, &size); count++) {
		check(gpa >= last);
		last = gpa + size;
		all += size;
	}
	check_int(count, 5);
	check_int(memory_end(memory), last);
	check_int(memory_size(memory), all);
}

static void test_memory_too_many_blocks(void)
{
	cleanup(memory_free) struct memory *memory = memory_new();
	cleanup(close) int fd = make_file();

	check(memory && fd >= 0);
	for (uint64_t i = 0; i < MEMORY_BLOCKS_MAX; i++)
		check_int(memory_add(memory, i * 2 * PAGE, PAGE, fd, 0, MEMORY_PAGED, false, NULL),
			  0);
	check_int(memory_add(memory, UINT64_C(1) << 40, PAGE, fd, 0, MEMORY_PAGED, false, NULL),
		  -E2BIG);
}

/* A mapping past the file's end would be a signal when it is read. */
static void test_memory_file_that_is_too_short(void)
{
	cleanup(memory_free) struct memory *memory = memory_new();
	cleanup(close) int fd = make_file();
	struct error err = ERROR_INIT;
	uint8_t bytes[PAGE];

	check(memory && fd >= 0);
	check_int(memory_add(memory, 0, FILE_SIZE, fd, PAGE, MEMORY_MAPPED, false, &err), -EINVAL);
	check(strstr(err.text, "short"));
	check_int(memory_add(memory, 0, FILE_SIZE, fd, PAGE, MEMORY_PAGED, false, NULL), 0);
	check_int(memory_read(memory, FILE_SIZE - PAGE, bytes, sizeof(bytes)), -EIO);
	check_int(memory_read(memory, FILE_SIZE - 2 * PAGE, bytes, sizeof(bytes)), 0);
	check(is_right(bytes, FILE_SIZE - PAGE, sizeof(bytes)));
}

/* Mapped and paged blocks side by side, of odd sizes, and a hole. */
static void test_memory_read_over_blocks(void)
{
	cleanup(memory_free) struct memory *memory = memory_new();
	cleanup(close) int fd = make_file();
	static uint8_t bytes[FILE_SIZE];

	check(memory && fd >= 0);
	check_int(memory_add(memory, 0x10000, 0x1800, fd, 0, MEMORY_MAPPED, false, NULL), 0);
	check_int(memory_add(memory, 0x11800, 0x1000, fd, 0x1800, MEMORY_PAGED, false, NULL), 0);
	check_int(memory_add(memory, 0x12800, 0x20000, fd, 0x2800, MEMORY_PAGED, false, NULL), 0);
	check_int(memory_add(memory, 0x40000, 0x1000, fd, 0, MEMORY_MAPPED, false, NULL), 0);
	for (uint64_t at = 0; at < 0x4000; at += 0x333) {
		check_int(memory_read(memory, 0x10000 + at, bytes, 0x1234), 0);
		check(is_right(bytes, at, 0x1234));
	}
	/* much at once goes beside the cache */
	check_int(memory_read(memory, 0x10000, bytes, 0x22800), 0);
	check(is_right(bytes, 0, 0x22800));
	check_int(memory_read(memory, 0xffff, bytes, 1), -EFAULT);
	check_int(memory_read(memory, 0xffff, bytes, 2), -EFAULT);
	check_int(memory_read(memory, 0x32000, bytes, 0x1000), -EFAULT);
	check_int(memory_read(memory, 0x40ff8, bytes, 8), 0);
	check_int(memory_read(memory, 0x40ff8, bytes, 9), -EFAULT);
	check_int(memory_read(memory, UINT64_MAX, bytes, 8), -EFAULT);
}

static void test_memory_pages_are_kept_until_forgotten(void)
{
	cleanup(memory_free) struct memory *memory = memory_new();
	cleanup(close) int fd = make_file();
	uint8_t byte = 0xee, read;

	check(memory && fd >= 0);
	check_int(memory_add(memory, 0, FILE_SIZE, fd, 0, MEMORY_PAGED, false, NULL), 0);
	check_int(memory_read(memory, 5, &read, 1), 0);
	check_int(pwrite(fd, &byte, 1, 5), 1);
	check_int(memory_read(memory, 5, &read, 1), 0);
	check_int(read, byte_at(5));
	memory_forget(memory);
	check_int(memory_read(memory, 5, &read, 1), 0);
	check_int(read, byte);
}

/* Two pages that share a place in the cache. */
static void test_memory_pages_that_collide(void)
{
	const uint64_t far = (uint64_t)MEMORY_CACHED_PAGES * PAGE;
	cleanup(memory_free) struct memory *memory = memory_new();
	cleanup(close) int fd = make_file();
	uint8_t byte;

	check(memory && fd >= 0);
	check_int(memory_add(memory, 0, PAGE, fd, 0, MEMORY_PAGED, false, NULL), 0);
	check_int(memory_add(memory, far, PAGE, fd, PAGE, MEMORY_PAGED, false, NULL), 0);
	for (int i = 0; i < 3; i++) {
		check_int(memory_read(memory, 7, &byte, 1), 0);
		check_int(byte, byte_at(7));
		check_int(memory_read(memory, far + 7, &byte, 1), 0);
		check_int(byte, byte_at(PAGE + 7));
	}
}

static void test_memory_deadline(void)
{
	cleanup(memory_free) struct memory *memory = memory_new();
	cleanup(close) int fd = make_file();
	uint64_t before;
	int failed = 0;
	char byte;

	check(memory && fd >= 0);
	check_int(memory_add(memory, 0, FILE_SIZE, fd, 0, MEMORY_MAPPED, false, NULL), 0);
	check_int(memory_read(memory, 0, &byte, 1), 0);
	check_int(memory_reads(memory), 1);
	memory_set_deadline(memory, clock_mono_usec() - 1);
	for (int i = 0; i < 1000; i++)
		failed += memory_read(memory, 0, &byte, 1) == -ETIME;
	check(failed >= 1000 - 64);
	check_int(memory_read(memory, 0, &byte, 1), -ETIME);
	memory_set_deadline(memory, clock_mono_usec() + 60 * 1000000LL);
	check_int(memory_read(memory, 0, &byte, 1), 0);
	memory_set_deadline(memory, 0);
	before = memory_reads(memory);
	check_int(memory_read(memory, 0, &byte, 1), 0);
	check_int(memory_reads(memory), before + 1);
}

static void test_memory_write_in_its_modes(void)
{
	for (int way = MEMORY_MAPPED; way <= MEMORY_PAGED; way++) {
		cleanup(memory_free) struct memory *memory = memory_new();
		cleanup(close) int fd = make_file();
		const struct memory_change *changes;
		uint64_t value, old;
		size_t count;

		check(memory && fd >= 0);
		check_int(memory_add(memory, 0, FILE_SIZE, fd, 0, way, true, NULL), 0);
		check_int(memory_read(memory, 0x2008, &old, 8), 0);
		check_int(memory_write(memory, 0x2008, 1, 8, "nothing"), -EPERM);
		(void)memory_changes(memory, &count);
		check_int(count, 0);

		memory_allow_writes(memory, MEMORY_WRITES_DRY);
		check_int(memory_write(memory, 0x2008, 0x1122334455667788, 8, "dry"), 0);
		check_int(memory_read(memory, 0x2008, &value, 8), 0);
		check(value == old);

		memory_allow_writes(memory, MEMORY_WRITES_REAL);
		check_int(memory_write(memory, 0x2008, 0xaabbccdd, 4, "real"), 0);
		check_int(memory_read(memory, 0x2008, &value, 8), 0);
		check(value == ((old & 0xffffffff00000000) | 0xaabbccdd));
		check_int(pread(fd, &value, 4, 0x2008), 4);
		check_int((uint32_t)value, 0xaabbccdd);

		check_int(memory_write(memory, FILE_SIZE, 1, 1, "outside"), -EFAULT);
		changes = memory_changes(memory, &count);
		check_int(count, 2);
		check(changes[0].gpa == 0x2008 && changes[0].before == old);
		check(changes[0].after == 0x1122334455667788 && changes[0].size == 8);
		check(changes[1].before == (uint32_t)old && changes[1].after == 0xaabbccdd);
		check_string(changes[1].what, "real");
	}
}

static void test_memory_write_too_often(void)
{
	cleanup(memory_free) struct memory *memory = memory_new();
	cleanup(close) int fd = make_file();

	check(memory && fd >= 0);
	check_int(memory_add(memory, 0, FILE_SIZE, fd, 0, MEMORY_PAGED, false, NULL), 0);
	memory_allow_writes(memory, MEMORY_WRITES_DRY);
	for (int i = 0; i < MEMORY_WRITES_MAX; i++)
		check_int(memory_write(memory, 8, (uint64_t)i, 8, "again"), 0);
	check_int(memory_write(memory, 8, 0, 8, "once too often"), -E2BIG);
}

/* A mapping that is not writable must never be written to: that would be a signal. */
static void test_memory_write_to_what_is_read_only(void)
{
	cleanup(memory_free) struct memory *memory = memory_new();
	cleanup(close) int fd = make_file();

	check(memory && fd >= 0);
	check_int(memory_add(memory, 0, FILE_SIZE, fd, 0, MEMORY_MAPPED, false, NULL), 0);
	memory_allow_writes(memory, MEMORY_WRITES_REAL);
	check_int(memory_write(memory, 8, 1, 8, "read-only"), -EPERM);
}

TEST_MAIN(TEST(test_memory_empty), TEST(test_memory_blocks_that_cannot_be),
	  TEST(test_memory_blocks_that_overlap), TEST(test_memory_too_many_blocks),
	  TEST(test_memory_file_that_is_too_short), TEST(test_memory_read_over_blocks),
	  TEST(test_memory_pages_are_kept_until_forgotten), TEST(test_memory_pages_that_collide),
	  TEST(test_memory_deadline), TEST(test_memory_write_in_its_modes),
	  TEST(test_memory_write_too_often), TEST(test_memory_write_to_what_is_read_only))
