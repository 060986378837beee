#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Q_alpha, the limit of SPE, from the sums of powers of the residual eigenvalues (paper IV-C2):
 * theta_i = sum_{j>k} lambda_j^i, and what a limit of SPE together with T2 needs. Pure functions;
 * any thread. All thetas must be > 0, and alpha between 1e-12 and 0.5.
 */
#include <stddef.h>

struct thetas {
	double theta1, theta2, theta3;
};

/* Jackson & Mudholkar (1979), the paper's formula with the sign that the transform has for h0 < 0,
 * its limit near h0 = 0, and the lognormal limit where the transform has no finite answer. */
double threshold_jackson_mudholkar(const struct thetas *thetas, double alpha);

/* Hall (1983), Buckley & Eagleson (1988): a shifted and scaled chi-squared with the first three
 * cumulants of the weighted sum. */
double threshold_hbe(const struct thetas *thetas, double alpha);

/* The degrees of freedom, 1 .. 1e9, of the chi-squared that is as skewed as the weighted sum. */
double threshold_degrees(const struct thetas *thetas);

/* The sums of powers of the weights of the combined index SPE / theta1 + t2_weight T2 / components
 * (after Yue & Qin 2001), T2 = sum_{i<=k} (v_i'x)^2 / lambda_i. components may be 0: SPE alone. */
struct thetas threshold_index(const struct thetas *thetas, size_t components, double t2_weight);
