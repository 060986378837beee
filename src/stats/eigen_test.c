/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/eigen.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/test.h"

DEFINE_CLEANUP(struct eigen *, eigen_free)

enum { SIZE = 40, STRIDE = 43 };

/* The second difference matrix: eigenvalues 2 - 2 cos(pi j / (n + 1)) in closed form. What lies
 * below the diagonal is not looked at and stays. */
static void test_eigen_second_difference(void)
{
	cleanup(eigen_free) struct eigen *eigen = NULL;
	static double matrix[SIZE * STRIDE];

	for (int j = 0; j < SIZE; j++)
		for (int i = 0; i < SIZE; i++)
			matrix[j * STRIDE + i] = i > j ? 77 : (i == j ? 2 : (i == j - 1));
	check_int(eigen_new(SIZE + 5, &eigen, NULL), 0);
	check_int(eigen_reduce(eigen, matrix, SIZE, STRIDE, NULL), 0);
	for (int j = 0; j < SIZE; j++)
		check_near(eigen_values(eigen)[j], 2 - 2 * cos(M_PI * (SIZE - j) / (SIZE + 1)),
			   1e-13);
	for (int j = 0; j < SIZE; j++)
		for (int i = j + 1; i < SIZE; i++)
			check_near(matrix[j * STRIDE + i], 77, 0);
}

static double product(const double *a, const double *b)
{
	double sum = 0;

	for (int i = 0; i < SIZE; i++)
		sum += a[i] * b[i];
	return sum;
}

/* The `count` leading vectors of a matrix: orthonormal, and A v = lambda v. */
static void check_pairs(const double *original, size_t count, double tolerance)
{
	cleanup(eigen_free) struct eigen *eigen = NULL;
	static double matrix[SIZE * SIZE], vectors[SIZE * STRIDE];

	memcpy(matrix, original, sizeof(matrix));
	check_int(eigen_new(SIZE, &eigen, NULL), 0);
	check_int(eigen_reduce(eigen, matrix, SIZE, SIZE, NULL), 0);
	check_int(eigen_vectors(eigen, count, vectors, STRIDE, NULL), 0);
	for (size_t a = 0; a < count; a++) {
		const double *v = vectors + a * STRIDE;

		check(a == 0 || eigen_values(eigen)[a] <= eigen_values(eigen)[a - 1]);
		for (size_t b = 0; b < count; b++)
			check_near(product(v, vectors + b * STRIDE), a == b, 1e-12);
		for (size_t i = 0; i < SIZE; i++)
			check_near(product(original + i * SIZE, v), eigen_values(eigen)[a] * v[i],
				   tolerance);
	}
}

static void test_eigen_vectors_are_orthonormal_and_fit(void)
{
	static double matrix[SIZE * SIZE];

	for (int i = 0; i < SIZE; i++)
		for (int j = 0; j < SIZE; j++)
			matrix[i * SIZE + j] = 1.0 / (1 + i + j); /* Hilbert's matrix */
	check_pairs(matrix, SIZE, 1e-13);
	check_pairs(matrix, 3, 1e-13);
}

/* Values that are equal, and rows of zeros (columns that stand still). */
static void test_eigen_ties_and_zeros(void)
{
	static double matrix[SIZE * SIZE];

	for (int i = 0; i < SIZE; i++)
		for (int j = 0; j < SIZE; j++)
			matrix[i * SIZE + j] =
				i % 4 == 3 || j % 4 == 3 ? 0 : (i % 4 == j % 4) + (i == j);
	check_pairs(matrix, SIZE, 1e-13);
	for (size_t count = 1; count < SIZE; count++)
		check_pairs(matrix, count, 1e-13);
}

static void test_eigen_nan_is_an_error(void)
{
	cleanup(eigen_free) struct eigen *eigen = NULL;
	double matrix[4] = {NAN, 0, 0, 1};

	check_int(eigen_new(2, &eigen, NULL), 0);
	check_int(eigen_reduce(eigen, matrix, 2, 2, NULL), -EDOM);
}

static void test_eigen_one_by_one(void)
{
	cleanup(eigen_free) struct eigen *eigen = NULL;
	double matrix[1] = {3}, vector[1];

	check_int(eigen_new(1, &eigen, NULL), 0);
	check_int(eigen_reduce(eigen, matrix, 1, 1, NULL), 0);
	check_int(eigen_vectors(eigen, 1, vector, 1, NULL), 0);
	check_near(eigen_values(eigen)[0], 3, 0);
	check_near(fabs(vector[0]), 1, 0);
}

TEST_MAIN(TEST(test_eigen_second_difference), TEST(test_eigen_vectors_are_orthonormal_and_fit),
	  TEST(test_eigen_ties_and_zeros), TEST(test_eigen_nan_is_an_error),
	  TEST(test_eigen_one_by_one))
