#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tracker's side for one series: the value held, the Delta that was in force for it, and
 * whether it may be believed. Times are the node's watermarks in wall-clock microseconds. Embedded,
 * one thread.
 */
#include <stdint.h>

enum tracker_state {
	TRACKER_UNKNOWN, /* nothing received under this epoch */
	TRACKER_GOOD,    /* |f - value| <= delta at every instant up to the watermark */
	TRACKER_GAP,     /* the observer said that it could not read the source */
	TRACKER_STALE,   /* the node has been silent: the value is the last known one */
};

struct tracker {
	enum tracker_state state;
	double value;
	double delta;
	int64_t since_usec; /* when `value` or `state` last changed */
	uint64_t received;  /* values received */
	uint64_t ticks;     /* samples that the observer took: what send-always would have cost */
};

/* Starts unknown; called again for a new epoch, which keeps the counts. */
void tracker_start_epoch(struct tracker *tracker, double delta);

void tracker_receive(struct tracker *tracker, double value, int64_t time_usec);
void tracker_receive_gap(struct tracker *tracker, int64_t time_usec);

/* The node's watermark has passed one more sample of the series. */
void tracker_tick(struct tracker *tracker);

/* The node is silent (or is heard of again under a new epoch: tracker_start_epoch()). */
void tracker_mark_stale(struct tracker *tracker, int64_t time_usec);

/* "good", "gap", "stale", "unknown". */
const char *tracker_state_name(enum tracker_state state);
