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

enum { ROWS_SHOWN = 20, SPARKLINE_ROWS = 60 };

static const char help[] =
	"Usage: atom group [--json]\n"
	"       atom group NAME [--json]\n"
	"Groups of VMs that are watched together; with NAME the newest rows: SPE against\n"
	"its threshold Q in the window M. STATE is the verdict: T2, which is not shown, adds\n"
	"to SPE; what the longer past knows is normal above Q; what M alone has got used to\n"
	"is shifted.\n";

static enum terminal_style style_of(const char *state)
{
	if (strcmp(state, "abnormal") == 0)
		return STYLE_RED;
	return strcmp(state, "normal") == 0 ? STYLE_GREEN : STYLE_YELLOW;
}

static void add_group(struct table *table, const json_t *group)
{
	const json_t *alarm = json_object_get(group, "alarm");
	char text[NUMBER_SIZE];

	table_cell(table, "%s", json_text(group, "name"));
	table_cell(table, "%zu", json_array_size(json_object_get(group, "vms")));
	table_cell(table, "%lld", (long long)json_whole(group, "columns"));
	table_cell(table, "%lld/%lld", (long long)json_whole(group, "window_rows"),
		   (long long)json_whole(group, "window_size"));
	table_cell(table, "%s", json_text(group, "state"));
	table_cell(table, "%s", format_number(json_object_get(group, "spe"), text));
	table_cell(table, "%s", format_number(json_object_get(group, "q"), text));
	table_cell(table, "%lld", (long long)json_whole(group, "components"));
	if (json_is_integer(alarm))
		table_cell(table, "%lld", (long long)json_integer_value(alarm));
	else
		table_cell(table, "-");
}

static int list(bool json)
{
	cleanup(json_decref) json_t *body = command_get("/api/v1/groups");
	cleanup(table_free) struct table *table = table_new();
	const json_t *group;
	size_t i;

	if (!body)
		return EXIT_FAILED;
	if (json)
		return command_print_json(body);
	table_column(table, "GROUP", TABLE_LEFT);
	table_column(table, "VMS", TABLE_RIGHT);
	table_column(table, "COLUMNS", TABLE_RIGHT);
	table_column(table, "WINDOW", TABLE_RIGHT);
	table_column(table, "STATE", TABLE_LEFT);
	table_column(table, "SPE", TABLE_RIGHT);
	table_column(table, "Q", TABLE_RIGHT);
	table_column(table, "K", TABLE_RIGHT);
	table_column(table, "ALARM", TABLE_RIGHT);
	json_array_foreach(json_object_get(body, "groups"), i, group) add_group(table, group);
	table_print(table, stdout);
	return EXIT_OK;
}

/* What its maximum tracking errors come from and cost; nothing while there is no model. */
static void print_tracking(const json_t *tracking)
{
	double mu = json_number_value(json_object_get(tracking, "mu"));
	const json_t *loss = json_object_get(tracking, "power_loss");

	if (!json_is_number(loss))
		return;
	if (mu > 0)
		printf("maximum errors: mu %g %% (%s) gives %.2g std, set %lld; ", 100 * mu,
		       json_text(tracking, "budget"),
		       json_number_value(json_object_get(tracking, "delta_std")),
		       (long long)json_whole(tracking, "version"));
	else
		fputs("maximum errors: fixed; ", stdout);
	printf("they raise the residual energy by %.0f %%\n", 100 * json_number_value(loss));
}

/* SPE over Q on a logarithmic scale, so that a large alarm does not flatten the rest. */
static void print_sparkline(const json_t *rows)
{
	size_t count = json_array_size(rows), used = 0;
	size_t first = count > SPARKLINE_ROWS ? count - SPARKLINE_ROWS : 0;
	double values[SPARKLINE_ROWS];

	for (size_t i = first; i < count; i++) {
		const json_t *row = json_array_get(rows, i);
		double spe = json_number_value(json_object_get(row, "spe"));
		double q = json_number_value(json_object_get(row, "q"));

		values[used++] = spe > 0 && q > 0 ? log10(fmax(spe / q, 0.01)) : NAN;
	}
	fputs("SPE / Q (logarithmic): ", stdout);
	sparkline_print(values, used, stdout);
	(void)putchar('\n');
}

static void print_rows(const json_t *rows)
{
	cleanup(table_free) struct table *table = table_new();
	size_t count = json_array_size(rows);

	table_column(table, "TIME", TABLE_LEFT);
	table_column(table, "STATE", TABLE_LEFT);
	table_column(table, "SPE", TABLE_RIGHT);
	table_column(table, "Q", TABLE_RIGHT);
	table_column(table, "LEVEL", TABLE_RIGHT);
	for (size_t i = count > ROWS_SHOWN ? count - ROWS_SHOWN : 0; i < count; i++) {
		const json_t *row = json_array_get(rows, i);
		char text[NUMBER_SIZE];

		table_cell(table, "%s", json_text(row, "time"));
		table_cell(table, "%s", json_text(row, "state"));
		table_cell(table, "%s", format_number(json_object_get(row, "spe"), text));
		table_cell(table, "%s", format_number(json_object_get(row, "q"), text));
		table_cell(table, "%lld", (long long)json_whole(row, "level"));
	}
	table_print(table, stdout);
}

static int show(const char *name, bool json)
{
	cleanup(free) char *escaped = http_client_escape(name);
	cleanup(free) char *path = NULL;
	cleanup(json_decref) json_t *body = NULL;
	const char *state;

	if (!escaped || asprintf(&path, "/api/v1/groups/%s", escaped) < 0)
		return terminal_fail(EXIT_FAILED, "out of memory");
	body = command_get(path);
	if (!body)
		return EXIT_FAILED;
	if (json)
		return command_print_json(body);
	state = json_text(body, "state");
	terminal_say(stdout, style_of(state), 4,
		     "group %s is %s: %lld columns of %zu VMs, %lld of %lld rows in the window",
		     json_text(body, "name"), state, (long long)json_whole(body, "columns"),
		     json_array_size(json_object_get(body, "vms")),
		     (long long)json_whole(body, "window_rows"),
		     (long long)json_whole(body, "window_size"));
	print_tracking(json_object_get(body, "tracking"));
	print_sparkline(json_object_get(body, "rows"));
	print_rows(json_object_get(body, "rows"));
	return EXIT_OK;
}

int command_group(int argc, char **argv)
{
	bool json = false;
	const struct command_option options[] = {{"json", OPTION_FLAG, &json}};
	int end, count = options_parse(argc, argv, options, 1, help, &end);

	if (count < 0)
		return end;
	if (count > 1) {
		fputs(help, stderr);
		return EXIT_USAGE;
	}
	return count == 1 ? show(argv[1], json) : list(json);
}
