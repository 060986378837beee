#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An alarm: one per episode of a group (paper V: its level is the number of rows in A), or several
 * that follow each other closely (flapping). Says what is behind it in one line, keeps the
 * evidence, the notes and the verdict as JSON and its history in the store. Shared by its group
 * and, until it is written, the history. On the loop's thread.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "detect/monitor.h"

struct group;
struct history;

/* open -> introspecting -> awaiting (a verdict); shifted: a lasting shift is suspected, or a slow
 * drift from the beginning; malicious may still be open, until its rows are normal again. Resolved
 * as one of the last three. */
enum alarm_state {
	ALARM_OPEN,
	ALARM_INTROSPECTING,
	ALARM_AWAITING,
	ALARM_SHIFTED,
	ALARM_MALICIOUS,
	ALARM_NORMAL,
	ALARM_CLEARED,
	ALARM_STATE_COUNT
};

enum { ALARM_NOTES_MAX = 100, ALARM_NOTE_SIZE_MAX = 2000 };

struct alarm {
	unsigned references;
	int64_t id;
	struct group *group;
	enum alarm_state state;
	int64_t opened_usec, closed_usec; /* times of rows; closed 0 while open */
	uint32_t level;
	uint32_t earlier_level; /* of the episodes before the present one */
	char *summary;
	json_t *evidence;
};

const char *alarm_state_name(enum alarm_state state);

/* Opens one with the onset's figures. Returns owned, NULL when memory is out. */
struct alarm *alarm_open(struct group *group, int64_t id, int64_t time_usec,
			 const struct row_verdict *verdict, struct history *history);

/* One that the store holds. Takes `evidence`. */
struct alarm *alarm_resume(struct group *group, int64_t id, const char *state, int64_t opened_usec,
			   int64_t closed_usec, uint32_t level, const char *summary,
			   json_t *evidence);
struct alarm *alarm_ref(struct alarm *alarm);
struct alarm *alarm_unref(struct alarm *alarm);

/* A row of the episode: identifies anew, notes what changed. */
void alarm_update(struct alarm *alarm, int64_t time_usec, const struct row_verdict *verdict,
		  struct history *history);
/* M has got used to the episode's rows. Nothing for one that began as a drift. */
void alarm_shift(struct alarm *alarm, int64_t time_usec, struct history *history);
/* The episode is over: malicious where that is the verdict, else cleared. */
void alarm_close(struct alarm *alarm, int64_t time_usec, const char *why, struct history *history);
/* A new episode that is the old one again: the same alarm goes on. */
void alarm_reopen(struct alarm *alarm, int64_t time_usec, const struct row_verdict *verdict,
		  struct history *history);
/* Whether an episode that has just begun in the group names a column that the alarm names. */
bool alarm_is_like(const struct alarm *alarm);

/* Looks into VMs have begun, or all have been answered: the state follows where none outranks it.
 */
void alarm_set_looking(struct alarm *alarm, bool is_looking, struct history *history);

/* A person's words. `by` is who, `project` whose person that is ("" nobody's in particular).
 * -E2BIG: too long or too many, -EINVAL: empty. */
int alarm_note(struct alarm *alarm, const char *by, const char *project, const char *text,
	       struct history *history, struct error *err);

/* The verdict of a person or a rule. ALARM_NORMAL closes the alarm; its group's monitor is the
 * caller's to tell. -EALREADY when that verdict stands. */
int alarm_judge(struct alarm *alarm, enum alarm_state verdict, const char *by, const char *note,
		int64_t time_usec, struct history *history, struct error *err);

/* "web2: NetworkOut up (8.3 sd), CPUUtilization up (7.2 sd); web3: ...; SPE 431 > Q 22.1" from
 * evidence; "over the limit with T2", "a slow drift" where SPE alone does not say why. Owned. */
char *alarm_summarise(const json_t *evidence);
