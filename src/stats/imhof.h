#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exact distribution of a quadratic form in normal variables, Q = sum_i w_i (z_i + m_i)^2: what
 * SPE follows under Gaussian rows. Imhof's (1961) inversion of the characteristic function, taken
 * along a path through the saddle point instead of the real line (Rice 1980): few points, and the
 * relative accuracy holds far out in the tail and for one or two weights, where Imhof's own
 * integrand hardly decays. Pure functions; any thread; no allocation; at most IMHOF_POINTS_MAX
 * points of O(count) work each.
 */
#include <stddef.h>

enum { IMHOF_POINTS_MAX = 1 << 14 };

struct quadratic_form {
	const double *weights; /* w_i >= 0, finite; borrowed */
	const double *shifts;  /* m_i, finite; NULL: all zero, a weighted sum of chi2_1 */
	size_t count;
};

/* P(Q > x), x any number. Absolute error below 1e-11, relative error below 1e-9 while it is above
 * 1e-300. With no positive weight Q is zero. */
double imhof_upper_tail(const struct quadratic_form *form, double x);
