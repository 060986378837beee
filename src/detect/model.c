/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Letters (paper IV-C): M is t x d, Y its standardised form, C = Y'Y / (t - 1) with eigenpairs
 * lambda, v; P1 the first k of v; theta_i = sum_{j>k} lambda_j^i.
 *
 * A missing cell of Y is 0, and a column with n < t values is scaled by sqrt((t - 1) / (n - 1)), so
 * that C is a Gram matrix with a unit diagonal. A column whose deviation is below its floor is
 * divided by the floor: its diagonal is below one, and all of it lies in the residual subspace.
 */
#include "detect/model.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "detect/window.h"
#include "stats/eigen.h"
#include "stats/gram.h"

#define FLOOR_RELATIVE 1e-9 /* of the mean: below, a deviation is rounding */
#define RANK_TOLERANCE 1e-10

struct model {
	size_t d, t, k;
	size_t d_capacity, y_capacity;
	long *columns;
	double *mean, *std, *floor, *diagonal;
	double *lambda;
	double *p1;    /* k vectors of d places: the rows of P1' */
	double *y, *c; /* workspace: t x d, d x d */
	struct eigen *eigen;
	size_t eigen_size;
	struct thetas thetas;
};

DEFINE_CLEANUP(struct model *, model_free)

struct model *model_new(void)
{
	return calloc(1, sizeof(struct model));
}

struct model *model_free(struct model *model)
{
	if (!model)
		return NULL;
	free(model->columns);
	free(model->mean);
	free(model->std);
	free(model->floor);
	free(model->diagonal);
	free(model->lambda);
	free(model->p1);
	free(model->y);
	free(model->c);
	eigen_free(model->eigen);
	free(model);
	return NULL;
}

static int grow(double **array, size_t count)
{
	double *grown = reallocarray(*array, count, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	*array = grown;
	return 0;
}

/* Room for the model itself, without the workspace. */
static int reserve_columns(struct model *model, size_t d)
{
	long *columns;

	if (d <= model->d_capacity)
		return 0;
	columns = reallocarray(model->columns, d, sizeof(*columns));
	if (!columns)
		return -ENOMEM;
	model->columns = columns;
	if (grow(&model->mean, d) < 0 || grow(&model->std, d) < 0 || grow(&model->floor, d) < 0 ||
	    grow(&model->diagonal, d) < 0 || grow(&model->lambda, d) < 0 ||
	    grow(&model->p1, d * d) < 0)
		return -ENOMEM;
	model->d_capacity = d;
	return 0;
}

static int reserve_workspace(struct model *model, size_t t, size_t d, struct error *err)
{
	if (t * d > model->y_capacity) {
		if (grow(&model->y, t * d) < 0)
			return error_set(err, -ENOMEM, "out of memory for %zu x %zu values", t, d);
		model->y_capacity = t * d;
	}
	if (d == model->eigen_size)
		return 0;
	model->eigen = eigen_free(model->eigen);
	model->eigen_size = 0;
	if (grow(&model->c, d * d) < 0)
		return error_set(err, -ENOMEM, "out of memory for %zu x %zu values", d, d);
	if (eigen_new(d, &model->eigen, err) < 0)
		return -ENOMEM;
	model->eigen_size = d;
	return 0;
}

/* Mean and standard deviation (n - 1) of the values that are there, in two passes over the rows.
 * Leaves the number of values of each column in `diagonal`, which is free until the correlation
 * matrix is there. */
static void column_moments(struct model *model, const struct window *window)
{
	double *count = model->diagonal;

	memset(model->mean, 0, model->d * sizeof(*model->mean));
	memset(model->std, 0, model->d * sizeof(*model->std));
	memset(count, 0, model->d * sizeof(*count));
	for (size_t i = 0; i < model->t; i++) {
		const double *row = window_row(window, i);

		for (size_t j = 0; j < model->d; j++) {
			double value = row[model->columns[j]];

			count[j] += !isnan(value);
			model->mean[j] += isnan(value) ? 0 : value;
		}
	}
	for (size_t j = 0; j < model->d; j++)
		model->mean[j] /= fmax(count[j], 1);
	for (size_t i = 0; i < model->t; i++) {
		const double *row = window_row(window, i);

		for (size_t j = 0; j < model->d; j++) {
			double deviation = row[model->columns[j]] - model->mean[j];

			model->std[j] += isnan(deviation) ? 0 : deviation * deviation;
		}
	}
	for (size_t j = 0; j < model->d; j++)
		model->std[j] = sqrt(model->std[j] / fmax(count[j] - 1, 1));
}

/* Floors, and Y: see the head of this file. */
static void standardise_window(struct model *model, const struct window *window,
			       const double *floors)
{
	double *scale = model->lambda; /* free until the eigenvalues are there */

	for (size_t j = 0; j < model->d; j++) {
		double count = model->diagonal[j];

		model->floor[j] =
			fmax(floors[model->columns[j]], FLOOR_RELATIVE * fabs(model->mean[j]));
		model->std[j] = fmax(fmax(model->std[j], model->floor[j]), 1e-300);
		scale[j] =
			count > 1 ? sqrt((double)(model->t - 1) / (count - 1)) / model->std[j] : 0;
	}
	for (size_t i = 0; i < model->t; i++) {
		const double *row = window_row(window, i);
		double *y = model->y + i * model->d;

		for (size_t j = 0; j < model->d; j++) {
			double deviation = row[model->columns[j]] - model->mean[j];

			y[j] = isnan(deviation) ? 0 : deviation * scale[j];
		}
	}
}

/* k: the fewest components with more than the share `cpv` of the variance, but fewer than the rank,
 * so that there is a residual. One column, or none that varies: k = 0, and SPE is the squared
 * length of x. */
static void choose_components(struct model *model, double cpv)
{
	double trace = 0, sum = 0;
	size_t rank = 0, k = 0;

	for (size_t i = 0; i < model->d; i++) {
		model->lambda[i] = fmax(eigen_values(model->eigen)[i], 0);
		trace += model->lambda[i];
	}
	while (rank < model->d && model->lambda[rank] > RANK_TOLERANCE * trace)
		rank++;
	while (k + 1 < rank && sum <= cpv * trace)
		sum += model->lambda[k++];
	model->k = k;
	model->thetas = (struct thetas){0};
	for (size_t i = k; i < model->d; i++) {
		double lambda = model->lambda[i];

		model->thetas.theta1 += lambda;
		model->thetas.theta2 += lambda * lambda;
		model->thetas.theta3 += lambda * lambda * lambda;
	}
}

int model_build(struct model *model, const struct window *window, const bool *use,
		const double *floors, double cpv, struct error *err)
{
	size_t d = 0, j = 0;
	int r;

	for (size_t column = 0; column < window_columns(window); column++)
		d += use[column];
	assert(d > 0 && window_rows(window) > 1);
	if (reserve_columns(model, d) < 0)
		return error_set(err, -ENOMEM, "out of memory for a model of %zu columns", d);
	r = reserve_workspace(model, window_rows(window), d, err);
	if (r < 0)
		return r;
	model->d = d;
	model->t = window_rows(window);
	for (size_t column = 0; column < window_columns(window); column++)
		if (use[column])
			model->columns[j++] = (long)column;
	column_moments(model, window);
	standardise_window(model, window, floors);
	gram_columns(model->y, model->t, d, 1.0 / (double)(model->t - 1), model->c);
	for (size_t i = 0; i < d; i++)
		model->diagonal[i] = model->c[i * d + i];
	r = eigen_solve(model->eigen, model->c, err);
	if (r < 0)
		return r;
	choose_components(model, cpv);
	for (size_t i = 0; i < model->k; i++)
		memcpy(model->p1 + i * d, eigen_vector(model->eigen, i), d * sizeof(*model->p1));
	return 0;
}

int model_copy(struct model *copy, const struct model *model)
{
	size_t d = model->d;

	if (reserve_columns(copy, d) < 0)
		return -ENOMEM;
	copy->d = d;
	copy->t = model->t;
	copy->k = model->k;
	copy->thetas = model->thetas;
	memcpy(copy->columns, model->columns, d * sizeof(*copy->columns));
	memcpy(copy->mean, model->mean, d * sizeof(*copy->mean));
	memcpy(copy->std, model->std, d * sizeof(*copy->std));
	memcpy(copy->floor, model->floor, d * sizeof(*copy->floor));
	memcpy(copy->diagonal, model->diagonal, d * sizeof(*copy->diagonal));
	memcpy(copy->lambda, model->lambda, d * sizeof(*copy->lambda));
	memcpy(copy->p1, model->p1, model->k * d * sizeof(*copy->p1));
	return 0;
}

void model_forget_column(struct model *model, size_t window_column)
{
	for (size_t j = 0; j < model->d; j++) {
		if (model->columns[j] == (long)window_column)
			model->columns[j] = MODEL_NO_COLUMN;
		else if (model->columns[j] > (long)window_column)
			model->columns[j]--;
	}
}

size_t model_columns(const struct model *model)
{
	return model->d;
}

long model_window_column(const struct model *model, size_t column)
{
	return model->columns[column];
}

size_t model_components(const struct model *model)
{
	return model->k;
}

const struct thetas *model_thetas(const struct model *model)
{
	return &model->thetas;
}

double model_mean(const struct model *model, size_t column)
{
	return model->mean[column];
}

double model_std(const struct model *model, size_t column)
{
	return model->std[column];
}

double model_floor(const struct model *model, size_t column)
{
	return model->floor[column];
}

const double *model_eigenvalues(const struct model *model)
{
	return model->lambda;
}

double model_floor_energy(const struct model *model)
{
	double energy = RANK_TOLERANCE * (double)model->d;

	for (size_t j = 0; j < model->d; j++)
		if (model->std[j] == model->floor[j])
			energy += 1;
	return energy;
}

size_t model_standardise(const struct model *model, const double *row, double *ret_x)
{
	size_t present = 0;

	for (size_t j = 0; j < model->d; j++) {
		double value = model->columns[j] >= 0 ? row[model->columns[j]] : NAN;

		ret_x[j] = isnan(value) ? 0 : (value - model->mean[j]) / model->std[j];
		present += !isnan(value);
	}
	return present;
}

double model_residual(const struct model *model, const double *x, double *ret_residual)
{
	double spe = 0;

	memcpy(ret_residual, x, model->d * sizeof(*x));
	for (size_t i = 0; i < model->k; i++) {
		const double *v = model->p1 + i * model->d;
		double score = 0;

		for (size_t j = 0; j < model->d; j++)
			score += v[j] * x[j];
		for (size_t j = 0; j < model->d; j++)
			ret_residual[j] -= score * v[j];
	}
	for (size_t j = 0; j < model->d; j++)
		spe += ret_residual[j] * ret_residual[j];
	return spe;
}

double model_residual_variance(const struct model *model, size_t column)
{
	double variance = model->diagonal[column];

	for (size_t i = 0; i < model->k; i++) {
		double v = model->p1[i * model->d + column];

		variance -= model->lambda[i] * v * v;
	}
	return fmax(variance, 0) * (double)(model->t - 1) / (double)model->t;
}
