/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/imhof.h"

#include <math.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/test.h"
#include "stats/quantile.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static void check_relative(double actual, double expected, double tolerance)
{
	check_near(actual, expected, tolerance * fabs(expected));
}

static double tail(const double *weights, size_t count, double x)
{
	struct quadratic_form form = {.weights = weights, .count = count};

	return imhof_upper_tail(&form, x);
}

/* Equal weights w: a chi-squared, times w. From deep in the lower tail to far in the upper. */
static void test_imhof_equal_weights_are_chi2(void)
{
	static const size_t counts[] = {1, 2, 3, 15, 600};
	double weights[600];

	for (size_t i = 0; i < 600; i++)
		weights[i] = 0.3;
	for (size_t c = 0; c < LENGTH(counts); c++) {
		double v = (double)counts[c];

		for (double x = v / 64; x < 8 * v + 200; x *= 1.3)
			check_relative(tail(weights, counts[c], 0.3 * x), chi2_upper_tail(x, v),
				       1e-9);
	}
}

static void test_imhof_one_weight_is_a_normal_squared(void)
{
	double weight = 2.5;

	for (double x = 1e-12; x < 3000; x *= 2)
		check_relative(tail(&weight, 1, x), erfc(sqrt(x / 5)), 1e-9);
}

/* Two weights in polar coordinates: the radius squared is exponential, so the tail is the mean of
 * exp(-x / (2 (a cos^2 + b sin^2))) over the angle; the trapezoidal rule of a smooth periodic
 * function is exact to rounding. */
static void test_imhof_two_weights_in_polar_coordinates(void)
{
	static const double ratios[] = {1, 0.7, 0.1, 0.01};
	enum { ANGLES = 4000 };

	for (size_t r = 0; r < LENGTH(ratios); r++)
		for (double x = 0.01; x < 500; x *= 1.7) {
			double weights[2] = {1, ratios[r]}, sum = 0;

			for (int i = 0; i < ANGLES; i++) {
				double c = cos(2 * M_PI * i / ANGLES);
				double w = c * c + ratios[r] * (1 - c * c);

				sum += exp(-x / (2 * w));
			}
			check_relative(tail(weights, 2, x), sum / ANGLES, 1e-9);
		}
}

/* Each of n distinct weights twice: a sum of n exponential variables, whose tail is a sum of
 * exponentials. */
static void test_imhof_pairs_in_closed_form(void)
{
	static const double distinct[] = {1, 0.5, 0.2, 0.05};
	double weights[8];

	for (size_t i = 0; i < 8; i++)
		weights[i] = distinct[i / 2];
	for (double x = 1; x < 200; x *= 1.5) {
		double expected = 0;

		for (size_t i = 0; i < 4; i++) {
			double product = exp(-x / (2 * distinct[i]));

			for (size_t j = 0; j < 4; j++)
				product *= j == i ? 1 : distinct[i] / (distinct[i] - distinct[j]);
			expected += product;
		}
		check_relative(tail(weights, 8, x), expected, 1e-9);
	}
}

/* The second method, Ruben (1962): a mixture of chi-squared tails with count + 2 k degrees, scaled
 * by the smallest weight b. All terms are positive; `terms` of them are enough when what is missing
 * of their sum 1 is small. */
static double ruben_tail(const double *weights, size_t count, double x, size_t terms)
{
	cleanup(free) double *g = calloc(terms, sizeof(*g)), *a = calloc(terms, sizeof(*a));
	double b = INFINITY, sum = 0, missing = 1;

	if (!g || !a)
		return NAN;
	for (size_t i = 0; i < count; i++)
		b = fmin(b, weights[i]);
	a[0] = 1;
	for (size_t i = 0; i < count; i++)
		a[0] *= sqrt(b / weights[i]);
	for (size_t k = 1; k < terms; k++) {
		for (size_t i = 0; i < count; i++)
			g[k] += pow(1 - b / weights[i], (double)k);
		for (size_t r = 0; r < k; r++)
			a[k] += g[k - r] * a[r] / (2 * (double)k);
	}
	for (size_t k = 0; k < terms; k++) {
		sum += a[k] * chi2_upper_tail(x / b, (double)(count + 2 * k));
		missing -= a[k];
	}
	return sum + missing;
}

static void test_imhof_geometric_weights_against_ruben(void)
{
	double weights[15], mean = 0;

	for (size_t i = 0; i < 15; i++) {
		weights[i] = pow(0.8, (double)i);
		mean += weights[i];
	}
	for (double x = 0.2 * mean; x < 6 * mean; x *= 1.4)
		check_near(tail(weights, 15, x), ruben_tail(weights, 15, x, 1500), 1e-11);
}

/* Imhof's own integral on the real line, by brute force; its integrand falls like u^(-1 - n / 2).
 */
static double real_line_tail(const double *weights, size_t count, double x, double step)
{
	double sum = 0;

	for (size_t i = 0; i < 4000000; i++) {
		double u = ((double)i + 0.5) * step, theta = -0.5 * x * u, rho = 0;

		for (size_t j = 0; j < count; j++) {
			theta += 0.5 * atan(weights[j] * u);
			rho += 0.25 * log1p(weights[j] * weights[j] * u * u);
		}
		if (rho > 36)
			break;
		sum += sin(theta) / u * exp(-rho);
	}
	return 0.5 + sum * step / M_PI;
}

static void test_imhof_one_big_and_600_small_against_the_real_line(void)
{
	double weights[601] = {1};

	for (size_t i = 1; i < 601; i++)
		weights[i] = 0.01;
	for (double x = 5; x < 20; x += 2.5)
		check_near(tail(weights, 601, x), real_line_tail(weights, 601, x, 0.05), 1e-11);
}

/* A noncentral chi-squared is a Poisson mixture of central ones. */
static void test_imhof_shifts_are_noncentral_chi2(void)
{
	double weights[5] = {2, 2, 2, 2, 2}, shifts[5] = {1, -2, 0, 0.5, 3};
	struct quadratic_form form = {.weights = weights, .shifts = shifts, .count = 5};
	double half = 0.5 * (1 + 4 + 0.25 + 9);

	for (double x = 0.3; x < 150; x *= 1.4) {
		double share = exp(-half), expected = 0;

		for (int k = 0; k < 200; k++) {
			expected += share * chi2_upper_tail(x, 5 + 2 * k);
			share *= half / (k + 1);
		}
		check_relative(imhof_upper_tail(&form, 2 * x), expected, 1e-9);
	}
}

/* One weight with a shift: |z + m| > sqrt x, two normal tails. */
static void test_imhof_one_shifted_weight(void)
{
	double weight = 1, shift = 4;
	struct quadratic_form form = {.weights = &weight, .shifts = &shift, .count = 1};

	for (double x = 0.01; x < 400; x *= 1.6) {
		double root = sqrt(x);
		double expected =
			0.5 * (erfc((root - 4) * M_SQRT1_2) + erfc((root + 4) * M_SQRT1_2));

		check_relative(imhof_upper_tail(&form, x), expected, 1e-9);
	}
}

static void test_imhof_edges(void)
{
	double weights[3] = {0, 0, 0};

	check_near(tail(weights, 3, 0), 0, 0);
	check_near(tail(weights, 3, -1), 1, 0);
	weights[1] = 1e-9;
	check_near(tail(weights, 3, 0), 1, 0);
	check_near(tail(weights, 3, 4e-9), erfc(sqrt(2)), 1e-11);
	check_near(tail(weights, 3, 1e300), 0, 0);
	check_near(tail(weights, 3, 1e-300), 1, 0);
	weights[1] = 1e9; /* scale does not matter */
	check_near(tail(weights, 3, 4e9), erfc(sqrt(2)), 1e-11);
}

TEST_MAIN(TEST(test_imhof_equal_weights_are_chi2), TEST(test_imhof_one_weight_is_a_normal_squared),
	  TEST(test_imhof_two_weights_in_polar_coordinates), TEST(test_imhof_pairs_in_closed_form),
	  TEST(test_imhof_geometric_weights_against_ruben),
	  TEST(test_imhof_one_big_and_600_small_against_the_real_line),
	  TEST(test_imhof_shifts_are_noncentral_chi2), TEST(test_imhof_one_shifted_weight),
	  TEST(test_imhof_edges))
