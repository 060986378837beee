/* SPDX-License-Identifier: Apache-2.0 */
#include "terminal/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/utf8.h"

enum { COLUMNS_MAX = 32, GAP = 2, WIDTH_MIN = 40, WRAPPED_MIN = 16 };

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

/* The bytes of the first line of `text` on a screen of `width` characters: up to the last space
 * between words that fits, or cut where a word is too long. */
static size_t line_size(const char *text, size_t width)
{
	size_t taken = 0, last_space = 0, i = strspn(text, " ");

	taken = i;
	for (; text[i] && taken < width; taken++) {
		if (text[i] == ' ')
			last_space = i;
		for (i++; ((unsigned char)text[i] & 0xc0) == 0x80; i++)
			;
	}
	return !text[i] || text[i] == ' ' || last_space == 0 ? i : last_space;
}

/* The text and a line end; `first` columns are left for its first line, `width` is the screen's. */
static void put_wrapped(FILE *stream, const char *text, size_t indent, size_t first, size_t width)
{
	for (size_t room = first;; room = width - indent) {
		size_t size = line_size(text, room);

		(void)fprintf(stream, "%.*s\n", (int)size, text);
		text += size + strspn(text + size, " ");
		if (!*text)
			return;
		(void)fprintf(stream, "%*s", (int)indent, "");
	}
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
	(void)fprintf(stream, "%*s", last ? 0 : GAP, "");
}

/* Where the last column begins, when it can be wrapped on a screen of this width; else 0. */
static size_t wrap_at(const struct table *table, const size_t *widths, size_t indent, size_t width)
{
	size_t at = indent;

	for (size_t i = 0; i + 1 < table->column_count; i++)
		at += widths[i] + GAP;
	return table->columns[table->column_count - 1].align == TABLE_LEFT &&
			       at + WRAPPED_MIN <= width
		       ? at
		       : 0;
}

void table_print_within(const struct table *table, FILE *stream, size_t indent, size_t width)
{
	size_t widths[COLUMNS_MAX], wrapped;

	if (!table || table->column_count == 0)
		return;
	for (size_t i = 0; i < table->column_count; i++)
		widths[i] = column_width(table, i);
	wrapped = wrap_at(table, widths, indent, width);
	(void)fprintf(stream, "%s%*s", terminal_style(stream, STYLE_BOLD), (int)indent, "");
	for (size_t i = 0; i < table->column_count; i++)
		print_cell(table, i, table->columns[i].title, widths[i], stream);
	(void)fprintf(stream, "\n%s", terminal_style(stream, STYLE_PLAIN));
	for (size_t i = 0; i < table->cell_count; i++) {
		size_t column = i % table->column_count;
		bool last = column + 1 == table->column_count;

		if (column == 0)
			(void)fprintf(stream, "%*s", (int)indent, "");
		if (last && wrapped > 0)
			put_wrapped(stream, table->cells[i], wrapped, width - wrapped, width);
		else
			print_cell(table, column, table->cells[i], widths[column], stream);
		if (last && wrapped == 0)
			(void)fputc('\n', stream);
	}
}

void table_print(const struct table *table, FILE *stream)
{
	table_print_within(table, stream, 0, terminal_width(stream));
}

size_t terminal_width(FILE *stream)
{
	struct winsize size;

	if (!isatty(fileno(stream)) || ioctl(fileno(stream), TIOCGWINSZ, &size) < 0)
		return 0;
	return size.ws_col >= WIDTH_MIN ? size.ws_col : 0;
}

void terminal_say(FILE *stream, enum terminal_style style, size_t indent, const char *format, ...)
{
	cleanup(free) char *text = NULL;
	size_t width = terminal_width(stream);
	va_list args;
	int r;

	va_start(args, format);
	r = vasprintf(&text, format, args);
	va_end(args);
	if (r < 0) {
		text = NULL;
		return;
	}
	(void)table_escape(text);
	if (style != STYLE_PLAIN)
		(void)fputs(terminal_style(stream, style), stream);
	if (width < indent + WRAPPED_MIN)
		(void)fprintf(stream, "%s\n", text);
	else
		put_wrapped(stream, text, indent, width, width);
	if (style != STYLE_PLAIN)
		(void)fputs(terminal_style(stream, STYLE_PLAIN), stream);
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
