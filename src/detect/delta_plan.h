#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a Delta moves towards the one that is wanted. What is wanted comes from a model of tracked
 * rows and wavers with it, and every change costs messages and feeds back into the model; so small
 * differences are let be, a smaller Delta is taken in full and soon, a larger one is approached in
 * steps, seldom, and only while the model is to be trusted. The rule for one series is pure; the
 * plan counts a group's rows and numbers its sets of Deltas. Embedded; one owner.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In the series' own units: 0 <= floor <= cap. */
struct delta_limits {
	double floor, cap;
};

/* Differences up to this share of the Delta in force are let be. */
#define DELTA_PLAN_CHANGE_MIN 0.1
/* The share of the way that one step up takes. */
#define DELTA_PLAN_GROWTH 0.25
/* Between two looks for Deltas to be made smaller: a tenth of the rows between two for larger. */
enum { DELTA_PLAN_SHRINK_LOOKS = 10 };

struct delta_plan {
	size_t period_rows; /* r: between two steps up */
	size_t rows;        /* since the last of them was possible */
	uint64_t version;   /* of the set of Deltas; 0: none has been set */
};

enum delta_step {
	DELTA_STEP_NONE,   /* not a row at which anything changes */
	DELTA_STEP_SHRINK, /* only down */
	DELTA_STEP_ANY,
};

/* period_rows >= 1. */
void delta_plan_init(struct delta_plan *plan, size_t period_rows);

/* One more row; `trusted` is whether its model may make a Delta larger (an open episode, or a model
 * that learns, may not). A step up that falls on rows without trust is made at the first with. */
enum delta_step delta_plan_row(struct delta_plan *plan, bool trusted);

/* The set has changed: returns its version. */
uint64_t delta_plan_commit(struct delta_plan *plan);

/* The Delta to be in force in place of `delta`, which itself is the answer where nothing changes.
 * Always within the limits; beyond them it goes there at once, whatever the step. `wanted` >= 0 and
 * finite, or NAN: not known. */
double delta_plan_next(double delta, double wanted, const struct delta_limits *limits,
		       enum delta_step step);
