/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/eigen.h"

#include <cblas.h>
#include <errno.h>
#include <lapacke.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* LAPACK gives rising values; `values` is turned round, vectors are addressed from the end. */
struct eigen {
	size_t size;
	double *vectors; /* column-major: vector i of LAPACK's order at vectors + i * size */
	double *values;
	double *work;
	lapack_int *integer_work;
	lapack_int work_size, integer_work_size;
};

DEFINE_CLEANUP(struct eigen *, eigen_free)

static int query_workspace(struct eigen *eigen)
{
	double size;
	lapack_int integer_size;
	lapack_int n = (lapack_int)eigen->size;

	if (LAPACKE_dsyevd_work(LAPACK_COL_MAJOR, 'V', 'U', n, eigen->vectors, n, eigen->values,
				&size, -1, &integer_size, -1) != 0)
		return -EINVAL;
	eigen->work_size = (lapack_int)size;
	eigen->integer_work_size = integer_size;
	eigen->work = calloc((size_t)eigen->work_size, sizeof(*eigen->work));
	eigen->integer_work =
		calloc((size_t)eigen->integer_work_size, sizeof(*eigen->integer_work));
	return eigen->work && eigen->integer_work ? 0 : -ENOMEM;
}

int eigen_new(size_t size, struct eigen **ret_eigen, struct error *err)
{
	cleanup(eigen_free) struct eigen *eigen = calloc(1, sizeof(*eigen));
	int r;

	if (!eigen)
		return error_set(err, -ENOMEM, "out of memory");
	openblas_set_num_threads(1); /* two threads are slower at these sizes */
	eigen->size = size;
	eigen->vectors = calloc(size * size, sizeof(*eigen->vectors));
	eigen->values = calloc(size, sizeof(*eigen->values));
	if (!eigen->vectors || !eigen->values)
		return error_set(err, -ENOMEM, "out of memory for %zu x %zu eigenvectors", size,
				 size);
	r = query_workspace(eigen);
	if (r < 0)
		return error_set(err, r, "no workspace for %zu x %zu eigenvectors", size, size);
	*ret_eigen = keep(eigen);
	return 0;
}

struct eigen *eigen_free(struct eigen *eigen)
{
	if (!eigen)
		return NULL;
	free(eigen->vectors);
	free(eigen->values);
	free(eigen->work);
	free(eigen->integer_work);
	free(eigen);
	return NULL;
}

int eigen_solve(struct eigen *eigen, const double *matrix, struct error *err)
{
	size_t n = eigen->size;
	lapack_int r;

	/* the lower triangle by rows is the upper one by columns */
	memcpy(eigen->vectors, matrix, n * n * sizeof(*matrix));
	r = LAPACKE_dsyevd_work(LAPACK_COL_MAJOR, 'V', 'U', (lapack_int)n, eigen->vectors,
				(lapack_int)n, eigen->values, eigen->work, eigen->work_size,
				eigen->integer_work, eigen->integer_work_size);
	if (r != 0 || !(eigen->values[0] == eigen->values[0]))
		return error_set(err, -EDOM, "no eigenpairs: LAPACK answered %d", (int)r);
	for (size_t i = 0; i < n / 2; i++) {
		double value = eigen->values[i];

		eigen->values[i] = eigen->values[n - 1 - i];
		eigen->values[n - 1 - i] = value;
	}
	return 0;
}

const double *eigen_values(const struct eigen *eigen)
{
	return eigen->values;
}

const double *eigen_vector(const struct eigen *eigen, size_t position)
{
	return eigen->vectors + (eigen->size - 1 - position) * eigen->size;
}
