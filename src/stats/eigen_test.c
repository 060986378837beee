/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/eigen.h"

#include <errno.h>
#include <math.h>

#include "base/cleanup.h"
#include "base/test.h"

DEFINE_CLEANUP(struct eigen *, eigen_free)

enum { SIZE = 40 };

/* The second difference matrix: eigenvalues 2 - 2 cos(pi j / (n + 1)) in closed form. */
static void test_eigen_second_difference(void)
{
	cleanup(eigen_free) struct eigen *eigen = NULL;
	static double matrix[SIZE * SIZE];

	for (int i = 0; i < SIZE; i++) {
		matrix[i * SIZE + i] = 2;
		if (i > 0)
			matrix[i * SIZE + i - 1] = matrix[(i - 1) * SIZE + i] = -1;
	}
	check_int(eigen_new(SIZE, &eigen, NULL), 0);
	check_int(eigen_solve(eigen, matrix, NULL), 0);
	for (int j = 0; j < SIZE; j++)
		check_near(eigen_values(eigen)[j], 2 - 2 * cos(M_PI * (SIZE - j) / (SIZE + 1)),
			   1e-13);
}

static void test_eigen_vectors_are_orthonormal_and_fit(void)
{
	cleanup(eigen_free) struct eigen *eigen = NULL;
	static double matrix[SIZE * SIZE];

	for (int i = 0; i < SIZE; i++)
		for (int j = 0; j < SIZE; j++)
			matrix[i * SIZE + j] = 1.0 / (1 + i + j); /* Hilbert's matrix */
	check_int(eigen_new(SIZE, &eigen, NULL), 0);
	check_int(eigen_solve(eigen, matrix, NULL), 0);
	for (int a = 0; a < SIZE; a++) {
		const double *v = eigen_vector(eigen, (size_t)a);

		for (int b = 0; b < SIZE; b++) {
			const double *w = eigen_vector(eigen, (size_t)b);
			double product = 0;

			for (int i = 0; i < SIZE; i++)
				product += v[i] * w[i];
			check_near(product, a == b, 1e-12);
		}
		for (int i = 0; i < SIZE; i++) {
			double row = 0;

			for (int j = 0; j < SIZE; j++)
				row += matrix[i * SIZE + j] * v[j];
			check_near(row, eigen_values(eigen)[a] * v[i], 1e-13);
		}
	}
}

static void test_eigen_nan_is_an_error(void)
{
	cleanup(eigen_free) struct eigen *eigen = NULL;
	double matrix[4] = {NAN, 0, 0, 1};

	check_int(eigen_new(2, &eigen, NULL), 0);
	check_int(eigen_solve(eigen, matrix, NULL), -EDOM);
}

static void test_eigen_one_by_one(void)
{
	cleanup(eigen_free) struct eigen *eigen = NULL;
	double matrix[1] = {3};

	check_int(eigen_new(1, &eigen, NULL), 0);
	check_int(eigen_solve(eigen, matrix, NULL), 0);
	check_near(eigen_values(eigen)[0], 3, 0);
	check_near(fabs(eigen_vector(eigen, 0)[0]), 1, 0);
}

TEST_MAIN(TEST(test_eigen_second_difference), TEST(test_eigen_vectors_are_orthonormal_and_fit),
	  TEST(test_eigen_nan_is_an_error), TEST(test_eigen_one_by_one))
