#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QEMU's monitor of one VM, asked and waited for: for the introspector, which runs apart from the
 * loop of atom-node. A libvirt domain is reached through libvirt (which notes it as tainted by
 * "custom-monitor"), a bare QEMU by its QMP socket. Every call has a deadline. What QEMU answers is
 * bounded and checked. One owner, one thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

struct monitor;

enum { MONITOR_ANSWER_SIZE_MAX = 4 << 20, MONITOR_TIMEOUT_USEC = 5000000 };

/* By the socket of a bare QEMU. `pid` is its process, whose root and working directory `path` is
 * seen from; 0: our own. */
int monitor_open_qmp(const char *path, pid_t pid, struct monitor **ret_monitor, struct error *err);
/* By libvirt: `domain` is a name or UUID. */
int monitor_open_libvirt(const char *uri, const char *domain, struct monitor **ret_monitor,
			 struct error *err);
struct monitor *monitor_free(struct monitor *monitor);

/* A command of the human monitor ("info mtree -f"); its text, owned. */
int monitor_human(struct monitor *monitor, const char *command, char **ret_text, struct error *err);
/* Ends or begins the running of the vCPUs, and returns when that has happened. Stopping a VM that
 * does not run is -EALREADY, so that nobody resumes what somebody else had paused. */
int monitor_stop(struct monitor *monitor, struct error *err);
int monitor_cont(struct monitor *monitor, struct error *err);

struct monitor_state {
	bool running;
	bool migrating;  /* outgoing or incoming, or a snapshot being written: do not write */
	char status[32]; /* QEMU's word: "running", "paused", "inmigrate", ... */
};
int monitor_state(struct monitor *monitor, struct monitor_state *ret_state, struct error *err);

/* Pausing a VM for good, as an operator's order: by libvirt's own operation where the monitor is
 * libvirt's, so that it knows of it (the domain is not tainted by that), else by QEMU's stop and
 * cont. */
struct monitor_run {
	bool running;
	bool is_passing; /* paused through the monitor: may be a look's pause, which ends by itself
			  */
	bool is_ordered; /* paused by an order: libvirt knows of one, or a bare QEMU is "paused" */
	bool is_busy;    /* not running because of a migration, a save, its end: not to be resumed
			  */
	char status[32]; /* QEMU's word, or libvirt's reason in a word: "running", "paused", ... */
};
int monitor_run(struct monitor *monitor, struct monitor_run *ret_run, struct error *err);
/* Not for a VM that is so already, which libvirt refuses. After -ETIME it may still happen. */
int monitor_suspend(struct monitor *monitor, struct error *err);
int monitor_resume(struct monitor *monitor, struct error *err);

/* The process that runs the VM: given to monitor_open_qmp() or found by the socket's peer; with
 * libvirt found by the domain's UUID among the processes. -ESRCH when it cannot be told. */
int monitor_pid(struct monitor *monitor, pid_t *ret_pid, struct error *err);
