#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's physical memory, whatever holds it: blocks of guest-physical addresses, each a stretch
 * of a file that is mapped (a shared memory backend) or read in pages that are kept until the next
 * memory_forget() (the memory of a QEMU process, a dump file). Every access of introspection goes
 * through here and is bounded: by the blocks, by a deadline, and by what may be written. One owner,
 * one thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct memory;

enum memory_way { MEMORY_MAPPED, MEMORY_PAGED };

enum {
	MEMORY_BLOCKS_MAX = 4096,
	MEMORY_PAGE_SIZE = 4096,
	MEMORY_CACHED_PAGES = 4096,
	MEMORY_WRITES_MAX = 4096,
};

/* Returns owned, or NULL when memory is out. */
struct memory *memory_new(void);
struct memory *memory_free(struct memory *memory);

/* Guest-physical [gpa, gpa + size) is [offset, offset + size) of the file. Borrows fd until
 * memory_free(). Blocks may come in any order and must not overlap. `writable` asks for write
 * access to a mapping. Errors: -EINVAL, -E2BIG for too many blocks, the errno of mmap(). */
int memory_add(struct memory *memory, uint64_t gpa, uint64_t size, int fd, uint64_t offset,
	       enum memory_way way, bool writable, struct error *err);

/* One past the highest address, and the bytes of all blocks together. */
uint64_t memory_end(const struct memory *memory);
uint64_t memory_size(const struct memory *memory);
/* Block number `position` from the lowest address up; false past the last. */
bool memory_block(const struct memory *memory, size_t position, uint64_t *ret_gpa,
		  uint64_t *ret_size);

/* All of [gpa, gpa + size) or nothing. Errors: -EFAULT where there is no memory, -ETIME past the
 * deadline, -EIO when the file cannot be read. */
int memory_read(struct memory *memory, uint64_t gpa, void *buffer, size_t size);

/* The same from the file even where it is mapped: reading a hole of a shared backend by its mapping
 * would fill it with memory of the host. For copying much; within one block. */
int memory_read_through(struct memory *memory, uint64_t gpa, void *buffer, size_t size);

/* Writes 8-byte words or less, noted with the old value (see memory_changes()). The guest has to be
 * paused. In dry-run mode nothing is written but everything is noted. Errors as memory_read();
 * -EPERM unless allowed by memory_allow_writes(). */
enum memory_writes { MEMORY_WRITES_REFUSED, MEMORY_WRITES_DRY, MEMORY_WRITES_REAL };
void memory_allow_writes(struct memory *memory, enum memory_writes mode);
int memory_write(struct memory *memory, uint64_t gpa, uint64_t value, size_t size,
		 const char *what);

/* Has somebody else write, who holds the memory writable: it is given what memory_write() would
 * write, and the old value, which it is to find there. */
typedef int memory_writer(void *userdata, uint64_t gpa, uint64_t before, uint64_t after,
			  size_t size);
void memory_set_writer(struct memory *memory, memory_writer *writer, void *userdata);

struct memory_change {
	uint64_t gpa, before, after;
	uint32_t size;
	const char *what; /* for people: borrowed for ever */
};
const struct memory_change *memory_changes(const struct memory *memory, size_t *ret_count);

/* Reading fails with -ETIME from this moment of the monotonic clock on; 0: never. Returns the one
 * that was set before. */
int64_t memory_set_deadline(struct memory *memory, int64_t mono_usec);
/* Forgets the pages that are kept: what follows is read anew. */
void memory_forget(struct memory *memory);
/* How many times memory_read() was called, since memory_new(). */
uint64_t memory_reads(const struct memory *memory);
