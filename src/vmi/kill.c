/* SPDX-License-Identifier: Apache-2.0 */
/* atom-vmi kill VM --pid N */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "terminal/terminal.h"
#include "vmi/command.h"

DEFINE_CLEANUP(struct report *, report_free)

static const char help[] =
	"Usage: atom-vmi kill VM --pid N [--start NSEC] [--command NAME] [--dry-run]\n"
	"                [--method memory|call] [--no-wake] [--container-init] [--wait MSEC] "
	"[--json]\n"
	"Ends a process of a guest: SIGKILL is made pending by a write into its memory, and a "
	"sleeper\n"
	"is woken. --start and --command are its identity as 'ps' gave it (start_nsec, command); "
	"without\n"
	"them it is the process that bears the number now. --dry-run shows each word that would "
	"be\n"
	"written. --method call has the guest's kernel do it, through QEMU's gdb stub.\n"
	"Exit status: 0 dead (or dry run), 1 failed, 2 bad usage, 3 refused, 4 pending (it sleeps "
	"where nothing wakes it).\n";

struct kill_options {
	const char *start, *command, *method, *wait;
	bool dry_run, no_wake, container_init;
};

static int take_order(const struct kill_options *options, struct end_order *order)
{
	unsigned long wait_msec = 5000, start = 0;

	if ((options->wait && !options_number("wait", options->wait, 0, 60000, &wait_msec)) ||
	    (options->start && !options_number("start", options->start, 1, INT64_MAX, &start)))
		return EXIT_USAGE;
	if (options->method && strcmp(options->method, "call") == 0)
		order->method = END_BY_CALL;
	else if (options->method && strcmp(options->method, "memory") != 0)
		return terminal_fail(EXIT_USAGE, "--method must be memory or call, not '%.40s'",
				     options->method);
	if (options->command &&
	    (!*options->command || strlen(options->command) > TASK_COMM_SIZE - 1))
		return terminal_fail(EXIT_USAGE,
				     "--command must be the kernel's name of the process, of 1 to "
				     "%d bytes",
				     TASK_COMM_SIZE - 1);
	order->start_nsec = start;
	(void)snprintf(order->comm, sizeof(order->comm), "%s",
		       options->command ? options->command : "");
	order->dry_run = options->dry_run;
	order->no_wake = options->no_wake;
	order->container_init = options->container_init;
	order->wait_usec = (int64_t)wait_msec * USEC_PER_MSEC;
	return EXIT_OK;
}

/* Whatever became of the printing: what was done counts. */
static int status_of(const struct report *report)
{
	const struct report_cell *outcome = command_find(report, "end", "outcome", REPORT_TEXT);

	if (!outcome)
		return EXIT_FAILED;
	if (strcmp(outcome->text.bytes, "refused") == 0)
		return EXIT_REFUSED;
	return strcmp(outcome->text.bytes, "armed") == 0 ? EXIT_ARMED : EXIT_OK;
}

int command_kill(int argc, char **argv)
{
	struct kill_options o = {0};
	const struct command_option own[] = {
		{"start", OPTION_VALUE, &o.start},
		{"command", OPTION_VALUE, &o.command},
		{"method", OPTION_VALUE, &o.method},
		{"wait", OPTION_VALUE, &o.wait},
		{"dry-run", OPTION_FLAG, &o.dry_run},
		{"no-wake", OPTION_FLAG, &o.no_wake},
		{"container-init", OPTION_FLAG, &o.container_init},
	};
	struct command command = {.help = help,
				  .takes = COMMAND_TAKES_JOB | COMMAND_TAKES_PID,
				  .own = own,
				  .own_count = sizeof(own) / sizeof(own[0]),
				  .job = {.kind = JOB_END_PROCESS}};
	cleanup(report_free) struct report *report = NULL;
	int status;

	if (!command_parse(&command, argc, argv, &status))
		return status;
	if (command.target.dump || !command.pid)
		return terminal_fail(EXIT_USAGE,
				     command.target.dump
					     ? "a dump holds no process that could be ended"
					     : "--pid must say which process is to end");
	command.job.end.pid = command.job.order.pid;
	status = take_order(&o, &command.job.end);
	if (status == EXIT_OK)
		status = command_run(&command, &report);
	return report ? status_of(report) : status;
}
