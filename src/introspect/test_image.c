/* SPDX-License-Identifier: Apache-2.0 */
/* The image of the kernel of a test_guest: its type information and its symbols. */
#include "introspect/test_image.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "introspect/btf.h"

enum {
	FILLERS = 4100, /* symbols that only make the table long enough */
	MEMBERS_MAX = 128,
	BLOB_MAX = 64 << 10,
	PERCPU_RUNQUEUES = 0x1f000,
};

/* Types */

struct line {
	enum field field;
	const char *structure, *member;
	bool is_alias;
};

#define LINE(id, structure, member, need) {FIELD_##id, structure, member, false},
#define ALIAS(id, structure, member) {FIELD_##id, structure, member, true},
static const struct line lines[] = {INTROSPECT_FIELDS(LINE, ALIAS)};
enum { LINES = sizeof(lines) / sizeof(lines[0]) };

/* clang-format off */
/* Members that are no pointer or word. */
static const struct {
	enum field field;
	uint32_t size;
} member_sizes[] = {
	{FIELD_TASK_TASKS, 16}, {FIELD_TASK_PID, 4}, {FIELD_TASK_TGID, 4}, {FIELD_TASK_COMM, 16},
	{FIELD_TASK_CHILDREN, 16}, {FIELD_TASK_SIBLING, 16}, {FIELD_TASK_FLAGS, 4},
	{FIELD_TASK_THREAD_NODE, 16}, {FIELD_TASK_PID_LINKS, 64}, {FIELD_TASK_STATE, 4},
	{FIELD_TASK_EXIT_STATE, 4}, {FIELD_TASK_ON_RQ, 4}, {FIELD_TASK_USAGE, 4},
	{FIELD_TASK_GROUP_NODE, 16}, {FIELD_CRED_UID, 4}, {FIELD_CRED_EUID, 4},
	{FIELD_SIGNAL_THREAD_HEAD, 16}, {FIELD_SIGNAL_THREADS, 4}, {FIELD_SIGNAL_FLAGS, 4},
	{FIELD_HRTIMER_STATE, 1}, {FIELD_FDT_MAX_FDS, 4}, {FIELD_FILE_FLAGS, 4},
	{FIELD_DENTRY_NAME_LEN, 4}, {FIELD_INODE_MODE, 2}, {FIELD_INODE_NLINK, 4},
	{FIELD_MOUNT_MNT, 32}, {FIELD_SK_FAMILY, 2}, {FIELD_SK_STATE, 1}, {FIELD_SK_NUM, 2},
	{FIELD_SK_DPORT, 2}, {FIELD_SK_LOCAL4, 4}, {FIELD_SK_REMOTE4, 4}, {FIELD_SK_LOCAL6, 16},
	{FIELD_SK_REMOTE6, 16}, {FIELD_SK_NULLS_NODE, 16}, {FIELD_SK_NODE, 16},
	{FIELD_SK_PROTOCOL, 2}, {FIELD_SK_TYPE, 2}, {FIELD_SK_BACKLOG, 4},
	{FIELD_SK_BACKLOG_MAX, 4}, {FIELD_HASHINFO_EHASH_MASK, 4},
	{FIELD_HASHINFO_LHASH2_MASK, 4}, {FIELD_UDP_MASK, 4}, {FIELD_PID_COUNT, 4},
	{FIELD_PID_LEVEL, 4}, {FIELD_PID_TASKS, 32}, {FIELD_PID_NUMBERS, 16}, {FIELD_UPID_NR, 4},
	{FIELD_PIDNS_INUM, 4}, {FIELD_XA_SHIFT, 1}, {FIELD_XA_SLOTS, 512},
	{FIELD_RQ_CFS_TASKS, 16}, {FIELD_MODULE_LIST, 16}, {FIELD_MODULE_NAME, 56},
	{FIELD_MODULE_STATE, 4}, {FIELD_MODULE_CORE_SIZE, 4}, {FIELD_MODULE_MEM, 112},
	{FIELD_MODMEM_SIZE, 4}, {FIELD_KSET_LIST, 16}, {FIELD_KOBJECT_ENTRY, 16},
	{FIELD_MKOBJ_KOBJ, 64},
};
/* clang-format on */

/* A socket's three structures begin at one address, so that their members must not meet. */
static const struct {
	const char *name;
	uint32_t start, size; /* size: of the whole at least */
} structure_places[] = {{"task_struct", 64, 4096}, {"sock", 256, 0}, {"tcp_sock", 384, 0}};

static uint32_t size_of_member(enum field field)
{
	for (size_t i = 0; i < sizeof(member_sizes) / sizeof(member_sizes[0]); i++)
		if (member_sizes[i].field == field)
			return member_sizes[i].size;
	return 8;
}

/* BTF in the making. */
struct types {
	struct test_guest *guest;
	uint8_t types[BLOB_MAX], strings[BLOB_MAX];
	uint32_t types_size, strings_size, count;
};

struct members {
	uint32_t words[MEMBERS_MAX][3]; /* name, type, bit offset */
	uint32_t count;
};

enum { ID_BYTE = 1, ID_SHORT, ID_INT, ID_LONG, ID_CONST, ID_TYPEDEF, ID_POINTER };

static uint32_t put_string(struct types *types, const char *text, size_t length)
{
	uint32_t at = types->strings_size;

	assert(at + length + 1 <= BLOB_MAX);
	memcpy(types->strings + at, text, length);
	types->strings_size += (uint32_t)length + 1;
	return at;
}

static void put_words(struct types *types, const uint32_t *words, size_t count)
{
	assert(types->types_size + count * 4 <= BLOB_MAX);
	memcpy(types->types + types->types_size, words, count * 4);
	types->types_size += (uint32_t)count * 4;
}

static uint32_t put_type(struct types *types, uint32_t name, enum btf_kind kind, uint32_t vlen,
			 uint32_t value)
{
	uint32_t head[] = {name, (uint32_t)kind << 24 | vlen, value};

	put_words(types, head, 3);
	return ++types->count;
}

static void put_basic_types(struct types *types)
{
	static const uint32_t sizes[] = {1, 2, 4, 8};

	types->strings_size = 1; /* number 0 is "" */
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint32_t bits = sizes[i] * 8;

		(void)put_type(types, put_string(types, "number", 6), BTF_INT, 0, sizes[i]);
		put_words(types, &bits, 1);
	}
	(void)put_type(types, 0, BTF_CONST, 0, ID_LONG);
	(void)put_type(types, put_string(types, "word", 4), BTF_TYPEDEF, 0, ID_CONST);
	(void)put_type(types, 0, BTF_PTR, 0, 0);
}

static uint32_t put_leaf(struct types *types, uint32_t size)
{
	uint32_t array[] = {ID_LONG, ID_INT, size / 8};
	uint32_t id = size == 1   ? ID_BYTE
		      : size == 2 ? ID_SHORT
		      : size == 4 ? ID_INT
		      : size == 8 ? (types->count % 2 ? ID_TYPEDEF : ID_POINTER)
				  : put_type(types, 0, BTF_ARRAY, 0, 0);

	if (size > 8)
		put_words(types, array, 3);
	return id;
}

static uint32_t put_structure(struct types *types, uint32_t name, const struct members *members,
			      uint32_t size)
{
	uint32_t id = put_type(types, name, BTF_STRUCT, members->count, size);

	put_words(types, members->words[0], members->count * 3);
	return id;
}

/* Whether `full` is `part`, or begins with it and a dot. */
static bool is_part(const char *part, const char *full)
{
	size_t length = strlen(part);

	return strncmp(part, full, length) == 0 && (full[length] == '\0' || full[length] == '.');
}

/* The other of two names of one thing. */
static bool is_other_name(const struct test_guest *guest, const struct line *line)
{
	for (size_t i = 0; i < LINES; i++)
		if (lines[i].field == line->field && &lines[i] != line)
			return line->is_alias != guest->options.has_old_names;
	return false;
}

/* What is left out has its place all the same: only nothing tells of it. */
static bool is_left_out(const struct test_guest *guest, const struct line *line)
{
	char full[128];

	(void)snprintf(full, sizeof(full), "%s.%s", line->structure, line->member);
	return guest->options.without && is_part(guest->options.without, full);
}

/* The lines of one structure, and a path into it. */
struct part {
	const struct line *lines;
	size_t count;
	char prefix[64];
	uint32_t start; /* of the part, from the structure's begin */
};

static uint32_t put_part(struct types *types, const struct part *part, uint32_t name,
			 uint32_t first, uint32_t *ret_size);

/* A member, or for a path the structure that holds what the path goes on to. */
static uint32_t put_member(struct types *types, const struct part *part, const struct line *line,
			   uint32_t *offset, uint32_t *ret_size)
{
	struct test_guest *guest = types->guest;
	const char *rest = line->member + strlen(part->prefix);
	int length = (int)strcspn(rest, ".");
	uint32_t size = rest[length] ? 8 : size_of_member(line->field), align = size < 8 ? size : 8;
	struct part inner = *part;

	*offset = (*offset + align - 1) / align * align;
	*ret_size = size;
	if (!rest[length]) {
		guest->offsets[line->field] = part->start + *offset;
		guest->sizes[line->field] = size;
		return put_leaf(types, size);
	}
	inner.start = part->start + *offset;
	assert(rest + length + 1 < line->member + sizeof(inner.prefix));
	memcpy(inner.prefix, line->member, (size_t)(rest + length + 1 - line->member));
	return put_part(types, &inner, 0, 0, ret_size);
}

static bool is_repeated(const struct part *part, const struct test_guest *guest, size_t number)
{
	size_t prefix = strlen(part->prefix);
	const char *rest = part->lines[number].member + prefix;
	size_t length = strcspn(rest, ".");

	for (size_t i = 0; i < number; i++)
		if (!is_other_name(guest, &part->lines[i]) &&
		    strncmp(part->lines[i].member, part->lines[number].member, prefix + length) ==
			    0 &&
		    (part->lines[i].member[prefix + length] == '.' ||
		     part->lines[i].member[prefix + length] == '\0'))
			return true;
	return false;
}

/* Every third member lies in an anonymous structure. */
static uint32_t put_part(struct types *types, const struct part *part, uint32_t name,
			 uint32_t first, uint32_t *ret_size)
{
	struct members members = {0};
	uint32_t offset = first;

	for (size_t i = 0; i < part->count; i++) {
		const struct line *line = &part->lines[i];
		const char *rest = line->member + strlen(part->prefix);
		uint32_t size, type, text;

		if (is_other_name(types->guest, line) || !*line->member ||
		    strncmp(line->member, part->prefix, strlen(part->prefix)) != 0 ||
		    is_repeated(part, types->guest, i))
			continue;
		type = put_member(types, part, line, &offset, &size);
		text = put_string(types, rest, strcspn(rest, "."));
		if (i % 3 == 2) {
			struct members inner = {.words = {{text, type, 0}}, .count = 1};

			type = put_structure(types, 0, &inner, size);
			text = 0;
		}
		assert(members.count < MEMBERS_MAX);
		members.words[members.count][0] = text;
		members.words[members.count][1] = type;
		members.words[members.count][2] = offset * 8;
		members.count += !is_left_out(types->guest, line);
		offset += size;
	}
	offset = (offset + 7) / 8 * 8;
	*ret_size = *ret_size > offset ? *ret_size : offset;
	return put_structure(types, name, &members, *ret_size);
}

static void put_kernel_structure(struct types *types, const struct line *first, size_t count)
{
	const char *without = types->guest->options.without;
	const char *name =
		without && strcmp(without, first->structure) == 0 ? "gone" : first->structure;
	struct part part = {.lines = first, .count = count};
	uint32_t start = 0, size = 0;

	for (size_t i = 0; i < sizeof(structure_places) / sizeof(structure_places[0]); i++)
		if (strcmp(structure_places[i].name, first->structure) == 0) {
			start = structure_places[i].start;
			size = structure_places[i].size;
		}
	(void)put_part(types, &part, put_string(types, name, strlen(name)), start, &size);
	for (size_t i = 0; i < count; i++)
		if (!*first[i].member) {
			types->guest->offsets[first[i].field] = 0;
			types->guest->sizes[first[i].field] = size;
		}
}

void test_image_write_types(struct test_guest *guest)
{
	struct types *types = calloc(1, sizeof(*types));
	uint8_t *blob = guest->ram + TEST_IMAGE_GPA + TEST_BTF_START;
	uint32_t header[6] = {0x0001eb9f, 24};
	size_t count;

	assert(types);
	types->guest = guest;
	put_basic_types(types);
	for (size_t i = 0; i < LINES; i += count) {
		for (count = 1; i + count < LINES; count++)
			if (strcmp(lines[i].structure, lines[i + count].structure) != 0)
				break;
		put_kernel_structure(types, &lines[i], count);
	}
	header[3] = types->types_size;
	header[4] = types->types_size;
	header[5] = types->strings_size;
	guest->btf_size = 24 + types->types_size + types->strings_size;
	assert(TEST_BTF_START + guest->btf_size <= TEST_DATA_START);
	memcpy(blob, header, 24);
	memcpy(blob + 24, types->types, types->types_size);
	memcpy(blob + 24 + types->types_size, types->strings, types->strings_size);
	free(types);
}

/* Symbols */

#define NAME(id, name, need) name,
static const char *const symbol_names[] = {INTROSPECT_SYMBOLS(NAME)};

static const struct {
	enum symbol symbol;
	uint32_t offset;
} symbol_places[] = {
	{SYMBOL_TEXT, 0},
	{SYMBOL_STEXT, TEST_STEXT},
	{SYMBOL_ETEXT, TEST_ETEXT},
	{SYMBOL_LINUX_BANNER, TEST_BANNER},
	{SYMBOL_INIT_TOP_PGT, TEST_TOP_TABLE},
	{SYMBOL_PAGE_OFFSET_BASE, TEST_VARIABLES},
	{SYMBOL_NR_CPU_IDS, TEST_VARIABLES + 0x40},
	{SYMBOL_CPU_ONLINE_MASK, TEST_VARIABLES + 0x80},
	{SYMBOL_PER_CPU_OFFSET, TEST_VARIABLES + 0xc0},
	{SYMBOL_MODULES, TEST_VARIABLES + 0x100},
	{SYMBOL_MODULE_KSET, TEST_VARIABLES + 0x140},
	{SYMBOL_SOCKET_FILE_OPS, TEST_VARIABLES + 0x180},
	{SYMBOL_SYS_CALL_TABLE, TEST_VARIABLES + 0x200},
	{SYMBOL_IA32_SYS_CALL_TABLE, TEST_VARIABLES + 0x280},
	{SYMBOL_INIT_SIGNALS, TEST_VARIABLES + 0x2c0}, /* ends the table before it */
	{SYMBOL_START_BTF, TEST_BTF_START},
};
static const enum symbol data_symbols[] = {SYMBOL_INIT_TASK, SYMBOL_INIT_PID_NS,
					   SYMBOL_TCP_HASHINFO, SYMBOL_UDP_TABLE};

void test_image_place_symbols(struct test_guest *guest)
{
	bool is_absolute = guest->options.kallsyms <= TEST_OLD_SEQUENCE;

	for (uint32_t i = 0; i < SYMBOL_COUNT; i++)
		guest->symbols[i] = guest->image_va + TEST_OTHER_TEXT + (uint64_t)i * 16;
	for (size_t i = 0; i < sizeof(symbol_places) / sizeof(symbol_places[0]); i++)
		guest->symbols[symbol_places[i].symbol] = guest->image_va + symbol_places[i].offset;
	for (size_t i = 0; i < sizeof(data_symbols) / sizeof(data_symbols[0]); i++)
		guest->symbols[data_symbols[i]] = test_guest_allocate(guest, 1024) -
						  guest->direct_base - TEST_IMAGE_GPA +
						  guest->image_va;
	guest->symbols[SYMBOL_STOP_BTF] = guest->symbols[SYMBOL_START_BTF] + guest->btf_size;
	guest->symbols[SYMBOL_RUNQUEUES] =
		is_absolute ? PERCPU_RUNQUEUES : guest->image_va + TEST_RUNQUEUES_TEMPLATE;
}

struct entry {
	uint64_t address;
	char text[256]; /* the type's letter and the name */
};

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return (x->address > y->address) - (x->address < y->address);
}

static size_t list_symbols(const struct test_guest *guest, struct entry *entries)
{
	size_t count = 0;

	for (uint32_t i = 0; i < SYMBOL_COUNT; i++) {
		if (guest->options.without && strcmp(guest->options.without, symbol_names[i]) == 0)
			continue;
		entries[count].address = guest->symbols[i];
		(void)snprintf(entries[count++].text, sizeof(entries[0].text), "D%s",
			       symbol_names[i]);
	}
	for (uint32_t i = 0; i < FILLERS; i++, count++) {
		entries[count].address = guest->image_va + TEST_FILLER_TEXT + (uint64_t)i * 4;
		(void)snprintf(entries[count].text, sizeof(entries[0].text), "tfiller_%u", i);
	}
	/* longer than a length of one byte can say */
	memset(entries[count - 1].text + 1, 'y', 200);
	entries[count].address = guest->image_va + TEST_IMAGE_SIZE;
	(void)snprintf(entries[count++].text, sizeof(entries[0].text), "B_end");
	qsort(entries, count, sizeof(*entries), compare_entries);
	return count;
}

/* A place in the image that is written on. */
struct pen {
	struct test_guest *guest;
	uint64_t at;
};

static uint64_t align_pen(struct pen *pen)
{
	pen->at = (pen->at + 7) & ~UINT64_C(7);
	assert(pen->at < TEST_KALLSYMS_END);
	return pen->at;
}

static void put_bytes(struct pen *pen, const void *bytes, size_t size)
{
	memcpy(pen->guest->ram + TEST_IMAGE_GPA + pen->at, bytes, size);
	pen->at += size;
}

static void put_number(struct pen *pen, uint64_t value, size_t size)
{
	put_bytes(pen, &value, size);
}

/* Token 1 is "filler_", a character is its own token, and all others are long and not used. */
static void put_tokens(struct pen *pen)
{
	uint16_t offsets[256];
	uint64_t start = align_pen(pen);

	for (unsigned int i = 0; i < 256; i++) {
		char text[16];

		if ((i >= '0' && i <= '9') || (i >= 'A' && i <= 'Z') || (i >= 'a' && i <= 'z') ||
		    i == '_')
			(void)snprintf(text, sizeof(text), "%c", (char)i);
		else
			(void)snprintf(text, sizeof(text), i == 1 ? "filler_" : "~unused_%u", i);
		offsets[i] = (uint16_t)(pen->at - start);
		put_bytes(pen, text, strlen(text) + 1);
	}
	(void)align_pen(pen);
	put_bytes(pen, offsets, sizeof(offsets));
}

static void put_name(struct pen *pen, const char *text)
{
	uint8_t tokens[256] = {(uint8_t)text[0]};
	const char *rest = text + 1;
	size_t length = 1;

	if (strncmp(rest, "filler_", 7) == 0) {
		tokens[length++] = 1;
		rest += 7;
	}
	while (*rest)
		tokens[length++] = (uint8_t)*rest++;
	if (length > 127)
		put_number(pen, (length & 0x7f) | 0x80 | length >> 7 << 8, 2);
	else
		put_number(pen, length, 1);
	put_bytes(pen, tokens, length);
}

static void put_names(struct pen *pen, const struct entry *entries, size_t count)
{
	uint32_t markers[64];
	uint64_t start;

	(void)align_pen(pen);
	put_number(pen, count, 8);
	start = pen->at;
	for (size_t i = 0; i < count; i++) {
		if (i % 256 == 0)
			markers[i / 256] = (uint32_t)(pen->at - start);
		put_name(pen, entries[i].text);
	}
	(void)align_pen(pen);
	put_bytes(pen, markers, (count + 255) / 256 * 4);
}

static void put_sequence(struct pen *pen, size_t count)
{
	(void)align_pen(pen);
	for (size_t i = 0; i < count; i++)
		put_bytes(pen, (uint8_t[]){0, (uint8_t)(i >> 8), (uint8_t)i}, 3);
}

static void put_offsets(struct pen *pen, const struct entry *entries, size_t count)
{
	uint64_t base = pen->guest->image_va;

	(void)align_pen(pen);
	for (size_t i = 0; i < count; i++) {
		uint64_t address = entries[i].address, value = address - base;

		if (pen->guest->options.kallsyms <= TEST_OLD_SEQUENCE)
			value = address < base ? address : base - 1 - address;
		else if (pen->guest->options.kallsyms == TEST_SLOT_RELATIVE)
			value = address - (base + pen->at);
		put_number(pen, value, 4);
	}
	(void)align_pen(pen);
	if (pen->guest->options.kallsyms != TEST_SLOT_RELATIVE)
		put_number(pen, base, 8);
}

void test_image_write_symbols(struct test_guest *guest)
{
	struct entry *entries = calloc(SYMBOL_COUNT + FILLERS + 1, sizeof(*entries));
	struct pen pen = {guest, TEST_KALLSYMS_START};
	bool is_old = guest->options.kallsyms <= TEST_OLD_SEQUENCE;
	size_t count;

	assert(entries);
	count = list_symbols(guest, entries);
	if (is_old)
		put_offsets(&pen, entries, count);
	put_names(&pen, entries, count);
	if (guest->options.kallsyms == TEST_OLD_SEQUENCE)
		put_sequence(&pen, count);
	put_tokens(&pen);
	if (!is_old) {
		put_offsets(&pen, entries, count);
		put_sequence(&pen, count);
	}
	(void)align_pen(&pen);
	free(entries);
}
