/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The identities between the figures of paper IV-C3 and the model: sum a_j = mean SPE of A,
 * sum y_j = theta1 (t - 1) / t, stddev_j = mean |b_ij|, RBC_j = SPE less its least over x_j; the
 * edges, where nothing may be divided by zero; and the orders. Tolerance 1e-9 relative, where no
 * other is stated: rounding of sums of 120 x 6 terms.
 */
#include "detect/identify.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/test.h"
#include "detect/model.h"
#include "detect/monitor.h"
#include "detect/window.h"

DEFINE_CLEANUP(struct monitor *, monitor_free)

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
static void make_row(double *row)
{
	double a = uniform(), b = uniform();

	for (int j = 0; j < 5; j++)
		row[j] = 1e9 + 10 * (a * (j + 1) + b * (5 - j)) + uniform();
	row[5] = 0;
}

struct scene {
	struct window *normal, *abnormal;
	struct model *model;
	struct contribution found[D]; /* in the order of the columns */
	size_t count;
};

static void cleanup_scene_deinit(struct scene *scene)
{
	window_free(scene->normal);
	window_free(scene->abnormal);
	model_free(scene->model);
}

static int scene_begin(struct scene *scene, double cpv)
{
	struct model_options options = {.cpv = cpv};

	scene->normal = window_new(T);
	scene->abnormal = window_new(T);
	scene->model = model_new(&options);
	for (int j = 0; j < D; j++)
		if (window_add_column(scene->normal) < 0 || window_add_column(scene->abnormal) < 0)
			return -1;
	return 0;
}

static int scene_build(struct scene *scene, size_t rows)
{
	double row[D];

	if (scene_begin(scene, 0.9) < 0)
		return -1;
	for (size_t i = 0; i < rows; i++) {
		make_row(row);
		window_push(scene->normal, row);
	}
	return model_build(scene->model, scene->normal, use, floors, NULL);
}

static void scene_identify(struct scene *scene)
{
	double scratch[3 * D];

	scene->count = identify_columns(scene->model, scene->abnormal, 2, 3, scratch, scene->found);
}

/* M rows with the column raised. */
static void scene_raise(struct scene *scene, int column, double shift)
{
	double row[D];

	for (int i = 0; i < M; i++) {
		make_row(row);
		row[column] += shift;
		window_push(scene->abnormal, row);
	}
	scene_identify(scene);
}

static double spe_of(const struct scene *scene, const double *row)
{
	double x[D], residual[D];

	(void)model_standardise(scene->model, row, x);
	return model_residual(scene->model, x, residual);
}

static double mean_spe(const struct scene *scene)
{
	double sum = 0;

	for (size_t i = 0; i < window_rows(scene->abnormal); i++)
		sum += spe_of(scene, window_row(scene->abnormal, i));
	return sum / (double)window_rows(scene->abnormal);
}

static double energy(const struct scene *scene)
{
	double sum = 0;

	for (size_t j = 0; j < scene->count; j++)
		if (isfinite(scene->found[j].rd))
			sum += model_residual_variance(scene->model, j) * (1 + scene->found[j].rd);
	return sum;
}

static void test_identify_identities(void)
{
	cleanup(scene_deinit) struct scene scene = {0};
	double y_sum = 0, theta1;

	check_int(scene_build(&scene, T), 0);
	scene_raise(&scene, 3, 400);
	check_int(scene.count, D);
	check_near(energy(&scene), mean_spe(&scene), 1e-9 * mean_spe(&scene));
	for (size_t j = 0; j < D; j++)
		y_sum += model_residual_variance(scene.model, j);
	theta1 = model_thetas(scene.model)->theta1;
	check_near(y_sum, theta1 * (T - 1) / T, 1e-9 * theta1);
}

/* Fewer rows than columns: the identity holds, and no figure is NaN. */
static void test_identify_identities_of_few_rows(void)
{
	cleanup(scene_deinit) struct scene scene = {0};

	check_int(scene_build(&scene, 4), 0);
	scene_raise(&scene, 3, 400);
	check_near(energy(&scene), mean_spe(&scene), 1e-9 * mean_spe(&scene));
	for (int j = 0; j < D; j++)
		check(scene.found[j].rd >= -1 && scene.found[j].rbc >= 0);
}

static void test_identify_names_the_shifted_column(void)
{
	static const enum contribution_order orders[] = {CONTRIBUTIONS_BY_STDDEV,
							 CONTRIBUTIONS_BY_DEVIATION};
	cleanup(scene_deinit) struct scene scene = {0};

	check_int(scene_build(&scene, T), 0);
	scene_raise(&scene, 3, 400);
	check(scene.found[3].mean_abnormal > scene.found[3].mean_normal + 300);
	check_near(scene.found[3].meandiff, 400 / 1e9, 1e-7);
	check_int(scene.found[3].direction, 1);
	for (int j = 0; j < D; j++)
		check(scene.found[j].rd >= -1);
	for (int i = 0; i < 2; i++) {
		identify_rank(scene.found, scene.count, orders[i]);
		check_int(scene.found[0].column, 3);
		check(scene.found[0].abnormal && !scene.found[1].abnormal);
	}
}

static void test_identify_direction_down(void)
{
	cleanup(scene_deinit) struct scene scene = {0};

	check_int(scene_build(&scene, T), 0);
	scene_raise(&scene, 2, -400);
	check_int(scene.found[2].direction, -1);
	check(scene.found[2].meandiff < 0);
}

/* One disk write on an idle VM: no quotient, no infinity but rd's. */
static void test_identify_from_zero(void)
{
	cleanup(scene_deinit) struct scene scene = {0};

	check_int(scene_build(&scene, T), 0);
	scene_raise(&scene, 5, 50);
	check(scene.found[5].abnormal && scene.found[5].from_zero);
	check(isnan(scene.found[5].meandiff));
	check(isinf(scene.found[5].rd));
	check_near(scene.found[5].mean_abnormal, 50, 1e-9);
	check_near(scene.found[5].stddev, 50, 1e-9);
	check_near(scene.found[5].deviation, 50, 1e-9);
	check_near(scene.found[5].rbc, 2500, 1e-6);
	check_int(scene.found[5].direction, 1);
}

/* A column that stands still and goes on to, or moves within its floor. */
static void test_identify_still_column(void)
{
	cleanup(scene_deinit) struct scene scene = {0};

	check_int(scene_build(&scene, T), 0);
	scene_raise(&scene, 5, 0);
	check(scene.found[5].rd == 0 && scene.found[5].stddev == 0);
	check_near(scene.found[5].rbc, 0, 1e-20);
	check(!scene.found[5].abnormal && scene.found[5].from_zero);
	check_int(scene.found[5].direction, 0);
	window_clear(scene.abnormal);
	scene_raise(&scene, 5, 0.5);
	check(!scene.found[5].abnormal);
	check_int(scene.found[5].direction, 0);
}

static void test_identify_no_rows(void)
{
	cleanup(scene_deinit) struct scene scene = {0};

	check_int(scene_build(&scene, T), 0);
	scene_identify(&scene);
	check_int(scene.count, D);
	for (int j = 0; j < D; j++) {
		check(scene.found[j].rd == 0 && scene.found[j].deviation == 0);
		check(isnan(scene.found[j].mean_abnormal) && isnan(scene.found[j].meandiff));
		check(!scene.found[j].abnormal && scene.found[j].direction == 0);
	}
}

/* By a second method: the vertex of SPE as a function of x_j, through three points. */
static void test_identify_rbc_is_what_a_reconstruction_takes_away(void)
{
	cleanup(scene_deinit) struct scene scene = {0};
	double row[D], spe;

	check_int(scene_build(&scene, T), 0);
	make_row(row);
	row[1] += 200;
	window_push(scene.abnormal, row);
	scene_identify(&scene);
	spe = spe_of(&scene, row);
	for (int j = 0; j < D; j++) {
		double step = model_std(scene.model, (size_t)j), value = row[j], up, down;

		row[j] = value + step;
		up = spe_of(&scene, row);
		row[j] = value - step;
		down = spe_of(&scene, row);
		row[j] = value;
		/* differences of an SPE of some 1e3, of values with nine digits before the point */
		check_near(scene.found[j].rbc,
			   (up - down) * (up - down) / (8 * (up + down - 2 * spe)), 1e-6 * spe);
	}
}

/* Half of the rows at rest: the mean halves, the root mean square only falls by sqrt 2. */
static void test_identify_deviation_outlasts_rows_at_rest(void)
{
	cleanup(scene_deinit) struct scene scene = {0};
	double row[D];

	check_int(scene_build(&scene, T), 0);
	make_row(row);
	for (int i = 0; i < 2 * M; i++) {
		row[5] = i % 2 ? 80 : 0;
		window_push(scene.abnormal, row);
	}
	scene_identify(&scene);
	check_near(scene.found[5].stddev, 40, 1e-9);
	check_near(scene.found[5].deviation, 80 / sqrt(2), 1e-9);
}

/* Cells without a value do not dilute; a column of which A has none says nothing. */
static void test_identify_missing_cells(void)
{
	cleanup(scene_deinit) struct scene scene = {0};
	double row[D];

	check_int(scene_build(&scene, T), 0);
	for (int i = 0; i < 2 * M; i++) {
		make_row(row);
		row[4] = NAN;
		row[5] = i % 2 ? 80 : NAN;
		window_push(scene.abnormal, row);
	}
	scene_identify(&scene);
	check_int(scene.count, D);
	check_near(scene.found[5].stddev, 80, 1e-9);
	check_near(scene.found[5].rbc, 6400, 1e-6);
	check_near(scene.found[5].mean_abnormal, 80, 1e-9);
	check(scene.found[4].rd == 0 && scene.found[4].stddev == 0 && scene.found[4].rbc == 0);
	check(isnan(scene.found[4].mean_abnormal) && isnan(scene.found[4].meandiff));
	check_near(scene.found[4].mean_normal, 1e9, 100);
}

static void test_identify_column_that_left(void)
{
	cleanup(scene_deinit) struct scene scene = {0};

	check_int(scene_build(&scene, T), 0);
	scene_raise(&scene, 5, 50);
	window_remove_column(scene.abnormal, 2);
	model_forget_column(scene.model, 2);
	scene_identify(&scene);
	check_int(scene.count, D - 1);
	for (int j = 0; j < D - 1; j++)
		check_int(scene.found[j].column, j);
	check_near(scene.found[4].stddev, 50, 1e-9);
}

/* Two columns are one and the same, orthogonal to the others, and wholly principal: together they
 * leave nothing but rounding, however far they go; apart they leave half. */
static void test_identify_column_without_residual(void)
{
	static const bool four[D] = {true, true, true, true};
	cleanup(scene_deinit) struct scene scene = {0};
	double row[D] = {0};

	check_int(scene_begin(&scene, 0.9), 0);
	for (int i = 0; i < T; i++) {
		row[0] = row[1] = i & 1;
		row[2] = i & 2;
		row[3] = row[2] + 0.1 * (i & 4);
		window_push(scene.normal, row);
	}
	check_int(model_build(scene.model, scene.normal, four, floors, NULL), 0);
	check_int(model_components(scene.model), 2);
	row[0] = row[1] = 1e13;
	window_push(scene.abnormal, row);
	scene_identify(&scene);
	check_int(scene.count, 4);
	check(scene.found[0].rd == 0 && scene.found[1].rd == 0);
	check(!scene.found[0].abnormal && scene.found[0].stddev > 1e13);
	row[0] = 10;
	row[1] = 0;
	window_clear(scene.abnormal);
	window_push(scene.abnormal, row);
	scene_identify(&scene);
	check(isinf(scene.found[0].rd) && scene.found[0].abnormal);
	check_near(scene.found[0].rbc, mean_spe(&scene), 0.01 * mean_spe(&scene));
}

static void test_identify_rank_ties(void)
{
	const struct contribution made[] = {
		{.column = 0, .stddev = 9, .deviation = 1, .rbc = 5},
		{.column = 1, .stddev = 3, .deviation = 4, .rbc = 1, .abnormal = true},
		{.column = 2, .stddev = 3, .deviation = 4, .rbc = 2, .abnormal = true},
		{.column = 3, .stddev = 4, .deviation = 3, .rbc = 9, .abnormal = true},
		{.column = 4, .stddev = 3, .deviation = 4, .rbc = 1, .abnormal = true},
	};
	static const size_t by_stddev[] = {3, 2, 1, 4, 0}, by_deviation[] = {2, 1, 4, 3, 0};
	struct contribution list[5];

	memcpy(list, made, sizeof(list));
	identify_rank(list, 5, CONTRIBUTIONS_BY_STDDEV);
	for (int i = 0; i < 5; i++)
		check_int(list[i].column, by_stddev[i]);
	identify_rank(list, 5, CONTRIBUTIONS_BY_DEVIATION);
	for (int i = 0; i < 5; i++)
		check_int(list[i].column, by_deviation[i]);
}

/* The memory of an idle service moves for the first time, by a thousandth of what it is, while a
 * busy column leaves all that is usual. */
static int first_of(enum monitor_preset preset, struct contribution *ret_first)
{
	cleanup(monitor_free) struct monitor *monitor = NULL;
	struct monitor_options options;
	struct contribution contributions[3];
	struct row_verdict verdict;
	int r;

	monitor_options_preset(&options, preset);
	monitor_options_scale(&options, T);
	r = monitor_new(&options, &monitor, NULL);
	for (int j = 0; r >= 0 && j < 3; j++)
		r = monitor_add_column(monitor, 0, NULL);
	for (int i = 0; r >= 0 && i < 2 * T; i++) {
		double row[3] = {10 + uniform(), 10 + uniform(), 3e8 + uniform()};

		if (i >= 2 * T - 5) {
			row[0] += 100;
			row[2] += 3e5;
		}
		r = monitor_offer(monitor, row, &verdict, NULL);
	}
	r = r < 0 ? r : monitor_identify(monitor, contributions);
	*ret_first = contributions[0];
	return r;
}

static void test_identify_order_of_the_presets(void)
{
	struct contribution first;

	check_int(first_of(MONITOR_PAPER, &first), 3);
	check_int(first.column, 2);
	check(first.abnormal && first.stddev > 1e5);
	/* in hundredths of its mean: 0.1 % of it */
	check_near(first.deviation, 0.1, 1e-6);
	check_int(first_of(MONITOR_CALIBRATED, &first), 3);
	check_int(first.column, 0);
	check(first.abnormal && first.deviation > 100);
}

TEST_MAIN(TEST(test_identify_identities), TEST(test_identify_identities_of_few_rows),
	  TEST(test_identify_names_the_shifted_column), TEST(test_identify_direction_down),
	  TEST(test_identify_from_zero), TEST(test_identify_still_column),
	  TEST(test_identify_no_rows), TEST(test_identify_rbc_is_what_a_reconstruction_takes_away),
	  TEST(test_identify_deviation_outlasts_rows_at_rest), TEST(test_identify_missing_cells),
	  TEST(test_identify_column_that_left), TEST(test_identify_column_without_residual),
	  TEST(test_identify_rank_ties), TEST(test_identify_order_of_the_presets))
