/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/monitor.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/test.h"

DEFINE_CLEANUP(struct monitor *, monitor_free)

enum { D = 12 };

static uint64_t state = 11;

static double normal(void)
{
	double sum = -6;

	for (int i = 0; i < 12; i++) {
		state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		sum += (double)(state >> 11) * 0x1p-53;
	}
	return sum;
}

/* Three sources behind twelve columns, with noise. */
static void make_row(double *row)
{
	double source[3] = {normal(), normal(), normal()};

	for (int j = 0; j < D; j++)
		row[j] = 100 + 5 * source[j % 3] + normal();
}

static int new_monitor_of(enum monitor_preset preset, size_t window, size_t unlock_rows,
			  struct monitor **ret_monitor)
{
	struct monitor_options options;
	int r;

	monitor_options_preset(&options, preset);
	monitor_options_scale(&options, window);
	if (unlock_rows > 0)
		options.unlock_rows = unlock_rows;
	r = monitor_new(&options, ret_monitor, NULL);
	for (int j = 0; r >= 0 && j < D; j++)
		r = monitor_add_column(*ret_monitor, 0, NULL);
	return r < 0 ? r : 0;
}

static int new_monitor(size_t window, struct monitor **ret_monitor)
{
	return new_monitor_of(MONITOR_CALIBRATED, window, 0, ret_monitor);
}

/* Offers `count` rows, column `column` raised by `shift`; counts abnormal ones and events. */
static int offer_rows(struct monitor *monitor, int count, int column, double shift, int *ret_events)
{
	struct row_verdict verdict;
	double row[D];
	int abnormal = 0;

	for (int i = 0; i < count; i++) {
		make_row(row);
		row[column] += shift;
		if (monitor_offer(monitor, row, &verdict, NULL) < 0)
			return -1;
		abnormal += verdict.state == ROW_ABNORMAL;
		ret_events[verdict.event]++;
	}
	return abnormal;
}

static void test_monitor_false_alarms_on_white_data(void)
{
	cleanup(monitor_free) struct monitor *monitor = NULL;
	int events[5] = {0};
	int abnormal;

	check_int(new_monitor(120, &monitor), 0);
	(void)offer_rows(monitor, 120, 0, 0, events);
	abnormal = offer_rows(monitor, 5000, 0, 0, events);
	/* alpha 0.2 %: 10 expected; four times as many would be a broken threshold */
	check(abnormal <= 40);
	check_int(events[EPISODE_SHIFTED], 0);
}

static void test_monitor_opens_names_and_clears(void)
{
	cleanup(monitor_free) struct monitor *monitor = NULL;
	struct contribution contributions[D];
	int events[5] = {0};

	check_int(new_monitor(120, &monitor), 0);
	(void)offer_rows(monitor, 120, 0, 0, events);
	check_int(monitor_identify(monitor, contributions), -ENODATA);
	check_int(offer_rows(monitor, 10, 7, 30, events), 10);
	check_int(events[EPISODE_OPENED], 1);
	check_int(monitor_identify(monitor, contributions), D);
	check_int(contributions[0].column, 7);
	check(contributions[0].abnormal && contributions[0].meandiff > 0.2);
	check_int(offer_rows(monitor, 3, 0, 0, events), 0);
	check_int(events[EPISODE_CLOSED], 1);
	check_int(monitor_identify(monitor, contributions), D);
}

static void test_monitor_lasting_shift_is_unlocked(void)
{
	cleanup(monitor_free) struct monitor *monitor = NULL;
	int events[5] = {0};

	check_int(new_monitor(120, &monitor), 0);
	(void)offer_rows(monitor, 200, 0, 0, events);
	(void)offer_rows(monitor, 300, 4, 1000, events);
	check_int(events[EPISODE_OPENED], 1);
	check_int(events[EPISODE_SHIFTED], 1);
	check_int(events[EPISODE_CLOSED], 1);
	check(offer_rows(monitor, 200, 4, 1000, events) <= 4);
}

/* Nor by the reference, which would have taken it in after a window. */
static void test_monitor_unlocks_no_sooner_than_told(void)
{
	cleanup(monitor_free) struct monitor *monitor = NULL;
	int events[5] = {0};

	check_int(new_monitor_of(MONITOR_CALIBRATED, 120, 400, &monitor), 0);
	(void)offer_rows(monitor, 200, 0, 0, events);
	check_int(offer_rows(monitor, 390, 4, 1000, events), 390);
	check_int(events[EPISODE_OPENED], 1);
	check_int(events[EPISODE_SHIFTED] + events[EPISODE_CLOSED], 0);
	(void)offer_rows(monitor, 100, 4, 1000, events);
	check_int(events[EPISODE_SHIFTED], 1);
	check_int(events[EPISODE_CLOSED], 1);
}

static void test_monitor_gap_cells_are_neutral(void)
{
	cleanup(monitor_free) struct monitor *monitor = NULL;
	struct row_verdict verdict;
	double row[D];
	int abnormal = 0;

	check_int(new_monitor(120, &monitor), 0);
	for (int i = 0; i < 400; i++) {
		make_row(row);
		if (i % 10 == 0)
			row[i / 10 % D] = NAN;
		check_int(monitor_offer(monitor, row, &verdict, NULL), 0);
		abnormal += verdict.state == ROW_ABNORMAL;
	}
	check(abnormal <= 6);
	for (int j = 0; j < D; j++)
		row[j] = NAN;
	check_int(monitor_offer(monitor, row, &verdict, NULL), 0);
	check_int(verdict.state, ROW_EMPTY);
}

static void test_monitor_columns_come_and_go(void)
{
	cleanup(monitor_free) struct monitor *monitor = NULL;
	struct contribution contributions[D + 1];
	struct row_verdict verdict;
	double row[D + 1];
	int events[5] = {0};

	check_int(new_monitor(120, &monitor), 0);
	(void)offer_rows(monitor, 150, 0, 0, events);
	check_int(monitor_add_column(monitor, 1, NULL), D);
	check(monitor_column_is_learning(monitor, D));
	for (int i = 0; i < 29; i++) {
		make_row(row);
		row[D] = 5 + normal();
		check_int(monitor_offer(monitor, row, &verdict, NULL), 0);
		check(verdict.state != ROW_LEARNING);
	}
	check(monitor_column_is_learning(monitor, D));
	for (int i = 0; i < 5; i++) {
		make_row(row);
		row[D] = 5 + normal();
		check_int(monitor_offer(monitor, row, &verdict, NULL), 0);
	}
	check(!monitor_column_is_learning(monitor, D));
	for (int i = 0; i < 4; i++) {
		make_row(row);
		row[D] = 500;
		check_int(monitor_offer(monitor, row, &verdict, NULL), 0);
		check_int(verdict.state, ROW_ABNORMAL);
	}
	/* a column leaves in mid-episode: the frozen model follows */
	monitor_remove_column(monitor, 3);
	check_int(monitor_identify(monitor, contributions), D);
	check_int(contributions[0].column, D - 1);
	check_int(monitor_offer(monitor, row, &verdict, NULL), 0);
}

static void test_monitor_hostile_numbers(void)
{
	static const double odd[] = {1.7e308, -1.7e308, 1e300, 0, 5e-324, 1e9, -1};
	cleanup(monitor_free) struct monitor *monitor = NULL;
	struct row_verdict verdict;
	double row[D];

	check_int(new_monitor(60, &monitor), 0);
	for (int i = 0; i < 500; i++) {
		make_row(row);
		for (int j = 0; j < D; j++)
			if ((i * 7 + j * 3) % 5 == 0)
				row[j] = odd[(unsigned)(i + j) % 7];
		check_int(monitor_offer(monitor, row, &verdict, NULL), 0);
		check(!isnan(verdict.q) || verdict.state == ROW_LEARNING);
	}
}

static void test_monitor_constant_columns_alarm_when_they_move(void)
{
	cleanup(monitor_free) struct monitor *monitor = NULL;
	struct row_verdict verdict;
	double row[D] = {0};

	check_int(new_monitor(60, &monitor), 0);
	for (int j = 0; j < D; j++)
		monitor_set_floor(monitor, (size_t)j, 1);
	for (int i = 0; i < 100; i++) {
		row[0] = 3 * normal();
		check_int(monitor_offer(monitor, row, &verdict, NULL), 0);
	}
	check_int(verdict.state, ROW_NORMAL);
	row[5] = 100;
	check_int(monitor_offer(monitor, row, &verdict, NULL), 0);
	check_int(verdict.state, ROW_ABNORMAL);
}

/* Replaying the verdicts gives the monitor that there was: the next verdicts are the same. */
static void test_monitor_restore_continues_in_mid_episode(void)
{
	cleanup(monitor_free) struct monitor *first = NULL;
	cleanup(monitor_free) struct monitor *second = NULL;
	struct row_verdict a, b;
	double row[D];

	check_int(new_monitor(60, &first), 0);
	check_int(new_monitor(60, &second), 0);
	for (int i = 0; i < 205; i++) {
		make_row(row);
		row[2] += i >= 200 ? 40 : 0;
		check_int(monitor_offer(first, row, &a, NULL), 0);
		if (i >= 60)
			check_int(monitor_restore(second, row, a.state, NULL), 0);
	}
	check(a.level == 5);
	for (int i = 0; i < 10; i++) {
		make_row(row);
		row[2] += i < 4 ? 40 : 0;
		check_int(monitor_offer(first, row, &a, NULL), 0);
		check_int(monitor_offer(second, row, &b, NULL), 0);
		check_int(b.state, a.state);
		check_int(b.event, a.event);
		check_int(b.level, a.level);
		check_near(b.spe, a.spe, 1e-6 * a.spe);
		check(b.event != EPISODE_OPENED);
	}
}

/* The rows of a store may be of another preset. */
static void test_monitor_restores_shifted_rows_without_a_reference(void)
{
	cleanup(monitor_free) struct monitor *monitor = NULL;
	int events[5] = {0};
	double row[D];

	check_int(new_monitor_of(MONITOR_PAPER, 120, 0, &monitor), 0);
	(void)offer_rows(monitor, 120, 0, 0, events);
	make_row(row);
	check_int(monitor_restore(monitor, row, ROW_SHIFTED, NULL), 0);
	check(monitor_episode_is_open(monitor));
	(void)offer_rows(monitor, 1, 0, 0, events);
	check_int(events[EPISODE_CLOSED], 1);
}

/* A store begins where its oldest rows have expired: in the middle of an episode, too. */
static void restore_into_nothing(enum monitor_preset preset, enum row_state verdict_then)
{
	cleanup(monitor_free) struct monitor *monitor = NULL;
	struct contribution contributions[D];
	int events[5] = {0};
	double row[D];

	check_int(new_monitor_of(preset, 120, 0, &monitor), 0);
	for (int i = 0; i < 3; i++) {
		make_row(row);
		check_int(monitor_restore(monitor, row, verdict_then, NULL), 0);
	}
	check_int(monitor_identify(monitor, contributions), -ENODATA);
	(void)offer_rows(monitor, 120, 0, 0, events);
	check(!monitor_episode_is_open(monitor));
	check_int(offer_rows(monitor, 4, 7, 100, events), 4);
	check_int(monitor_identify(monitor, contributions), D);
}

static void test_monitor_restores_rows_without_a_model(void)
{
	restore_into_nothing(MONITOR_CALIBRATED, ROW_ABNORMAL);
	restore_into_nothing(MONITOR_CALIBRATED, ROW_SHIFTED);
	restore_into_nothing(MONITOR_PAPER, ROW_ABNORMAL);
	restore_into_nothing(MONITOR_PAPER, ROW_SHIFTED);
}

/* Calm, for 200 rows another load, which had that verdict, calm; the older rows recalled or left
 * out, the newest 240 restored. Then the other load comes again: is it known? -1: a failure. */
static int knows_after_restart(bool recalls, enum row_state verdict_then)
{
	cleanup(monitor_free) struct monitor *monitor = NULL;
	int events[5] = {0};
	double row[D];

	if (new_monitor(120, &monitor) < 0)
		return -1;
	for (int i = 0; i < 1240; i++) {
		bool is_other = i >= 400 && i < 600;

		make_row(row);
		row[4] += is_other ? 40 : 0;
		if (i >= 1000 && monitor_restore(monitor, row, ROW_NORMAL, NULL) < 0)
			return -1;
		if (i < 1000 && recalls)
			monitor_recall(monitor, row, is_other ? verdict_then : ROW_NORMAL);
	}
	if (monitor_window_rows(monitor) != 120 || offer_rows(monitor, 10, 4, 40, events) < 0)
		return -1;
	return events[EPISODE_OPENED] == 0;
}

static void test_monitor_recalls_what_the_reference_knew(void)
{
	check_int(knows_after_restart(true, ROW_NORMAL), 1);
	check_int(knows_after_restart(false, ROW_NORMAL), 0);
}

/* Neither what was abnormal nor what M alone had got used to. */
static void test_monitor_recalls_no_more_than_it_knew(void)
{
	check_int(knows_after_restart(true, ROW_ABNORMAL), 0);
	check_int(knows_after_restart(true, ROW_SHIFTED), 0);
}

static void test_monitor_accepts_an_episode(void)
{
	cleanup(monitor_free) struct monitor *monitor = NULL;
	int events[5] = {0};

	check_int(new_monitor(120, &monitor), 0);
	(void)offer_rows(monitor, 150, 0, 0, events);
	check_int(monitor_accept_episode(monitor, NULL), -ENODATA);
	(void)offer_rows(monitor, 20, 4, 50, events);
	check_int(monitor_accept_episode(monitor, NULL), 0);
	check(offer_rows(monitor, 50, 4, 50, events) <= 2);
	check_int(events[EPISODE_OPENED], 1);
}

/* A load that was judged normal, or has come before, is no alarm when M has long forgotten it: the
 * reference knows it. */
static void test_monitor_reference_remembers(void)
{
	cleanup(monitor_free) struct monitor *monitor = NULL;
	int first[5] = {0}, calm[5] = {0}, again[5] = {0};

	check_int(new_monitor(60, &monitor), 0);
	(void)offer_rows(monitor, 200, 0, 0, first);
	(void)offer_rows(monitor, 25, 4, 40, first);
	check_int(first[EPISODE_OPENED], 1);
	check_int(monitor_accept_episode(monitor, NULL), 0);
	(void)offer_rows(monitor, 300, 0, 0, calm);
	(void)offer_rows(monitor, 25, 4, 40, again);
	check_int(again[EPISODE_OPENED], 0);
}

/* A column that creeps away by a twentieth of a deviation a row never leaves M far enough to be
 * abnormal; the reference is what it has left. */
static void test_monitor_sees_a_slow_drift(void)
{
	cleanup(monitor_free) struct monitor *monitor = NULL;
	struct row_verdict verdict;
	int events[5] = {0}, abnormal = 0;
	bool shifted = false;
	double row[D];

	check_int(new_monitor(120, &monitor), 0);
	(void)offer_rows(monitor, 3000, 0, 0, events);
	for (int i = 0; i < 4000 && !shifted; i++) {
		make_row(row);
		row[5] += 0.25 * i;
		check_int(monitor_offer(monitor, row, &verdict, NULL), 0);
		abnormal += verdict.state == ROW_ABNORMAL;
		shifted = verdict.state == ROW_SHIFTED;
	}
	check(shifted);
	check(abnormal <= 4); /* no more than by chance */
	check(monitor_episode_is_open(monitor));
}

/* All twelve columns move along the principal components: SPE is blind to it, T2 is not. */
static void test_monitor_sees_what_goes_along_the_components(void)
{
	cleanup(monitor_free) struct monitor *monitor = NULL;
	struct row_verdict verdict;
	int events[5] = {0};
	double row[D];

	check_int(new_monitor(240, &monitor), 0);
	(void)offer_rows(monitor, 600, 0, 0, events);
	for (int i = 0; i < 4; i++) {
		make_row(row);
		for (int j = 0; j < D; j++)
			row[j] += 5 * 12;
		check_int(monitor_offer(monitor, row, &verdict, NULL), 0);
		check_int(verdict.state, ROW_ABNORMAL);
	}
}

/* As printed: M locks itself after a lasting shift, and each abnormal row is an alarm. */
static void test_monitor_preset_paper(void)
{
	cleanup(monitor_free) struct monitor *monitor = NULL;
	struct monitor_options options;
	int events[5] = {0};

	monitor_options_preset(&options, MONITOR_PAPER);
	monitor_options_scale(&options, 120);
	check_int(monitor_new(&options, &monitor, NULL), 0);
	for (int j = 0; j < D; j++)
		check_int(monitor_add_column(monitor, 0, NULL), j);
	(void)offer_rows(monitor, 200, 0, 0, events);
	check_int(offer_rows(monitor, 1, 4, 100, events), 1);
	check_int(offer_rows(monitor, 1, 4, 0, events), 0);
	check_int(offer_rows(monitor, 500, 4, 100, events), 500);
	check_int(events[EPISODE_SHIFTED], 0);
}

static void test_monitor_bad_options(void)
{
	struct monitor_options options;
	struct monitor *monitor;
	struct error err = ERROR_INIT;

	monitor_options_preset(&options, MONITOR_CALIBRATED);
	options.alpha = 0;
	check_int(monitor_new(&options, &monitor, &err), -EINVAL);
	check(strstr(err.text, "alpha"));
	monitor_options_preset(&options, MONITOR_CALIBRATED);
	options.min_rows = 721;
	check_int(monitor_new(&options, &monitor, &err), -EINVAL);
}

TEST_MAIN(TEST(test_monitor_false_alarms_on_white_data), TEST(test_monitor_opens_names_and_clears),
	  TEST(test_monitor_lasting_shift_is_unlocked),
	  TEST(test_monitor_unlocks_no_sooner_than_told), TEST(test_monitor_gap_cells_are_neutral),
	  TEST(test_monitor_columns_come_and_go), TEST(test_monitor_hostile_numbers),
	  TEST(test_monitor_constant_columns_alarm_when_they_move),
	  TEST(test_monitor_restore_continues_in_mid_episode),
	  TEST(test_monitor_restores_shifted_rows_without_a_reference),
	  TEST(test_monitor_restores_rows_without_a_model),
	  TEST(test_monitor_recalls_what_the_reference_knew),
	  TEST(test_monitor_recalls_no_more_than_it_knew), TEST(test_monitor_accepts_an_episode),
	  TEST(test_monitor_reference_remembers), TEST(test_monitor_sees_a_slow_drift),
	  TEST(test_monitor_sees_what_goes_along_the_components), TEST(test_monitor_preset_paper),
	  TEST(test_monitor_bad_options))
