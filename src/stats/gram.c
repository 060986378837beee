/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/gram.h"

#include <assert.h>
#include <cblas.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int gram_init(struct gram *gram, size_t capacity, size_t columns)
{
	*gram = (struct gram){.capacity = capacity, .columns = columns};
	gram->y = calloc(capacity * columns, sizeof(double));
	gram->k = calloc(capacity * capacity, sizeof(double));
	return gram->y && gram->k ? 0 : -ENOMEM;
}

void gram_deinit(struct gram *gram)
{
	free(gram->y);
	free(gram->k);
	*gram = (struct gram){0};
}

size_t gram_bytes(const struct gram *gram)
{
	return gram->capacity * (gram->capacity + gram->columns) * sizeof(double);
}

void gram_rebuild(struct gram *gram)
{
	cblas_dsyrk(CblasColMajor, CblasLower, CblasTrans, (blasint)gram->rows,
		    (blasint)gram->columns, 1, gram->y, (blasint)gram->columns, 0, gram->k,
		    (blasint)gram->capacity);
}

void gram_products(const struct gram *gram, const double *y, double *ret_products)
{
	cblas_dgemv(CblasRowMajor, CblasNoTrans, (blasint)gram->rows, (blasint)gram->columns, 1,
		    gram->y, (blasint)gram->columns, y, 1, 0, ret_products, 1);
}

void gram_replace(struct gram *gram, size_t slot, const double *y, const double *products,
		  double square)
{
	size_t n = gram->rows;

	assert(slot <= n && slot < gram->capacity);
	if (slot == n)
		gram->rows++;
	memcpy(gram->y + slot * gram->columns, y, gram->columns * sizeof(*y));
	for (size_t j = 0; j < slot; j++)
		gram->k[j * gram->capacity + slot] = products[j];
	gram->k[slot * gram->capacity + slot] = square;
	for (size_t i = slot + 1; i < n; i++)
		gram->k[slot * gram->capacity + i] = products[i];
}

void gram_exchange_columns(struct gram *gram, size_t count, const double *before,
			   const double *after)
{
	blasint n = (blasint)gram->rows, stride = (blasint)gram->capacity;

	cblas_dsyrk(CblasColMajor, CblasLower, CblasNoTrans, n, (blasint)count, -1, before, stride,
		    1, gram->k, stride);
	cblas_dsyrk(CblasColMajor, CblasLower, CblasNoTrans, n, (blasint)count, 1, after, stride, 1,
		    gram->k, stride);
}

void gram_row_sums(const struct gram *gram, double *ret_sums)
{
	memset(ret_sums, 0, gram->rows * sizeof(*ret_sums));
	for (size_t j = 0; j < gram->rows; j++) {
		const double *column = gram->k + j * gram->capacity;
		double sum = 0;

		for (size_t i = j + 1; i < gram->rows; i++) {
			sum += column[i];
			ret_sums[i] += column[i];
		}
		ret_sums[j] += sum + column[j];
	}
}

static void scale_vectors(double *vectors, size_t count, size_t size, const double *factors)
{
	for (size_t i = 0; i < count; i++)
		cblas_dscal((blasint)size, factors[i], vectors + i * size, 1);
}

void gram_lift(const struct gram *gram, const double *u, size_t count, const double *factors,
	       double *ret)
{
	blasint d = (blasint)gram->columns;

	cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, d, (blasint)count,
		    (blasint)gram->rows, 1, gram->y, d, u, (blasint)gram->capacity, 0, ret, d);
	scale_vectors(ret, count, gram->columns, factors);
}

void gram_lift_block(const struct gram *gram, const double *u, size_t count, const double *factors,
		     const double *block, size_t width, double *ret)
{
	blasint stride = (blasint)gram->capacity;

	cblas_dgemm(CblasColMajor, CblasTrans, CblasNoTrans, (blasint)width, (blasint)count,
		    (blasint)gram->rows, 1, block, stride, u, stride, 0, ret, (blasint)width);
	scale_vectors(ret, count, width, factors);
}
