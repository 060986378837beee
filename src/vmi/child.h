#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The confined child of a job. It has the guest's memory, and a line to the parent; everything else
 * is taken from it before it reads the first byte of the guest.
 */
#include <stddef.h>

#include "vmi/job.h"

/* What the child does between fork and _exit(); returns its exit status. `profile` is the one that
 * was kept, or NULL. Borrows all. */
int child_run(const struct job *job, const struct target *target, int parent, const void *profile,
	      size_t profile_size);

/* JOB_END_PROCESS: adds its outcome to the session's report. */
int child_end_process(const struct job *job, struct session *session, struct error *err);
