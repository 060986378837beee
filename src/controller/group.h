#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VMs whose columns form one matrix, and the monitor of it. Rows are built when the watermarks
 * of its nodes have passed their time. On the loop's thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "controller/alarm.h"
#include "controller/fleet.h"
#include "controller/settings.h"
#include "controller/tuner.h"
#include "detect/monitor.h"

struct groups;
struct history;

struct column {
	struct vm *vm;
	enum metric metric;
};

struct group {
	char *name;
	const struct group_settings *selector; /* NULL: all VMs of the node of this name */
	struct monitor *monitor;
	struct column *columns; /* as the monitor's */
	double *row;
	size_t column_count, column_capacity;
	int64_t row_usec; /* of the newest row, 0: none */
	struct row_verdict verdict;
	struct tuning tuning;
	struct alarm *alarm;  /* while open */
	struct alarm *recent; /* the last one that was closed, or NULL */
	bool full;            /* said already that no more columns fit */
};

struct groups {
	struct map *by_name;
	const struct settings *settings;
	struct monitor_options options;
	struct tuner tuner;
	struct history *history;
	int64_t last_alarm;
	uint64_t alarms_opened;
};

int groups_init(struct groups *groups, const struct settings *settings, struct history *history);
void groups_deinit(struct groups *groups);

/* Whether the selector takes the VM. */
bool group_selects(const struct group_settings *selector, const struct vm *vm);

/* The group that a VM belongs to, made when it is the first; NULL when memory is out. */
struct group *groups_for(struct groups *groups, const struct vm *vm);

/* The VM's names or state changed: its columns leave the group that no longer takes it, or the
 * fleet. */
void groups_place(struct groups *groups, struct vm *vm);

/* A value of the series is there: it becomes a column if it is none. */
void groups_add_column(struct vm *vm, enum metric metric);

/* Delta changed: the column's floor with it. */
void groups_set_floor(struct vm *vm, enum metric metric);

/* The node's watermark has moved: rows that are due are built, tested and noted. */
void groups_advance(struct groups *groups, const struct fleet *fleet, const struct node *node);

/* The group's alarm of that number, open or the last one closed; NULL: none such. */
struct alarm *groups_find_alarm(const struct groups *groups, int64_t id);

/* The open alarm is normal: A is merged into M, and the episode ends (paper V). */
void groups_accept(struct group *group);

/* "learning", "normal", "abnormal", "shifted". */
const char *group_state_name(const struct group *group);
const char *row_state_name(enum row_state state);
size_t group_learning_columns(const struct group *group);
