/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h0 = 1 - 2 theta1 theta3 / (3 theta2^2), c = normal quantile of 1 - alpha (paper IV-C2),
 * v = theta2^3 / theta3^2: the degrees of freedom of the matching chi-squared.
 */
#include "detect/threshold.h"

#include <assert.h>
#include <math.h>

#include "stats/quantile.h"

#define H0_LOGNORMAL 1e-3
#define DEGREES_MAX 1e9
#define DEGREES_NORMAL 1e5 /* as good as normal; moments of more are lost in rounding */

/* theta1 (1 + h0 s)^(1/h0); for h0 -> 0 that is theta1 e^s. NaN where there is no finite answer. */
static double transform(double theta1, double h0, double s)
{
	if (fabs(h0) < 1e-9)
		return theta1 * exp(s);
	if (1 + h0 * s <= 0)
		return NAN;
	return theta1 * exp(log1p(h0 * s) / h0);
}

static double jackson_mudholkar(const struct thetas *thetas, double h0, double c)
{
	double theta1 = thetas->theta1, theta2 = thetas->theta2;
	double s = c * sqrt(2 * theta2) / theta1 + theta2 * (h0 - 1) / (theta1 * theta1);

	return transform(theta1, h0, s);
}

double threshold_jackson_mudholkar(const struct thetas *thetas, double alpha)
{
	double h0 = 1 - 2 * thetas->theta1 * thetas->theta3 / (3 * thetas->theta2 * thetas->theta2);
	double c = normal_quantile(1 - alpha);
	double q = jackson_mudholkar(thetas, h0, c);

	return isfinite(q) ? q : jackson_mudholkar(thetas, H0_LOGNORMAL, c);
}

/* The degrees of freedom v; no fewer than one weight has. */
double threshold_degrees(const struct thetas *thetas)
{
	double ratio = thetas->theta2 / thetas->theta3;

	return fmin(fmax(thetas->theta2 * ratio * ratio, 1), DEGREES_MAX);
}

double threshold_hbe(const struct thetas *thetas, double alpha)
{
	double v = threshold_degrees(thetas);

	return thetas->theta1 +
	       (chi2_upper_quantile(alpha, v) - v) * thetas->theta3 / thetas->theta2;
}

double threshold_prequential(const struct thetas *thetas, double mean, double std, double alpha)
{
	double v = threshold_degrees(thetas);

	return thetas->theta1 * (mean + std * (chi2_upper_quantile(alpha, v) - v) / sqrt(2 * v));
}

/* For X ~ chi2_v below q: E(X; X < q) = v P(chi2_{v+2} < q), and for X^2 v (v + 2) P(chi2_{v+4} <
 * q).
 */
void threshold_restore_moments(const struct thetas *thetas, double alpha, double *mean, double *std)
{
	double v = fmin(threshold_degrees(thetas), DEGREES_NORMAL);
	double q = chi2_upper_quantile(alpha, v);
	double first = v * (1 - chi2_upper_tail(q, v + 2)) / (1 - alpha);
	double second = v * (v + 2) * (1 - chi2_upper_tail(q, v + 4)) / (1 - alpha);

	*std *= sqrt(2 * v / (second - first * first));
	*mean += *std * (v - first) / sqrt(2 * v);
}

double threshold_t2(size_t components, size_t rows, double alpha)
{
	double k = (double)components, t = (double)rows;

	assert(components >= 1 && components < rows);
	return k * (t * t - 1) / (t * (t - k)) * f_upper_quantile(alpha, k, t - k);
}

double threshold_t2_chi2(size_t components, double alpha)
{
	return chi2_upper_quantile(alpha, (double)components);
}

double threshold_combined(const struct thetas *thetas, double spe_limit, size_t components,
			  double t2_limit, double alpha)
{
	double s = 1 / spe_limit, u = 1 / t2_limit, k = (double)components;
	struct thetas sums = {
		.theta1 = k * u + thetas->theta1 * s,
		.theta2 = k * u * u + thetas->theta2 * s * s,
		.theta3 = k * u * u * u + thetas->theta3 * s * s * s,
	};

	return threshold_hbe(&sums, alpha);
}
