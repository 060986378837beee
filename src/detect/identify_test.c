/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The identities between the figures of paper IV-C3 and the model: sum a_j = mean SPE of A,
 * sum y_j = theta1 (t - 1) / t, stddev_j = mean |b_ij|. Tolerance 1e-9 relative: rounding of sums
 * of 120 x 6 terms.
 */
#include "detect/identify.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/test.h"
#include "detect/model.h"
#include "detect/monitor.h"
#include "detect/window.h"

DEFINE_CLEANUP(struct window *, window_free)
DEFINE_CLEANUP(struct model *, model_free)

enum { D = 6, T = 120, M = 9 };

static const bool use[D] = {true, true, true, true, true, true};
static const double floors[D] = {0, 0, 0, 0, 0, 1};
static uint64_t state = 7;

static double uniform(void)
{
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (double)(state >> 11) * 0x1p-53 - 0.5;
}

/* Two hidden sources behind five columns with an offset of 1e9; the sixth stands still. */
static void make_row(double *row, double shift)
{
	double a = uniform(), b = uniform();

	for (int j = 0; j < 5; j++)
		row[j] = 1e9 + 10 * (a * (j + 1) + b * (5 - j)) + uniform();
	row[3] += shift;
	row[5] = 0;
}

static int make(struct window **normal, struct window **abnormal, struct model **model)
{
	static const struct model_options options = {.cpv = 0.9};
	double row[D];

	*normal = window_new(T);
	*abnormal = window_new(T);
	*model = model_new(&options);
	for (int j = 0; j < D; j++)
		if (window_add_column(*normal) < 0 || window_add_column(*abnormal) < 0)
			return -1;
	for (int i = 0; i < T; i++) {
		make_row(row, 0);
		window_push(*normal, row);
	}
	for (int i = 0; i < M; i++) {
		make_row(row, 400);
		window_push(*abnormal, row);
	}
	return model_build(*model, *normal, use, floors, NULL);
}

static void test_identify_identities(void)
{
	cleanup(window_free) struct window *normal = NULL;
	cleanup(window_free) struct window *abnormal = NULL;
	cleanup(model_free) struct model *model = NULL;
	struct contribution contributions[D];
	double scratch[3 * D], x[D], residual[D];
	double spe = 0, y_sum = 0, a_sum = 0;

	check_int(make(&normal, &abnormal, &model), 0);
	check_int(identify_columns(model, abnormal, 2, 3, scratch, contributions), D);
	for (int i = 0; i < M; i++) {
		(void)model_standardise(model, window_row(abnormal, (size_t)i), x);
		spe += model_residual(model, x, residual) / M;
	}
	for (size_t j = 0; j < D; j++)
		y_sum += model_residual_variance(model, j);
	for (int i = 0; i < D; i++) {
		double y = model_residual_variance(model, contributions[i].column);

		if (isfinite(contributions[i].rd))
			a_sum += y * (1 + contributions[i].rd);
	}
	check_near(a_sum, spe, 1e-9 * spe);
	check_near(y_sum, model_thetas(model)->theta1 * (T - 1) / T,
		   1e-9 * model_thetas(model)->theta1);
}

static void test_identify_names_the_shifted_column(void)
{
	cleanup(window_free) struct window *normal = NULL;
	cleanup(window_free) struct window *abnormal = NULL;
	cleanup(model_free) struct model *model = NULL;
	struct contribution contributions[D];
	double scratch[3 * D];

	check_int(make(&normal, &abnormal, &model), 0);
	(void)identify_columns(model, abnormal, 2, 3, scratch, contributions);
	check_int(contributions[0].column, 3);
	check(contributions[0].abnormal && !contributions[1].abnormal);
	check(contributions[0].mean_abnormal > contributions[0].mean_normal + 300);
	check_near(contributions[0].meandiff, 400 / 1e9, 1e-7);
	for (int i = 0; i < D; i++)
		check(contributions[i].rd >= -1);
}

/* One disk write on an idle VM: no quotient, no infinity but rd's. */
static void test_identify_from_zero(void)
{
	cleanup(window_free) struct window *normal = NULL;
	cleanup(window_free) struct window *abnormal = NULL;
	cleanup(model_free) struct model *model = NULL;
	struct contribution contributions[D];
	double scratch[3 * D], row[D];

	check_int(make(&normal, &abnormal, &model), 0);
	window_clear(abnormal);
	make_row(row, 0);
	row[5] = 50;
	window_push(abnormal, row);
	(void)identify_columns(model, abnormal, 2, 3, scratch, contributions);
	check_int(contributions[0].column, 5);
	check(contributions[0].abnormal && contributions[0].from_zero);
	check(isnan(contributions[0].meandiff));
	check(isinf(contributions[0].rd));
	check_near(contributions[0].stddev, 50, 1e-9);
}

TEST_MAIN(TEST(test_identify_identities), TEST(test_identify_names_the_shifted_column),
	  TEST(test_identify_from_zero))
