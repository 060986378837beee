#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a report, shared by the builder and reader (report.c) and the message
 * (report_message.c). Tables hold their cells row by row; all names and texts are in one arena, so
 * that a cell's text stays where it is while the report grows.
 */
#include "wire/report.h"

/* What is taken stays where it is until all is freed. */
struct report_arena {
	struct report_chunk *chunks;
};

struct report_table {
	const char *name;
	struct report_column columns[REPORT_COLUMNS_MAX];
	size_t column_count;
	bool is_list, is_cut;
	struct report_cell *cells; /* row by row */
	size_t cell_count, cell_capacity;
};

struct report {
	struct report_table tables[REPORT_TABLES_MAX];
	size_t table_count;
	const char *notes[REPORT_NOTES_MAX];
	size_t note_count;
	struct report_arena texts;
	size_t column;       /* of the row that is being built */
	bool row_is_dropped; /* that row */
	size_t cell_count;   /* of all tables */
	size_t size_max;     /* all cells take no more than this when encoded */
	int error;
};

/* Returns borrowed, aligned for anything, or NULL when memory is out. */
void *report_arena_take(struct report_arena *arena, size_t size);
/* A NUL follows the copy. */
char *report_arena_copy(struct report_arena *arena, const char *bytes, size_t size);
void report_arena_deinit(struct report_arena *arena);

bool report_name_is_valid(const char *name);
/* The column's name is not that of an earlier one. */
bool report_column_is_new(const struct report_column *columns, size_t column);

/* A table without cells; there must be room for it, and the names be valid. Copies the names. 0 or
 * -ENOMEM. */
int report_add_table(struct report *report, const char *name, const struct report_column *columns,
		     size_t count, bool is_list);
struct report_table *report_last_table(struct report *report);
/* There must be room for it. 0 or -ENOMEM. */
int report_add_note(struct report *report, const char *bytes, size_t size);

size_t report_table_rows(const struct report_table *table);
const struct report_cell *report_table_cell(const struct report_table *table, size_t row,
					    size_t column);
