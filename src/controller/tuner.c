/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/tuner.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "controller/fleet.h"
#include "controller/group.h"
#include "controller/history.h"
#include "controller/settings.h"
#include "track/grid.h"

void tuner_init(struct tuner *tuner, const struct settings *settings)
{
	*tuner = (struct tuner){
		.budget = {.method = (enum budget_method)settings->budget,
			   .alpha = settings->alpha,
			   .mu = settings->mu,
			   .power_loss_max = settings->power_loss_max > 0 ? settings->power_loss_max
									  : INFINITY},
		.period_rows = (size_t)settings->tune_rows,
		.window_rows = (size_t)settings->window_rows,
	};
	settings_delta_rules(settings, tuner->rules);
}

void tuning_init(const struct tuner *tuner, struct tuning *tuning)
{
	*tuning = (struct tuning){.power_loss = NAN};
	delta_plan_init(&tuning->plan, tuner->period_rows);
}

/* What is wanted */

static void note_mean(const struct tuner *tuner, struct series *series)
{
	if (series->tracker.state != TRACKER_GOOD)
		return;
	if (series->mean_rows < tuner->window_rows)
		series->mean_rows++;
	series->mean += (series->tracker.value - series->mean) / (double)series->mean_rows;
}

static void note_means(const struct tuner *tuner, const struct group *group)
{
	for (size_t i = 0; i < group->column_count; i++) {
		const struct column *column = &group->columns[i];

		if (tuner->rules[column->metric].source == DELTA_OF_MEAN)
			note_mean(tuner, &column->vm->series[column->metric]);
	}
}

/* NAN: not known (yet). */
static double wanted_of(const struct delta_rule *rule, const struct series *series, double by_mu)
{
	switch (rule->source) {
	case DELTA_OF_MU:
		return by_mu;
	case DELTA_OF_MEAN:
		return series->mean_rows >= MONITOR_CALIBRATION_ROWS
			       ? rule->share * fabs(series->mean)
			       : NAN;
	case DELTA_FIXED:
		break;
	}
	return rule->fixed;
}

static bool plan_column(const struct tuner *tuner, const struct column *column, double by_mu,
			enum delta_step step)
{
	const struct delta_rule *rule = &tuner->rules[column->metric];
	struct series *series = &column->vm->series[column->metric];
	double planned = series->planned;

	if (rule->source == DELTA_FIXED)
		return false;
	series->planned =
		delta_plan_next(planned, wanted_of(rule, series, by_mu), &rule->limits, step);
	return series->planned != planned;
}

/* The mean variance of the errors in force, in the model's units. */
static double variance_in_force(const struct group *group)
{
	const double *std = group->tuning.std;
	double sum = 0, count = 0;

	for (size_t i = 0; i < group->column_count; i++) {
		const struct column *column = &group->columns[i];
		double sigma = column->vm->series[column->metric].tracker.delta / sqrt(3) / std[i];

		if (isnan(std[i]))
			continue;
		sum += sigma * sigma;
		count++;
	}
	return count > 0 ? sum / count : 0;
}

/* Leaves the deviations in the workspace, NAN where there are none. */
static void look(const struct tuner *tuner, struct group *group)
{
	struct tuning *tuning = &group->tuning;
	struct budget_spectrum spectrum;

	tuning->budget = (struct budget){0};
	tuning->power_loss = NAN;
	if (monitor_spectrum(group->monitor, &spectrum, tuning->std) < 0) {
		for (size_t i = 0; i < group->column_count; i++)
			tuning->std[i] = NAN;
		return;
	}
	tuning->power_loss = budget_power_loss(&spectrum, variance_in_force(group));
	if (tuner->budget.mu > 0)
		budget_solve(&tuner->budget, &spectrum, &tuning->budget);
}

void tuner_row(const struct tuner *tuner, struct group *group)
{
	struct tuning *tuning = &group->tuning;
	bool trusted =
		group->verdict.state == ROW_NORMAL && !monitor_episode_is_open(group->monitor);
	enum delta_step step = delta_plan_row(&tuning->plan, trusted);
	bool changed = false;

	note_means(tuner, group);
	if (step == DELTA_STEP_NONE)
		return;
	look(tuner, group);
	for (size_t i = 0; i < group->column_count; i++)
		changed |= plan_column(tuner, &group->columns[i],
				       tuning->budget.delta * tuning->std[i], step);
	if (!changed)
		return;
	(void)delta_plan_commit(&tuning->plan);
	log_debug("group %s: set %llu of maximum errors, %.3g std", group->name,
		  (unsigned long long)tuning->plan.version, tuning->budget.delta);
}

void tuner_adopt(const struct tuner *tuner, struct series *series, enum metric metric, double delta)
{
	const struct delta_rule *rule = &tuner->rules[metric];

	if (rule->source == DELTA_FIXED)
		series->planned = rule->fixed;
	else
		series->planned = delta_plan_next(isnan(series->planned) ? delta : series->planned,
						  NAN, &rule->limits, DELTA_STEP_NONE);
}

/* What a node has in force */

static size_t collect(const struct node *node, struct wire_delta *items)
{
	size_t count = 0;

	for (size_t i = 0; i < fleet_series_count(node); i++) {
		enum metric metric;
		struct vm *vm;
		const struct series *series = fleet_series(node, i, &vm, &metric);

		if (series->planned != series->tracker.delta)
			items[count++] = (struct wire_delta){(uint32_t)i, series->planned};
	}
	return count;
}

static int send_deltas(struct node *node, struct wire_deltas *deltas)
{
	struct wire_message message = {.type = WIRE_DELTAS, .deltas = *deltas};
	cleanup(free) uint8_t *data = NULL;
	size_t size;
	int r = wire_encode(&message, &data, &size, NULL);

	return r < 0 ? r : bus_peer_send(node->peer, data, size);
}

void tuner_send(struct node *node)
{
	struct wire_deltas deltas = {.epoch = node->epoch, .version = node->delta_last + 1};
	cleanup(free) struct wire_delta *items = NULL;

	if (!node->peer || !node->in_epoch || node->delta_awaited)
		return;
	items = calloc(fleet_series_count(node) + 1, sizeof(*items));
	if (!items)
		return; /* with the next frame */
	deltas.items = items;
	deltas.count = collect(node, items);
	if (deltas.count == 0 || send_deltas(node, &deltas) < 0)
		return;
	node->delta_last = deltas.version;
	node->delta_awaited = true;
}

int tuner_set_grids(struct node *node, const struct wire_frame *frame, struct error *err)
{
	for (size_t i = 0; i < frame->delta_count; i++) {
		const struct wire_delta *told = &frame->deltas[i];
		int exponent;

		if (told->series >= fleet_series_count(node))
			return error_set(err, -EPROTO,
					 "a frame tells the maximum error of a series that is not "
					 "there");
		codec_set_exponent(node->codec, told->series,
				   track_grid_exponent(told->delta, &exponent) ? exponent
									       : CODEC_NO_GRID);
	}
	return 0;
}

void tuner_set_in_force(struct history *history, struct node *node, const struct wire_frame *frame)
{
	if (frame->delta_version == 0)
		return;
	for (size_t i = 0; i < frame->delta_count; i++) {
		enum metric metric;
		struct vm *vm;
		struct series *series = fleet_series(node, frame->deltas[i].series, &vm, &metric);

		series->tracker.delta = frame->deltas[i].delta;
		groups_set_floor(vm, metric);
		history_point(history, vm, metric, frame->watermark_usec);
	}
	node->delta_version = frame->delta_version;
	if (frame->delta_version < node->delta_last)
		return;
	node->delta_last = frame->delta_version;
	node->delta_awaited = false;
}

const char *delta_source_name(enum delta_source source)
{
	static const char *const names[] = {
		[DELTA_FIXED] = "fixed", [DELTA_OF_MEAN] = "mean", [DELTA_OF_MU] = "mu"};

	return names[source];
}
