#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All eigenpairs of a symmetric matrix (LAPACK dsyevd), with the workspace allocated once for a
 * size, so that a solve cannot run out of memory. One owner, one thread at a time; BLAS runs on one
 * thread.
 */
#include <stddef.h>

#include "base/error.h"

struct eigen;

/* For matrices of `size` rows, size >= 1. Returns owned. */
int eigen_new(size_t size, struct eigen **ret_eigen, struct error *err);
struct eigen *eigen_free(struct eigen *eigen);

/* `matrix` is size x size, symmetric, finite (only its lower triangle in row-major terms is read).
 * The results stay in the object until the next solve: values in falling order, and vector i as
 * `size` doubles of length one at eigen_vector(i). -EDOM when LAPACK does not converge or the
 * matrix holds a NaN. */
int eigen_solve(struct eigen *eigen, const double *matrix, struct error *err);
const double *eigen_values(const struct eigen *eigen);
const double *eigen_vector(const struct eigen *eigen, size_t position);
