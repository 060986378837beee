/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FULL and BLOCK: sums and cross-products S2 about a shift r slide with the window, and C is read
 * off them: with m the mean about the shift, C_ij = s_i (S2_ij - t m_i m_j) s_j, s_j^2 the
 * reciprocal of the diagonal. In FULL terms for the gaps come on top, when C is formed; in BLOCK C
 * is not formed, and m is the mean of a column whose gaps are filled with the shift.
 */
#include <math.h>
#include <string.h>

#include "detect/model_internal.h"
#include "detect/window.h"

#define FLOOR_RELATIVE 1e-9 /* of the mean: below, a deviation is rounding */
#define FLOOR_LEAST 1e-300

void model_gather(const struct model *model, const double *row, double *ret_values)
{
	for (size_t j = 0; j < model->d; j++)
		ret_values[j] = row[model->columns[j]];
}

void model_find_shift(struct model *model, const struct window *window)
{
	double *shift = model->moments.shift, *count = model->moments.count;

	memset(shift, 0, model->d * sizeof(*shift));
	memset(count, 0, model->d * sizeof(*count));
	for (size_t i = 0; i < model->t; i++) {
		const double *row = window_row(window, i);

		for (size_t j = 0; j < model->d; j++) {
			double value = row[model->columns[j]];

			count[j] += !isnan(value);
			shift[j] += isnan(value) ? 0 : value;
		}
	}
	for (size_t j = 0; j < model->d; j++)
		shift[j] /= fmax(count[j], 1);
}

double model_column_floor(const struct model *model, size_t column, double mean)
{
	return fmax(fmax(model->given_floor[column], FLOOR_RELATIVE * fabs(mean)), FLOOR_LEAST);
}

bool model_sums_are_bad(const struct model *model, size_t column)
{
	const struct moments *moments = &model->moments;
	double variance = model->std[column] * model->std[column];
	double t = (double)moments->rows, gaps = (t - moments->count[column]) / t;
	double drift = moments_mean(moments, column) - moments->shift[column];

	if (model->form != MODEL_FULL && gaps * drift * drift > MODEL_GAP_ERROR * variance)
		return true;
	return moments->peak[column] * MODEL_CANCELLATION > variance * t;
}

int model_full_build(struct model *model, const struct window *window, struct error *err)
{
	model_find_shift(model, window);
	moments_begin(&model->moments);
	for (size_t i = 0, count; i < model->t; i += count) {
		for (count = 0; count < MODEL_GATHER && i + count < model->t; count++)
			model_gather(model, window_row(window, i + count),
				     model->gathered + count * model->d);
		moments_add(&model->moments, model->gathered, count);
	}
	model->pairs.images_hold = false;
	return model_full_settle(model, err);
}

void model_full_slide(struct model *model, const struct window *window, const double *row)
{
	double *entered = model->gathered, *left = model->gathered + model->d;
	bool full = window_rows(window) == model->capacity;

	model_gather(model, row, entered);
	if (full)
		model_gather(model, window_row(window, 0), left);
	moments_slide(&model->moments, entered, full ? left : NULL);
	model->was_full = full;
}

/* Mean, deviation and scale of a column; its place in g and h. */
static void derive_column(struct model *model, size_t j)
{
	const struct moments *moments = &model->moments;
	struct pairs *pairs = &model->pairs;
	double count = moments->count[j], energy, rows = (double)moments->rows;
	double std = sqrt(moments_variance(moments, j)), scale, drift;

	/* in FULL about the mean of the values that are there, in BLOCK of those and the gaps */
	energy = model->form == MODEL_FULL ? std * std * (count - 1) : moments_energy(moments, j);
	drift = moments->sum[j] / (model->form == MODEL_FULL ? fmax(count, 1) : rows);
	model->mean[j] = moments_mean(moments, j);
	model->floor[j] = model_column_floor(model, j, model->mean[j]);
	model->std[j] = fmax(std, model->floor[j]);
	if (count < 2)
		scale = 0;
	else if (std > model->floor[j])
		scale = 1 / sqrt(energy);
	else
		scale = 1 / (model->floor[j] * sqrt(count - 1));
	model->diagonal[j] = energy * scale * scale;
	pairs->scale[j] = scale;
	pairs->g[j] = 0.5 * rows * drift * scale;
	pairs->h[j] = drift * scale;
	pairs->has_gaps |= count < rows;
}

int model_full_settle(struct model *model, struct error *err)
{
	int r;

	model->pairs.has_gaps = false;
	for (size_t j = 0; j < model->d; j++) {
		derive_column(model, j);
		if (model_sums_are_bad(model, j))
			model->build_due = true;
	}
	if (model->build_due && model->slides > 0)
		return 0;
	r = model->vectors && model->form == MODEL_BLOCK ? model_pairs_follow(model, err)
							 : model_pairs_solve(model, err);
	if (r < 0)
		return r;
	model->vectors =
		model->pairs.warm ? subspace_vectors(model->pairs.subspace) : model->pairs.kept;
	return 0;
}
