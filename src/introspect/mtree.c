/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tells guest RAM from the rest (seen with QEMU 7.2): a memory backend's region bears the
 * backend's id and priority 0; what a device maps through a PCI BAR (video memory, ivshmem) has
 * priority 1; qxl's second video memory is an alias of priority 0, known by its name; pages that
 * lie over RAM for a device (TPM, Hyper-V) are small.
 */
#include "introspect/mtree.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "introspect/lines.h"

#define FIRST_MEBIBYTE UINT64_C(0x100000)

enum { LINE_SIZE = 512, TYPE_SIZE = 16, BLOCK_SIZE_MIN = 1 << 20 };

/* A line such as
 *   0000000100000000-000000013fffffff (prio 0, ram): pc.ram @00000000c0000000 KVM */
struct line {
	struct mtree_range range;
	int priority;
	char type[TYPE_SIZE];
};

/* Cuts " @OFFSET" and the accelerators' names (capitals) behind the name. */
static void cut_tail(char *name, uint64_t *ret_offset)
{
	char *at, *space;

	*ret_offset = 0;
	at = strstr(name, " @");
	if (at && sscanf(at, " @%16" SCNx64, ret_offset) == 1)
		*at = '\0';
	while ((space = strrchr(name, ' ')) && space[1] &&
	       space[1 + strspn(space + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")] == '\0')
		*space = '\0';
}

static bool parse_line(const char *text, struct line *line)
{
	char name[LINE_SIZE];
	uint64_t first, last;
	int start = 0;

	*line = (struct line){0};
	if (sscanf(text, " %16" SCNx64 "-%16" SCNx64 " (prio %d, %15[^)]): %n", &first, &last,
		   &line->priority, line->type, &start) != 4 ||
	    start == 0 || last < first || last - first == UINT64_MAX)
		return false;
	(void)snprintf(name, sizeof(name), "%s", text + start);
	cut_tail(name, &line->range.offset);
	line->range.gpa = first;
	line->range.size = last - first + 1;
	return snprintf(line->range.block, MTREE_NAME_SIZE, "%s", name) < MTREE_NAME_SIZE;
}

/* Moves *text to the first range of the flat view that the address space "memory" has. */
static bool find_view(const char **text)
{
	char line[LINE_SIZE];
	bool is_memory = false;

	while (lines_next(text, line, sizeof(line))) {
		if (strncmp(line, "FlatView #", 10) == 0)
			is_memory = false;
		else if (strncmp(line, " AS \"memory\",", 13) == 0)
			is_memory = true;
		else if (is_memory && strncmp(line, " Root memory region:", 20) == 0)
			return true;
	}
	return false;
}

/* The next range of the view. Returns 1, 0 at its end, or -EBADMSG. */
static int next_range(const char **text, struct line *line, struct error *err)
{
	char copy[LINE_SIZE];

	if (!lines_next(text, copy, sizeof(copy)) || copy[strspn(copy, " ")] == '\0')
		return 0;
	if (!parse_line(copy, line))
		return error_set(err, -EBADMSG, "QEMU's memory map: not understood: %.120s", copy);
	return 1;
}

static int find_main_block(const char *view, char name[MTREE_NAME_SIZE], struct error *err)
{
	struct line line;
	int r;

	while ((r = next_range(&view, &line, err)) > 0) {
		if (line.range.gpa > FIRST_MEBIBYTE ||
		    FIRST_MEBIBYTE - line.range.gpa >= line.range.size ||
		    strcmp(line.type, "ram") != 0)
			continue;
		memcpy(name, line.range.block, MTREE_NAME_SIZE);
		return 0;
	}
	return r < 0 ? r : error_set(err, -EBADMSG, "QEMU's memory map: no RAM at 1 MiB");
}

/* An object id, which device regions' names are as a rule not. */
static bool could_be_backend(const char *name)
{
	if (!isalpha((unsigned char)name[0]) || strstr(name, "vram"))
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && !strchr("-._", *name))
			return false;
	return true;
}

static bool could_be_ram(const struct line *line, const char *main_block)
{
	bool is_ram = strcmp(line->type, "ram") == 0;

	if (strcmp(line->range.block, main_block) == 0)
		return is_ram || strcmp(line->type, "rom") == 0; /* the BIOS's shadow */
	return is_ram && line->priority == 0 && could_be_backend(line->range.block);
}

/* Ranges come by ascending address. */
static int append(struct mtree_range *ranges, size_t *count, size_t capacity,
		  const struct mtree_range *range, struct error *err)
{
	struct mtree_range *last = *count > 0 ? &ranges[*count - 1] : NULL;

	if (last && range->gpa < last->gpa + last->size)
		return error_set(err, -EBADMSG, "QEMU's memory map: ranges overlap at %#" PRIx64,
				 range->gpa);
	if (range->offset + range->size < range->offset)
		return error_set(err, -EBADMSG, "QEMU's memory map: offset %#" PRIx64,
				 range->offset);
	if (last && range->gpa == last->gpa + last->size &&
	    range->offset == last->offset + last->size && strcmp(range->block, last->block) == 0) {
		last->size += range->size;
		return 0;
	}
	if (*count == capacity)
		return error_set(err, -E2BIG, "QEMU's memory map: more than %zu ranges", capacity);
	ranges[(*count)++] = *range;
	return 0;
}

static bool is_large(const struct mtree_range *ranges, size_t count, const char *block)
{
	for (size_t i = 0; i < count; i++)
		if (ranges[i].size >= BLOCK_SIZE_MIN && strcmp(ranges[i].block, block) == 0)
			return true;
	return false;
}

static size_t drop_small_blocks(struct mtree_range *ranges, size_t count, const char *main_block)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
		if (strcmp(ranges[i].block, main_block) == 0 ||
		    is_large(ranges + i, count - i, ranges[i].block) ||
		    is_large(ranges, kept, ranges[i].block))
			ranges[kept++] = ranges[i];
	return kept;
}

int mtree_parse(const char *text, struct mtree_range *ranges, size_t capacity, struct error *err)
{
	char main_block[MTREE_NAME_SIZE];
	struct line line;
	size_t count = 0;
	int r;

	if (!find_view(&text))
		return error_set(err, -EBADMSG, "QEMU's memory map: no address space \"memory\"");
	r = find_main_block(text, main_block, err);
	while (r >= 0 && (r = next_range(&text, &line, err)) > 0)
		if (could_be_ram(&line, main_block))
			r = append(ranges, &count, capacity, &line.range, err);
	return r < 0 ? r : (int)drop_small_blocks(ranges, count, main_block);
}
