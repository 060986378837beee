#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums, squares and (if wanted) cross-products of the rows of a sliding window, about a fixed
 * shift that lies near the mean, so that nothing cancels. A missing value (NaN) takes no part in a
 * column's count, sum and square and enters the cross-products as the shift. Rows that leave are
 * taken off again; `peak` tells how much of a column's precision that has cost. One owner, one
 * thread at a time.
 */
#include <stdbool.h>
#include <stddef.h>

struct moments {
	size_t columns, rows;
	double *shift;        /* in the columns' own units; the rest about it */
	double *count;        /* values that are there */
	double *sum, *square; /* of them */
	double *peak;         /* the largest that `square` has been since the beginning */
	double *cross;        /* columns x columns, the lower triangle by columns; may be NULL */
	double *gap_sum;      /* [j, i]: the sum of column i over the rows in which j is missing; */
	double *gap_count;    /* how often both are; columns x columns, may be NULL */
	double *entered, *left; /* workspace */
};

enum moments_kind {
	MOMENTS_COLUMNS, /* each column for itself */
	MOMENTS_CROSS,   /* cross-products too */
	MOMENTS_EXACT, /* and what makes them exact where values are missing: 3 columns^2 places */
};

/* Zeroed, without rows. -ENOMEM leaves an object for moments_deinit(). */
int moments_init(struct moments *moments, size_t columns, enum moments_kind kind);
void moments_deinit(struct moments *moments);
size_t moments_bytes(const struct moments *moments);

/* No rows again; the caller has set `shift`. */
void moments_begin(struct moments *moments);
/* Adds `rows` rows, one after the other; leaves them as deviations from the shift, 0 where missing.
 */
void moments_add(struct moments *moments, double *rows, size_t count);
/* One row enters and the row `left` (NULL: none) goes; both are left as moments_add() does. */
void moments_slide(struct moments *moments, double *entered, double *left);

/* MOMENTS_EXACT: adds what `cross` - rows m m' lacks, m the means about the shift, to be the sum of
 * the products of deviations over the rows that have both; times scale_i scale_j, to the upper
 * triangle of `array` (columns x columns, by columns), the diagonal too. */
void moments_add_gap_terms(const struct moments *moments, const double *scale, double *array);

/* The mean of a column's values, their variance (n - 1), and the sum of squares about the mean of
 * the column with its gaps filled by the shift: the diagonal of the centred cross-products. */
double moments_mean(const struct moments *moments, size_t column);
double moments_variance(const struct moments *moments, size_t column);
double moments_energy(const struct moments *moments, size_t column);
