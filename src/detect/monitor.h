#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor of one group (paper IV): a sliding window M of accepted rows, the PCA model of it,
 * the test of each new row (SPE against Q_alpha), the abnormal rows A of the episode under way, and
 * the identification of the columns behind it with the model frozen at the onset. Beside M stands a
 * slower memory, the reference: what it knows is no anomaly, however new to M, and what it does not
 * know stays suspect, however used to it M has become. No I/O, no clock: rows come in, verdicts go
 * out. Columns may come and go between rows. A missing value is NaN. One owner, any one thread at a
 * time; any number of monitors at once.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct budget_spectrum;
struct monitor;

enum { MONITOR_COLUMNS_MAX = 16384, MONITOR_CALIBRATION_ROWS = 30 };

/* The two sets of choices; docs/detection.md has what each was measured to do. */
enum monitor_preset {
	MONITOR_CALIBRATED, /* the default */
	MONITOR_PAPER, /* as printed, with the signs right: Jackson-Mudholkar's limit, SPE alone,
			  only normal rows enter M; each abnormal row is an alarm */
};

struct monitor_options {
	size_t window_rows; /* t, 2 .. 100000; the paper's 720 */
	size_t min_rows; /* no row is scored before so many are in M; 0: the larger of 30 and t / 4.
			    Verdicts begin 30 scored rows later (calibrated) */
	double alpha;    /* false alarm rate per row, 0 < alpha < 0.5; the paper's 0.002 */
	double cpv;      /* cumulative percent variance as a fraction, the paper's 0.90 */
	double b1, b2;   /* identification limits, the paper's 2 and 3 */
	size_t onset_rows;  /* abnormal rows in a row that open an episode */
	size_t clear_rows;  /* normal rows in a row that end it */
	size_t unlock_rows; /* after so many abnormal rows a shift is suspected: A is merged into M,
			       and M moves on; 0: by the preset; SIZE_MAX: never */
	bool calibrated;    /* limits from the SPE that earlier rows had, and T2 beside SPE; else
			       Jackson-Mudholkar's Q of the thetas, SPE alone */
	bool gap;           /* k at a gap of the eigenvalues; else by cpv alone */
	double t2_weight;   /* of T2 / k beside SPE / theta1, >= 0; calibrated only */
	double limit; /* accepted values are brought within so many deviations; 0: as they are */
	double range_share; /* least standard deviation of a column: this share of its range, >= 0
			     */
	bool move;          /* M moves to a shift's level when it is merged, 0 or 1 */
	size_t quarantine_rows; /* accepted rows wait so long, and are dropped if an episode opens
				 */
	size_t reference_span;  /* rows that the reference stands for; 0: no reference */
	size_t reference_unlock_rows; /* an episode this long enters the reference too; no sooner
					 than M */
};

/* `window_rows` is the paper's; what depends on it is filled in for another by
 * monitor_options_scale(). */
void monitor_options_preset(struct monitor_options *options, enum monitor_preset preset);
/* Another window: min_rows, the reference and the unlocking with it. */
void monitor_options_scale(struct monitor_options *options, size_t window_rows);

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
	ROW_NORMAL,   /* the row went into M */
	ROW_ABNORMAL, /* to M and to the reference; the row went into A */
	ROW_SHIFTED,  /* a shift is suspected: M has got used to it, the reference has not. The row
			 went into M and A */
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
	double spe, q; /* of M; NaN while learning. Calibrated, T2 adds to SPE, and a row that the
			  reference knows is normal above Q too */
	double score; /* how abnormal, to rank rows by, over windows and episodes: the trail (weight
			 0.2 of the newest) of log(1 + index / 100), the index (SPE / theta1 and T2)
			 by the reference, or by M before there is one; paper: SPE / Q. 0 while
			 learning */
	size_t components;  /* k */
	size_t level;       /* rows in A, the alarm level of paper V */
	size_t window_rows; /* rows in M */
};

/* One row of monitor_columns() values. Allocates nothing once the columns are settled. */
int monitor_offer(struct monitor *monitor, const double *row, struct row_verdict *ret_verdict,
		  struct error *err);

/* The model takes in what the rows since the last call brought; the costly part of a row. Calling
 * it is optional (the next monitor_offer() does it), and lets it be done after the verdict is out,
 * in another thread. */
int monitor_settle(struct monitor *monitor, struct error *err);

/* Replays a row of an earlier life with the verdict it had then (rebuilding from the store).
 * Windows, the episode and the calibration come out as they were. */
int monitor_restore(struct monitor *monitor, const double *row, enum row_state state,
		    struct error *err);

/* Replays one that is older than what monitor_restore() is worth its time for, before those: it
 * goes where it went then, and is not scored. Costs a copy of the row. */
void monitor_recall(struct monitor *monitor, const double *row, enum row_state state);

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
	double deviation; /* root mean square deviation, in standard deviations, or in hundredths
			     of |mean_normal| where those are more */
	double rbc; /* reconstruction-based: the SPE that would be gone if the column were what the
		       others let expect; 0 of one that has no residual */
	int direction;  /* of the mean: 1 up, -1 down, 0 within the column's floor, or unknown */
	bool from_zero; /* the normal mean is zero or below its floor: meandiff means nothing */
	bool abnormal;  /* rd >= b1 and stddev >= b2 */
};

/* Fills one entry per active column, abnormal ones first, by falling deviation (not calibrated: by
 * falling stddev), equal ones by falling rbc; returns how many (at most monitor_columns()). Only
 * while an episode is under way or ended by the newest row (-ENODATA else, and where it was
 * restored without the rows before it). */
int monitor_identify(const struct monitor *monitor, struct contribution *ret_contributions);

/* The operator's "this is normal": A is merged into M, and into the reference (paper V). */
int monitor_accept_episode(struct monitor *monitor, struct error *err);

/* The same for an episode that is over, row by row: the row goes into both, whatever it looks like.
 */
void monitor_learn(struct monitor *monitor, const double *row);
