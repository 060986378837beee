#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes by views that do not depend on each other: the list of tasks, the table of pids, the
 * parents' lists of children, and the run queues (a task that uses the CPU must be there). A
 * rootkit that unlinks a task from one leaves it in another. While the guest forks and exits, views
 * differ for moments, even while it is paused in the middle of that: only what differs in the same
 * way over several samples counts.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "introspect/guest.h"
#include "introspect/task.h"

enum {
	HIDDEN_VIEW_LIST = 1,
	HIDDEN_VIEW_PIDS = 2,
	HIDDEN_VIEW_CHILDREN = 4,
	HIDDEN_VIEW_RUNNING = 8,
	HIDDEN_CPUS_MAX = 1024,
	HIDDEN_SAMPLES = 3,
	HIDDEN_SAMPLE_GAP_USEC = 10000,
};

struct hidden_entry {
	uint64_t address, start_nsec;
	uint32_t views;
};

struct hidden_sample {
	struct hidden_entry *entries; /* owned: every process that some view has */
	size_t count;
	uint32_t odd;        /* entries that hidden_is_odd() */
	uint32_t unreadable; /* parts of views that could not be followed */
};
/* `tasks` is the list's view of the same moment. Errors: -ETIME, -EIO, -ENOMEM. */
int hidden_sample_read(const struct guest *guest, const struct task_list *tasks,
		       struct hidden_sample *ret_sample);
void hidden_sample_deinit(struct hidden_sample *sample);

/* Not in the list, or not in the table of pids. */
bool hidden_is_odd(const struct hidden_entry *entry);
/* Drops of `sample` what is not odd in the same way (same task, same start) in `other`. */
void hidden_sample_intersect(struct hidden_sample *sample, const struct hidden_sample *other);
