#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor of one group (paper IV): a sliding window M of accepted rows, the PCA model of it,
 * the test of each new row (SPE against Q_alpha), the abnormal rows A of the episode under way, and
 * the identification of the columns behind it with the model frozen at the onset. No I/O, no clock:
 * rows come in, verdicts go out. Columns may come and go between rows. A missing value is NaN. One
 * owner, any one thread at a time.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct budget_spectrum;
struct monitor;

/* 2,340 VMs of seven metrics: a row of so many columns takes some 30 ms at 720 rows. */
enum { MONITOR_COLUMNS_MAX = 16384, MONITOR_CALIBRATION_ROWS = 30 };

enum threshold_method { THRESHOLD_JACKSON_MUDHOLKAR, THRESHOLD_HBE };

struct monitor_options {
	size_t window_rows; /* t, 2 .. 100000; the paper's 720 */
	size_t min_rows; /* no row is scored before so many are in M; 0: the larger of 30 and t / 4.
			    Verdicts begin MONITOR_CALIBRATION_ROWS scored rows later */
	double alpha;    /* false alarm rate per row, 0 < alpha < 0.5; the paper's 0.002 */
	double cpv;      /* cumulative percent variance as a fraction, the paper's 0.90 */
	double b1, b2;   /* identification limits, the paper's 2 and 3 */
	size_t onset_rows;  /* abnormal rows in a row that open an episode, default 2 */
	size_t clear_rows;  /* normal rows in a row that end it, default 3 */
	size_t unlock_rows; /* an episode this long is taken for a lasting shift: A is merged into M
			       and M moves on; 0: t / 4. docs/paper.md says why */
	enum threshold_method threshold;
};

void monitor_options_default(struct monitor_options *options);

/* Returns owned; options are copied and checked (-EINVAL with the reason). No columns yet. */
int monitor_new(const struct monitor_options *options, struct monitor **ret_monitor,
		struct error *err);
struct monitor *monitor_free(struct monitor *monitor);

/* Adds a column at the end and returns its index; it is *learning* until min_rows rows hold a value
 * of it, and takes no part in the verdict till then. `floor` is the least standard deviation that
 * means anything for it (Delta / sqrt 3 and the metric's resolution; >= 0). -E2BIG beyond
 * MONITOR_COLUMNS_MAX. */
int monitor_add_column(struct monitor *monitor, double floor, struct error *err);

/* Takes the column out; later columns move up by one. Detection for the others goes on. */
void monitor_remove_column(struct monitor *monitor, size_t column);

void monitor_set_floor(struct monitor *monitor, size_t column, double floor);
size_t monitor_columns(const struct monitor *monitor);
size_t monitor_window_rows(const struct monitor *monitor); /* in M now */
bool monitor_column_is_learning(const struct monitor *monitor, size_t column);

enum row_state {
	ROW_LEARNING, /* too few rows in M for a verdict; the row went into M */
	ROW_NORMAL,   /* SPE <= Q; the row went into M */
	ROW_ABNORMAL, /* SPE > Q; the row went into A */
	ROW_SHIFTED,  /* abnormal, but the episode is taken for a lasting shift: the row went into M
		       */
	ROW_EMPTY,    /* no active column had a value: nothing was tested */
};

enum episode_event {
	EPISODE_NONE,
	EPISODE_OPENED,
	EPISODE_ONGOING,
	EPISODE_SHIFTED,
	EPISODE_CLOSED
};

struct row_verdict {
	enum row_state state;
	enum episode_event event; /* what this row did to the episode */
	double spe, q;            /* NaN while learning */
	size_t components;        /* k */
	size_t level;             /* rows in A, the alarm level of paper V */
	size_t window_rows;       /* rows in M */
};

/* One row of monitor_columns() values. Allocates nothing once the columns are settled. */
int monitor_offer(struct monitor *monitor, const double *row, struct row_verdict *ret_verdict,
		  struct error *err);

/* Replays a row of an earlier life with the verdict it had then (rebuilding from the store):
 * `abnormal` for ROW_ABNORMAL and ROW_SHIFTED. Windows, the episode and the calibration come out as
 * they were. */
int monitor_restore(struct monitor *monitor, const double *row, bool abnormal, struct error *err);

/* Whether an episode is under way. */
bool monitor_episode_is_open(const struct monitor *monitor);

/* What the error budget (detect/budget.h) asks of the model in force, that of the onset during an
 * episode: its spectrum, borrowed until the next call with this monitor, and per column
 * (monitor_columns() places) the standard deviation, NAN where the column takes no part. -ENODATA
 * before there is a model. It may be one that learns still. */
int monitor_spectrum(const struct monitor *monitor, struct budget_spectrum *ret_spectrum,
		     double *ret_std);

/* Paper IV-C3, for one column of the episode under way, with the onset's frozen model. */
struct contribution {
	size_t column;
	double rd; /* relative change of the residual energy; +inf where the normal one is zero */
	double stddev;                     /* mean |deviation| in standard deviations */
	double meandiff;                   /* relative change of the mean; NaN with from_zero */
	double mean_normal, mean_abnormal; /* in the column's own units */
	bool from_zero; /* the normal mean is zero or below its floor: meandiff means nothing */
	bool abnormal;  /* rd >= b1 and stddev >= b2 */
};

/* Fills one entry per active column, abnormal ones first, by falling stddev; returns how many (at
 * most monitor_columns()). Only while an episode is under way or ended by the newest row (-ENODATA
 * else). */
int monitor_identify(const struct monitor *monitor, struct contribution *ret_contributions);

/* The operator's "this is normal": A is merged into M and the model is built anew (paper V). */
int monitor_accept_episode(struct monitor *monitor, struct error *err);

/* The same for an episode that is over, row by row: the row goes into M, whatever it looks like. */
void monitor_learn(struct monitor *monitor, const double *row);
