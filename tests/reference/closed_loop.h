#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tracking and monitoring together on rows of a file or a generator, without programs between
 * them: observers track, the monitor sees what is tracked, its model gives the next Deltas. For the
 * test of the loop and for bench/mu_bench. One owner.
 */
#include "detect/budget.h"
#include "detect/delta_plan.h"
#include "detect/monitor.h"
#include "track/observer.h"

typedef void budget_solver(const struct budget_options *options,
			   const struct budget_spectrum *spectrum, struct budget *ret_budget);

struct closed_loop_options {
	budget_solver *solve; /* NULL: Delta stays as it starts */
	struct budget_options budget;
	size_t period_rows;
	struct monitor_options monitor;
};

struct closed_loop {
	struct closed_loop_options options;
	size_t columns;
	struct observer *observers;
	struct monitor *monitor;
	struct delta_plan plan;
	double *tracked, *wanted;
	struct budget budget; /* the newest */
	size_t sent;
};

/* Deltas to start with, one per column. Returns owned, or NULL. */
struct closed_loop *closed_loop_new(const struct closed_loop_options *options, const double *deltas,
				    size_t columns);
struct closed_loop *closed_loop_free(struct closed_loop *loop);

/* One exact row; NAN where there is no value. -ERANGE where what is tracked is further off than
 * Delta. */
int closed_loop_offer(struct closed_loop *loop, const double *row, struct row_verdict *ret_verdict);

/* The Delta that a monitor's model asks for, per column; NAN: none. False without a model. */
bool closed_loop_wanted(const struct closed_loop_options *options, const struct monitor *monitor,
			struct budget *ret_budget, double *ret_wanted);
