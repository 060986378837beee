/* SPDX-License-Identifier: Apache-2.0 */
#include "introspect/kallsyms.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/test.h"
#include "introspect/test_guest.h"

enum {
	SYMBOLS = SYMBOL_COUNT + 4100 + 1, /* and _end */
	LAYOUTS = TEST_SLOT_RELATIVE + 1,
	IMAGE_PART = 0x28000
};

DEFINE_CLEANUP(struct test_guest *, test_guest_free)

#define NAME(id, name, need) name,
static const char *const names[] = {INTROSPECT_SYMBOLS(NAME)};

static const uint8_t *image_of(const struct test_guest *guest)
{
	return guest->ram + TEST_IMAGE_GPA;
}

/* The part of the image that has the table, on the heap, so that sanitizers see its end. */
static uint8_t *copy_image(const struct test_guest *guest)
{
	uint8_t *copy = malloc(IMAGE_PART);

	if (copy)
		memcpy(copy, image_of(guest), IMAGE_PART);
	return copy;
}

static struct test_guest *make(enum test_kallsyms layout)
{
	return test_guest_new(&(struct test_guest_options){.kallsyms = layout});
}

struct seen {
	uint32_t count, texts, longest;
	uint64_t last;
	bool is_sorted;
};

static int take(void *userdata, const struct kallsyms_symbol *symbol)
{
	struct seen *seen = userdata;

	seen->count++;
	seen->texts += symbol->type == 't';
	seen->is_sorted = seen->is_sorted && symbol->address >= seen->last;
	seen->last = symbol->address;
	if (strlen(symbol->name) > seen->longest)
		seen->longest = (uint32_t)strlen(symbol->name);
	return 0;
}

static void test_kallsyms_layouts(void)
{
	static const char *const layouts[] = {"before 6.4", "before 6.4", "6.4 and later",
					      "relative to the slot"};

	for (int layout = 0; layout < LAYOUTS; layout++) {
		cleanup(test_guest_free) struct test_guest *guest = make(layout);
		struct kallsyms kallsyms;
		struct seen seen = {.is_sorted = true};
		uint64_t found[SYMBOL_COUNT], ends[SYMBOL_COUNT];
		struct error err = ERROR_INIT;

		check_int(kallsyms_open(&kallsyms, image_of(guest), TEST_IMAGE_SIZE,
					guest->image_va, &err),
			  0);
		check_string(kallsyms.layout, layouts[layout]);
		check_int(kallsyms.count, SYMBOLS);
		check_int(kallsyms_walk(&kallsyms, take, &seen), 0);
		check_int(seen.count, SYMBOLS);
		check_int(seen.texts, 4100);
		check_int(seen.longest, 200);
		check(seen.is_sorted);
		check_int(kallsyms_resolve(&kallsyms, names, SYMBOL_COUNT, found, ends), 0);
		for (int i = 0; i < SYMBOL_COUNT; i++)
			check(found[i] == guest->symbols[i]);
		check(ends[SYMBOL_SYS_CALL_TABLE] == guest->symbols[SYMBOL_IA32_SYS_CALL_TABLE]);
	}
}

/* A dump without registers: only the table tells where the image lies. */
static void test_kallsyms_without_an_address(void)
{
	for (int layout = 0; layout < LAYOUTS; layout++) {
		cleanup(test_guest_free) struct test_guest *guest = make(layout);
		struct kallsyms kallsyms;
		int r = kallsyms_open(&kallsyms, image_of(guest), TEST_IMAGE_SIZE, 0, NULL);

		check_int(r, layout == TEST_SLOT_RELATIVE ? -ENODATA : 0);
		if (r == 0)
			check(kallsyms.relative_base == guest->image_va);
	}
}

static int stop_at_tenth(void *userdata, const struct kallsyms_symbol *symbol)
{
	return ++*(int *)userdata == 10 ? -EINTR : 0;
}

static void test_kallsyms_walk_ends_when_told(void)
{
	cleanup(test_guest_free) struct test_guest *guest = make(TEST_NEW);
	struct kallsyms kallsyms;
	int count = 0;

	check_int(kallsyms_open(&kallsyms, image_of(guest), TEST_IMAGE_SIZE, guest->image_va, NULL),
		  0);
	check_int(kallsyms_walk(&kallsyms, stop_at_tenth, &count), -EINTR);
	check_int(count, 10);
}

static void test_kallsyms_names_that_are_missing(void)
{
	static const char *const wanted[] = {"_text", "no_such_symbol", "filler_7", ""};
	static const char *const too_many[512];
	cleanup(test_guest_free) struct test_guest *guest = make(TEST_OLD);
	struct kallsyms kallsyms;
	uint64_t found[512];

	check_int(kallsyms_open(&kallsyms, image_of(guest), TEST_IMAGE_SIZE, guest->image_va, NULL),
		  0);
	check_int(kallsyms_resolve(&kallsyms, wanted, 4, found, NULL), 0);
	check(found[0] == guest->image_va && found[1] == 0 && found[3] == 0);
	check(found[2] > guest->image_va);
	check_int(kallsyms_resolve(&kallsyms, too_many, 512, found, NULL), -E2BIG);
}

static void test_kallsyms_of_another_image(void)
{
	cleanup(test_guest_free) struct test_guest *guest = make(TEST_OLD);
	struct kallsyms kallsyms;
	struct error err = ERROR_INIT;

	check_int(kallsyms_open(&kallsyms, image_of(guest), TEST_IMAGE_SIZE,
				guest->image_va + (2 << 20), &err),
		  -ENODATA);
	check(strstr(err.text, "CONFIG_KALLSYMS"));
	memset(guest->ram, 0, TEST_RAM_SIZE);
	check_int(kallsyms_open(&kallsyms, guest->ram, TEST_RAM_SIZE, guest->image_va, NULL),
		  -ENODATA);
	memset(guest->ram, '0', TEST_RAM_SIZE);
	check_int(kallsyms_open(&kallsyms, guest->ram, TEST_RAM_SIZE, guest->image_va, NULL),
		  -ENODATA);
	check_int(kallsyms_open(&kallsyms, guest->ram, 0, guest->image_va, NULL), -ENODATA);
}

/* What stands where in an intact table, to damage it there. */
struct damage {
	const char *what;
	size_t (*where)(const struct kallsyms *kallsyms);
	size_t size;
	uint8_t value;
};

static size_t at_names(const struct kallsyms *kallsyms)
{
	return kallsyms->names;
}

static size_t at_count(const struct kallsyms *kallsyms)
{
	return kallsyms->names - 8;
}

static size_t at_markers(const struct kallsyms *kallsyms)
{
	return (kallsyms->names_end + 7) / 8 * 8 + 8;
}

static size_t at_tokens(const struct kallsyms *kallsyms)
{
	return kallsyms->tokens;
}

static size_t at_token_index(const struct kallsyms *kallsyms)
{
	return kallsyms->token_index + 100;
}

/* Each of these leaves no table behind, and the search must come to its end: also where the tokens
 * are intact and only what belongs to them is not. */
static void test_kallsyms_that_lies(void)
{
	static const struct damage damages[] = {
		{"a name as long as can be", at_names, 2, 0xff},
		{"a name of nothing", at_names, 1, 0},
		{"no names", at_count, 4, 0},
		{"more names than fit", at_count, 1, 0xff},
		{"names without end", at_count, 4, 0xff},
		{"a marker of zero", at_markers, 4, 0},
		{"a marker far away", at_markers, 4, 0x7f},
		{"a token that does not end", at_tokens, 300, 'x'},
		{"an empty token", at_tokens, 1, 0},
		{"an index that lies", at_token_index, 2, 0xff},
		{"an index of nothing", at_token_index, 2, 0},
	};

	for (int layout = 0; layout < LAYOUTS; layout++) {
		cleanup(test_guest_free) struct test_guest *guest = make(layout);

		for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
			cleanup(free) uint8_t *copy = copy_image(guest);
			struct kallsyms kallsyms;
			int r;

			check(copy);
			check_int(kallsyms_open(&kallsyms, copy, IMAGE_PART, guest->image_va, NULL),
				  0);
			memset(copy + damages[i].where(&kallsyms), damages[i].value,
			       damages[i].size);
			r = kallsyms_open(&kallsyms, copy, IMAGE_PART, guest->image_va, NULL);
			if (r == 0)
				printf("# %s\n", damages[i].what);
			check(r == -ENODATA);
		}
	}
}

static void test_kallsyms_cut_off(void)
{
	for (int layout = 0; layout < LAYOUTS; layout++) {
		cleanup(test_guest_free) struct test_guest *guest = make(layout);
		struct kallsyms kallsyms;

		for (size_t size = TEST_KALLSYMS_START; size < IMAGE_PART; size += 1237) {
			cleanup(free) uint8_t *copy = malloc(size);

			check(copy);
			memcpy(copy, image_of(guest), size);
			if (kallsyms_open(&kallsyms, copy, size, guest->image_va, NULL) == 0)
				check_int(kallsyms_walk(&kallsyms, take, &(struct seen){0}), 0);
		}
	}
}

/* Bits turned over all over the table: found or not, nothing is read outside. */
static void test_kallsyms_damaged(void)
{
	for (int layout = 0; layout < LAYOUTS; layout++) {
		cleanup(test_guest_free) struct test_guest *guest = make(layout);
		cleanup(free) uint8_t *copy = copy_image(guest);
		uint64_t state = 1;

		check(copy);
		for (int i = 0; i < 150; i++) {
			struct kallsyms kallsyms;
			uint8_t *byte;

			state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
			byte = copy + TEST_KALLSYMS_START +
			       (state >> 33) % (IMAGE_PART - TEST_KALLSYMS_START);
			*byte ^= (uint8_t)(1 << (state >> 20 & 7));
			if (kallsyms_open(&kallsyms, copy, IMAGE_PART, guest->image_va, NULL) == 0)
				(void)kallsyms_walk(&kallsyms, take, &(struct seen){0});
			memcpy(copy, image_of(guest), IMAGE_PART);
		}
	}
}

TEST_MAIN(TEST(test_kallsyms_layouts), TEST(test_kallsyms_without_an_address),
	  TEST(test_kallsyms_walk_ends_when_told), TEST(test_kallsyms_names_that_are_missing),
	  TEST(test_kallsyms_of_another_image), TEST(test_kallsyms_that_lies),
	  TEST(test_kallsyms_cut_off), TEST(test_kallsyms_damaged))
