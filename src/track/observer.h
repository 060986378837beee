#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The observer's side of online tracking for one series (paper III, Algorithm 1, corrected; the
 * corrections and their reasons are in docs/paper.md). The midrange form: within a round the
 * observer keeps the smallest and the largest value seen; their middle is the centre of the set of
 * values that would have served the whole round, whatever Delta is.
 *
 * Guarantee: after each observer_offer() either `fabs(f - observer_value()) <= delta` in IEEE
 * double arithmetic, or the observer is in a gap and has said so. Embedded, no allocation, one
 * thread.
 */
#include <stdbool.h>

enum observer_answer {
	OBSERVER_SILENT, /* the value that the tracker holds is still good */
	OBSERVER_SEND,   /* send observer_value() */
	OBSERVER_GAP,    /* tell the tracker that the value is unknown from now on */
};

struct observer {
	double low, high; /* of the samples of this round */
	double value;     /* g, what the tracker holds */
	double last;      /* f, the newest sample */
	double delta;
	bool snap;
	bool held; /* false: gap, or nothing offered yet */
	bool started;
};

/* delta >= 0 and finite, in the series' units (assert). With snap, a sent value is put on the grid
 * of track_grid_exponent(delta) whenever that keeps the guarantee, so that it codes in few bytes;
 * without, it is the midrange itself. Starts in a gap that has not been announced. */
void observer_init(struct observer *observer, double delta, bool snap);

/* One sample. NaN or an infinity means "not readable": OBSERVER_GAP once, then OBSERVER_SILENT
 * until the next finite sample, which is always sent. */
enum observer_answer observer_offer(struct observer *observer, double sample);

/* A new maximum error from now on. OBSERVER_SEND when the value held is no longer good enough. */
enum observer_answer observer_set_delta(struct observer *observer, double delta);

/* A new connection or a new epoch: OBSERVER_SEND (starts a round at the newest sample), or
 * OBSERVER_GAP when no sample is held. */
enum observer_answer observer_restart(struct observer *observer);

/* g. Only while observer_held(). */
double observer_value(const struct observer *observer);
bool observer_held(const struct observer *observer);
