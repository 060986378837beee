/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paper IV-C3, on standardised rows (B; the printed A_r = A P2 P2' is a slip): a_j the mean squared
 * residual of column j over the m abnormal rows, y_j that over the window; rd_j = (a_j - y_j) /
 * y_j; stddev_j = mean |b_ij|; meandiff_j = (mean of a_ij - avg_j) / avg_j.
 */
#include "detect/identify.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "detect/model.h"
#include "detect/monitor.h"
#include "detect/window.h"

#define ENERGY_TOLERANCE 1e-12 /* of a residual that is zero but for rounding */

static double relative_change(double a, double y)
{
	if (y > ENERGY_TOLERANCE)
		return (a - y) / y;
	return a > ENERGY_TOLERANCE ? INFINITY : 0;
}

/* The abnormal mean and mean |b| of one column over the rows that hold a value of it. */
static void column_change(const struct model *model, const struct window *abnormal, size_t j,
			  struct contribution *contribution)
{
	double sum = 0, deviation = 0;
	size_t n = 0;

	for (size_t i = 0; i < window_rows(abnormal); i++) {
		double value = window_row(abnormal, i)[contribution->column];

		if (isnan(value))
			continue;
		sum += value;
		deviation += fabs(value - model_mean(model, j)) / model_std(model, j);
		n++;
	}
	contribution->mean_normal = model_mean(model, j);
	contribution->mean_abnormal = n > 0 ? sum / (double)n : NAN;
	contribution->stddev = n > 0 ? deviation / (double)n : 0;
	contribution->from_zero = contribution->mean_normal == 0 ||
				  fabs(contribution->mean_normal) < model_floor(model, j);
	contribution->meandiff =
		contribution->from_zero || n == 0
			? NAN
			: (contribution->mean_abnormal - contribution->mean_normal) /
				  contribution->mean_normal;
}

static int compare_contributions(const void *a, const void *b)
{
	const struct contribution *left = a, *right = b;

	if (left->abnormal != right->abnormal)
		return left->abnormal ? -1 : 1;
	if (left->stddev != right->stddev)
		return left->stddev > right->stddev ? -1 : 1;
	return left->column < right->column ? -1 : 1;
}

size_t identify_columns(const struct model *model, const struct window *abnormal, double b1,
			double b2, double *scratch, struct contribution *ret_contributions)
{
	size_t d = model_columns(model), m = window_rows(abnormal), count = 0;
	double *energy = scratch, *x = scratch + d, *residual = scratch + 2 * d;

	memset(energy, 0, d * sizeof(*energy));
	for (size_t i = 0; i < m; i++) {
		(void)model_standardise(model, window_row(abnormal, i), x);
		(void)model_residual(model, x, residual);
		for (size_t j = 0; j < d; j++)
			energy[j] += residual[j] * residual[j] / (double)m;
	}
	for (size_t j = 0; j < d; j++) {
		struct contribution *contribution = &ret_contributions[count];

		if (model_window_column(model, j) == MODEL_NO_COLUMN)
			continue;
		contribution->column = (size_t)model_window_column(model, j);
		contribution->rd = relative_change(energy[j], model_residual_variance(model, j));
		column_change(model, abnormal, j, contribution);
		contribution->abnormal = contribution->rd >= b1 && contribution->stddev >= b2;
		count++;
	}
	qsort(ret_contributions, count, sizeof(*ret_contributions), compare_contributions);
	return count;
}
