/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures the detector on labelled real data: each machine, trace or run of the sets through the
 * monitor in a child process of its own, then precision, recall, AUC-PR, VUS-PR, false alarms,
 * delays and identification, beside the baselines of the data sets.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "quality_print.h"
#include "quality_run.h"
#include "quality_set.h"
#include "terminal/options.h"
#include "terminal/terminal.h"

enum { EXIT_SKIPPED = 77 };

DEFINE_CLEANUP(struct entity *, entity_free)

static const char help[] =
	"Usage: quality [FOLDER] [--set NAME]... [--machine NAME]... [--preset NAME]... [--jobs "
	"N]\n"
	"               [--length L] [--scores FOLDER] [--json]\n"
	"Runs the detector over the labelled sets of FOLDER (default: shared/data beside the "
	"source)\n"
	"and prints, per set and preset, what it found. UNSCORED: rows without a verdict, while "
	"it\n"
	"learns; they count as called normal. P, R, F1 by row; (PA-F1) after point\n"
	"adjustment, for comparison with the literature only; areas of the row scores, VUS-PR up "
	"to\n"
	"buffer length L (50); FAR: share of the normal rows called abnormal; FALSE: alarms that "
	"touch\n"
	"no event; DELAY: rows, median; HIT: Hit@100 where an episode was open (OPEN), HIT-ALL: "
	"over\n"
	"all events; PAPER'S: HIT, or SERVICE, in the paper's own order. --scores leaves each "
	"row's\n"
	"score there as CSV.\n";

struct arguments {
	const char *folder, *jobs, *length, *scores;
	struct option_list sets, machines, presets;
	bool json;
	unsigned long job_count;
	struct run_settings settings;
};

static bool is_wanted(const struct option_list *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i], name) == 0)
			return true;
	return list->count == 0;
}

/* In the child. */
static int run_one(const struct arguments *arguments, const struct set_info *set, const char *name,
		   struct result *result)
{
	cleanup(entity_free) struct entity *entity = NULL;
	struct error err = ERROR_INIT;
	int r = entity_load(arguments->folder, set, name, &entity, &err);

	if (r == 0)
		r = entity_measure(entity, &arguments->settings, result, &err);
	if (r < 0)
		memcpy(result->text, err.text, sizeof(result->text));
	return r < 0 ? EXIT_FAILED : EXIT_OK;
}

/* At most job_count children at a time. A child that dies leaves its result undone. */
static void run_all(const struct arguments *arguments, const struct set_info *set,
		    char *const *names, size_t count, struct result *results)
{
	unsigned long running = 0;

	(void)fflush(stdout);
	for (size_t i = 0; i < count; i++) {
		pid_t child;

		if (running == arguments->job_count && wait(NULL) > 0)
			running--;
		child = fork();
		if (child == 0)
			_exit(run_one(arguments, set, names[i], &results[i]));
		running += child > 0;
	}
	while (wait(NULL) > 0)
		;
}

static int report_failures(const struct report *report)
{
	int status = EXIT_OK;

	for (size_t i = 0; i < report->count; i++)
		if (!report->results[i].done)
			status = terminal_fail(EXIT_FAILED, "%s %s: %s", report->set->name,
					       report->names[i],
					       *report->results[i].text ? report->results[i].text
									: "ended by itself");
	return status;
}

static int measure_set(const struct arguments *arguments, const struct set_info *set, char **names,
		       size_t count, json_t *list)
{
	size_t size = count * sizeof(struct result);
	struct result *results =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct report report = {set, arguments->settings.preset, names, results, count};
	int status;

	if (results == MAP_FAILED)
		return terminal_fail(EXIT_FAILED, "out of memory");
	run_all(arguments, set, names, count, results);
	status = report_failures(&report);
	if (arguments->json)
		(void)json_array_append_new(list, report_json(&report));
	else
		report_print(&report);
	(void)munmap(results, size);
	return status;
}

/* Keeps the wanted names at the front. */
static size_t choose(const struct arguments *arguments, char **names, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
		if (is_wanted(&arguments->machines, names[i])) {
			char *name = names[i];

			names[i] = names[kept];
			names[kept++] = name;
		}
	return kept;
}

static int measure_all(struct arguments *arguments, json_t *list)
{
	const struct set_info *set;
	int status = EXIT_OK;

	for (size_t i = 0; (set = set_at(i)); i++) {
		char **names;
		size_t count, chosen;

		if (!is_wanted(&arguments->sets, set->name))
			continue;
		if (set_list(arguments->folder, set, &names, &count) < 0)
			return terminal_fail(EXIT_FAILED, "out of memory");
		chosen = choose(arguments, names, count);
		for (size_t j = 0; chosen > 0 && preset_at(j); j++) {
			arguments->settings.preset = preset_at(j);
			if (is_wanted(&arguments->presets, preset_at(j)->name) &&
			    measure_set(arguments, set, names, chosen, list) != EXIT_OK)
				status = EXIT_FAILED;
		}
		while (count > 0)
			free(names[--count]);
		free(names);
	}
	return status;
}

static bool take_arguments(struct arguments *arguments)
{
	unsigned long length = VUS_LENGTH_DEFAULT;

	arguments->job_count = 2;
	if (arguments->jobs &&
	    !options_number("jobs", arguments->jobs, 1, 256, &arguments->job_count))
		return false;
	if (arguments->length &&
	    !options_number("length", arguments->length, 0, VUS_LENGTH_MAX, &length))
		return false;
	arguments->settings.vus_length = length;
	arguments->settings.scores = arguments->scores;
	for (size_t i = 0; i < arguments->presets.count; i++)
		if (!preset_find(arguments->presets.items[i])) {
			(void)terminal_fail(EXIT_USAGE, "no preset '%s'",
					    arguments->presets.items[i]);
			return false;
		}
	return true;
}

static int run(struct arguments *arguments)
{
	cleanup(json_decref) json_t *list = json_array();
	struct stat status;
	int end;

	if (stat(arguments->folder, &status) < 0 || !S_ISDIR(status.st_mode)) {
		(void)terminal_fail(EXIT_SKIPPED, "no data sets at %s", arguments->folder);
		return EXIT_SKIPPED;
	}
	end = measure_all(arguments, list);
	if (arguments->json) {
		cleanup(json_decref) json_t *body =
			json_pack("{s:I, s:O}", "vus_length",
				  (json_int_t)arguments->settings.vus_length, "sets", list);

		(void)json_dumpf(body, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
		(void)putchar('\n');
	}
	return end;
}

int main(int argc, char **argv)
{
	struct arguments arguments = {.folder = QUALITY_DATA};
	const struct command_option options[] = {
		{"set", OPTION_LIST, &arguments.sets},
		{"machine", OPTION_LIST, &arguments.machines},
		{"preset", OPTION_LIST, &arguments.presets},
		{"jobs", OPTION_VALUE, &arguments.jobs},
		{"length", OPTION_VALUE, &arguments.length},
		{"scores", OPTION_VALUE, &arguments.scores},
		{"json", OPTION_FLAG, &arguments.json},
	};
	int end, count = options_parse(argc, argv, options, sizeof(options) / sizeof(options[0]),
				       help, &end);

	terminal_program = "quality";
	if (count < 0)
		return end;
	if (count > 1) {
		fputs(help, stderr);
		return EXIT_USAGE;
	}
	if (count == 1)
		arguments.folder = argv[1];
	return take_arguments(&arguments) ? run(&arguments) : EXIT_USAGE;
}
