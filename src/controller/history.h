#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is to be written: the points, rows, alarms and events of a tick gather here and go into the
 * store in one transaction. When the store fails they stay, bounded, and go with a later tick, so
 * that a disk that is full for a while leaves no hole. Embedded; on the loop's thread.
 */
#include <stdbool.h>

#include "controller/fleet.h"
#include "store/store.h"

struct history;
struct alarm;

enum { HISTORY_POINTS_MAX = 2000000, HISTORY_ROWS_MAX = 100000, HISTORY_EVENTS_MAX = 10000 };

int history_new(const char *path, struct history **ret_history, struct error *err);
struct history *history_free(struct history *history);

/* For reading. */
struct store *history_store(struct history *history);

/* The tracker's present state, from time_usec on. */
void history_point(struct history *history, struct vm *vm, enum metric metric, int64_t time_usec);
void history_row(struct history *history, const char *group, const struct store_row *row);
/* The alarm as it will be at history_write(). */
void history_alarm(struct history *history, struct alarm *alarm);
/* `vm` is the UUID of the one that the text speaks of, "" where it is none or several. */
void history_event(struct history *history, int64_t alarm, int64_t time_usec, const char *event,
		   const char *vm, const char *text);

/* Is told of each event before it is written. One. */
typedef void history_listener(void *userdata, int64_t alarm, const char *event, const char *vm,
			      const char *text);
void history_listen(struct history *history, history_listener *listener, void *userdata);

/* One transaction. A failure is logged once, until it works again. */
void history_write(struct history *history);

/* The same on the disk before it returns, together with what `part` writes: all of it, or, where an
 * error is returned, nothing. */
typedef int history_part(void *userdata, struct error *err);
int history_commit(struct history *history, history_part *part, void *userdata, struct error *err);

/* Forgets the events since the mark: what they tell of has been undone. */
size_t history_mark(const struct history *history);
void history_undo(struct history *history, size_t mark);

/* Deletes what is too old, a little at a time. */
void history_expire(struct history *history, int64_t before_usec);

/* NULL when all is well, else why writing fails. */
const char *history_problem(const struct history *history);
bool history_is_empty(const struct history *history);
uint64_t history_failures(const struct history *history);
