#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An alarm: one per episode of a group (paper V: its level is the number of rows in A). Says what
 * is behind it in one line, keeps the evidence as JSON and its history in the store. Owned by its
 * group while open, then by the history until it is written. On the loop's thread.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "detect/monitor.h"

struct group;
struct history;

struct alarm {
	int64_t id;
	struct group *group;
	const char *state; /* "open", "shifted", "cleared" */
	int64_t opened_usec, closed_usec;
	uint32_t level;
	char *summary;
	json_t *evidence;
};

/* Opens one with the onset's figures. Returns owned, NULL when memory is out. */
struct alarm *alarm_open(struct group *group, int64_t id, int64_t time_usec,
			 const struct row_verdict *verdict, struct history *history);

/* One that the store holds as open. Takes `evidence`. */
struct alarm *alarm_resume(struct group *group, int64_t id, const char *state, int64_t opened_usec,
			   uint32_t level, const char *summary, json_t *evidence);
struct alarm *alarm_free(struct alarm *alarm);

/* A row of the episode: identifies anew, notes what changed. */
void alarm_update(struct alarm *alarm, int64_t time_usec, const struct row_verdict *verdict,
		  struct history *history);
void alarm_shift(struct alarm *alarm, int64_t time_usec, struct history *history);
void alarm_close(struct alarm *alarm, int64_t time_usec, const char *why, struct history *history);

/* "web2: NetworkOut up (8.3 sd), CPUUtilization up (7.2 sd); web3: ...; SPE 431 > Q 22.1" from
 * evidence. Owned. */
char *alarm_summarise(const json_t *evidence);
