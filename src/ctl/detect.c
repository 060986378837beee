/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/csv.h"
#include "ctl/command.h"
#include "detect/monitor.h"
#include "metric/metric.h"
#include "terminal/options.h"
#include "terminal/table.h"

DEFINE_CLEANUP(struct csv *, csv_free)
DEFINE_CLEANUP(json_t *, json_decref)
DEFINE_CLEANUP(struct table *, table_free)
DEFINE_CLEANUP(struct monitor *, monitor_free)

static const char help[] =
	"Usage: atom detect FILE.csv [--window ROWS] [--alpha A] [--threshold hbe|paper]\n"
	"                   [--min-rows N] [--onset N] [--clear N] [--unlock N]\n"
	"                   [--ignore COLUMN]... [--floor COLUMN=X]... [--json]\n"
	"Runs the monitor over a file, each column a series: which rows are abnormal, which "
	"columns are\n"
	"behind it, and why. --ignore leaves a column out (labels, say); --floor gives the least "
	"standard\n"
	"deviation that means anything for a column. Defaults: window 720, alpha 0.002, hbe, the\n"
	"others as in atomd. The first column may be the time (t, time, ...).\n";

/* One run over one file. */
struct run {
	const struct csv *csv;
	struct monitor *monitor;
	size_t *columns; /* of the monitor -> of the file */
	size_t count;
	double *row;
	struct contribution *contributions;
	json_t *rows, *alarms;
	size_t abnormal;
};

static json_t *number(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

static json_t *time_of(const struct run *run, size_t row)
{
	char text[CLOCK_TEXT_SIZE];

	if (!run->csv->time_usec)
		return json_null();
	return json_string(clock_format(run->csv->time_usec[row], text));
}

static const char *state_name(enum row_state state)
{
	switch (state) {
	case ROW_LEARNING:
		return "learning";
	case ROW_NORMAL:
		return "normal";
	case ROW_ABNORMAL:
		return "abnormal";
	case ROW_SHIFTED:
		return "shifted";
	case ROW_EMPTY:
		break;
	}
	return "empty";
}

static bool is_abnormal(enum row_state state)
{
	return state == ROW_ABNORMAL || state == ROW_SHIFTED;
}

static json_t *describe_column(const struct run *run, const struct contribution *contribution)
{
	const char *name = run->csv->names[run->columns[contribution->column]];
	bool up = contribution->mean_abnormal > contribution->mean_normal;

	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:b}", "column", name, "direction",
			 up ? "up" : "down", "rd", number(contribution->rd), "stddev",
			 number(contribution->stddev), "meandiff", number(contribution->meandiff),
			 "mean_normal", number(contribution->mean_normal), "mean_abnormal",
			 number(contribution->mean_abnormal), "from_zero", contribution->from_zero);
}

/* The abnormal columns of the episode under way. */
static json_t *describe_columns(struct run *run)
{
	int count = monitor_identify(run->monitor, run->contributions);
	json_t *list = json_array();

	for (int i = 0; i < count && run->contributions[i].abnormal; i++)
		(void)json_array_append_new(list, describe_column(run, &run->contributions[i]));
	return list;
}

/* The newest alarm follows its episode. */
static void follow_alarm(struct run *run, size_t row, const struct row_verdict *verdict)
{
	json_t *alarm;

	if (verdict->event == EPISODE_NONE)
		return;
	if (verdict->event == EPISODE_OPENED)
		(void)json_array_append_new(
			run->alarms, json_pack("{s:I, s:o, s:n, s:f, s:f, s:f, s:s}", "first_row",
					       (json_int_t)row, "time", time_of(run, row),
					       "last_row", "spe", verdict->spe, "q", verdict->q,
					       "spe_peak", verdict->spe, "state", "open"));
	alarm = json_array_get(run->alarms, json_array_size(run->alarms) - 1);
	(void)json_object_set_new(alarm, "level", json_integer((json_int_t)verdict->level));
	(void)json_object_set_new(alarm, "columns", describe_columns(run));
	if (verdict->spe > json_number_value(json_object_get(alarm, "spe_peak")))
		(void)json_object_set_new(alarm, "spe_peak", number(verdict->spe));
	if (verdict->event == EPISODE_SHIFTED)
		(void)json_object_set_new(alarm, "state", json_string("shifted"));
	if (verdict->event != EPISODE_CLOSED)
		return;
	(void)json_object_set_new(alarm, "last_row", json_integer((json_int_t)row));
	if (strcmp(json_text(alarm, "state"), "shifted") != 0)
		(void)json_object_set_new(alarm, "state", json_string("cleared"));
}

static int offer_row(struct run *run, size_t row, struct error *err)
{
	struct row_verdict verdict;
	int r;

	for (size_t i = 0; i < run->count; i++) {
		double value = run->csv->values[run->columns[i]][row];

		run->row[i] = isfinite(value) ? value : NAN;
	}
	r = monitor_offer(run->monitor, run->row, &verdict, err);
	if (r < 0)
		return r;
	run->abnormal += is_abnormal(verdict.state);
	(void)json_array_append_new(
		run->rows, json_pack("{s:I, s:o, s:o, s:o, s:b, s:s}", "row", (json_int_t)row,
				     "time", time_of(run, row), "spe", number(verdict.spe), "q",
				     number(verdict.q), "abnormal", is_abnormal(verdict.state),
				     "state", state_name(verdict.state)));
	follow_alarm(run, row, &verdict);
	return 0;
}

/* Setting up */

static bool is_listed(const struct option_list *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i], name) == 0)
			return true;
	return false;
}

/* The resolution of the metric that a column "VM.Metric" holds, 0 for others. */
static double resolution_of(const char *name)
{
	const char *dot = strrchr(name, '.');
	enum metric metric;

	return dot && metric_parse(dot + 1, &metric) == 0 ? metric_info(metric)->resolution : 0;
}

static bool floor_of(const struct option_list *floors, const char *name, double *ret_floor)
{
	size_t length = strlen(name);

	*ret_floor = resolution_of(name);
	for (size_t i = 0; i < floors->count; i++) {
		const char *equals = strrchr(floors->items[i], '=');

		if (!equals || (size_t)(equals - floors->items[i]) != length ||
		    strncmp(floors->items[i], name, length) != 0)
			continue;
		if (!options_real("floor", equals + 1, ret_floor) || *ret_floor < 0)
			return false;
	}
	return true;
}

static int add_columns(struct run *run, const struct option_list *ignored,
		       const struct option_list *floors)
{
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < ignored->count; i++)
		if (csv_find(run->csv, ignored->items[i]) < 0)
			return terminal_fail(EXIT_USAGE, "%s has no column '%.100s'",
					     run->csv->path, ignored->items[i]);
	for (size_t i = 0; i < run->csv->columns; i++) {
		double floor;

		if (is_listed(ignored, run->csv->names[i]))
			continue;
		if (!floor_of(floors, run->csv->names[i], &floor))
			return EXIT_USAGE;
		if (monitor_add_column(run->monitor, floor, &err) < 0)
			return terminal_fail(EXIT_FAILED, "%s", err.text);
		run->columns[run->count++] = i;
	}
	return run->count > 0 ? EXIT_OK : terminal_fail(EXIT_USAGE, "every column is ignored");
}

struct arguments {
	const char *window, *alpha, *threshold, *min_rows, *onset, *clear, *unlock;
	struct option_list ignored, floors;
	bool json;
};

static bool take_rows(const char *name, const char *text, unsigned long least, size_t *value)
{
	unsigned long rows;

	if (!text)
		return true;
	if (!options_number(name, text, least, 100000, &rows))
		return false;
	*value = rows;
	return true;
}

static bool fill_options(const struct arguments *arguments, struct monitor_options *options)
{
	monitor_options_default(options);
	if (arguments->alpha && !options_real("alpha", arguments->alpha, &options->alpha))
		return false;
	if (arguments->threshold && strcmp(arguments->threshold, "paper") == 0)
		options->threshold = THRESHOLD_JACKSON_MUDHOLKAR;
	else if (arguments->threshold && strcmp(arguments->threshold, "hbe") != 0) {
		(void)terminal_fail(EXIT_USAGE, "--threshold must be hbe or paper");
		return false;
	}
	return take_rows("window", arguments->window, 2, &options->window_rows) &&
	       take_rows("min-rows", arguments->min_rows, 2, &options->min_rows) &&
	       take_rows("onset", arguments->onset, 1, &options->onset_rows) &&
	       take_rows("clear", arguments->clear, 1, &options->clear_rows) &&
	       take_rows("unlock", arguments->unlock, 1, &options->unlock_rows);
}

/* Output for people */

static void print_alarm(const json_t *alarm)
{
	cleanup(table_free) struct table *table = table_new();
	const json_t *columns = json_object_get(alarm, "columns"), *column;
	char text[NUMBER_SIZE];
	size_t i;

	printf("\n%sALARM%s at row %lld%s%s: ", terminal_style(stdout, STYLE_RED),
	       terminal_style(stdout, STYLE_PLAIN), (long long)json_whole(alarm, "first_row"),
	       *json_text(alarm, "time") ? ", " : "", json_text(alarm, "time"));
	json_array_foreach(columns, i, column)
		printf("%s%s %s", i ? ", " : "", json_text(column, "column"),
		       json_text(column, "direction"));
	printf("%s; SPE %.4g > Q %.4g\n",
	       json_array_size(columns) ? "" : "no single column stands out",
	       json_number_value(json_object_get(alarm, "spe")),
	       json_number_value(json_object_get(alarm, "q")));
	printf("level %lld, %s, peak SPE %.4g\n", (long long)json_whole(alarm, "level"),
	       json_text(alarm, "state"), json_number_value(json_object_get(alarm, "spe_peak")));
	table_column(table, "COLUMN", TABLE_LEFT);
	table_column(table, "GOES", TABLE_LEFT);
	table_column(table, "RD", TABLE_RIGHT);
	table_column(table, "STDDEV", TABLE_RIGHT);
	table_column(table, "NORMAL", TABLE_RIGHT);
	table_column(table, "NOW", TABLE_RIGHT);
	json_array_foreach(columns, i, column)
	{
		const json_t *rd = json_object_get(column, "rd");

		table_cell(table, "%s", json_text(column, "column"));
		table_cell(table, "%s", json_text(column, "direction"));
		table_cell(table, "%s", json_is_null(rd) ? "inf" : format_number(rd, text));
		table_cell(table, "%.1f", json_number_value(json_object_get(column, "stddev")));
		table_cell(table, "%s",
			   format_number(json_object_get(column, "mean_normal"), text));
		table_cell(table, "%s",
			   format_number(json_object_get(column, "mean_abnormal"), text));
	}
	if (json_array_size(columns) > 0)
		table_print(table, stdout);
}

static void print_run(const struct run *run)
{
	const json_t *alarm;
	size_t i;

	printf("%zu rows of %zu columns: %zu abnormal, %zu alarms\n", run->csv->rows, run->count,
	       run->abnormal, json_array_size(run->alarms));
	json_array_foreach(run->alarms, i, alarm) print_alarm(alarm);
}

static json_t *describe_run(const struct run *run)
{
	json_t *columns = json_array();

	for (size_t i = 0; i < run->count; i++)
		(void)json_array_append_new(columns, json_string(run->csv->names[run->columns[i]]));
	return json_pack("{s:o, s:O, s:O}", "columns", columns, "rows", run->rows, "alarms",
			 run->alarms);
}

static int go_through(struct run *run, const struct arguments *arguments)
{
	cleanup(json_decref) json_t *body = NULL;
	struct error err = ERROR_INIT;
	int status = add_columns(run, &arguments->ignored, &arguments->floors);

	for (size_t i = 0; status == EXIT_OK && i < run->csv->rows; i++)
		if (offer_row(run, i, &err) < 0)
			status = terminal_fail(EXIT_FAILED, "row %zu: %s", i, err.text);
	if (status != EXIT_OK)
		return status;
	if (!arguments->json) {
		print_run(run);
		return EXIT_OK;
	}
	body = describe_run(run);
	return command_print_json(body);
}

static int detect(const struct csv *csv, const struct arguments *arguments)
{
	cleanup(monitor_free) struct monitor *monitor = NULL;
	cleanup(json_decref) json_t *rows = json_array();
	cleanup(json_decref) json_t *alarms = json_array();
	cleanup(free) size_t *columns = calloc(csv->columns, sizeof(*columns));
	cleanup(free) double *row = calloc(csv->columns, sizeof(*row));
	cleanup(free) struct contribution *contributions =
		calloc(csv->columns, sizeof(*contributions));
	struct monitor_options options;
	struct error err = ERROR_INIT;
	struct run run = {.csv = csv,
			  .columns = columns,
			  .row = row,
			  .rows = rows,
			  .alarms = alarms,
			  .contributions = contributions};

	if (!fill_options(arguments, &options))
		return EXIT_USAGE;
	if (!columns || !row || !contributions)
		return terminal_fail(EXIT_FAILED, "out of memory");
	if (monitor_new(&options, &monitor, &err) < 0)
		return terminal_fail(EXIT_USAGE, "%s", err.text);
	run.monitor = monitor;
	return go_through(&run, arguments);
}

int command_detect(int argc, char **argv)
{
	struct arguments arguments = {0};
	const struct command_option options[] = {
		{"window", OPTION_VALUE, &arguments.window},
		{"alpha", OPTION_VALUE, &arguments.alpha},
		{"threshold", OPTION_VALUE, &arguments.threshold},
		{"min-rows", OPTION_VALUE, &arguments.min_rows},
		{"onset", OPTION_VALUE, &arguments.onset},
		{"clear", OPTION_VALUE, &arguments.clear},
		{"unlock", OPTION_VALUE, &arguments.unlock},
		{"ignore", OPTION_LIST, &arguments.ignored},
		{"floor", OPTION_LIST, &arguments.floors},
		{"json", OPTION_FLAG, &arguments.json},
	};
	cleanup(csv_free) struct csv *csv = NULL;
	struct error err = ERROR_INIT;
	int end, count = options_parse(argc, argv, options, sizeof(options) / sizeof(options[0]),
				       help, &end);

	if (count < 0)
		return end;
	if (count != 1) {
		fputs(help, stderr);
		return EXIT_USAGE;
	}
	if (csv_read(argv[1], &csv, &err) < 0)
		return terminal_fail(EXIT_FAILED, "%s", err.text);
	return detect(csv, &arguments);
}
