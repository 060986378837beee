#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run of a program: started without a shell, given its standard input, its standard output read
 * up to a limit, of its standard error the end kept, and ended when its time is over, first by
 * SIGTERM, a second later by SIGKILL. Never blocks. On the loop's thread of a process that ignores
 * SIGPIPE.
 */
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "wire/wire.h"

/* Why a run did not go as it should whatever the program says; the first thing counts. */
enum program_trouble {
	PROGRAM_NO_TROUBLE,
	PROGRAM_LATE,      /* its time was over */
	PROGRAM_TOO_LARGE, /* it wrote more than `output_max` */
	PROGRAM_NO_MEMORY,
};

/* What a run has left behind. Borrowed for the call that tells of it. */
struct program_result {
	enum program_trouble trouble;
	int64_t exit_status;
	int signal; /* that ended it; 0: none */
	uint8_t *output;
	size_t output_size;
	/* The last line on stderr that is not empty, as text that a message takes; "" none. */
	char complaint[WIRE_NAME_MAX + 1];
	const char *errors; /* the end of what it said on stderr: any bytes, then a NUL */
	size_t errors_size;
};

/* Called once, from the loop; the run is gone when it returns. It may start other runs. */
typedef void program_run_ended(void *userdata, const struct program_result *result);

struct program_options {
	const char *const *arguments; /* NULL after the last; the first is the program's file, or
					 its name in PATH. Only read during the call */
	const char *input;            /* copied; NULL: /dev/null */
	size_t input_size;
	size_t output_max;    /* bytes */
	int64_t timeout_usec; /* from the start */
	program_run_ended *ended;
	void *userdata;
};

struct program_run;

/* 0, or what the system says when the program cannot be started (-ENOENT, -EACCES, -ENOMEM ...):
 * then `ended` is not called. */
int program_run_new(uv_loop_t *loop, const struct program_options *options,
		    struct program_run **ret_run);
/* Ends a program that runs, and nothing is told any more. The loop must run on until it has ended,
 * a second at most. Not for a run that has ended. */
struct program_run *program_run_free(struct program_run *run);

/* Where a program of ours is: `name` with a slash is its path; else it is looked for in the folder
 * of this process' own program, in its neighbour ../vmi (a build), and left to PATH. Returns owned,
 * NULL when memory is out. */
char *program_find(const char *name);
/* The last part of the path, for people. Borrowed from it. */
const char *program_name(const char *path);
