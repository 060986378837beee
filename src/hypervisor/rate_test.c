/* SPDX-License-Identifier: Apache-2.0 */
#include "hypervisor/rate.h"

#include <math.h>

#include "base/test.h"

enum { SECOND = 1000000 };

static double counter_at(struct rate *rate, enum metric metric, double value, int64_t time,
			 uint64_t run)
{
	struct reading reading = {.kind = READING_COUNTER, .value = value, .time_usec = time};

	return rate_value(rate, metric, &reading, run, 2, SECOND);
}

static void test_rate_scales_to_the_nominal_interval(void)
{
	struct rate rate;

	rate_init(&rate);
	check(isnan(counter_at(&rate, METRIC_NETWORK_IN, 1000, 0, 1)));
	check_near(counter_at(&rate, METRIC_NETWORK_IN, 3000, 2 * SECOND, 1), 1000, 1e-9);
	check_near(counter_at(&rate, METRIC_NETWORK_IN, 3050, 2 * SECOND + SECOND / 2, 1), 100,
		   1e-9);
}

static void test_rate_cpu_is_percent_of_the_vcpus(void)
{
	struct rate rate;

	rate_init(&rate);
	(void)counter_at(&rate, METRIC_CPU_UTILIZATION, 0, 0, 1);
	check_near(counter_at(&rate, METRIC_CPU_UTILIZATION, 1e9, SECOND, 1), 50, 1e-9);
}

static void test_rate_resets_are_gaps(void)
{
	struct rate rate;

	rate_init(&rate);
	(void)counter_at(&rate, METRIC_NETWORK_IN, 1000, 0, 1);
	check(isnan(counter_at(&rate, METRIC_NETWORK_IN, 10, SECOND, 1)));
	check_near(counter_at(&rate, METRIC_NETWORK_IN, 30, 2 * SECOND, 1), 20, 1e-9);
	/* another run of the VM: its counters began anew, even where they are larger by now */
	check(isnan(counter_at(&rate, METRIC_NETWORK_IN, 5000, 3 * SECOND, 2)));
	check_near(counter_at(&rate, METRIC_NETWORK_IN, 5001, 4 * SECOND, 2), 1, 1e-9);
}

static void test_rate_absent_is_a_gap_and_not_zero(void)
{
	struct reading absent = {.kind = READING_ABSENT};
	struct rate rate;

	rate_init(&rate);
	(void)counter_at(&rate, METRIC_NETWORK_IN, 1000, 0, 1);
	check(isnan(rate_value(&rate, METRIC_NETWORK_IN, &absent, 1, 1, SECOND)));
	check_near(counter_at(&rate, METRIC_NETWORK_IN, 1200, 2 * SECOND, 1), 100, 1e-9);
	/* after a long pause the increment belongs to no interval */
	check(isnan(counter_at(&rate, METRIC_NETWORK_IN, 9000, 60 * SECOND, 1)));
}

static void test_rate_same_time_is_a_gap(void)
{
	struct rate rate;

	rate_init(&rate);
	(void)counter_at(&rate, METRIC_NETWORK_IN, 1000, 5, 1);
	check(isnan(counter_at(&rate, METRIC_NETWORK_IN, 2000, 5, 1)));
}

static void test_rate_gauge_is_taken_as_it_is(void)
{
	struct reading reading = {.kind = READING_VALUE, .value = 4096};
	struct rate rate;

	rate_init(&rate);
	check_near(rate_value(&rate, METRIC_MEMORY_RESIDENT, &reading, 1, 1, SECOND), 4096, 0);
}

TEST_MAIN(TEST(test_rate_scales_to_the_nominal_interval),
	  TEST(test_rate_cpu_is_percent_of_the_vcpus), TEST(test_rate_resets_are_gaps),
	  TEST(test_rate_absent_is_a_gap_and_not_zero), TEST(test_rate_same_time_is_a_gap),
	  TEST(test_rate_gauge_is_taken_as_it_is))
