/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums, products and leading pairs that follow a matrix, beside the definition of each, written out
 * over small matrices. Tolerances: rounding of sums of some 40 products, 1e-12 relative.
 */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/test.h"
#include "stats/gram.h"
#include "stats/moments.h"
#include "stats/projection.h"
#include "stats/subspace.h"
#include "stats/symmetric.h"

DEFINE_CLEANUP(struct subspace *, subspace_free)

enum { N = 37, STRIDE = 40, BLOCK = 6 };

static uint64_t state = 1;

static double uniform(void)
{
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (double)(state >> 11) * 0x1p-53 - 0.5;
}

static void fill(double *values, size_t count)
{
	for (size_t i = 0; i < count; i++)
		values[i] = uniform();
}

/* A matrix as symmetric.h describes it, and the same formed. */
struct example {
	double lower[N * STRIDE], scale[N], g[N], h[N], dense[N][N];
	struct symmetric matrix;
};

static void make_example(struct example *example)
{
	fill(example->lower, N * STRIDE);
	fill(example->scale, N);
	fill(example->g, N);
	fill(example->h, N);
	for (int j = 0; j < N; j++)
		for (int i = j; i < N; i++)
			example->dense[i][j] = example->dense[j][i] =
				example->lower[j * STRIDE + i] * example->scale[i] *
					example->scale[j] -
				example->g[i] * example->h[j] - example->h[i] * example->g[j];
	example->matrix = (struct symmetric){N,          STRIDE,    example->lower, example->scale,
					     example->g, example->h};
}

static void test_symmetric_is_what_it_stands_for(void)
{
	static struct example example;
	static double v[BLOCK * STRIDE], image[BLOCK * STRIDE], work[BLOCK * STRIDE];
	static double cube_work[3 * SYMMETRIC_BLOCK * STRIDE];
	double square = 0, cube = 0, trace = 0, quadratic = 0;

	make_example(&example);
	fill(v, BLOCK * STRIDE);
	symmetric_apply(&example.matrix, v, BLOCK, image, work);
	for (int c = 0; c < BLOCK; c++)
		for (int i = 0; i < N; i++) {
			double sum = 0;

			for (int j = 0; j < N; j++)
				sum += example.dense[i][j] * v[c * STRIDE + j];
			check_near(image[c * STRIDE + i], sum, 1e-12);
			quadratic += v[c * STRIDE + i] * sum;
		}
	for (int i = 0; i < N; i++) {
		trace += example.dense[i][i];
		for (int j = 0; j < N; j++) {
			square += example.dense[i][j] * example.dense[i][j];
			for (int k = 0; k < N; k++)
				cube += example.dense[i][j] * example.dense[j][k] *
					example.dense[k][i];
		}
	}
	check_near(symmetric_trace(&example.matrix), trace, 1e-12);
	check_near(symmetric_square_trace(&example.matrix), square, 1e-11);
	check_near(symmetric_cube_trace(&example.matrix, cube_work), cube, 1e-10);
	check_near(symmetric_quadratic(&example.matrix, v, BLOCK, cube_work), quadratic, 1e-11);
}

static void test_symmetric_is_formed_beside(void)
{
	static struct example example;
	static double before[N * STRIDE];
	double diagonal[N];

	make_example(&example);
	memcpy(before, example.lower, sizeof(before));
	symmetric_form(&example.matrix, example.lower, diagonal);
	for (int j = 0; j < N; j++)
		for (int i = 0; i <= j; i++)
			check_near(example.lower[j * STRIDE + i], example.dense[i][j], 0);
	symmetric_restore(example.lower, N, STRIDE, diagonal);
	for (int j = 0; j < N; j++)
		for (int i = j; i < N; i++)
			check_near(example.lower[j * STRIDE + i], before[j * STRIDE + i], 0);
}

/* Positive definite, with values that fall by a third. */
static void make_definite(double *array, double *values)
{
	double basis[N];

	memset(array, 0, N * N * sizeof(*array));
	for (int k = 0; k < N; k++) {
		values[k] = pow(1.0 / 3, k);
		for (int i = 0; i < N; i++) /* the cosine transform: orthonormal */
			basis[i] = sqrt((k == 0 ? 1.0 : 2.0) / N) * cos(M_PI * k * (i + 0.5) / N);
		for (int j = 0; j < N; j++)
			for (int i = 0; i < N; i++)
				array[j * N + i] += values[k] * basis[i] * basis[j];
	}
}

static void test_subspace_finds_the_leading_pairs(void)
{
	cleanup(subspace_free) struct subspace *subspace = NULL;
	static double array[N * N];
	double values[N], scale[N], zero[N] = {0};
	struct symmetric matrix = {N, N, array, scale, zero, zero};

	make_definite(array, values);
	for (int i = 0; i < N; i++)
		scale[i] = 1;
	check_int(subspace_new(N, BLOCK, &subspace, NULL), 0);
	fill(subspace_vectors(subspace), BLOCK * N);
	check_int(subspace_step(subspace, &matrix, BLOCK, false, NULL), 0);
	for (int i = 0; i < 12; i++)
		check_int(subspace_step(subspace, &matrix, BLOCK, i % 2, NULL), 0);
	for (int i = 0; i < BLOCK; i++)
		check_near(subspace_values(subspace)[i], values[i], 1e-12);
	for (int i = 0; i < N; i++)
		check_near(subspace_images(subspace)[i], values[0] * subspace_vectors(subspace)[i],
			   1e-9);
}

/* Images that follow what became of the matrix are the images of the new one. */
static void test_subspace_images_follow(void)
{
	cleanup(subspace_free) struct subspace *subspace = NULL;
	static double array[N * N], image[BLOCK * N], work[BLOCK * N];
	double values[N], scale[N], zero[N] = {0}, x[N];
	struct symmetric matrix = {N, N, array, scale, zero, zero};

	make_definite(array, values);
	fill(x, N);
	for (int i = 0; i < N; i++)
		scale[i] = 1;
	check_int(subspace_new(N, BLOCK, &subspace, NULL), 0);
	fill(subspace_vectors(subspace), BLOCK * N);
	check_int(subspace_step(subspace, &matrix, BLOCK, false, NULL), 0);
	for (int j = 0; j < N; j++)
		for (int i = 0; i < N; i++)
			array[j * N + i] += 0.25 * x[i] * x[j];
	subspace_add_product(subspace, N, BLOCK, 0.25, x);
	symmetric_apply(&matrix, subspace_vectors(subspace), BLOCK, image, work);
	for (int i = 0; i < BLOCK * N; i++)
		check_near(subspace_images(subspace)[i], image[i], 1e-12);
	subspace_scale_images(subspace, N, BLOCK, x);
	for (int i = 0; i < BLOCK * N; i++)
		check_near(subspace_images(subspace)[i], image[i] * x[i % N], 1e-12);
}

/* A block of more vectors than the matrix has rank is no error by itself (Householder's way), a
 * matrix of zeros is. */
static void test_subspace_without_rank(void)
{
	cleanup(subspace_free) struct subspace *subspace = NULL;
	static double array[N * N];
	double scale[N], zero[N] = {0};
	struct symmetric matrix = {N, N, array, scale, zero, zero};

	for (int i = 0; i < N; i++)
		scale[i] = 1;
	check_int(subspace_new(N, BLOCK, &subspace, NULL), 0);
	fill(subspace_vectors(subspace), BLOCK * N);
	check_int(subspace_step(subspace, &matrix, BLOCK, false, NULL), -EDOM);
	array[0] = 5;
	array[N + 1] = 2;
	fill(subspace_vectors(subspace), BLOCK * N);
	check_int(subspace_step(subspace, &matrix, BLOCK, false, NULL), 0);
	check_near(subspace_values(subspace)[0], 5, 1e-12);
	check_near(subspace_values(subspace)[1], 2, 1e-12);
	check_near(subspace_values(subspace)[2], 0, 1e-12);
}

static void compare_moments(const struct moments *a, const struct moments *b)
{
	for (size_t j = 0; j < a->columns; j++) {
		check_near(moments_mean(a, j), moments_mean(b, j), 1e-12);
		check_near(moments_variance(a, j), moments_variance(b, j), 1e-12);
		check_near(moments_energy(a, j), moments_energy(b, j), 1e-12);
		for (size_t i = j; i < a->columns; i++)
			check_near(a->cross[j * a->columns + i], b->cross[j * a->columns + i],
				   1e-12);
	}
}

/* The products of deviations over the rows that have both, by definition. */
static void check_products(const struct moments *moments, const double *rows, size_t count)
{
	size_t d = moments->columns;
	double scale[8], array[64];

	for (size_t j = 0; j < d; j++) {
		scale[j] = 1 + 0.5 * (double)j;
		for (size_t i = 0; i <= j; i++) {
			double m_i = moments_mean(moments, i) - moments->shift[i];
			double m_j = moments_mean(moments, j) - moments->shift[j];

			array[j * d + i] = scale[i] * scale[j] *
					   (moments->cross[i * d + j] - (double)count * m_i * m_j);
		}
	}
	moments_add_gap_terms(moments, scale, array);
	for (size_t j = 0; j < d; j++)
		for (size_t i = 0; i <= j; i++) {
			double sum = 0;

			for (size_t row = 0; row < count; row++) {
				double a = rows[row * d + i] - moments_mean(moments, i);
				double b = rows[row * d + j] - moments_mean(moments, j);

				sum += isnan(a * b) ? 0 : a * b;
			}
			check_near(array[j * d + i], scale[i] * scale[j] * sum, 1e-12);
		}
}

/* Rows that entered and went, against those that stayed, added at once. */
static void test_moments_slide(void)
{
	enum { D = 5, ROWS = 60, WINDOW = 20 };
	struct moments slid, anew;
	double rows[ROWS][D], copy[ROWS][D], left[D];

	fill(&rows[0][0], sizeof(rows) / sizeof(double));
	for (int i = 0; i < ROWS; i += 7)
		rows[i][i % D] = NAN;
	check_int(moments_init(&slid, D, MOMENTS_EXACT), 0);
	check_int(moments_init(&anew, D, MOMENTS_EXACT), 0);
	for (int j = 0; j < D; j++)
		slid.shift[j] = anew.shift[j] = 0.1 * j;
	moments_begin(&slid);
	moments_begin(&anew);
	memcpy(copy, rows, sizeof(rows));
	for (int i = 0; i < ROWS; i++) {
		memcpy(left, rows[i < WINDOW ? 0 : i - WINDOW], sizeof(left));
		moments_slide(&slid, copy[i], i < WINDOW ? NULL : left);
	}
	memcpy(copy, rows, sizeof(rows));
	moments_add(&anew, copy[ROWS - WINDOW], WINDOW);
	check_int(slid.rows, WINDOW);
	compare_moments(&slid, &anew);
	check_products(&slid, &rows[ROWS - WINDOW][0], WINDOW);
	moments_deinit(&slid);
	moments_deinit(&anew);
}

static void check_gram(const struct gram *gram)
{
	for (size_t j = 0; j < gram->rows; j++)
		for (size_t i = j; i < gram->rows; i++) {
			double sum = 0;

			for (size_t c = 0; c < gram->columns; c++)
				sum += gram->y[i * gram->columns + c] *
				       gram->y[j * gram->columns + c];
			check_near(gram->k[j * gram->capacity + i], sum, 1e-12);
		}
}

static void test_gram_follows_rows_and_columns(void)
{
	enum { ROWS = 8, COLUMNS = 15 };
	struct gram gram;
	double y[COLUMNS], products[ROWS], before[ROWS], after[ROWS], sums[ROWS], square;

	check_int(gram_init(&gram, ROWS, COLUMNS), 0);
	for (size_t i = 0; i < 2 * ROWS; i++) {
		square = 0;
		fill(y, COLUMNS);
		for (int c = 0; c < COLUMNS; c++)
			square += y[c] * y[c];
		gram_products(&gram, y, products);
		gram_replace(&gram, i % ROWS, y, products, square);
		check_gram(&gram);
	}
	for (size_t i = 0; i < ROWS; i++) {
		before[i] = gram.y[i * COLUMNS + 4];
		after[i] = gram.y[i * COLUMNS + 4] = uniform();
	}
	gram_exchange_columns(&gram, 1, before, after);
	check_gram(&gram);
	gram_row_sums(&gram, sums);
	for (size_t i = 0; i < ROWS; i++) {
		double sum = 0;

		for (size_t j = 0; j < ROWS; j++)
			sum += gram.k[i > j ? j * ROWS + i : i * ROWS + j];
		check_near(sums[i], sum, 1e-12);
	}
	gram_rebuild(&gram);
	check_gram(&gram);
	gram_deinit(&gram);
}

/* x = P s + noise with P of two orthonormal vectors over six coordinates, two of which are missing:
 * what is expected of them is C_MO C_OO^-1 x_O, by elimination. */
static void expect_missing(double c[6][6], double *x)
{
	double a[4][5];

	for (int i = 0; i < 4; i++) {
		for (int j = 0; j < 4; j++)
			a[i][j] = c[i][j];
		a[i][4] = x[i];
	}
	for (int p = 0; p < 4; p++)
		for (int i = 0; i < 4; i++)
			for (int j = 4; i != p && j >= p; j--)
				a[i][j] -= a[i][p] / a[p][p] * a[p][j];
	for (int i = 4; i < 6; i++) {
		x[i] = 0;
		for (int j = 0; j < 4; j++)
			x[i] += c[i][j] * a[j][4] / a[j][j];
	}
}

static void test_projection_of_a_part(void)
{
	static const double values[2] = {3, 1.5}, noise = 0.25;
	double p[2][6], block[4], gram[4] = {0}, c[6][6], scores[2], expected[2], work[18];
	double x[6] = {1, -0.5, 0.3, 0.8, 0, 0}, spe = 0, length = 0;
	struct partial_scores partial;

	for (int i = 0; i < 6; i++) {
		p[0][i] = sqrt(2.0 / 6) * cos(M_PI * (i + 0.5) / 6);
		p[1][i] = sqrt(2.0 / 6) * cos(M_PI * 2 * (i + 0.5) / 6);
	}
	for (int i = 0; i < 6; i++)
		for (int j = 0; j < 6; j++)
			c[i][j] = (i == j) * noise + (values[0] - noise) * p[0][i] * p[0][j] +
				  (values[1] - noise) * p[1][i] * p[1][j];
	projection_scores(&p[0][0], 2, 6, x, scores);
	for (int i = 0; i < 2; i++)
		memcpy(block + 2 * i, p[i] + 4, 2 * sizeof(double));
	projection_add_gram(block, 2, 2, gram);
	check(partial_work_size(2) <= 18);
	check_int(partial_solve(values, 2, noise, gram, scores, work, &partial), 0);
	expect_missing(c, x);
	projection_scores(&p[0][0], 2, 6, x, expected);
	check_near(scores[0], expected[0], 1e-12);
	check_near(scores[1], expected[1], 1e-12);
	projection_subtract(&p[0][0], 2, 6, expected, x);
	for (int i = 0; i < 4; i++) {
		double whole = x[i] + expected[0] * p[0][i] + expected[1] * p[1][i];

		spe += x[i] * x[i];
		length += whole * whole;
	}
	check_near(length - partial.spe_loss, spe, 1e-12);
	check(partial.t2_mean > 0 && partial.t2_mean < 2);
}

/* Nothing is missing: nothing changes. */
static void test_projection_of_the_whole(void)
{
	static const double values[2] = {3, 1.5}, gram[4] = {0};
	double scores[2] = {1, 2}, work[18];
	struct partial_scores partial;

	check_int(partial_solve(values, 2, 0.25, gram, scores, work, &partial), 0);
	check_near(scores[0], 1, 1e-14);
	check_near(scores[1], 2, 1e-14);
	check_near(partial.spe_loss, 5, 1e-13);
	check_near(partial.t2_mean, 2, 1e-13);
}

TEST_MAIN(TEST(test_symmetric_is_what_it_stands_for), TEST(test_symmetric_is_formed_beside),
	  TEST(test_subspace_finds_the_leading_pairs), TEST(test_subspace_images_follow),
	  TEST(test_subspace_without_rank), TEST(test_moments_slide),
	  TEST(test_gram_follows_rows_and_columns), TEST(test_projection_of_a_part),
	  TEST(test_projection_of_the_whole))
