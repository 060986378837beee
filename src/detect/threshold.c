/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h0 = 1 - 2 theta1 theta3 / (3 theta2^2), c = normal quantile of 1 - alpha (paper IV-C2),
 * v = theta2^3 / theta3^2: the degrees of freedom of the matching chi-squared.
 */
#include "detect/threshold.h"

#include <math.h>

#include "stats/quantile.h"

#define H0_LOGNORMAL 1e-3
#define DEGREES_MAX 1e9

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

struct thetas threshold_index(const struct thetas *thetas, size_t components, double t2_weight)
{
	double unit = thetas->theta1, k = (double)components, w = t2_weight / k;
	struct thetas sums = {1, thetas->theta2 / (unit * unit),
			      thetas->theta3 / (unit * unit * unit)};

	if (components == 0)
		return sums;
	return (struct thetas){sums.theta1 + k * w, sums.theta2 + k * w * w,
			       sums.theta3 + k * w * w * w};
}
