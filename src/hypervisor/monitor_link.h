#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two ways to a VM's monitor, below monitor.c: QMP commands go in, QMP answers come out. Made
 * by an open function, owned by the monitor that it is given to. One owner, one thread.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

struct monitor;
struct monitor_run;
struct monitor_link;

struct monitor_link_ops {
	/* `request` is {"execute": ..., "arguments": ...}, which the link may add to. The answer is
	 * an object with "return" or "error", returned owned. Errors: -ETIME, -ECONNRESET, -EPROTO,
	 * -EMSGSIZE, -EIO. After a time-out further commands may be tried. */
	int (*execute)(struct monitor_link *link, json_t *request, json_t **ret_answer,
		       struct error *err);
	int (*find_pid)(struct monitor_link *link, pid_t *ret_pid, struct error *err);
	void (*close)(struct monitor_link *link);
	/* monitor_run(), monitor_suspend() and monitor_resume() by other means than commands; NULL
	 * where there are none. */
	int (*ask_run)(struct monitor_link *link, struct monitor_run *ret_run, struct error *err);
	int (*set_run)(struct monitor_link *link, bool run, struct error *err);
};

/* The first member of each kind's struct. */
struct monitor_link {
	const struct monitor_link_ops *ops;
};

/* As monitor_open_qmp() and monitor_open_libvirt(); `timeout_usec` is that of each command. */
int monitor_link_open_qmp(const char *path, pid_t pid, int64_t timeout_usec,
			  struct monitor_link **ret_link, struct error *err);
int monitor_link_open_libvirt(const char *uri, const char *domain, int64_t timeout_usec,
			      struct monitor_link **ret_link, struct error *err);

/* Takes the link, also when it fails. */
int monitor_open_link(struct monitor_link *link, struct monitor **ret_monitor, struct error *err);

/* A JSON object, owned: an answer, an event or a greeting. Else -EPROTO with what is wrong. */
int monitor_link_parse(const char *text, size_t size, json_t **ret_object, struct error *err);
