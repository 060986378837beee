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

static const char help[] = "Usage: atom vm list [--node NAME] [--project NAME] [--json]\n"
			   "       atom vm show VM [--json]\n"
			   "The VMs that atomd knows. VM is a name, an instance name or a UUID.\n";

static bool is_wanted(const json_t *vm, const char *node, const char *project)
{
	return (!node || strcmp(json_text(vm, "node"), node) == 0) &&
	       (!project || strcmp(json_text(vm, "project"), project) == 0);
}

static void filter(json_t *vms, const char *node, const char *project)
{
	for (size_t i = json_array_size(vms); i-- > 0;)
		if (!is_wanted(json_array_get(vms, i), node, project))
			(void)json_array_remove(vms, i);
}

static const json_t *value_of(const json_t *vm, const char *metric)
{
	const json_t *series = json_object_get(json_object_get(vm, "series"), metric);

	return strcmp(json_text(series, "state"), "good") == 0 ? json_object_get(series, "value")
							       : NULL;
}

static int compare_names(const void *a, const void *b)
{
	const json_t *const *left = a, *const *right = b;

	return strcmp(json_text(*left, "name"), json_text(*right, "name"));
}

/* By name, which is how people look for one. */
static void sort(json_t *vms)
{
	size_t count = json_array_size(vms);
	cleanup(free) json_t **sorted = calloc(count + 1, sizeof(json_t *));

	if (!sorted)
		return;
	for (size_t i = 0; i < count; i++)
		sorted[i] = json_incref(json_array_get(vms, i));
	qsort(sorted, count, sizeof(json_t *), compare_names);
	for (size_t i = 0; i < count; i++)
		(void)json_array_set_new(vms, i, sorted[i]);
}

static void add_row(struct table *table, const json_t *vm)
{
	static const char *const metrics[] = {"CPUUtilization", "NetworkIn", "NetworkOut",
					      "DiskReadBytes", "DiskWriteBytes"};
	int64_t samples = json_whole(vm, "samples"), sent = json_whole(vm, "values_received");
	const char *instance = json_text(vm, "instance");
	char text[NUMBER_SIZE];

	table_cell(table, "%s", json_text(vm, "name"));
	table_cell(table, "%s", *instance ? instance : "-");
	table_cell(table, "%s", *json_text(vm, "project") ? json_text(vm, "project") : "-");
	table_cell(table, "%s", json_text(vm, "node"));
	table_cell(table, "%s%s", json_text(vm, "state"),
		   json_is_true(json_object_get(vm, "learning")) ? ", learning" : "");
	for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++)
		table_cell(table, "%s", format_number(value_of(vm, metrics[i]), text));
	if (samples > 0)
		table_cell(table, "%.1f %%", 100.0 - 100.0 * (double)sent / (double)samples);
	else
		table_cell(table, "-");
}

static int list(const char *node, const char *project, bool json)
{
	cleanup(json_decref) json_t *body = command_get("/api/v1/vms");
	cleanup(table_free) struct table *table = table_new();
	const json_t *vm;
	json_t *vms = json_object_get(body, "vms");
	size_t i;

	if (!body)
		return EXIT_FAILED;
	filter(vms, node, project);
	sort(vms);
	if (json)
		return command_print_json(body);
	table_column(table, "VM", TABLE_LEFT);
	table_column(table, "INSTANCE", TABLE_LEFT);
	table_column(table, "PROJECT", TABLE_LEFT);
	table_column(table, "NODE", TABLE_LEFT);
	table_column(table, "STATE", TABLE_LEFT);
	table_column(table, "CPU %", TABLE_RIGHT);
	table_column(table, "NET IN", TABLE_RIGHT);
	table_column(table, "NET OUT", TABLE_RIGHT);
	table_column(table, "READ", TABLE_RIGHT);
	table_column(table, "WRITE", TABLE_RIGHT);
	table_column(table, "SAVED", TABLE_RIGHT);
	json_array_foreach(vms, i, vm) add_row(table, vm);
	table_print(table, stdout);
	return EXIT_OK;
}

static int show(const char *name, bool json)
{
	cleanup(free) char *escaped = http_client_escape(name);
	cleanup(json_decref) json_t *vm = NULL;
	char path[1024];

	(void)snprintf(path, sizeof(path), "/api/v1/vms/%s", escaped ? escaped : "");
	vm = command_get(path);
	if (!vm)
		return EXIT_FAILED;
	if (json)
		return command_print_json(vm);
	terminal_say(stdout, STYLE_PLAIN, 4, "%s  uuid %s", json_text(vm, "name"),
		     json_text(vm, "uuid"));
	terminal_say(stdout, STYLE_PLAIN, 4, "instance %s, project %s, node %s, %lld vCPU",
		     *json_text(vm, "instance") ? json_text(vm, "instance") : "-",
		     *json_text(vm, "project") ? json_text(vm, "project") : "-",
		     json_text(vm, "node"), (long long)json_whole(vm, "vcpus"));
	terminal_say(stdout, STYLE_PLAIN, 4, "state %s%s, group %s", json_text(vm, "state"),
		     json_is_true(json_object_get(vm, "learning")) ? " (learning)" : "",
		     *json_text(vm, "group") ? json_text(vm, "group") : "-");
	terminal_say(stdout, STYLE_PLAIN, 4, "values: atom metric %s", json_text(vm, "name"));
	return EXIT_OK;
}

int command_vm(int argc, char **argv)
{
	const char *node = NULL, *project = NULL;
	bool json = false;
	const struct command_option options[] = {{"json", OPTION_FLAG, &json},
						 {"node", OPTION_VALUE, &node},
						 {"project", OPTION_VALUE, &project}};
	int end, count = options_parse(argc, argv, options, 3, help, &end);

	if (count < 0)
		return end;
	if (count == 1 && strcmp(argv[1], "list") == 0)
		return list(node, project, json);
	if (count == 2 && strcmp(argv[1], "show") == 0)
		return show(argv[2], json);
	fputs(help, stderr);
	return EXIT_USAGE;
}
