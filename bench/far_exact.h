#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The true probability that the next row's SPE passes Q, given the model that a monitor has: an own
 * copy of M is kept by the verdicts, its model is computed apart from the monitor's code (LAPACK's
 * full decomposition), and Imhof's integral gives the tail under the law that the rows really have.
 * The copy follows the admission rule of README.md's table; that it is the monitor's M is checked
 * by comparing SPE.
 */
#include <stdbool.h>
#include <stddef.h>

#include "detect/monitor.h"

struct exact;

/* For windows of `rows`; the covariance is copied. Returns owned, NULL when memory is out. */
struct exact *exact_new(size_t columns, size_t rows, const double *covariance, double rho);
struct exact *exact_free(struct exact *exact);

/* The row went through the monitor with this verdict: M and A follow. */
void exact_follow(struct exact *exact, const double *row, const struct row_verdict *verdict);

struct exact_tails {
	double next;  /* given the row before: what the next row does */
	double fresh; /* of a row that knows nothing of those in M */
	double spe;   /* of the row, by the copy's model */
};

/* For a row that has its verdict but was not yet followed, and the row before it. The verdict holds
 * Q and k. */
int exact_tails(struct exact *exact, const double *before, const double *row,
		const struct row_verdict *verdict, struct exact_tails *ret_tails);
