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
/* On a terminal a last column that is aligned left goes on in further lines under itself where it
 * would leave the screen. */
void table_print(const struct table *table, FILE *stream);
/* As table_print() `indent` columns from the left, for a screen of `width` columns; 0: one without
 * end. */
void table_print_within(const struct table *table, FILE *stream, size_t indent, size_t width);

/* Control characters and invalid UTF-8 become '?'. In place; returns text. */
char *table_escape(char *text);

/* Columns of the terminal that the stream is; 0 where it is none, or too narrow to care for. */
size_t terminal_width(FILE *stream);
enum terminal_style { STYLE_PLAIN, STYLE_BOLD, STYLE_RED, STYLE_GREEN, STYLE_YELLOW };
/* The escape sequence for a style, "" where the stream is no terminal or NO_COLOR is set. */
const char *terminal_style(FILE *stream, enum terminal_style style);

/* One line in a style, escaped, with a line end after it. On a terminal it goes on in further
 * lines, `indent` columns from the left, where it would leave the screen. */
void terminal_say(FILE *stream, enum terminal_style style, size_t indent, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
