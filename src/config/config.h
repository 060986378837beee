#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration in YAML, described by one table of keys from which parsing, validation,
 * `--help-config` and the reference page are made. A program has one struct of settings; each key
 * names the member that it fills. An unknown, repeated, ill-typed or out-of-range key is an error
 * "FILE:LINE: key 'a.b': ..." and nothing of the struct is changed. Setup only; one thread.
 */
#include <stddef.h>
#include <stdio.h>

#include "base/error.h"

enum config_type {
	CONFIG_STRING,   /* char * (owned by the struct) */
	CONFIG_INTEGER,  /* int64_t */
	CONFIG_NUMBER,   /* double */
	CONFIG_BOOLEAN,  /* bool */
	CONFIG_DURATION, /* int64_t microseconds; text "250ms", "10s", "5min", "2h", "14d" */
	CONFIG_CHOICE,   /* int: the position in `choices` */
	CONFIG_STRINGS,  /* struct config_strings: a list of strings */
	CONFIG_NUMBERS,  /* struct config_numbers: a mapping from names to numbers */
	CONFIG_RECORDS,  /* struct config_records: a list of mappings, each by the table `record` */
};

struct config_strings {
	char **items;
	size_t count;
};

struct config_numbers {
	struct config_number {
		char *name;
		double value;
	} * items;
	size_t count;
};

struct config_records {
	void *items; /* count structs of record->size bytes */
	size_t count;
};

struct config_table;

struct config_key {
	const char *name; /* dotted path: "detect.window_rows" */
	enum config_type type;
	size_t offset;           /* of the member in the settings struct */
	const char *fallback;    /* the default as YAML text; NULL: the key must be given ("" for
				    strings is allowed) */
	double minimum, maximum; /* for numbers, integers, durations (seconds), map values; both 0:
				    no limit */
	const char
		*choices; /* "hbe|paper": CONFIG_CHOICE, and the allowed names of CONFIG_NUMBERS */
	const char *unit; /* for people: "rows", "bytes" */
	const char *help; /* one sentence */
	const struct config_table *record; /* CONFIG_RECORDS */
};

struct config_table {
	const char *title; /* "atomd.yaml" */
	size_t size;       /* of the settings struct */
	const struct config_key *keys;
	size_t count;
	/* What no key can say alone, as which of them go together: 0, or a negative errno with a
	 * text, which gets the file (and, for a record, the line) before it. NULL: nothing. */
	int (*check)(const void *settings, struct error *err);
};

enum { CONFIG_FILE_SIZE_MAX = 1 << 20, CONFIG_LIST_MAX = 10000, CONFIG_DEPTH_MAX = 8 };

/* Fills `ret_settings` (table->size bytes) with the defaults, then with what `path` says; path
 * NULL: the defaults alone. On failure the struct is untouched. Release with config_deinit(). */
int config_load(const struct config_table *table, const char *path, void *ret_settings,
		struct error *err);

void config_deinit(const struct config_table *table, void *settings);

/* Every key with type, range, default, unit and help: for a terminal, or as the reference page
 * (Markdown). */
void config_print_help(const struct config_table *table, FILE *stream);
void config_print_reference(const struct config_table *table, FILE *stream);
