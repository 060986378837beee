/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/command.h"
#include "ctl/sparkline.h"
#include "http/client.h"
#include "terminal/options.h"
#include "terminal/table.h"

DEFINE_CLEANUP(json_t *, json_decref)
DEFINE_CLEANUP(struct table *, table_free)

enum { POINTS_SHOWN = 20, SPARKLINE_POINTS = 60 };

static const char help[] =
	"Usage: atom metric VM [--json]\n"
	"       atom metric VM METRIC [--at TIME | --from TIME --to TIME] [--json]\n"
	"Values of a VM as atomd knows them, with the maximum error in force, and how many values "
	"were\n"
	"sent. With METRIC the history: each value holds from its time to the next one's. TIME is\n"
	"2026-11-24T10:36:41Z, seconds since 1970, or now.\n";

static void add_series(struct table *table, const char *name, const json_t *series)
{
	int64_t samples = json_whole(series, "samples"),
		sent = json_whole(series, "values_received");
	char value[NUMBER_SIZE], delta[NUMBER_SIZE], since[NUMBER_SIZE];

	table_cell(table, "%s", name);
	table_cell(table, "%s", format_number(json_object_get(series, "value"), value));
	table_cell(table, "±%s", format_number(json_object_get(series, "delta"), delta));
	table_cell(table, "%s", json_text(series, "unit"));
	table_cell(table, "%s", json_text(series, "state"));
	table_cell(table, "%s", format_time(json_text(series, "since"), since));
	table_cell(table, "%lld", (long long)samples);
	table_cell(table, "%lld", (long long)sent);
	if (samples > 0)
		table_cell(table, "%.1f %%", 100.0 - 100.0 * (double)sent / (double)samples);
	else
		table_cell(table, "-");
}

static int show_all(const char *vm_path, bool json)
{
	cleanup(json_decref) json_t *vm = command_get(vm_path);
	cleanup(table_free) struct table *table = table_new();
	const char *name;
	json_t *series;

	if (!vm)
		return EXIT_FAILED;
	if (json)
		return command_print_json(json_object_get(vm, "series"));
	table_column(table, "METRIC", TABLE_LEFT);
	table_column(table, "VALUE", TABLE_RIGHT);
	table_column(table, "ERROR", TABLE_RIGHT);
	table_column(table, "UNIT", TABLE_LEFT);
	table_column(table, "STATE", TABLE_LEFT);
	table_column(table, "SINCE", TABLE_LEFT);
	table_column(table, "SAMPLES", TABLE_RIGHT);
	table_column(table, "SENT", TABLE_RIGHT);
	table_column(table, "SAVED", TABLE_RIGHT);
	json_object_foreach(json_object_get(vm, "series"), name, series)
		add_series(table, name, series);
	table_print(table, stdout);
	return EXIT_OK;
}

static void print_sparkline(const json_t *points)
{
	size_t count = json_array_size(points), first = 0, used = 0;
	double values[SPARKLINE_POINTS];

	if (count > SPARKLINE_POINTS)
		first = count - SPARKLINE_POINTS;
	for (size_t i = first; i < count; i++) {
		const json_t *point = json_array_get(points, i);
		bool good = strcmp(json_text(point, "state"), "good") == 0;

		values[used++] = good ? json_number_value(json_object_get(point, "value")) : NAN;
	}
	sparkline_print(values, used, stdout);
	(void)putchar('\n');
}

static void print_points(const json_t *points)
{
	cleanup(table_free) struct table *table = table_new();
	size_t count = json_array_size(points);
	size_t first = count > POINTS_SHOWN ? count - POINTS_SHOWN : 0;

	if (first > 0)
		printf("... %zu earlier values (--json shows all)\n", first);
	table_column(table, "FROM", TABLE_LEFT);
	table_column(table, "VALUE", TABLE_RIGHT);
	table_column(table, "ERROR", TABLE_RIGHT);
	table_column(table, "STATE", TABLE_LEFT);
	for (size_t i = first; i < count; i++) {
		const json_t *point = json_array_get(points, i);
		char text[NUMBER_SIZE];

		table_cell(table, "%s", json_text(point, "time"));
		table_cell(table, "%s", format_number(json_object_get(point, "value"), text));
		table_cell(table, "±%s", format_number(json_object_get(point, "delta"), text));
		table_cell(table, "%s", json_text(point, "state"));
	}
	table_print(table, stdout);
}

static int show_history(const char *path, bool json)
{
	cleanup(json_decref) json_t *body = command_get(path);
	const json_t *points = json_object_get(body, "points");

	if (!body)
		return EXIT_FAILED;
	if (json)
		return command_print_json(body);
	terminal_say(stdout, STYLE_PLAIN, 4,
		     "%s %s (%s): %lld of %lld samples were sent; known up to %s",
		     json_text(body, "name"), json_text(body, "metric"), json_text(body, "unit"),
		     (long long)json_whole(body, "values_received"),
		     (long long)json_whole(body, "samples"), json_text(body, "watermark"));
	print_sparkline(points);
	print_points(points);
	return EXIT_OK;
}

/* "&name=value" at the end of a path. */
static void add_argument(FILE *stream, const char *name, const char *value)
{
	cleanup(free) char *escaped = value ? http_client_escape(value) : NULL;

	if (escaped)
		(void)fprintf(stream, "&%s=%s", name, escaped);
}

static char *history_path(const char *vm, const char *metric, const char *at, const char *from,
			  const char *to)
{
	cleanup(free) char *vm_part = http_client_escape(vm);
	cleanup(free) char *metric_part = http_client_escape(metric);
	char *path = NULL;
	size_t size;
	FILE *stream = open_memstream(&path, &size);

	if (!stream || !vm_part || !metric_part)
		return NULL;
	(void)fprintf(stream, "/api/v1/vms/%s/metrics/%s?", vm_part, metric_part);
	add_argument(stream, "at", at);
	add_argument(stream, "from", from);
	add_argument(stream, "to", to);
	return fclose(stream) == 0 ? path : NULL;
}

int command_metric(int argc, char **argv)
{
	const char *at = NULL, *from = NULL, *to = NULL;
	bool json = false;
	const struct command_option options[] = {{"json", OPTION_FLAG, &json},
						 {"at", OPTION_VALUE, &at},
						 {"from", OPTION_VALUE, &from},
						 {"to", OPTION_VALUE, &to}};
	cleanup(free) char *path = NULL;
	int end, count = options_parse(argc, argv, options, 4, help, &end);

	if (count < 0)
		return end;
	if (count != 1 && count != 2) {
		fputs(help, stderr);
		return EXIT_USAGE;
	}
	if (count == 2) {
		path = history_path(argv[1], argv[2], at, from, to);
		return path ? show_history(path, json)
			    : terminal_fail(EXIT_FAILED, "out of memory");
	} else {
		cleanup(free) char *escaped = http_client_escape(argv[1]);

		if (!escaped || asprintf(&path, "/api/v1/vms/%s", escaped) < 0)
			return terminal_fail(EXIT_FAILED, "out of memory");
		return show_all(path, json);
	}
}
