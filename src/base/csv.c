/* SPDX-License-Identifier: Apache-2.0 */
#include "base/csv.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/unpack.h"

enum { BUFFER_SIZE = 16 << 10 };

struct reader {
	struct csv *csv;
	struct unpack *unpack;
	size_t line_number, capacity;
	bool has_time;
	char *line;
	size_t line_size, line_capacity;
	size_t begin, end; /* of what is unread in the buffer */
	char buffer[BUFFER_SIZE];
};

DEFINE_CLEANUP(struct csv *, csv_free)
DEFINE_CLEANUP(struct unpack *, unpack_free)

struct csv *csv_free(struct csv *csv)
{
	if (!csv)
		return NULL;
	for (size_t i = 0; i < csv->columns; i++) {
		free(csv->names[i]);
		if (csv->values)
			free(csv->values[i]);
	}
	free(csv->names);
	free(csv->values);
	free(csv->time_usec);
	free(csv->path);
	free(csv);
	return NULL;
}

/* Has unread bytes at hand. 1: so it is, 0: the end of the file. */
static int fill_buffer(struct reader *reader, struct error *err)
{
	ssize_t n;

	if (reader->begin < reader->end)
		return 1;
	n = unpack_read(reader->unpack, reader->buffer, BUFFER_SIZE, err);
	if (n < 0)
		return (int)n;
	reader->begin = 0;
	reader->end = (size_t)n;
	return n > 0;
}

/* Adds bytes to the line; there is always room for a NUL after them. */
static int add_to_line(struct reader *reader, const char *bytes, size_t size, struct error *err)
{
	size_t capacity = reader->line_capacity ? reader->line_capacity : 1024;
	char *line;

	if (reader->line_size + size > CSV_LINE_SIZE_MAX)
		return error_set(err, -E2BIG, "%s:%zu: line is longer than %d bytes",
				 reader->csv->path, reader->line_number, CSV_LINE_SIZE_MAX);
	while (capacity < reader->line_size + size + 1)
		capacity *= 2;
	if (capacity > reader->line_capacity) {
		line = realloc(reader->line, capacity);
		if (!line)
			return error_set(err, -ENOMEM, "out of memory");
		reader->line = line;
		reader->line_capacity = capacity;
	}
	memcpy(reader->line + reader->line_size, bytes, size);
	reader->line_size += size;
	reader->line[reader->line_size] = '\0';
	return 0;
}

/* Reads one line without its end. 1: a line, 0: the end of the file. */
static int read_line(struct reader *reader, struct error *err)
{
	bool has_end = false;
	int r = fill_buffer(reader, err);

	if (r <= 0)
		return r;
	reader->line_number++;
	reader->line_size = 0;
	while (r > 0 && !has_end) {
		const char *bytes = reader->buffer + reader->begin;
		size_t size = reader->end - reader->begin;
		const char *end = memchr(bytes, '\n', size);

		has_end = end != NULL;
		if (end)
			size = (size_t)(end - bytes);
		reader->begin += size + has_end;
		r = add_to_line(reader, bytes, size, err);
		if (r == 0 && !has_end)
			r = fill_buffer(reader, err);
	}
	if (r < 0)
		return r;
	if (strlen(reader->line) != reader->line_size)
		return error_set(err, -EINVAL, "%s:%zu: NUL byte: this is not a text file",
				 reader->csv->path, reader->line_number);
	while (reader->line_size > 0 && reader->line[reader->line_size - 1] == '\r')
		reader->line[--reader->line_size] = '\0';
	return 1;
}

static char *trim(char *cell)
{
	char *end;

	while (isspace((unsigned char)*cell))
		cell++;
	end = cell + strlen(cell);
	while (end > cell && isspace((unsigned char)end[-1]))
		*--end = '\0';
	if (end - cell >= 2 && *cell == '"' && end[-1] == '"') {
		end[-1] = '\0';
		cell++;
	}
	return cell;
}

static bool is_time_name(const char *name)
{
	static const char *const names[] = {"t", "time", "timestamp", "date", "datetime"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcasecmp(name, names[i]) == 0)
			return true;
	return false;
}

static int add_column(struct reader *reader, const char *name, struct error *err)
{
	struct csv *csv = reader->csv;
	char **names;

	if (!*name)
		return error_set(err, -EINVAL, "%s:1: column %zu has no name", csv->path,
				 csv->columns + 1);
	if (csv_find(csv, name) >= 0)
		return error_set(err, -EINVAL, "%s:1: column '%s' is there twice", csv->path, name);
	if (csv->columns == CSV_COLUMNS_MAX)
		return error_set(err, -E2BIG, "%s:1: more than %d columns", csv->path,
				 CSV_COLUMNS_MAX);
	names = reallocarray(csv->names, csv->columns + 1, sizeof(*names));
	if (!names)
		return error_set(err, -ENOMEM, "out of memory");
	csv->names = names;
	names[csv->columns] = strdup(name);
	if (!names[csv->columns])
		return error_set(err, -ENOMEM, "out of memory");
	csv->columns++;
	return 0;
}

static bool is_number(const char *text)
{
	char *end;

	(void)strtod(text, &end);
	return end != text && !*end;
}

static int read_header(struct reader *reader, struct error *err)
{
	struct csv *csv = reader->csv;
	bool first = true;
	char *rest, *cell;
	int r = read_line(reader, err);

	if (r < 0)
		return r;
	if (r == 0)
		return error_set(err, -EINVAL, "%s: the file is empty", csv->path);
	rest = reader->line;
	if (strncmp(rest, "\xef\xbb\xbf", 3) == 0)
		rest += 3; /* a byte order mark */
	while ((cell = strsep(&rest, ","))) {
		cell = trim(cell);
		if (is_number(cell))
			return error_set(
				err, -EINVAL,
				"%s:1: '%s' is a number: the first line must name the columns",
				csv->path, cell);
		if (first && is_time_name(cell))
			reader->has_time = true;
		else
			r = add_column(reader, cell, err);
		if (r < 0)
			return r;
		first = false;
	}
	if (csv->columns == 0)
		return error_set(err, -EINVAL, "%s:1: no columns of values", csv->path);
	csv->values = calloc(csv->columns, sizeof(*csv->values));
	return csv->values ? 0 : error_set(err, -ENOMEM, "out of memory");
}

static int grow_rows(struct reader *reader, struct error *err)
{
	struct csv *csv = reader->csv;
	size_t capacity = reader->capacity ? 2 * reader->capacity : 1024;

	if (csv->rows == CSV_ROWS_MAX || capacity * csv->columns > CSV_CELLS_MAX)
		return error_set(err, -E2BIG, "%s:%zu: the file has too many rows", csv->path,
				 reader->line_number);
	for (size_t i = 0; i < csv->columns; i++) {
		double *values = reallocarray(csv->values[i], capacity, sizeof(*values));

		if (!values)
			return error_set(err, -ENOMEM, "out of memory");
		csv->values[i] = values;
	}
	if (reader->has_time) {
		int64_t *times = reallocarray(csv->time_usec, capacity, sizeof(*times));

		if (!times)
			return error_set(err, -ENOMEM, "out of memory");
		csv->time_usec = times;
	}
	reader->capacity = capacity;
	return 0;
}

static int parse_value(const char *text, double *ret_value)
{
	char *end;

	if (!*text || strcasecmp(text, "nan") == 0 || strcasecmp(text, "null") == 0) {
		*ret_value = NAN;
		return 0;
	}
	*ret_value = strtod(text, &end);
	return *end ? -EINVAL : 0;
}

/* A time in the text form of RFC 3339, also with a space in the middle and without the zone. */
static int parse_time(const char *text, int64_t *ret_usec)
{
	char copy[64];
	size_t length = strlen(text);

	if (length + 2 > sizeof(copy))
		return -EINVAL;
	memcpy(copy, text, length + 1);
	if (length > 10 && copy[10] == ' ')
		copy[10] = 'T';
	if (length > 10 && copy[10] == 'T' && copy[length - 1] != 'Z')
		memcpy(copy + length, "Z", 2);
	return clock_parse(copy, ret_usec);
}

static int parse_cell(struct reader *reader, size_t position, const char *cell, struct error *err)
{
	struct csv *csv = reader->csv;
	size_t column = position - reader->has_time;

	if (reader->has_time && position == 0) {
		if (parse_time(cell, &csv->time_usec[csv->rows]) == 0)
			return 0;
		return error_set(err, -EINVAL, "%s:%zu: '%.40s' is no time", csv->path,
				 reader->line_number, cell);
	}
	if (column >= csv->columns)
		return error_set(err, -EINVAL, "%s:%zu: more cells than the header's %zu",
				 csv->path, reader->line_number, csv->columns + reader->has_time);
	if (parse_value(cell, &csv->values[column][csv->rows]) == 0)
		return 0;
	return error_set(err, -EINVAL, "%s:%zu: column '%s': '%.40s' is no number", csv->path,
			 reader->line_number, csv->names[column], cell);
}

static int read_row(struct reader *reader, struct error *err)
{
	struct csv *csv = reader->csv;
	size_t position = 0;
	char *rest, *cell;
	int r = read_line(reader, err);

	if (r <= 0)
		return r;
	if (csv->rows == reader->capacity) {
		r = grow_rows(reader, err);
		if (r < 0)
			return r;
	}
	rest = reader->line;
	while ((cell = strsep(&rest, ","))) {
		r = parse_cell(reader, position++, trim(cell), err);
		if (r < 0)
			return r;
	}
	if (position != csv->columns + reader->has_time)
		return error_set(err, -EINVAL, "%s:%zu: %zu cells where the header has %zu",
				 csv->path, reader->line_number, position,
				 csv->columns + reader->has_time);
	csv->rows++;
	return 1;
}

int csv_read(const char *path, struct csv **ret_csv, struct error *err)
{
	cleanup(csv_free) struct csv *csv = calloc(1, sizeof(*csv));
	cleanup(unpack_free) struct unpack *unpack = NULL;
	struct reader reader = {.csv = csv};
	int r = unpack_open(path, CSV_FILE_SIZE_MAX, &unpack, err);

	if (r < 0)
		return r;
	if (!csv || !(csv->path = strdup(path)))
		return error_set(err, -ENOMEM, "out of memory");
	reader.unpack = unpack;
	r = read_header(&reader, err);
	if (r >= 0)
		do
			r = read_row(&reader, err);
		while (r > 0);
	free(reader.line);
	if (r < 0)
		return r;
	*ret_csv = keep(csv);
	return 0;
}

long csv_find(const struct csv *csv, const char *name)
{
	for (size_t i = 0; i < csv->columns; i++)
		if (strcmp(csv->names[i], name) == 0)
			return (long)i;
	return -1;
}
