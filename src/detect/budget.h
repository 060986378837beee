#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the accuracy that detection may lose to the error that tracking may make (paper IV-C4): mu,
 * the permitted deviation of the false alarm rate, gives a standard deviation sigma of the tracking
 * error in units of each column's own, and that gives Delta = std sqrt(3) sigma, since an error
 * that is uniform in +-Delta has the deviation Delta / sqrt(3). What it costs in power is told
 * beside it: the share by which the errors raise the residual energy that an anomaly must stand out
 * from. Pure functions; any thread.
 */
#include <stddef.h>

#include "detect/threshold.h"

/* Delta is never more than one standard deviation, whatever mu is: beyond, what is tracked says
 * little of the column, and its deviation, from which the next Delta comes, would be Delta's own.
 */
#define BUDGET_DELTA_MAX 1.0

enum budget_method {
	BUDGET_DIRECT, /* the errors enter the rows and not the model, which is the worst case: the
			  sigma at which the rate reaches alpha + mu */
	BUDGET_PAPER,  /* through a bound epsilon on the error of the eigenvalues */
};

struct budget_options {
	enum budget_method method;
	double alpha;          /* false alarm rate per row */
	double mu;             /* > 0, alpha + mu < 1 */
	double power_loss_max; /* > 0; INFINITY: no bound */
};

/* What is to be known of the model. */
struct budget_spectrum {
	size_t rows, columns, components; /* t, d, k < d */
	double lambda_mean;               /* of all d eigenvalues: 1 for a correlation matrix */
	struct thetas thetas;             /* of the d - k residual ones */
	const double *residual;           /* those, or NULL where only the thetas are known: the
					     paper's method then takes two that have the same thetas */
};

struct budget {
	double variance;   /* sigma^2 */
	double delta;      /* in standard deviations, at most BUDGET_DELTA_MAX */
	double epsilon;    /* root mean square error of the eigenvalues that sigma may cause */
	double power_loss; /* (d - k) sigma^2 / theta1 */
};

/* All zero where there is no residual variance: then nothing may be off. */
void budget_solve(const struct budget_options *options, const struct budget_spectrum *spectrum,
		  struct budget *ret_budget);

/* The epsilon of tracking errors of variance sigma^2 in every column, and its inverse. */
double budget_epsilon(const struct budget_spectrum *spectrum, double variance);
double budget_variance(const struct budget_spectrum *spectrum, double epsilon);

/* The false alarm rate when errors of that variance enter the rows alone, by the cumulants of SPE
 * as threshold_hbe() has them. */
double budget_false_alarm_rate(const struct budget_spectrum *spectrum, double alpha,
			       double variance);

/* The relative rise of the residual energy, from the mean over the columns of the variance of their
 * errors in standard units (which differ where Delta was bounded). 0 without residual variance. */
double budget_power_loss(const struct budget_spectrum *spectrum, double mean_variance);
