/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/threshold.h"

#include <math.h>
#include <stdlib.h>

#include "base/test.h"
#include "stats/imhof.h"
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

/* What a limit for alpha = 0.2 % achieves, in units of alpha, exactly. */
static double achieved(const double *lambda, size_t count, double limit)
{
	struct quadratic_form form = {.weights = lambda, .count = count};

	return imhof_upper_tail(&form, limit) / 0.002;
}

static size_t fill(double *lambda, size_t count, double value)
{
	for (size_t i = 0; i < count; i++)
		lambda[i] = value;
	return count;
}

static size_t fill_geometric(double *lambda, size_t count, double ratio)
{
	for (size_t i = 0; i < count; i++)
		lambda[i] = pow(ratio, (double)i);
	return count;
}

/* The law of the eigenvalues of white noise, d / t = shape: `count` of its quantiles. The density
 * of x = 1 + shape - 2 sqrt(shape) cos(angle) is sin(angle)^2 / x in terms of the angle. */
static size_t fill_marchenko_pastur(double *lambda, size_t count, double shape)
{
	enum { STEPS = 200000 };
	double whole = 0, sum = 0;
	size_t found = 0;

	for (int pass = 0; pass < 2; pass++)
		for (int i = 0; i < STEPS; i++) {
			double angle = M_PI * (i + 0.5) / STEPS;
			double x = 1 + shape - 2 * sqrt(shape) * cos(angle);
			double *total = pass == 0 ? &whole : &sum;

			*total += sin(angle) * sin(angle) / x;
			if (pass == 1 && sum * (double)count > ((double)found + 0.5) * whole)
				lambda[found++] = x;
		}
	return found;
}

static size_t fill_power(double *lambda, size_t count, double exponent)
{
	for (size_t i = 0; i < count; i++)
		lambda[i] = pow((double)(i + 1), exponent);
	return count;
}

/* The achieved tails of the limits over eight residual spectra. The expected figures are of an
 * independent computation (Imhof's integral on the real line, NumPy), given to two digits; those of
 * infinite limits are 0. */
static void check_spectrum(const double *lambda, size_t count, double h0, double paper, double hbe)
{
	struct thetas thetas = thetas_of(lambda, count);
	double ratio = thetas.theta1 * thetas.theta3 / (thetas.theta2 * thetas.theta2);

	check_near(1 - 2 * ratio / 3, h0, 0.006);
	check_near(achieved(lambda, count, threshold_jackson_mudholkar(&thetas, 0.002)), paper,
		   0.0051 + 0.01 * paper);
	check_near(achieved(lambda, count, threshold_hbe(&thetas, 0.002)), hbe, 0.0051);
}

static void test_thresholds_over_small_spectra(void)
{
	double lambda[41] = {1};

	check_spectrum(lambda, fill(lambda, 15, 1), 0.333, 0.97, 1.00);
	check_spectrum(lambda, fill_geometric(lambda, 15, 0.8), 0.144, 0.73, 1.11);
	check_spectrum(lambda, fill_geometric(lambda, 15, 0.5), 0.143, 0.47, 1.09);
	check_spectrum(lambda, 1 + fill(lambda + 1, 40, 0.05), -0.661, 0.00, 1.09);
}

static void test_thresholds_over_large_spectra(void)
{
	double lambda[700] = {1};

	/* without a finite answer: the lognormal limit */
	check_spectrum(lambda, 1 + fill(lambda + 1, 600, 0.01), -3.16, 5.62, 1.06);
	lambda[0] = 5;
	lambda[1] = 3;
	lambda[2] = 2;
	check_spectrum(lambda, 3 + fill(lambda + 3, 600, 0.05), -1.74, 0.00, 1.11);
	check_spectrum(lambda, fill_marchenko_pastur(lambda, 600, 5.0 / 6), 0.168, 0.99, 1.01);
	check_spectrum(lambda, fill_power(lambda, 700, -1.2), -0.650, 0.01, 1.16);
}

/* What the index's limit achieves, by Imhof's integral over its own weights. */
static void test_index_is_close_to_exact(void)
{
	double lambda[15], weights[19];
	struct thetas thetas, sums;

	fill_geometric(lambda, 15, 0.8);
	thetas = thetas_of(lambda, 15);
	for (size_t i = 0; i < 15; i++)
		weights[i] = lambda[i] / thetas.theta1;
	fill(weights + 15, 4, 0.2 / 4);
	sums = threshold_index(&thetas, 4, 0.2);
	check_near(achieved(weights, 19, threshold_hbe(&sums, 0.002)), 1, 0.15);
	check_near(sums.theta1, 1.2, 1e-12);
	sums = threshold_index(&thetas, 0, 0.2);
	check_near(threshold_hbe(&sums, 0.002), threshold_hbe(&thetas, 0.002) / thetas.theta1,
		   1e-12);
	check_near(threshold_degrees(&sums), threshold_degrees(&thetas), 1e-9);
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
	  TEST(test_thresholds_over_small_spectra), TEST(test_thresholds_over_large_spectra),
	  TEST(test_index_is_close_to_exact), TEST(test_threshold_grows_with_confidence))
