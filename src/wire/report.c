/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/report_internal.h"

enum {
	CHUNK_SIZE = 64 << 10,
	ROWS_AT_FIRST = 16,
	NUMBER_SIZE_MAX = 10, /* of a varint */
	/* Encoded: more than all names, notes and bitmaps together. */
	HEADS_SIZE_MAX = 2 << 20,
};

struct report_chunk {
	struct report_chunk *next;
	size_t used, size;
	char bytes[];
};

void *report_arena_take(struct report_arena *arena, size_t size)
{
	struct report_chunk *chunk = arena->chunks;
	size_t padded = (size + 7) & ~(size_t)7;
	void *taken;

	if (!chunk || chunk->size - chunk->used < padded) {
		size_t chunk_size = padded > CHUNK_SIZE ? padded : CHUNK_SIZE;

		chunk = malloc(sizeof(*chunk) + chunk_size);
		if (!chunk)
			return NULL;
		*chunk = (struct report_chunk){.next = arena->chunks, .size = chunk_size};
		arena->chunks = chunk;
	}
	taken = chunk->bytes + chunk->used;
	chunk->used += padded;
	return taken;
}

char *report_arena_copy(struct report_arena *arena, const char *bytes, size_t size)
{
	char *copy = report_arena_take(arena, size + 1);

	if (!copy)
		return NULL;
	if (size > 0)
		memcpy(copy, bytes, size);
	copy[size] = '\0';
	return copy;
}

void report_arena_deinit(struct report_arena *arena)
{
	while (arena->chunks) {
		struct report_chunk *chunk = arena->chunks;

		arena->chunks = chunk->next;
		free(chunk);
	}
}

struct report *report_new(void)
{
	return calloc(1, sizeof(struct report));
}

struct report *report_free(struct report *report)
{
	if (!report)
		return NULL;
	for (size_t i = 0; i < report->table_count; i++)
		free(report->tables[i].cells);
	report_arena_deinit(&report->texts);
	free(report);
	return NULL;
}

/* Building */

bool report_name_is_valid(const char *name)
{
	size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");

	return length > 0 && length <= REPORT_NAME_MAX && !name[length];
}

/* The column's name is not that of an earlier one. */
bool report_column_is_new(const struct report_column *columns, size_t column)
{
	for (size_t i = 0; i < column; i++)
		if (strcmp(columns[i].name, columns[column].name) == 0)
			return false;
	return true;
}

static void assert_head(const struct report *report, const char *name,
			const struct report_column *columns, size_t count)
{
	assert(report->column == 0); /* the row before is whole */
	assert(report_name_is_valid(name) && report_find_table(report, name) < 0);
	assert(count > 0 && count <= REPORT_COLUMNS_MAX);
	for (size_t i = 0; i < count; i++) {
		assert(report_name_is_valid(columns[i].name) && report_column_is_new(columns, i));
		assert(columns[i].kind <= REPORT_FLAG);
	}
}

/* A table without cells. Copies the names. */
int report_add_table(struct report *report, const char *name, const struct report_column *columns,
		     size_t count, bool is_list)
{
	struct report_table table = {
		.name = report_arena_copy(&report->texts, name, strlen(name)),
		.column_count = count,
		.is_list = is_list,
	};

	if (!table.name)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		table.columns[i].kind = columns[i].kind;
		table.columns[i].name =
			report_arena_copy(&report->texts, columns[i].name, strlen(columns[i].name));
		if (!table.columns[i].name)
			return -ENOMEM;
	}
	report->tables[report->table_count++] = table;
	return 0;
}

void report_table(struct report *report, const char *name, const struct report_column *columns,
		  size_t count, bool is_list)
{
	if (report->error < 0)
		return;
	assert_head(report, name, columns, count);
	if (report->table_count == REPORT_TABLES_MAX)
		report->error = -E2BIG;
	else
		report->error = report_add_table(report, name, columns, count, is_list);
}

struct report_table *report_last_table(struct report *report)
{
	assert(report->table_count > 0);
	return &report->tables[report->table_count - 1];
}

static enum report_kind next_kind(struct report *report)
{
	return report_last_table(report)->columns[report->column].kind;
}

/* Whether a row more keeps to the limits, whatever its cells. */
static bool row_fits(const struct report *report, const struct report_table *table)
{
	size_t row_size = table->column_count * (REPORT_TEXT_MAX + 1);

	return table->cell_count / table->column_count < REPORT_ROWS_MAX &&
	       report->cell_count + table->column_count <= REPORT_CELLS_MAX &&
	       report->size_max + row_size <= REPORT_SIZE_MAX - HEADS_SIZE_MAX;
}

static int grow(struct report_table *table)
{
	size_t capacity = table->cell_capacity ? 2 * table->cell_capacity
					       : ROWS_AT_FIRST * table->column_count;
	struct report_cell *cells = reallocarray(table->cells, capacity, sizeof(*cells));

	if (!cells)
		return -ENOMEM;
	table->cells = cells;
	table->cell_capacity = capacity;
	return 0;
}

/* Where the next cell goes, unknown so far; NULL when its row is dropped or memory is out. */
static struct report_cell *next_cell(struct report *report, size_t size_max)
{
	struct report_table *table = report_last_table(report);

	if (report->column == 0) {
		assert(table->is_list || table->cell_count == 0);
		report->row_is_dropped = !row_fits(report, table);
		table->is_cut |= report->row_is_dropped;
	}
	report->column = (report->column + 1) % table->column_count;
	if (report->row_is_dropped)
		return NULL;
	if (table->cell_count == table->cell_capacity)
		report->error = grow(table);
	if (report->error < 0)
		return NULL;
	report->size_max += size_max;
	report->cell_count++;
	table->cells[table->cell_count] = (struct report_cell){.known = false};
	return &table->cells[table->cell_count++];
}

void report_bytes(struct report *report, const char *bytes, size_t size)
{
	size_t length = strnlen(bytes, size < REPORT_TEXT_MAX ? size : REPORT_TEXT_MAX);
	struct report_cell *cell;

	if (report->error < 0)
		return;
	assert(next_kind(report) == REPORT_TEXT);
	cell = next_cell(report, length + 1);
	if (!cell)
		return;
	cell->text.bytes = report_arena_copy(&report->texts, bytes, length);
	cell->text.size = (uint32_t)length;
	cell->known = cell->text.bytes;
	if (!cell->known)
		report->error = -ENOMEM;
}

void report_text(struct report *report, const char *text)
{
	if (text)
		report_bytes(report, text, REPORT_TEXT_MAX);
	else
		report_unknown(report);
}

void report_number(struct report *report, uint64_t number)
{
	enum report_kind kind;
	struct report_cell *cell;

	if (report->error < 0)
		return;
	kind = next_kind(report);
	assert(kind != REPORT_TEXT && kind != REPORT_REAL);
	cell = next_cell(report, NUMBER_SIZE_MAX);
	if (!cell)
		return;
	cell->known = true;
	cell->number = kind == REPORT_FLAG ? number != 0 : number;
}

void report_real(struct report *report, double value)
{
	struct report_cell *cell;

	if (report->error < 0)
		return;
	assert(next_kind(report) == REPORT_REAL);
	cell = next_cell(report, sizeof(value));
	if (!cell || !isfinite(value))
		return;
	cell->known = true;
	cell->real = value;
}

void report_unknown(struct report *report)
{
	if (report->error == 0)
		(void)next_cell(report, sizeof(double)); /* stays unknown */
}

int report_add_note(struct report *report, const char *bytes, size_t size)
{
	char *note = report_arena_copy(&report->texts, bytes, size);

	if (!note)
		return -ENOMEM;
	report->notes[report->note_count++] = note;
	return 0;
}

void report_note(struct report *report, const char *format, ...)
{
	static const char last[] = "there were more notes than a report may have";
	char text[REPORT_TEXT_MAX + 1];
	va_list args;

	if (report->error < 0 || report->note_count == REPORT_NOTES_MAX)
		return;
	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args); /* longer ones are cut */
	va_end(args);
	if (report->note_count == REPORT_NOTES_MAX - 1)
		(void)snprintf(text, sizeof(text), "%s", last);
	report->error = report_add_note(report, text, strlen(text));
}

int report_error(const struct report *report)
{
	return report->error;
}

/* Reading */

static const struct report_table *table_at(const struct report *report, size_t table)
{
	assert(table < report->table_count);
	return &report->tables[table];
}

size_t report_table_count(const struct report *report)
{
	return report->table_count;
}

const char *report_table_name(const struct report *report, size_t table)
{
	return table_at(report, table)->name;
}

bool report_table_is_list(const struct report *report, size_t table)
{
	return table_at(report, table)->is_list;
}

bool report_table_is_cut(const struct report *report, size_t table)
{
	return table_at(report, table)->is_cut;
}

const struct report_column *report_columns(const struct report *report, size_t table,
					   size_t *ret_count)
{
	*ret_count = table_at(report, table)->column_count;
	return table_at(report, table)->columns;
}

size_t report_table_rows(const struct report_table *table)
{
	return table->cell_count / table->column_count;
}

size_t report_rows(const struct report *report, size_t table)
{
	return report_table_rows(table_at(report, table));
}

const struct report_cell *report_table_cell(const struct report_table *table, size_t row,
					    size_t column)
{
	assert(row < report_table_rows(table) && column < table->column_count);
	return &table->cells[row * table->column_count + column];
}

const struct report_cell *report_cell(const struct report *report, size_t table, size_t row,
				      size_t column)
{
	return report_table_cell(table_at(report, table), row, column);
}

size_t report_note_count(const struct report *report)
{
	return report->note_count;
}

const char *report_note_at(const struct report *report, size_t position)
{
	assert(position < report->note_count);
	return report->notes[position];
}

long report_find_table(const struct report *report, const char *name)
{
	for (size_t i = 0; i < report->table_count; i++)
		if (strcmp(report->tables[i].name, name) == 0)
			return (long)i;
	return -1;
}

long report_find_column(const struct report *report, size_t table, const char *name)
{
	const struct report_table *in = table_at(report, table);

	for (size_t i = 0; i < in->column_count; i++)
		if (strcmp(in->columns[i].name, name) == 0)
			return (long)i;
	return -1;
}
