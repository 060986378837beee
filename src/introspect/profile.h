#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All that must be known of a running kernel before its structures can be read: where its image
 * lies, addresses of symbols, places of members, its own page table, its direct map. Made once per
 * boot out of the guest's memory, kept as plain bytes between runs, and checked before each use.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "introspect/fields.h"
#include "introspect/image.h"
#include "introspect/memory.h"

enum { PROFILE_BANNER_SIZE = 256, PROFILE_ABSENT = UINT32_MAX };

struct profile {
	char magic[8];
	uint32_t size, revision; /* of this structure, and of the tables of fields.h */
	struct image image;
	uint64_t root; /* guest-physical: the kernel's own page table */
	uint32_t levels;
	uint32_t symbol_count; /* of the whole table, for people */
	uint64_t direct_base;  /* where guest-physical 0 is mapped */
	uint64_t btf_va, btf_size;
	uint64_t symbols[SYMBOL_COUNT];     /* 0: absent */
	uint64_t symbol_ends[SYMBOL_COUNT]; /* where the next symbol begins */
	struct {
		uint32_t offset, size; /* offset PROFILE_ABSENT: absent */
	} fields[FIELD_COUNT];
	char kallsyms_layout[32];
	char banner[PROFILE_BANNER_SIZE];
};

/* The memory and registers that a profile is made from. */
struct profile_source {
	struct memory *memory;
	const struct registers *vcpus;
	size_t vcpu_count; /* 0: a dump without registers, which is searched instead */
};

/* Errors, each with its reason: image_locate()'s; -ENODATA without kallsyms; -ENOTSUP without BTF
 * or without a symbol or member that is needed (CONFIG_KALLSYMS_ALL, CONFIG_DEBUG_INFO_BTF named);
 * -EUCLEAN where what was found contradicts itself. */
int profile_make(const struct profile_source *source, struct profile *ret_profile,
		 struct error *err);

/* Whether `bytes` are a profile of the kernel that runs now. -ESTALE when they are not. */
int profile_load(const struct profile_source *source, const void *bytes, size_t size,
		 struct profile *ret_profile, struct error *err);

/* The image and its tables once more, for what needs every symbol and type (ISF, addresses to
 * names). Returns owned by ret_image. */
struct kallsyms;
int profile_kallsyms(struct memory *memory, const struct profile *profile, uint8_t **ret_image,
		     struct kallsyms *ret_kallsyms, struct error *err);
