#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables for people: aligned columns with a header line, bold on a terminal (not with NO_COLOR).
 * Cells are escaped, so that a name from elsewhere cannot move the cursor. Owned by the caller; for
 * main threads.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct table;

enum table_align { TABLE_LEFT, TABLE_RIGHT };

/* Returns owned, or NULL when memory is out: the functions below accept that and print nothing. */
struct table *table_new(void);
struct table *table_free(struct table *table);

void table_column(struct table *table, const char *title, enum table_align align);
/* Cells go from left to right, row by row. */
void table_cell(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
void table_print(const struct table *table, FILE *stream);

/* Control characters and invalid UTF-8 become '?'. In place; returns text. */
char *table_escape(char *text);

enum terminal_style { STYLE_PLAIN, STYLE_BOLD, STYLE_RED, STYLE_GREEN, STYLE_YELLOW };
/* The escape sequence for a style, "" where the stream is no terminal or NO_COLOR is set. */
const char *terminal_style(FILE *stream, enum terminal_style style);
