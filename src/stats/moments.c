/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/moments.h"

#include <cblas.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int moments_init(struct moments *moments, size_t columns, enum moments_kind kind)
{
	*moments = (struct moments){.columns = columns};
	moments->shift = calloc(columns, sizeof(double));
	moments->count = calloc(columns, sizeof(double));
	moments->sum = calloc(columns, sizeof(double));
	moments->square = calloc(columns, sizeof(double));
	moments->peak = calloc(columns, sizeof(double));
	moments->entered = calloc(columns, sizeof(double));
	moments->left = calloc(columns, sizeof(double));
	if (kind != MOMENTS_COLUMNS)
		moments->cross = calloc(columns * columns, sizeof(double));
	if (kind == MOMENTS_EXACT) {
		moments->gap_sum = calloc(columns * columns, sizeof(double));
		moments->gap_count = calloc(columns * columns, sizeof(double));
	}
	return moments->shift && moments->count && moments->sum && moments->square &&
			       moments->peak && moments->entered && moments->left &&
			       (moments->cross || kind == MOMENTS_COLUMNS) &&
			       (kind != MOMENTS_EXACT || (moments->gap_sum && moments->gap_count))
		       ? 0
		       : -ENOMEM;
}

void moments_deinit(struct moments *moments)
{
	free(moments->shift);
	free(moments->count);
	free(moments->sum);
	free(moments->square);
	free(moments->peak);
	free(moments->cross);
	free(moments->gap_sum);
	free(moments->gap_count);
	free(moments->entered);
	free(moments->left);
	*moments = (struct moments){0};
}

size_t moments_bytes(const struct moments *moments)
{
	size_t d = moments->columns;

	size_t matrices = (moments->cross ? 1 : 0) + (moments->gap_sum ? 2 : 0);

	return (7 * d + matrices * d * d) * sizeof(double);
}

void moments_begin(struct moments *moments)
{
	size_t bytes = moments->columns * sizeof(double);

	moments->rows = 0;
	memset(moments->count, 0, bytes);
	memset(moments->sum, 0, bytes);
	memset(moments->square, 0, bytes);
	memset(moments->peak, 0, bytes);
	if (moments->cross)
		memset(moments->cross, 0, bytes * moments->columns);
	if (moments->gap_sum) {
		memset(moments->gap_sum, 0, bytes * moments->columns);
		memset(moments->gap_count, 0, bytes * moments->columns);
	}
}

/* A row of deviations in which column j is missing. `missing` tells which others are. */
static void take_gap(struct moments *moments, const double *row, const double *missing, size_t j,
		     double sign)
{
	double *sum = moments->gap_sum + j * moments->columns;
	double *count = moments->gap_count + j * moments->columns;

	for (size_t i = 0; i < moments->columns; i++) {
		sum[i] += sign * row[i];
		count[i] += sign * missing[i];
	}
}

static void take_gaps(struct moments *moments, const double *row, const double *missing,
		      double sign)
{
	for (size_t j = 0; j < moments->columns; j++)
		if (missing[j] > 0)
			take_gap(moments, row, missing, j, sign);
}

/* One row as deviations, and its part in the columns' own sums. */
static void take(struct moments *moments, double *row, double sign)
{
	double *missing = moments->entered; /* free until the cross-products slide */
	bool any = false;

	for (size_t j = 0; j < moments->columns; j++) {
		bool present = !isnan(row[j]);
		double z = present ? row[j] - moments->shift[j] : 0;

		row[j] = z;
		missing[j] = present ? 0 : 1;
		any |= !present;
		moments->count[j] += present ? sign : 0;
		moments->sum[j] += sign * z;
		moments->square[j] += sign * z * z;
	}
	if (any && moments->gap_sum)
		take_gaps(moments, row, missing, sign);
}

static void note_peaks(struct moments *moments)
{
	for (size_t j = 0; j < moments->columns; j++)
		if (moments->square[j] > moments->peak[j])
			moments->peak[j] = moments->square[j];
}

void moments_add(struct moments *moments, double *rows, size_t count)
{
	blasint d = (blasint)moments->columns;

	for (size_t i = 0; i < count; i++)
		take(moments, rows + i * moments->columns, 1);
	moments->rows += count;
	note_peaks(moments);
	if (moments->cross)
		cblas_dsyrk(CblasColMajor, CblasLower, CblasNoTrans, d, (blasint)count, 1, rows, d,
			    1, moments->cross, d);
}

/* e e' - l l' = ((e - l)(e + l)' + (e + l)(e - l)') / 2: one pass over the triangle. */
static void slide_cross(struct moments *moments, const double *entered, const double *left)
{
	blasint d = (blasint)moments->columns;
	double *difference = moments->entered, *sum = moments->left;

	for (size_t j = 0; j < moments->columns; j++) {
		double e = entered[j], l = left[j];

		difference[j] = e - l;
		sum[j] = e + l;
	}
	cblas_dsyr2(CblasColMajor, CblasLower, d, 0.5, difference, 1, sum, 1, moments->cross, d);
}

void moments_slide(struct moments *moments, double *entered, double *left)
{
	blasint d = (blasint)moments->columns;

	take(moments, entered, 1);
	note_peaks(moments);
	if (left)
		take(moments, left, -1);
	else
		moments->rows++;
	if (!moments->cross)
		return;
	if (left)
		slide_cross(moments, entered, left);
	else
		cblas_dsyr(CblasColMajor, CblasLower, d, 1, entered, 1, moments->cross, d);
}

static double mean_about_shift(const struct moments *moments, size_t column)
{
	double count = moments->count[column];

	return count > 0 ? moments->sum[column] / count : 0;
}

/* With f the deviations, 0 where missing, and n the rows in which neither is missing, the sum over
 * those of (f_i - m_i) (f_j - m_j) is that of f_i f_j less m_i m_j (rows - how often both are
 * missing), plus m_i (sum of f_j where i is missing) and the reverse. */
void moments_add_gap_terms(const struct moments *moments, const double *scale, double *array)
{
	size_t d = moments->columns;
	const double *sums = moments->gap_sum, *counts = moments->gap_count;

	for (size_t j = 0; j < d; j++) {
		double mean_j = mean_about_shift(moments, j);

		for (size_t i = 0; i <= j; i++) {
			double mean_i = mean_about_shift(moments, i);
			double term = mean_i * mean_j * counts[j * d + i] +
				      mean_i * sums[i * d + j] + mean_j * sums[j * d + i];

			array[j * d + i] += scale[i] * term * scale[j]; /* each may be 1e299 */
		}
	}
}

double moments_mean(const struct moments *moments, size_t column)
{
	return moments->shift[column] + mean_about_shift(moments, column);
}

static double about_mean(const struct moments *moments, size_t column, double count)
{
	double sum = moments->sum[column];

	return count > 0 ? fmax(moments->square[column] - sum * sum / count, 0) : 0;
}

double moments_variance(const struct moments *moments, size_t column)
{
	double count = moments->count[column];

	return about_mean(moments, column, count) / fmax(count - 1, 1);
}

double moments_energy(const struct moments *moments, size_t column)
{
	return about_mean(moments, column, (double)moments->rows);
}
