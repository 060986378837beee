/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/quantile.h"

#include <assert.h>
#include <float.h>
#include <math.h>

enum { ITERATIONS_MAX = 200 };

/* A law of positive values, by its upper tail and density, with up to two parameters. */
struct law {
	double (*tail)(const struct law *law, double x);
	double (*density)(const struct law *law, double x);
	double a, b;
};

/* The x > 0 whose upper tail is alpha, from a start: a safeguarded Newton iteration on the upper
 * tail, which keeps its relative accuracy where alpha is small. */
static double law_upper_quantile(const struct law *law, double alpha, double x)
{
	double low = 0, high = INFINITY;

	for (int i = 0; i < ITERATIONS_MAX; i++) {
		double tail = law->tail(law, x), next;

		if (tail > alpha)
			low = x;
		else
			high = x;
		next = x + (tail - alpha) / law->density(law, x);
		if (!(next > low && next < high) || !isfinite(next))
			next = isinf(high) ? 2 * x : 0.5 * (low + high);
		if (fabs(next - x) <= 8 * DBL_EPSILON * x || next == 0)
			return next;
		x = next;
	}
	return x;
}

static double normal_upper_tail(const struct law *law, double x)
{
	(void)law;
	return 0.5 * erfc(x * M_SQRT1_2);
}

static double normal_density(const struct law *law, double x)
{
	(void)law;
	return exp(-0.5 * x * x) / sqrt(2 * M_PI);
}

/* The x > 0 whose upper tail is alpha < 1/2. */
static double normal_upper_quantile(double alpha)
{
	const struct law normal = {.tail = normal_upper_tail, .density = normal_density};

	return law_upper_quantile(&normal, alpha, 1);
}

double normal_quantile(double p)
{
	assert(p > 0 && p < 1);
	if (p == 0.5)
		return 0;
	return p < 0.5 ? -normal_upper_quantile(p) : normal_upper_quantile(1 - p);
}

/* log Gamma(a) - ((a - 1/2) log a - a + log(2 pi) / 2): what Stirling's formula lacks. */
static double stirling_rest(double a)
{
	double a2 = a * a;
	int sign; /* of Gamma; lgamma() would leave it in a global of the whole process */

	if (a < 50)
		return lgamma_r(a, &sign) - ((a - 0.5) * log(a) - a + 0.5 * log(2 * M_PI));
	return 1 / (12 * a) - 1 / (360 * a * a2) + 1 / (1260 * a * a2 * a2);
}

/* a log(x / a) - (x - a), without cancellation near x = a or x = 0. */
static double deviance(double a, double x)
{
	double t = (x - a) / a;

	return a * ((fabs(t) < 0.5 ? log1p(t) : log(x / a)) - t);
}

/* log of x^a e^-x / Gamma(a), without cancellation for large a. */
static double log_gamma_density(double a, double x)
{
	return deviance(a, x) + 0.5 * log(a / (2 * M_PI)) - stirling_rest(a);
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

static double chi2_law_tail(const struct law *law, double x)
{
	return chi2_upper_tail(x, law->a);
}

static double chi2_density(const struct law *law, double x)
{
	return exp(log_gamma_density(0.5 * law->a, 0.5 * x)) / x;
}

double chi2_upper_quantile(double alpha, double v)
{
	const struct law chi2 = {.tail = chi2_law_tail, .density = chi2_density, .a = v};

	assert(alpha > 0 && alpha < 1 && v >= 1 && v <= 1e9);
	return law_upper_quantile(&chi2, alpha, chi2_guess(alpha, v));
}

/* log of x^a y^b / B(a, b) for x + y = 1, without cancellation for large a, b. */
static double log_beta_density(double a, double b, double x, double y)
{
	double n = a + b;

	return deviance(a, n * x) + deviance(b, n * y) + 0.5 * log(a * b / (2 * M_PI * n)) +
	       stirling_rest(n) - stirling_rest(a) - stirling_rest(b);
}

static double away_from_zero(double value)
{
	return fabs(value) < DBL_MIN ? DBL_MIN : value;
}

/* I_x(a, b) / (x^a y^b / (a B(a, b))) by Lentz's continued fraction: for x <= (a + 1) / (a + b +
 * 2), where it takes some multiple of sqrt(max(a, b)) steps. */
static double beta_fraction(double a, double b, double x)
{
	double c = 1, d = 1 / away_from_zero(1 - (a + b) * x / (a + 1)), h = d;

	for (double m = 1; m < 1e6; m++) {
		double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
		double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
		double before = h;

		d = 1 / away_from_zero(1 + even * d);
		c = away_from_zero(1 + even / c);
		h *= c * d;
		d = 1 / away_from_zero(1 + odd * d);
		c = away_from_zero(1 + odd / c);
		h *= c * d;
		if (fabs(h - before) <= 2 * DBL_EPSILON * fabs(h))
			break;
	}
	return h;
}

/* I_x(a, b), the regularised incomplete beta function, y = 1 - x. */
static double incomplete_beta(double a, double b, double x, double y)
{
	if (x == 0 || y == 0)
		return y == 0;
	if (x > (a + 1) / (a + b + 2))
		return 1 - exp(log_beta_density(b, a, y, x)) * beta_fraction(b, a, y) / b;
	return exp(log_beta_density(a, b, x, y)) * beta_fraction(a, b, x) / a;
}

double f_upper_tail(double x, double d1, double d2)
{
	double sum = d2 + d1 * x;

	assert(x >= 0 && d1 >= 1 && d2 >= 1 && d1 <= 1e6 && d2 <= 1e6);
	if (isinf(sum))
		return 0;
	return incomplete_beta(0.5 * d2, 0.5 * d1, d2 / sum, d1 * x / sum);
}

static double f_law_tail(const struct law *law, double x)
{
	return f_upper_tail(x, law->a, law->b);
}

static double f_density(const struct law *law, double x)
{
	double sum = law->b + law->a * x;

	return exp(log_beta_density(0.5 * law->b, 0.5 * law->a, law->b / sum, law->a * x / sum)) /
	       x;
}

double f_upper_quantile(double alpha, double d1, double d2)
{
	const struct law f = {.tail = f_law_tail, .density = f_density, .a = d1, .b = d2};

	assert(alpha >= 1e-12 && alpha < 1);
	return law_upper_quantile(&f, alpha, chi2_upper_quantile(alpha, d1) / d1);
}
