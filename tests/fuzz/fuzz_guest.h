#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the targets over guest memory share: a guest that is built once (src/introspect/test_guest),
 * put back as it was before each run, and then damaged as the input says. An odd first byte: the
 * rest of the input is the bytes of the region. An even one: the rest is records of eight bytes,
 * each of which changes a word; so that an input is small, and a pointer that leads somewhere is
 * easily hit on. Whatever follows the last whole record is not used.
 */
#include "base/clock.h"
#include "fuzz.h"
#include "introspect/test_guest.h"

enum { FUZZ_BUDGET_USEC = 50 * 1000 };

struct fuzz_record {
	uint16_t word;
	uint8_t how, bit;
	uint32_t value;
};

/* Words of `bytes` become numbers, pointers into [base, base + size), or have a bit turned over. */
static inline void fuzz_edit(uint8_t *bytes, size_t size, uint64_t base, const uint8_t *data,
			     size_t data_size)
{
	struct fuzz_record record;

	for (; data_size >= sizeof(record); data_size -= sizeof(record), data += sizeof(record)) {
		uint8_t *at;
		uint64_t word;

		memcpy(&record, data, sizeof(record));
		at = bytes + record.word % (size / 8) * 8;
		memcpy(&word, at, 8);
		if (record.how % 4 == 0)
			word = record.value;
		else if (record.how % 4 == 1)
			word = base + record.value % size;
		else if (record.how % 4 == 2)
			word = (uint64_t)(int64_t)(int32_t)record.value << record.bit % 64;
		else
			word ^= UINT64_C(1) << record.bit % 64;
		memcpy(at, &word, 8);
	}
}

struct fuzz_region {
	struct test_guest *guest; /* NULL: not built yet */
	uint8_t *bytes, *whole;   /* whole: as it was */
	size_t size;
	uint64_t base;
};

/* Takes [gpa, gpa + size) of the guest; pointers of records lead to [base, base + size). */
static inline void fuzz_keep(struct fuzz_region *region, struct test_guest *guest, uint64_t gpa,
			     size_t size, uint64_t base)
{
	*region = (struct fuzz_region){.guest = guest,
				       .bytes = guest->ram + gpa,
				       .whole = fuzz_copy(guest->ram + gpa, size),
				       .size = size,
				       .base = base};
}

static inline void fuzz_damage(const struct fuzz_region *region, const uint8_t *data, size_t size)
{
	memcpy(region->bytes, region->whole, region->size);
	if (size > 0 && data[0] & 1)
		memcpy(region->bytes, data + 1, size - 1 < region->size ? size - 1 : region->size);
	else if (size > 0)
		fuzz_edit(region->bytes, region->size, region->base, data + 1, size - 1);
	memory_set_deadline(region->guest->memory, clock_mono_usec() + FUZZ_BUDGET_USEC);
}

static inline uint64_t fuzz_process(struct test_guest *guest, uint32_t pid, uint64_t parent)
{
	uint64_t task = test_guest_add_process(guest, pid, "process", parent);

	test_guest_add_arguments(guest, task, "process\0-v", 11);
	test_guest_set_descriptor(
		guest, task, 1,
		test_guest_add_file(guest, &(struct test_file){.dentry = guest->root_dentry,
							       .mount = guest->root_mount,
							       .fstype = "ext4",
							       .mode = 0100644}));
	return task;
}

static inline void fuzz_socket(struct test_guest *guest, uint64_t task, uint32_t number,
			       uint32_t protocol, uint32_t state)
{
	struct test_socket socket = {.family = number % 2 ? 10 : 2,
				     .protocol = protocol,
				     .state = state,
				     .local_port = (uint16_t)number};
	uint64_t sk = test_guest_add_socket(guest, &socket);

	if (task)
		test_guest_set_descriptor(guest, task, number,
					  test_guest_add_socket_file(guest, sk));
}

/* A guest with a few of everything; the region is its structures. */
static inline const struct guest *fuzz_world(struct fuzz_region *region, const uint8_t *data,
					     size_t size)
{
	uint64_t start = TEST_IMAGE_GPA + TEST_DATA_START, init, task;
	struct test_guest *guest = region->guest;

	if (!guest) {
		guest = test_guest_new(&(struct test_guest_options){0});
		init = fuzz_process(guest, 1, guest->symbols[SYMBOL_INIT_TASK]);
		task = fuzz_process(guest, 70, init);
		(void)test_guest_add_thread(guest, 71, task);
		fuzz_socket(guest, init, 2, 6, 10);
		fuzz_socket(guest, task, 3, 6, 1);
		fuzz_socket(guest, task, 4, 17, 7);
		fuzz_socket(guest, 0, 5, 6, 6);
		(void)test_guest_add_module(guest, "module");
		assert(test_guest_open(guest, NULL) == 0);
		fuzz_keep(region, guest, start, guest->next_object - start,
			  guest->direct_base + start);
	}
	fuzz_damage(region, data, size);
	return &guest->guest;
}
