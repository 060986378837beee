/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/subspace.h"

#include <assert.h>
#include <cblas.h>
#include <errno.h>
#include <lapacke.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/cleanup.h"

/* Below this pivot of the normalised block's Gram matrix Cholesky's orthogonalisation loses digits,
 * and Householder's is used. */
#define PIVOT_LEAST 1e-3

struct subspace {
	size_t size_max, count_max;
	double *vectors, *basis, *images;
	double *small; /* count_max x count_max */
	double *values, *work;
	lapack_int work_size;
};

DEFINE_CLEANUP(struct subspace *, subspace_free)

int subspace_new(size_t size_max, size_t count_max, struct subspace **ret_subspace,
		 struct error *err)
{
	cleanup(subspace_free) struct subspace *subspace = calloc(1, sizeof(*subspace));
	size_t places = size_max * count_max, work_size = 70 * count_max;

	assert(size_max >= 1 && count_max >= 1);
	if (!subspace)
		return error_set(err, -ENOMEM, "out of memory");
	subspace->size_max = size_max;
	subspace->count_max = count_max;
	subspace->work_size = (lapack_int)work_size;
	subspace->vectors = calloc(places, sizeof(double));
	subspace->basis = calloc(places, sizeof(double));
	subspace->images = calloc(places, sizeof(double));
	subspace->small = calloc(count_max * count_max, sizeof(double));
	subspace->values = calloc(2 * count_max, sizeof(double));
	subspace->work = calloc(work_size, sizeof(double));
	if (!subspace->vectors || !subspace->basis || !subspace->images || !subspace->small ||
	    !subspace->values || !subspace->work)
		return error_set(err, -ENOMEM, "out of memory for %zu vectors of %zu places",
				 count_max, size_max);
	*ret_subspace = keep(subspace);
	return 0;
}

struct subspace *subspace_free(struct subspace *subspace)
{
	if (!subspace)
		return NULL;
	free(subspace->vectors);
	free(subspace->basis);
	free(subspace->images);
	free(subspace->small);
	free(subspace->values);
	free(subspace->work);
	free(subspace);
	return NULL;
}

size_t subspace_bytes(const struct subspace *subspace)
{
	size_t p = subspace->count_max;

	return sizeof(*subspace) + (3 * subspace->size_max * p + p * p + 72 * p) * sizeof(double);
}

double *subspace_vectors(struct subspace *subspace)
{
	return subspace->vectors;
}

const double *subspace_values(const struct subspace *subspace)
{
	return subspace->values;
}

const double *subspace_images(const struct subspace *subspace)
{
	return subspace->images;
}

/* Vectors of length one: the images of Ritz vectors are nearly orthogonal, so that this alone
 * makes their Gram matrix nearly the unit matrix. */
static int normalise(struct subspace *subspace, size_t n, size_t count)
{
	for (size_t c = 0; c < count; c++) {
		double *vector = subspace->basis + c * subspace->size_max;
		double length = cblas_dnrm2((blasint)n, vector, 1);

		if (!(length > 1e-200 && length < 1e200))
			return -EDOM;
		cblas_dscal((blasint)n, 1 / length, vector, 1);
	}
	return 0;
}

static bool is_well_conditioned(const double *triangle, size_t count)
{
	for (size_t c = 0; c < count; c++)
		if (!(triangle[c * count + c] > PIVOT_LEAST))
			return false;
	return true;
}

static int orthonormalise(struct subspace *subspace, size_t n, size_t count)
{
	lapack_int rows = (lapack_int)n, p = (lapack_int)count;
	lapack_int stride = (lapack_int)subspace->size_max;

	if (normalise(subspace, n, count) < 0)
		return -EDOM;
	cblas_dsyrk(CblasColMajor, CblasUpper, CblasTrans, p, rows, 1, subspace->basis, stride, 0,
		    subspace->small, p);
	if (LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'U', p, subspace->small, p) == 0 &&
	    is_well_conditioned(subspace->small, count)) {
		cblas_dtrsm(CblasColMajor, CblasRight, CblasUpper, CblasNoTrans, CblasNonUnit, rows,
			    p, 1, subspace->small, p, subspace->basis, stride);
		return 0;
	}
	if (LAPACKE_dgeqrf_work(LAPACK_COL_MAJOR, rows, p, subspace->basis, stride,
				subspace->values, subspace->work, subspace->work_size) != 0 ||
	    LAPACKE_dorgqr_work(LAPACK_COL_MAJOR, rows, p, p, subspace->basis, stride,
				subspace->values, subspace->work, subspace->work_size) != 0)
		return -EDOM;
	return 0;
}

/* The Ritz pairs of the basis, whose images are in `images`; small <- their coefficients, in
 * falling order. */
static int solve_small(struct subspace *subspace, size_t n, size_t count)
{
	lapack_int p = (lapack_int)count;
	blasint stride = (blasint)subspace->size_max;

	cblas_dgemm(CblasColMajor, CblasTrans, CblasNoTrans, p, p, (blasint)n, 1, subspace->basis,
		    stride, subspace->images, stride, 0, subspace->small, p);
	for (size_t c = 0; c < count; c++)
		for (size_t r = 0; r <= c; r++)
			if (!isfinite(subspace->small[c * count + r]))
				return -EDOM;
	if (LAPACKE_dsyev_work(LAPACK_COL_MAJOR, 'V', 'U', p, subspace->small, p, subspace->values,
			       subspace->work, subspace->work_size) != 0)
		return -EDOM;
	for (size_t c = 0; c < count / 2; c++) {
		double value = subspace->values[c];

		subspace->values[c] = subspace->values[count - 1 - c];
		subspace->values[count - 1 - c] = value;
		cblas_dswap(p, subspace->small + c * count, 1,
			    subspace->small + (count - 1 - c) * count, 1);
	}
	return 0;
}

static void combine(const struct subspace *subspace, size_t n, size_t count, const double *from,
		    double *to)
{
	blasint p = (blasint)count, stride = (blasint)subspace->size_max;

	cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, (blasint)n, p, p, 1, from, stride,
		    subspace->small, p, 0, to, stride);
}

void subspace_scale_images(struct subspace *subspace, size_t size, size_t count,
			   const double *factors)
{
	for (size_t c = 0; c < count; c++)
		for (size_t i = 0; i < size; i++)
			subspace->images[c * subspace->size_max + i] *= factors[i];
}

void subspace_add_product(struct subspace *subspace, size_t size, size_t count, double factor,
			  const double *x)
{
	blasint n = (blasint)size;

	for (size_t c = 0; c < count; c++) {
		size_t place = c * subspace->size_max;
		double along = cblas_ddot(n, subspace->vectors + place, 1, x, 1);

		cblas_daxpy(n, factor * along, x, 1, subspace->images + place, 1);
	}
}

static void swap_images_and_basis(struct subspace *subspace)
{
	double *basis = subspace->basis;

	subspace->basis = subspace->images;
	subspace->images = basis;
}

int subspace_step(struct subspace *subspace, const struct symmetric *matrix, size_t count,
		  bool from_images, struct error *err)
{
	size_t n = matrix->size;

	assert(count <= subspace->count_max && n <= subspace->size_max && count <= n);
	assert(matrix->stride == subspace->size_max);
	if (from_images)
		swap_images_and_basis(subspace);
	else
		symmetric_apply(matrix, subspace->vectors, count, subspace->basis,
				subspace->images);
	if (orthonormalise(subspace, n, count) < 0)
		return error_set(err, -EDOM, "no orthonormal basis of %zu vectors", count);
	symmetric_apply(matrix, subspace->basis, count, subspace->images, subspace->vectors);
	if (solve_small(subspace, n, count) < 0)
		return error_set(err, -EDOM, "no Ritz pairs of %zu vectors", count);
	combine(subspace, n, count, subspace->basis, subspace->vectors);
	combine(subspace, n, count, subspace->images, subspace->basis);
	swap_images_and_basis(subspace);
	return 0;
}
