/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/cleanup.h"
#include "ctl/command.h"
#include "terminal/options.h"
#include "terminal/table.h"

DEFINE_CLEANUP(json_t *, json_decref)
DEFINE_CLEANUP(struct table *, table_free)

static const char help[] = "Usage: atom status [--json]\n"
			   "What atomd knows: nodes, VMs, what tracking saves, open alarms.\n";

static void print_summary(const json_t *status)
{
	const json_t *store = json_object_get(status, "store");
	bool healthy = json_is_true(json_object_get(store, "healthy"));
	int64_t alarms = json_whole(status, "alarms_open");

	terminal_say(stdout, STYLE_PLAIN, 9, "atomd %s at %s, observing every %g s",
		     json_text(status, "version"), command_server,
		     json_number_value(json_object_get(status, "interval_seconds")));
	printf("values   %lld sent of %lld samples (%.1f %% saved), %lld bytes\n",
	       (long long)json_whole(status, "values_received"),
	       (long long)json_whole(status, "samples"),
	       json_number_value(json_object_get(status, "values_saved_percent")),
	       (long long)json_whole(status, "bytes_received"));
	terminal_say(stdout, healthy ? STYLE_PLAIN : STYLE_RED, 9, "store    %s%s%s",
		     json_text(store, "path"), healthy ? ", healthy" : ": ",
		     healthy ? "" : json_text(store, "problem"));
	terminal_say(stdout, alarms ? STYLE_RED : STYLE_PLAIN, 9, "alarms   %lld open",
		     (long long)alarms);
}

static void print_nodes(const json_t *nodes)
{
	cleanup(table_free) struct table *table = table_new();
	const json_t *node;
	char text[NUMBER_SIZE];
	size_t i;

	table_column(table, "NODE", TABLE_LEFT);
	table_column(table, "STATE", TABLE_LEFT);
	table_column(table, "HEARD OF", TABLE_LEFT);
	table_column(table, "VMS", TABLE_RIGHT);
	table_column(table, "FRAMES", TABLE_RIGHT);
	table_column(table, "HYPERVISOR", TABLE_LEFT);
	json_array_foreach(nodes, i, node)
	{
		table_cell(table, "%s", json_text(node, "name"));
		table_cell(table, "%s", json_text(node, "state"));
		table_cell(table, "%s", format_time(json_text(node, "watermark"), text));
		table_cell(table, "%lld", (long long)json_whole(node, "vms"));
		table_cell(table, "%lld", (long long)json_whole(node, "frames"));
		table_cell(table, "%s", json_text(node, "hypervisor"));
	}
	table_print(table, stdout);
}

int command_status(int argc, char **argv)
{
	bool json = false;
	const struct command_option options[] = {{"json", OPTION_FLAG, &json}};
	cleanup(json_decref) json_t *status = NULL;
	cleanup(json_decref) json_t *nodes = NULL;
	int end;

	if (options_parse(argc, argv, options, 1, help, &end) < 0)
		return end;
	status = command_get("/api/v1/status");
	if (!status)
		return EXIT_FAILED;
	if (json)
		return command_print_json(status);
	nodes = command_get("/api/v1/nodes");
	if (!nodes)
		return EXIT_FAILED;
	print_summary(status);
	(void)putchar('\n');
	print_nodes(json_object_get(nodes, "nodes"));
	return EXIT_OK;
}
