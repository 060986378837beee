#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One memory of what is normal: a window of accepted rows, the PCA model of it, and the calibration
 * of its index. A monitor has two that differ in reach: M of the paper (the newest t accepted
 * rows), and the reference, which stands for `span` rows with as many places, every n-th row of
 * them: n doubles each time the places are full, until places times n is the span. Columns are the
 * monitor's. No I/O. One owner.
 *
 * The index of a row is SPE / theta1 + t2_weight T2 / k, whose mean over the rows of the model is
 * 1 + t2_weight: what lies across the principal components, and, with less weight, along them.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "detect/calibration.h"
#include "detect/model.h"

struct horizon;

struct horizon_options {
	size_t rows;     /* places */
	size_t span;     /* rows that they stand for; up to `rows`: a plain sliding window */
	size_t min_rows; /* no score with fewer; a column takes part when so many hold a value of it
			  */
	double alpha;    /* per row */
	bool calibrated; /* limit by calibration.h; else Jackson-Mudholkar and SPE alone */
	size_t memory;   /* of the calibration, rows */
	double t2_weight;
	double limit; /* accepted values are brought within so many deviations; 0: as they are */
	size_t quarantine_rows; /* accepted rows wait so long, and are dropped if two in a row are
				   above the limit */
	size_t unlock_rows;     /* SIZE_MAX: never */
	size_t known_rows;      /* >= 1 */
	bool move;              /* what columns do together stays as it was */
	struct model_options model;
};

/* Returns owned. -ENOMEM. */
int horizon_new(const struct horizon_options *options, struct horizon **ret_horizon,
		struct error *err);
struct horizon *horizon_free(struct horizon *horizon);

int horizon_add_column(struct horizon *horizon); /* -ENOMEM changes nothing */
void horizon_remove_column(struct horizon *horizon, size_t column);

/* The model of all that was accepted. `floors`: least standard deviations, by column. Returns 1, or
 * 0 while there are too few rows or columns. */
int horizon_settle(struct horizon *horizon, const double *floors, struct error *err);

struct horizon_score {
	double spe, spe_limit;
	double index, limit; /* with JM: SPE and its limit */
	double ratio;        /* index / limit: abnormal above 1; never NaN */
	size_t components;
};

/* The horizon is settled. Returns 1, or 0 where no column of the model has a value. */
int horizon_score(struct horizon *horizon, const double *row, struct horizon_score *ret_score);

/* Whether its limit means something already; till then it accepts what comes. */
bool horizon_is_calibrated(const struct horizon *horizon);
/* What an index is on average; > 0. Only once calibrated. */
double horizon_mean_index(const struct horizon *horizon);
/* What an index is like by the model alone. */
struct index_shape horizon_shape(const struct horizon *horizon);

enum horizon_answer {
	HORIZON_ACCEPTED,
	HORIZON_HELD,     /* above the limit: kept apart */
	HORIZON_UNLOCKED, /* so many have been that they are taken for a shift: all went in */
};

/* What becomes of a row that was scored (NULL: it could not be). Below the limit it waits out the
 * quarantine and goes in, limited, in its turn. Above, it is held; unlock_rows held rows go in as
 * they are, and what follows of them goes in at once (with `move`: after the window has moved to
 * their level; what is still above the limit is held anew), until known_rows in a row were below.
 */
enum horizon_answer horizon_offer(struct horizon *horizon, const double *row,
				  const struct horizon_score *score);
/* A row on somebody's word: as it is. */
void horizon_learn(struct horizon *horizon, const double *row);

size_t horizon_rows(const struct horizon *horizon);
bool horizon_uses(const struct horizon *horizon, size_t column);
const struct model *horizon_model(const struct horizon *horizon);
