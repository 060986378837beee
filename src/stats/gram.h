#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Gram matrix of the columns of a row-major matrix, the heart of a correlation matrix. Pure;
 * any thread.
 */
#include <stddef.h>

/* ret_gram = scale * Y'Y, columns x columns, row-major; only its lower triangle is written. */
void gram_columns(const double *y, size_t rows, size_t columns, double scale, double *ret_gram);
