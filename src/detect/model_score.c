/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The score of a row. With gaps: facts of the observed coordinates O only. The scores are those of
 * the row whose missing coordinates M are what the observed ones lead to expect under probabilistic
 * PCA (stats/projection.h), the noise being theta1 / (d - k) per coordinate. SPE over O is scaled
 * by theta1 / (theta1 - the residual variance of M), T2 by k / its mean.
 */
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "detect/model_internal.h"
#include "stats/projection.h"

#define STANDARD_LIMIT 1e148 /* the squares of 16384 such values are still finite */
#define SPE_SCALE_SLACK 4
#define T2_SCALE_MAX 10
#define NOISE_LEAST 1e-9 /* of the mean variance of a score */

int model_reserve_score(struct model *model)
{
	/* a step may make k larger, within its block */
	size_t k = model->k + MODEL_EXTRA, places = model->score_places;
	size_t wanted = k * k + partial_work_size(k);

	if (wanted <= places)
		return 0;
	if (model_reserve(&model->partial, &model->score_places, wanted) < 0)
		return -ENOMEM;
	places = 0;
	if (model_reserve(&model->scores, &places, k) < 0)
		return -ENOMEM;
	places = 0;
	return model_reserve(&model->lifted, &places, MODEL_GATHER * k);
}

size_t model_standardise(const struct model *model, const double *row, double *ret_x)
{
	size_t present = 0;

	for (size_t j = 0; j < model->d; j++) {
		double value = model->columns[j] >= 0 ? row[model->columns[j]] : NAN;
		double x = (value - model->mean[j]) / model->std[j];

		ret_x[j] = isnan(value) ? 0 : fmin(fmax(x, -STANDARD_LIMIT), STANDARD_LIMIT);
		present += !isnan(value);
	}
	return present;
}

static double square_sum(const double *x, size_t count)
{
	double sum = 0;

	for (size_t j = 0; j < count; j++)
		sum += x[j] * x[j];
	return sum;
}

double model_residual(const struct model *model, const double *x, double *ret_residual)
{
	double scores[MODEL_GATHER];

	assert(model->vectors);
	memcpy(ret_residual, x, model->d * sizeof(*x));
	for (size_t i = 0, count; i < model->k; i += count) {
		const double *vectors = model->vectors + i * model->d;

		count = model->k - i < MODEL_GATHER ? model->k - i : MODEL_GATHER;
		projection_scores(vectors, count, model->d, x, scores);
		projection_subtract(vectors, count, model->d, scores, ret_residual);
	}
	return square_sum(ret_residual, model->d);
}

/* Sum of v_ij^2 weighted by the eigenvalues, or not. */
static double loadings(const struct model *model, size_t column, bool weighted)
{
	double sum = 0;

	assert(model->vectors);
	for (size_t i = 0; i < model->k; i++) {
		double v = model->vectors[i * model->d + column];

		sum += (weighted ? model->lambda[i] : 1) * v * v;
	}
	return sum;
}

double model_residual_variance(const struct model *model, size_t column)
{
	double variance = model->diagonal[column] - loadings(model, column, true);

	return fmax(variance, 0) * (double)(model->t - 1) / (double)model->t;
}

double model_projection_share(const struct model *model, size_t column)
{
	return fmin(fmax(1 - loadings(model, column, false), 0), 1);
}

static double t2_of(const struct model *model)
{
	double t2 = 0;

	for (size_t i = 0; i < model->k; i++)
		t2 += model->scores[i] * model->scores[i] / model->lambda[i];
	return t2;
}

static void lift_columns(struct model *model, const size_t *columns, size_t width)
{
	if (!model->vectors) {
		model_gram_lift_columns(model, columns, width, model->lifted);
		return;
	}
	for (size_t i = 0; i < model->k; i++)
		for (size_t c = 0; c < width; c++)
			model->lifted[i * width + c] = model->vectors[i * model->d + columns[c]];
}

/* Adds the missing columns to P_M'P_M and returns their residual variance. */
static double add_missing(struct model *model, const size_t *columns, size_t width, double *gram)
{
	double variance = 0;

	lift_columns(model, columns, width);
	projection_add_gram(model->lifted, model->k, width, gram);
	for (size_t c = 0; c < width; c++) {
		double rest = model->diagonal[columns[c]];

		for (size_t i = 0; i < model->k; i++) {
			double v = model->lifted[i * width + c];

			rest -= model->lambda[i] * v * v;
		}
		variance += fmax(rest, 0);
	}
	return variance;
}

/* P_M'P_M into model->partial; returns the residual variance of M. */
static double missing_columns(struct model *model, const double *row)
{
	size_t columns[MODEL_GATHER], width = 0;
	double variance = 0;

	memset(model->partial, 0, model->k * model->k * sizeof(*model->partial));
	for (size_t j = 0; j < model->d; j++) {
		if (model->columns[j] < 0 || isnan(row[model->columns[j]]))
			columns[width++] = j;
		if (width == MODEL_GATHER || (width > 0 && j + 1 == model->d)) {
			variance += add_missing(model, columns, width, model->partial);
			width = 0;
		}
	}
	return variance;
}

static double noise_of(const struct model *model)
{
	double sum = 0;

	for (size_t i = 0; i < model->k; i++)
		sum += model->lambda[i];
	return fmax(model->thetas.theta1 / (double)(model->d - model->k),
		    NOISE_LEAST * sum / fmax((double)model->k, 1));
}

/* From the scores with the missing coordinates at zero, and the row's squared length. */
static void score_observed(struct model *model, const double *row, double length,
			   struct model_score *score)
{
	double theta1 = model->thetas.theta1, k = (double)model->k;
	double missing = missing_columns(model, row), scale;
	double most = SPE_SCALE_SLACK * (double)model->d / (double)score->present;
	struct partial_scores partial;

	/* without a solution the scores stay as they are */
	if (partial_solve(model->lambda, model->k, noise_of(model), model->partial, model->scores,
			  model->partial + model->k * model->k, &partial) < 0)
		partial = (struct partial_scores){square_sum(model->scores, model->k), k};
	scale = theta1 > 0 ? theta1 / fmax(theta1 - missing, theta1 / most) : 1;
	score->spe = fmax(length - partial.spe_loss, 0) * scale;
	score->t2 = t2_of(model);
	if (model->k > 0)
		score->t2 *= k / fmax(partial.t2_mean, k / T2_SCALE_MAX);
}

int model_score(struct model *model, const double *row, struct model_score *ret_score)
{
	struct model_score score = {0};

	assert(model->settled);
	score.present = model_standardise(model, row, model->x);
	if (score.present > 0) {
		double length = square_sum(model->x, model->d);

		if (model->vectors)
			projection_scores(model->vectors, model->k, model->d, model->x,
					  model->scores);
		else
			model_gram_scores(model, row, score.present);
		if (score.present < model->d) {
			score_observed(model, row, length, &score);
		} else if (model->vectors) {
			projection_subtract(model->vectors, model->k, model->d, model->scores,
					    model->x);
			score.spe = square_sum(model->x, model->d);
			score.t2 = t2_of(model);
		} else {
			score.spe = fmax(length - square_sum(model->scores, model->k), 0);
			score.t2 = t2_of(model);
		}
	}
	*ret_score = score;
	return 0;
}
