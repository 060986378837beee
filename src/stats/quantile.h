#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Distribution functions that the thresholds need. Pure functions; any thread. Relative accuracy
 * 1e-9 or better in the documented range (tests say against what).
 */

/* The p-quantile of the standard normal distribution, 0 < p < 1. */
double normal_quantile(double p);

/* P(chi2_v > x): the upper tail for v > 0 degrees of freedom (need not be whole), x >= 0. */
double chi2_upper_tail(double x, double v);

/* The x with chi2_upper_tail(x, v) = alpha, 0 < alpha < 1, 1 <= v <= 1e9 (what the thresholds
 * need). */
double chi2_upper_quantile(double alpha, double v);
