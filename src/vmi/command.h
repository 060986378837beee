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
#include "wire/vmi_exit.h"

/* Which of the shared options a command takes beside those that name the guest. */
enum command_takes {
	COMMAND_TAKES_REPORT = 1,
	COMMAND_TAKES_JOB = 2 | COMMAND_TAKES_REPORT,
	COMMAND_TAKES_PID = 4
};

struct command {
	/* What the command sets. */
	const char *help;
	unsigned takes;
	const struct command_option *own; /* at most COMMAND_OWN_MAX */
	size_t own_count;
	/* What its command line says. */
	bool json, encoded;
	const char *pid, *budget; /* NULL: not given */
	struct job job;
	struct target_options target;
};

enum { COMMAND_OWN_MAX = 8 };

/* Fills the parts of the job and the target that the shared options say. False: end with
 * *ret_status, everything has been said. */
bool command_parse(struct command *command, int argc, char **argv, int *ret_status);

/* Opens the target, runs the job, prints the report and returns the exit status. ret_report (may be
 * NULL) is the caller's. */
int command_run(const struct command *command, struct report **ret_report);

/* Prints it as the options say; 0, -ENOMEM or -EIO. */
int command_print(const struct command *command, const struct report *report);

/* The cell of a table's first row, if it is there, known and of that kind; else NULL. The report is
 * the confined child's word, so that nothing of this goes without saying. */
const struct report_cell *command_find(const struct report *report, const char *table,
				       const char *column, enum report_kind kind);

/* A command gets its name as argv[0] and returns the exit status. */
typedef int command_function(int argc, char **argv);
command_function command_look, command_kill, command_pause, command_resume, command_isf,
	command_snapshot;
