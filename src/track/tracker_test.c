/* SPDX-License-Identifier: Apache-2.0 */
#include "track/tracker.h"

#include <math.h>

#include "base/test.h"

static void test_tracker_epoch_forgets_value_and_keeps_counts(void)
{
	struct tracker tracker = {0};

	tracker_start_epoch(&tracker, 2);
	tracker_receive(&tracker, 5, 100);
	tracker_tick(&tracker);
	check_int(tracker.state, TRACKER_GOOD);
	tracker_start_epoch(&tracker, 3);
	check_int(tracker.state, TRACKER_UNKNOWN);
	check(isnan(tracker.value));
	check_near(tracker.delta, 3, 0);
	check_int(tracker.received, 1);
	check_int(tracker.ticks, 1);
}

static void test_tracker_stale_keeps_last_value_and_first_time(void)
{
	struct tracker tracker = {0};

	tracker_start_epoch(&tracker, 2);
	tracker_receive(&tracker, 5, 100);
	tracker_mark_stale(&tracker, 200);
	tracker_mark_stale(&tracker, 300);
	check_int(tracker.since_usec, 200);
	check_near(tracker.value, 5, 0);
	check_string(tracker_state_name(tracker.state), "stale");
}

static void test_tracker_gap_is_not_a_value(void)
{
	struct tracker tracker = {0};

	tracker_start_epoch(&tracker, 2);
	tracker_receive(&tracker, 5, 100);
	tracker_receive_gap(&tracker, 110);
	check_int(tracker.state, TRACKER_GAP);
	check_int(tracker.received, 2);
}

TEST_MAIN(TEST(test_tracker_epoch_forgets_value_and_keeps_counts),
	  TEST(test_tracker_stale_keeps_last_value_and_first_time),
	  TEST(test_tracker_gap_is_not_a_value))
