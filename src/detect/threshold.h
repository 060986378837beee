#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Q_alpha, the limit of SPE, from the sums of powers of the residual eigenvalues (paper IV-C2):
 * theta_i = sum_{j>k} lambda_j^i, and the limits of what stands beside SPE: T2 in the principal
 * subspace and the index of both. Pure functions; any thread. All thetas must be > 0, and alpha
 * between 1e-12 and 0.5.
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

/* HBE's shape about the mean and standard deviation that SPE / theta1 of rows had that were scored
 * before they entered the model: a new row's SPE is larger, and more spread, than the thetas of the
 * model's own rows say. */
double threshold_prequential(const struct thetas *thetas, double mean, double std, double alpha);

/* Mean and standard deviation of SPE / theta1 over accepted rows only, those below the limit for
 * alpha, made into what all normal rows have, by HBE's shape. Without it a limit that decides which
 * rows it is calibrated by is too low, most where few eigenvalues rule. */
void threshold_restore_moments(const struct thetas *thetas, double alpha, double *mean,
			       double *std);

/* The limit of T2 = sum_{i<=k} (v_i'x)^2 / lambda_i of a new row, when mean and covariance are
 * estimates from `rows` rows: k (t^2 - 1) / (t (t - k)) F_{k, t-k} (Tracy, Young & Mason 1992),
 * 1 <= components < rows. */
double threshold_t2(size_t components, size_t rows, double alpha);

/* The same for rows much more than components: chi2_k. components >= 1. */
double threshold_t2_chi2(size_t components, double alpha);

/* The limit of SPE / spe_limit + T2 / t2_limit (Yue & Qin 2001): by HBE, with the index's sums of
 * powers k / t2_limit^i + theta_i / spe_limit^i. Both limits > 0; components may be 0. */
double threshold_combined(const struct thetas *thetas, double spe_limit, size_t components,
			  double t2_limit, double alpha);
