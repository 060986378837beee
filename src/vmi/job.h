#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job: what the confined child does with a guest, and how its parent stands by. The parent holds
 * the monitor and the files; the child has the guest's memory and one line to the parent, parses,
 * and answers with a report. The parent believes nothing of what comes: it is bounded, decoded and
 * shown escaped. For main threads.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "introspect/end.h"
#include "vmi/session.h"
#include "vmi/target.h"
#include "wire/report.h"

enum job_kind { JOB_VIEWS, JOB_END_PROCESS, JOB_SYMBOLS };

struct job {
	enum job_kind kind;
	struct session_order order;
	struct end_order end; /* JOB_END_PROCESS */
	const char *cache;    /* folder for profiles; NULL: none is kept */
	bool unconfined;      /* for debuggers and sanitizers: without the sandbox */
	/* JOB_SYMBOLS: takes each piece of the file; a negative errno ends the job. */
	int (*take_data)(void *userdata, const void *bytes, size_t size);
	void *userdata;
};

/* Runs the job on the target and returns the report, owned. Whatever happens, the VM runs again
 * afterwards if it ran before, and the child has ended. Errors: what the child said; -ETIME past
 * the budget; -EPIPE when it died (with the signal). */
int job_run(const struct job *job, struct target *target, struct report **ret_report,
	    struct error *err);
