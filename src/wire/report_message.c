/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "atom.pb-c.h"
#include "base/cleanup.h"
#include "wire/report_internal.h"

_Static_assert(REPORT_TEXT == (int)ATOM__REPORT_KIND__TEXT, "kinds are those of atom.proto");
_Static_assert(REPORT_FLAG == (int)ATOM__REPORT_KIND__FLAG, "kinds are those of atom.proto");

DEFINE_CLEANUP(struct report *, report_free)

static void cleanup_report_arena_deinit(struct report_arena *arena)
{
	report_arena_deinit(arena);
}

/* Encoding: the generated structs live in a scratch arena and borrow what they can from ours. */

static int fill_unknown(struct report_arena *scratch, const struct report_table *table,
			size_t column, ProtobufCBinaryData *out)
{
	size_t rows = report_table_rows(table), row = 0;

	while (row < rows && report_table_cell(table, row, column)->known)
		row++;
	if (row == rows)
		return 0;
	out->len = (rows + 7) / 8;
	out->data = report_arena_take(scratch, out->len);
	if (!out->data)
		return -ENOMEM;
	memset(out->data, 0, out->len);
	for (; row < rows; row++)
		if (!report_table_cell(table, row, column)->known)
			out->data[row / 8] |= (uint8_t)(1u << (row % 8));
	return 0;
}

static size_t text_size(const struct report_cell *cell)
{
	return cell->known ? cell->text.size : 0;
}

static int fill_texts(struct report_arena *scratch, const struct report_table *table, size_t column,
		      ProtobufCBinaryData *out)
{
	size_t rows = report_table_rows(table), size = rows;

	for (size_t row = 0; row < rows; row++)
		size += text_size(report_table_cell(table, row, column));
	out->data = report_arena_take(scratch, size);
	if (!out->data)
		return -ENOMEM;
	for (size_t row = 0; row < rows; row++) {
		const struct report_cell *cell = report_table_cell(table, row, column);

		if (text_size(cell) > 0)
			memcpy(out->data + out->len, cell->text.bytes, cell->text.size);
		out->len += text_size(cell);
		out->data[out->len++] = '\0';
	}
	return 0;
}

static int fill_reals(struct report_arena *scratch, const struct report_table *table, size_t column,
		      Atom__ReportColumn *out)
{
	out->n_reals = report_table_rows(table);
	out->reals = report_arena_take(scratch, out->n_reals * sizeof(*out->reals));
	if (!out->reals)
		return -ENOMEM;
	for (size_t row = 0; row < out->n_reals; row++)
		out->reals[row] = report_table_cell(table, row, column)->real;
	return 0;
}

static int fill_numbers(struct report_arena *scratch, const struct report_table *table,
			size_t column, Atom__ReportColumn *out)
{
	out->n_numbers = report_table_rows(table);
	out->numbers = report_arena_take(scratch, out->n_numbers * sizeof(*out->numbers));
	if (!out->numbers)
		return -ENOMEM;
	for (size_t row = 0; row < out->n_numbers; row++)
		out->numbers[row] = report_table_cell(table, row, column)->number;
	return 0;
}

static int fill_column(struct report_arena *scratch, const struct report_table *table,
		       size_t column, Atom__ReportColumn *out)
{
	enum report_kind kind = table->columns[column].kind;

	atom__report_column__init(out);
	out->name = (char *)table->columns[column].name; /* only read */
	out->kind = (Atom__ReportKind)kind;
	if (fill_unknown(scratch, table, column, &out->unknown) < 0)
		return -ENOMEM;
	if (kind == REPORT_TEXT)
		return fill_texts(scratch, table, column, &out->texts);
	if (kind == REPORT_REAL)
		return fill_reals(scratch, table, column, out);
	return fill_numbers(scratch, table, column, out);
}

static int fill_table(struct report_arena *scratch, const struct report_table *table,
		      Atom__ReportTable *out)
{
	size_t count = table->column_count;
	Atom__ReportColumn *columns = report_arena_take(scratch, count * sizeof(*columns));

	atom__report_table__init(out);
	out->name = (char *)table->name; /* only read */
	out->is_list = table->is_list;
	out->is_cut = table->is_cut;
	out->columns = report_arena_take(scratch, count * sizeof(Atom__ReportColumn *));
	if (!columns || !out->columns)
		return -ENOMEM;
	out->n_columns = count;
	for (size_t i = 0; i < count; i++) {
		out->columns[i] = &columns[i];
		if (fill_column(scratch, table, i, &columns[i]) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int pack(const Atom__Report *out, uint8_t **ret_bytes, size_t *ret_size, struct error *err)
{
	size_t size = atom__report__get_packed_size(out);
	uint8_t *bytes;

	if (size > REPORT_SIZE_MAX)
		return error_set(err, -E2BIG, "a report of %zu bytes is too long", size);
	bytes = malloc(size + 1);
	if (!bytes)
		return error_set(err, -ENOMEM, "out of memory");
	*ret_size = atom__report__pack(out, bytes);
	*ret_bytes = bytes;
	return 0;
}

int report_encode(const struct report *report, uint8_t **ret_bytes, size_t *ret_size,
		  struct error *err)
{
	cleanup(report_arena_deinit) struct report_arena scratch = {NULL};
	Atom__ReportTable tables[REPORT_TABLES_MAX], *pointers[REPORT_TABLES_MAX];
	ProtobufCBinaryData notes[REPORT_NOTES_MAX];
	Atom__Report out = ATOM__REPORT__INIT;

	assert(report->column == 0 || report->error < 0); /* the last row is whole */
	if (report->error < 0)
		return error_set_errno(err, report->error, "the report cannot be completed");
	for (size_t i = 0; i < report->table_count; i++) {
		pointers[i] = &tables[i];
		if (fill_table(&scratch, &report->tables[i], &tables[i]) < 0)
			return error_set(err, -ENOMEM, "out of memory");
	}
	for (size_t i = 0; i < report->note_count; i++)
		notes[i] = (ProtobufCBinaryData){.data = (uint8_t *)report->notes[i],
						 .len = strlen(report->notes[i])};
	out.n_tables = report->table_count;
	out.tables = pointers;
	out.n_notes = report->note_count;
	out.notes = notes;
	return pack(&out, ret_bytes, ret_size, err);
}

/* Decoding: nothing that the sender says is believed. */

/* protobuf-c allocates per field: without a limit, two bytes of input become an empty message of
 * over a hundred. */
static void *allocate_within(void *data, size_t size)
{
	size_t *left = data;

	if (size > *left)
		return NULL;
	*left -= size;
	return malloc(size);
}

static void free_allocated(void *data, void *pointer)
{
	free(pointer);
}

static void free_message(Atom__Report *message)
{
	atom__report__free_unpacked(message, NULL);
}

DEFINE_CLEANUP(Atom__Report *, free_message)

static Atom__Report *unpack(const uint8_t *bytes, size_t size)
{
	size_t numbers = size < REPORT_CELLS_MAX ? size : REPORT_CELLS_MAX;
	/* The heads of all tables and columns, all texts, all numbers. */
	size_t left = (256 << 10) + 2 * size + numbers * sizeof(uint64_t);
	ProtobufCAllocator allocator = {
		.alloc = allocate_within, .free = free_allocated, .allocator_data = &left};

	return atom__report__unpack(&allocator, size, bytes);
}

/* The number of texts that `blob` holds, each with its NUL. */
static int count_texts(const ProtobufCBinaryData *blob, size_t *ret_count, struct error *err)
{
	size_t count = 0, position = 0;

	while (position < blob->len) {
		const uint8_t *text = blob->data + position;
		size_t size = strnlen((const char *)text, blob->len - position);

		if (size == blob->len - position || size > REPORT_TEXT_MAX)
			return error_set(err, -EBADMSG, "a text of the report is too long");
		position += size + 1;
		count++;
	}
	*ret_count = count;
	return 0;
}

/* The cells of a column, all of which have to be of its kind. */
static int count_cells(const Atom__ReportColumn *in, size_t *ret_count, struct error *err)
{
	size_t text_count = 0;
	int r = count_texts(&in->texts, &text_count, err);

	if (r < 0)
		return r;
	if ((in->kind != ATOM__REPORT_KIND__TEXT && text_count > 0) ||
	    (in->kind != ATOM__REPORT_KIND__REAL && in->n_reals > 0) ||
	    ((in->kind == ATOM__REPORT_KIND__TEXT || in->kind == ATOM__REPORT_KIND__REAL) &&
	     in->n_numbers > 0))
		return error_set(err, -EBADMSG, "a cell is not of its column's kind");
	*ret_count = text_count + in->n_reals + in->n_numbers;
	if (in->unknown.len > 0 && in->unknown.len != (*ret_count + 7) / 8)
		return error_set(err, -EBADMSG, "unknown cells do not fit the rows");
	return 0;
}

static int decode_head(struct report *report, const Atom__ReportTable *in, struct error *err)
{
	struct report_column columns[REPORT_COLUMNS_MAX];

	if (!report_name_is_valid(in->name) || report_find_table(report, in->name) >= 0)
		return error_set(err, -EBADMSG, "the name is invalid or taken");
	if (in->n_columns == 0 || in->n_columns > REPORT_COLUMNS_MAX)
		return error_set(err, -EBADMSG, "it has %zu columns", in->n_columns);
	for (size_t i = 0; i < in->n_columns; i++) {
		unsigned int kind = in->columns[i]->kind;

		columns[i] = (struct report_column){in->columns[i]->name, kind};
		if (!report_name_is_valid(columns[i].name) || !report_column_is_new(columns, i))
			return error_set(err, -EBADMSG,
					 "the name of column %zu is invalid or taken", i);
		if (kind > REPORT_FLAG)
			return error_set(err, -EBADMSG, "column %zu is of an unknown kind", i);
	}
	if (report_add_table(report, in->name, columns, in->n_columns, in->is_list) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	report_last_table(report)->is_cut = in->is_cut;
	return 0;
}

/* All columns have the same number of cells, within the limits. */
static int decode_rows(struct report *report, const Atom__ReportTable *in, struct error *err)
{
	struct report_table *table = report_last_table(report);
	size_t rows = 0;

	for (size_t i = 0; i < in->n_columns; i++) {
		size_t count = 0;
		int r = count_cells(in->columns[i], &count, err);

		if (r < 0)
			return error_prefix(err, r, "column %zu", i);
		if (i > 0 && count != rows)
			return error_set(err, -EBADMSG, "column %zu has %zu rows instead of %zu", i,
					 count, rows);
		rows = count;
	}
	if (rows > (in->is_list ? REPORT_ROWS_MAX : 1) ||
	    report->cell_count + rows * in->n_columns > REPORT_CELLS_MAX)
		return error_set(err, -E2BIG, "%zu rows are too many", rows);
	table->cells = calloc(rows * in->n_columns + 1, sizeof(*table->cells));
	if (!table->cells)
		return error_set(err, -ENOMEM, "out of memory");
	table->cell_count = table->cell_capacity = rows * in->n_columns;
	report->cell_count += table->cell_count;
	return 0;
}

static bool row_is_known(const Atom__ReportColumn *in, size_t row)
{
	return in->unknown.len == 0 || !(in->unknown.data[row / 8] >> (row % 8) & 1);
}

static int decode_texts(struct report *report, const Atom__ReportColumn *in, size_t column,
			struct error *err)
{
	struct report_table *table = report_last_table(report);
	size_t step = table->column_count, rows = report_table_rows(table);
	char *text = report_arena_copy(&report->texts, (const char *)in->texts.data, in->texts.len);

	if (!text)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t row = 0; row < rows; row++) {
		struct report_cell *cell = &table->cells[row * step + column];
		size_t size = strlen(text);

		cell->known = row_is_known(in, row);
		if (cell->known) {
			cell->text.bytes = text;
			cell->text.size = (uint32_t)size;
		}
		text += size + 1;
	}
	return 0;
}

static int decode_values(struct report *report, const Atom__ReportColumn *in, size_t column,
			 struct error *err)
{
	struct report_table *table = report_last_table(report);
	size_t step = table->column_count, rows = report_table_rows(table);

	for (size_t row = 0; row < rows; row++) {
		struct report_cell *cell = &table->cells[row * step + column];

		cell->known = row_is_known(in, row);
		if (!cell->known)
			continue;
		if (in->kind != ATOM__REPORT_KIND__REAL)
			cell->number = in->numbers[row];
		else if (isfinite(in->reals[row]))
			cell->real = in->reals[row];
		else
			return error_set(err, -EBADMSG, "a number is not finite");
		if (in->kind == ATOM__REPORT_KIND__FLAG && cell->number > 1)
			return error_set(err, -EBADMSG, "a flag is neither 0 nor 1");
	}
	return 0;
}

static int decode_table(struct report *report, const Atom__ReportTable *in, struct error *err)
{
	int r = decode_head(report, in, err);

	if (r == 0)
		r = decode_rows(report, in, err);
	for (size_t i = 0; r == 0 && i < in->n_columns; i++) {
		if (in->columns[i]->kind == ATOM__REPORT_KIND__TEXT)
			r = decode_texts(report, in->columns[i], i, err);
		else
			r = decode_values(report, in->columns[i], i, err);
	}
	return r;
}

static int decode_notes(struct report *report, const Atom__Report *in, struct error *err)
{
	if (in->n_notes > REPORT_NOTES_MAX)
		return error_set(err, -E2BIG, "the report has %zu notes", in->n_notes);
	for (size_t i = 0; i < in->n_notes; i++) {
		const ProtobufCBinaryData *note = &in->notes[i];

		if (note->len == 0 || note->len > REPORT_TEXT_MAX ||
		    memchr(note->data, '\0', note->len))
			return error_set(err, -EBADMSG, "note %zu of the report is no text", i);
		if (report_add_note(report, (const char *)note->data, note->len) < 0)
			return error_set(err, -ENOMEM, "out of memory");
	}
	return 0;
}

int report_decode(const uint8_t *bytes, size_t size, struct report **ret_report, struct error *err)
{
	cleanup(free_message) Atom__Report *message = NULL;
	cleanup(report_free) struct report *report = NULL;
	int r;

	if (size > REPORT_SIZE_MAX)
		return error_set(err, -E2BIG, "a report of %zu bytes is too long", size);
	message = unpack(bytes, size);
	if (!message)
		return error_set(err, -EBADMSG, "not a report");
	if (message->n_tables > REPORT_TABLES_MAX)
		return error_set(err, -E2BIG, "the report has %zu tables", message->n_tables);
	report = report_new();
	if (!report)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < message->n_tables; i++) {
		r = decode_table(report, message->tables[i], err);
		if (r < 0)
			return error_prefix(err, r, "table %zu of the report", i);
	}
	r = decode_notes(report, message, err);
	if (r < 0)
		return r;
	*ret_report = keep(report);
	return 0;
}
