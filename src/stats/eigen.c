/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/eigen.h"

#include <assert.h>
#include <cblas.h>
#include <errno.h>
#include <lapacke.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "stats/blas_threads_internal.h"

/* A = Q T Q' with T tridiagonal. LAPACK gives rising values; `values` is turned round. */
struct eigen {
	size_t size_max, size, stride;
	const double *reduced; /* borrowed from eigen_reduce() to eigen_vectors(): holds Q */
	double *diagonal, *off_diagonal, *reflectors;
	double *values;
	double *scratch; /* 3 x size_max */
	double *work;
	lapack_int *support, *integer_work;
	lapack_int work_size, integer_work_size;
};

enum {
	BLOCK = 64,   /* at least LAPACK's block size for dsytrd and dormtr */
	FEW_MAX = 400 /* vectors that are found one by one */
};

DEFINE_CLEANUP(struct eigen *, eigen_free)

static int reserve(struct eigen *eigen, size_t n)
{
	size_t places = (BLOCK + 18) * n + 64 * BLOCK * 2;

	eigen->diagonal = calloc(n, sizeof(double));
	eigen->off_diagonal = calloc(n, sizeof(double));
	eigen->reflectors = calloc(n, sizeof(double));
	eigen->values = calloc(n, sizeof(double));
	eigen->scratch = calloc(3 * n, sizeof(double));
	eigen->work = calloc(places, sizeof(double));
	eigen->support = calloc(2 * n, sizeof(lapack_int));
	eigen->integer_work = calloc(10 * n, sizeof(lapack_int));
	eigen->work_size = (lapack_int)places;
	eigen->integer_work_size = (lapack_int)(10 * n);
	return eigen->diagonal && eigen->off_diagonal && eigen->reflectors && eigen->values &&
			       eigen->scratch && eigen->work && eigen->support &&
			       eigen->integer_work
		       ? 0
		       : -ENOMEM;
}

int eigen_new(size_t size_max, struct eigen **ret_eigen, struct error *err)
{
	cleanup(eigen_free) struct eigen *eigen = calloc(1, sizeof(*eigen));

	assert(size_max >= 1);
	blas_threads_prepare();
	if (!eigen)
		return error_set(err, -ENOMEM, "out of memory");
	eigen->size_max = size_max;
	if (reserve(eigen, size_max) < 0)
		return error_set(err, -ENOMEM, "out of memory for %zu eigenvalues", size_max);
	*ret_eigen = keep(eigen);
	return 0;
}

struct eigen *eigen_free(struct eigen *eigen)
{
	if (!eigen)
		return NULL;
	free(eigen->diagonal);
	free(eigen->off_diagonal);
	free(eigen->reflectors);
	free(eigen->values);
	free(eigen->scratch);
	free(eigen->work);
	free(eigen->support);
	free(eigen->integer_work);
	free(eigen);
	return NULL;
}

size_t eigen_bytes(const struct eigen *eigen)
{
	return sizeof(*eigen) + (7 * eigen->size_max + (size_t)eigen->work_size) * sizeof(double) +
	       12 * eigen->size_max * sizeof(lapack_int);
}

static bool is_finite(const double *values, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!isfinite(values[i]))
			return false;
	return true;
}

int eigen_reduce(struct eigen *eigen, double *matrix, size_t size, size_t stride, struct error *err)
{
	lapack_int n = (lapack_int)size;
	double *values = eigen->values, *rest = eigen->scratch;
	lapack_int r;

	assert(size >= 1 && size <= eigen->size_max);
	eigen->size = size;
	eigen->stride = stride;
	eigen->reduced = matrix;
	r = LAPACKE_dsytrd_work(LAPACK_COL_MAJOR, 'U', n, matrix, (lapack_int)stride,
				eigen->diagonal, eigen->off_diagonal, eigen->reflectors,
				eigen->work, eigen->work_size);
	if (r != 0 || !is_finite(eigen->diagonal, size) ||
	    !is_finite(eigen->off_diagonal, size - 1))
		return error_set(err, -EDOM, "no eigenvalues of a matrix that is not finite");
	memcpy(values, eigen->diagonal, size * sizeof(*values));
	memcpy(rest, eigen->off_diagonal, (size - 1) * sizeof(*rest));
	r = LAPACKE_dsterf_work(n, values, rest);
	if (r != 0)
		return error_set(err, -EDOM, "no eigenvalues: LAPACK answered %d", (int)r);
	for (size_t i = 0; i < size / 2; i++) {
		double value = values[i];

		values[i] = values[size - 1 - i];
		values[size - 1 - i] = value;
	}
	return 0;
}

const double *eigen_values(const struct eigen *eigen)
{
	return eigen->values;
}

/* From rising to falling order. */
static void turn_round(double *vectors, size_t count, size_t size, size_t stride)
{
	for (size_t i = 0; i < count / 2; i++)
		cblas_dswap((blasint)size, vectors + i * stride, 1,
			    vectors + (count - 1 - i) * stride, 1);
}

/* Few vectors: inverse iteration from the values that are there, the whole of T as one block. */
static int few_vectors(struct eigen *eigen, size_t count, double *ret_vectors, size_t vector_stride)
{
	lapack_int n = (lapack_int)eigen->size, *block = eigen->support;
	lapack_int *failed = eigen->integer_work + n;
	double *values = eigen->scratch;

	for (size_t i = 0; i < count; i++) {
		values[i] = eigen->values[count - 1 - i];
		block[i] = 1;
	}
	block[n] = n; /* where the one block ends */
	return LAPACKE_dstein_work(LAPACK_COL_MAJOR, n, eigen->diagonal, eigen->off_diagonal,
				   (lapack_int)count, values, block, block + n, ret_vectors,
				   (lapack_int)vector_stride, eigen->work, eigen->integer_work,
				   failed) == 0
		       ? 0
		       : -EDOM;
}

/* Many: relatively robust representations, which need no orthogonalisation. */
static int many_vectors(struct eigen *eigen, size_t count, double *ret_vectors,
			size_t vector_stride)
{
	lapack_int n = (lapack_int)eigen->size, found = 0, accurate = 1, r;
	double *diagonal = eigen->scratch, *rest = diagonal + n, *values = rest + n;

	memcpy(diagonal, eigen->diagonal, eigen->size * sizeof(*diagonal));
	memcpy(rest, eigen->off_diagonal, eigen->size * sizeof(*rest));
	r = LAPACKE_dstemr_work(LAPACK_COL_MAJOR, 'V', 'I', n, diagonal, rest, 0, 0,
				n - (lapack_int)count + 1, n, &found, values, ret_vectors,
				(lapack_int)vector_stride, (lapack_int)count, eigen->support,
				&accurate, eigen->work, eigen->work_size, eigen->integer_work,
				eigen->integer_work_size);
	return r == 0 && (size_t)found == count ? 0 : -EDOM;
}

int eigen_vectors(struct eigen *eigen, size_t count, double *ret_vectors, size_t vector_stride,
		  struct error *err)
{
	bool few = count <= FEW_MAX;

	assert(count <= eigen->size);
	if (count == 0)
		return 0;
	if ((!few || few_vectors(eigen, count, ret_vectors, vector_stride) < 0) &&
	    many_vectors(eigen, count, ret_vectors, vector_stride) < 0)
		return error_set(err, -EDOM, "no eigenvectors of %zu x %zu", eigen->size,
				 eigen->size);
	if (LAPACKE_dormtr_work(LAPACK_COL_MAJOR, 'L', 'U', 'N', (lapack_int)eigen->size,
				(lapack_int)count, eigen->reduced, (lapack_int)eigen->stride,
				eigen->reflectors, ret_vectors, (lapack_int)vector_stride,
				eigen->work, eigen->work_size) != 0)
		return error_set(err, -EDOM, "no eigenvectors of %zu x %zu", eigen->size,
				 eigen->size);
	turn_round(ret_vectors, count, eigen->size, vector_stride);
	return 0;
}
