/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The five steps of paper IV-C and the life of an episode:
 *
 *   quiet --abnormal--> pending --onset_rows in a row--> open --unlock_rows--> shifted
 *     ^                    |                              |                       |
 *     +----one normal------+------clear_rows normal-------+-----------------------+
 *
 * Abnormal rows go into A, normal rows into M. A shifted episode has given A to M, and its rows go
 * into M.
 */
#include "detect/monitor.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "detect/budget.h"
#include "detect/identify.h"
#include "detect/model.h"
#include "detect/threshold.h"
#include "detect/window.h"

/* Larger values could overflow when squared and summed; nothing that is measured comes near. */
#define VALUE_LIMIT 1e140

/* SPE / theta1 of rows scored before they entered M: how much larger SPE is out of sample than the
 * model's own rows say. A ring of the newest ones. */
struct calibration {
	double *ratios;
	size_t capacity, count, next;
	double sum;
};

struct monitor {
	struct monitor_options options;
	struct window *normal, *abnormal; /* M, A */
	struct model *model, *onset;
	bool *active; /* per column: takes part */
	double *floors;
	size_t columns_capacity;
	double *row, *scratch; /* workspace: columns; 3 x columns */
	struct calibration calibration;
	size_t pending, calm, level;
	bool model_is_old, model_is_built, open, shifted, closed_now;
};

DEFINE_CLEANUP(struct monitor *, monitor_free)

void monitor_options_default(struct monitor_options *options)
{
	*options = (struct monitor_options){
		.window_rows = 720,
		.alpha = 0.002,
		.cpv = 0.9,
		.b1 = 2,
		.b2 = 3,
		.onset_rows = 2,
		.clear_rows = 3,
		.threshold = THRESHOLD_HBE,
	};
}

static int check_options(const struct monitor_options *options, struct error *err)
{
	if (options->window_rows < 2 || options->window_rows > 100000)
		return error_set(err, -EINVAL, "the window must have 2 to 100000 rows, not %zu",
				 options->window_rows);
	if (options->min_rows > options->window_rows)
		return error_set(err, -EINVAL, "min_rows %zu is more than the window's %zu rows",
				 options->min_rows, options->window_rows);
	if (!(options->alpha > 0 && options->alpha < 0.5))
		return error_set(err, -EINVAL, "alpha must lie between 0 and 0.5, not %g",
				 options->alpha);
	if (!(options->cpv > 0 && options->cpv < 1))
		return error_set(err, -EINVAL, "cpv must lie between 0 and 1, not %g",
				 options->cpv);
	if (!(options->b1 >= 0) || !(options->b2 >= 0))
		return error_set(err, -EINVAL, "b1 and b2 must not be negative");
	if (options->onset_rows < 1 || options->clear_rows < 1)
		return error_set(err, -EINVAL, "onset_rows and clear_rows must be at least 1");
	return 0;
}

static size_t at_least(size_t wanted, size_t least)
{
	return wanted > least ? wanted : least;
}

static void fill_defaults(struct monitor_options *options)
{
	size_t quarter = options->window_rows / 4;

	if (options->min_rows == 0)
		options->min_rows = at_least(quarter, 30);
	if (options->min_rows > options->window_rows)
		options->min_rows = options->window_rows;
	options->min_rows = at_least(options->min_rows, 2);
	if (options->unlock_rows == 0)
		options->unlock_rows = at_least(quarter, options->onset_rows + 1);
}

int monitor_new(const struct monitor_options *options, struct monitor **ret_monitor,
		struct error *err)
{
	cleanup(monitor_free) struct monitor *monitor = NULL;
	struct model_options model = {.components = COMPONENTS_CPV, .cpv = options->cpv};
	int r = check_options(options, err);

	if (r < 0)
		return r;
	monitor = calloc(1, sizeof(*monitor));
	if (!monitor)
		return error_set(err, -ENOMEM, "out of memory");
	monitor->options = *options;
	fill_defaults(&monitor->options);
	monitor->normal = window_new(options->window_rows);
	monitor->abnormal = window_new(options->window_rows);
	monitor->model = model_new(&model);
	monitor->onset = model_new(&model);
	monitor->calibration.capacity = options->window_rows;
	monitor->calibration.ratios = calloc(options->window_rows, sizeof(double));
	if (!monitor->normal || !monitor->abnormal || !monitor->model || !monitor->onset ||
	    !monitor->calibration.ratios)
		return error_set(err, -ENOMEM, "out of memory for a window of %zu rows",
				 options->window_rows);
	*ret_monitor = keep(monitor);
	return 0;
}

struct monitor *monitor_free(struct monitor *monitor)
{
	if (!monitor)
		return NULL;
	window_free(monitor->normal);
	window_free(monitor->abnormal);
	model_free(monitor->model);
	model_free(monitor->onset);
	free(monitor->active);
	free(monitor->floors);
	free(monitor->row);
	free(monitor->scratch);
	free(monitor->calibration.ratios);
	free(monitor);
	return NULL;
}

/* Columns */

static int reserve_columns(struct monitor *monitor, size_t columns)
{
	bool *active;
	double *floors, *row, *scratch;

	if (columns <= monitor->columns_capacity)
		return 0;
	columns = at_least(2 * monitor->columns_capacity, at_least(columns, 8));
	active = reallocarray(monitor->active, columns, sizeof(*active));
	monitor->active = active ? active : monitor->active;
	floors = reallocarray(monitor->floors, columns, sizeof(*floors));
	monitor->floors = floors ? floors : monitor->floors;
	row = reallocarray(monitor->row, columns, sizeof(*row));
	monitor->row = row ? row : monitor->row;
	scratch = reallocarray(monitor->scratch, 3 * columns, sizeof(*scratch));
	monitor->scratch = scratch ? scratch : monitor->scratch;
	if (!active || !floors || !row || !scratch)
		return -ENOMEM;
	monitor->columns_capacity = columns;
	return 0;
}

int monitor_add_column(struct monitor *monitor, double floor, struct error *err)
{
	size_t column = monitor_columns(monitor);

	assert(floor >= 0);
	if (column == MONITOR_COLUMNS_MAX)
		return error_set(err, -E2BIG, "a group has at most %d columns",
				 MONITOR_COLUMNS_MAX);
	if (reserve_columns(monitor, column + 1) < 0 || window_add_column(monitor->normal) < 0)
		return error_set(err, -ENOMEM, "out of memory for column %zu", column);
	if (window_add_column(monitor->abnormal) < 0) {
		window_remove_column(monitor->normal, column);
		return error_set(err, -ENOMEM, "out of memory for column %zu", column);
	}
	monitor->active[column] = false;
	monitor->floors[column] = floor;
	return (int)column;
}

void monitor_remove_column(struct monitor *monitor, size_t column)
{
	size_t after = monitor_columns(monitor) - column - 1;

	assert(column < monitor_columns(monitor));
	window_remove_column(monitor->normal, column);
	window_remove_column(monitor->abnormal, column);
	model_forget_column(monitor->onset, column);
	model_forget_column(monitor->model, column);
	memmove(&monitor->active[column], &monitor->active[column + 1],
		after * sizeof(*monitor->active));
	memmove(&monitor->floors[column], &monitor->floors[column + 1],
		after * sizeof(*monitor->floors));
	monitor->model_is_old = true;
}

void monitor_set_floor(struct monitor *monitor, size_t column, double floor)
{
	assert(column < monitor_columns(monitor) && floor >= 0);
	monitor->floors[column] = floor;
	monitor->model_is_old = true;
}

size_t monitor_columns(const struct monitor *monitor)
{
	return window_columns(monitor->normal);
}

size_t monitor_window_rows(const struct monitor *monitor)
{
	return window_rows(monitor->normal);
}

bool monitor_column_is_learning(const struct monitor *monitor, size_t column)
{
	assert(column < monitor_columns(monitor));
	return !monitor->active[column];
}

/* A column takes part once min_rows rows of M hold a value of it, and for as long as two do.
 * Returns how many do. */
static size_t choose_active(struct monitor *monitor)
{
	size_t count = 0;

	for (size_t i = 0; i < monitor_columns(monitor); i++) {
		size_t present = window_present(monitor->normal, i);
		bool active = present >= (monitor->active[i] ? 2 : monitor->options.min_rows);

		if (active != monitor->active[i])
			monitor->model_is_old = true;
		monitor->active[i] = active;
		count += active;
	}
	return count;
}

/* The threshold */

static void calibrate(struct calibration *calibration, double ratio)
{
	if (calibration->count == calibration->capacity)
		calibration->sum -= calibration->ratios[calibration->next];
	else
		calibration->count++;
	calibration->ratios[calibration->next] = ratio;
	calibration->sum += ratio;
	calibration->next = (calibration->next + 1) % calibration->capacity;
}

static bool is_calibrated(const struct monitor *monitor)
{
	size_t wanted = MONITOR_CALIBRATION_ROWS;

	if (wanted > monitor->calibration.capacity)
		wanted = monitor->calibration.capacity;
	return monitor->calibration.count >= wanted;
}

/* A new row's SPE is larger on average than theta1, the mean over the rows that made the model. */
static double out_of_sample_factor(const struct calibration *calibration)
{
	return fmax(1, calibration->sum / (double)calibration->count);
}

static double threshold(const struct monitor *monitor)
{
	const struct thetas *thetas = model_thetas(monitor->model);
	double least = model_floor_energy(monitor->model), q = 0;

	if (thetas->theta3 > 0) {
		switch (monitor->options.threshold) {
		case THRESHOLD_JACKSON_MUDHOLKAR:
			q = threshold_jackson_mudholkar(thetas, monitor->options.alpha);
			break;
		case THRESHOLD_HBE:
			q = threshold_hbe(thetas, monitor->options.alpha) *
			    out_of_sample_factor(&monitor->calibration);
			break;
		}
	}
	return fmax(q, least);
}

static int refresh_model(struct monitor *monitor, struct error *err)
{
	int r;

	if (!monitor->model_is_old)
		return model_settle(monitor->model, monitor->normal, err);
	monitor->model_is_built = false;
	r = model_build(monitor->model, monitor->normal, monitor->active, monitor->floors, err);
	if (r < 0)
		return r;
	monitor->model_is_old = false;
	monitor->model_is_built = true;
	return 0;
}

/* Where rows go */

static void accept(struct monitor *monitor, const double *row)
{
	if (!monitor->model_is_built || monitor->model_is_old ||
	    model_slide(monitor->model, monitor->normal, row, NULL) < 0)
		monitor->model_is_old = true;
	window_push(monitor->normal, row);
}

static void merge_episode(struct monitor *monitor)
{
	for (size_t i = 0; i < window_rows(monitor->abnormal); i++)
		accept(monitor, window_row(monitor->abnormal, i));
}

static enum episode_event take_normal(struct monitor *monitor, const double *row)
{
	accept(monitor, row);
	monitor->pending = 0;
	if (!monitor->open) {
		window_clear(monitor->abnormal);
		monitor->level = 0;
		return EPISODE_NONE;
	}
	if (++monitor->calm < monitor->options.clear_rows)
		return EPISODE_ONGOING;
	monitor->open = monitor->shifted = false;
	monitor->closed_now = true;
	return EPISODE_CLOSED;
}

/* The first abnormal row of a possible episode freezes the model that named it so. */
static int take_pending(struct monitor *monitor, const double *row, enum episode_event *ret_event,
			struct error *err)
{
	if (monitor->pending == 0) {
		window_clear(monitor->abnormal);
		monitor->level = 0;
		if (model_copy(monitor->onset, monitor->model) < 0)
			return error_set(err, -ENOMEM, "out of memory for the onset's model");
	}
	window_push(monitor->abnormal, row);
	monitor->level++;
	if (++monitor->pending < monitor->options.onset_rows) {
		*ret_event = EPISODE_NONE;
		return 0;
	}
	monitor->open = true;
	*ret_event = EPISODE_OPENED;
	return 0;
}

static int take_abnormal(struct monitor *monitor, const double *row, enum episode_event *ret_event,
			 struct error *err)
{
	monitor->calm = 0;
	if (!monitor->open)
		return take_pending(monitor, row, ret_event, err);
	monitor->level++;
	*ret_event = EPISODE_ONGOING;
	window_push(monitor->abnormal, row);
	if (monitor->shifted) {
		accept(monitor, row);
	} else if (monitor->level >= monitor->options.unlock_rows) {
		merge_episode(monitor);
		monitor->shifted = true;
		*ret_event = EPISODE_SHIFTED;
	}
	return 0;
}

static bool copy_row(struct monitor *monitor, const double *row)
{
	bool any = false;

	for (size_t i = 0; i < monitor_columns(monitor); i++) {
		any |= !isnan(row[i]);
		monitor->row[i] =
			isnan(row[i]) ? NAN : fmin(fmax(row[i], -VALUE_LIMIT), VALUE_LIMIT);
	}
	return any;
}

/* Scores the row in monitor->row. Positive when there was something to score. */
static int score(struct monitor *monitor, struct row_verdict *verdict, struct error *err)
{
	struct model_score figures;
	int r;

	if (window_rows(monitor->normal) < monitor->options.min_rows || choose_active(monitor) == 0)
		return 0;
	r = refresh_model(monitor, err);
	if (r < 0)
		return r;
	r = model_score(monitor->model, monitor->row, &figures);
	if (r < 0 || figures.present == 0)
		return r;
	verdict->spe = figures.spe;
	verdict->components = model_components(monitor->model);
	return 1;
}

static int take_row(struct monitor *monitor, bool abnormal, struct row_verdict *verdict,
		    struct error *err)
{
	double theta1 = monitor->model_is_built ? model_thetas(monitor->model)->theta1 : 0;

	if (abnormal) {
		verdict->state = monitor->shifted ? ROW_SHIFTED : ROW_ABNORMAL;
		return take_abnormal(monitor, monitor->row, &verdict->event, err);
	}
	if (!isnan(verdict->spe) && theta1 > 0)
		calibrate(&monitor->calibration, verdict->spe / theta1);
	verdict->event = take_normal(monitor, monitor->row);
	return 0;
}

static struct row_verdict empty_verdict(void)
{
	return (struct row_verdict){.state = ROW_EMPTY, .spe = NAN, .q = NAN};
}

static void finish_verdict(const struct monitor *monitor, struct row_verdict *verdict)
{
	verdict->level = monitor->level;
	verdict->window_rows = window_rows(monitor->normal);
}

/* Before a verdict is possible every row is taken for normal; its SPE only calibrates. */
static int learn(struct monitor *monitor, struct row_verdict *verdict, struct error *err)
{
	int r = take_row(monitor, false, verdict, err);

	verdict->state = ROW_LEARNING;
	verdict->spe = NAN;
	return r;
}

int monitor_offer(struct monitor *monitor, const double *row, struct row_verdict *ret_verdict,
		  struct error *err)
{
	struct row_verdict verdict = empty_verdict();
	int scored, r;

	monitor->closed_now = false;
	if (!copy_row(monitor, row)) {
		finish_verdict(monitor, &verdict);
		*ret_verdict = verdict;
		return 0;
	}
	scored = score(monitor, &verdict, err);
	if (scored < 0)
		return scored;
	if (!scored || !is_calibrated(monitor)) {
		r = learn(monitor, &verdict, err);
	} else {
		verdict.q = threshold(monitor);
		verdict.state = ROW_NORMAL;
		r = take_row(monitor, verdict.spe > verdict.q, &verdict, err);
	}
	if (r < 0)
		return r;
	finish_verdict(monitor, &verdict);
	*ret_verdict = verdict;
	return 0;
}

int monitor_restore(struct monitor *monitor, const double *row, bool abnormal, struct error *err)
{
	struct row_verdict verdict = empty_verdict();
	int scored;

	monitor->closed_now = false;
	if (!copy_row(monitor, row))
		return 0;
	scored = score(monitor, &verdict, err);
	if (scored < 0)
		return scored;
	/* without a model there was no verdict then either: a window that was kept shorter than it
	 * was */
	return take_row(monitor, abnormal && scored, &verdict, err);
}

bool monitor_episode_is_open(const struct monitor *monitor)
{
	return monitor->open;
}

int monitor_spectrum(const struct monitor *monitor, struct budget_spectrum *ret_spectrum,
		     double *ret_std)
{
	const struct model *model = monitor->open ? monitor->onset : monitor->model;
	size_t d = model_columns(model), k = model_components(model);
	double trace = model_thetas(model)->theta1;

	if (d == 0)
		return -ENODATA;
	for (size_t i = 0; i < monitor_columns(monitor); i++)
		ret_std[i] = NAN;
	for (size_t i = 0; i < d; i++)
		if (model_window_column(model, i) != MODEL_NO_COLUMN)
			ret_std[model_window_column(model, i)] = model_std(model, i);
	for (size_t i = 0; i < k; i++)
		trace += model_eigenvalues(model)[i];
	*ret_spectrum = (struct budget_spectrum){
		.rows = window_rows(monitor->normal),
		.columns = d,
		.components = k,
		.lambda_mean = trace / (double)d,
		.thetas = *model_thetas(model),
		.residual = model_eigenvalues(model) + k,
	};
	return 0;
}

int monitor_identify(const struct monitor *monitor, struct contribution *ret_contributions)
{
	if (!monitor->open && !monitor->closed_now)
		return -ENODATA;
	return (int)identify_columns(monitor->onset, monitor->abnormal, monitor->options.b1,
				     monitor->options.b2, monitor->scratch, ret_contributions);
}

int monitor_accept_episode(struct monitor *monitor, struct error *err)
{
	if (!monitor->open)
		return error_set(err, -ENODATA, "no episode is under way");
	if (!monitor->shifted)
		merge_episode(monitor);
	window_clear(monitor->abnormal);
	monitor->open = monitor->shifted = false;
	monitor->level = monitor->pending = monitor->calm = 0;
	return 0;
}

void monitor_learn(struct monitor *monitor, const double *row)
{
	if (copy_row(monitor, row))
		accept(monitor, monitor->row);
}
