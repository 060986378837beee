/* SPDX-License-Identifier: Apache-2.0 */
#include "track/compare.h"

#include <math.h>

#include "base/test.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_compare_oscillation(void)
{
	double samples[1000];

	for (size_t i = 0; i < COUNT(samples); i++)
		samples[i] = i % 2 ? 5 : 0;
	check_int(compare_send_always(samples, COUNT(samples)), 1000);
	check_int(compare_send_on_delta(samples, COUNT(samples), 4), 1000);
	check_int(compare_offline_optimum(samples, COUNT(samples), 4), 1);
}

static void test_compare_gaps_start_afresh(void)
{
	static const double samples[] = {1, 1, NAN, NAN, 1, INFINITY, 1};

	check_int(compare_send_always(samples, COUNT(samples)), 6);
	check_int(compare_send_on_delta(samples, COUNT(samples), 10), 5);
	check_int(compare_offline_optimum(samples, COUNT(samples), 10), 5);
}

/* Every way to cut the samples into segments, the slow and certain optimum. */
static size_t optimum_by_search(const double *samples, size_t count, double delta)
{
	size_t best[16] = {0};

	for (size_t end = 1; end <= count; end++) {
		double low = INFINITY, high = -INFINITY;

		best[end] = end;
		for (size_t start = end; start-- > 0;) {
			low = fmin(low, samples[start]);
			high = fmax(high, samples[start]);
			if (high - low <= 2 * delta && best[start] + 1 < best[end])
				best[end] = best[start] + 1;
		}
	}
	return best[count];
}

static void test_compare_optimum_is_the_least_of_all_segmentations(void)
{
	double samples[12];
	unsigned state = 1;

	for (int round = 0; round < 2000; round++) {
		for (size_t i = 0; i < COUNT(samples); i++) {
			state = state * 1103515245u + 12345u;
			samples[i] = (double)((state >> 16) % 20);
		}
		check_int(compare_offline_optimum(samples, COUNT(samples), 3),
			  optimum_by_search(samples, COUNT(samples), 3));
	}
}

TEST_MAIN(TEST(test_compare_oscillation), TEST(test_compare_gaps_start_afresh),
	  TEST(test_compare_optimum_is_the_least_of_all_segmentations))
