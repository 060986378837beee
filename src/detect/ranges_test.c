/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/ranges.h"

#include <math.h>

#include "base/cleanup.h"
#include "base/test.h"

DEFINE_CLEANUP(struct ranges *, ranges_free)

static void test_ranges_give_the_larger_floor(void)
{
	cleanup(ranges_free) struct ranges *ranges = ranges_new(0.02, 0);
	double row[2] = {0, 0};

	check_int(ranges_add(ranges, 0.5), 0);
	check_int(ranges_add(ranges, 0), 0);
	ranges_take(ranges, row);
	check_near(ranges_floors(ranges)[0], 0.5, 0);
	row[0] = row[1] = 10;
	ranges_take(ranges, row);
	check_near(ranges_floors(ranges)[0], 0.5, 0);
	check_near(ranges_floors(ranges)[1], 0.2, 1e-12);
	ranges_set_floor(ranges, 1, 3);
	check_near(ranges_floors(ranges)[1], 3, 0);
}

static void test_ranges_one_absurd_value(void)
{
	cleanup(ranges_free) struct ranges *ranges = ranges_new(0.02, 100);
	double value = 0;

	check_int(ranges_add(ranges, 0), 0);
	ranges_take(ranges, &value);
	value = 1;
	ranges_take(ranges, &value);
	value = 1e140;
	ranges_take(ranges, &value);
	check_near(ranges_floors(ranges)[0], 0.02 * 10, 0.01);
	for (int i = 0; i < 4000; i++) {
		value = i % 2;
		ranges_take(ranges, &value);
	}
	check(ranges_floors(ranges)[0] < 0.02 * 1.5);
	check(ranges_floors(ranges)[0] >= 0.02 * 0.9);
}

static void test_ranges_gaps_and_columns_that_go(void)
{
	cleanup(ranges_free) struct ranges *ranges = ranges_new(0.1, 0);
	double first[3] = {0, NAN, 5}, second[3] = {2, NAN, 5};

	for (int i = 0; i < 3; i++)
		check_int(ranges_add(ranges, i), 0);
	ranges_take(ranges, first);
	ranges_take(ranges, second);
	check_near(ranges_floors(ranges)[0], 0.2, 1e-12);
	check_near(ranges_floors(ranges)[1], 1, 0);
	ranges_remove(ranges, 0);
	check_near(ranges_floors(ranges)[0], 1, 0);
	check_near(ranges_floors(ranges)[1], 2, 0);
}

static void test_ranges_without_a_share(void)
{
	cleanup(ranges_free) struct ranges *ranges = ranges_new(0, 100);
	double value = 0;

	check_int(ranges_add(ranges, 0.25), 0);
	ranges_take(ranges, &value);
	value = 1e9;
	ranges_take(ranges, &value);
	check_near(ranges_floors(ranges)[0], 0.25, 0);
}

TEST_MAIN(TEST(test_ranges_give_the_larger_floor), TEST(test_ranges_one_absurd_value),
	  TEST(test_ranges_gaps_and_columns_that_go), TEST(test_ranges_without_a_share))
