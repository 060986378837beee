/* SPDX-License-Identifier: Apache-2.0 */
/* Prints "name value..." lines: the data, and what the C code makes of it. pca_reference.py checks
 * them. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "detect/budget.h"
#include "detect/identify.h"
#include "detect/model.h"
#include "detect/monitor.h"
#include "detect/threshold.h"
#include "detect/window.h"

DEFINE_CLEANUP(struct window *, window_free)
DEFINE_CLEANUP(struct model *, model_free)

enum { D = 21, T = 120, M = 7 };

static const double alpha = 0.002, cpv = 0.9;
static uint64_t state = 99;

static double uniform(void)
{
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (double)(state >> 11) * 0x1p-53 - 0.5;
}

/* Four sources of different strength behind 19 columns with offsets; one column constant, one
 * nearly so. */
static void make_row(double *row, double shift)
{
	double sources[4] = {8 * uniform(), 4 * uniform(), 2 * uniform(), uniform()};

	for (int j = 0; j < D; j++) {
		row[j] = 1000.0 * j + uniform();
		for (int i = 0; i < 4; i++)
			row[j] += sources[i] * ((j * (i + 3)) % 7 - 3);
	}
	row[19] = 5;
	row[20] = 7 + 1e-3 * uniform();
	row[4] += shift;
	row[9] -= 2 * shift;
}

static void print_row(const char *name, const double *row, size_t count)
{
	printf("%s", name);
	for (size_t j = 0; j < count; j++)
		printf(" %.17g", row[j]);
	putchar('\n');
}

static void print_identification(const struct model *model, const struct window *abnormal)
{
	struct contribution contributions[D];
	double scratch[3 * D];
	size_t count = identify_columns(model, abnormal, 2, 3, scratch, contributions);

	for (size_t i = 0; i < count; i++)
		printf("column %zu %.17g %.17g %.17g %d %d\n", contributions[i].column,
		       contributions[i].rd, contributions[i].stddev, contributions[i].meandiff,
		       contributions[i].from_zero, contributions[i].abnormal);
}

/* What both methods make of some mu: method, mu, sigma^2, epsilon. */
static void print_budgets(const struct model *model)
{
	static const double mus[] = {0.001, 0.01, 0.05};
	size_t known;
	const double *lambda = model_eigenvalues(model, &known);
	struct budget_spectrum spectrum = {
		.rows = T,
		.columns = D,
		.components = model_components(model),
		.thetas = *model_thetas(model),
		.residual = lambda + model_components(model),
	};

	for (int j = 0; j < D; j++)
		spectrum.lambda_mean += lambda[j] / D;
	for (int method = BUDGET_DIRECT; method <= BUDGET_PAPER; method++) {
		for (int i = 0; i < 3; i++) {
			struct budget_options options = {(enum budget_method)method, alpha, mus[i],
							 INFINITY};
			struct budget budget;

			budget_solve(&options, &spectrum, &budget);
			printf("budget %d %.17g %.17g %.17g\n", method, mus[i], budget.variance,
			       budget.epsilon);
		}
	}
}

int main(void)
{
	cleanup(window_free) struct window *normal = window_new(T);
	cleanup(window_free) struct window *abnormal = window_new(T);
	struct model_options options = {.components = COMPONENTS_CPV, .cpv = cpv};
	cleanup(model_free) struct model *model = model_new(&options);
	double row[D], x[D], residual[D], floors[D];
	bool use[D];
	const double *lambda;
	size_t known;

	for (int j = 0; j < D; j++) {
		use[j] = true;
		floors[j] = 0.01;
		if (window_add_column(normal) < 0 || window_add_column(abnormal) < 0)
			return 1;
	}
	for (int i = 0; i < T; i++) {
		make_row(row, 0);
		window_push(normal, row);
		print_row("normal", row, D);
	}
	for (int i = 0; i < M; i++) {
		make_row(row, 60);
		window_push(abnormal, row);
		print_row("abnormal", row, D);
	}
	print_row("floors", floors, D);
	printf("alpha %.17g\ncpv %.17g\n", alpha, cpv);
	if (model_build(model, normal, use, floors, NULL) < 0)
		return 1;
	lambda = model_eigenvalues(model, &known);
	print_row("eigenvalues", lambda, known);
	printf("components %zu\n", model_components(model));
	printf("jackson_mudholkar %.17g\n",
	       threshold_jackson_mudholkar(model_thetas(model), alpha));
	printf("hbe %.17g\n", threshold_hbe(model_thetas(model), alpha));
	for (int i = 0; i < M; i++) {
		(void)model_standardise(model, window_row(abnormal, (size_t)i), x);
		printf("spe %.17g\n", model_residual(model, x, residual));
	}
	print_identification(model, abnormal);
	print_budgets(model);
	return 0;
}
