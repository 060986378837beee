#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PCA model of a sliding window (paper IV-C1): mean and standard deviation of each column with
 * floors, the leading eigenpairs of the correlation matrix, the number k of principal components,
 * and the sums theta of the powers of the residual eigenvalues. It follows the window row by row;
 * how depends on the size (enum model_form), what it says does not. A model covers some of the
 * window's columns: model column i is window column model_window_column(i). A missing value is NaN.
 * No globals: one owner and one thread at a time per object, any number of objects at once.
 *
 *     build; then per row: score; if the row is accepted: slide, window_push, settle
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "detect/threshold.h"

struct window;
struct model;

enum { MODEL_NO_COLUMN = -1 };

/*
 * How k is chosen, always below the rank, so that there is a residual.
 *
 * CPV (the paper): the fewest components with more than the share `cpv` of the variance.
 *
 * GAP: where lambda_k / lambda_(k+1) is largest among the k from the first with a
 * share of `cpv` less 5 points of the variance to that with 2 points more, k <= 56 in the forms
 * BLOCK and GRAM. Yesterday's k stays until another ratio is 1.25 times its own, or its own is
 * under 1.2 (closed). Where no ratio reaches 1.2 the rule is CPV, and yesterday's k stays while its
 * share is within 2 points of `cpv`. Neighbours in a noise bulk differ by 2 to 10 % at 720 rows
 * (Marchenko-Pastur), so 1.2 is a gap, and a ratio estimated from 720 rows moves by some 7 %,
 * so 1.25 is another gap.
 */
enum components_rule { COMPONENTS_CPV, COMPONENTS_GAP };

/*
 * FULL: sliding cross-products, all eigenvalues anew at each settle; exact, with gaps too.
 *
 * BLOCK: sliding cross-products, the correlation matrix never formed. Leading pairs by warm steps,
 * theta1 and theta2 by traces, theta3 too every twelfth of a window and of the same shape (theta3 /
 * theta2^1.5) in between; a missing cell stands at its column's mean of the last build. SPE within
 * 2e-3 of FULL where there is a gap (measured at 720 rows: 4e-5 on white rows, 1.6e-3 on strongly
 * autocorrelated ones), theta3 within 5 %. Where there is no gap, or k is over 56 (CPV in a noise
 * bulk), pairs and thetas are solved anew every columns / 28 settles and kept in between: SPE
 * within 6 % at 720 rows (1 to 2.5 % rms).
 *
 * GRAM: for more columns than rows; the same on the products of the rows (YY' for Y'Y), SPE without
 * vectors over the columns; kept pairs are solved anew every rows / 20 settles. A column is divided
 * by a deviation that is set anew when it is 5 % off (where more than 32 columns are at once, those
 * that are 50 % off, the others within 72 rows of the newest build), so model_std() may be that far
 * from the window's, and SPE with it (measured 1 % rms on white rows); tolerances as BLOCK for
 * those deviations.
 *
 * AUTO: FULL up to 100 columns, BLOCK up to twice the window's capacity, GRAM beyond.
 */
enum model_form { MODEL_AUTO, MODEL_FULL, MODEL_BLOCK, MODEL_GRAM };

struct model_options {
	enum components_rule components;
	double cpv; /* a fraction, the paper's 0.90 */
	enum model_form form;
};

/* Returns owned, or NULL when memory is out. Empty until built or copied to. */
struct model *model_new(const struct model_options *options);
struct model *model_free(struct model *model);

/* Everything anew from the window's rows, for the columns with use[column] (at least one), floors
 * (>= 0) by window column. At least two rows. Allocates when the number of columns, the window's
 * capacity or the form has changed. -ENOMEM, -EDOM: the model is as good as empty. */
int model_build(struct model *model, const struct window *window, const bool *use,
		const double *floors, struct error *err);

/* The row is about to be pushed into the window: call it just before window_push(window, row). The
 * row comes in; the oldest goes if the window is full. No eigenpairs: O(d^2), or O(td) in GRAM. */
int model_slide(struct model *model, const struct window *window, const double *row,
		struct error *err);

/* Other floors, by window column, from the next settle on: nothing is built anew. */
void model_set_floors(struct model *model, const double *floors);

/* The pairs are brought up to date after one or more slides and pushes: the costly part, so that a
 * caller can give its verdict first, and settle in a worker thread. Builds anew from the window by
 * itself once per window of slides, and when the sums have lost eight digits (an outlier that
 * went), when gaps sit in a column that has drifted, or after model_forget_column(). */
int model_settle(struct model *model, const struct window *window, struct error *err);

struct model_score {
	double spe, t2; /* squared residual length; sum of squared scores over their variances */
	size_t present; /* how many of the model's columns had a value */
};

/* Scores a row of the window's layout; the model is settled. A row with gaps is scored on what was
 * observed: the scores of the observed coordinates by probabilistic PCA, SPE and T2 scaled to the
 * mean that they have for a full row (at most by 4 d / present and by 10). 0 where nothing is
 * present. */
int model_score(struct model *model, const double *row, struct model_score *ret_score);

/* Makes `copy` the same model, frozen: with its vectors, without the means to slide. -ENOMEM leaves
 * it as it was. */
int model_copy(struct model *copy, const struct model *model);

/* A window column has been taken out: model columns follow, that of the column itself becomes
 * MODEL_NO_COLUMN (in a model that slides: until it is settled, when it is left out). */
void model_forget_column(struct model *model, size_t window_column);

enum model_form model_form(const struct model *model);
size_t model_columns(const struct model *model);
/* The window column of model column i, or MODEL_NO_COLUMN. */
long model_window_column(const struct model *model, size_t column);
size_t model_components(const struct model *model);
const struct thetas *model_thetas(const struct model *model);
double model_mean(const struct model *model, size_t column);
double model_std(const struct model *model, size_t column); /* never below the floor */
double model_floor(const struct model *model, size_t column);
/* In falling order: at least the k leading ones; all of them in FULL. */
const double *model_eigenvalues(const struct model *model, size_t *ret_known);
/* The energy of columns that stand still (each as if off by its floor): no limit of SPE can be
 * lower. */
double model_floor_energy(const struct model *model);
/* What the object holds, without the window. */
size_t model_bytes(const struct model *model);

/* Standardises a row of the window's layout into ret_x (model columns; missing values are 0) and
 * returns how many values it had. */
size_t model_standardise(const struct model *model, const double *row, double *ret_x);

/* The rest need the vectors over the columns: of a copy, or of a model in another form than GRAM.
 */

/* ret_residual = (I - P1 P1') x; returns its squared length, the SPE. */
double model_residual(const struct model *model, const double *x, double *ret_residual);

/* y_j of paper IV-C3: the mean squared residual of a column over the window's own rows. */
double model_residual_variance(const struct model *model, size_t column);

/* (P2 P2')_jj: how much of a deviation of the column alone stays in the residual; 0 .. 1. */
double model_projection_share(const struct model *model, size_t column);
