/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/horizon.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "detect/threshold.h"
#include "detect/window.h"

#define MEAN_LEAST 1e-12 /* an index of columns that have all stood still is 0 */

struct horizon {
	struct horizon_options options;
	struct window *window, *waiting, *held;
	struct model *model;
	struct calibration calibration;
	bool *active; /* per column: takes part */
	double *row;  /* workspace, a place per column */
	size_t columns_capacity;
	size_t turn, stride, stride_max;
	size_t held_rows;  /* since the last unlocking */
	size_t run, known; /* rows above the limit, below it, in a row */
	bool is_built, is_old;
	bool is_open, is_stuck; /* unlocked; and no row has been below the limit since */
};

DEFINE_CLEANUP(struct horizon *, horizon_free)

static size_t held_places(const struct horizon_options *options)
{
	return options->unlock_rows < options->rows ? options->unlock_rows : options->rows;
}

int horizon_new(const struct horizon_options *options, struct horizon **ret_horizon,
		struct error *err)
{
	cleanup(horizon_free) struct horizon *horizon = calloc(1, sizeof(*horizon));

	if (!horizon)
		return error_set(err, -ENOMEM, "out of memory");
	horizon->options = *options;
	horizon->stride = 1;
	horizon->stride_max = options->span > options->rows ? options->span / options->rows : 1;
	horizon->window = window_new(options->rows);
	horizon->waiting = window_new(options->quarantine_rows ? options->quarantine_rows : 1);
	horizon->held = window_new(held_places(options));
	horizon->model = model_new(&options->model);
	if (!horizon->window || !horizon->waiting || !horizon->held || !horizon->model)
		return error_set(err, -ENOMEM, "out of memory for a window of %zu rows",
				 options->rows);
	calibration_init(&horizon->calibration, options->memory, options->alpha);
	*ret_horizon = keep(horizon);
	return 0;
}

struct horizon *horizon_free(struct horizon *horizon)
{
	if (!horizon)
		return NULL;
	window_free(horizon->window);
	window_free(horizon->waiting);
	window_free(horizon->held);
	model_free(horizon->model);
	free(horizon->active);
	free(horizon->row);
	free(horizon);
	return NULL;
}

static int reserve_columns(struct horizon *horizon, size_t columns)
{
	size_t capacity = 2 * columns;
	bool *active;
	double *row;

	if (columns <= horizon->columns_capacity)
		return 0;
	active = reallocarray(horizon->active, capacity, sizeof(*active));
	horizon->active = active ? active : horizon->active;
	row = reallocarray(horizon->row, capacity, sizeof(*row));
	horizon->row = row ? row : horizon->row;
	if (!active || !row)
		return -ENOMEM;
	horizon->columns_capacity = capacity;
	return 0;
}

int horizon_add_column(struct horizon *horizon)
{
	struct window *windows[] = {horizon->window, horizon->waiting, horizon->held};
	size_t column = window_columns(horizon->window);

	if (reserve_columns(horizon, column + 1) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < 3; i++) {
		if (window_add_column(windows[i]) == 0)
			continue;
		while (i-- > 0)
			window_remove_column(windows[i], column);
		return -ENOMEM;
	}
	horizon->active[column] = false;
	return 0;
}

void horizon_remove_column(struct horizon *horizon, size_t column)
{
	size_t after = window_columns(horizon->window) - column - 1;

	window_remove_column(horizon->window, column);
	window_remove_column(horizon->waiting, column);
	window_remove_column(horizon->held, column);
	model_forget_column(horizon->model, column);
	memmove(&horizon->active[column], &horizon->active[column + 1],
		after * sizeof(*horizon->active));
	horizon->is_old = true;
}

/* A column takes part once min_rows rows hold a value of it, and for as long as two do. Returns how
 * many do. */
static size_t choose_active(struct horizon *horizon)
{
	size_t count = 0;

	for (size_t i = 0; i < window_columns(horizon->window); i++) {
		size_t present = window_present(horizon->window, i);
		bool active = present >= (horizon->active[i] ? 2 : horizon->options.min_rows);

		if (active != horizon->active[i])
			horizon->is_old = true;
		horizon->active[i] = active;
		count += active;
	}
	return count;
}

int horizon_settle(struct horizon *horizon, const double *floors, struct error *err)
{
	int r;

	if (window_rows(horizon->window) < horizon->options.min_rows || choose_active(horizon) == 0)
		return 0;
	if (horizon->is_built && !horizon->is_old) {
		model_set_floors(horizon->model, floors);
		r = model_settle(horizon->model, horizon->window, err);
		return r < 0 ? r : 1;
	}
	horizon->is_built = false;
	r = model_build(horizon->model, horizon->window, horizon->active, floors, err);
	if (r < 0)
		return r;
	horizon->is_built = true;
	horizon->is_old = false;
	return 1;
}

/* Scores */

/* SPE is told in units of this. A model without residual variance has the unit 1: there each column
 * that moves by its floor counts 1. */
static double unit_of_spe(const struct horizon *horizon)
{
	double theta1 = model_thetas(horizon->model)->theta1;

	return theta1 > 0 ? theta1 : 1;
}

struct index_shape horizon_shape(const struct horizon *horizon)
{
	const struct thetas *thetas = model_thetas(horizon->model);
	struct thetas sums;

	if (!(thetas->theta3 > 0))
		return (struct index_shape){1, 0, 1};
	sums = threshold_index(thetas, model_components(horizon->model),
			       horizon->options.t2_weight);
	return (struct index_shape){sums.theta1, sqrt(2 * sums.theta2), threshold_degrees(&sums)};
}

static void score_by_paper(const struct horizon *horizon, struct horizon_score *score)
{
	const struct thetas *thetas = model_thetas(horizon->model);
	double q = thetas->theta3 > 0 ? threshold_jackson_mudholkar(thetas, horizon->options.alpha)
				      : 0;

	score->index = score->spe;
	score->limit = fmax(q, model_floor_energy(horizon->model));
}

/* What is off by no more than one floor in one column is no anomaly, whatever the calibration. */
static void score_calibrated(struct horizon *horizon, double t2, struct horizon_score *score)
{
	double unit = unit_of_spe(horizon), k = (double)model_components(horizon->model);
	struct index_shape shape = horizon_shape(horizon);

	score->index = score->spe / unit + (k > 0 ? horizon->options.t2_weight * t2 / k : 0);
	score->limit = fmax(calibration_limit(&horizon->calibration, &shape),
			    fmin(1, model_floor_energy(horizon->model)) / unit);
}

int horizon_score(struct horizon *horizon, const double *row, struct horizon_score *ret_score)
{
	struct model_score figures;
	struct horizon_score score = {.components = model_components(horizon->model)};
	int r = model_score(horizon->model, row, &figures);

	if (r < 0 || figures.present == 0)
		return r;
	score.spe = figures.spe;
	if (horizon->options.calibrated)
		score_calibrated(horizon, figures.t2, &score);
	else
		score_by_paper(horizon, &score);
	score.ratio = score.limit > 0 ? score.index / score.limit : score.index > 0 ? INFINITY : 0;
	score.spe_limit =
		horizon->options.calibrated ? score.limit * unit_of_spe(horizon) : score.limit;
	*ret_score = score;
	return 1;
}

bool horizon_is_calibrated(const struct horizon *horizon)
{
	return !horizon->options.calibrated || calibration_is_ready(&horizon->calibration);
}

double horizon_mean_index(const struct horizon *horizon)
{
	return fmax(calibration_mean(&horizon->calibration), MEAN_LEAST);
}

/* What enters */

static void push(struct horizon *horizon, const double *row)
{
	if (!horizon->is_built || horizon->is_old ||
	    model_slide(horizon->model, horizon->window, row, NULL) < 0)
		horizon->is_old = true;
	window_push(horizon->window, row);
}

static void thin(struct horizon *horizon)
{
	window_thin(horizon->window);
	horizon->stride *= 2;
	horizon->is_old = true;
}

static bool has_its_turn(struct horizon *horizon)
{
	if (horizon->turn++ % horizon->stride != 0)
		return false;
	if (window_rows(horizon->window) == horizon->options.rows &&
	    2 * horizon->stride <= horizon->stride_max)
		thin(horizon);
	return true;
}

void horizon_learn(struct horizon *horizon, const double *row)
{
	push(horizon, row);
}

static void limit_row(struct horizon *horizon, const double *row)
{
	const struct model *model = horizon->model;
	double limit = horizon->options.limit;

	memcpy(horizon->row, row, window_columns(horizon->window) * sizeof(*row));
	for (size_t j = 0; limit > 0 && horizon->is_built && j < model_columns(model); j++) {
		long column = model_window_column(model, j);
		double mean = model_mean(model, j), reach = limit * model_std(model, j);

		if (column != MODEL_NO_COLUMN && !isnan(row[column]))
			horizon->row[column] = fmin(fmax(row[column], mean - reach), mean + reach);
	}
}

static void enter(struct horizon *horizon, const double *row)
{
	if (!has_its_turn(horizon))
		return;
	limit_row(horizon, row);
	push(horizon, horizon->row);
}

/* The oldest that waits enters, and the row waits in its place. */
static void accept(struct horizon *horizon, const double *row)
{
	size_t places = horizon->options.quarantine_rows;

	if (places == 0) {
		enter(horizon, row);
		return;
	}
	if (window_rows(horizon->waiting) == places)
		enter(horizon, window_row(horizon->waiting, 0));
	window_push(horizon->waiting, row);
}

/* The mean of a column over the rows `from` and later, NAN where none holds a value. */
static double column_mean(const struct window *window, size_t column, size_t from)
{
	double sum = 0;
	size_t count = 0;

	for (size_t i = from; i < window_rows(window); i++) {
		double value = window_row(window, i)[column];

		sum += isnan(value) ? 0 : value;
		count += !isnan(value);
	}
	return count > 0 ? sum / (double)count : NAN;
}

/* The window moves to the level of the later half of what was held. */
static void move(struct horizon *horizon)
{
	size_t from = window_rows(horizon->held) / 2;

	for (size_t column = 0; column < window_columns(horizon->window); column++) {
		double offset = column_mean(horizon->held, column, from) -
				column_mean(horizon->window, column, 0);

		if (isfinite(offset))
			window_move_column(horizon->window, column, offset);
	}
	horizon->is_old = true;
}

static void unlock(struct horizon *horizon)
{
	if (horizon->options.move)
		move(horizon);
	for (size_t i = 0; i < window_rows(horizon->held); i++)
		if (has_its_turn(horizon))
			push(horizon, window_row(horizon->held, i));
	window_clear(horizon->held);
	horizon->held_rows = 0;
	horizon->is_open = !horizon->options.move;
	horizon->is_stuck = true;
}

static enum horizon_answer hold(struct horizon *horizon, const double *row)
{
	horizon->known = 0;
	if (horizon->run == 2)
		window_clear(horizon->waiting);
	if (horizon->is_open) {
		accept(horizon, row);
		return HORIZON_ACCEPTED;
	}
	if (horizon->options.unlock_rows == SIZE_MAX)
		return HORIZON_HELD;
	window_push(horizon->held, row);
	if (++horizon->held_rows < horizon->options.unlock_rows)
		return HORIZON_HELD;
	unlock(horizon);
	return HORIZON_UNLOCKED;
}

/* The first of a run above the limit counts, as some times the limit: one in 1 / alpha should be
 * there. So do those that follow an unlocking that has not helped: it is the limit that is off. */
static void calibrate(struct horizon *horizon, const struct horizon_score *score)
{
	bool above = horizon_is_calibrated(horizon) && score->ratio > 1;

	if (horizon->options.calibrated && (!above || horizon->run == 0 || horizon->is_stuck))
		calibration_add(&horizon->calibration, score->index);
	horizon->run = above ? horizon->run + 1 : 0;
	horizon->is_stuck = horizon->is_stuck && above;
}

enum horizon_answer horizon_offer(struct horizon *horizon, const double *row,
				  const struct horizon_score *score)
{
	if (score)
		calibrate(horizon, score);
	if (score && score->ratio > 1 && horizon_is_calibrated(horizon))
		return hold(horizon, row);
	if (++horizon->known >= horizon->options.known_rows) {
		window_clear(horizon->held);
		horizon->held_rows = 0;
		horizon->is_open = false;
	}
	accept(horizon, row);
	return HORIZON_ACCEPTED;
}

size_t horizon_rows(const struct horizon *horizon)
{
	return window_rows(horizon->window);
}

bool horizon_uses(const struct horizon *horizon, size_t column)
{
	return horizon->active[column];
}

const struct model *horizon_model(const struct horizon *horizon)
{
	return horizon->model;
}
