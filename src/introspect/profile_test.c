/* SPDX-License-Identifier: Apache-2.0 */
#include "introspect/profile.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/test.h"
#include "introspect/kallsyms.h"
#include "introspect/test_image.h"

DEFINE_CLEANUP(struct test_guest *, test_guest_free)

static struct test_guest *make(const char *without)
{
	return test_guest_new(&(struct test_guest_options){.without = without});
}

static bool is_right(const struct test_guest *guest, const struct profile *profile)
{
	for (int i = 0; i < FIELD_COUNT; i++)
		if (profile->fields[i].offset != guest->offsets[i] ||
		    profile->fields[i].size != guest->sizes[i])
			return false;
	return memcmp(profile->symbols, guest->symbols, sizeof(guest->symbols)) == 0 &&
	       profile->direct_base == guest->direct_base && profile->root == guest->root &&
	       profile->image.va == guest->image_va && profile->image.gpa == TEST_IMAGE_GPA &&
	       profile->levels == (uint32_t)guest->options.levels;
}

/* From registers alone, of every kind of kernel. */
static void test_profile_of_every_kernel(void)
{
	for (int i = 0; i < 4 * 2 * 2 * 2; i++) {
		struct test_guest_options options = {.kallsyms = i / 8,
						     .levels = i & 1 ? 5 : 4,
						     .has_isolation = i & 2,
						     .has_old_names = i & 4};
		cleanup(test_guest_free) struct test_guest *guest = test_guest_new(&options);
		struct error err = ERROR_INIT;

		check_int(test_guest_open(guest, &err), 0);
		check(is_right(guest, &guest->guest.profile));
		check_string(guest->guest.profile.banner,
			     "Linux version 6.1.0-test (nobody@nowhere) #1 SMP");
	}
}

/* A dump without registers is searched. */
static void test_profile_without_registers(void)
{
	cleanup(test_guest_free) struct test_guest *guest = make(NULL);
	struct profile_source source = {guest->memory, NULL, 0};
	struct profile profile;
	struct error err = ERROR_INIT;

	check_int(profile_make(&source, &profile, &err), 0);
	/* where the image ends is what its symbol says then, and not what is mapped */
	check(profile.image.va == guest->image_va && profile.image.gpa == TEST_IMAGE_GPA);
	check(memcmp(profile.symbols, guest->symbols, sizeof(guest->symbols)) == 0);
	memset(guest->ram + TEST_IMAGE_GPA + TEST_BANNER, 0, 16);
	check_int(profile_make(&source, &profile, &err), -ENODATA);
	check(strstr(err.text, "CONFIG_KALLSYMS_ALL"));
}

static void test_profile_without_what_is_needed(void)
{
	static const struct {
		const char *without, *text;
		int result;
	} cases[] = {
		{"__start_BTF", "CONFIG_DEBUG_INFO_BTF", -ENOTSUP},
		{"init_task", "'init_task'", -ENOTSUP},
		{"page_offset_base", "CONFIG_KALLSYMS_ALL", -ENOTSUP},
		{"_text", "CONFIG_KALLSYMS", -ENODATA},
		{"task_struct", "of 'task_struct'", -ENOTSUP},
		{"task_struct.pid", "'pid' of 'task_struct'", -ENOTSUP},
		{"task_struct.se.sum_exec_runtime", "'se.sum_exec_runtime'", -ENOTSUP},
		{"files_struct.fdt", "'fdt' of 'files_struct'", -ENOTSUP},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cleanup(test_guest_free) struct test_guest *guest = make(cases[i].without);
		struct error err = ERROR_INIT;

		check_int(test_guest_open(guest, &err), cases[i].result);
		if (!strstr(err.text, cases[i].text))
			printf("# %s\n", err.text);
		check(strstr(err.text, cases[i].text));
	}
}

static void test_profile_without_what_is_wanted(void)
{
	static const struct {
		const char *without;
		enum field field;
	} cases[] = {
		{"task_struct.ioac", FIELD_TASK_READ_BYTES},
		{"task_struct.se.group_node", FIELD_TASK_GROUP_NODE},
		{"rq", FIELD_RQ_CURR},
		{"module.core_layout", FIELD_MODULE_CORE_BASE},
		{"udp_table", FIELD_UDP_HASH},
		{"inet_listen_hashbucket", FIELD_LHASH2_SIZE},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cleanup(test_guest_free) struct test_guest *guest = make(cases[i].without);
		uint64_t value;

		check_int(test_guest_open(guest, NULL), 0);
		check(!guest_has(&guest->guest, cases[i].field));
		check_int(guest_field(&guest->guest, guest->image_va, cases[i].field, &value),
			  -ENOENT);
	}
}

/* What was found contradicts itself: each with a reason. */
static void test_profile_that_contradicts_itself(void)
{
	static const struct {
		uint32_t offset;
		uint64_t value;
		int result;
	} cases[] = {
		{TEST_BANNER, 0, -EUCLEAN},
		{TEST_VARIABLES, 0, -EUCLEAN}, /* page_offset_base */
		{TEST_VARIABLES, UINT64_MAX, -EUCLEAN},
		{TEST_VARIABLES, UINT64_C(0xffffffff80000000), -EUCLEAN},
		{TEST_BTF_START, 0, -EBADMSG},
		{TEST_BTF_START + 12, UINT32_MAX, -EBADMSG},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cleanup(test_guest_free) struct test_guest *guest = make(NULL);
		struct error err = ERROR_INIT;

		memcpy(guest->ram + TEST_IMAGE_GPA + cases[i].offset, &cases[i].value, 8);
		check_int(test_guest_open(guest, &err), cases[i].result);
		check(err.text[0]);
	}
}

static void test_profile_of_a_task_that_is_not_idle(void)
{
	cleanup(test_guest_free) struct test_guest *guest = make(NULL);
	uint64_t init = guest->symbols[SYMBOL_INIT_TASK];
	struct error err = ERROR_INIT;

	test_guest_set(guest, init, FIELD_TASK_PID, 1);
	check_int(test_guest_open(guest, &err), -EUCLEAN);
	test_guest_set(guest, init, FIELD_TASK_PID, 0);
	test_guest_set(guest, init, FIELD_TASK_COMM, 0);
	check_int(test_guest_open(guest, &err), -EUCLEAN);
	check(strstr(err.text, "init_task"));
}

static void test_profile_kept(void)
{
	cleanup(test_guest_free) struct test_guest *guest = make(NULL);
	struct profile profile, loaded;
	struct error err = ERROR_INIT;

	check_int(test_guest_open(guest, NULL), 0);
	profile = guest->guest.profile;
	check_int(profile_load(&guest->source, &profile, sizeof(profile), &loaded, &err), 0);
	check(memcmp(&profile, &loaded, sizeof(profile)) == 0);
	check_int(profile_load(&guest->source, &profile, sizeof(profile) - 1, &loaded, &err),
		  -ESTALE);
	check_int(profile_load(&guest->source, NULL, 0, &loaded, &err), -ESTALE);
	/* the same kernel started anew lies elsewhere */
	guest->vcpus[0].idt_base += 16;
	guest->vcpus[1].idt_base += 16;
	profile.image.gpa += 4096;
	check_int(profile_load(&guest->source, &profile, sizeof(profile), &loaded, &err), -ESTALE);
}

/* A file of profiles that was damaged, or is of another guest, is not used. */
static void test_profile_kept_badly(void)
{
	cleanup(test_guest_free) struct test_guest *guest = make(NULL);
	struct profile profile, loaded;

	check_int(test_guest_open(guest, NULL), 0);
#define CHECK_STALE(member, value)                                                                 \
	do {                                                                                       \
		profile = guest->guest.profile;                                                    \
		profile.member = (value);                                                          \
		check(profile_load(&guest->source, &profile, sizeof(profile), &loaded, NULL) < 0); \
	} while (0)
	CHECK_STALE(magic[0], 'B');
	CHECK_STALE(size, 0);
	CHECK_STALE(revision, UINT32_MAX);
	CHECK_STALE(levels, 3);
	CHECK_STALE(image.size, UINT64_MAX);
	CHECK_STALE(image.va, 0);
	CHECK_STALE(banner[0], '\0');
	CHECK_STALE(banner[20], 'x');
	CHECK_STALE(symbols[SYMBOL_LINUX_BANNER], 0);
	CHECK_STALE(symbols[SYMBOL_INIT_TASK], guest->image_va);
	CHECK_STALE(fields[FIELD_TASK_SIZE].size, 0);
	profile = guest->guest.profile;
	memset(profile.banner, 'L', sizeof(profile.banner));
	check_int(profile_load(&guest->source, &profile, sizeof(profile), &loaded, NULL), -ESTALE);
}

static void test_profile_kallsyms_again(void)
{
	cleanup(test_guest_free) struct test_guest *guest = make(NULL);
	cleanup(free) uint8_t *image = NULL;
	struct kallsyms kallsyms;

	check_int(test_guest_open(guest, NULL), 0);
	check_int(profile_kallsyms(guest->memory, &guest->guest.profile, &image, &kallsyms, NULL),
		  0);
	check_int(kallsyms.count, guest->guest.profile.symbol_count);
}

/* Bits turned over in all that a profile is made from: made or refused with a reason. */
static void test_profile_of_damaged_memory(void)
{
	cleanup(test_guest_free) struct test_guest *guest = make(NULL);
	uint64_t state = 7;

	for (int i = 0; i < 300; i++) {
		struct error err = ERROR_INIT;
		size_t at;
		int r;

		state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
		at = (1 << 20) + (state >> 33) % ((1 << 20) + TEST_DATA_START + 0x1000);
		if (i % 2) /* the first page tables, gates, variables, types */
			at = i % 4 == 1 ? (1 << 20) + at % 0x8000
					: TEST_IMAGE_GPA + TEST_BTF_START + at % guest->btf_size;
		guest->ram[at] ^= (uint8_t)(1 << (state >> 20 & 7));
		r = test_guest_open(guest, &err);
		check(r == 0 || (r < 0 && err.text[0]));
		guest->ram[at] ^= (uint8_t)(1 << (state >> 20 & 7));
	}
	check_int(test_guest_open(guest, NULL), 0);
}

TEST_MAIN(TEST(test_profile_of_every_kernel), TEST(test_profile_without_registers),
	  TEST(test_profile_without_what_is_needed), TEST(test_profile_without_what_is_wanted),
	  TEST(test_profile_that_contradicts_itself), TEST(test_profile_of_a_task_that_is_not_idle),
	  TEST(test_profile_kept), TEST(test_profile_kept_badly), TEST(test_profile_kallsyms_again),
	  TEST(test_profile_of_damaged_memory))
