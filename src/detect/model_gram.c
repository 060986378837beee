/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GRAM: more columns than rows. Y holds the window's rows as y = (value - r) e with a shift r and a
 * factor e per column, K = YY'; with H = I - 11' / t the matrix HKH / (t - 1) has the eigenvalues
 * lambda of C = Y'HY / (t - 1), and its eigenvectors u give C's: v = Y'u / sqrt(lambda (t - 1)). A
 * row x about the mean has the scores v'x = u'(Yx) / sqrt(lambda (t - 1)): one pass over Y, and no
 * vector over the columns (kernel PCA). Where no value is missing Yx = Yy - K1 / t, and Yy is also
 * the row's new line of K.
 *
 * A column whose deviation has drifted from what e says gets shift and factor anew, from the
 * window, and K is corrected by its two outer products.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "detect/model_internal.h"
#include "detect/window.h"
#include "stats/projection.h"

#define DRIFT_MAX 1.1025  /* of a variance: 5 % of a deviation */
#define DRIFT_BAD 2.25    /* 50 % of a deviation: never left as it is */
#define PLACE_LIMIT 1e148 /* squares of 16384 such places are finite */
#define PRODUCT_LIMIT 1e4 /* a larger place would cost the products digits */

enum {
	SLIGHT_MAX = 32,   /* columns done anew in one slide because they are slightly off */
	BUILD_SPACING = 72 /* rows, at least, between two builds because many are */
};

int model_gram_init(struct model *model, struct error *err)
{
	struct rows *rows = &model->rows;
	size_t t = model->capacity, d = model->d;

	*rows = (struct rows){0};
	rows->factor = calloc(d, sizeof(double));
	rows->sums = calloc(t, sizeof(double));
	rows->y = calloc(d, sizeof(double));
	rows->products = calloc(2 * t, sizeof(double));
	rows->before = calloc(MODEL_GATHER * t, sizeof(double));
	rows->after = calloc(MODEL_GATHER * t, sizeof(double));
	rows->drifted = calloc(MODEL_GATHER, sizeof(*rows->drifted));
	if (gram_init(&rows->gram, t, d) < 0 || !rows->factor || !rows->sums || !rows->y ||
	    !rows->products || !rows->before || !rows->after || !rows->drifted)
		return error_set(err, -ENOMEM, "out of memory for %zu x %zu values", t, d);
	return 0;
}

void model_gram_deinit(struct rows *rows)
{
	gram_deinit(&rows->gram);
	free(rows->factor);
	free(rows->sums);
	free(rows->y);
	free(rows->products);
	free(rows->before);
	free(rows->after);
	free(rows->drifted);
	*rows = (struct rows){0};
}

/* The deviation, and the factor of Y that gives the column the diagonal it has in C. */
static double find_factor(const struct model *model, size_t j, double *ret_std)
{
	const struct moments *moments = &model->moments;
	double floor = model_column_floor(model, j, moments_mean(moments, j));
	double std = sqrt(moments_variance(moments, j)), count = moments->count[j];
	double t = (double)moments->rows;

	*ret_std = fmax(std, floor);
	if (count < 2)
		return 0;
	if (std > floor)
		return sqrt((t - 1) / moments_energy(moments, j));
	return sqrt((t - 1) / (count - 1)) / floor;
}

static double place(double deviation, double factor)
{
	return fmin(fmax(deviation * factor, -PLACE_LIMIT), PLACE_LIMIT);
}

int model_gram_build(struct model *model, const struct window *window, struct error *err)
{
	struct rows *rows = &model->rows;
	struct gram *gram = &rows->gram;

	model_find_shift(model, window);
	moments_begin(&model->moments);
	for (size_t i = 0; i < model->t; i++) {
		double *y = gram->y + i * model->d;

		model_gather(model, window_row(window, i), y);
		moments_add(&model->moments, y, 1);
	}
	for (size_t j = 0; j < model->d; j++)
		rows->factor[j] = find_factor(model, j, &model->std[j]);
	for (size_t i = 0; i < model->t; i++)
		for (size_t j = 0; j < model->d; j++) {
			double *y = &gram->y[i * model->d + j];

			*y = place(*y, rows->factor[j]);
		}
	gram->rows = model->t;
	gram_rebuild(gram);
	rows->oldest = 0;
	rows->products_hold = false;
	rows->since_build = 0;
	model->pairs.since_solution = 0;
	model->pairs.warm = false;
	model->vectors = NULL;
	model->known = 0;
	return model_gram_settle(model, err);
}

/* Sliding */

static double ratio_off(double now, double then)
{
	double ratio = then > 0 ? now / then : (now > 0 ? INFINITY : 1);

	return ratio < 1 ? 1 / fmax(ratio, 1e-300) : ratio;
}

/* How far, as a ratio of variances, a column's deviation is from the one in use. */
static double drift_of(const struct model *model, size_t j)
{
	double std, factor = find_factor(model, j, &std);
	double drift =
		fmax(ratio_off(std, model->std[j]), ratio_off(factor, model->rows.factor[j]));

	return model_sums_are_bad(model, j) ? INFINITY : drift * drift;
}

static size_t columns_beyond(struct model *model, double limit)
{
	size_t count = 0;

	for (size_t j = 0; j < model->d; j++)
		if (drift_of(model, j) > limit) {
			if (count < MODEL_GATHER)
				model->rows.drifted[count] = j;
			count++;
		}
	return count;
}

/* The columns to be done anew now. Where many are slightly off they wait for a build. */
static size_t find_drifted(struct model *model)
{
	size_t count = columns_beyond(model, DRIFT_MAX);

	if (count <= SLIGHT_MAX)
		return count;
	if (model->rows.since_build < BUILD_SPACING)
		count = columns_beyond(model, DRIFT_BAD);
	if (count <= MODEL_GATHER && model->rows.since_build < BUILD_SPACING)
		return count;
	model->build_due = true;
	return 0;
}

/* Shift, sums, factor and places of one column anew, from the rows that stay and the one that
 * enters. `c` is its place among the gathered ones. */
static void redo_column(struct model *model, const struct window *window, const double *row,
			size_t j, size_t c)
{
	struct rows *rows = &model->rows;
	struct moments *moments = &model->moments;
	size_t n = window_rows(window), first = n == model->capacity, column;
	double *before = rows->before + c * model->capacity;
	double *after = rows->after + c * model->capacity, sum, count;

	column = (size_t)model->columns[j];
	count = !isnan(row[column]);
	sum = count > 0 ? row[column] : 0;
	for (size_t i = first; i < n; i++) {
		double value = window_row(window, i)[column];

		after[i] = value;
		count += !isnan(value);
		sum += isnan(value) ? 0 : value;
	}
	moments->shift[j] = count > 0 ? sum / count : 0;
	moments->entered[0] = isnan(row[column]) ? 0 : row[column] - moments->shift[j];
	moments->count[j] = count;
	moments->sum[j] = moments->entered[0];
	moments->square[j] = moments->entered[0] * moments->entered[0];
	for (size_t i = first; i < n; i++) {
		after[i] = isnan(after[i]) ? 0 : after[i] - moments->shift[j];
		moments->sum[j] += after[i];
		moments->square[j] += after[i] * after[i];
	}
	moments->peak[j] = moments->square[j];
	rows->factor[j] = find_factor(model, j, &model->std[j]);
	if (first)
		after[0] = 0; /* this row is about to go */
	/* from the order of the window to slots: `before` first serves as the other list */
	for (size_t i = 0; i < n; i++)
		before[(rows->oldest + i) % model->capacity] = place(after[i], rows->factor[j]);
	memcpy(after, before, n * sizeof(*after));
	for (size_t i = 0; i < n; i++) {
		double *y = &rows->gram.y[i * model->d + j];

		before[i] = *y;
		*y = after[i];
	}
}

/* The products of the entering row with Y follow the columns that were done anew. */
static void follow_products(struct rows *rows, size_t capacity, size_t c, double from, double to)
{
	if (!(fabs(from) <= PRODUCT_LIMIT))
		rows->products_hold = false;
	for (size_t i = 0; i < rows->gram.rows && rows->products_hold; i++)
		rows->products[i] +=
			rows->after[c * capacity + i] * to - rows->before[c * capacity + i] * from;
}

static void redo_columns(struct model *model, const struct window *window, const double *row,
			 double *y)
{
	struct rows *rows = &model->rows;
	size_t count = find_drifted(model);

	for (size_t c = 0; c < count; c++) {
		size_t j = rows->drifted[c];
		double from = y[j], value = row[model->columns[j]];

		redo_column(model, window, row, j, c);
		y[j] = isnan(value) ? 0 : place(value - model->moments.shift[j], rows->factor[j]);
		follow_products(rows, model->capacity, c, from, y[j]);
	}
	if (count > 0)
		gram_exchange_columns(&rows->gram, count, rows->before, rows->after);
}

void model_gram_slide(struct model *model, const struct window *window, const double *row)
{
	struct rows *rows = &model->rows;
	double *y = model->gathered, *left = model->gathered + model->d, square = 0;
	bool full = window_rows(window) == model->capacity;
	size_t slot = full ? rows->oldest : rows->gram.rows;

	model_gather(model, row, y);
	if (full)
		model_gather(model, window_row(window, 0), left);
	moments_slide(&model->moments, y, full ? left : NULL);
	for (size_t j = 0; j < model->d; j++)
		y[j] = place(y[j], rows->factor[j]);
	rows->products_hold = rows->products_hold && memcmp(rows->y, y, model->d * sizeof(*y)) == 0;
	redo_columns(model, window, row, y);
	if (!rows->products_hold)
		gram_products(&rows->gram, y, rows->products);
	rows->products_hold = false;
	for (size_t j = 0; j < model->d; j++)
		square += y[j] * y[j];
	if (!full)
		for (size_t i = 0; i < model->pairs.block; i++)
			subspace_vectors(model->pairs.subspace)[i * model->capacity + slot] = 0;
	gram_replace(&rows->gram, slot, y, rows->products, square);
	if (full)
		rows->oldest = (rows->oldest + 1) % model->capacity;
	rows->since_build++;
}

/* Settling */

/* HKH / (t - 1) = S K S - g h' - h g', S and h constant. */
static void derive(struct model *model)
{
	struct rows *rows = &model->rows;
	struct pairs *pairs = &model->pairs;
	size_t n = rows->gram.rows;
	double t = (double)n, scale = 1 / sqrt(t - 1), total = 0;

	gram_row_sums(&rows->gram, rows->sums);
	for (size_t i = 0; i < n; i++)
		total += rows->sums[i];
	for (size_t i = 0; i < n; i++) {
		pairs->scale[i] = scale;
		pairs->h[i] = scale;
		pairs->g[i] = scale * (rows->sums[i] - 0.5 * total / t) / t;
	}
	pairs->size = n;
	rows->has_gaps = false;
	for (size_t j = 0; j < model->d; j++) {
		double energy = moments_energy(&model->moments, j), factor = rows->factor[j];

		model->mean[j] = moments_mean(&model->moments, j);
		model->floor[j] = fmin(model_column_floor(model, j, model->mean[j]), model->std[j]);
		model->diagonal[j] = energy * factor * factor / (t - 1);
		rows->has_gaps |= model->moments.count[j] < t;
	}
}

/* factors[i] = 1 / sqrt(lambda_i (t - 1)), in the workspace of a score. */
static const double *lift_factors(const struct model *model)
{
	for (size_t i = 0; i < model->k; i++)
		model->scores[i] = 1 / sqrt(model->lambda[i] * (double)(model->rows.gram.rows - 1));
	return model->scores;
}

void model_gram_lift(const struct model *model, double *ret_vectors)
{
	gram_lift(&model->rows.gram,
		  model->pairs.warm ? subspace_vectors(model->pairs.subspace) : model->pairs.kept,
		  model->k, lift_factors(model), ret_vectors);
}

int model_gram_settle(struct model *model, struct error *err)
{
	struct pairs *pairs = &model->pairs;
	int r;

	derive(model);
	if (model->build_due && model->slides > 0)
		return 0;
	r = model->known > 0 ? model_pairs_follow(model, err) : model_pairs_solve(model, err);
	if (r < 0)
		return r;
	if (pairs->warm) {
		model->vectors = NULL;
		return 0;
	}
	if (r == 0)
		return 0;
	if (model_reserve(&model->p1, &model->p1_places, (model->k > 0 ? model->k : 1) * model->d) <
	    0)
		return error_set(err, -ENOMEM, "out of memory for %zu vectors", model->k);
	model_gram_lift(model, model->p1);
	model->vectors = model->p1;
	return 0;
}

/* Scoring */

void model_gram_scores(struct model *model, const double *row, size_t present)
{
	struct rows *rows = &model->rows;
	size_t n = rows->gram.rows;
	double *products = rows->products, t = (double)n;

	if (present == model->d && !rows->has_gaps) {
		for (size_t j = 0; j < model->d; j++)
			rows->y[j] = place(row[model->columns[j]] - model->moments.shift[j],
					   rows->factor[j]);
		gram_products(&rows->gram, rows->y, products);
		rows->products_hold = true;
		products = rows->products + model->capacity;
		for (size_t i = 0; i < n; i++)
			products[i] = rows->products[i] - rows->sums[i] / t;
	} else {
		rows->products_hold = false;
		gram_products(&rows->gram, model->x, products);
	}
	for (size_t i = 0; i < model->k; i++) {
		const double *u = subspace_vectors(model->pairs.subspace) + i * model->capacity;

		projection_scores(u, 1, n, products, &model->scores[i]);
		model->scores[i] /= sqrt(model->lambda[i] * (t - 1));
	}
}

void model_gram_lift_columns(struct model *model, const size_t *columns, size_t width, double *ret)
{
	struct rows *rows = &model->rows;
	double *factors = rows->products + model->capacity;

	rows->products_hold = false;
	for (size_t i = 0; i < model->k; i++)
		factors[i] = 1 / sqrt(model->lambda[i] * (double)(rows->gram.rows - 1));
	/* by rows: columns that lie side by side share lines of the cache */
	for (size_t i = 0; i < rows->gram.rows; i++)
		for (size_t c = 0; c < width; c++)
			rows->before[c * model->capacity + i] =
				rows->gram.y[i * model->d + columns[c]];
	gram_lift_block(&rows->gram, subspace_vectors(model->pairs.subspace), model->k, factors,
			rows->before, width, ret);
}
