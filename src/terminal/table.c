/* SPDX-License-Identifier: Apache-2.0 */
#include "terminal/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/utf8.h"

enum { COLUMNS_MAX = 32 };

struct table {
	struct {
		char *title;
		enum table_align align;
	} columns[COLUMNS_MAX];
	size_t column_count;
	char **cells;
	size_t cell_count, capacity;
};

struct table *table_new(void)
{
	return calloc(1, sizeof(struct table));
}

struct table *table_free(struct table *table)
{
	if (!table)
		return NULL;
	for (size_t i = 0; i < table->column_count; i++)
		free(table->columns[i].title);
	for (size_t i = 0; i < table->cell_count; i++)
		free(table->cells[i]);
	free(table->cells);
	free(table);
	return NULL;
}

void table_column(struct table *table, const char *title, enum table_align align)
{
	char *copy = table && table->column_count < COLUMNS_MAX ? strdup(title) : NULL;

	if (!copy)
		return;
	table->columns[table->column_count].title = copy;
	table->columns[table->column_count++].align = align;
}

char *table_escape(char *text)
{
	for (char *c = text; *c;) {
		size_t length = utf8_printable_length(c);

		if (length == 0)
			*c++ = '?';
		else
			c += length;
	}
	return text;
}

void table_cell(struct table *table, const char *format, ...)
{
	char *text = NULL;
	va_list args;
	int r;

	if (!table)
		return;
	va_start(args, format);
	r = vasprintf(&text, format, args);
	va_end(args);
	if (r < 0)
		return;
	if (table->cell_count == table->capacity) {
		size_t capacity = table->capacity ? 2 * table->capacity : 64;
		char **cells = reallocarray(table->cells, capacity, sizeof(*cells));

		if (!cells) {
			free(text);
			return;
		}
		table->cells = cells;
		table->capacity = capacity;
	}
	table->cells[table->cell_count++] = table_escape(text);
}

/* Characters, taking each for one place wide. */
static size_t width_of(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

static size_t column_width(const struct table *table, size_t column)
{
	size_t widest = width_of(table->columns[column].title);

	for (size_t i = column; i < table->cell_count; i += table->column_count) {
		size_t width = width_of(table->cells[i]);

		widest = width > widest ? width : widest;
	}
	return widest;
}

static void print_cell(const struct table *table, size_t column, const char *text, size_t width,
		       FILE *stream)
{
	bool last = column + 1 == table->column_count;
	int padding = (int)(width - width_of(text));

	if (table->columns[column].align == TABLE_RIGHT)
		(void)fprintf(stream, "%*s%s", padding, "", text);
	else
		(void)fprintf(stream, "%s%*s", text, last ? 0 : padding, "");
	(void)fputs(last ? "\n" : "  ", stream);
}

void table_print(const struct table *table, FILE *stream)
{
	size_t widths[COLUMNS_MAX];

	if (!table || table->column_count == 0)
		return;
	(void)fputs(terminal_style(stream, STYLE_BOLD), stream);
	for (size_t i = 0; i < table->column_count; i++) {
		widths[i] = column_width(table, i);
		print_cell(table, i, table->columns[i].title, widths[i], stream);
	}
	(void)fputs(terminal_style(stream, STYLE_PLAIN), stream);
	for (size_t i = 0; i < table->cell_count; i++)
		print_cell(table, i % table->column_count, table->cells[i],
			   widths[i % table->column_count], stream);
}

const char *terminal_style(FILE *stream, enum terminal_style style)
{
	static const char *const sequences[] = {"\033[0m", "\033[1m", "\033[31m", "\033[32m",
						"\033[33m"};
	const char *off = getenv("NO_COLOR");

	if ((off && *off) || !isatty(fileno(stream)))
		return "";
	return sequences[style];
}
