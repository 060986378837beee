/* SPDX-License-Identifier: Apache-2.0 */
/* atom alarm show N */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/action.h"
#include "ctl/alarm.h"
#include "ctl/suspect.h"
#include "terminal/options.h"
#include "terminal/table.h"

DEFINE_CLEANUP(json_t *, json_decref)
DEFINE_CLEANUP(struct table *, table_free)

enum { OTHERS_SHOWN = 5, SUSPECTS_SHOWN = 5, PATH_SIZE = 64 };

static const char help[] = "Usage: atom alarm show N [--json]\n"
			   "One alarm: which columns went off (RD is the growth of a column's "
			   "residual energy, STDDEV\n"
			   "how many standard deviations it is off, CHANGE the relative change of "
			   "its mean), what was\n"
			   "seen inside the VMs, the verdict, the actions and the history.\n";

/* Evidence */

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

/* Looks */

static void print_patterns(const json_t *patterns, const char *head)
{
	const json_t *pattern;
	size_t i;

	json_array_foreach(patterns, i, pattern)
		terminal_say(stdout, STYLE_PLAIN, 6, "%s%s: %s", head, json_text(pattern, "name"),
			     json_text(pattern, "text"));
}

/* What was seen inside one VM. */
static void print_look(const json_t *look)
{
	const json_t *suspects = json_object_get(look, "suspects"), *suspect;
	const char *alike = json_text(look, "alike");
	char head[NUMBER_SIZE];
	size_t i;

	terminal_say(stdout, STYLE_PLAIN, 4, "  %s (%s%s%s): %s", json_text(look, "vm"),
		     json_text(look, "state"), *alike ? ", goes like " : "", alike,
		     json_text(look, "text"));
	print_patterns(json_object_get(look, "patterns"), "    ");
	json_array_foreach(suspects, i, suspect)
	{
		if (i == SUSPECTS_SHOWN)
			break;
		(void)snprintf(head, sizeof(head), "%zu. ", i + 1);
		suspect_print(suspect, head);
	}
}

static void print_looks(const json_t *looks, const json_t *across)
{
	const json_t *look;
	size_t i;

	if (json_array_size(looks) == 0)
		return;
	puts("inside the VMs (what their own kernels say):");
	json_array_foreach(looks, i, look) print_look(look);
	print_patterns(across, "  together: ");
	(void)putchar('\n');
}

/* What people said, and what was done */

static void print_verdict(const json_t *alarm)
{
	const json_t *verdict = json_object_get(alarm, "verdict");
	const json_t *notes = json_object_get(alarm, "notes"), *note;
	char text[NUMBER_SIZE];
	size_t i;

	if (json_is_object(verdict))
		terminal_say(stdout, STYLE_PLAIN, 4, "verdict: %s%s%s at %s%s%s",
			     json_text(verdict, "verdict"),
			     *json_text(verdict, "by") ? ", by " : "", json_text(verdict, "by"),
			     format_time(json_text(verdict, "time"), text),
			     *json_text(verdict, "note") ? ": " : "", json_text(verdict, "note"));
	json_array_foreach(notes, i, note)
		terminal_say(stdout, STYLE_PLAIN, 4, "note of %s at %s: %s", json_text(note, "by"),
			     format_time(json_text(note, "time"), text), json_text(note, "text"));
	if (json_is_object(verdict) || json_array_size(notes) > 0)
		(void)putchar('\n');
}

/* The alarm itself only has their numbers. What was only rehearsed is no part of its story. */
static void print_actions(const json_t *alarm)
{
	cleanup(json_decref) json_t *body = NULL;
	json_t *actions;
	char path[PATH_SIZE];

	if (json_array_size(json_object_get(alarm, "actions")) == 0)
		return;
	(void)snprintf(path, sizeof(path), "/api/v1/actions?alarm=%lld",
		       (long long)json_whole(alarm, "id"));
	body = command_get(path);
	if (!body)
		return; /* said; the rest of the alarm is as true */
	actions = json_object_get(body, "actions");
	for (size_t i = json_array_size(actions); i-- > 0;)
		if (json_is_true(json_object_get(json_array_get(actions, i), "dry_run")))
			(void)json_array_remove(actions, i);
	if (json_array_size(actions) == 0)
		return;
	action_print_list(actions, false);
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

static void print_head(const json_t *alarm)
{
	char peak[NUMBER_SIZE], q[NUMBER_SIZE], spe[NUMBER_SIZE];
	const char *closed = json_text(alarm, "closed");

	terminal_say(stdout, STYLE_BOLD, 4, "%s", json_text(alarm, "summary"));
	terminal_say(stdout, STYLE_PLAIN, 4,
		     "alarm %lld of group %s: %s, level %lld, opened %s%s%s",
		     (long long)json_whole(alarm, "id"), json_text(alarm, "group"),
		     json_text(alarm, "state"), (long long)json_whole(alarm, "level"),
		     json_text(alarm, "opened"), *closed ? ", closed " : "", closed);
	terminal_say(stdout, STYLE_PLAIN, 4,
		     "at its onset SPE %s against Q %s with %lld principal components and %lld "
		     "rows; peak %s",
		     format_number(json_object_get(alarm, "spe"), spe),
		     format_number(json_object_get(alarm, "q"), q),
		     (long long)json_whole(alarm, "components"),
		     (long long)json_whole(alarm, "window_rows"),
		     format_number(json_object_get(alarm, "spe_peak"), peak));
	(void)putchar('\n');
}

int alarm_show(int argc, char **argv)
{
	bool json = false;
	const struct command_option options[] = {{"json", OPTION_FLAG, &json}};
	cleanup(json_decref) json_t *alarm = NULL;
	int64_t number;
	int end, count = options_parse(argc, argv, options, 1, help, &end);

	if (count < 0)
		return end;
	if (count != 1) {
		(void)fputs(help, stderr);
		return EXIT_USAGE;
	}
	if (!command_number("an alarm", argv[1], &number))
		return EXIT_USAGE;
	alarm = alarm_get(number);
	if (!alarm)
		return EXIT_FAILED;
	if (json)
		return command_print_json(alarm);
	print_head(alarm);
	print_evidence(json_object_get(alarm, "columns"));
	(void)putchar('\n');
	print_looks(json_object_get(alarm, "introspection"), json_object_get(alarm, "across"));
	print_verdict(alarm);
	print_actions(alarm);
	print_history(json_object_get(alarm, "history"));
	return EXIT_OK;
}
