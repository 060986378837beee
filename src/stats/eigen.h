#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Eigenpairs of a symmetric matrix in two steps, so that the caller can look at all values before
 * it says how many vectors it wants: reduction to tridiagonal form and all values (LAPACK dsytrd,
 * dsterf), then the vectors of the largest ones (dstein or dstemr, dormtr). Works in the caller's
 * triangle and has its workspace from the start: n x count places for vectors, the rest O(n). One
 * owner, one thread at a time; BLAS runs on as many as stats/blas_threads.h says.
 */
#include <stddef.h>

#include "base/error.h"

struct eigen;

/* For matrices of up to `size_max` rows, size_max >= 1. Returns owned. */
int eigen_new(size_t size_max, struct eigen **ret_eigen, struct error *err);
struct eigen *eigen_free(struct eigen *eigen);
size_t eigen_bytes(const struct eigen *eigen);

/* All values. `matrix` is size x size by columns, column j at matrix + j * stride; its upper
 * triangle with the diagonal is read and replaced, the strict lower one is left alone. -EDOM when
 * LAPACK does not converge or the matrix is not finite. */
int eigen_reduce(struct eigen *eigen, double *matrix, size_t size, size_t stride,
		 struct error *err);

/* Of the newest reduction, in falling order. */
const double *eigen_values(const struct eigen *eigen);

/* The vectors of the `count` largest values of the newest reduction, whose triangle must still be
 * as eigen_reduce() left it: vector i, of length one, at ret_vectors + i * vector_stride. */
int eigen_vectors(struct eigen *eigen, size_t count, double *ret_vectors, size_t vector_stride,
		  struct error *err);
