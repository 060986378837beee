#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of atom-vmi, one file each, and the options that they share: which guest, how long,
 * what is printed. For main().
 */
#include <stdbool.h>
#include <stddef.h>

#include "terminal/options.h"
#include "vmi/job.h"

enum { EXIT_REFUSED = 3, EXIT_ARMED = 4, COMMAND_OPTIONS_MAX = 24 };

struct command_common {
	const char *qmp, *process, *dump, *connect, *budget, *cache, *pid;
	bool json, no_cache, unconfined;
};

/* Parses argv by the options that all share and the command's own; checks that one guest is named
 * (argv[1], after `leading` arguments of the command's own, when no option names it) and fills
 * ret_job's common parts and ret_target. Returns EXIT_OK, or the status to end with, everything
 * said. */
struct command_line {
	const char *help;
	const struct command_option *own;
	size_t own_count;
	int leading;
};
int command_parse(int argc, char **argv, const struct command_line *line,
		  struct command_common *ret_common, struct job *ret_job,
		  struct target_options *ret_target, int *ret_arguments);

/* Opens the target, runs the job, prints the report. ret_report (may be NULL) is the caller's. */
int command_run(const struct job *job, const struct target_options *target, bool json,
		struct report **ret_report);

/* A command gets its name as argv[0] and returns the exit status. */
typedef int command_function(int argc, char **argv);
command_function command_look, command_kill, command_isf, command_snapshot;
