/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/delta_plan.h"

#include <math.h>

#include "base/test.h"

static const struct delta_limits limits = {1, 100};

static void test_next_lets_small_differences_be(void)
{
	check_near(delta_plan_next(10, 10.9, &limits, DELTA_STEP_ANY), 10, 0);
	check_near(delta_plan_next(10, 9.1, &limits, DELTA_STEP_ANY), 10, 0);
}

static void test_next_shrinks_in_full(void)
{
	check_near(delta_plan_next(10, 2, &limits, DELTA_STEP_SHRINK), 2, 0);
	check_near(delta_plan_next(10, 2, &limits, DELTA_STEP_ANY), 2, 0);
	check_near(delta_plan_next(10, 2, &limits, DELTA_STEP_NONE), 10, 0);
}

static void test_next_grows_in_steps(void)
{
	check_near(delta_plan_next(10, 50, &limits, DELTA_STEP_SHRINK), 10, 0);
	check_near(delta_plan_next(10, 50, &limits, DELTA_STEP_ANY), 20, 1e-12);
	/* never a step of less than the least change, never past what is wanted */
	check_near(delta_plan_next(10, 12, &limits, DELTA_STEP_ANY), 11, 1e-12);
	check_near(delta_plan_next(10, 11.05, &limits, DELTA_STEP_ANY), 11, 1e-12);
}

static void test_next_grows_from_zero(void)
{
	const struct delta_limits from_zero = {0, INFINITY};
	double delta = 0;

	for (int i = 0; i < 40; i++)
		delta = delta_plan_next(delta, 8, &from_zero, DELTA_STEP_ANY);
	check(delta > 8 / (1 + DELTA_PLAN_CHANGE_MIN) - 1e-9 && delta <= 8);
}

static void test_next_keeps_the_limits(void)
{
	check_near(delta_plan_next(0.5, NAN, &limits, DELTA_STEP_NONE), 1, 0);
	check_near(delta_plan_next(500, NAN, &limits, DELTA_STEP_NONE), 100, 0);
	check_near(delta_plan_next(90, 1e9, &limits, DELTA_STEP_ANY), 99, 1e-12);
	check_near(delta_plan_next(50, 1e9, &limits, DELTA_STEP_ANY), 62.5, 1e-12);
	check_near(delta_plan_next(50, 0, &limits, DELTA_STEP_ANY), 1, 0);
	check_near(delta_plan_next(50, NAN, &limits, DELTA_STEP_ANY), 50, 0);
}

static void count_steps(struct delta_plan *plan, size_t rows, bool trusted, size_t *counts)
{
	for (size_t i = 0; i < rows; i++)
		counts[delta_plan_row(plan, trusted)]++;
}

static void test_plan_paces_its_steps(void)
{
	struct delta_plan plan;
	size_t counts[3] = {0};

	delta_plan_init(&plan, 60);
	count_steps(&plan, 600, true, counts);
	check_int(counts[DELTA_STEP_ANY], 10);
	check_int(counts[DELTA_STEP_SHRINK], 90);
}

/* Without trust there is no step up; the first row with it makes the one that is due. */
static void test_plan_without_trust_only_shrinks(void)
{
	struct delta_plan plan;
	size_t counts[3] = {0};

	delta_plan_init(&plan, 60);
	count_steps(&plan, 300, false, counts);
	check_int(counts[DELTA_STEP_ANY], 0);
	check_int(counts[DELTA_STEP_SHRINK], 50);
	check_int(delta_plan_row(&plan, true), DELTA_STEP_ANY);
	check_int(delta_plan_row(&plan, true), DELTA_STEP_NONE);
}

static void test_plan_numbers_its_sets(void)
{
	struct delta_plan plan;

	delta_plan_init(&plan, 1);
	check_int(plan.version, 0);
	check_int(delta_plan_commit(&plan), 1);
	check_int(delta_plan_commit(&plan), 2);
	check_int(delta_plan_row(&plan, false), DELTA_STEP_SHRINK);
	check_int(delta_plan_row(&plan, true), DELTA_STEP_ANY);
}

TEST_MAIN(TEST(test_next_lets_small_differences_be), TEST(test_next_shrinks_in_full),
	  TEST(test_next_grows_in_steps), TEST(test_next_grows_from_zero),
	  TEST(test_next_keeps_the_limits), TEST(test_plan_paces_its_steps),
	  TEST(test_plan_without_trust_only_shrinks), TEST(test_plan_numbers_its_sets))
