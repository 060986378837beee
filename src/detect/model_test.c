/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each form of the model beside a second method: everything anew from the window's rows (two-pass
 * moments, the correlation matrix formed, all eigenpairs), row after row. Tolerances stand at each
 * case; they are those that model.h promises.
 */
#include "detect/model.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/test.h"
#include "detect/window.h"
#include "stats/eigen.h"

DEFINE_CLEANUP(struct window *, window_free)
DEFINE_CLEANUP(struct model *, model_free)
DEFINE_CLEANUP(struct eigen *, eigen_free)

static uint64_t state;

static double uniform(void)
{
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (double)(state >> 11) * 0x1p-53;
}

static double normal(void)
{
	double sum = -6;

	for (int i = 0; i < 12; i++)
		sum += uniform();
	return sum;
}

/* What one run is like. */
struct world {
	size_t d, t, sources;
	double noise;     /* beside sources of variance one */
	double gaps;      /* share of cells that are missing */
	double offset;    /* of all values */
	double outlier;   /* put into a cell now and then */
	size_t constants; /* columns that stand still */
	size_t twins;     /* columns that repeat the one before: exact ties */
	double drift;     /* of the mean, in deviations per row */
	bool own_scales;  /* compared with a model of the same deviations */
};

#define FLOOR 0.01

enum { SOURCES_MAX = 8, COLUMNS_MAX = 600 };

static void make_row(const struct world *world, size_t number, double *row)
{
	double sources[SOURCES_MAX];

	for (size_t i = 0; i < world->sources; i++)
		sources[i] = normal();
	for (size_t j = 0; j < world->d; j++) {
		double value = world->noise * normal() + world->drift * (double)number;

		for (size_t i = 0; i < world->sources; i++)
			value += sources[i] * cos((double)((i + 2) * (j + 1) * (j + 3 * i)));
		value *= (double)(1 + j % 5);
		if (j < world->constants)
			value = 4;
		else if (j < world->constants + world->twins && j % 2 == 1)
			value = row[j - 1] - world->offset;
		row[j] = value + world->offset;
	}
	if (world->outlier > 0 && number % 37 == 5)
		row[world->d - 1 - number % 7] += world->outlier;
	for (size_t j = 0; j < world->d; j++)
		if (uniform() < world->gaps)
			row[j] = NAN;
}

/* The second method. */
struct reference {
	size_t d, k;
	double *mean, *std, *c, *vectors, *lambda;
	double theta[3];
};

static void reference_free(struct reference *reference)
{
	free(reference->mean);
	free(reference->std);
	free(reference->c);
	free(reference->vectors);
	free(reference->lambda);
}

static double column_mean(const struct window *window, size_t j, double *ret_count)
{
	double sum = 0;

	*ret_count = 0;
	for (size_t i = 0; i < window_rows(window); i++) {
		double value = window_row(window, i)[j];

		*ret_count += !isnan(value);
		sum += isnan(value) ? 0 : value;
	}
	return sum / *ret_count;
}

/* Columns of Y, one after the other. */
static void standardise(struct reference *reference, const struct window *window, double floor,
			const struct model *scales, double *y)
{
	size_t t = window_rows(window);

	for (size_t j = 0; j < reference->d; j++) {
		double count, sum = 0, mean = column_mean(window, j, &count), std;

		for (size_t i = 0; i < t; i++) {
			double value = window_row(window, i)[j];

			sum += isnan(value) ? 0 : (value - mean) * (value - mean);
		}
		std = fmax(fmax(sqrt(sum / (count - 1)), floor), 1e-9 * fabs(mean));
		std = scales ? model_std(scales, j) : std;
		reference->mean[j] = mean;
		reference->std[j] = std;
		for (size_t i = 0; i < t; i++) {
			double value = window_row(window, i)[j];

			y[j * t + i] = isnan(value) ? 0 : (value - mean) / std / sqrt(count - 1);
		}
	}
}

/* With the deviations of `scales`, where that is given. */
static int reference_make(struct reference *reference, const struct window *window, double floor,
			  size_t k, const struct model *scales)
{
	size_t d = window_columns(window), t = window_rows(window);
	cleanup(free) double *y = calloc(d * t, sizeof(*y));
	cleanup(eigen_free) struct eigen *eigen = NULL;

	*reference = (struct reference){.d = d, .k = k};
	reference->mean = calloc(d, sizeof(double));
	reference->std = calloc(d, sizeof(double));
	reference->c = calloc(d * d, sizeof(double));
	reference->vectors = calloc(d * d, sizeof(double));
	reference->lambda = calloc(d, sizeof(double));
	standardise(reference, window, floor, scales, y);
	for (size_t j = 0; j < d; j++)
		for (size_t i = 0; i <= j; i++) {
			double sum = 0;

			for (size_t row = 0; row < t; row++)
				sum += y[i * t + row] * y[j * t + row];
			reference->c[j * d + i] = sum;
		}
	if (eigen_new(d, &eigen, NULL) < 0 || eigen_reduce(eigen, reference->c, d, d, NULL) < 0 ||
	    eigen_vectors(eigen, k, reference->vectors, d, NULL) < 0)
		return -1;
	memcpy(reference->lambda, eigen_values(eigen), d * sizeof(double));
	for (size_t i = k; i < d; i++)
		for (int power = 0; power < 3; power++)
			reference->theta[power] += pow(fmax(reference->lambda[i], 0), power + 1);
	return 0;
}

static double reference_spe(const struct reference *reference, const double *row, double *ret_t2)
{
	static double x[COLUMNS_MAX];
	double spe = 0;

	*ret_t2 = 0;
	for (size_t j = 0; j < reference->d; j++)
		x[j] = isnan(row[j]) ? 0 : (row[j] - reference->mean[j]) / reference->std[j];
	for (size_t i = 0; i < reference->k; i++) {
		const double *v = reference->vectors + i * reference->d;
		double score = 0;

		for (size_t j = 0; j < reference->d; j++)
			score += v[j] * x[j];
		for (size_t j = 0; j < reference->d; j++)
			x[j] -= score * v[j];
		*ret_t2 += score * score / reference->lambda[i];
	}
	for (size_t j = 0; j < reference->d; j++)
		spe += x[j] * x[j];
	return spe;
}

/* What was furthest off in a run; relative. */
struct distance {
	double spe, t2, lambda, theta1, theta2, theta3;
	size_t compared, k_changes;
};

static void note(double *worst, double actual, double expected)
{
	double error = fabs(actual - expected) / fmax(fabs(expected), 1e-9);

	if (!(error <= *worst))
		*worst = error;
}

static int compare(struct model *model, const struct window *window, const double *row,
		   bool own_scales, struct distance *distance)
{
	struct reference reference;
	struct model_score score;
	const struct thetas *thetas = model_thetas(model);
	size_t known;
	double t2, spe;

	if (reference_make(&reference, window, FLOOR, model_components(model),
			   own_scales ? model : NULL) < 0)
		return -1;
	spe = reference_spe(&reference, row, &t2);
	if (model_score(model, row, &score) < 0)
		return -1;
	if (score.present == reference.d) {
		note(&distance->spe, score.spe, spe);
		note(&distance->t2, score.t2, t2);
	}
	for (size_t i = 0; i < model_components(model); i++)
		note(&distance->lambda, model_eigenvalues(model, &known)[i], reference.lambda[i]);
	note(&distance->theta1, thetas->theta1, reference.theta[0]);
	note(&distance->theta2, thetas->theta2, reference.theta[1]);
	note(&distance->theta3, thetas->theta3, reference.theta[2]);
	distance->compared++;
	reference_free(&reference);
	return 0;
}

static struct model *new_model(enum components_rule rule, enum model_form form)
{
	struct model_options options = {.components = rule, .cpv = 0.9, .form = form};

	return model_new(&options);
}

static int fill(const struct world *world, struct window **ret_window, size_t rows)
{
	double row[COLUMNS_MAX];

	*ret_window = window_new(world->t);
	for (size_t j = 0; j < world->d; j++)
		if (window_add_column(*ret_window) < 0)
			return -1;
	for (size_t i = 0; i < rows; i++) {
		make_row(world, i, row);
		window_push(*ret_window, row);
	}
	return 0;
}

/* Slides `rows` rows from a window of `start` rows, and compares at every `every`-th with the next
 * row, which the model has not seen. Negative where something failed. */
static int run(const struct world *world, struct model *model, size_t start, size_t rows,
	       size_t every, struct distance *ret_distance)
{
	cleanup(window_free) struct window *window = NULL;
	bool use[COLUMNS_MAX];
	double floors[COLUMNS_MAX], row[COLUMNS_MAX];
	size_t k = 0;

	*ret_distance = (struct distance){0};
	state = 5;
	for (size_t j = 0; j < world->d; j++) {
		use[j] = true;
		floors[j] = FLOOR;
	}
	if (fill(world, &window, start) < 0 || model_build(model, window, use, floors, NULL) < 0)
		return -1;
	for (size_t i = 0; i < rows; i++) {
		make_row(world, start + i, row);
		if (i % every == 0 &&
		    compare(model, window, row, world->own_scales, ret_distance) < 0)
			return -1;
		ret_distance->k_changes += i > 0 && model_components(model) != k;
		k = model_components(model);
		if (model_slide(model, window, row, NULL) < 0)
			return -1;
		window_push(window, row);
		if (model_settle(model, window, NULL) < 0)
			return -1;
	}
	if (getenv("MODEL_TEST_VERBOSE"))
		printf("# d %zu t %zu k %zu: spe %.1e t2 %.1e lambda %.1e theta %.1e %.1e %.1e k "
		       "changed %zu\n",
		       world->d, world->t, k, ret_distance->spe, ret_distance->t2,
		       ret_distance->lambda, ret_distance->theta1, ret_distance->theta2,
		       ret_distance->theta3, ret_distance->k_changes);
	return (int)k;
}

static void check_exact(const struct distance *distance, double tolerance)
{
	check(distance->compared > 5);
	check_near(distance->spe, 0, tolerance);
	check_near(distance->t2, 0, tolerance);
	check_near(distance->lambda, 0, tolerance);
	check_near(distance->theta1, 0, tolerance);
	check_near(distance->theta2, 0, tolerance);
	check_near(distance->theta3, 0, tolerance);
}

static void run_exact(const struct world *world, enum components_rule rule, size_t start,
		      double tolerance)
{
	cleanup(model_free) struct model *model = new_model(rule, MODEL_FULL);
	struct distance distance;

	check(run(world, model, start, 2 * world->t + 50, 7, &distance) > 0);
	check_exact(&distance, tolerance);
}

/* Rounding of sums over t rows only. */
static void test_model_full_is_exact(void)
{
	run_exact(&(struct world){.d = 21, .t = 90, .sources = 3, .noise = 0.5}, COMPONENTS_CPV, 90,
		  1e-9);
	run_exact(&(struct world){.d = 21, .t = 90, .sources = 3, .noise = 0.5}, COMPONENTS_GAP, 20,
		  1e-9);
	run_exact(&(struct world){.d = 40, .t = 30, .sources = 3, .noise = 0.5}, COMPONENTS_CPV, 30,
		  1e-9);
}

/* An offset of 1e9 leaves 7 digits of a value's deviation, so each square is good to 1e-7. */
static void test_model_full_hard_values(void)
{
	run_exact(&(struct world){.d = 12, .t = 80, .sources = 3, .noise = 0.5, .offset = 1e9},
		  COMPONENTS_CPV, 80, 1e-6);
	run_exact(&(struct world){.d = 12, .t = 80, .sources = 3, .noise = 0.5, .outlier = 1e7},
		  COMPONENTS_CPV, 80, 1e-6);
	run_exact(&(struct world){.d = 16, .t = 80, .sources = 2, .noise = 0.5, .constants = 4},
		  COMPONENTS_CPV, 80, 1e-9);
	run_exact(&(struct world){.d = 16, .t = 80, .sources = 2, .noise = 0.5, .twins = 4},
		  COMPONENTS_CPV, 80, 1e-9);
	run_exact(&(struct world){.d = 12, .t = 80, .sources = 2, .noise = 0.5, .drift = 2},
		  COMPONENTS_CPV, 80, 1e-7);
}

static void test_model_full_gaps(void)
{
	run_exact(&(struct world){.d = 12, .t = 80, .sources = 2, .noise = 0.5, .gaps = 0.03},
		  COMPONENTS_CPV, 80, 1e-9);
	run_exact(
		&(struct world){
			.d = 12, .t = 80, .sources = 2, .noise = 0.5, .gaps = 0.3, .drift = 0.1},
		COMPONENTS_CPV, 80, 1e-9);
}

struct promise {
	double spe, t2, lambda, theta12, theta3;
};

static void run_form(const struct world *world, enum components_rule rule, enum model_form form,
		     size_t start, const struct promise *promise)
{
	cleanup(model_free) struct model *model = new_model(rule, form);
	struct distance distance;

	check(run(world, model, start, 2 * world->t + 50, 17, &distance) > 0);
	check_int(model_form(model), form);
	check(distance.compared > 14);
	check_near(distance.spe, 0, promise->spe);
	check_near(distance.t2, 0, promise->t2);
	check_near(distance.lambda, 0, promise->lambda);
	check_near(distance.theta1, 0, promise->theta12);
	check_near(distance.theta2, 0, promise->theta12);
	check_near(distance.theta3, 0, promise->theta3);
}

/* theta3 keeps its shape for a twelfth of a window. */
static void test_model_block_with_a_gap(void)
{
	struct promise promise = {1e-3, 1e-4, 1e-6, 1e-6, 0.03};
	struct world world = {.d = 130, .t = 200, .sources = 5, .noise = 0.5};

	run_form(&world, COMPONENTS_GAP, MODEL_BLOCK, 200, &promise);
	run_form(&world, COMPONENTS_GAP, MODEL_BLOCK, 60, &promise);
	world.constants = 10;
	world.twins = 20;
	run_form(&world, COMPONENTS_GAP, MODEL_BLOCK, 200, &promise);
}

/* A column that an outlier has to itself turns away at once. A gap stands at the mean of the last
 * build: some 1e-3 of a variance. */
static void test_model_block_outliers_and_gaps(void)
{
	struct promise promise = {0.01, 0.01, 2e-3, 3e-3, 0.06};
	struct world world = {.d = 130, .t = 200, .sources = 5, .noise = 0.5, .outlier = 1e7};

	run_form(&world, COMPONENTS_GAP, MODEL_BLOCK, 200, &promise);
	world.gaps = 0.02;
	run_form(&world, COMPONENTS_GAP, MODEL_BLOCK, 200, &promise);
}

static void test_model_block_in_the_bulk(void)
{
	struct promise promise = {0.15, 0.3, 0.1, 0.05, 0.1};
	struct world world = {.d = 130, .t = 200, .sources = 5, .noise = 2};

	run_form(&world, COMPONENTS_CPV, MODEL_BLOCK, 200, &promise);
	run_form(&world, COMPONENTS_CPV, MODEL_BLOCK, 100, &promise);
}

static void test_model_gram_with_a_gap(void)
{
	struct promise promise = {1e-3, 1e-3, 1e-4, 1e-4, 0.05};
	struct world world = {.d = 220, .t = 100, .sources = 5, .noise = 0.5, .own_scales = true};

	run_form(&world, COMPONENTS_GAP, MODEL_GRAM, 100, &promise);
	run_form(&world, COMPONENTS_GAP, MODEL_GRAM, 60, &promise);
	world.constants = 10;
	world.twins = 20;
	run_form(&world, COMPONENTS_GAP, MODEL_GRAM, 100, &promise);
}

static void test_model_gram_outliers_and_gaps(void)
{
	struct promise promise = {0.01, 0.01, 0.01, 0.02, 0.1};
	struct world world = {
		.d = 220, .t = 100, .sources = 5, .noise = 0.5, .outlier = 1e7, .own_scales = true};

	run_form(&world, COMPONENTS_GAP, MODEL_GRAM, 100, &promise);
	world.gaps = 0.02;
	run_form(&world, COMPONENTS_GAP, MODEL_GRAM, 100, &promise);
}

/* Deviations that may be 5 % off, against the window's own. */
static void test_model_gram_scales(void)
{
	struct promise promise = {0.1, 0.1, 0.15, 0.2, 0.3};
	struct world world = {.d = 220, .t = 100, .sources = 5, .noise = 0.5};

	run_form(&world, COMPONENTS_GAP, MODEL_GRAM, 100, &promise);
}

static void test_model_gram_in_the_bulk(void)
{
	struct promise promise = {0.15, 0.3, 0.15, 0.1, 0.15};
	struct world world = {.d = 220, .t = 100, .sources = 5, .noise = 2, .own_scales = true};

	run_form(&world, COMPONENTS_CPV, MODEL_GRAM, 100, &promise);
}

TEST_MAIN(TEST(test_model_full_is_exact), TEST(test_model_full_hard_values),
	  TEST(test_model_full_gaps), TEST(test_model_block_with_a_gap),
	  TEST(test_model_block_outliers_and_gaps), TEST(test_model_block_in_the_bulk),
	  TEST(test_model_gram_with_a_gap), TEST(test_model_gram_outliers_and_gaps),
	  TEST(test_model_gram_scales), TEST(test_model_gram_in_the_bulk))
