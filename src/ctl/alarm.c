/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/alarm.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "terminal/options.h"

DEFINE_CLEANUP(json_t *, json_decref)
DEFINE_CLEANUP(struct table *, table_free)

enum { PATH_SIZE = 64 };

static const char help[] =
	"Usage: atom alarm [list] [--open] [--json]\n"
	"       atom alarm show N [--json]        its evidence, suspects, verdict and actions\n"
	"       atom alarm watch                  new events as they come\n"
	"       atom alarm note N TEXT...         writes a remark into its history\n"
	"       atom alarm normal N               verdict: this is normal, learn it\n"
	"       atom alarm malicious N            verdict: this is an attack, end it\n"
	"LEVEL is the number of abnormal rows. atom alarm WORD --help tells each one's options.\n";

json_t *alarm_get(int64_t number)
{
	char path[PATH_SIZE];

	(void)snprintf(path, sizeof(path), "/api/v1/alarms/%lld", (long long)number);
	return command_get(path);
}

json_t *alarm_post(int64_t number, const char *part, const json_t *body)
{
	char path[PATH_SIZE];

	(void)snprintf(path, sizeof(path), "/api/v1/alarms/%lld%s", (long long)number, part);
	return command_post(path, body);
}

enum terminal_style alarm_style_of(const char *event)
{
	static const struct {
		const char *event;
		enum terminal_style style;
	} styles[] = {
		{"opened", STYLE_RED},       {"malicious", STYLE_RED},  {"failed", STYLE_RED},
		{"refused", STYLE_RED},      {"suspect", STYLE_YELLOW}, {"pattern", STYLE_YELLOW},
		{"announced", STYLE_YELLOW}, {"shifted", STYLE_YELLOW}, {"cleared", STYLE_GREEN},
		{"normal", STYLE_GREEN},     {"done", STYLE_GREEN},     {"verified", STYLE_GREEN},
		{"resolved", STYLE_GREEN},
	};

	for (size_t i = 0; i < sizeof(styles) / sizeof(styles[0]); i++)
		if (strcmp(styles[i].event, event) == 0)
			return styles[i].style;
	return STYLE_PLAIN;
}

static void add_alarm(struct table *table, const json_t *alarm)
{
	char text[NUMBER_SIZE];

	table_cell(table, "%lld", (long long)json_whole(alarm, "id"));
	table_cell(table, "%s", json_text(alarm, "state"));
	table_cell(table, "%s", format_time(json_text(alarm, "opened"), text));
	table_cell(table, "%s", format_time(json_text(alarm, "closed"), text));
	table_cell(table, "%lld", (long long)json_whole(alarm, "level"));
	table_cell(table, "%s", json_text(alarm, "group"));
	table_cell(table, "%s", json_text(alarm, "summary"));
}

static int alarm_list(int argc, char **argv)
{
	bool json = false, only_open = false;
	const struct command_option options[] = {{"json", OPTION_FLAG, &json},
						 {"open", OPTION_FLAG, &only_open}};
	cleanup(json_decref) json_t *body = NULL;
	cleanup(table_free) struct table *table = table_new();
	const json_t *alarm, *alarms;
	size_t i;
	int end, count = options_parse(argc, argv, options, 2, help, &end);

	if (count < 0)
		return end;
	if (count > 0) {
		(void)fputs(help, stderr);
		return EXIT_USAGE;
	}
	body = command_get(only_open ? "/api/v1/alarms?state=open" : "/api/v1/alarms");
	if (!body)
		return EXIT_FAILED;
	if (json)
		return command_print_json(body);
	alarms = json_object_get(body, "alarms");
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
	json_array_foreach(alarms, i, alarm) add_alarm(table, alarm);
	table_print(table, stdout);
	return EXIT_OK;
}

int command_alarm(int argc, char **argv)
{
	static const struct subcommand subcommands[] = {
		{"alarm list", alarm_list},   {"alarm show", alarm_show},
		{"alarm note", alarm_note},   {"alarm normal", alarm_normal},
		{"alarm watch", alarm_watch}, {"alarm malicious", alarm_malicious},
	};

	return command_dispatch(argc, argv, subcommands,
				sizeof(subcommands) / sizeof(subcommands[0]), help);
}
