/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits against the law that the indices were drawn from: chi-squared over its degrees of freedom,
 * whose upper quantile stats/quantile.h has (tested there). Tolerances are what a sample of the
 * memory's size may be off, four standard errors and more.
 */
#include "detect/calibration.h"

#include <math.h>
#include <stdint.h>

#include "base/test.h"
#include "stats/quantile.h"

enum { MEMORY = 5000, DEGREES = 6 };

static const double alpha = 0.002;
static uint64_t state = 5;

static double uniform(void)
{
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return ((double)(state >> 11) + 0.5) * 0x1p-53;
}

/* chi-squared of DEGREES over its mean: a sum of exponentials. */
static double draw(void)
{
	double sum = 0;

	for (int i = 0; i < DEGREES / 2; i++)
		sum -= 2 * log(uniform());
	return sum / DEGREES;
}

static const struct index_shape exact = {1, 0.5773502691896258, DEGREES};

static double exact_limit(void)
{
	return chi2_upper_quantile(alpha, DEGREES) / DEGREES;
}

static void test_calibration_before_it_is_ready(void)
{
	struct calibration calibration;

	calibration_init(&calibration, MEMORY, alpha);
	check(!calibration_is_ready(&calibration));
	check_near(calibration_limit(&calibration, &exact), exact_limit(), 1e-9);
}

static void test_calibration_finds_the_limit(void)
{
	/* the model says too little: SPE out of sample is half as large again */
	const struct index_shape optimistic = {1, 0.3, 100};
	struct calibration calibration;
	double mean = 0;

	calibration_init(&calibration, MEMORY, alpha);
	for (int i = 0; i < 20000; i++) {
		(void)calibration_limit(&calibration, &optimistic);
		calibration_add(&calibration, 1.5 * draw());
		if (i >= 10000)
			mean += calibration_limit(&calibration, &optimistic) / 10000;
	}
	check(calibration_is_ready(&calibration));
	check_near(calibration_mean(&calibration), 1.5, 0.06);
	check_near(mean, 1.5 * exact_limit(), 0.3);
}

/* One row in fifty is fifty times the others: the limit rises above these, for alpha is less. One
 * in two thousand is rarer than alpha, and stays above it. */
static double limit_with_bursts(int period)
{
	struct calibration calibration;
	double limit = 0;

	calibration_init(&calibration, MEMORY, alpha);
	for (int i = 1; i <= 30000; i++) {
		limit = calibration_limit(&calibration, &exact);
		calibration_add(&calibration, i % period == 0 ? 50 : draw());
	}
	return limit;
}

static void test_calibration_heavy_tails(void)
{
	check(limit_with_bursts(50) > 40);
	check(limit_with_bursts(2000) < 20);
}

/* What is far above counts no more the farther it is, and one alone hardly when few are known. */
static void test_calibration_one_outlier(void)
{
	struct calibration calibration;
	double before, after;

	calibration_init(&calibration, MEMORY, alpha);
	for (int i = 0; i < 60; i++) {
		(void)calibration_limit(&calibration, &exact);
		calibration_add(&calibration, draw());
	}
	before = calibration_limit(&calibration, &exact);
	calibration_add(&calibration, INFINITY);
	after = calibration_limit(&calibration, &exact);
	check(after < 1.6 * before);
	check(isfinite(after));
}

/* A calibration of a quiet time is no reason to call the model's own rows abnormal. */
static void test_calibration_never_below_the_model(void)
{
	struct calibration calibration;

	calibration_init(&calibration, 100, alpha);
	for (int i = 0; i < 200; i++)
		calibration_add(&calibration, 0.001);
	check_near(calibration_limit(&calibration, &exact), exact_limit(), 1e-9);
}

static void test_calibration_forgets(void)
{
	struct calibration calibration;

	calibration_init(&calibration, 100, alpha);
	for (int i = 0; i < 2000; i++)
		calibration_add(&calibration, i < 1000 ? 5 : 1);
	check_near(calibration_mean(&calibration), 1, 0.001);
}

TEST_MAIN(TEST(test_calibration_before_it_is_ready), TEST(test_calibration_finds_the_limit),
	  TEST(test_calibration_heavy_tails), TEST(test_calibration_one_outlier),
	  TEST(test_calibration_never_below_the_model), TEST(test_calibration_forgets))
