#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Projections on `count` orthonormal vectors of `size` places (vector i at vectors + i * size), and
 * the scores of a row of which some coordinates are missing. Pure; any thread.
 */
#include <stddef.h>

/* ret_scores[i] = vector i . x */
void projection_scores(const double *vectors, size_t count, size_t size, const double *x,
		       double *ret_scores);
/* residual -= sum_i scores[i] vector i */
void projection_subtract(const double *vectors, size_t count, size_t size, const double *scores,
			 double *residual);
/* gram += B B' (lower triangle by columns) for a count x width block B with vector i at block + i *
 * width. */
void projection_add_gram(const double *block, size_t count, size_t width, double *gram);

/*
 * A row of which a part M of the coordinates is missing, under probabilistic PCA: scores of
 * variance `values` along the vectors, noise of variance `noise` elsewhere. `gram` = P_M'P_M, its
 * lower triangle, is that of the vectors' rows at the missing coordinates; `scores` = P_O'x_O are
 * those with the missing ones at zero, and become those with the missing ones at what the observed
 * ones lead to expect: (I + G H^-1) scores, H = I - G + noise / (values - noise). Where G = 0 they
 * stay as they are.
 */
struct partial_scores {
	double spe_loss; /* SPE of the observed ones = their squared length - spe_loss */
	double t2_mean;  /* the mean of T2 = sum scores^2 / values under the model; `count` if full
			  */
};

/* `work` holds partial_work_size(count) places. -EDOM when the equations have no solution. */
size_t partial_work_size(size_t count);
int partial_solve(const double *values, size_t count, double noise, const double *gram,
		  double *scores, double *work, struct partial_scores *ret);
