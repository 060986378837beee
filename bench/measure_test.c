/* SPDX-License-Identifier: Apache-2.0 */
#include "measure.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>

#include "base/test.h"

enum { ROWS_MAX = 1000 };

static bool label[ROWS_MAX];
static double score[ROWS_MAX];

/* Events of 7 rows every 97 and a long one; scores of 0 .. 1.3, on a grid of `levels` steps. */
static void make_rows(size_t rows, uint64_t state, unsigned levels)
{
	for (size_t i = 0; i < rows; i++) {
		state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		label[i] = i % 97 < 7 || (i >= 300 && i < 340);
		score[i] = (double)(state >> 11) * 0x1p-53 + (label[i] ? 0.3 : 0);
		if (levels > 0)
			score[i] = floor(score[i] * levels) / levels;
	}
}

/* Expected values: scikit-learn 1.2's average_precision_score, and the published implementation of
 * VUS-PR (TSB-AD, RangeAUC_volume_opt) followed step by step in NumPy. */
static void test_areas_as_published(void)
{
	static const struct {
		size_t rows;
		uint64_t seed;
		unsigned levels;
		size_t length;
		double auc_pr, vus_pr;
	} cases[] = {
		{1000, 1, 0, 50, 0.477924791476129, 0.616770479332922},
		{1000, 2, 8, 50, 0.459564342298323, 0.615124688616637},
		{200, 3, 0, 30, 0.322612317446758, 0.448147653700945},
		{401, 4, 5, 100, 0.47942919269818, 0.722998704415285},
		{50, 5, 0, 0, 0.463592060960482, 0.463592060960482},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		double area, volume;

		make_rows(cases[i].rows, cases[i].seed, cases[i].levels);
		check_int(measure_auc_pr(score, label, cases[i].rows, &area), 0);
		check_near(area, cases[i].auc_pr, 1e-12);
		check_int(measure_vus_pr(score, label, cases[i].rows, cases[i].length, &volume), 0);
		check_near(volume, cases[i].vus_pr, 1e-12);
	}
}

static void test_areas_at_the_extremes(void)
{
	double area, volume;

	make_rows(ROWS_MAX, 1, 0);
	for (size_t i = 0; i < ROWS_MAX; i++)
		score[i] = label[i];
	check_int(measure_auc_pr(score, label, ROWS_MAX, &area), 0);
	check_near(area, 1, 0);
	for (size_t i = 0; i < ROWS_MAX; i++)
		score[i] = 0;
	check_int(measure_auc_pr(score, label, ROWS_MAX, &area), 0);
	check_near(area, 117.0 / 1000, 1e-15); /* all rows at once: 11 x 7 + 40 of them */
	check_int(measure_vus_pr(score, label, ROWS_MAX, 0, &volume), 0);
	check_near(volume, 117.0 / 1000, 1e-15);
	check_int(measure_vus_pr(score, label, ROWS_MAX, VUS_LENGTH_MAX + 1, &volume), -EINVAL);
	memset(label, 0, sizeof(label));
	check_int(measure_auc_pr(score, label, ROWS_MAX, &area), 0);
	check_int(measure_vus_pr(score, label, ROWS_MAX, 10, &volume), 0);
	check(isnan(area) && isnan(volume));
	check_int(measure_auc_pr(score, label, 0, &area), 0);
	check(isnan(area));
}

static void test_point_adjustment(void)
{
	const bool truth[] = {0, 1, 1, 1, 0, 0, 1, 1};
	bool verdict[] = {0, 0, 1, 0, 1, 0, 0, 0};
	struct counts counts = {0}, adjusted = {0};

	measure_count(verdict, truth, 8, &counts);
	check_near(counts_f1(&counts), 2.0 / 7, 1e-15);
	measure_point_adjust(verdict, truth, 8);
	measure_count(verdict, truth, 8, &adjusted);
	check_near(counts_precision(&adjusted), 3.0 / 4, 1e-15);
	check_near(counts_recall(&adjusted), 3.0 / 5, 1e-15);
}

static void test_alarms_and_delays_by_event(void)
{
	const bool truth[] = {1, 1, 0, 0, 0, 0, 1, 1, 1}, verdict[] = {0, 0, 0, 0, 1, 1, 0, 1, 1};
	const struct span alarms[] = {{2, 2}, {3, 4}, {5, 6}, {8, 8}};
	struct span events[5];
	size_t delay = 99;

	check_int(measure_spans(truth, 9, events), 2);
	check(events[0].first == 0 && events[0].last == 1);
	check(events[1].first == 6 && events[1].last == 8);
	check_int(measure_false_alarms(alarms, 4, events, 2, 0), 2);
	check_int(measure_false_alarms(alarms, 4, events, 2, 1), 1);
	check_int(measure_false_alarms(alarms, 4, events, 0, 1), 4);
	check(!measure_delay(verdict, &events[0], &delay));
	check(measure_delay(verdict, &events[1], &delay));
	check_int(delay, 1);
}

static void test_identified_columns(void)
{
	const bool truth[] = {1, 0, 1, 0, 1}, flagged[] = {1, 1, 0, 0, 1}, nothing[5] = {0};
	const size_t ranked[] = {1, 4, 0, 2, 3};

	check_near(measure_hit_rate(ranked, 5, truth, 5), 2.0 / 3, 1e-15);
	check_near(measure_hit_rate(ranked, 2, truth, 5), 1.0 / 3, 1e-15);
	check_near(measure_hit_rate(ranked, 0, truth, 5), 0, 0);
	check(isnan(measure_hit_rate(ranked, 5, nothing, 5)));
	check_near(measure_set_f1(flagged, truth, 5), 2.0 / 3, 1e-15);
	check_near(measure_set_f1(nothing, truth, 5), 0, 0);
}

TEST_MAIN(TEST(test_areas_as_published), TEST(test_areas_at_the_extremes),
	  TEST(test_point_adjustment), TEST(test_alarms_and_delays_by_event),
	  TEST(test_identified_columns))
