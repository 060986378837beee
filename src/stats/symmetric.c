/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/symmetric.h"

#include <cblas.h>

enum { TILE = 32 /* a tile of the transposition: 8 KiB read, 8 KiB written */ };

static void scale_block(const struct symmetric *matrix, const double *from, size_t count,
			double *to)
{
	for (size_t c = 0; c < count; c++)
		for (size_t i = 0; i < matrix->size; i++)
			to[c * matrix->stride + i] =
				from[c * matrix->stride + i] * matrix->scale[i];
}

void symmetric_apply(const struct symmetric *matrix, const double *v, size_t count, double *ret,
		     double *work)
{
	blasint n = (blasint)matrix->size, stride = (blasint)matrix->stride;

	scale_block(matrix, v, count, work);
	cblas_dsymm(CblasColMajor, CblasLeft, CblasLower, n, (blasint)count, 1, matrix->lower,
		    stride, work, stride, 0, ret, stride);
	scale_block(matrix, ret, count, ret);
	for (size_t c = 0; c < count; c++) {
		const double *from = v + c * matrix->stride;
		double *to = ret + c * matrix->stride;
		double along_g = cblas_ddot(n, matrix->g, 1, from, 1);
		double along_h = cblas_ddot(n, matrix->h, 1, from, 1);

		cblas_daxpy(n, -along_h, matrix->g, 1, to, 1);
		cblas_daxpy(n, -along_g, matrix->h, 1, to, 1);
	}
}

/* C_ij for i >= j. */
static double element(const struct symmetric *matrix, size_t i, size_t j)
{
	return matrix->lower[j * matrix->stride + i] * matrix->scale[i] * matrix->scale[j] -
	       matrix->g[i] * matrix->h[j] - matrix->h[i] * matrix->g[j];
}

double symmetric_trace(const struct symmetric *matrix)
{
	double trace = 0;

	for (size_t i = 0; i < matrix->size; i++)
		trace += element(matrix, i, i);
	return trace;
}

/* Four sums at a time: one alone would wait for each addition. */
static double column_square_sum(const struct symmetric *matrix, size_t j)
{
	double sums[4] = {0};
	size_t i = j + 1;

	for (; i + 4 <= matrix->size; i += 4)
		for (size_t lane = 0; lane < 4; lane++) {
			double value = element(matrix, i + lane, j);

			sums[lane] += value * value;
		}
	for (; i < matrix->size; i++) {
		double value = element(matrix, i, j);

		sums[0] += value * value;
	}
	return sums[0] + sums[1] + sums[2] + sums[3];
}

double symmetric_square_trace(const struct symmetric *matrix)
{
	double sum = 0;

	for (size_t j = 0; j < matrix->size; j++) {
		double diagonal = element(matrix, j, j);

		sum += diagonal * diagonal + 2 * column_square_sum(matrix, j);
	}
	return sum;
}

static double block_product(const struct symmetric *matrix, const double *a, const double *b,
			    size_t count)
{
	double sum = 0;

	for (size_t c = 0; c < count; c++)
		sum += cblas_ddot((blasint)matrix->size, a + c * matrix->stride, 1,
				  b + c * matrix->stride, 1);
	return sum;
}

static void columns(const struct symmetric *matrix, size_t first, size_t count, double *ret)
{
	for (size_t c = 0; c < count; c++)
		for (size_t i = 0; i < matrix->size; i++) {
			size_t j = first + c;

			ret[c * matrix->stride + i] =
				i >= j ? element(matrix, i, j) : element(matrix, j, i);
		}
}

static size_t block_size(size_t left)
{
	return left < SYMMETRIC_BLOCK ? left : SYMMETRIC_BLOCK;
}

double symmetric_quadratic(const struct symmetric *matrix, const double *v, size_t count,
			   double *work)
{
	double *image = work, *rest = work + SYMMETRIC_BLOCK * matrix->stride;
	double sum = 0;

	for (size_t done = 0, block; done < count; done += block) {
		const double *from = v + done * matrix->stride;

		block = block_size(count - done);
		symmetric_apply(matrix, from, block, image, rest);
		sum += block_product(matrix, from, image, block);
	}
	return sum;
}

/* tr C^3 = sum over the columns c of c' C c. */
double symmetric_cube_trace(const struct symmetric *matrix, double *work)
{
	double *rest = work + SYMMETRIC_BLOCK * matrix->stride;
	double sum = 0;

	for (size_t done = 0, block; done < matrix->size; done += block) {
		block = block_size(matrix->size - done);
		columns(matrix, done, block, work);
		sum += symmetric_quadratic(matrix, work, block, rest);
	}
	return sum;
}

void symmetric_form(const struct symmetric *matrix, double *array, double *ret_diagonal)
{
	size_t n = matrix->size;

	cblas_dcopy((blasint)n, array, (blasint)matrix->stride + 1, ret_diagonal, 1);
	for (size_t j0 = 0; j0 < n; j0 += TILE)
		for (size_t i0 = j0; i0 < n; i0 += TILE)
			for (size_t j = j0; j < j0 + TILE && j < n; j++)
				for (size_t i = i0 > j ? i0 : j + 1; i < i0 + TILE && i < n; i++)
					array[i * matrix->stride + j] = element(matrix, i, j);
	for (size_t j = 0; j < n; j++)
		array[j * matrix->stride + j] = element(matrix, j, j);
}

void symmetric_restore(double *array, size_t size, size_t stride, const double *diagonal)
{
	cblas_dcopy((blasint)size, diagonal, 1, array, (blasint)stride + 1);
}
