/* SPDX-License-Identifier: Apache-2.0 */
/* Types written by hand as Documentation/bpf/btf.rst lays them out, right and wrong. */
#include "introspect/btf.h"

#include <errno.h>
#include <stdlib.h>

#include "base/test.h"

enum { TYPES_MAX = 64 << 10, STRINGS_SIZE = 64, HEADER = 24, KIND_FLAG = 1 << 7 };

/* Offsets of names in `strings`. */
enum { NOTHING, A = 1, B = 3, C = 5, OUTER = 7, INNER = 13 };
static const char strings[STRINGS_SIZE] = "\0a\0b\0c\0outer\0inner";

struct blob {
	uint8_t bytes[HEADER + TYPES_MAX + STRINGS_SIZE];
	uint32_t size, count;
	struct btf btf;
};
static struct blob blob;

static void begin(void)
{
	blob.size = 0;
	blob.count = 0;
}

static void put(uint32_t word)
{
	memcpy(blob.bytes + HEADER + blob.size, &word, 4);
	blob.size += 4;
}

static uint32_t add(enum btf_kind kind, uint32_t name, uint32_t vlen, uint32_t value)
{
	put(name);
	put((uint32_t)kind << 24 | vlen);
	put(value);
	return ++blob.count;
}

static uint32_t add_int(uint32_t size)
{
	uint32_t id = add(BTF_INT, A, 0, size);

	put(size * 8);
	return id;
}

static void add_member(uint32_t name, uint32_t type, uint32_t bit_offset)
{
	put(name);
	put(type);
	put(bit_offset);
}

static uint32_t add_array(uint32_t type, uint32_t count)
{
	uint32_t id = add(BTF_ARRAY, NOTHING, 0, 0);

	put(type);
	put(type);
	put(count);
	return id;
}

static size_t finish(void)
{
	uint32_t header[] = {0x0001eb9f, HEADER, 0, blob.size, blob.size, STRINGS_SIZE};

	memcpy(blob.bytes, header, HEADER);
	memcpy(blob.bytes + HEADER + blob.size, strings, STRINGS_SIZE);
	return HEADER + blob.size + STRINGS_SIZE;
}

static int open_blob(void)
{
	return btf_init(&blob.btf, blob.bytes, finish(), NULL);
}

static int place(uint32_t id, const char *path, struct btf_place *ret_place)
{
	int r = open_blob();

	if (r == 0)
		r = btf_place(&blob.btf, id, path, ret_place);
	btf_deinit(&blob.btf);
	return r;
}

static void test_btf_members_by_path(void)
{
	struct btf_place found;
	uint32_t word, byte, inner, anonymous, outer, array;

	begin();
	word = add_int(8);
	byte = add_int(1);
	array = add_array(byte, 16);
	inner = add(BTF_STRUCT, INNER, 2, 24);
	add_member(A, word, 0);
	add_member(B, array, 64);
	anonymous = add(BTF_UNION, NOTHING, 2, 24);
	add_member(C, byte, 0);
	add_member(B, inner, 0);
	outer = add(BTF_STRUCT, OUTER, 2, 32);
	add_member(A, word, 0);
	add_member(NOTHING, anonymous, 64);

	check_int(place(outer, "", &found), 0);
	check(found.offset == 0 && found.size == 32);
	check_int(place(outer, "a", &found), 0);
	check(found.offset == 0 && found.size == 8);
	check_int(place(outer, "c", &found), 0);
	check(found.offset == 8 && found.size == 1);
	check_int(place(outer, "b.b", &found), 0);
	check(found.offset == 16 && found.size == 16);
	check_int(place(outer, "b.c", &found), -ENOENT);
	check_int(place(outer, "d", &found), -ENOENT);
	check_int(place(outer, "a.b", &found), -ENOENT);
	check_int(place(outer, "aa", &found), -ENOENT);
	check_int(place(outer, ".", &found), -ENOENT);
}

static void test_btf_behind_other_names(void)
{
	struct btf_place found;
	uint32_t id, pointer, outer;

	begin();
	pointer = add(BTF_PTR, NOTHING, 0, 0);
	id = add(BTF_TYPEDEF, A, 0, add_int(4));
	id = add(BTF_CONST, NOTHING, 0, id);
	id = add(BTF_VOLATILE, NOTHING, 0, id);
	id = add(BTF_TYPE_TAG, B, 0, id);
	id = add(BTF_RESTRICT, NOTHING, 0, id);
	outer = add(BTF_STRUCT, OUTER, 2, 16);
	add_member(A, id, 32);
	add_member(B, pointer, 64);
	check_int(place(outer, "a", &found), 0);
	check(found.offset == 4 && found.size == 4);
	check_int(place(outer, "b", &found), 0);
	check(found.offset == 8 && found.size == 8);
}

static void test_btf_structures_by_name(void)
{
	static const char *const names[] = {"outer", "missing", "a", "inner"};
	uint32_t ids[4];

	begin();
	(void)add_int(4);
	(void)add(BTF_FWD, OUTER, 0, 0);
	(void)add(BTF_UNION, OUTER, 0, 8);
	(void)add(BTF_STRUCT, OUTER, 0, 8);
	(void)add(BTF_STRUCT, OUTER, 0, 16);
	(void)add(BTF_STRUCT, INNER, 0, 8);
	check_int(open_blob(), 0);
	check_int(btf_structures(&blob.btf, names, 4, ids), 0);
	check(ids[0] == 4 && ids[1] == 0 && ids[2] == 0 && ids[3] == 6);
	check_int(btf_structures(&blob.btf, names, 257, ids), -E2BIG);
	btf_deinit(&blob.btf);
}

static void test_btf_headers_that_lie(void)
{
	static const struct {
		uint32_t word, value;
	} lies[] = {
		{0, 0x0001eb9e}, {0, 0x0002eb9f}, {1, 23},         {1, UINT32_MAX}, {2, UINT32_MAX},
		{3, UINT32_MAX}, {4, UINT32_MAX}, {5, UINT32_MAX}, {5, 0},          {5, TYPES_MAX},
		{2, 1 << 20},    {4, 1 << 20},    {3, 17},         {3, 4},          {5, 2},
	};
	size_t size;

	begin();
	(void)add_int(8);
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct error err = ERROR_INIT;

		size = finish();
		memcpy(blob.bytes + (size_t)lies[i].word * 4, &lies[i].value, 4);
		check_int(btf_init(&blob.btf, blob.bytes, size, &err), -EBADMSG);
		check(err.text[0]);
	}
	size = finish();
	for (size_t cut = 0; cut < size; cut++)
		check_int(btf_init(&blob.btf, blob.bytes, cut, NULL), -EBADMSG);
	check_int(btf_init(&blob.btf, blob.bytes, BTF_SIZE_MAX + 1UL, NULL), -EBADMSG);
}

static void test_btf_types_that_are_no_types(void)
{
	begin();
	(void)add(BTF_VOID, NOTHING, 0, 0);
	check_int(open_blob(), -EBADMSG);
	begin();
	(void)add(BTF_KINDS, NOTHING, 0, 0);
	check_int(open_blob(), -EBADMSG);
	begin();
	(void)add(BTF_STRUCT, OUTER, 0xffff, 8);
	check_int(open_blob(), -EBADMSG);
}

static void test_btf_strings_outside(void)
{
	struct btf_place found;
	struct btf_type type;

	begin();
	(void)add_int(8);
	(void)add(BTF_STRUCT, STRINGS_SIZE, 2, 16);
	add_member(UINT32_MAX, 1, 0); /* counts as without a name, and is no structure */
	add_member(A, 1, 64);
	check_int(open_blob(), 0);
	check_int(btf_type(&blob.btf, 2, &type), 0);
	check_string(btf_string(&blob.btf, type.name), "");
	check_string(btf_string(&blob.btf, UINT32_MAX), "");
	check_string(btf_string(&blob.btf, OUTER), "outer");
	btf_deinit(&blob.btf);
	check_int(place(2, "a", &found), 0);
	check_int(found.offset, 8);
}

static void test_btf_ids_outside(void)
{
	struct btf_place found;
	struct btf_type type;
	struct btf_member member;
	struct btf_array array;
	uint64_t size;

	begin();
	(void)add_int(8);
	(void)add(BTF_STRUCT, OUTER, 2, 16);
	add_member(A, 3, 0);
	add_member(B, UINT32_MAX, 0);
	check_int(open_blob(), 0);
	check_int(btf_type(&blob.btf, 0, &type), -EBADMSG);
	check_int(btf_type(&blob.btf, 3, &type), -EBADMSG);
	check_int(btf_type(&blob.btf, UINT32_MAX, &type), -EBADMSG);
	check_int(btf_size(&blob.btf, 3, &size), -EBADMSG);
	check_int(btf_type(&blob.btf, 2, &type), 0);
	check_int(btf_member(&type, 2, &member), -EBADMSG);
	check_int(btf_array(&type, &array), -EBADMSG);
	check_int(btf_type(&blob.btf, 1, &type), 0);
	check_int(btf_member(&type, 0, &member), -EBADMSG);
	btf_deinit(&blob.btf);
	check_int(place(2, "a", &found), -EBADMSG);
	check_int(place(2, "b", &found), -EBADMSG);
	check_int(place(0, "", &found), -EBADMSG);
	check_int(place(9, "a", &found), -EBADMSG);
}

static void test_btf_cycle_of_types(void)
{
	struct btf_place found;
	uint64_t size;

	begin();
	(void)add(BTF_TYPEDEF, A, 0, 2);
	(void)add(BTF_CONST, NOTHING, 0, 1);
	(void)add(BTF_TYPEDEF, B, 0, 3);
	(void)add_array(4, 1); /* of itself */
	(void)add(BTF_STRUCT, OUTER, 3, 8);
	add_member(A, 1, 0);
	add_member(B, 4, 0);
	add_member(NOTHING, 5, 0); /* itself, without a name */
	check_int(open_blob(), 0);
	for (uint32_t id = 1; id <= 4; id++)
		check_int(btf_size(&blob.btf, id, &size), -ELOOP);
	btf_deinit(&blob.btf);
	check_int(place(5, "a", &found), -ELOOP);
	check_int(place(5, "b", &found), -ELOOP);
	check_int(place(5, "c", &found), -ELOOP);
}

static void test_btf_members_outside_their_structure(void)
{
	struct btf_place found;

	begin();
	(void)add_int(8);
	(void)add(BTF_STRUCT, OUTER, 3, 16);
	add_member(A, 1, 128);
	add_member(B, 1, 65 * 8);
	add_member(C, 1, 0xfffffff8);
	check_int(place(2, "a", &found), -EBADMSG);
	check_int(place(2, "b", &found), -EBADMSG);
	check_int(place(2, "c", &found), -EBADMSG);
}

static void test_btf_bitfields(void)
{
	struct btf_place found;

	begin();
	(void)add_int(4);
	(void)add(BTF_STRUCT, OUTER, 3, 16);
	blob.bytes[HEADER + blob.size - 5] |= KIND_FLAG;
	add_member(A, 1, 3 << 24 | 32);
	add_member(B, 1, 36);
	add_member(C, 1, 64);
	check_int(place(2, "a", &found), -EBADMSG);
	check_int(place(2, "b", &found), -EBADMSG);
	check_int(place(2, "c", &found), 0);
	check_int(found.offset, 8);
}

static void test_btf_arrays_that_are_too_large(void)
{
	uint64_t size;

	begin();
	(void)add_int(8);
	(void)add_array(1, UINT32_MAX);
	(void)add_array(2, UINT32_MAX);
	(void)add_array(3, UINT32_MAX);
	(void)add_array(1, 0);
	(void)add_array(1, 1 << 20);
	check_int(open_blob(), 0);
	for (uint32_t id = 2; id <= 4; id++)
		check_int(btf_size(&blob.btf, id, &size), -EBADMSG);
	check_int(btf_size(&blob.btf, 5, &size), 0);
	check_int(size, 0);
	check_int(btf_size(&blob.btf, 6, &size), 0);
	check_int(size, 8 << 20);
	btf_deinit(&blob.btf);
}

/* Anonymous structures in each other, each with so many that the whole is 64 to the power of 12:
 * the search has to give up soon, also where each step is a chain of names. */
static void test_btf_bomb(void)
{
	enum { LEVELS = 12, WIDTH = 64, CHAIN = 30 };
	struct btf_place found;
	uint32_t top;

	begin();
	(void)add(BTF_STRUCT, NOTHING, 1, 8);
	add_member(A, 1, 0);
	for (int level = 1; level < LEVELS; level++) {
		for (int i = 0; i < CHAIN; i++)
			(void)add(BTF_TYPEDEF, NOTHING, 0, blob.count);
		top = blob.count;
		(void)add(BTF_STRUCT, OUTER, WIDTH, 8);
		for (int i = 0; i < WIDTH; i++)
			add_member(NOTHING, top, 0);
	}
	top = blob.count;
	check(open_blob() == 0);
	for (int i = 0; i < 100; i++)
		check_int(btf_place(&blob.btf, top, "b", &found), -ELOOP);
	btf_deinit(&blob.btf);
}

/* Every bit of a small blob turned over, one at a time. */
static void test_btf_damaged(void)
{
	static const char *const names[] = {"outer", "inner"};
	static const char *const paths[] = {"", "a", "b", "c.a", "b.c"};
	uint32_t array, inner, ids[2];
	size_t size;

	begin();
	(void)add_int(8);
	array = add_array(1, 2);
	inner = add(BTF_STRUCT, INNER, 2, 24);
	add_member(A, 1, 0);
	add_member(B, array, 64);
	(void)add(BTF_STRUCT, OUTER, 2, 32);
	add_member(C, inner, 64);
	add_member(NOTHING, inner, 0);
	size = finish();
	for (size_t bit = 0; bit < size * 8; bit++) {
		uint8_t *copy = malloc(size); /* so that sanitizers see its end */

		check(copy);
		memcpy(copy, blob.bytes, size);
		copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (btf_init(&blob.btf, copy, size, NULL) == 0) {
			struct btf_place found;

			(void)btf_structures(&blob.btf, names, 2, ids);
			for (size_t i = 0; i < 2; i++)
				for (size_t j = 0; j < sizeof(paths) / sizeof(paths[0]); j++)
					(void)btf_place(&blob.btf, ids[i], paths[j], &found);
			btf_deinit(&blob.btf);
		}
		free(copy);
	}
}

TEST_MAIN(TEST(test_btf_members_by_path), TEST(test_btf_behind_other_names),
	  TEST(test_btf_structures_by_name), TEST(test_btf_headers_that_lie),
	  TEST(test_btf_types_that_are_no_types), TEST(test_btf_strings_outside),
	  TEST(test_btf_ids_outside), TEST(test_btf_cycle_of_types),
	  TEST(test_btf_members_outside_their_structure), TEST(test_btf_bitfields),
	  TEST(test_btf_arrays_that_are_too_large), TEST(test_btf_bomb), TEST(test_btf_damaged))
