/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a model: what form it has, when it is built anew. See model_internal.h for the
 * letters. */
#include "detect/model.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "detect/model_internal.h"
#include "detect/window.h"

enum { FULL_COLUMNS_MAX = 100, BLOCK_COLUMNS_PER_ROW = 2 };

struct model *model_new(const struct model_options *options)
{
	struct model *model = calloc(1, sizeof(*model));

	assert(options->cpv > 0 && options->cpv < 1);
	if (model)
		model->options = *options;
	return model;
}

/* Without what only a model that slides has. */
static void release_sliding(struct model *model)
{
	moments_deinit(&model->moments);
	model_pairs_deinit(&model->pairs);
	model_gram_deinit(&model->rows);
	free(model->gathered);
	model->gathered = NULL;
	model->vectors = NULL;
	model->form = MODEL_AUTO;
	model->settled = false;
}

static void release_columns(struct model *model)
{
	double **arrays[] = {&model->mean,     &model->std,    &model->given_floor, &model->floor,
			     &model->diagonal, &model->lambda, &model->p1,          &model->x};

	for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
		free(*arrays[i]);
		*arrays[i] = NULL;
	}
	free(model->columns);
	model->columns = NULL;
	model->p1_places = model->lambda_places = 0;
	model->d = 0;
}

struct model *model_free(struct model *model)
{
	if (!model)
		return NULL;
	release_sliding(model);
	release_columns(model);
	free(model->scores);
	free(model->lifted);
	free(model->partial);
	free(model);
	return NULL;
}

int model_reserve(double **array, size_t *places, size_t wanted)
{
	double *larger;

	if (wanted <= *places)
		return 0;
	larger = calloc(wanted, sizeof(*larger));
	if (!larger)
		return -ENOMEM;
	free(*array);
	*array = larger;
	*places = wanted;
	return 0;
}

static int allocate_columns(struct model *model, size_t d, size_t values)
{
	model->columns = calloc(d, sizeof(*model->columns));
	model->mean = calloc(d, sizeof(double));
	model->std = calloc(d, sizeof(double));
	model->given_floor = calloc(d, sizeof(double));
	model->floor = calloc(d, sizeof(double));
	model->diagonal = calloc(d, sizeof(double));
	model->lambda = calloc(values, sizeof(double));
	model->x = calloc(d, sizeof(double));
	model->lambda_places = values;
	model->d = d;
	return model->columns && model->mean && model->std && model->given_floor && model->floor &&
			       model->diagonal && model->lambda && model->x
		       ? 0
		       : -ENOMEM;
}

static enum model_form choose_form(const struct model *model, size_t d, size_t capacity)
{
	if (model->options.form != MODEL_AUTO)
		return model->options.form;
	if (d <= FULL_COLUMNS_MAX)
		return MODEL_FULL;
	return d <= BLOCK_COLUMNS_PER_ROW * capacity ? MODEL_BLOCK : MODEL_GRAM;
}

static enum moments_kind moments_kind(enum model_form form)
{
	if (form == MODEL_GRAM)
		return MOMENTS_COLUMNS;
	return form == MODEL_FULL ? MOMENTS_EXACT : MOMENTS_CROSS;
}

/* Room for a model that slides, where the one that is there does not fit. */
static int prepare(struct model *model, size_t d, size_t capacity, struct error *err)
{
	enum model_form form = choose_form(model, d, capacity);
	int r;

	if (model->form == form && model->d == d && model->capacity == capacity)
		return 0;
	release_sliding(model);
	release_columns(model);
	model->capacity = capacity;
	if (allocate_columns(model, d, form == MODEL_GRAM ? capacity : d) < 0 ||
	    moments_init(&model->moments, d, moments_kind(form)) < 0)
		return error_set(err, -ENOMEM, "out of memory for a model of %zu columns", d);
	model->gathered = calloc((form == MODEL_GRAM ? 2 : MODEL_GATHER) * d, sizeof(double));
	if (!model->gathered)
		return error_set(err, -ENOMEM, "out of memory for a model of %zu columns", d);
	if (form == MODEL_GRAM) {
		r = model_gram_init(model, err);
		if (r < 0)
			return r;
	}
	r = model_pairs_init(&model->pairs, form == MODEL_GRAM ? capacity : d,
			     form == MODEL_GRAM ? model->rows.gram.k : model->moments.cross,
			     form != MODEL_FULL, err);
	if (r < 0)
		return r;
	model->form = form;
	return 0;
}

/* From the window's rows. The pairs too, where `with_pairs`; GRAM always makes them anew, as its
 * rows get other slots. */
static int build(struct model *model, const struct window *window, bool with_pairs,
		 struct error *err)
{
	int r;

	if (with_pairs)
		model->vectors = NULL;
	model->t = window_rows(window);
	model->slides = 0;
	model->settled = false;
	r = model->form == MODEL_GRAM ? model_gram_build(model, window, err)
				      : model_full_build(model, window, err);
	if (r < 0)
		return r;
	model->build_due = false;
	model->slides_unsettled = 0;
	model->settled = true;
	return 0;
}

static int give_up(struct model *model, int r)
{
	release_sliding(model);
	return r;
}

int model_build(struct model *model, const struct window *window, const bool *use,
		const double *floors, struct error *err)
{
	size_t d = 0, j = 0;
	int r;

	for (size_t column = 0; column < window_columns(window); column++)
		d += use[column];
	assert(d > 0 && window_rows(window) > 1 && !model->frozen);
	r = prepare(model, d, window_capacity(window), err);
	if (r < 0)
		return give_up(model, r);
	for (size_t column = 0; column < window_columns(window); column++)
		if (use[column]) {
			assert(floors[column] >= 0);
			model->given_floor[j] = floors[column];
			model->columns[j++] = (long)column;
		}
	r = build(model, window, true, err);
	return r < 0 ? give_up(model, r) : 0;
}

static bool has_forgotten(const struct model *model)
{
	for (size_t j = 0; j < model->d; j++)
		if (model->columns[j] == MODEL_NO_COLUMN)
			return true;
	return false;
}

int model_slide(struct model *model, const struct window *window, const double *row,
		struct error *err)
{
	assert(model->form != MODEL_AUTO && !model->frozen);
	(void)err; /* nothing can fail now; a form that allocates would say so here */
	model->settled = false;
	model->slides++;
	model->slides_unsettled++;
	if (model->build_due)
		return 0;
	if (model->form == MODEL_GRAM)
		model_gram_slide(model, window, row);
	else
		model_full_slide(model, window, row);
	return 0;
}

void model_set_floors(struct model *model, const double *floors)
{
	assert(!model->frozen);
	for (size_t j = 0; j < model->d; j++) {
		double floor;

		if (model->columns[j] == MODEL_NO_COLUMN)
			continue;
		floor = floors[model->columns[j]];
		assert(floor >= 0);
		/* one that is below the deviation, and was, changes nothing */
		if (floor != model->given_floor[j] &&
		    (floor > model->std[j] || model->std[j] == model->floor[j]))
			model->settled = false;
		model->given_floor[j] = floor;
	}
}

/* With the columns that are still there. The pairs follow where only the sums were bad. */
static int build_again(struct model *model, const struct window *window, struct error *err)
{
	size_t columns = window_columns(window);
	cleanup(free) bool *use = NULL;
	cleanup(free) double *floors = NULL;

	if (!has_forgotten(model)) {
		int r = build(model, window, model->slides >= model->moments.rows, err);

		return r < 0 ? give_up(model, r) : 0;
	}
	use = calloc(columns, sizeof(*use));
	floors = calloc(columns, sizeof(*floors));
	if (!use || !floors)
		return error_set(err, -ENOMEM, "out of memory for %zu columns", columns);
	for (size_t j = 0; j < model->d; j++)
		if (model->columns[j] >= 0) {
			use[model->columns[j]] = true;
			floors[model->columns[j]] = model->given_floor[j];
		}
	return model_build(model, window, use, floors, err);
}

int model_settle(struct model *model, const struct window *window, struct error *err)
{
	int r;

	assert(model->form != MODEL_AUTO && !model->frozen);
	if (model->settled)
		return 0;
	if (model->build_due || model->slides >= model->moments.rows)
		return build_again(model, window, err);
	model->t = window_rows(window);
	assert(model->t == model->moments.rows);
	r = model->form == MODEL_GRAM ? model_gram_settle(model, err)
				      : model_full_settle(model, err);
	if (r < 0)
		return give_up(model, r);
	if (model->build_due)
		return build_again(model, window, err);
	model->slides_unsettled = 0;
	model->settled = true;
	return 0;
}

/* Room in a copy. */
static int prepare_copy(struct model *copy, const struct model *model)
{
	struct model spare = {.options = copy->options, .frozen = true};
	size_t k = model->k > 0 ? model->k : 1;

	if (copy->frozen && copy->d == model->d && copy->lambda_places >= model->known)
		return model_reserve(&copy->p1, &copy->p1_places, k * model->d);
	if (allocate_columns(&spare, model->d, model->known > 0 ? model->known : 1) < 0 ||
	    model_reserve(&spare.p1, &spare.p1_places, k * model->d) < 0) {
		release_columns(&spare);
		return -ENOMEM;
	}
	release_sliding(copy);
	release_columns(copy);
	spare.scores = copy->scores;
	spare.lifted = copy->lifted;
	spare.partial = copy->partial;
	spare.score_places = copy->score_places;
	*copy = spare;
	return 0;
}

int model_copy(struct model *copy, const struct model *model)
{
	size_t bytes = model->d * sizeof(double);

	assert(model->settled);
	if (prepare_copy(copy, model) < 0)
		return -ENOMEM;
	copy->form = model->form;
	copy->t = model->t;
	copy->capacity = model->capacity;
	copy->known = model->known;
	copy->thetas = model->thetas;
	memcpy(copy->columns, model->columns, model->d * sizeof(*copy->columns));
	memcpy(copy->mean, model->mean, bytes);
	memcpy(copy->std, model->std, bytes);
	memcpy(copy->given_floor, model->given_floor, bytes);
	memcpy(copy->floor, model->floor, bytes);
	memcpy(copy->diagonal, model->diagonal, bytes);
	memcpy(copy->lambda, model->lambda, model->known * sizeof(double));
	copy->k = model->k;
	if (model->vectors)
		memcpy(copy->p1, model->vectors, model->k * bytes);
	else
		model_gram_lift(model, copy->p1);
	copy->vectors = copy->p1;
	copy->settled = true;
	return model_reserve_score(copy);
}

void model_forget_column(struct model *model, size_t window_column)
{
	for (size_t j = 0; j < model->d; j++) {
		if (model->columns[j] == (long)window_column)
			model->columns[j] = MODEL_NO_COLUMN;
		else if (model->columns[j] > (long)window_column)
			model->columns[j]--;
	}
	if (!model->frozen && has_forgotten(model)) {
		model->build_due = true;
		model->settled = false;
	}
}

enum model_form model_form(const struct model *model)
{
	return model->form;
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

const double *model_eigenvalues(const struct model *model, size_t *ret_known)
{
	*ret_known = model->known;
	return model->lambda;
}

double model_floor_energy(const struct model *model)
{
	double energy = MODEL_RANK_TOLERANCE * (double)model->d;

	for (size_t j = 0; j < model->d; j++)
		if (model->std[j] == model->floor[j])
			energy += 1;
	return energy;
}

size_t model_bytes(const struct model *model)
{
	size_t places =
		6 * model->d + model->lambda_places + model->p1_places + 3 * model->score_places;

	if (model->gathered)
		places += (model->form == MODEL_GRAM ? 2 : MODEL_GATHER) * model->d;
	if (model->rows.factor)
		places += 2 * model->d + (3 + 2 * MODEL_GATHER) * model->capacity;
	return sizeof(*model) + model->d * sizeof(long) + places * sizeof(double) +
	       moments_bytes(&model->moments) + model_pairs_bytes(&model->pairs) +
	       (model->rows.factor ? gram_bytes(&model->rows.gram) : 0);
}
