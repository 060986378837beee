/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SPE = |R (x - mean)|^2 with R = P2' diag(1 / std), (d - k) x d. For x ~ N(c, s S) and
 * R S R' = U diag(w) U' that is s * sum_i w_i (z_i + m_i)^2, m = U' R (c - mean) / sqrt(s w).
 */
#include "far_exact.h"

#include <cblas.h>
#include <errno.h>
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stats/imhof.h"

struct ring {
	double *rows;
	size_t count, next;
};

struct exact {
	size_t d, t;
	double rho;
	double *memory; /* of all that follows */
	double *covariance;
	struct ring normal, abnormal;
	bool open;
	size_t pending;
	double *mean, *std, *y, *c, *lambda; /* d; d; t x d; d x d, then its vectors by rows; d */
	double *product, *inner, *weights;   /* d x d; d x d; d */
	double *offset, *rotated, *shifts;   /* d each */
};

/* All places in one piece of memory. */
static bool allocate(struct exact *exact)
{
	size_t d = exact->d, t = exact->t;
	struct {
		double **place;
		size_t size;
	} places[] = {
		{&exact->covariance, d * d},
		{&exact->c, d * d},
		{&exact->product, d * d},
		{&exact->inner, d * d},
		{&exact->y, t * d},
		{&exact->normal.rows, t * d},
		{&exact->abnormal.rows, t * d},
		{&exact->mean, d},
		{&exact->std, d},
		{&exact->lambda, d},
		{&exact->weights, d},
		{&exact->offset, d},
		{&exact->rotated, d},
		{&exact->shifts, d},
	};
	double *next = exact->memory = calloc(4 * d * d + 3 * t * d + 7 * d, sizeof(*next));

	if (!next)
		return false;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		*places[i].place = next;
		next += places[i].size;
	}
	return true;
}

struct exact *exact_new(size_t columns, size_t rows, const double *covariance, double rho)
{
	struct exact *exact = calloc(1, sizeof(*exact));

	if (!exact)
		return NULL;
	exact->d = columns;
	exact->t = rows;
	exact->rho = rho;
	if (!allocate(exact))
		return exact_free(exact);
	memcpy(exact->covariance, covariance, columns * columns * sizeof(*covariance));
	return exact;
}

struct exact *exact_free(struct exact *exact)
{
	if (!exact)
		return NULL;
	free(exact->memory);
	free(exact);
	return NULL;
}

/* M and A */

static void push(const struct exact *exact, struct ring *ring, const double *row)
{
	memcpy(ring->rows + ring->next * exact->d, row, exact->d * sizeof(*row));
	ring->next = (ring->next + 1) % exact->t;
	ring->count += ring->count < exact->t;
}

static void merge(struct exact *exact)
{
	const struct ring *from = &exact->abnormal;

	for (size_t i = 0; i < from->count; i++)
		push(exact, &exact->normal,
		     from->rows + (from->next + exact->t - from->count + i) % exact->t * exact->d);
}

static void follow_abnormal(struct exact *exact, const double *row, enum episode_event event)
{
	if (!exact->open && exact->pending == 0)
		exact->abnormal.count = exact->abnormal.next = 0;
	exact->pending++;
	push(exact, &exact->abnormal, row);
	if (event == EPISODE_SHIFTED)
		merge(exact);
}

void exact_follow(struct exact *exact, const double *row, const struct row_verdict *verdict)
{
	if (verdict->state == ROW_ABNORMAL) {
		follow_abnormal(exact, row, verdict->event);
	} else if (verdict->state != ROW_EMPTY) {
		push(exact, &exact->normal, row);
		if (verdict->state == ROW_SHIFTED)
			push(exact, &exact->abnormal, row);
		else
			exact->pending = 0;
	}
	if (verdict->event == EPISODE_OPENED)
		exact->open = true;
	if (verdict->event == EPISODE_CLOSED)
		exact->open = false;
}

/* The model of M: mean, std, and the eigenvectors of the correlation matrix in `c`. */

static void standardise(struct exact *exact)
{
	size_t d = exact->d, t = exact->normal.count;

	for (size_t j = 0; j < d; j++) {
		double sum = 0, squares = 0;

		for (size_t i = 0; i < t; i++)
			sum += exact->normal.rows[i * d + j];
		exact->mean[j] = sum / (double)t;
		for (size_t i = 0; i < t; i++) {
			double deviation = exact->normal.rows[i * d + j] - exact->mean[j];

			exact->y[i * d + j] = deviation;
			squares += deviation * deviation;
		}
		exact->std[j] = sqrt(squares / (double)(t - 1));
		for (size_t i = 0; i < t; i++)
			exact->y[i * d + j] /= exact->std[j];
	}
}

/* Column-major eigenvectors, values rising: vector i at matrix + i * n. */
static int decompose(double *matrix, size_t n, double *ret_values)
{
	return LAPACKE_dsyevd(LAPACK_COL_MAJOR, 'V', 'L', (lapack_int)n, matrix, (lapack_int)n,
			      ret_values) == 0
		       ? 0
		       : -EDOM;
}

static int build_model(struct exact *exact)
{
	int d = (int)exact->d, t = (int)exact->normal.count;

	standardise(exact);
	cblas_dsyrk(CblasColMajor, CblasLower, CblasNoTrans, d, t, 1.0 / (t - 1), exact->y, d, 0,
		    exact->c, d);
	return decompose(exact->c, exact->d, exact->lambda);
}

static double residual_energy(const struct exact *exact, const double *row, size_t residuals)
{
	double spe = 0;

	for (size_t i = 0; i < residuals; i++) {
		double score = 0;

		for (size_t j = 0; j < exact->d; j++)
			score += exact->c[i * exact->d + j] * (row[j] - exact->mean[j]) /
				 exact->std[j];
		spe += score * score;
	}
	return spe;
}

/* R in place of the first vectors, then w and U of R S R' in weights and inner. */
static int rotate(struct exact *exact, size_t residuals)
{
	int d = (int)exact->d, m = (int)residuals;

	for (size_t i = 0; i < residuals; i++)
		for (size_t j = 0; j < exact->d; j++)
			exact->c[i * exact->d + j] /= exact->std[j];
	/* c holds R' by columns */
	cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, d, m, d, 1, exact->covariance, d,
		    exact->c, d, 0, exact->product, d);
	cblas_dgemm(CblasColMajor, CblasTrans, CblasNoTrans, m, m, d, 1, exact->c, d,
		    exact->product, d, 0, exact->inner, m);
	return decompose(exact->inner, residuals, exact->weights);
}

/* P(SPE > q) for rows of N(share * before, scale * S). */
static double tail(struct exact *exact, size_t residuals, const double *before, double share,
		   double scale, double q)
{
	int d = (int)exact->d, m = (int)residuals;
	struct quadratic_form form = {
		.weights = exact->weights, .shifts = exact->shifts, .count = residuals};

	for (size_t j = 0; j < exact->d; j++)
		exact->offset[j] = share * before[j] - exact->mean[j];
	cblas_dgemv(CblasColMajor, CblasTrans, d, m, 1, exact->c, d, exact->offset, 1, 0,
		    exact->rotated, 1);
	cblas_dgemv(CblasColMajor, CblasTrans, m, m, 1, exact->inner, m, exact->rotated, 1, 0,
		    exact->shifts, 1);
	for (size_t i = 0; i < residuals; i++)
		exact->shifts[i] /= sqrt(scale * exact->weights[i]);
	return imhof_upper_tail(&form, q / scale);
}

int exact_tails(struct exact *exact, const double *before, const double *row,
		const struct row_verdict *verdict, struct exact_tails *ret_tails)
{
	size_t residuals = exact->d - verdict->components;
	double rho = exact->rho, spe;

	if (exact->normal.count < 2 || residuals == 0 || build_model(exact) < 0)
		return -EDOM;
	spe = residual_energy(exact, row, residuals);
	if (rotate(exact, residuals) < 0)
		return -EDOM;
	*ret_tails = (struct exact_tails){
		.spe = spe,
		.next = tail(exact, residuals, before, rho, 1 - rho * rho, verdict->q),
		.fresh = tail(exact, residuals, before, 0, 1, verdict->q),
	};
	return 0;
}
