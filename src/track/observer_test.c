/* SPDX-License-Identifier: Apache-2.0 */
#include "track/observer.h"

#include <float.h>
#include <math.h>

#include "base/test.h"
#include "track/grid.h"

static void test_observer_first_sample_is_sent(void)
{
	struct observer observer;

	observer_init(&observer, 1, false);
	check(!observer_held(&observer));
	check_int(observer_offer(&observer, 5), OBSERVER_SEND);
	check_near(observer_value(&observer), 5, 0);
	check_int(observer_offer(&observer, 6), OBSERVER_SILENT);
	check_int(observer_offer(&observer, 4), OBSERVER_SILENT);
}

static void test_observer_sends_midrange_of_the_round(void)
{
	struct observer observer;

	observer_init(&observer, 2, false);
	(void)observer_offer(&observer, 0);
	check_int(observer_offer(&observer, 3), OBSERVER_SEND);
	check_near(observer_value(&observer), 1.5, 0);
}

/* The signal that the paper holds against the naive method: one more message serves it for ever. */
static void test_observer_oscillation_costs_two_messages(void)
{
	struct observer observer;
	int sent = 0;

	observer_init(&observer, 4, false);
	for (int i = 0; i < 10000; i++)
		sent += observer_offer(&observer, i % 2 ? 5 : 0) == OBSERVER_SEND;
	check_int(sent, 2);
}

static void test_observer_new_round_at_the_same_instant(void)
{
	struct observer observer;

	observer_init(&observer, 1, false);
	(void)observer_offer(&observer, 0);
	check_int(observer_offer(&observer, 100), OBSERVER_SEND);
	check_near(observer_value(&observer), 100, 0);
}

static void test_observer_zero_delta_sends_every_change(void)
{
	struct observer observer;

	observer_init(&observer, 0, true);
	check_int(observer_offer(&observer, 0.1), OBSERVER_SEND);
	check_int(observer_offer(&observer, 0.1), OBSERVER_SILENT);
	check_int(observer_offer(&observer, 0.1 + DBL_EPSILON), OBSERVER_SEND);
	check_near(observer_value(&observer), 0.1 + DBL_EPSILON, 0);
}

static void test_observer_gap_is_told_once(void)
{
	struct observer observer;

	observer_init(&observer, 1, false);
	check_int(observer_offer(&observer, NAN), OBSERVER_GAP);
	check_int(observer_offer(&observer, INFINITY), OBSERVER_SILENT);
	check_int(observer_offer(&observer, 2), OBSERVER_SEND);
	check_int(observer_offer(&observer, -INFINITY), OBSERVER_GAP);
	check(!observer_held(&observer));
	check_int(observer_offer(&observer, NAN), OBSERVER_SILENT);
	check_int(observer_offer(&observer, 2), OBSERVER_SEND);
}

static void test_observer_smaller_delta_sends_when_needed(void)
{
	struct observer observer;

	observer_init(&observer, 10, false);
	(void)observer_offer(&observer, 0);
	(void)observer_offer(&observer, 8);
	check_int(observer_set_delta(&observer, 9), OBSERVER_SILENT);
	check_int(observer_set_delta(&observer, 1), OBSERVER_SEND);
	check_near(observer_value(&observer), 8, 1);
	check_int(observer_set_delta(&observer, 100), OBSERVER_SILENT);
}

static void test_observer_restart_sends_the_newest_sample(void)
{
	struct observer observer;

	observer_init(&observer, 10, false);
	check_int(observer_restart(&observer), OBSERVER_GAP);
	(void)observer_offer(&observer, 0);
	(void)observer_offer(&observer, 7);
	check_int(observer_restart(&observer), OBSERVER_SEND);
	check_near(observer_value(&observer), 7, 0);
}

static void test_observer_extremes_keep_the_guarantee(void)
{
	static const double samples[] = {1.7e308, -1.7e308, 5e-324, 0, -5e-324, 1e300, 1e300};
	struct observer observer;

	observer_init(&observer, 1e-320, true);
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		(void)observer_offer(&observer, samples[i]);
		check(fabs(samples[i] - observer_value(&observer)) <= 1e-320);
	}
}

static void test_observer_snaps_to_the_grid_of_delta(void)
{
	struct observer observer;
	int exponent;

	check(track_grid_exponent(3, &exponent));
	check_int(exponent, -1); /* the largest power of two <= 3 / 4 */
	observer_init(&observer, 3, true);
	(void)observer_offer(&observer, 7.3);
	check_near(observer_value(&observer), 7.5, 0);
}

static void test_grid_is_at_most_a_quarter_of_delta(void)
{
	for (double delta = 1e-290; delta < 1e300; delta *= 1.37) {
		int exponent;

		check(track_grid_exponent(delta, &exponent));
		check(ldexp(1, exponent) <= delta / 4 && ldexp(1, exponent + 1) > delta / 4);
	}
}

static void test_grid_needs_a_delta(void)
{
	int exponent;

	check(!track_grid_exponent(0, &exponent));
	check(!track_grid_exponent(5e-324, &exponent));
}

TEST_MAIN(TEST(test_observer_first_sample_is_sent), TEST(test_observer_sends_midrange_of_the_round),
	  TEST(test_observer_oscillation_costs_two_messages),
	  TEST(test_observer_new_round_at_the_same_instant),
	  TEST(test_observer_zero_delta_sends_every_change), TEST(test_observer_gap_is_told_once),
	  TEST(test_observer_smaller_delta_sends_when_needed),
	  TEST(test_observer_restart_sends_the_newest_sample),
	  TEST(test_observer_extremes_keep_the_guarantee),
	  TEST(test_observer_snaps_to_the_grid_of_delta),
	  TEST(test_grid_is_at_most_a_quarter_of_delta), TEST(test_grid_needs_a_delta))
