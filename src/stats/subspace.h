#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The leading eigenpairs of a symmetric matrix that changes a little at a time: block subspace
 * iteration, warm from the pairs of the time before, with a Rayleigh-Ritz step (two products of
 * the matrix with a block per step, or one). The error of a leading vector shrinks per step by the
 * square of the ratio of the first value outside the block to its own. Workspace from the start: 3
 * x size x count. One owner, one thread at a time.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "stats/symmetric.h"

struct subspace;

/* For matrices of up to size_max rows, at stride size_max, and blocks of up to count_max vectors.
 * Returns owned. */
int subspace_new(size_t size_max, size_t count_max, struct subspace **ret_subspace,
		 struct error *err);
struct subspace *subspace_free(struct subspace *subspace);
size_t subspace_bytes(const struct subspace *subspace);

/* The vectors, to be read and to be set by the caller at a new start: vector i at + i * size_max,
 * orthonormal. */
double *subspace_vectors(struct subspace *subspace);

/* One step with the first `count` vectors. `from_images`: the caller has brought the images of the
 * newest step up to date with the matrix, which saves the first of the two products. -EDOM when the
 * block has no such rank or something is not finite: the caller solves from scratch. */
int subspace_step(struct subspace *subspace, const struct symmetric *matrix, size_t count,
		  bool from_images, struct error *err);

/* The matrix has become F C F (as far as the images go: F C), or C + factor x x': the images
 * follow. */
void subspace_scale_images(struct subspace *subspace, size_t size, size_t count,
			   const double *factors);
void subspace_add_product(struct subspace *subspace, size_t size, size_t count, double factor,
			  const double *x);

/* Of the newest step: the Ritz values in falling order, and the products of the matrix with the
 * vectors. */
const double *subspace_values(const struct subspace *subspace);
const double *subspace_images(const struct subspace *subspace);
