/* SPDX-License-Identifier: Apache-2.0 */
#include "vmi/command.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "terminal/terminal.h"
#include "vmi/output.h"

enum {
	PID_MAX = 4194304,
	BUDGET_MSEC = 2000,
	DUMP_BUDGET_MSEC = 60000,
	BUDGET_MSEC_MAX = 600000,
	SHARED = 11, /* options */
};

DEFINE_CLEANUP(struct report *, report_free)

struct words {
	const char *qmp, *process, *dump, *connect, *cache;
	bool no_cache, unconfined;
};

static bool take_numbers(struct command *command, const struct words *words)
{
	unsigned long budget_msec = words->dump ? DUMP_BUDGET_MSEC : BUDGET_MSEC;
	unsigned long pid = 0, process = 0;

	if ((command->pid && !options_number("pid", command->pid, 1, PID_MAX, &pid)) ||
	    (words->process && !options_number("process", words->process, 1, PID_MAX, &process)) ||
	    (command->budget &&
	     !options_number("budget", command->budget, 10, BUDGET_MSEC_MAX, &budget_msec)))
		return false;
	command->job.order.pid = (uint32_t)pid;
	command->job.order.budget_usec = (int64_t)budget_msec * USEC_PER_MSEC;
	command->target.pid = (pid_t)process;
	return true;
}

/* The shared options that the command takes, then its own. Returns how many. */
static size_t list_options(struct command *command, struct words *words,
			   struct command_option *options)
{
	const struct {
		struct command_option option;
		unsigned needs;
	} shared[] = {
		{{"qmp", OPTION_VALUE, &words->qmp}, 0},
		{{"process", OPTION_VALUE, &words->process}, 0},
		{{"dump", OPTION_VALUE, &words->dump}, 0},
		{{"connect", OPTION_VALUE, &words->connect}, 0},
		{{"pid", OPTION_VALUE, &command->pid}, COMMAND_TAKES_PID},
		{{"json", OPTION_FLAG, &command->json}, COMMAND_TAKES_REPORT},
		{{"encoded", OPTION_FLAG, &command->encoded}, COMMAND_TAKES_REPORT},
		{{"budget", OPTION_VALUE, &command->budget}, COMMAND_TAKES_JOB},
		{{"cache", OPTION_VALUE, &words->cache}, COMMAND_TAKES_JOB},
		{{"no-cache", OPTION_FLAG, &words->no_cache}, COMMAND_TAKES_JOB},
		{{"unconfined", OPTION_FLAG, &words->unconfined}, COMMAND_TAKES_JOB},
	};
	size_t count = 0;

	static_assert(sizeof(shared) / sizeof(shared[0]) == SHARED, "room in the caller's list");
	for (size_t i = 0; i < SHARED; i++)
		if ((shared[i].needs & ~command->takes) == 0)
			options[count++] = shared[i].option;
	for (size_t i = 0; i < command->own_count; i++)
		options[count++] = command->own[i];
	return count;
}

bool command_parse(struct command *command, int argc, char **argv, int *ret_status)
{
	struct words words = {.connect = "qemu:///system", .cache = "/run/atom/vmi"};
	struct command_option options[SHARED + COMMAND_OWN_MAX];
	size_t option_count = list_options(command, &words, options);
	int given,
		count = options_parse(argc, argv, options, option_count, command->help, ret_status);

	if (count < 0)
		return false;
	*ret_status = EXIT_USAGE;
	given = (words.qmp != NULL) + (words.process != NULL) + (words.dump != NULL);
	if (given > 1 || count != 1 - given) {
		(void)terminal_fail(EXIT_USAGE,
				    "one VM, --qmp, --process or --dump must be given; see "
				    "atom-vmi %s --help",
				    argv[0]);
		return false;
	}
	command->target = (struct target_options){.vm = given ? NULL : argv[1],
						  .qmp = words.qmp,
						  .dump = words.dump,
						  .uri = words.connect};
	command->job.cache = words.no_cache ? NULL : words.cache;
	command->job.unconfined = words.unconfined;
	return take_numbers(command, &words);
}

const struct report_cell *command_find(const struct report *report, const char *table,
				       const char *column, enum report_kind kind)
{
	long place = report_find_table(report, table), number;
	const struct report_column *columns;
	const struct report_cell *cell;
	size_t count;

	if (place < 0 || report_rows(report, (size_t)place) == 0)
		return NULL;
	number = report_find_column(report, (size_t)place, column);
	columns = report_columns(report, (size_t)place, &count);
	if (number < 0 || columns[number].kind != kind)
		return NULL;
	cell = report_cell(report, (size_t)place, 0, (size_t)number);
	return cell->known ? cell : NULL;
}

static bool failed_views(const struct report *report)
{
	const struct report_cell *cell =
		command_find(report, "reading", "failed_views", REPORT_COUNT);

	return !cell || cell->number != 0;
}

/* As the message on the wire: what atom-node hands on. */
static int print_encoded(const struct report *report)
{
	cleanup(free) uint8_t *bytes = NULL;
	size_t size;
	int r = report_encode(report, &bytes, &size, NULL);

	if (r == 0 && (fwrite(bytes, 1, size, stdout) != size || fflush(stdout) != 0))
		r = -EIO;
	return r;
}

int command_print(const struct command *command, const struct report *report)
{
	if (command->encoded)
		return print_encoded(report);
	return command->json ? output_json(report, stdout) : output_table(report, stdout, stderr);
}

int command_run(const struct command *command, struct report **ret_report)
{
	cleanup(report_free) struct report *report = NULL;
	struct error err = ERROR_INIT;
	struct target target;
	bool failed;
	int r = target_open(&command->target, &target, &err);

	if (r == 0) {
		r = job_run(&command->job, &target, &report, &err);
		target_close(&target);
	}
	if (r < 0)
		return terminal_fail(EXIT_FAILED, "%s", error_text(&err, r));
	r = command_print(command, report);
	failed = failed_views(report);
	if (ret_report)
		*ret_report = keep(report);
	if (r < 0)
		return terminal_fail(EXIT_FAILED, "the output cannot be written: %s", strerror(-r));
	return failed ? EXIT_FAILED : EXIT_OK;
}
