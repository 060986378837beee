/* SPDX-License-Identifier: Apache-2.0 */
#include "vmi/output.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/utf8.h"
#include "terminal/table.h"

enum { SHOWN_SIZE = 4 * REPORT_TEXT_MAX + 1 };

#define TIME_USEC_MAX (UINT64_C(253402300799) * USEC_PER_SEC) /* the end of the year 9999 */
#define NSEC_PER_USEC UINT64_C(1000)
#define NSEC_PER_MSEC UINT64_C(1000000)
#define NSEC_PER_SEC UINT64_C(1000000000)

DEFINE_CLEANUP(struct table *, table_free)
DEFINE_CLEANUP(json_t *, json_decref)

static bool is_known(const struct report_cell *cell, enum report_kind kind)
{
	return cell->known && (kind != REPORT_TIME || cell->number <= TIME_USEC_MAX);
}

/* For people */

/* `shown` has SHOWN_SIZE bytes; `text` at most REPORT_TEXT_MAX. */
static void show_text(const char *text, char *shown)
{
	bool is_dash = strcmp(text, "-") == 0;

	while (*text) {
		size_t length = is_dash ? 0 : utf8_printable_length(text);

		if (length == 0) {
			(void)snprintf(shown, 5, "\\x%02x", (unsigned char)*text++);
			shown += 4;
			continue;
		}
		if (*text == '\\')
			*shown++ = '\\';
		memcpy(shown, text, length);
		shown += length;
		text += length;
	}
	*shown = '\0';
}

static void show_size(uint64_t bytes, char *shown)
{
	static const char prefixes[] = "KMGTPE";
	double scaled = (double)bytes / 1024;
	size_t prefix = 0;

	for (; scaled >= 1023.5; scaled /= 1024)
		prefix++;
	if (bytes < 1024)
		(void)snprintf(shown, SHOWN_SIZE, "%" PRIu64, bytes);
	else if (scaled < 9.95)
		(void)snprintf(shown, SHOWN_SIZE, "%.1f%c", scaled, prefixes[prefix]);
	else
		(void)snprintf(shown, SHOWN_SIZE, "%.0f%c", scaled, prefixes[prefix]);
}

static void show_short_duration(uint64_t nsec, char *shown)
{
	if (nsec < NSEC_PER_USEC)
		(void)snprintf(shown, SHOWN_SIZE, "%" PRIu64 "ns", nsec);
	else if (nsec < NSEC_PER_MSEC)
		(void)snprintf(shown, SHOWN_SIZE, "%" PRIu64 "us", nsec / NSEC_PER_USEC);
	else
		(void)snprintf(shown, SHOWN_SIZE, "%" PRIu64 ".%" PRIu64 "ms", nsec / NSEC_PER_MSEC,
			       nsec % NSEC_PER_MSEC / (NSEC_PER_MSEC / 10));
}

static void show_duration(uint64_t nsec, char *shown)
{
	uint64_t seconds = nsec / NSEC_PER_SEC, minutes = seconds / 60, hours = minutes / 60;

	if (nsec > 0 && nsec < 10 * NSEC_PER_MSEC)
		show_short_duration(nsec, shown);
	else if (hours == 0)
		(void)snprintf(shown, SHOWN_SIZE, "%" PRIu64 ":%02" PRIu64 ".%02" PRIu64, minutes,
			       seconds % 60, nsec % NSEC_PER_SEC / (NSEC_PER_SEC / 100));
	else if (hours < 24)
		(void)snprintf(shown, SHOWN_SIZE, "%" PRIu64 "h%02" PRIu64 "m", hours,
			       minutes % 60);
	else
		(void)snprintf(shown, SHOWN_SIZE, "%" PRIu64 "d%02" PRIu64 "h", hours / 24,
			       hours % 24);
}

/* "2026-11-24 10:36:41" */
static void show_time(uint64_t wall_usec, char *shown)
{
	char text[CLOCK_TEXT_SIZE];
	char *day_end = strchr(clock_format((int64_t)wall_usec, text), 'T');

	if (day_end)
		*day_end = ' ';
	(void)snprintf(shown, SHOWN_SIZE, "%.*s", (int)strcspn(text, "."), text);
}

static void show_cell(const struct report_cell *cell, enum report_kind kind, char *shown)
{
	if (!is_known(cell, kind)) {
		(void)snprintf(shown, SHOWN_SIZE, "-");
		return;
	}
	switch (kind) {
	case REPORT_TEXT:
		show_text(cell->text.bytes, shown);
		break;
	case REPORT_COUNT:
		(void)snprintf(shown, SHOWN_SIZE, "%" PRIu64, cell->number);
		break;
	case REPORT_BYTES:
		show_size(cell->number, shown);
		break;
	case REPORT_NSEC:
		show_duration(cell->number, shown);
		break;
	case REPORT_TIME:
		show_time(cell->number, shown);
		break;
	case REPORT_ADDRESS:
		(void)snprintf(shown, SHOWN_SIZE, "0x%" PRIx64, cell->number);
		break;
	case REPORT_REAL:
		(void)snprintf(shown, SHOWN_SIZE, fabs(cell->real) < 1e15 ? "%.1f" : "%.6g",
			       cell->real);
		break;
	case REPORT_FLAG:
		(void)snprintf(shown, SHOWN_SIZE, cell->number ? "yes" : "no");
		break;
	}
}

static enum table_align align_of(enum report_kind kind)
{
	return kind == REPORT_TEXT || kind == REPORT_TIME || kind == REPORT_FLAG ? TABLE_LEFT
										 : TABLE_RIGHT;
}

/* A name with a space for each '_', in upper case where that is asked for. */
static void show_name(const char *name, bool upper, char shown[REPORT_NAME_MAX + 1])
{
	size_t i = 0;

	for (; i < REPORT_NAME_MAX && name[i]; i++)
		shown[i] = (char)(name[i] == '_' ? ' '
				  : upper        ? toupper((unsigned char)name[i])
						 : name[i]);
	shown[i] = '\0';
}

static int print_list(const struct report *report, size_t number, FILE *stream)
{
	cleanup(table_free) struct table *table = table_new();
	char shown[SHOWN_SIZE], title[REPORT_NAME_MAX + 1];
	size_t count, rows = report_rows(report, number);
	const struct report_column *columns = report_columns(report, number, &count);

	if (!table)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		show_name(columns[i].name, true, title);
		table_column(table, title, align_of(columns[i].kind));
	}
	for (size_t i = 0; i < rows * count; i++) {
		show_cell(report_cell(report, number, i / count, i % count),
			  columns[i % count].kind, shown);
		table_cell(table, "%s", shown);
	}
	table_print(table, stream);
	return 0;
}

static void print_facts(const struct report *report, size_t number, FILE *stream)
{
	char shown[SHOWN_SIZE], name[REPORT_NAME_MAX + 1];
	size_t count, widest = 0;
	const struct report_column *columns = report_columns(report, number, &count);

	if (report_rows(report, number) == 0)
		return;
	for (size_t i = 0; i < count; i++)
		widest = strlen(columns[i].name) > widest ? strlen(columns[i].name) : widest;
	for (size_t i = 0; i < count; i++) {
		show_name(columns[i].name, false, name);
		show_cell(report_cell(report, number, 0, i), columns[i].kind, shown);
		(void)fprintf(stream, "%s:%*s  %s\n", name, (int)(widest - strlen(name)), "",
			      shown);
	}
}

static void print_heading(const struct report *report, size_t number, FILE *stream)
{
	char name[REPORT_NAME_MAX + 1];

	show_name(report_table_name(report, number), true, name);
	(void)fprintf(stream, "%s%s%s%s\n", number > 0 ? "\n" : "",
		      terminal_style(stream, STYLE_BOLD), name,
		      terminal_style(stream, STYLE_PLAIN));
}

static int flush(FILE *stream)
{
	return fflush(stream) < 0 || ferror(stream) ? -EIO : 0;
}

int output_table(const struct report *report, FILE *stream, FILE *notes)
{
	char shown[SHOWN_SIZE];
	int r = 0;

	for (size_t i = 0; r == 0 && i < report_table_count(report); i++) {
		if (report_table_count(report) > 1)
			print_heading(report, i, stream);
		if (report_table_is_list(report, i))
			r = print_list(report, i, stream);
		else
			print_facts(report, i, stream);
		if (report_table_is_cut(report, i))
			(void)fprintf(stream, "(cut: there is more than these %zu rows)\n",
				      report_rows(report, i));
	}
	for (size_t i = 0; i < report_note_count(report); i++) {
		show_text(report_note_at(report, i), shown);
		(void)fprintf(notes, "note: %s\n", shown);
	}
	return r < 0 ? r : flush(stream);
}

/* For programs */

/* The text with U+FFFD for what is no UTF-8. Returns owned, or NULL when memory is out. */
static json_t *json_of_bytes(const char *text)
{
	char repaired[3 * REPORT_TEXT_MAX + 1], *out = repaired;

	while (*text) {
		size_t length = utf8_length(text);

		memcpy(out, length > 0 ? text : "\xef\xbf\xbd", length > 0 ? length : 3);
		out += length > 0 ? length : 3;
		text += length > 0 ? length : 1;
	}
	return json_stringn(repaired, (size_t)(out - repaired));
}

static json_t *json_of_hex(const struct report_cell *cell)
{
	char hex[2 * REPORT_TEXT_MAX + 1];

	return json_string(hex_write(cell->text.bytes, cell->text.size, hex));
}

static json_t *json_of_number(uint64_t number)
{
	return number > INT64_MAX ? json_sprintf("%" PRIu64, number)
				  : json_integer((json_int_t)number);
}

static json_t *json_of_cell(const struct report_cell *cell, enum report_kind kind)
{
	char time[CLOCK_TEXT_SIZE];

	if (!is_known(cell, kind))
		return json_null();
	switch (kind) {
	case REPORT_TEXT:
		return json_of_bytes(cell->text.bytes);
	case REPORT_COUNT:
	case REPORT_BYTES:
	case REPORT_NSEC:
		return json_of_number(cell->number);
	case REPORT_TIME:
		return json_string(clock_format((int64_t)cell->number, time));
	case REPORT_ADDRESS:
		return json_sprintf("0x%" PRIx64, cell->number);
	case REPORT_REAL:
		return json_real(cell->real);
	case REPORT_FLAG:
		return json_boolean(cell->number);
	}
	return NULL;
}

static bool is_utf8(const char *text)
{
	size_t length = 1;

	for (; *text && length > 0; text += length)
		length = utf8_length(text);
	return length > 0;
}

static int add_cell(json_t *row, const struct report_column *column, const struct report_cell *cell)
{
	char name[REPORT_NAME_MAX + sizeof("_hex")];

	if (json_object_set_new(row, column->name, json_of_cell(cell, column->kind)) < 0)
		return -ENOMEM;
	if (column->kind != REPORT_TEXT || !cell->known || is_utf8(cell->text.bytes))
		return 0;
	(void)snprintf(name, sizeof(name), "%s_hex", column->name);
	return json_object_set_new(row, name, json_of_hex(cell)) < 0 ? -ENOMEM : 0;
}

/* Only ASCII comes out, so that nothing of the guest's moves a cursor. */
static int dump(json_t *value, FILE *stream)
{
	if (!value)
		return -ENOMEM;
	return json_dumpf(value, stream, JSON_ENCODE_ANY | JSON_ENSURE_ASCII) < 0 ? -EIO : 0;
}

static int dump_row(const struct report *report, size_t number, size_t row, FILE *stream)
{
	cleanup(json_decref) json_t *object = json_object();
	size_t count;
	const struct report_column *columns = report_columns(report, number, &count);
	int r = object ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < count; i++)
		r = add_cell(object, &columns[i], report_cell(report, number, row, i));
	return r < 0 ? r : dump(object, stream);
}

static int dump_table(const struct report *report, size_t number, FILE *stream)
{
	const char *name = report_table_name(report, number);
	bool is_list = report_table_is_list(report, number);
	size_t rows = report_rows(report, number);
	int r = 0;

	(void)fprintf(stream, "\"%s\": %s", name, is_list ? "[\n" : rows == 0 ? "null" : "");
	for (size_t row = 0; r == 0 && row < rows; row++) {
		r = dump_row(report, number, row, stream);
		if (is_list)
			(void)fputs(row + 1 < rows ? ",\n" : "\n", stream);
	}
	(void)fputs(is_list ? "],\n" : ",\n", stream);
	if (report_table_is_cut(report, number))
		(void)fprintf(stream, "\"%s_cut\": true,\n", name);
	return r;
}

static int dump_notes(const struct report *report, FILE *stream)
{
	cleanup(json_decref) json_t *notes = json_array();

	if (!notes)
		return -ENOMEM;
	for (size_t i = 0; i < report_note_count(report); i++)
		if (json_array_append_new(notes, json_of_bytes(report_note_at(report, i))) < 0)
			return -ENOMEM;
	(void)fputs("\"notes\": ", stream);
	return dump(notes, stream);
}

int output_json(const struct report *report, FILE *stream)
{
	int r = 0;

	(void)fputs("{\n", stream);
	for (size_t i = 0; r == 0 && i < report_table_count(report); i++)
		r = dump_table(report, i, stream);
	if (r == 0)
		r = dump_notes(report, stream);
	(void)fputs("\n}\n", stream);
	return r < 0 ? r : flush(stream);
}
