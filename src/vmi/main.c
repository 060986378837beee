/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "terminal/options.h"
#include "terminal/terminal.h"
#include "vmi/job.h"
#include "vmi/output.h"
#include "vmi/view.h"

DEFINE_CLEANUP(struct report *, report_free)

static const char usage[] =
	"Usage: atom-vmi VIEW[,VIEW...] VM [--json] [--pid N] [--interval SEC] [--budget MSEC]\n"
	"                [--pause] [--no-cache] [--cache DIR] [--unconfined]\n"
	"\n"
	"Looks into a running Linux guest, from outside, with no agent and no symbol file. VM is "
	"the "
	"name or UUID\nof a VM on this host; or instead of it --qmp SOCKET, --process PID (of "
	"QEMU) "
	"or --dump FILE.\n\n";

struct options {
	const char *qmp, *process, *dump, *connect, *pid, *interval, *budget, *cache;
	bool json, pause, no_cache, unconfined;
};

static void print_views(FILE *stream)
{
	for (size_t i = 0; i < view_count; i++)
		(void)fprintf(stream, "  %-9s %s\n", view_table[i].name, view_table[i].help);
}

/* "ps,net" into places in the table of views. */
static int parse_views(char *text, struct session_order *order)
{
	char *rest = text;

	for (const char *name; (name = strsep(&rest, ","));) {
		int place = view_find(name);

		if (place < 0)
			return terminal_fail(EXIT_USAGE,
					     "there is no view '%.40s'; see atom-vmi --help", name);
		if (order->view_count == SESSION_VIEWS_MAX)
			return terminal_fail(EXIT_USAGE, "more than %d views", SESSION_VIEWS_MAX);
		order->views[order->view_count++] = (uint32_t)place;
	}
	return EXIT_OK;
}

static int parse_numbers(const struct options *options, struct session_order *order, pid_t *process)
{
	unsigned long pid = 0, budget_msec = 2000, qemu = 0;
	double seconds = 1;

	if ((options->pid && !options_number("pid", options->pid, 1, 4194304, &pid)) ||
	    (options->process && !options_number("process", options->process, 1, 4194304, &qemu)) ||
	    (options->budget &&
	     !options_number("budget", options->budget, 10, 600000, &budget_msec)) ||
	    (options->interval && !options_real("interval", options->interval, &seconds)))
		return EXIT_USAGE;
	if (seconds < 0.05 || seconds > 60)
		return terminal_fail(EXIT_USAGE, "--interval must be from 0.05 to 60 seconds");
	order->pid = (uint32_t)pid;
	order->budget_usec = (int64_t)budget_msec * USEC_PER_MSEC;
	order->interval_usec = (int64_t)(seconds * USEC_PER_SEC);
	*process = (pid_t)qemu;
	return EXIT_OK;
}

static int look(const struct job *job, const struct target_options *options, bool json)
{
	cleanup(report_free) struct report *report = NULL;
	struct error err = ERROR_INIT;
	struct target target;
	int r = target_open(options, &target, &err);

	if (r == 0) {
		r = job_run(job, &target, &report, &err);
		target_close(&target);
	}
	if (r < 0)
		return terminal_fail(EXIT_FAILED, "%s", error_text(&err, r));
	r = json ? output_json(report, stdout) : output_table(report, stdout, stderr);
	return r < 0 ? EXIT_FAILED : EXIT_OK;
}

static int run(int argc, char **argv)
{
	struct options o = {.connect = "qemu:///system", .cache = "/run/atom/vmi"};
	const struct command_option table[] = {
		{"qmp", OPTION_VALUE, &o.qmp},          {"process", OPTION_VALUE, &o.process},
		{"dump", OPTION_VALUE, &o.dump},        {"connect", OPTION_VALUE, &o.connect},
		{"pid", OPTION_VALUE, &o.pid},          {"interval", OPTION_VALUE, &o.interval},
		{"budget", OPTION_VALUE, &o.budget},    {"cache", OPTION_VALUE, &o.cache},
		{"json", OPTION_FLAG, &o.json},         {"pause", OPTION_FLAG, &o.pause},
		{"no-cache", OPTION_FLAG, &o.no_cache}, {"unconfined", OPTION_FLAG, &o.unconfined},
	};
	int status, count = options_parse(argc, argv, table, sizeof(table) / sizeof(table[0]),
					  usage, &status);
	struct job job = {.kind = JOB_VIEWS};
	struct target_options target = {.qmp = o.qmp, .dump = o.dump, .uri = o.connect};
	int given = (o.qmp != NULL) + (o.process != NULL) + (o.dump != NULL);

	if (count < 0)
		return status;
	if (given > 1 || count != 2 - given)
		return terminal_fail(EXIT_USAGE,
				     "one VM, --qmp, --process or --dump must be given; "
				     "see atom-vmi --help");
	target.vm = count == 2 ? argv[2] : NULL;
	job.cache = o.no_cache ? NULL : o.cache;
	job.unconfined = o.unconfined;
	job.order.may_pause = o.pause;
	status = parse_views(argv[1], &job.order);
	if (status == EXIT_OK)
		status = parse_numbers(&o, &job.order, &target.pid);
	return status == EXIT_OK ? look(&job, &target, o.json) : status;
}

int main(int argc, char **argv)
{
	terminal_program = "atom-vmi";
	(void)signal(SIGPIPE, SIG_IGN); /* cannot fail */
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		puts("atom-vmi " ATOM_VERSION);
		return EXIT_OK;
	}
	if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
		fputs(usage, argc < 2 ? stderr : stdout);
		print_views(argc < 2 ? stderr : stdout);
		return argc < 2 ? EXIT_USAGE : EXIT_OK;
	}
	return run(argc, argv);
}
