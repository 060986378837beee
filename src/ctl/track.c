/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/csv.h"
#include "ctl/command.h"
#include "terminal/options.h"
#include "terminal/table.h"
#include "track/compare.h"
#include "track/grid.h"
#include "track/observer.h"
#include "wire/codec.h"

DEFINE_CLEANUP(struct csv *, csv_free)
DEFINE_CLEANUP(json_t *, json_decref)
DEFINE_CLEANUP(struct table *, table_free)

static const char help[] = "Usage: atom track FILE.csv --delta D [--delta COLUMN=D]... [--json]\n"
			   "What tracking would send for each column: values sent by ATOM, by "
			   "send-on-delta, and by the\n"
			   "offline optimum, which knows the future; their bytes; and the largest "
			   "error of any sample\n"
			   "against what the tracker holds, which is never more than D. D is a "
			   "number, or a percentage\n"
			   "of the column's standard deviation (10%). The first column may be the "
			   "time (t, time, ...).\n";

struct result {
	size_t samples, sent, sent_on_delta, optimum, bytes;
	double delta, max_error;
};

/* Mean and deviation of the finite samples. */
static double deviation_of(const double *samples, size_t count)
{
	double sum = 0, squares = 0, mean;
	size_t n = 0;

	for (size_t i = 0; i < count; i++) {
		if (!isfinite(samples[i]))
			continue;
		sum += samples[i];
		n++;
	}
	if (n < 2)
		return 0;
	mean = sum / (double)n;
	for (size_t i = 0; i < count; i++)
		if (isfinite(samples[i]))
			squares += (samples[i] - mean) * (samples[i] - mean);
	return sqrt(squares / (double)(n - 1));
}

/* "2.5", "10%"; false (said) for anything else. */
static bool parse_delta(const char *text, const double *samples, size_t count, double *ret_delta)
{
	char *end;
	double value = strtod(text, &end);

	if (end != text && strcmp(end, "%") == 0)
		value *= deviation_of(samples, count) / 100;
	else if (end == text || *end)
		value = NAN;
	*ret_delta = value;
	if (isfinite(value) && value >= 0)
		return true;
	(void)terminal_fail(EXIT_USAGE, "--delta: '%.60s' is neither a number nor a percentage",
			    text);
	return false;
}

/* The delta of a column: the last one given for its name, else the last one for all. */
static const char *delta_text(const struct option_list *deltas, const char *column)
{
	size_t length = strlen(column);
	const char *general = NULL;

	for (size_t i = deltas->count; i-- > 0;) {
		const char *item = deltas->items[i], *equals = strrchr(item, '=');

		if (equals && (size_t)(equals - item) == length &&
		    strncmp(item, column, length) == 0)
			return equals + 1;
		if (!equals && !general)
			general = item;
	}
	return general;
}

/* Runs the observer, and what the tracker would hold, over the samples. */
static void run_observer(const double *samples, size_t count, struct result *result)
{
	struct observer observer;
	int64_t steps = 0;
	int exponent;
	int32_t grid = track_grid_exponent(result->delta, &exponent) ? exponent : CODEC_NO_GRID;

	observer_init(&observer, result->delta, true);
	for (size_t i = 0; i < count; i++) {
		switch (observer_offer(&observer, samples[i])) {
		case OBSERVER_SEND:
			result->sent++;
			result->bytes += codec_entry_size(grid, &steps, observer_value(&observer));
			break;
		case OBSERVER_GAP:
			result->sent++;
			result->bytes++;
			break;
		case OBSERVER_SILENT:
			break;
		}
		if (observer_held(&observer))
			result->max_error = fmax(result->max_error,
						 fabs(samples[i] - observer_value(&observer)));
	}
}

static bool measure(const struct csv *csv, size_t column, const struct option_list *deltas,
		    struct result *result)
{
	const char *text = delta_text(deltas, csv->names[column]);
	const double *samples = csv->values[column];

	*result = (struct result){.samples = csv->rows};
	if (!text) {
		(void)terminal_fail(EXIT_USAGE, "column '%s' has no --delta", csv->names[column]);
		return false;
	}
	if (!parse_delta(text, samples, csv->rows, &result->delta))
		return false;
	run_observer(samples, csv->rows, result);
	result->sent_on_delta = compare_send_on_delta(samples, csv->rows, result->delta);
	result->optimum = compare_offline_optimum(samples, csv->rows, result->delta);
	return true;
}

static double ratio(const struct result *result)
{
	return result->optimum > 0 ? (double)result->sent / (double)result->optimum : 1;
}

static json_t *describe(const char *name, const struct result *result)
{
	return json_pack("{s:s, s:f, s:I, s:I, s:I, s:I, s:f, s:I, s:f}", "column", name, "delta",
			 result->delta, "samples", (json_int_t)result->samples, "sent",
			 (json_int_t)result->sent, "sent_on_delta",
			 (json_int_t)result->sent_on_delta, "optimum", (json_int_t)result->optimum,
			 "ratio", ratio(result), "bytes", (json_int_t)result->bytes, "max_error",
			 result->max_error);
}

static void add_row(struct table *table, const char *name, const struct result *result)
{
	table_cell(table, "%s", name);
	table_cell(table, "%.5g", result->delta);
	table_cell(table, "%zu", result->samples);
	table_cell(table, "%zu", result->sent);
	table_cell(table, "%zu", result->sent_on_delta);
	table_cell(table, "%zu", result->optimum);
	table_cell(table, "%.2f", ratio(result));
	table_cell(table, "%zu", result->bytes);
	table_cell(table, "%.5g", result->max_error);
}

static struct table *new_table(void)
{
	static const char *const titles[] = {"DELTA",   "SAMPLES", "SENT",  "SEND-ON-DELTA",
					     "OPTIMUM", "RATIO",   "BYTES", "MAX ERROR"};
	struct table *table = table_new();

	table_column(table, "COLUMN", TABLE_LEFT);
	for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++)
		table_column(table, titles[i], TABLE_RIGHT);
	return table;
}

static int check_names(const struct csv *csv, const struct option_list *deltas)
{
	for (size_t i = 0; i < deltas->count; i++) {
		const char *equals = strrchr(deltas->items[i], '=');
		char name[256];

		if (!equals)
			continue;
		(void)snprintf(name, sizeof(name), "%.*s", (int)(equals - deltas->items[i]),
			       deltas->items[i]);
		if (csv_find(csv, name) < 0)
			return terminal_fail(EXIT_USAGE, "%s has no column '%s'", csv->path, name);
	}
	return EXIT_OK;
}

static int track(const struct csv *csv, const struct option_list *deltas, bool json)
{
	cleanup(table_free) struct table *table = new_table();
	cleanup(json_decref) json_t *list = json_array();
	int status = check_names(csv, deltas);

	if (status != EXIT_OK)
		return status;
	for (size_t i = 0; i < csv->columns; i++) {
		struct result result;

		if (!measure(csv, i, deltas, &result))
			return EXIT_USAGE;
		add_row(table, csv->names[i], &result);
		(void)json_array_append_new(list, describe(csv->names[i], &result));
	}
	if (json)
		return command_print_json(list);
	table_print(table, stdout);
	return EXIT_OK;
}

int command_track(int argc, char **argv)
{
	struct option_list deltas = {0};
	bool json = false;
	const struct command_option options[] = {{"delta", OPTION_LIST, &deltas},
						 {"json", OPTION_FLAG, &json}};
	cleanup(csv_free) struct csv *csv = NULL;
	struct error err = ERROR_INIT;
	int end, count = options_parse(argc, argv, options, 2, help, &end);

	if (count < 0)
		return end;
	if (count != 1 || deltas.count == 0) {
		fputs(help, stderr);
		return EXIT_USAGE;
	}
	if (csv_read(argv[1], &csv, &err) < 0)
		return terminal_fail(EXIT_FAILED, "%s", err.text);
	return track(csv, &deltas, json);
}
