#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A symmetric matrix that is never formed: C = S A S - g h' - h g', with A given by its lower
 * triangle, S diagonal, g and h vectors. That is a correlation matrix over sliding cross-products
 * (S holds the reciprocal deviations, g and h the drift of the mean) as well as a centred Gram
 * matrix (S constant, h of ones). Everything is borrowed. Blocks are by columns: vector i of a
 * block at block + i * stride, the stride of A. Pure; any thread.
 */
#include <stddef.h>

struct symmetric {
	size_t size, stride;
	const double *lower; /* column j at lower + j * stride, rows j and below */
	const double *scale; /* S */
	const double *g, *h;
};

enum { SYMMETRIC_BLOCK = 32 /* vectors that the traces take at a time */ };

/* ret = C v for `count` vectors; `work` is a block of that size. All three apart. */
void symmetric_apply(const struct symmetric *matrix, const double *v, size_t count, double *ret,
		     double *work);

double symmetric_trace(const struct symmetric *matrix);
/* The sum of squares of all elements: the trace of C^2. */
double symmetric_square_trace(const struct symmetric *matrix);
/* The trace of C^3, by SYMMETRIC_BLOCK columns at a time: O(size^3). `work` holds 3 x
 * SYMMETRIC_BLOCK vectors. */
double symmetric_cube_trace(const struct symmetric *matrix, double *work);
/* sum_i v_i' C v_i; `work` as above. */
double symmetric_quadratic(const struct symmetric *matrix, const double *v, size_t count,
			   double *work);

/* Writes C into the upper triangle of the array that holds A (`array` is matrix->lower), and the
 * diagonal of A into ret_diagonal; symmetric_restore() puts that back. */
void symmetric_form(const struct symmetric *matrix, double *array, double *ret_diagonal);
void symmetric_restore(double *array, size_t size, size_t stride, const double *diagonal);
