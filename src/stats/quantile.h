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

/* P(F > x) of Fisher's F with d1 and d2 degrees of freedom, 1 <= d1, d2 <= 1e6, x >= 0: a
 * regularised incomplete beta function. */
double f_upper_tail(double x, double d1, double d2);

/* The x with f_upper_tail(x, d1, d2) = alpha, 1e-12 <= alpha < 1. */
double f_upper_quantile(double alpha, double d1, double d2);
