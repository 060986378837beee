#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Q_alpha, the limit of SPE, from the sums of powers of the residual eigenvalues (paper IV-C2):
 * theta_i = sum_{j>k} lambda_j^i. Pure functions; any thread. Both need theta1, theta2, theta3 > 0.
 */

struct thetas {
	double theta1, theta2, theta3;
};

/* Jackson & Mudholkar (1979), the paper's formula with the sign that the transform has for h0 < 0,
 * its limit near h0 = 0, and the lognormal limit where the transform has no finite answer. */
double threshold_jackson_mudholkar(const struct thetas *thetas, double alpha);

/* Hall (1983), Buckley & Eagleson (1988): a shifted and scaled chi-squared with the first three
 * cumulants of the weighted sum. */
double threshold_hbe(const struct thetas *thetas, double alpha);
