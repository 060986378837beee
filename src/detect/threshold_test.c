/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/threshold.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/test.h"
#include "stats/quantile.h"

static struct thetas thetas_of(const double *lambda, size_t count)
{
	struct thetas thetas = {0};

	for (size_t i = 0; i < count; i++) {
		thetas.theta1 += lambda[i];
		thetas.theta2 += lambda[i] * lambda[i];
		thetas.theta3 += lambda[i] * lambda[i] * lambda[i];
	}
	return thetas;
}

/* SPE of n equal eigenvalues is a scaled chi-squared: HBE is exact. */
static void test_hbe_is_exact_for_equal_eigenvalues(void)
{
	double lambda[15];
	struct thetas thetas;

	for (int i = 0; i < 15; i++)
		lambda[i] = 0.3;
	thetas = thetas_of(lambda, 15);
	check_near(threshold_hbe(&thetas, 0.002), 0.3 * chi2_upper_quantile(0.002, 15), 1e-9);
}

static void test_hbe_is_exact_for_one_eigenvalue(void)
{
	double lambda[1] = {2.5};
	struct thetas thetas = thetas_of(lambda, 1);

	check_near(threshold_hbe(&thetas, 0.01), 2.5 * chi2_upper_quantile(0.01, 1), 1e-9);
}

static void test_jackson_mudholkar_is_close_for_equal_eigenvalues(void)
{
	double lambda[15];
	struct thetas thetas;
	double exact = chi2_upper_quantile(0.002, 15);

	for (int i = 0; i < 15; i++)
		lambda[i] = 1;
	thetas = thetas_of(lambda, 15);
	/* h0 = 1/3: the Wilson-Hilferty cube, good to a percent here */
	check_near(threshold_jackson_mudholkar(&thetas, 0.002), exact, 0.01 * exact);
}

/* A sum of weighted chi-squared variables, drawn: the share above the limit. */
static double share_above(const double *lambda, size_t count, double limit)
{
	uint64_t state = 42;
	size_t above = 0, draws = 100000;

	for (size_t n = 0; n < draws; n++) {
		double sum = 0;

		for (size_t i = 0; i < count; i++) {
			double u;

			state = state * UINT64_C(6364136223846793005) +
				UINT64_C(1442695040888963407);
			u = ((double)(state >> 11) + 0.5) * 0x1p-53;
			u = normal_quantile(u);
			sum += lambda[i] * u * u;
		}
		above += sum > limit;
	}
	return (double)above / (double)draws;
}

/* One strong and many weak residual eigenvalues make h0 negative: as printed, nearly every normal
 * row would alarm. Tolerance: HBE is within a quarter of alpha there, the drawing's own error 10 %.
 */
static void test_thresholds_for_negative_h0(void)
{
	double lambda[21];
	struct thetas thetas;
	double h0, q;

	lambda[0] = 1;
	for (int i = 1; i < 21; i++)
		lambda[i] = 0.02;
	thetas = thetas_of(lambda, 21);
	h0 = 1 - 2 * thetas.theta1 * thetas.theta3 / (3 * thetas.theta2 * thetas.theta2);
	check(h0 < 0.1);
	check_near(share_above(lambda, 21, threshold_hbe(&thetas, 0.01)), 0.01, 0.0025);
	for (int i = 1; i < 21; i++)
		lambda[i] = 0.1;
	thetas = thetas_of(lambda, 21);
	h0 = 1 - 2 * thetas.theta1 * thetas.theta3 / (3 * thetas.theta2 * thetas.theta2);
	check(h0 < 0);
	q = threshold_jackson_mudholkar(&thetas, 0.01);
	check(isfinite(q) && q > thetas.theta1);
	check(share_above(lambda, 21, q) < 0.02);
}

static void test_threshold_grows_with_confidence(void)
{
	double lambda[4] = {1, 0.5, 0.25, 0.1};
	struct thetas thetas = thetas_of(lambda, 4);

	check(threshold_hbe(&thetas, 0.001) > threshold_hbe(&thetas, 0.01));
	check(threshold_jackson_mudholkar(&thetas, 0.001) >
	      threshold_jackson_mudholkar(&thetas, 0.01));
}

TEST_MAIN(TEST(test_hbe_is_exact_for_equal_eigenvalues), TEST(test_hbe_is_exact_for_one_eigenvalue),
	  TEST(test_jackson_mudholkar_is_close_for_equal_eigenvalues),
	  TEST(test_thresholds_for_negative_h0), TEST(test_threshold_grows_with_confidence))
