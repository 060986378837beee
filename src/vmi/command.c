/* SPDX-License-Identifier: Apache-2.0 */
#include "vmi/command.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "terminal/terminal.h"
#include "vmi/output.h"

enum { PID_MAX = 4194304, BUDGET_MSEC = 2000, DUMP_BUDGET_MSEC = 60000, BUDGET_MSEC_MAX = 600000 };

DEFINE_CLEANUP(struct report *, report_free)

static int take_common(const struct command_common *common, struct job *job,
		       struct target_options *target)
{
	unsigned long budget_msec = common->dump ? DUMP_BUDGET_MSEC : BUDGET_MSEC;
	unsigned long pid = 0, process = 0;

	if ((common->pid && !options_number("pid", common->pid, 1, PID_MAX, &pid)) ||
	    (common->process &&
	     !options_number("process", common->process, 1, PID_MAX, &process)) ||
	    (common->budget &&
	     !options_number("budget", common->budget, 10, BUDGET_MSEC_MAX, &budget_msec)))
		return EXIT_USAGE;
	job->order.pid = (uint32_t)pid;
	job->order.budget_usec = (int64_t)budget_msec * USEC_PER_MSEC;
	job->cache = common->no_cache ? NULL : common->cache;
	job->unconfined = common->unconfined;
	*target = (struct target_options){.qmp = common->qmp,
					  .dump = common->dump,
					  .pid = (pid_t)process,
					  .uri = common->connect};
	return EXIT_OK;
}

int command_parse(int argc, char **argv, const struct command_line *line,
		  struct command_common *ret_common, struct job *ret_job,
		  struct target_options *ret_target, int *ret_arguments)
{
	struct command_common *c = ret_common;
	const struct command_option shared[] = {
		{"qmp", OPTION_VALUE, &c->qmp},
		{"process", OPTION_VALUE, &c->process},
		{"dump", OPTION_VALUE, &c->dump},
		{"connect", OPTION_VALUE, &c->connect},
		{"budget", OPTION_VALUE, &c->budget},
		{"cache", OPTION_VALUE, &c->cache},
		{"pid", OPTION_VALUE, &c->pid},
		{"json", OPTION_FLAG, &c->json},

		{"no-cache", OPTION_FLAG, &c->no_cache},
		{"unconfined", OPTION_FLAG, &c->unconfined},
	};
	enum { SHARED = sizeof(shared) / sizeof(shared[0]) };
	struct command_option all[COMMAND_OPTIONS_MAX];
	int given, status = EXIT_OK, count;

	*c = (struct command_common){.connect = "qemu:///system", .cache = "/run/atom/vmi"};
	memcpy(all, shared, sizeof(shared));
	if (line->own_count > 0)
		memcpy(all + SHARED, line->own, line->own_count * sizeof(all[0]));
	count = options_parse(argc, argv, all, SHARED + line->own_count, line->help, &status);
	if (count < 0) {
		*ret_arguments = -1;
		return status;
	}
	*ret_arguments = count;
	given = (c->qmp != NULL) + (c->process != NULL) + (c->dump != NULL);
	if (given > 1 || count != line->leading + 1 - given)
		return terminal_fail(EXIT_USAGE,
				     "one VM, --qmp, --process or --dump must be given; see "
				     "atom-vmi %s --help",
				     argv[0]);
	status = take_common(c, ret_job, ret_target);
	if (given == 0)
		ret_target->vm = argv[line->leading + 1];
	return status;
}

int command_run(const struct job *job, const struct target_options *options, bool json,
		struct report **ret_report)
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
	if (ret_report)
		*ret_report = keep(report);
	return r < 0 ? EXIT_FAILED : EXIT_OK;
}
