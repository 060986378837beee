/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/counts.h"

#include "base/test.h"

static void test_counts_shares(void)
{
	const bool truth[] = {0, 1, 1, 1, 0, 0, 1, 1}, verdict[] = {0, 0, 1, 0, 1, 0, 0, 0};
	struct counts counts = {0};

	for (int i = 0; i < 8; i++)
		counts_add(&counts, verdict[i], truth[i]);
	check_int(counts.true_negative, 2);
	check_near(counts_precision(&counts), 1.0 / 2, 1e-15);
	check_near(counts_recall(&counts), 1.0 / 5, 1e-15);
	check_near(counts_f1(&counts), 2.0 / 7, 1e-15);
	check_near(counts_false_alarm_rate(&counts), 1.0 / 3, 1e-15);
}

static void test_counts_of_nothing(void)
{
	struct counts counts = {0};

	check(isnan(counts_precision(&counts)) && isnan(counts_recall(&counts)));
	check(isnan(counts_f1(&counts)) && isnan(counts_false_alarm_rate(&counts)));
	counts_add(&counts, false, false);
	check(isnan(counts_f1(&counts)));
	check_near(counts_false_alarm_rate(&counts), 0, 0);
}

TEST_MAIN(TEST(test_counts_shares), TEST(test_counts_of_nothing))
