/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/command.h"
#include "http/client.h"
#include "terminal/options.h"
#include "terminal/table.h"

DEFINE_CLEANUP(json_t *, json_decref)
DEFINE_CLEANUP(struct table *, table_free)

enum { OTHERS_SHOWN = 5, SUSPECTS_SHOWN = 5 };

static const char help[] =
	"Usage: atom alarm list [--open] [--json]\n"
	"       atom alarm show NUMBER [--json]\n"
	"Alarms, newest first, or one with its evidence and history. LEVEL is the number of\n"
	"abnormal rows; RD the growth of a column's residual energy, STDDEV how many standard\n"
	"deviations it is off, CHANGE the relative change of its mean.\n";

static int list(bool only_open, bool json)
{
	cleanup(json_decref) json_t *body =
		command_get(only_open ? "/api/v1/alarms?state=open" : "/api/v1/alarms");
	cleanup(table_free) struct table *table = table_new();
	const json_t *alarm, *alarms = json_object_get(body, "alarms");
	char text[NUMBER_SIZE];
	size_t i;

	if (!body)
		return EXIT_FAILED;
	if (json)
		return command_print_json(body);
	if (json_array_size(alarms) == 0) {
		puts(only_open ? "no alarm is open" : "there have been no alarms");
		return EXIT_OK;
	}
	table_column(table, "ALARM", TABLE_RIGHT);
	table_column(table, "STATE", TABLE_LEFT);
	table_column(table, "OPENED", TABLE_LEFT);
	table_column(table, "CLOSED", TABLE_LEFT);
	table_column(table, "LEVEL", TABLE_RIGHT);
	table_column(table, "GROUP", TABLE_LEFT);
	table_column(table, "SUMMARY", TABLE_LEFT);
	json_array_foreach(alarms, i, alarm)
	{
		table_cell(table, "%lld", (long long)json_whole(alarm, "id"));
		table_cell(table, "%s", json_text(alarm, "state"));
		table_cell(table, "%s", format_time(json_text(alarm, "opened"), text));
		table_cell(table, "%s", format_time(json_text(alarm, "closed"), text));
		table_cell(table, "%lld", (long long)json_whole(alarm, "level"));
		table_cell(table, "%s", json_text(alarm, "group"));
		table_cell(table, "%s", json_text(alarm, "summary"));
	}
	table_print(table, stdout);
	return EXIT_OK;
}

static void add_change(struct table *table, const json_t *column)
{
	const json_t *meandiff = json_object_get(column, "meandiff");

	if (json_is_number(meandiff))
		table_cell(table, "%+.0f %%", 100 * json_number_value(meandiff));
	else
		table_cell(table, "%s",
			   json_is_true(json_object_get(column, "from_zero")) ? "from zero" : "-");
}

static void add_column(struct table *table, const json_t *column)
{
	const json_t *rd = json_object_get(column, "rd");
	char text[NUMBER_SIZE];

	table_cell(table, "%s", json_is_true(json_object_get(column, "abnormal")) ? "*" : "");
	table_cell(table, "%s", json_text(column, "vm"));
	table_cell(table, "%s", json_text(column, "metric"));
	table_cell(table, "%s", json_text(column, "direction"));
	table_cell(table, "%s", json_is_null(rd) ? "inf" : format_number(rd, text));
	table_cell(table, "%.1f", json_number_value(json_object_get(column, "stddev")));
	add_change(table, column);
	table_cell(table, "%s", format_number(json_object_get(column, "mean_normal"), text));
	table_cell(table, "%s", format_number(json_object_get(column, "mean_abnormal"), text));
	table_cell(table, "%s", json_text(column, "unit"));
}

/* The abnormal columns, and the next few for comparison. */
static void print_evidence(const json_t *columns)
{
	cleanup(table_free) struct table *table = table_new();
	const json_t *column;
	size_t i, others = 0;

	table_column(table, " ", TABLE_LEFT);
	table_column(table, "VM", TABLE_LEFT);
	table_column(table, "METRIC", TABLE_LEFT);
	table_column(table, "GOES", TABLE_LEFT);
	table_column(table, "RD", TABLE_RIGHT);
	table_column(table, "STDDEV", TABLE_RIGHT);
	table_column(table, "CHANGE", TABLE_RIGHT);
	table_column(table, "NORMAL", TABLE_RIGHT);
	table_column(table, "NOW", TABLE_RIGHT);
	table_column(table, "UNIT", TABLE_LEFT);
	json_array_foreach(columns, i, column)
	{
		if (!json_is_true(json_object_get(column, "abnormal")) && others++ >= OTHERS_SHOWN)
			break;
		add_column(table, column);
	}
	table_print(table, stdout);
}

/* A suspect, its parents, and each reason on a line of its own. */
static void print_suspect(const json_t *suspect, size_t number)
{
	cleanup(free) char *command = strdup(json_text(suspect, "command"));
	const json_t *reasons = json_object_get(suspect, "reasons"), *item;
	const json_t *parents = json_object_get(suspect, "parents");
	size_t i;

	printf("    %zu. %s%s%s (pid %lld", number, terminal_style(stdout, STYLE_BOLD),
	       command && *command ? table_escape(command) : "?",
	       terminal_style(stdout, STYLE_PLAIN), (long long)json_whole(suspect, "pid"));
	if (json_is_integer(json_object_get(suspect, "uid")))
		printf(", uid %lld", (long long)json_whole(suspect, "uid"));
	json_array_foreach(parents, i, item)
	{
		cleanup(free) char *name = strdup(json_text(item, "command"));

		printf("%s%s %lld", i ? " < " : ", child of ", name ? table_escape(name) : "",
		       (long long)json_whole(item, "pid"));
	}
	printf("), score %.2f\n", json_number_value(json_object_get(suspect, "score")));
	json_array_foreach(reasons, i, item)
	{
		const char *reason = json_string_value(item);
		cleanup(free) char *text = reason ? strdup(reason) : NULL;

		printf("       - %s\n", text ? table_escape(text) : "");
	}
}

/* What was seen inside one VM. */
static void print_look(const json_t *look)
{
	cleanup(free) char *text = strdup(json_text(look, "text"));
	const json_t *suspects = json_object_get(look, "suspects"), *item;
	const json_t *patterns = json_object_get(look, "patterns");
	size_t i;

	printf("  %s (%s%s%s): %s\n", json_text(look, "vm"), json_text(look, "state"),
	       json_object_get(look, "alike") ? ", goes like " : "", json_text(look, "alike"),
	       text ? table_escape(text) : "");
	json_array_foreach(patterns, i, item)
	{
		cleanup(free) char *pattern = strdup(json_text(item, "text"));

		printf("    %s: %s\n", json_text(item, "name"),
		       pattern ? table_escape(pattern) : "");
	}
	json_array_foreach(suspects, i, item) if (i < SUSPECTS_SHOWN) print_suspect(item, i + 1);
}

static void print_looks(const json_t *looks, const json_t *across)
{
	const json_t *look;
	size_t i;

	if (json_array_size(looks) == 0)
		return;
	puts("inside the VMs (what their own kernels say):");
	json_array_foreach(looks, i, look) print_look(look);
	json_array_foreach(across, i, look)
	{
		cleanup(free) char *text = strdup(json_text(look, "text"));

		printf("  together: %s: %s\n", json_text(look, "name"),
		       text ? table_escape(text) : "");
	}
	(void)putchar('\n');
}

static void print_history(const json_t *history)
{
	cleanup(table_free) struct table *table = table_new();
	const json_t *event;
	char text[NUMBER_SIZE];
	size_t i;

	table_column(table, "TIME", TABLE_LEFT);
	table_column(table, "EVENT", TABLE_LEFT);
	table_column(table, "", TABLE_LEFT);
	json_array_foreach(history, i, event)
	{
		table_cell(table, "%s", format_time(json_text(event, "time"), text));
		table_cell(table, "%s", json_text(event, "event"));
		table_cell(table, "%s", json_text(event, "text"));
	}
	table_print(table, stdout);
}

static int show(const char *number, bool json)
{
	cleanup(free) char *escaped = http_client_escape(number);
	cleanup(free) char *path = NULL;
	cleanup(free) char *summary = NULL;
	cleanup(json_decref) json_t *alarm = NULL;
	char opened[NUMBER_SIZE], q[NUMBER_SIZE], spe[NUMBER_SIZE];

	if (!escaped || asprintf(&path, "/api/v1/alarms/%s", escaped) < 0)
		return terminal_fail(EXIT_FAILED, "out of memory");
	alarm = command_get(path);
	if (!alarm)
		return EXIT_FAILED;
	if (json)
		return command_print_json(alarm);
	summary = strdup(json_text(alarm, "summary"));
	printf("%s%s%s\n", terminal_style(stdout, STYLE_BOLD), summary ? table_escape(summary) : "",
	       terminal_style(stdout, STYLE_PLAIN));
	printf("alarm %lld of group %s: %s, level %lld, opened %s%s%s\n",
	       (long long)json_whole(alarm, "id"), json_text(alarm, "group"),
	       json_text(alarm, "state"), (long long)json_whole(alarm, "level"),
	       json_text(alarm, "opened"), *json_text(alarm, "closed") ? ", closed " : "",
	       json_text(alarm, "closed"));
	printf("at its onset SPE %s against Q %s with %lld principal components and %lld rows; "
	       "peak %s\n\n",
	       format_number(json_object_get(alarm, "spe"), spe),
	       format_number(json_object_get(alarm, "q"), q),
	       (long long)json_whole(alarm, "components"),
	       (long long)json_whole(alarm, "window_rows"),
	       format_number(json_object_get(alarm, "spe_peak"), opened));
	print_evidence(json_object_get(alarm, "columns"));
	(void)putchar('\n');
	print_looks(json_object_get(alarm, "introspection"), json_object_get(alarm, "across"));
	print_history(json_object_get(alarm, "history"));
	return EXIT_OK;
}

int command_alarm(int argc, char **argv)
{
	bool json = false, only_open = false;
	const struct command_option options[] = {{"json", OPTION_FLAG, &json},
						 {"open", OPTION_FLAG, &only_open}};
	int end, count = options_parse(argc, argv, options, 2, help, &end);

	if (count < 0)
		return end;
	if (count == 0 || (count == 1 && strcmp(argv[1], "list") == 0))
		return list(only_open, json);
	if (count == 2 && strcmp(argv[1], "show") == 0)
		return show(argv[2], json);
	fputs(help, stderr);
	return EXIT_USAGE;
}
