/* SPDX-License-Identifier: Apache-2.0 */
#include "closed_loop.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/cleanup.h"

DEFINE_CLEANUP(struct closed_loop *, closed_loop_free)

static const struct delta_limits no_limits = {0, INFINITY};

struct closed_loop *closed_loop_new(const struct closed_loop_options *options, const double *deltas,
				    size_t columns)
{
	cleanup(closed_loop_free) struct closed_loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return NULL;
	loop->options = *options;
	loop->columns = columns;
	loop->observers = calloc(columns, sizeof(*loop->observers));
	loop->tracked = calloc(columns, sizeof(*loop->tracked));
	loop->wanted = calloc(columns, sizeof(*loop->wanted));
	delta_plan_init(&loop->plan, options->period_rows);
	if (!loop->observers || !loop->tracked || !loop->wanted ||
	    monitor_new(&options->monitor, &loop->monitor, NULL) < 0)
		return NULL;
	for (size_t j = 0; j < columns; j++) {
		observer_init(&loop->observers[j], deltas[j], true);
		if (monitor_add_column(loop->monitor, deltas[j] / sqrt(3), NULL) < 0)
			return NULL;
	}
	return keep(loop);
}

struct closed_loop *closed_loop_free(struct closed_loop *loop)
{
	if (!loop)
		return NULL;
	monitor_free(loop->monitor);
	free(loop->observers);
	free(loop->tracked);
	free(loop->wanted);
	free(loop);
	return NULL;
}

bool closed_loop_wanted(const struct closed_loop_options *options, const struct monitor *monitor,
			struct budget *ret_budget, double *ret_wanted)
{
	struct budget_spectrum spectrum;

	if (monitor_spectrum(monitor, &spectrum, ret_wanted) < 0)
		return false;
	options->solve(&options->budget, &spectrum, ret_budget);
	for (size_t j = 0; j < monitor_columns(monitor); j++)
		ret_wanted[j] *= ret_budget->delta;
	return true;
}

static void adapt(struct closed_loop *loop, enum delta_step step)
{
	if (!closed_loop_wanted(&loop->options, loop->monitor, &loop->budget, loop->wanted))
		return;
	for (size_t j = 0; j < loop->columns; j++) {
		struct observer *observer = &loop->observers[j];
		double delta = delta_plan_next(observer->delta, loop->wanted[j], &no_limits, step);

		if (delta == observer->delta)
			continue;
		loop->sent += observer_set_delta(observer, delta) == OBSERVER_SEND;
		monitor_set_floor(loop->monitor, j, delta / sqrt(3));
	}
}

static int track(struct closed_loop *loop, const double *row)
{
	for (size_t j = 0; j < loop->columns; j++) {
		struct observer *observer = &loop->observers[j];

		loop->sent += observer_offer(observer, row[j]) != OBSERVER_SILENT;
		loop->tracked[j] = observer_held(observer) ? observer_value(observer) : NAN;
		if (isfinite(row[j]) && !(fabs(row[j] - loop->tracked[j]) <= observer->delta))
			return -ERANGE;
	}
	return 0;
}

int closed_loop_offer(struct closed_loop *loop, const double *row, struct row_verdict *ret_verdict)
{
	enum delta_step step;
	int r = track(loop, row);

	if (r == 0)
		r = monitor_offer(loop->monitor, loop->tracked, ret_verdict, NULL);
	if (r < 0 || !loop->options.solve)
		return r;
	step = delta_plan_row(&loop->plan, ret_verdict->state == ROW_NORMAL &&
						   !monitor_episode_is_open(loop->monitor));
	if (step != DELTA_STEP_NONE)
		adapt(loop, step);
	return 0;
}
