/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The leading eigenpairs, k and the thetas: from scratch (all values, then as many vectors as are
 * wanted), or by one warm step of block subspace iteration.
 *
 * After a step theta_i = tr R^i with R = (I - V V') C (I - V V'), V the k Ritz vectors, w_i = C
 * v_i:
 *   tr R   = tr C   - sum lambda_i
 *   tr R^2 = tr C^2 - 2 sum |w_i|^2 + sum lambda_i^2
 *   tr R^3 = tr C^3 - 3 sum w_i'C w_i + 3 sum lambda_i |w_i|^2 - sum lambda_i^3
 * which holds for any orthonormal V with V'C V diagonal: an error of the vectors changes R, but
 * nothing large is taken off that does not belong to it.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "detect/model_internal.h"

#define CONVERGENCE_WORST 0.9 /* (lambda beyond the block) / lambda_k: above, steps help little */

/* Of the principal subspace to the right one, before a step is repeated. */
#define ANGLE_MAX 3e-4

enum {
	SOLUTION_PERIOD_MIN = 4,
	BLOCK_PERIOD_DIVISOR = 28,
	GRAM_PERIOD_DIVISOR = 20,
	STEPS_MAX = 3, /* per settle */
	/* settles from one trace of C^3 to the next: a twelfth of the window, within these limits
	 */
	CUBE_PERIOD_MIN = 4,
	CUBE_PERIOD_MAX = 64,
	CUBE_PERIOD_DIVISOR = 12
};

int model_pairs_init(struct pairs *pairs, size_t size, double *array, bool with_block,
		     struct error *err)
{
	size_t block = size < MODEL_BLOCK_MAX ? size : MODEL_BLOCK_MAX;
	int r;

	*pairs = (struct pairs){.size = size, .stride = size, .array = array};
	pairs->scale = calloc(size, sizeof(double));
	pairs->g = calloc(size, sizeof(double));
	pairs->h = calloc(size, sizeof(double));
	pairs->diagonal = calloc(size, sizeof(double));
	if (with_block) {
		pairs->cube_work = calloc(3 * SYMMETRIC_BLOCK * size, sizeof(double));
		pairs->scale_before = calloc(size, sizeof(double));
		pairs->h_before = calloc(size, sizeof(double));
	}
	if (!pairs->scale || !pairs->g || !pairs->h || !pairs->diagonal ||
	    (with_block && (!pairs->cube_work || !pairs->scale_before || !pairs->h_before)))
		return error_set(err, -ENOMEM, "out of memory for %zu eigenvalues", size);
	r = eigen_new(size, &pairs->eigen, err);
	if (r >= 0 && with_block)
		r = subspace_new(size, block, &pairs->subspace, err);
	return r;
}

void model_pairs_deinit(struct pairs *pairs)
{
	free(pairs->scale);
	free(pairs->g);
	free(pairs->h);
	free(pairs->diagonal);
	free(pairs->cube_work);
	free(pairs->scale_before);
	free(pairs->h_before);
	free(pairs->kept);
	eigen_free(pairs->eigen);
	subspace_free(pairs->subspace);
	*pairs = (struct pairs){0};
}

size_t model_pairs_bytes(const struct pairs *pairs)
{
	size_t places = 4 * pairs->size + pairs->kept_places +
			(pairs->cube_work ? (3 * SYMMETRIC_BLOCK + 2) * pairs->size : 0);

	return places * sizeof(double) + (pairs->eigen ? eigen_bytes(pairs->eigen) : 0) +
	       (pairs->subspace ? subspace_bytes(pairs->subspace) : 0);
}

static struct symmetric matrix_of(const struct pairs *pairs)
{
	return (struct symmetric){
		.size = pairs->size,
		.stride = pairs->stride,
		.lower = pairs->array,
		.scale = pairs->scale,
		.g = pairs->g,
		.h = pairs->h,
	};
}

static size_t components_cap(const struct model *model)
{
	return model->pairs.subspace ? MODEL_BLOCK_MAX - MODEL_EXTRA : model->d;
}

static struct thetas thetas_by_sums(const struct model *model)
{
	struct thetas thetas = {0};

	for (size_t i = model->k; i < model->known; i++) {
		double lambda = model->lambda[i];

		thetas.theta1 += lambda;
		thetas.theta2 += lambda * lambda;
		thetas.theta3 += lambda * lambda * lambda;
	}
	return thetas;
}

static double power_3_2(double theta2)
{
	return theta2 * sqrt(theta2);
}

/* Whether steps keep up: the block is allowed to be as large as k wants, and the values fall off
 * behind it. */
static bool can_step(const struct model *model, size_t size)
{
	size_t block = model->k + MODEL_EXTRA;

	return model->pairs.subspace && model->k > 0 && block < size && block <= MODEL_BLOCK_MAX &&
	       model->lambda[block] < CONVERGENCE_WORST * model->lambda[model->k - 1] &&
	       model->lambda[block - 1] > MODEL_RANK_TOLERANCE * model->lambda[0];
}

static int take_vectors(struct model *model, struct error *err)
{
	struct pairs *pairs = &model->pairs;

	pairs->warm = can_step(model, pairs->size);
	if (pairs->warm) {
		pairs->block = model->k + MODEL_EXTRA;
		return eigen_vectors(pairs->eigen, pairs->block, subspace_vectors(pairs->subspace),
				     pairs->stride, err);
	}
	if (model_reserve(&pairs->kept, &pairs->kept_places,
			  (model->k > 0 ? model->k : 1) * pairs->stride) < 0)
		return error_set(err, -ENOMEM, "out of memory for %zu vectors", model->k);
	return eigen_vectors(pairs->eigen, model->k, pairs->kept, pairs->stride, err);
}

static int solve_formed(struct model *model, struct error *err)
{
	struct pairs *pairs = &model->pairs;
	struct spectrum spectrum = {model->lambda, pairs->size, pairs->size, 0};
	int r = eigen_reduce(pairs->eigen, pairs->array, pairs->size, pairs->stride, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < pairs->size; i++) {
		model->lambda[i] = fmax(eigen_values(pairs->eigen)[i], 0);
		spectrum.trace += model->lambda[i];
	}
	model->known = pairs->size;
	model->k = (size_t)model_choose_components(&model->options, &spectrum,
						   components_cap(model), model->k);
	model->thetas = thetas_by_sums(model);
	return take_vectors(model, err);
}

int model_pairs_solve(struct model *model, struct error *err)
{
	struct pairs *pairs = &model->pairs;
	struct symmetric matrix = matrix_of(pairs);
	const struct thetas *thetas = &model->thetas;
	int r;

	symmetric_form(&matrix, pairs->array, pairs->diagonal);
	if (model->form == MODEL_FULL && pairs->has_gaps)
		moments_add_gap_terms(&model->moments, pairs->scale, pairs->array);
	r = solve_formed(model, err);
	symmetric_restore(pairs->array, pairs->size, pairs->stride, pairs->diagonal);
	if (r < 0)
		return r;
	pairs->since_solution = 0;
	pairs->since_cube = 0;
	pairs->images_hold = false;
	pairs->shape = thetas->theta2 > 0 ? thetas->theta3 / power_3_2(thetas->theta2) : 0;
	return model_reserve_score(model) < 0 ? error_set(err, -ENOMEM, "out of memory for scores")
					      : 1;
}

static double square_of(const double *x, size_t size)
{
	double sum = 0;

	for (size_t j = 0; j < size; j++)
		sum += x[j] * x[j];
	return sum;
}

static struct thetas thetas_by_traces(struct model *model, const struct symmetric *matrix,
				      double trace, bool with_cube)
{
	struct pairs *pairs = &model->pairs;
	const double *images = subspace_images(pairs->subspace);
	struct thetas thetas = {.theta1 = trace, .theta2 = symmetric_square_trace(matrix)};
	double cubes = 0;

	for (size_t i = 0; i < model->k; i++) {
		double lambda = model->lambda[i];
		double square = square_of(images + i * pairs->stride, pairs->size);

		thetas.theta1 -= lambda;
		thetas.theta2 += lambda * lambda - 2 * square;
		cubes += 3 * lambda * square - lambda * lambda * lambda;
	}
	thetas.theta1 = fmax(thetas.theta1, 0);
	thetas.theta2 = fmax(thetas.theta2, 0);
	if (with_cube && thetas.theta2 > 0) {
		cubes += symmetric_cube_trace(matrix, pairs->cube_work) -
			 3 * symmetric_quadratic(matrix, images, model->k, pairs->cube_work);
		pairs->shape = fmax(cubes, 0) / power_3_2(thetas.theta2);
	}
	thetas.theta3 = pairs->shape * power_3_2(thetas.theta2);
	return thetas;
}

/* |C v - lambda v|^2 = |C v|^2 - lambda^2: the sum over the k vectors, each in units of its lambda,
 * is the square of the angle between P1 and what it should be, or more. */
static bool is_converged(const struct model *model)
{
	const struct pairs *pairs = &model->pairs;
	const double *values = subspace_values(pairs->subspace);
	const double *images = subspace_images(pairs->subspace);
	double error = 0;

	for (size_t i = 0; i < model->k; i++) {
		double square = square_of(images + i * pairs->stride, pairs->size);

		error += square / (values[i] * values[i]) - 1;
	}
	return error <= ANGLE_MAX * ANGLE_MAX;
}

/*
 * The products of the newest step follow one slide, so that they need not be computed anew. With e
 * and l the row that entered and the one that left about the shift, S the scales, F = S / S before
 * and m = h / S the drift of the mean:
 *   C = F C_before F + S (e e' - l l' + t m_before m_before' - t m m') S
 * up to the F on the right, which turns a vector by some 1e-3 x (lambda outside the block) /
 * lambda_k at 720 rows.
 */
static void follow_slide(struct model *model)
{
	struct pairs *pairs = &model->pairs;
	struct subspace *subspace = pairs->subspace;
	double *entered = model->gathered, *left = model->gathered + model->d;
	double t = (double)model->moments.rows;

	for (size_t j = 0; j < model->d; j++) {
		double before = pairs->scale_before[j], now = pairs->scale[j];

		entered[j] *= now;
		left[j] *= now;
		pairs->scale_before[j] = before > 0 ? now / before : 0;
		pairs->h_before[j] *= pairs->scale_before[j];
	}
	subspace_scale_images(subspace, model->d, pairs->block, pairs->scale_before);
	subspace_add_product(subspace, model->d, pairs->block, 1, entered);
	subspace_add_product(subspace, model->d, pairs->block, -1, left);
	subspace_add_product(subspace, model->d, pairs->block, t, pairs->h_before);
	subspace_add_product(subspace, model->d, pairs->block, -t, pairs->h);
}

static void remember_images(struct model *model)
{
	struct pairs *pairs = &model->pairs;

	pairs->images_hold = model->form == MODEL_BLOCK;
	if (!pairs->images_hold)
		return;
	memcpy(pairs->scale_before, pairs->scale, model->d * sizeof(double));
	memcpy(pairs->h_before, pairs->h, model->d * sizeof(double));
}

/* One step, and more where something large came or went. */
static int take_steps(struct model *model, const struct symmetric *matrix)
{
	struct pairs *pairs = &model->pairs;
	bool from_images = pairs->images_hold && model->slides_unsettled == 1 && model->was_full;
	int r;

	if (from_images)
		follow_slide(model);
	r = subspace_step(pairs->subspace, matrix, pairs->block, from_images, NULL);
	for (int i = 1; i < STEPS_MAX && r >= 0 && !is_converged(model); i++)
		r = subspace_step(pairs->subspace, matrix, pairs->block, true, NULL);
	if (r < 0)
		return r;
	remember_images(model);
	memcpy(model->lambda, subspace_values(pairs->subspace),
	       pairs->block * sizeof(*model->lambda));
	model->known = pairs->block;
	return 0;
}

static bool cube_is_due(struct pairs *pairs, size_t t)
{
	size_t period = t / CUBE_PERIOD_DIVISOR;

	if (period < CUBE_PERIOD_MIN)
		period = CUBE_PERIOD_MIN;
	if (++pairs->since_cube < (period < CUBE_PERIOD_MAX ? period : CUBE_PERIOD_MAX))
		return false;
	pairs->since_cube = 0;
	return true;
}

/* Positive where a solution from scratch is wanted. */
static int step(struct model *model)
{
	struct pairs *pairs = &model->pairs;
	struct symmetric matrix = matrix_of(pairs);
	double trace = symmetric_trace(&matrix);
	struct spectrum spectrum = {model->lambda, pairs->block, pairs->size, trace};
	size_t k = model->k;
	long chosen;

	if (take_steps(model, &matrix) < 0)
		return 1;
	chosen = model_choose_components(&model->options, &spectrum, pairs->block - 2, k);
	if (chosen <= 0 || (size_t)chosen + MODEL_EXTRA / 2 > pairs->block ||
	    model->lambda[pairs->block - 1] > CONVERGENCE_WORST * model->lambda[chosen - 1] ||
	    !(model->lambda[pairs->block - 1] > MODEL_RANK_TOLERANCE * model->lambda[0]))
		return 1;
	model->k = (size_t)chosen;
	model->thetas = thetas_by_traces(model, &matrix, trace,
					 cube_is_due(pairs, model->t) || model->k != k);
	return 0;
}

/* Rows for which a solution is kept, so that its cost per row stays near that of a slide. In GRAM
 * the vectors over the columns come on top. */
static size_t solution_period(const struct model *model)
{
	size_t divisor = model->form == MODEL_GRAM ? GRAM_PERIOD_DIVISOR : BLOCK_PERIOD_DIVISOR;
	size_t period = (model->pairs.size + divisor - 1) / divisor;

	return period < SOLUTION_PERIOD_MIN ? SOLUTION_PERIOD_MIN : period;
}

int model_pairs_follow(struct model *model, struct error *err)
{
	struct pairs *pairs = &model->pairs;

	pairs->since_solution++;
	if (pairs->warm) {
		if (step(model) == 0)
			return 0;
	} else if (pairs->since_solution < solution_period(model)) {
		return 0;
	}
	return model_pairs_solve(model, err);
}
