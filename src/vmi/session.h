#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One look into a guest, in the confined child: what was ordered, the guest with its profile, the
 * report that is built, and the line to the parent, who alone can pause the VM. One owner, one
 * thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "introspect/guest.h"
#include "introspect/task.h"
#include "vmi/frame.h"
#include "vmi/target.h"
#include "wire/report.h"

enum { SESSION_VIEWS_MAX = 16, SESSION_TRIES = 4 };

struct session_order {
	uint32_t views[SESSION_VIEWS_MAX]; /* places in the table of views */
	size_t view_count;
	uint32_t pid;          /* only this process; 0: all */
	int64_t interval_usec; /* between the two samples of `top` */
	int64_t budget_usec;   /* of the wall clock, for everything but the interval */
	int64_t pause_usec;    /* the longest pause when reading live did not succeed; 0: none */
};

struct session {
	const struct session_order *order;
	const struct target *target; /* its memory and name; the monitor is the parent's */
	struct guest guest;
	struct report *report;
	int parent;
	int64_t started_usec, profile_usec; /* the clock at the start; how long the profile took */
	bool from_cache;
	struct task_list tasks; /* once session_tasks() was called */
	bool has_tasks;
	uint32_t retries;    /* readings thrown away since the guest was changing what was read */
	int64_t paused_usec; /* altogether */
	bool is_paused, is_unconfined;
	int has_landlock;
	uint32_t failed_views;
	bool is_list_lost; /* the list of processes led nowhere; said so */
};

/* The list of processes, read when it is asked for first and then kept. Reads live; where links
 * disagree, again; and at last paused, when that is allowed; else what the last try saw. */
int session_tasks(struct session *session, const struct task_list **ret_tasks, struct error *err);
/* Forgets it, and every page that was kept: what follows is the guest as it is now. */
void session_refresh(struct session *session);

/* One request to the parent and its answer: up to FRAME_ANSWER_MAX bytes into `answer` (may be NULL
 * with ret_size when none is expected). Errors: what the parent says, frame_receive()'s. */
int session_ask(struct session *session, enum frame_type type, const void *payload, size_t size,
		void *answer, size_t *ret_size, struct error *err);
/* The parent stops the VM, or lets it go on, before these return. A second pause is none. -EALREADY
 * when the VM was not running: then it is left so. */
int session_pause(struct session *session, struct error *err);
int session_resume(struct session *session, struct error *err);

/* The wall clock at the guest's boot, by the guest's own clock, in microseconds; -ENOENT when it
 * cannot be told. ret_uptime_nsec may be NULL. */
int session_boot_time(const struct session *session, uint64_t *ret_boot_usec,
		      uint64_t *ret_uptime_nsec);

void session_deinit(struct session *session);
