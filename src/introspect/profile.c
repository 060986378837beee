/* SPDX-License-Identifier: Apache-2.0 */
#include "introspect/profile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "introspect/btf.h"
#include "introspect/guest.h"
#include "introspect/kallsyms.h"
#include "introspect/search.h"

enum {
	NEED = 1,
	WANT = 0,
	PAGE_OFFSET_ALIGN = 1 << 30,
	TASK_SIZE_MIN = 2 << 10,
	TASK_SIZE_MAX = 64 << 10,
};

static const char magic[8] = "ATOMPRF";

struct field_name {
	enum field field;
	const char *structure, *member;
	int need;
};

#define FIELD_LINE(id, structure, member, need) {FIELD_##id, structure, member, need},
#define ALIAS_LINE(id, structure, member) {FIELD_##id, structure, member, WANT},
static const struct field_name field_names[] = {INTROSPECT_FIELDS(FIELD_LINE, ALIAS_LINE)};

#define SYMBOL_NAME(id, name, need) name,
static const char *const symbol_names[] = {INTROSPECT_SYMBOLS(SYMBOL_NAME)};
#define SYMBOL_NEED(id, name, need) need,
static const int symbol_needs[] = {INTROSPECT_SYMBOLS(SYMBOL_NEED)};

enum { FIELD_NAMES = sizeof(field_names) / sizeof(field_names[0]) };

/* Of the tables' contents: a profile that was made by others is of no use. */
static uint32_t revision(void)
{
	uint32_t hash = 2166136261u;
	const char *texts[2];

	for (size_t i = 0; i < FIELD_NAMES + SYMBOL_COUNT; i++) {
		bool is_field = i < FIELD_NAMES;

		texts[0] = is_field ? field_names[i].structure : symbol_names[i - FIELD_NAMES];
		texts[1] = is_field ? field_names[i].member : "";
		for (size_t j = 0; j < 2; j++, hash = (hash ^ '/') * 16777619u)
			for (const char *c = texts[j]; *c; c++)
				hash = (hash ^ (uint8_t)*c) * 16777619u;
	}
	return hash;
}

/* Symbols */

static int resolve_symbols(const struct kallsyms *kallsyms, struct profile *profile,
			   struct error *err)
{
	int r = kallsyms_resolve(kallsyms, symbol_names, SYMBOL_COUNT, profile->symbols,
				 profile->symbol_ends);

	if (r < 0)
		return error_set_errno(err, r, "reading the kernel's symbol table");
	for (size_t i = 0; i < SYMBOL_COUNT; i++)
		if (symbol_needs[i] && !profile->symbols[i])
			return error_set(err, -ENOTSUP,
					 "the kernel's symbol table has no '%s': it is built "
					 "without %s",
					 symbol_names[i],
					 i == SYMBOL_START_BTF || i == SYMBOL_STOP_BTF
						 ? "CONFIG_DEBUG_INFO_BTF"
						 : "CONFIG_KALLSYMS_ALL, or is of a kind "
						   "that is not known");
	profile->symbol_count = kallsyms->count;
	(void)strncpy(profile->kallsyms_layout, kallsyms->layout,
		      sizeof(profile->kallsyms_layout) - 1);
	return 0;
}

/* A copy of [symbol, symbol + size) out of the copy of the image. */
static const uint8_t *in_copy(const struct profile *profile, const uint8_t *image, uint64_t va,
			      uint64_t size)
{
	uint64_t offset = va - profile->image.va;

	if (va < profile->image.va || offset > profile->image.size ||
	    size > profile->image.size - offset)
		return NULL;
	return image + offset;
}

static int take_banner(struct profile *profile, const uint8_t *image, struct error *err)
{
	const uint8_t *banner =
		in_copy(profile, image, profile->symbols[SYMBOL_LINUX_BANNER], PROFILE_BANNER_SIZE);

	if (!banner || memcmp(banner, "Linux version ", 14) != 0)
		return error_set(err, -EUCLEAN, "'linux_banner' is no banner of Linux");
	memcpy(profile->banner, banner, PROFILE_BANNER_SIZE - 1);
	profile->banner[strcspn(profile->banner, "\n")] = '\0';
	return 0;
}

/* Members */

static void resolve_structures(const struct btf *btf, uint32_t ids[FIELD_NAMES])
{
	const char *names[FIELD_NAMES];
	uint32_t found[FIELD_NAMES];
	size_t count = 0;

	/* lines of one structure stand together */
	for (size_t i = 0; i < FIELD_NAMES; i++)
		if (count == 0 || strcmp(names[count - 1], field_names[i].structure) != 0)
			names[count++] = field_names[i].structure;
	(void)btf_structures(btf, names, count, found); /* there are fewer than its limit */
	for (size_t i = 0, at = 0; i < FIELD_NAMES; i++) {
		if (strcmp(names[at], field_names[i].structure) != 0)
			at++;
		ids[i] = found[at];
	}
}

static int resolve_fields(const struct btf *btf, struct profile *profile, struct error *err)
{
	uint32_t ids[FIELD_NAMES];

	resolve_structures(btf, ids);
	for (size_t i = 0; i < FIELD_COUNT; i++)
		profile->fields[i].offset = PROFILE_ABSENT;
	for (size_t i = 0; i < FIELD_NAMES; i++) {
		enum field field = field_names[i].field;
		struct btf_place place;

		if (profile->fields[field].offset != PROFILE_ABSENT || ids[i] == 0 ||
		    btf_place(btf, ids[i], field_names[i].member, &place) < 0)
			continue;
		profile->fields[field].offset = place.offset;
		profile->fields[field].size = place.size;
	}
	for (size_t i = 0; i < FIELD_NAMES; i++)
		if (field_names[i].need &&
		    profile->fields[field_names[i].field].offset == PROFILE_ABSENT)
			return error_set(err, -ENOTSUP,
					 "the kernel's type information has no member '%s' of '%s'",
					 field_names[i].member, field_names[i].structure);
	return 0;
}

static int read_btf(struct profile *profile, const uint8_t *image, struct error *err)
{
	uint64_t start = profile->symbols[SYMBOL_START_BTF];
	uint64_t size = profile->symbols[SYMBOL_STOP_BTF] - start;
	const uint8_t *bytes = in_copy(profile, image, start, size);
	struct btf btf;
	int r;

	if (!bytes)
		return error_set(err, -EUCLEAN,
				 "the kernel's BTF is said to lie outside its image");
	r = btf_init(&btf, bytes, size, err);
	if (r < 0)
		return error_prefix(err, r, "the kernel's type information");
	profile->btf_va = start;
	profile->btf_size = size;
	r = resolve_fields(&btf, profile, err);
	btf_deinit(&btf);
	return r;
}

/* The kernel's own page table and direct map */

static int set_paging(struct memory *memory, struct profile *profile, const uint8_t *image,
		      struct error *err)
{
	const uint8_t *base = in_copy(profile, image, profile->symbols[SYMBOL_PAGE_OFFSET_BASE], 8);
	uint64_t image_gpa, direct_gpa;
	struct paging paging;

	if (!base)
		return error_set(err, -EUCLEAN, "'page_offset_base' lies outside the image");
	memcpy(&profile->direct_base, base, 8);
	profile->root =
		profile->symbols[SYMBOL_INIT_TOP_PGT] - profile->image.va + profile->image.gpa;
	/* a table of four levels that is walked with five, or the reverse, leads nowhere sensible
	 */
	for (profile->levels = 4; profile->levels <= 5; profile->levels++) {
		paging = (struct paging){memory, profile->root, (int)profile->levels};
		if (paging_translate(&paging, profile->image.va, &image_gpa, NULL) == 0 &&
		    image_gpa == profile->image.gpa &&
		    paging_translate(&paging, profile->direct_base + profile->image.gpa,
				     &direct_gpa, NULL) == 0 &&
		    direct_gpa == profile->image.gpa &&
		    profile->direct_base % PAGE_OFFSET_ALIGN == 0)
			return 0;
	}
	return error_set(err, -EUCLEAN,
			 "the kernel's page table does not map its image and its direct map: the "
			 "guest is still booting, or forges it");
}

static int check_init_task(struct memory *memory, const struct profile *profile, struct error *err)
{
	struct guest guest;
	uint64_t pid, init = profile->symbols[SYMBOL_INIT_TASK];
	uint32_t size = profile->fields[FIELD_TASK_SIZE].size;
	char comm[16];

	guest_init(&guest, memory, profile);
	if (size < TASK_SIZE_MIN || size > TASK_SIZE_MAX)
		return error_set(err, -EUCLEAN, "a task of %u bytes", size);
	if (guest_field(&guest, init, FIELD_TASK_PID, &pid) < 0 ||
	    guest_string(&guest, init + guest_offset(&guest, FIELD_TASK_COMM), comm, sizeof(comm)) <
		    0 ||
	    pid != 0 || strncmp(comm, "swapper", 7) != 0)
		return error_set(err, -EUCLEAN, "'init_task' is not the idle task");
	return 0;
}

/* What lies at an address of the image now; false where it cannot be read. */
static bool read_image(struct memory *memory, const struct profile *profile, enum symbol symbol,
		       void *buffer, size_t size)
{
	return memory_read(memory,
			   profile->symbols[symbol] - profile->image.va + profile->image.gpa,
			   buffer, size) == 0;
}

static int find_image(const struct profile_source *source, struct profile *profile,
		      struct error *err)
{
	struct paging paging;

	if (source->vcpu_count == 0)
		return search_image(source->memory, &profile->image, err);
	return image_locate(source->memory, source->vcpus, source->vcpu_count, &profile->image,
			    &paging, err);
}

int profile_make(const struct profile_source *source, struct profile *ret_profile,
		 struct error *err)
{
	struct profile profile = {.size = sizeof(profile), .revision = revision()};
	cleanup(free) uint8_t *image = NULL;
	struct kallsyms kallsyms;
	int r = find_image(source, &profile, err);

	memcpy(profile.magic, magic, sizeof(magic));
	if (r == 0)
		r = profile_kallsyms(source->memory, &profile, &image, &kallsyms, err);
	if (r == 0)
		r = resolve_symbols(&kallsyms, &profile, err);
	if (r == 0)
		r = take_banner(&profile, image, err);
	if (r == 0)
		r = read_btf(&profile, image, err);
	if (r == 0)
		r = set_paging(source->memory, &profile, image, err);
	if (r == 0)
		r = check_init_task(source->memory, &profile, err);
	if (r == 0)
		*ret_profile = profile;
	return r;
}

int profile_kallsyms(struct memory *memory, const struct profile *profile, uint8_t **ret_image,
		     struct kallsyms *ret_kallsyms, struct error *err)
{
	cleanup(free) uint8_t *image = NULL;
	int r = image_copy(memory, &profile->image, &image, err);

	if (r == 0)
		r = kallsyms_open(ret_kallsyms, image, profile->image.size, profile->image.va, err);
	if (r < 0)
		return r;
	*ret_image = keep(image);
	return 0;
}

/* What was kept may be damaged. */
static bool is_sound(const struct profile *profile)
{
	return memcmp(profile->magic, magic, sizeof(magic)) == 0 &&
	       profile->size == sizeof(*profile) && profile->revision == revision() &&
	       profile->image.size <= IMAGE_SIZE_MAX &&
	       (profile->levels == 4 || profile->levels == 5) &&
	       memchr(profile->kallsyms_layout, '\0', sizeof(profile->kallsyms_layout)) &&
	       memchr(profile->banner, '\0', sizeof(profile->banner)) &&
	       strncmp(profile->banner, "Linux version ", 14) == 0;
}

int profile_load(const struct profile_source *source, const void *bytes, size_t size,
		 struct profile *ret_profile, struct error *err)
{
	struct profile profile;
	char banner[PROFILE_BANNER_SIZE];
	uint64_t direct_base;
	int r;

	if (size != sizeof(profile))
		return error_set(err, -ESTALE, "a profile of another version");
	memcpy(&profile, bytes, sizeof(profile));
	if (!is_sound(&profile))
		return error_set(err, -ESTALE, "a profile of another version");
	if (source->vcpu_count > 0) {
		r = image_check(source->memory, source->vcpus, source->vcpu_count, &profile.image,
				err);
		if (r < 0)
			return r;
	}
	if (!read_image(source->memory, &profile, SYMBOL_LINUX_BANNER, banner, sizeof(banner)) ||
	    strncmp(banner, profile.banner, strlen(profile.banner)) != 0 ||
	    !read_image(source->memory, &profile, SYMBOL_PAGE_OFFSET_BASE, &direct_base,
			sizeof(direct_base)) ||
	    direct_base != profile.direct_base)
		return error_set(err, -ESTALE, "the guest runs another kernel than before");
	r = check_init_task(source->memory, &profile, err);
	if (r == 0)
		*ret_profile = profile;
	return r;
}
