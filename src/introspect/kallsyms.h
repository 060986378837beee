#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's own table of symbols (kernel/kallsyms.c, scripts/kallsyms.c), found by content in a
 * private copy of its image: names compressed by a table of 256 tokens, markers every 256 names,
 * offsets. The layouts of 4.6 to 6.3, of 6.4 and later, and of those with offsets relative to their
 * own place are told apart by what is there, not by version, since distributions carry backports.
 * The copy is hostile: every index is checked.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { KALLSYMS_NAME_SIZE = 512, KALLSYMS_SYMBOLS_MAX = 2000000 };

struct kallsyms {
	const uint8_t *image; /* borrowed */
	size_t size;
	uint64_t image_va; /* of image[0]; 0: not known before */
	uint32_t count;
	size_t names, names_end, tokens, token_index, offsets;
	uint64_t relative_base;
	enum { KALLSYMS_BASE_RELATIVE, KALLSYMS_ABSOLUTE_PERCPU, KALLSYMS_SLOT_RELATIVE } values;
	const char *layout; /* for people: "before 6.4", "6.4 and later" */
};

/* `image_va` of 0 takes what the table says (a dump without registers). Errors: -ENODATA: no table
 * (CONFIG_KALLSYMS is off) or not one that is understood. */
int kallsyms_open(struct kallsyms *kallsyms, const uint8_t *image, size_t size, uint64_t image_va,
		  struct error *err);

struct kallsyms_symbol {
	uint64_t address;
	char type; /* as in nm: 'T' text, 'D' data, 'A' absolute, ... */
	char name[KALLSYMS_NAME_SIZE];
};

/* Walks all symbols in the order of their addresses; `take` returns 0 to go on, else the walk ends
 * and returns that. -EBADMSG when a record leaves the table. */
typedef int kallsyms_take(void *userdata, const struct kallsyms_symbol *symbol);
int kallsyms_walk(const struct kallsyms *kallsyms, kallsyms_take *take, void *userdata);

/* The addresses of `count` names in one walk, 0 where there is none of that name; and where the
 * next symbol begins (ret_ends may be NULL). */
int kallsyms_resolve(const struct kallsyms *kallsyms, const char *const *names, size_t count,
		     uint64_t *ret_addresses, uint64_t *ret_ends);
