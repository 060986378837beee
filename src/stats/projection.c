/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/projection.h"

#include <cblas.h>
#include <errno.h>
#include <lapacke.h>
#include <math.h>
#include <string.h>

void projection_scores(const double *vectors, size_t count, size_t size, const double *x,
		       double *ret_scores)
{
	if (count > 0)
		cblas_dgemv(CblasColMajor, CblasTrans, (blasint)size, (blasint)count, 1, vectors,
			    (blasint)size, x, 1, 0, ret_scores, 1);
}

void projection_subtract(const double *vectors, size_t count, size_t size, const double *scores,
			 double *residual)
{
	if (count > 0)
		cblas_dgemv(CblasColMajor, CblasNoTrans, (blasint)size, (blasint)count, -1, vectors,
			    (blasint)size, scores, 1, 1, residual, 1);
}

void projection_add_gram(const double *block, size_t count, size_t width, double *gram)
{
	if (count > 0)
		cblas_dsyrk(CblasColMajor, CblasLower, CblasTrans, (blasint)count, (blasint)width,
			    1, block, (blasint)width, 1, gram, (blasint)count);
}

/* Four matrices of count x count and a vector. */
size_t partial_work_size(size_t count)
{
	return 4 * count * count + count;
}

/* full <- I - G, both triangles. */
static void observed_gram(const double *gram, size_t k, double *full)
{
	for (size_t j = 0; j < k; j++)
		for (size_t i = j; i < k; i++) {
			double value = (double)(i == j) - gram[j * k + i];

			full[j * k + i] = full[i * k + j] = value;
		}
}

/* The variance of the scores that are not noise. */
static double signal(double value, double noise)
{
	return fmax(value - noise, 1e-6 * value);
}

/* inverse <- H^-1 G, whose transpose times the scores is what the missing part adds. */
static int missing_part(const double *values, size_t k, double noise, const double *observed,
			double *factor, double *inverse)
{
	memcpy(factor, observed, k * k * sizeof(*factor));
	for (size_t j = 0; j < k; j++) {
		factor[j * k + j] += noise / signal(values[j], noise);
		for (size_t i = 0; i < k; i++)
			inverse[j * k + i] = (double)(i == j) - observed[j * k + i];
	}
	return LAPACKE_dposv_work(LAPACK_COL_MAJOR, 'L', (lapack_int)k, (lapack_int)k, factor,
				  (lapack_int)k, inverse, (lapack_int)k) == 0
		       ? 0
		       : -EDOM;
}

/* E T2 = tr(V^-1 B' A B), with A = O S O + noise O the covariance of the scores of the observed
 * part, O = I - G, S the signal's variances and B = I + H^-1 G. */
static double mean_t2(const double *values, size_t k, double noise, const double *observed,
		      const double *b, double *a, double *ab)
{
	blasint n = (blasint)k;
	double mean = 0;

	for (size_t j = 0; j < k; j++)
		for (size_t i = 0; i < k; i++)
			ab[j * k + i] = observed[j * k + i] * signal(values[j], noise);
	memcpy(a, observed, k * k * sizeof(*a));
	cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1, ab, n, observed, n,
		    noise, a, n);
	cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1, a, n, b, n, 0, ab, n);
	for (size_t j = 0; j < k; j++)
		mean += cblas_ddot(n, b + j * k, 1, ab + j * k, 1) / values[j];
	return mean;
}

int partial_solve(const double *values, size_t count, double noise, const double *gram,
		  double *scores, double *work, struct partial_scores *ret)
{
	size_t k = count;
	double *observed = work, *b = work + k * k, *spare = b + k * k, *product = spare + k * k;
	double *first = product + k * k;
	blasint n = (blasint)k;

	*ret = (struct partial_scores){0};
	if (k == 0)
		return 0;
	observed_gram(gram, k, observed);
	if (missing_part(values, k, noise, observed, spare, b) < 0)
		return -EDOM;
	for (size_t j = 0; j < k; j++)
		b[j * k + j] += 1;
	memcpy(first, scores, k * sizeof(*first));
	cblas_dgemv(CblasColMajor, CblasTrans, n, n, 1, b, n, first, 1, 0, scores, 1);
	/* |x - P_O s|^2 = |x|^2 - 2 s'P_O'x + s'(I - G) s */
	cblas_dgemv(CblasColMajor, CblasNoTrans, n, n, 1, observed, n, scores, 1, 0, spare, 1);
	ret->spe_loss = 2 * cblas_ddot(n, scores, 1, first, 1) - cblas_ddot(n, scores, 1, spare, 1);
	ret->t2_mean = mean_t2(values, k, noise, observed, b, spare, product);
	return 0;
}
