/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/csv.h"
#include "ctl/command.h"
#include "ctl/detect_run.h"
#include "metric/metric.h"
#include "terminal/options.h"
#include "terminal/table.h"

DEFINE_CLEANUP(json_t *, json_decref)
DEFINE_CLEANUP(struct table *, table_free)
DEFINE_CLEANUP(struct monitor *, monitor_free)

static const char help[] =
	"Usage: atom detect FILE... [--report-from N] [--label COLUMN] [--window ROWS] [--alpha "
	"A]\n"
	"                   [--preset calibrated|paper] [--min-rows N] [--onset N] [--clear N]\n"
	"                   [--unlock N] [--ignore COLUMN]... [--floor COLUMN=X]... [--json]\n"
	"Runs the monitor over CSV files (also .xz, .gz), each column a series: which rows are\n"
	"abnormal, which columns are behind it, and why. Several files are one after the other;\n"
	"those before number N only teach. --label names the column of the truth (0: normal), "
	"which\n"
	"is left out and compared at the end. --ignore leaves a column out; --floor gives the "
	"least\n"
	"standard deviation that means anything for a column. Defaults: window 720, alpha 0.002,\n"
	"calibrated, the others as in atomd. The first column may be the time (t, time, ...).\n";

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

struct arguments {
	const char *window, *alpha, *preset, *min_rows, *onset, *clear, *unlock, *label,
		*report_from;
	struct option_list ignored, floors;
	bool json;
};

static bool is_left_out(const struct arguments *arguments, const char *name)
{
	return is_listed(&arguments->ignored, name) ||
	       (arguments->label && strcmp(arguments->label, name) == 0);
}

/* The columns of the first file that are not left out are the monitor's. */
static int add_columns(struct detect_run *run, const struct csv *csv,
		       const struct arguments *arguments)
{
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < csv->columns; i++) {
		double floor;

		if (is_left_out(arguments, csv->names[i]))
			continue;
		if (!floor_of(&arguments->floors, csv->names[i], &floor))
			return EXIT_USAGE;
		if (monitor_add_column(run->monitor, floor, &err) < 0)
			return terminal_fail(EXIT_FAILED, "%s", err.text);
		run->names[run->count++] = csv->names[i];
	}
	return run->count > 0 ? EXIT_OK : terminal_fail(EXIT_USAGE, "every column is left out");
}

/* Finds the monitor's columns in a file, which must have these and no others. */
static int match_columns(const struct detect_run *run, const struct arguments *arguments,
			 const struct detect_file *first, struct detect_file *file)
{
	const struct csv *csv = file->csv;

	for (size_t i = 0; i < run->count; i++) {
		long column = csv_find(csv, run->names[i]);

		if (column < 0)
			return terminal_fail(EXIT_FAILED, "%s has no column '%.100s'", csv->path,
					     run->names[i]);
		file->columns[i] = (size_t)column;
	}
	for (size_t i = 0; i < csv->columns; i++)
		if (!is_left_out(arguments, csv->names[i]) &&
		    csv_find(first->csv, csv->names[i]) < 0)
			return terminal_fail(EXIT_FAILED, "%s has no column '%.100s' of %s",
					     first->csv->path, csv->names[i], csv->path);
	file->label = run->label ? csv_find(csv, run->label) : -1;
	if (run->label && file->is_reported && file->label < 0)
		return terminal_fail(EXIT_USAGE, "%s has no column '%.100s'", csv->path,
				     run->label);
	return EXIT_OK;
}

/* What is to be left out must be somewhere: a slip of the pen would go unnoticed. */
static int check_ignored(const struct option_list *ignored, const struct detect_file *files,
			 size_t count)
{
	for (size_t i = 0; i < ignored->count; i++) {
		bool is_there = false;

		for (size_t j = 0; j < count; j++)
			is_there |= csv_find(files[j].csv, ignored->items[i]) >= 0;
		if (!is_there)
			return terminal_fail(EXIT_USAGE, "%s has no column '%.100s'",
					     files[0].csv->path, ignored->items[i]);
	}
	return EXIT_OK;
}

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
	size_t window = 720;

	if (arguments->preset && strcmp(arguments->preset, "calibrated") != 0 &&
	    strcmp(arguments->preset, "paper") != 0) {
		(void)terminal_fail(EXIT_USAGE, "--preset must be calibrated or paper");
		return false;
	}
	monitor_options_preset(options, arguments->preset && *arguments->preset == 'p'
						? MONITOR_PAPER
						: MONITOR_CALIBRATED);
	if (!take_rows("window", arguments->window, 2, &window))
		return false;
	monitor_options_scale(options, window);
	if (arguments->alpha && !options_real("alpha", arguments->alpha, &options->alpha))
		return false;
	return take_rows("min-rows", arguments->min_rows, 2, &options->min_rows) &&
	       take_rows("onset", arguments->onset, 1, &options->onset_rows) &&
	       take_rows("clear", arguments->clear, 1, &options->clear_rows) &&
	       take_rows("unlock", arguments->unlock, 1, &options->unlock_rows);
}

/* Output for people */

/* Why the first row was one: T2 adds to SPE, and what M has followed is under Q. */
static void print_figures(const json_t *alarm)
{
	double spe = json_number_value(json_object_get(alarm, "spe"));
	double q = json_number_value(json_object_get(alarm, "q"));

	if (json_is_true(json_object_get(alarm, "drift")))
		printf("; a slow drift that M has followed, SPE %.4g, Q %.4g\n", spe, q);
	else if (spe > q)
		printf("; SPE %.4g > Q %.4g\n", spe, q);
	else
		printf("; over the limit with T2, SPE %.4g, Q %.4g\n", spe, q);
}

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
	if (json_array_size(columns) == 0)
		printf("no single column stands out");
	print_figures(alarm);
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

static void print_share(const char *what, double share)
{
	if (isfinite(share))
		printf(", %s %.3f", what, share);
	else
		printf(", %s -", what);
}

static void print_counts(const struct detect_run *run)
{
	const struct counts *counts = &run->counts;

	printf("\nby %s: %zu rows abnormal and found, %zu missed, %zu false alarms", run->label,
	       counts->true_positive, counts->false_negative, counts->false_positive);
	print_share("precision", counts_precision(counts));
	print_share("recall", counts_recall(counts));
	print_share("F1", counts_f1(counts));
	print_share("false-alarm rate", counts_false_alarm_rate(counts));
	printf("\n");
}

static void print_run(const struct detect_run *run)
{
	const json_t *alarm;
	size_t i;

	printf("%zu rows of %zu columns: %zu abnormal, %zu alarms\n", run->reported, run->count,
	       run->abnormal, json_array_size(run->alarms));
	json_array_foreach(run->alarms, i, alarm) print_alarm(alarm);
	if (run->label)
		print_counts(run);
}

static int offer_rows(struct detect_run *run, const struct detect_file *file)
{
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < file->csv->rows; i++)
		if (detect_run_offer(run, file, i, &err) < 0)
			return terminal_fail(EXIT_FAILED, "%s: row %zu: %s", file->csv->path, i,
					     err.text);
	return EXIT_OK;
}

static int go_through(struct detect_run *run, const struct arguments *arguments,
		      struct detect_file *files, size_t count)
{
	cleanup(json_decref) json_t *body = NULL;
	int status = check_ignored(&arguments->ignored, files, count);

	if (status == EXIT_OK)
		status = add_columns(run, files[0].csv, arguments);
	for (size_t i = 0; status == EXIT_OK && i < count; i++)
		status = match_columns(run, arguments, files, &files[i]);
	for (size_t i = 0; status == EXIT_OK && i < count; i++)
		status = offer_rows(run, &files[i]);
	if (status != EXIT_OK)
		return status;
	if (!arguments->json) {
		print_run(run);
		return EXIT_OK;
	}
	body = detect_run_describe(run);
	return command_print_json(body);
}

static int detect(struct detect_file *files, size_t count, const struct arguments *arguments)
{
	size_t columns = files[0].csv->columns;
	cleanup(monitor_free) struct monitor *monitor = NULL;
	cleanup(json_decref) json_t *rows = json_array();
	cleanup(json_decref) json_t *alarms = json_array();
	cleanup(free) char **names = calloc(columns, sizeof(*names));
	cleanup(free) double *row = calloc(columns, sizeof(*row));
	cleanup(free) struct contribution *contributions = calloc(columns, sizeof(*contributions));
	struct monitor_options options;
	struct error err = ERROR_INIT;
	struct detect_run run = {.names = names,
				 .row = row,
				 .rows = rows,
				 .alarms = alarms,
				 .label = arguments->label,
				 .contributions = contributions};

	if (!fill_options(arguments, &options))
		return EXIT_USAGE;
	if (!names || !row || !contributions)
		return terminal_fail(EXIT_FAILED, "out of memory");
	if (monitor_new(&options, &monitor, &err) < 0)
		return terminal_fail(EXIT_USAGE, "%s", err.text);
	run.monitor = monitor;
	return go_through(&run, arguments, files, count);
}

static int read_files(struct detect_file *files, char **paths, size_t count, size_t report_from)
{
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < count; i++) {
		if (csv_read(paths[i], &files[i].csv, &err) < 0)
			return terminal_fail(EXIT_FAILED, "%s", err.text);
		files[i].columns = calloc(files[0].csv->columns, sizeof(*files[i].columns));
		if (!files[i].columns)
			return terminal_fail(EXIT_FAILED, "out of memory");
		files[i].is_reported = i + 1 >= report_from;
	}
	return EXIT_OK;
}

static int detect_in(char **paths, size_t count, const struct arguments *arguments)
{
	cleanup(free) struct detect_file *files = calloc(count, sizeof(*files));
	unsigned long report_from = 1;
	int status;

	if (arguments->report_from &&
	    !options_number("report-from", arguments->report_from, 1, count, &report_from))
		return EXIT_USAGE;
	if (!files)
		return terminal_fail(EXIT_FAILED, "out of memory");
	status = read_files(files, paths, count, report_from);
	if (status == EXIT_OK)
		status = detect(files, count, arguments);
	for (size_t i = 0; i < count; i++) {
		csv_free(files[i].csv);
		free(files[i].columns);
	}
	return status;
}

int command_detect(int argc, char **argv)
{
	struct arguments arguments = {0};
	const struct command_option options[] = {
		{"report-from", OPTION_VALUE, &arguments.report_from},
		{"label", OPTION_VALUE, &arguments.label},
		{"window", OPTION_VALUE, &arguments.window},
		{"alpha", OPTION_VALUE, &arguments.alpha},
		{"preset", OPTION_VALUE, &arguments.preset},
		{"min-rows", OPTION_VALUE, &arguments.min_rows},
		{"onset", OPTION_VALUE, &arguments.onset},
		{"clear", OPTION_VALUE, &arguments.clear},
		{"unlock", OPTION_VALUE, &arguments.unlock},
		{"ignore", OPTION_LIST, &arguments.ignored},
		{"floor", OPTION_LIST, &arguments.floors},
		{"json", OPTION_FLAG, &arguments.json},
	};
	int end, count = options_parse(argc, argv, options, sizeof(options) / sizeof(options[0]),
				       help, &end);

	if (count < 0)
		return end;
	if (count < 1) {
		fputs(help, stderr);
		return EXIT_USAGE;
	}
	return detect_in(argv + 1, (size_t)count, &arguments);
}
