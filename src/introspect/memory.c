/* SPDX-License-Identifier: Apache-2.0 */
#include "introspect/memory.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

enum { CLOCK_CHECK_READS = 64, DIRECT_READ_SIZE = 16 * MEMORY_PAGE_SIZE };

struct block {
	uint64_t gpa, size, offset;
	int fd;
	bool is_writable;
	uint8_t *map; /* NULL: paged */
};

struct page {
	uint64_t tag; /* of the block's file: (gpa / page size) + 1; 0: empty */
	uint8_t *bytes;
};

struct memory {
	struct block *blocks; /* by address */
	size_t blocks_count;
	const struct block *last; /* where the last read was */
	struct page *pages;
	uint8_t *page_bytes;
	int64_t deadline_usec;
	uint64_t reads;
	enum memory_writes mode;
	memory_writer *writer;
	void *writer_userdata;
	struct memory_change *changes;
	size_t changes_count;
};

struct memory *memory_new(void)
{
	return calloc(1, sizeof(struct memory));
}

struct memory *memory_free(struct memory *memory)
{
	if (!memory)
		return NULL;
	for (size_t i = 0; i < memory->blocks_count; i++)
		if (memory->blocks[i].map)
			(void)munmap(memory->blocks[i].map, memory->blocks[i].size);
	free(memory->blocks);
	free(memory->pages);
	free(memory->page_bytes);
	free(memory->changes);
	free(memory);
	return NULL;
}

static int insert_block(struct memory *memory, const struct block *block, struct error *err)
{
	size_t place = memory->blocks_count;
	struct block *grown;

	while (place > 0 && memory->blocks[place - 1].gpa > block->gpa)
		place--;
	if ((place > 0 &&
	     memory->blocks[place - 1].gpa + memory->blocks[place - 1].size > block->gpa) ||
	    (place < memory->blocks_count && block->gpa + block->size > memory->blocks[place].gpa))
		return error_set(err, -EINVAL, "memory blocks overlap at %#llx",
				 (unsigned long long)block->gpa);
	grown = realloc(memory->blocks, (memory->blocks_count + 1) * sizeof(*grown));
	if (!grown)
		return error_set_errno(err, -ENOMEM, "memory map");
	memmove(grown + place + 1, grown + place, (memory->blocks_count - place) * sizeof(*grown));
	grown[place] = *block;
	memory->blocks = grown;
	memory->blocks_count++;
	memory->last = NULL;
	return 0;
}

static int prepare_pages(struct memory *memory)
{
	if (memory->pages)
		return 0;
	memory->pages = calloc(MEMORY_CACHED_PAGES, sizeof(*memory->pages));
	memory->page_bytes = malloc((size_t)MEMORY_CACHED_PAGES * MEMORY_PAGE_SIZE);
	if (!memory->pages || !memory->page_bytes)
		return -ENOMEM;
	for (size_t i = 0; i < MEMORY_CACHED_PAGES; i++)
		memory->pages[i].bytes = memory->page_bytes + i * MEMORY_PAGE_SIZE;
	return 0;
}

/* Reading a mapping past its file's end would be a signal. */
static int map_block(struct block *block, struct error *err)
{
	struct stat status;
	void *map;

	if (block->offset % MEMORY_PAGE_SIZE)
		return error_set(err, -EINVAL, "memory block begins within a page");
	if (fstat(block->fd, &status) < 0)
		return error_set_errno(err, -errno, "the guest's memory");
	if (S_ISREG(status.st_mode) && block->offset + block->size > (uint64_t)status.st_size)
		return error_set(err, -EINVAL, "the memory's file is too short for block %#llx",
				 (unsigned long long)block->gpa);
	map = mmap(NULL, block->size, PROT_READ | (block->is_writable ? PROT_WRITE : 0), MAP_SHARED,
		   block->fd, (off_t)block->offset);
	if (map == MAP_FAILED)
		return error_set_errno(err, -errno, "mapping the guest's memory");
	block->map = map;
	return 0;
}

int memory_add(struct memory *memory, uint64_t gpa, uint64_t size, int fd, uint64_t offset,
	       enum memory_way way, bool writable, struct error *err)
{
	struct block block = {
		.gpa = gpa, .size = size, .offset = offset, .fd = fd, .is_writable = writable};
	int r = 0;

	if (size == 0 || gpa + size < gpa || offset + size < offset || gpa + size > (1ULL << 52))
		return error_set(err, -EINVAL, "memory block %#llx+%#llx is out of range",
				 (unsigned long long)gpa, (unsigned long long)size);
	if (memory->blocks_count == MEMORY_BLOCKS_MAX)
		return error_set(err, -E2BIG, "more than %d memory blocks", MEMORY_BLOCKS_MAX);
	if (way == MEMORY_MAPPED)
		r = map_block(&block, err);
	else if (prepare_pages(memory) < 0)
		r = error_set_errno(err, -ENOMEM, "page cache");
	if (r < 0)
		return r;
	r = insert_block(memory, &block, err);
	if (r < 0 && block.map)
		(void)munmap(block.map, size);
	return r;
}

uint64_t memory_end(const struct memory *memory)
{
	const struct block *last;

	if (memory->blocks_count == 0)
		return 0;
	last = &memory->blocks[memory->blocks_count - 1];
	return last->gpa + last->size;
}

uint64_t memory_size(const struct memory *memory)
{
	uint64_t size = 0;

	for (size_t i = 0; i < memory->blocks_count; i++)
		size += memory->blocks[i].size;
	return size;
}

bool memory_block(const struct memory *memory, size_t position, uint64_t *ret_gpa,
		  uint64_t *ret_size)
{
	if (position >= memory->blocks_count)
		return false;
	*ret_gpa = memory->blocks[position].gpa;
	*ret_size = memory->blocks[position].size;
	return true;
}

static const struct block *find_block(struct memory *memory, uint64_t gpa)
{
	size_t low = 0, high = memory->blocks_count;

	if (memory->last && gpa - memory->last->gpa < memory->last->size)
		return memory->last;
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (memory->blocks[middle].gpa > gpa)
			high = middle;
		else
			low = middle + 1;
	}
	if (low == 0 || gpa - memory->blocks[low - 1].gpa >= memory->blocks[low - 1].size)
		return NULL;
	return memory->last = &memory->blocks[low - 1];
}

static int read_file(const struct block *block, uint64_t at, void *buffer, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = pread(block->fd, (char *)buffer + done, size - done,
				  (off_t)(block->offset + at + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -EIO;
		done += (size_t)n;
	}
	return 0;
}

/* A stretch within one page of a paged block, through the cache. */
static int read_page(struct memory *memory, const struct block *block, uint64_t gpa, void *buffer,
		     size_t size)
{
	uint64_t number = gpa / MEMORY_PAGE_SIZE, start = number * MEMORY_PAGE_SIZE;
	struct page *page = &memory->pages[number % MEMORY_CACHED_PAGES];

	if (start < block->gpa || start + MEMORY_PAGE_SIZE > block->gpa + block->size)
		return read_file(block, gpa - block->gpa, buffer, size);
	if (page->tag != number + 1) {
		page->tag = 0;
		if (read_file(block, start - block->gpa, page->bytes, MEMORY_PAGE_SIZE) < 0)
			return -EIO;
		page->tag = number + 1;
	}
	memcpy(buffer, page->bytes + (gpa - start), size);
	return 0;
}

/* What of [gpa, gpa + size) one access can bring: up to the block's end, and of a paged block up to
 * the page's end, or much at once beside the cache. */
static size_t stretch(const struct block *block, uint64_t gpa, size_t size)
{
	uint64_t left = block->gpa + block->size - gpa;
	uint64_t in_page = MEMORY_PAGE_SIZE - gpa % MEMORY_PAGE_SIZE;

	if (!block->map && size < DIRECT_READ_SIZE && in_page < left)
		left = in_page;
	return left < size ? (size_t)left : size;
}

int memory_read(struct memory *memory, uint64_t gpa, void *buffer, size_t size)
{
	if (memory->reads++ % CLOCK_CHECK_READS == 0 && memory->deadline_usec &&
	    clock_mono_usec() >= memory->deadline_usec) {
		memory->reads--; /* so that every further read looks at the clock too */
		return -ETIME;
	}
	while (size > 0) {
		const struct block *block = find_block(memory, gpa);
		size_t part;
		int r = 0;

		if (!block)
			return -EFAULT;
		part = stretch(block, gpa, size);
		if (block->map)
			memcpy(buffer, block->map + (gpa - block->gpa), part);
		else if (size >= DIRECT_READ_SIZE)
			r = read_file(block, gpa - block->gpa, buffer, part);
		else
			r = read_page(memory, block, gpa, buffer, part);
		if (r < 0)
			return r;
		gpa += part;
		buffer = (char *)buffer + part;
		size -= part;
	}
	return 0;
}

int memory_read_through(struct memory *memory, uint64_t gpa, void *buffer, size_t size)
{
	const struct block *block = find_block(memory, gpa);

	if (!block || size > block->gpa + block->size - gpa)
		return -EFAULT;
	return read_file(block, gpa - block->gpa, buffer, size);
}

void memory_allow_writes(struct memory *memory, enum memory_writes mode)
{
	memory->mode = mode;
}

void memory_set_writer(struct memory *memory, memory_writer *writer, void *userdata)
{
	memory->writer = writer;
	memory->writer_userdata = userdata;
}

static int note_change(struct memory *memory, const struct memory_change *change)
{
	struct memory_change *grown;

	if (memory->changes_count == MEMORY_WRITES_MAX)
		return -E2BIG;
	grown = realloc(memory->changes, (memory->changes_count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	grown[memory->changes_count++] = *change;
	memory->changes = grown;
	return 0;
}

static void forget_page(struct memory *memory, uint64_t gpa)
{
	if (memory->pages)
		memory->pages[gpa / MEMORY_PAGE_SIZE % MEMORY_CACHED_PAGES].tag = 0;
}

static int write_bytes(struct memory *memory, uint64_t gpa, const void *bytes, size_t size)
{
	const struct block *block = find_block(memory, gpa);

	if (!block || size > block->gpa + block->size - gpa)
		return -EFAULT;
	if (block->map && !block->is_writable)
		return -EPERM;
	if (block->map) {
		memcpy(block->map + (gpa - block->gpa), bytes, size);
		return 0;
	}
	forget_page(memory, gpa);
	if (pwrite(block->fd, bytes, size, (off_t)(block->offset + gpa - block->gpa)) !=
	    (ssize_t)size)
		return -EIO;
	return 0;
}

int memory_write(struct memory *memory, uint64_t gpa, uint64_t value, size_t size, const char *what)
{
	struct memory_change change = {
		.gpa = gpa, .after = value, .size = (uint32_t)size, .what = what};
	int r;

	assert(size >= 1 && size <= sizeof(value) && gpa % size == 0);
	if (memory->mode == MEMORY_WRITES_REFUSED)
		return -EPERM;
	r = memory_read(memory, gpa, &change.before, size);
	if (r == 0)
		r = note_change(memory, &change);
	if (r < 0 || memory->mode == MEMORY_WRITES_DRY)
		return r;
	if (!memory->writer)
		return write_bytes(memory, gpa, &value, size);
	forget_page(memory, gpa);
	return memory->writer(memory->writer_userdata, gpa, change.before, value, size);
}

const struct memory_change *memory_changes(const struct memory *memory, size_t *ret_count)
{
	*ret_count = memory->changes_count;
	return memory->changes;
}

int64_t memory_set_deadline(struct memory *memory, int64_t mono_usec)
{
	int64_t before = memory->deadline_usec;

	memory->deadline_usec = mono_usec;
	return before;
}

void memory_forget(struct memory *memory)
{
	if (memory->pages)
		for (size_t i = 0; i < MEMORY_CACHED_PAGES; i++)
			memory->pages[i].tag = 0;
}

uint64_t memory_reads(const struct memory *memory)
{
	return memory->reads;
}
