/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/quantile.h"

#include <math.h>

#include "base/test.h"

/* Reference values: published tables of the normal and chi-squared distributions (Abramowitz &
 * Stegun 26), with more digits from numerical integration in 50-digit arithmetic. */

static void check_relative(double actual, double expected, double tolerance)
{
	check_near(actual, expected, tolerance * fabs(expected));
}

static void test_normal_quantile_published(void)
{
	check_near(normal_quantile(0.5), 0, 0);
	check_relative(normal_quantile(0.975), 1.959963984540054, 1e-12);
	check_relative(normal_quantile(0.998), 2.878161739095484, 1e-12);
	check_relative(normal_quantile(0.995), 2.575829303548901, 1e-12);
	check_relative(normal_quantile(0.025), -1.959963984540054, 1e-12);
	check_relative(normal_quantile(1e-10), -6.361340902404056, 1e-12);
}

static void test_chi2_quantile_published(void)
{
	check_relative(chi2_upper_quantile(0.05, 1), 3.841458820694124, 1e-10);
	check_relative(chi2_upper_quantile(0.05, 10), 18.307038053275146, 1e-10);
	check_relative(chi2_upper_quantile(0.01, 100), 135.80672317102676, 1e-10);
	check_relative(chi2_upper_quantile(0.001, 30), 59.70306430442993, 1e-10);
	check_relative(chi2_upper_quantile(0.95, 5), 1.1454762260617692, 1e-10);
}

/* Two degrees of freedom: the tail is exp(-x / 2) exactly. */
static void test_chi2_two_degrees_closed_form(void)
{
	for (double x = 0.01; x < 200; x *= 1.5)
		check_relative(chi2_upper_tail(x, 2), exp(-x / 2), 1e-12);
	check_relative(chi2_upper_quantile(0.002, 2), -2 * log(0.002), 1e-12);
}

static void test_chi2_quantile_inverts_the_tail(void)
{
	static const double alphas[] = {1e-9, 1e-4, 0.002, 0.1, 0.5, 0.9};

	for (double v = 1; v <= 1e8; v *= 7.3)
		for (unsigned i = 0; i < sizeof(alphas) / sizeof(alphas[0]); i++) {
			double x = chi2_upper_quantile(alphas[i], v);

			check_relative(chi2_upper_tail(x, v), alphas[i], 1e-9);
		}
}

/* For many degrees of freedom the distribution is normal with mean v and variance 2 v. */
static void test_chi2_many_degrees_is_normal(void)
{
	double v = 1e9;

	check_relative(chi2_upper_quantile(0.002, v), v + 2.878161739095484 * sqrt(2 * v), 1e-8);
}

/* Published tables of F (5 %, 1 %), the digits beyond them from SciPy's scipy.stats.f.isf. */
static void test_f_quantile_published(void)
{
	check_relative(f_upper_quantile(0.05, 1, 10), 4.964602743730715, 1e-9);
	check_relative(f_upper_quantile(0.05, 5, 20), 2.710889837209692, 1e-9);
	check_relative(f_upper_quantile(0.01, 12, 708), 2.209878880695267, 1e-9);
	check_relative(f_upper_quantile(0.002, 4, 716), 4.275312366143175, 1e-9);
	check_relative(f_upper_quantile(0.002, 12, 708), 2.618179008754201, 1e-9);
	check_relative(f_upper_quantile(0.002, 300, 420), 1.356965724318342, 1e-9);
	check_relative(f_upper_quantile(0.95, 10, 4), 0.2875174563075271, 1e-9);
	check_relative(f_upper_quantile(0.002, 50, 99950), 1.673429589397057, 1e-9);
}

/* d1 = 2: the tail is (1 + 2 x / d2)^(-d2 / 2); d2 = 2: 1 - (1 + 2 / (d1 x))^(-d1 / 2). */
static void test_f_two_degrees_closed_form(void)
{
	for (double d = 1; d <= 1e5; d *= 3.7)
		for (double x = 0.01; x < 100; x *= 2.1) {
			check_relative(f_upper_tail(x, 2, d), exp(-0.5 * d * log1p(2 * x / d)),
				       1e-10);
			check_relative(f_upper_tail(x, d, 2), -expm1(-0.5 * d * log1p(2 / (d * x))),
				       1e-10);
		}
}

/* d1 = d2 = 1: the square of a Cauchy variable. */
static void test_f_one_degree_is_a_squared_cauchy(void)
{
	for (double x = 1e-6; x < 1e12; x *= 7)
		check_relative(f_upper_tail(x, 1, 1), M_2_PI * atan(1 / sqrt(x)), 1e-12);
}

static void test_f_quantile_inverts_the_tail(void)
{
	static const double alphas[] = {1e-9, 0.002, 0.1, 0.5, 0.99};

	for (double d1 = 1; d1 <= 1e5; d1 *= 8.3)
		for (double d2 = 1; d2 <= 1e5; d2 *= 8.3)
			for (unsigned i = 0; i < sizeof(alphas) / sizeof(alphas[0]); i++) {
				double x = f_upper_quantile(alphas[i], d1, d2);

				check_relative(f_upper_tail(x, d1, d2), alphas[i], 1e-9);
				check_relative(f_upper_quantile(1 - alphas[i], d2, d1), 1 / x,
					       alphas[i] < 1e-6 ? 1e-6 : 1e-9);
			}
}

TEST_MAIN(TEST(test_normal_quantile_published), TEST(test_chi2_quantile_published),
	  TEST(test_chi2_two_degrees_closed_form), TEST(test_chi2_quantile_inverts_the_tail),
	  TEST(test_chi2_many_degrees_is_normal), TEST(test_f_quantile_published),
	  TEST(test_f_two_degrees_closed_form), TEST(test_f_one_degree_is_a_squared_cauchy),
	  TEST(test_f_quantile_inverts_the_tail))
