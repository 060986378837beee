/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The five steps of paper IV-C and the life of an episode:
 *
 *   quiet --abnormal--> pending --onset_rows in a row--> open --unlock_rows--> shifted
 *     ^                    |                              |                       |
 *     +----one normal------+------clear_rows normal-------+-----------------------+
 *
 * Abnormal rows go into A, normal rows into M. At unlock_rows A is merged into M, and again each
 * time that so many more are abnormal; rows that M has got used to and the reference has not are
 * shifted. An episode that reaches reference_unlock_rows enters the reference as well, and what
 * follows of it.
 *
 * A row is abnormal when it is so to both, by one verdict: the lesser of its two indices, each in
 * units of its own mean, against the limit that this lesser one has (calibration.h). Drift, which M
 * follows and the reference does not, opens an episode of shifted rows.
 */
#include "detect/monitor.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "detect/budget.h"
#include "detect/calibration.h"
#include "detect/horizon.h"
#include "detect/identify.h"
#include "detect/model.h"
#include "detect/ranges.h"
#include "detect/window.h"

/* Larger values could overflow when squared and summed; nothing that is measured comes near. */
#define VALUE_LIMIT 1e140
#define TRAIL_WEIGHT 0.2
#define SCORE_BEND 100.0      /* ten deviations in one column: more says little more */
#define CALIBRATION_WINDOWS 7 /* the calibration's memory: rows of so many windows */
#define REFERENCE_WINDOWS 32  /* 16 days at one row a minute and 720 rows */
#define REFERENCE_ROWS_MIN 60 /* before it has a say */
#define DRIFT_SHARE 8         /* a window's part of drifting rows opens an episode */

struct monitor {
	struct monitor_options options;
	struct horizon *recent, *reference; /* M; NULL without one */
	struct window *abnormal;            /* A */
	struct model *onset;
	struct ranges *ranges;
	double *row, *scratch; /* workspace: columns; 3 x columns */
	size_t columns_capacity;
	struct calibration joint;
	double trail;
	size_t pending, calm, level, drift;
	bool open, shifted, closed_now, has_onset;
};

DEFINE_CLEANUP(struct monitor *, monitor_free)

static size_t at_least(size_t wanted, size_t least)
{
	return wanted > least ? wanted : least;
}

void monitor_options_scale(struct monitor_options *options, size_t window_rows)
{
	options->window_rows = window_rows;
	options->min_rows = 0;
	if (options->unlock_rows != SIZE_MAX)
		options->unlock_rows = 0;
	if (options->reference_span > 0) {
		options->reference_span = REFERENCE_WINDOWS * window_rows;
		options->reference_unlock_rows = window_rows;
	}
}

void monitor_options_preset(struct monitor_options *options, enum monitor_preset preset)
{
	*options = (struct monitor_options){
		.alpha = 0.002,
		.cpv = 0.9,
		.b1 = 2,
		.b2 = 3,
		.onset_rows = 1,
		.clear_rows = 1,
		.unlock_rows = SIZE_MAX,
	};
	if (preset == MONITOR_CALIBRATED) {
		options->cpv = 0.95;
		options->onset_rows = 2;
		options->clear_rows = 3;
		options->unlock_rows = 0;
		options->calibrated = options->gap = options->move = true;
		options->t2_weight = 0.2;
		options->limit = 20;
		options->range_share = 0.02;
		options->quarantine_rows = 3;
		options->reference_span = 1;
	}
	monitor_options_scale(options, 720);
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
	if (!(options->t2_weight >= 0) || !(options->limit >= 0) || !(options->range_share >= 0))
		return error_set(err, -EINVAL,
				 "t2_weight, limit and range_share must not be negative");
	return 0;
}

static void fill_defaults(struct monitor_options *options)
{
	size_t quarter = options->window_rows / 4;
	size_t unlock = options->move ? at_least(options->window_rows / 60, 12) : quarter;

	if (options->min_rows == 0)
		options->min_rows = at_least(quarter, 30);
	if (options->min_rows > options->window_rows)
		options->min_rows = options->window_rows;
	options->min_rows = at_least(options->min_rows, 2);
	if (options->unlock_rows == 0)
		options->unlock_rows = at_least(unlock, options->onset_rows + 1);
	if (options->reference_unlock_rows < options->unlock_rows)
		options->reference_unlock_rows = options->unlock_rows;
}

/* Setting up */

static int make_horizons(struct monitor *monitor, struct error *err)
{
	const struct monitor_options *options = &monitor->options;
	size_t memory = at_least(options->window_rows, CALIBRATION_ROWS_MIN);
	struct horizon_options horizon = {
		.rows = options->window_rows,
		.span = options->window_rows,
		.min_rows = options->min_rows,
		.alpha = options->alpha,
		.calibrated = options->calibrated,
		.memory = memory,
		.t2_weight = options->t2_weight,
		.limit = options->limit,
		.quarantine_rows = options->quarantine_rows,
		.unlock_rows = options->unlock_rows,
		.known_rows = options->clear_rows,
		.move = options->move,
		.model = {.components = options->gap ? COMPONENTS_GAP : COMPONENTS_CPV,
			  .cpv = options->cpv},
	};
	int r = horizon_new(&horizon, &monitor->recent, err);

	calibration_init(&monitor->joint, CALIBRATION_WINDOWS * memory, options->alpha);
	if (r < 0 || options->reference_span == 0)
		return r;
	horizon.span = options->reference_span;
	horizon.memory = CALIBRATION_WINDOWS * memory;
	horizon.unlock_rows = options->reference_unlock_rows;
	horizon.move = false;
	if (horizon.min_rows > REFERENCE_ROWS_MIN)
		horizon.min_rows = REFERENCE_ROWS_MIN;
	return horizon_new(&horizon, &monitor->reference, err);
}

int monitor_new(const struct monitor_options *options, struct monitor **ret_monitor,
		struct error *err)
{
	cleanup(monitor_free) struct monitor *monitor = NULL;
	struct model_options frozen = {.components = COMPONENTS_CPV, .cpv = options->cpv};
	int r = check_options(options, err);

	if (r < 0)
		return r;
	monitor = calloc(1, sizeof(*monitor));
	if (!monitor)
		return error_set(err, -ENOMEM, "out of memory");
	monitor->options = *options;
	fill_defaults(&monitor->options);
	r = make_horizons(monitor, err);
	if (r < 0)
		return r;
	monitor->abnormal = window_new(options->window_rows);
	monitor->onset = model_new(&frozen);
	monitor->ranges = ranges_new(options->range_share, options->reference_span);
	if (!monitor->abnormal || !monitor->onset || !monitor->ranges)
		return error_set(err, -ENOMEM, "out of memory for a window of %zu rows",
				 options->window_rows);
	*ret_monitor = keep(monitor);
	return 0;
}

struct monitor *monitor_free(struct monitor *monitor)
{
	if (!monitor)
		return NULL;
	horizon_free(monitor->recent);
	horizon_free(monitor->reference);
	window_free(monitor->abnormal);
	model_free(monitor->onset);
	ranges_free(monitor->ranges);
	free(monitor->row);
	free(monitor->scratch);
	free(monitor);
	return NULL;
}

/* Columns */

static int reserve_columns(struct monitor *monitor, size_t columns)
{
	double *row, *scratch;

	if (columns <= monitor->columns_capacity)
		return 0;
	columns = at_least(2 * monitor->columns_capacity, at_least(columns, 16));
	row = reallocarray(monitor->row, columns, sizeof(*row));
	monitor->row = row ? row : monitor->row;
	scratch = reallocarray(monitor->scratch, 3 * columns, sizeof(*scratch));
	monitor->scratch = scratch ? scratch : monitor->scratch;
	if (!row || !scratch)
		return -ENOMEM;
	monitor->columns_capacity = columns;
	return 0;
}

/* Adds the column to every part, or to none. */
static int add_to_parts(struct monitor *monitor, double floor)
{
	size_t column = monitor_columns(monitor);

	if (reserve_columns(monitor, column + 1) < 0 || ranges_add(monitor->ranges, floor) < 0)
		return -ENOMEM;
	if (window_add_column(monitor->abnormal) < 0)
		goto no_abnormal;
	if (monitor->reference && horizon_add_column(monitor->reference) < 0)
		goto no_reference;
	if (horizon_add_column(monitor->recent) == 0)
		return 0;
	if (monitor->reference)
		horizon_remove_column(monitor->reference, column);
no_reference:
	window_remove_column(monitor->abnormal, column);
no_abnormal:
	ranges_remove(monitor->ranges, column);
	return -ENOMEM;
}

int monitor_add_column(struct monitor *monitor, double floor, struct error *err)
{
	size_t column = monitor_columns(monitor);

	assert(floor >= 0);
	if (column == MONITOR_COLUMNS_MAX)
		return error_set(err, -E2BIG, "a group has at most %d columns",
				 MONITOR_COLUMNS_MAX);
	if (add_to_parts(monitor, floor) < 0)
		return error_set(err, -ENOMEM, "out of memory for column %zu", column);
	return (int)column;
}

void monitor_remove_column(struct monitor *monitor, size_t column)
{
	assert(column < monitor_columns(monitor));
	horizon_remove_column(monitor->recent, column);
	if (monitor->reference)
		horizon_remove_column(monitor->reference, column);
	window_remove_column(monitor->abnormal, column);
	model_forget_column(monitor->onset, column);
	ranges_remove(monitor->ranges, column);
}

void monitor_set_floor(struct monitor *monitor, size_t column, double floor)
{
	assert(column < monitor_columns(monitor) && floor >= 0);
	ranges_set_floor(monitor->ranges, column, floor);
}

size_t monitor_columns(const struct monitor *monitor)
{
	return window_columns(monitor->abnormal);
}

size_t monitor_window_rows(const struct monitor *monitor)
{
	return horizon_rows(monitor->recent);
}

bool monitor_column_is_learning(const struct monitor *monitor, size_t column)
{
	assert(column < monitor_columns(monitor));
	return !horizon_uses(monitor->recent, column);
}

/* What a row is */

struct judgement {
	bool recent_scored, reference_scored;
	bool has_verdict;       /* M's limit means something already */
	bool joint;             /* the reference's too, and it knows all columns */
	bool abnormal, unknown; /* to both; to the reference, or to M where there is none */
	double index;           /* the lesser of both */
	struct horizon_score recent, reference;
};

static int score_by(struct horizon *horizon, const struct monitor *monitor,
		    struct horizon_score *ret_score, bool *ret_scored, struct error *err)
{
	int r = horizon_settle(horizon, ranges_floors(monitor->ranges), err);

	*ret_scored = false;
	if (r > 0)
		r = horizon_score(horizon, monitor->row, ret_score);
	*ret_scored = r > 0;
	return r;
}

/* The reference has a say once it knows every column that M tests by. */
static bool covers(const struct monitor *monitor)
{
	for (size_t i = 0; i < monitor_columns(monitor); i++)
		if (horizon_uses(monitor->recent, i) && !horizon_uses(monitor->reference, i))
			return false;
	return true;
}

/* The lesser index has a limit of its own. */
static void judge_jointly(struct monitor *monitor, struct judgement *judgement)
{
	struct index_shape shape = horizon_shape(monitor->recent);
	double mean = horizon_mean_index(monitor->recent);
	double limit;

	shape = (struct index_shape){0, shape.std / mean, shape.degrees};
	judgement->index =
		fmin(judgement->recent.index / mean,
		     judgement->reference.index / horizon_mean_index(monitor->reference));
	judgement->unknown = judgement->reference.ratio > 1;
	limit = calibration_limit(&monitor->joint, &shape);
	judgement->abnormal = calibration_is_ready(&monitor->joint)
				      ? judgement->index > limit
				      : judgement->unknown && judgement->recent.ratio > 1;
}

/* Scores the row in monitor->row. */
static int judge(struct monitor *monitor, struct judgement *ret_judgement, struct error *err)
{
	struct judgement judgement = {0};
	int r = score_by(monitor->recent, monitor, &judgement.recent, &judgement.recent_scored,
			 err);

	if (r >= 0 && monitor->reference)
		r = score_by(monitor->reference, monitor, &judgement.reference,
			     &judgement.reference_scored, err);
	if (r < 0)
		return r;
	judgement.has_verdict = judgement.recent_scored && (!monitor->options.calibrated ||
							    horizon_is_calibrated(monitor->recent));
	judgement.joint = judgement.has_verdict && judgement.reference_scored &&
			  horizon_is_calibrated(monitor->reference) && covers(monitor);
	if (judgement.joint)
		judge_jointly(monitor, &judgement);
	else
		judgement.abnormal = judgement.unknown = judgement.recent.ratio > 1;
	*ret_judgement = judgement;
	return 0;
}

static enum row_state state_of(const struct monitor *monitor, const struct judgement *judgement)
{
	if (!judgement->has_verdict)
		return ROW_LEARNING;
	if (judgement->abnormal)
		return ROW_ABNORMAL;
	return monitor->open && judgement->unknown ? ROW_SHIFTED : ROW_NORMAL;
}

/* The episode */

static void end_episode(struct monitor *monitor)
{
	monitor->open = monitor->shifted = false;
	monitor->pending = monitor->calm = monitor->drift = 0;
}

/* The model that named the first abnormal row of a possible episode is frozen. There is none for a
 * row that is replayed before M has enough of them: nothing can be named then. */
static int freeze(struct monitor *monitor, struct horizon *horizon, struct error *err)
{
	int r = horizon_settle(horizon, ranges_floors(monitor->ranges), err);

	window_clear(monitor->abnormal);
	monitor->level = 0;
	monitor->has_onset = r > 0;
	if (r <= 0)
		return r;
	if (model_copy(monitor->onset, horizon_model(horizon)) < 0)
		return error_set(err, -ENOMEM, "out of memory for the onset's model");
	return 0;
}

static void add_to_episode(struct monitor *monitor)
{
	window_push(monitor->abnormal, monitor->row);
	monitor->level++;
	monitor->calm = 0;
}

/* Abnormal to both, before an episode is open. */
static enum episode_event take_pending(struct monitor *monitor)
{
	add_to_episode(monitor);
	monitor->open = ++monitor->pending >= monitor->options.onset_rows;
	return monitor->open ? EPISODE_OPENED : EPISODE_NONE;
}

/* M has followed where the reference has not, for long: boiling frogs. */
static bool drifts(struct monitor *monitor, const struct judgement *judgement)
{
	size_t enough = at_least(monitor->options.window_rows / DRIFT_SHARE, 1);

	if (judgement->joint && judgement->unknown)
		return ++monitor->drift >= enough;
	monitor->drift -= monitor->drift > 1 ? 2 : monitor->drift;
	return false;
}

static enum episode_event take_known(struct monitor *monitor)
{
	monitor->pending = 0;
	if (!monitor->open) {
		window_clear(monitor->abnormal);
		monitor->level = 0;
		return EPISODE_NONE;
	}
	if (++monitor->calm < monitor->options.clear_rows)
		return EPISODE_ONGOING;
	end_episode(monitor);
	monitor->closed_now = true;
	return EPISODE_CLOSED;
}

/* A row of an open episode. `used`: M has taken the episode's rows in, or knows this one. */
static enum episode_event go_on(struct monitor *monitor, bool used)
{
	add_to_episode(monitor);
	if (monitor->shifted || !used)
		return EPISODE_ONGOING;
	monitor->shifted = true;
	return EPISODE_SHIFTED;
}

static int follow_episode(struct monitor *monitor, const struct judgement *judgement, bool unlocked,
			  struct row_verdict *verdict, struct error *err)
{
	int r;

	if (monitor->open && verdict->state != ROW_NORMAL) {
		verdict->event = go_on(monitor, unlocked || verdict->state == ROW_SHIFTED);
	} else if (verdict->state == ROW_ABNORMAL) {
		verdict->event = take_pending(monitor);
	} else if (verdict->state == ROW_SHIFTED ||
		   (!monitor->open && drifts(monitor, judgement))) {
		r = freeze(monitor, monitor->reference ? monitor->reference : monitor->recent, err);
		if (r < 0)
			return r;
		add_to_episode(monitor);
		monitor->open = true;
		verdict->state = ROW_SHIFTED;
		verdict->event = EPISODE_OPENED;
	} else {
		verdict->event = take_known(monitor);
	}
	return 0;
}

/* The first of a run counts, and what is below both horizons' own limits: else a limit of a time
 * when less was going on would stand for ever. */
static bool calibrates_joint(const struct monitor *monitor, const struct judgement *judgement)
{
	return !judgement->abnormal || (!monitor->open && monitor->pending == 0) ||
	       (judgement->recent.ratio <= 1 && !judgement->unknown);
}

/* Where the row goes, and what it does to the episode. */
static int take_row(struct monitor *monitor, const struct judgement *judgement,
		    struct row_verdict *verdict, struct error *err)
{
	bool unlocked;
	int r;

	if (judgement->joint && calibrates_joint(monitor, judgement))
		calibration_add(&monitor->joint, judgement->index);
	r = verdict->state == ROW_ABNORMAL && monitor->pending == 0 && !monitor->open
		    ? freeze(monitor, monitor->recent, err)
		    : 0;
	if (r < 0)
		return r;
	unlocked = horizon_offer(monitor->recent, monitor->row,
				 judgement->recent_scored ? &judgement->recent : NULL) ==
		   HORIZON_UNLOCKED;
	if (monitor->reference)
		(void)horizon_offer(monitor->reference, monitor->row,
				    judgement->reference_scored ? &judgement->reference : NULL);
	return follow_episode(monitor, judgement, unlocked, verdict, err);
}

/* Values that can be squared. False where there is none. */
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

static void tell(struct monitor *monitor, const struct judgement *judgement,
		 struct row_verdict *verdict)
{
	const struct horizon_score *last =
		judgement->joint ? &judgement->reference : &judgement->recent;

	if (judgement->has_verdict) {
		verdict->spe = judgement->recent.spe;
		verdict->q = judgement->recent.spe_limit;
		verdict->components = judgement->recent.components;
		monitor->trail += TRAIL_WEIGHT *
				  (log1p(fmin(last->index, 1e300) / SCORE_BEND) - monitor->trail);
		verdict->score =
			monitor->options.calibrated ? monitor->trail : judgement->recent.ratio;
	}
	verdict->level = monitor->level;
	verdict->window_rows = horizon_rows(monitor->recent);
}

/* A row that had that verdict: where none can be given now, what was abnormal is kept out. */
static void remember(struct judgement *judgement, enum row_state had, struct row_verdict *verdict)
{
	verdict->state = had;
	if (had == ROW_ABNORMAL)
		judgement->recent.ratio = fmax(judgement->recent.ratio, 2);
	else if (had == ROW_NORMAL && !judgement->joint)
		judgement->recent.ratio = fmin(judgement->recent.ratio, 1);
}

/* One row, with the verdict it has or, for one that is replayed, had. */
static int process(struct monitor *monitor, const double *row, const enum row_state *had,
		   struct row_verdict *ret_verdict, struct error *err)
{
	struct row_verdict verdict = {.state = ROW_EMPTY, .spe = NAN, .q = NAN};
	struct judgement judgement = {0};
	int r = 0;

	monitor->closed_now = false;
	if (copy_row(monitor, row)) {
		ranges_take(monitor->ranges, monitor->row);
		r = judge(monitor, &judgement, err);
		if (r < 0)
			return r;
		verdict.state = state_of(monitor, &judgement);
		if (had)
			remember(&judgement, *had, &verdict);
		r = take_row(monitor, &judgement, &verdict, err);
	}
	if (r < 0)
		return r;
	tell(monitor, &judgement, &verdict);
	*ret_verdict = verdict;
	return 0;
}

int monitor_offer(struct monitor *monitor, const double *row, struct row_verdict *ret_verdict,
		  struct error *err)
{
	return process(monitor, row, NULL, ret_verdict, err);
}

int monitor_settle(struct monitor *monitor, struct error *err)
{
	const double *floors = ranges_floors(monitor->ranges);
	int r = horizon_settle(monitor->recent, floors, err);

	if (r >= 0 && monitor->reference)
		r = horizon_settle(monitor->reference, floors, err);
	return r < 0 ? r : 0;
}

int monitor_restore(struct monitor *monitor, const double *row, enum row_state state,
		    struct error *err)
{
	struct row_verdict verdict;

	return process(monitor, row, &state, &verdict, err);
}

/* The episode */

bool monitor_episode_is_open(const struct monitor *monitor)
{
	return monitor->open;
}

int monitor_spectrum(const struct monitor *monitor, struct budget_spectrum *ret_spectrum,
		     double *ret_std)
{
	const struct model *model = monitor->open && monitor->has_onset
					    ? monitor->onset
					    : horizon_model(monitor->recent);
	size_t d = model_columns(model), k = model_components(model), known;
	const double *lambda = model_eigenvalues(model, &known);
	double trace = model_thetas(model)->theta1;

	if (d == 0)
		return -ENODATA;
	for (size_t i = 0; i < monitor_columns(monitor); i++)
		ret_std[i] = NAN;
	for (size_t i = 0; i < d; i++)
		if (model_window_column(model, i) != MODEL_NO_COLUMN)
			ret_std[model_window_column(model, i)] = model_std(model, i);
	for (size_t i = 0; i < k; i++)
		trace += lambda[i];
	*ret_spectrum = (struct budget_spectrum){
		.rows = horizon_rows(monitor->recent),
		.columns = d,
		.components = k,
		.lambda_mean = trace / (double)d,
		.thetas = *model_thetas(model),
		.residual = known == d ? lambda + k : NULL,
	};
	return 0;
}

int monitor_identify(const struct monitor *monitor, struct contribution *ret_contributions)
{
	size_t count;

	if ((!monitor->open && !monitor->closed_now) || !monitor->has_onset)
		return -ENODATA;
	count = identify_columns(monitor->onset, monitor->abnormal, monitor->options.b1,
				 monitor->options.b2, monitor->scratch, ret_contributions);
	identify_rank(ret_contributions, count,
		      monitor->options.calibrated ? CONTRIBUTIONS_BY_DEVIATION
						  : CONTRIBUTIONS_BY_STDDEV);
	return (int)count;
}

int monitor_accept_episode(struct monitor *monitor, struct error *err)
{
	if (!monitor->open)
		return error_set(err, -ENODATA, "no episode is under way");
	for (size_t i = 0; i < window_rows(monitor->abnormal); i++)
		monitor_learn(monitor, window_row(monitor->abnormal, i));
	window_clear(monitor->abnormal);
	end_episode(monitor);
	monitor->level = 0;
	return 0;
}

void monitor_learn(struct monitor *monitor, const double *row)
{
	if (!copy_row(monitor, row))
		return;
	ranges_take(monitor->ranges, monitor->row);
	horizon_learn(monitor->recent, monitor->row);
	if (monitor->reference)
		horizon_learn(monitor->reference, monitor->row);
}

void monitor_recall(struct monitor *monitor, const double *row, enum row_state state)
{
	bool is_normal = state == ROW_NORMAL || state == ROW_LEARNING;

	if ((!is_normal && state != ROW_SHIFTED) || !copy_row(monitor, row))
		return;
	ranges_take(monitor->ranges, monitor->row);
	(void)horizon_offer(monitor->recent, monitor->row, NULL);
	if (monitor->reference && is_normal)
		(void)horizon_offer(monitor->reference, monitor->row, NULL);
}
