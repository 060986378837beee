#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The views: what can be asked about a guest, one table of names. Each adds one or more tables to
 * the session's report.
 */
#include <stddef.h>

#include "vmi/session.h"

typedef int view_function(struct session *session, struct error *err);

struct view {
	const char *name;
	view_function *run;
	const char *help;
};

extern const struct view view_table[];
extern const size_t view_count;

/* The place of a name in the table, or -1. */
int view_find(const char *name);

view_function view_info, view_ps, view_tree, view_exe, view_net, view_files, view_modules,
	view_syscalls, view_hidden, view_top;

#define VIEW_TABLE(session, name, columns) \
	report_table((session)->report, name, columns, sizeof(columns) / sizeof((columns)[0]), true)

/* Whether the order asks for this process (or for all). */
static inline int view_wants(const struct session *session, uint32_t pid)
{
	return session->order->pid == 0 || session->order->pid == pid;
}
