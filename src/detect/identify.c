/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paper IV-C3, on standardised rows (B; the printed A_r = A P2 P2' is a slip): a_j the mean squared
 * residual of column j over the m abnormal rows, y_j that over the window; rd_j = (a_j - y_j) /
 * y_j; stddev_j = mean |b_ij|; meandiff_j = (mean of a_ij - avg_j) / avg_j.
 *
 * Not in the paper: RBC_j = a_j / (P2 P2')_jj (Alcala and Qin, Automatica 45, 2009), the SPE that
 * would be gone if the column were what the others let expect; and the deviation, the root of the
 * mean b_ij^2, the unit being at least a share of |avg_j|. The square, because an episode has rows
 * in which a column of it is at rest, and a mean over those hides it. The share, because a column
 * that stood still while the model was made (the memory of an idle service) is a million of its own
 * deviations off by the first page it takes, which says nothing about causes.
 */
#include "detect/identify.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "detect/model.h"
#include "detect/monitor.h"
#include "detect/window.h"

#define LEVEL_SHARE 0.01
#define ENERGY_TOLERANCE 1e-12   /* of a residual that is zero but for rounding ... */
#define ROUNDING_TOLERANCE 1e-26 /* ... and of what is taken away, squared */
#define SHARE_TOLERANCE 1e-9     /* (P2 P2')_jj of a column that has no residual */

/* The sums over the rows that hold a value are gathered where the figures will be. */
static void add_row(const struct model *model, const double *row, const double *residual,
		    double *held, struct contribution *contributions)
{
	for (size_t j = 0; j < model_columns(model); j++) {
		long column = model_window_column(model, j);
		struct contribution *contribution = contributions;
		double difference;

		if (column == MODEL_NO_COLUMN)
			continue;
		contributions++;
		if (isnan(row[column]))
			continue;
		difference = row[column] - model_mean(model, j);
		contribution->mean_abnormal += row[column];
		contribution->stddev += fabs(difference);
		contribution->deviation += difference * difference;
		contribution->rbc += residual[j] * residual[j];
		held[j]++;
	}
}

/* rd and rbc of the mean squared residual `a`, the rows being up to `length` (squared) long. What
 * the projection takes away and the column had is where digits are lost. */
static void finish_residual(const struct model *model, size_t j, double a, double length,
			    struct contribution *contribution)
{
	double y = model_residual_variance(model, j), share = model_projection_share(model, j);
	double least = fmax(ENERGY_TOLERANCE, ROUNDING_TOLERANCE * (1 - share) * length);

	contribution->rbc = share > SHARE_TOLERANCE ? a / share : 0;
	if (y > ENERGY_TOLERANCE)
		contribution->rd = (a - y) / y;
	else
		contribution->rd = a > least ? INFINITY : 0;
}

static void finish_means(const struct model *model, size_t j, struct contribution *contribution)
{
	double normal = model_mean(model, j), floor = model_floor(model, j);
	double difference = contribution->mean_abnormal - normal;

	contribution->mean_normal = normal;
	contribution->from_zero = normal == 0 || fabs(normal) < floor;
	contribution->meandiff = contribution->from_zero ? NAN : difference / normal;
	contribution->direction = (difference > floor) - (difference < -floor);
}

/* From sums over n rows to figures. */
static void finish_column(const struct model *model, size_t j, double n, double length,
			  struct contribution *contribution)
{
	double std = model_std(model, j), level = LEVEL_SHARE * fabs(model_mean(model, j));

	contribution->mean_abnormal = n > 0 ? contribution->mean_abnormal / n : NAN;
	finish_means(model, j, contribution);
	if (n == 0)
		return;
	contribution->stddev /= n * std;
	contribution->deviation = sqrt(contribution->deviation / n) / fmax(std, level);
	finish_residual(model, j, contribution->rbc / n, length, contribution);
}

/* The largest squared length of a row of A, in B. */
static double add_rows(const struct model *model, const struct window *abnormal, double *scratch,
		       struct contribution *contributions)
{
	size_t d = model_columns(model);
	double *x = scratch + d, *residual = scratch + 2 * d, longest = 0;

	for (size_t i = 0; i < window_rows(abnormal); i++) {
		const double *row = window_row(abnormal, i);
		double length = 0;

		(void)model_standardise(model, row, x);
		(void)model_residual(model, x, residual);
		add_row(model, row, residual, scratch, contributions);
		for (size_t j = 0; j < d; j++)
			length += x[j] * x[j];
		longest = fmax(longest, length);
	}
	return longest;
}

size_t identify_columns(const struct model *model, const struct window *abnormal, double b1,
			double b2, double *scratch, struct contribution *ret_contributions)
{
	size_t d = model_columns(model), count = 0;
	double length;

	memset(scratch, 0, d * sizeof(*scratch));
	for (size_t j = 0; j < d; j++)
		if (model_window_column(model, j) != MODEL_NO_COLUMN)
			ret_contributions[count++] = (struct contribution){
				.column = (size_t)model_window_column(model, j)};
	length = add_rows(model, abnormal, scratch, ret_contributions);
	count = 0;
	for (size_t j = 0; j < d; j++) {
		struct contribution *contribution = &ret_contributions[count];

		if (model_window_column(model, j) == MODEL_NO_COLUMN)
			continue;
		finish_column(model, j, scratch[j], length, contribution);
		contribution->abnormal = contribution->rd >= b1 && contribution->stddev >= b2;
		count++;
	}
	return count;
}

static int compare_falling(double left, double right)
{
	return (left < right) - (left > right);
}

static int compare_rest(const struct contribution *left, const struct contribution *right)
{
	int order = compare_falling(left->rbc, right->rbc);

	return order ? order : (left->column > right->column) - (left->column < right->column);
}

static int compare_by_stddev(const void *a, const void *b)
{
	const struct contribution *left = a, *right = b;
	int order = right->abnormal - left->abnormal;

	order = order ? order : compare_falling(left->stddev, right->stddev);
	return order ? order : compare_rest(left, right);
}

static int compare_by_deviation(const void *a, const void *b)
{
	const struct contribution *left = a, *right = b;
	int order = right->abnormal - left->abnormal;

	order = order ? order : compare_falling(left->deviation, right->deviation);
	return order ? order : compare_rest(left, right);
}

void identify_rank(struct contribution *contributions, size_t count, enum contribution_order order)
{
	qsort(contributions, count, sizeof(*contributions),
	      order == CONTRIBUTIONS_BY_STDDEV ? compare_by_stddev : compare_by_deviation);
}
