/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/quantile.h"

#include <assert.h>
#include <float.h>
#include <math.h>

/* Both quantiles are found by a safeguarded Newton iteration on the upper tail, which keeps its
 * relative accuracy where alpha is small. */

enum { ITERATIONS_MAX = 200 };

static double normal_upper_tail(double x)
{
	return 0.5 * erfc(x * M_SQRT1_2);
}

/* The x >= 0 whose upper tail is alpha <= 1/2. */
static double normal_upper_quantile(double alpha)
{
	double low = 0, high = 40, x = 1;

	for (int i = 0; i < ITERATIONS_MAX; i++) {
		double tail = normal_upper_tail(x);
		double density = exp(-0.5 * x * x) / sqrt(2 * M_PI);
		double next;

		if (tail > alpha)
			low = x;
		else
			high = x;
		next = x + (tail - alpha) / density;
		if (!(next > low && next < high))
			next = 0.5 * (low + high);
		if (fabs(next - x) <= 4 * DBL_EPSILON * x)
			return next;
		x = next;
	}
	return x;
}

double normal_quantile(double p)
{
	assert(p > 0 && p < 1);
	if (p == 0.5)
		return 0;
	return p < 0.5 ? -normal_upper_quantile(p) : normal_upper_quantile(1 - p);
}

/* log of x^a e^-x / Gamma(a), without cancellation for large a (Stirling's series for the gamma
 * function). */
static double log_gamma_density(double a, double x)
{
	double t, series;

	if (a < 50)
		return a * log(x) - x - lgamma(a);
	t = (x - a) / a;
	series = 1 / (12 * a) - 1 / (360 * a * a * a) + 1 / (1260 * pow(a, 5));
	return a * (log1p(t) - t) + 0.5 * log(a / (2 * M_PI)) - series;
}

/* P(a, x) / (x^a e^-x / Gamma(a)) by its power series: for x < a + 1. */
static double lower_series(double a, double x)
{
	double term = 1 / a, sum = term;

	for (double n = a + 1; term > sum * DBL_EPSILON / 8; n++) {
		term *= x / n;
		sum += term;
	}
	return sum;
}

/* Q(a, x) / (x^a e^-x / Gamma(a)) by Lentz's continued fraction: for x >= a + 1. */
static double upper_fraction(double a, double x)
{
	double b = x + 1 - a, c = 1 / DBL_MIN, d = 1 / b, h = d;

	for (double i = 1; i < 1e7; i++) {
		double an = -i * (i - a), delta;

		b += 2;
		d = an * d + b;
		if (fabs(d) < DBL_MIN)
			d = DBL_MIN;
		c = b + an / c;
		if (fabs(c) < DBL_MIN)
			c = DBL_MIN;
		d = 1 / d;
		delta = d * c;
		h *= delta;
		if (fabs(delta - 1) <= DBL_EPSILON)
			break;
	}
	return h;
}

double chi2_upper_tail(double x, double v)
{
	double a = 0.5 * v;

	assert(v > 0 && x >= 0);
	x *= 0.5;
	if (x == 0)
		return 1;
	if (isinf(x))
		return 0;
	if (x < a + 1)
		return 1 - exp(log_gamma_density(a, x)) * lower_series(a, x);
	return exp(log_gamma_density(a, x)) * upper_fraction(a, x);
}

/* Wilson and Hilferty's cube: a start for the iteration. */
static double chi2_guess(double alpha, double v)
{
	double w = 2 / (9 * v);
	double cube = 1 - w + normal_quantile(1 - alpha) * sqrt(w);

	return cube > 0 ? v * cube * cube * cube : v * 1e-3;
}

double chi2_upper_quantile(double alpha, double v)
{
	double low = 0, high = INFINITY, x;

	assert(alpha > 0 && alpha < 1 && v >= 1 && v <= 1e9);
	x = chi2_guess(alpha, v);
	for (int i = 0; i < ITERATIONS_MAX; i++) {
		double tail = chi2_upper_tail(x, v);
		double density = exp(log_gamma_density(0.5 * v, 0.5 * x)) / x;
		double next;

		if (tail > alpha)
			low = x;
		else
			high = x;
		next = x + (tail - alpha) / density;
		if (!(next > low && next < high) || !isfinite(next))
			next = isinf(high) ? 2 * x : 0.5 * (low + high);
		if (fabs(next - x) <= 8 * DBL_EPSILON * x || next == 0)
			return next;
		x = next;
	}
	return x;
}
