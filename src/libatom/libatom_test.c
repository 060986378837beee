/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an embedder is promised, through the shared library and its public headers: objects on
 * several threads at once answer as they do one after the other, an object may go from thread to
 * thread, and BLAS is left as the host program has it. The expected values are those of the same
 * rows in one thread.
 */
#include <cblas.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include <atom/blas_threads.h>
#include <atom/budget.h>
#include <atom/grid.h>
#include <atom/monitor.h>
#include <atom/observer.h>
#include <atom/tracker.h>

#include "base/test.h"

/* The same operations on the same numbers; or sums in another order, by which a quantile that the
 * monitor keeps (to 1e-3, detect/calibration.c) may be made anew a row earlier or later. */
#define EXACTLY 0.0
#define REORDERED 1e-3

enum { ROWS = 420, ONSET = 360, COLUMNS_MAX = 260, HOST_BLAS_THREADS = 2 };

/* One for each form of the model (detect/model.h): all eigenvalues, sliding products, row products.
 */
static const struct shape {
	size_t columns, window_rows;
} shapes[] = {{8, 240}, {120, 160}, {COLUMNS_MAX, 100}};

enum { SHAPES = sizeof(shapes) / sizeof(shapes[0]), RUNS = 2 * SHAPES };

/* A monitor of tracked columns, and what became of its rows. */
struct run {
	const struct shape *shape;
	uint64_t seed;
	struct monitor *monitor;
	struct observer observers[COLUMNS_MAX];
	struct row_verdict verdicts[ROWS];
	size_t sent, wrong, abnormal_columns;
	struct budget budget;
	int result;
};

static double uniform(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (double)(*state >> 11) / 9007199254740992.0 - 0.5;
}

/* Two common factors and noise; from the onset on one column is far off. */
static void make_row(const struct run *run, size_t row, double *ret_row)
{
	uint64_t state = run->seed * 1000003 + row;
	double f, g;

	(void)uniform(&state);
	f = 10 * uniform(&state);
	g = 10 * uniform(&state);
	for (size_t j = 0; j < run->shape->columns; j++)
		ret_row[j] = f * cos((double)j) + g * sin((double)j) + uniform(&state);
	if (row >= ONSET)
		ret_row[3] += 300;
}

static int run_init(struct run *run, const struct shape *shape, uint64_t seed)
{
	struct monitor_options options;
	int r;

	*run = (struct run){.shape = shape, .seed = seed};
	monitor_options_preset(&options, MONITOR_CALIBRATED);
	monitor_options_scale(&options, shape->window_rows);
	r = monitor_new(&options, &run->monitor, NULL);
	for (size_t j = 0; r >= 0 && j < shape->columns; j++) {
		r = monitor_add_column(run->monitor, 0.01, NULL);
		observer_init(&run->observers[j], 0.02, j % 2);
	}
	return r;
}

static void track(struct run *run, double *row)
{
	for (size_t j = 0; j < run->shape->columns; j++) {
		struct observer *observer = &run->observers[j];

		run->sent += observer_offer(observer, row[j]) != OBSERVER_SILENT;
		run->wrong += !(fabs(row[j] - observer_value(observer)) <= 0.02);
		row[j] = observer_value(observer);
	}
}

static int offer(struct run *run, size_t row)
{
	double values[COLUMNS_MAX] = {0};

	make_row(run, row, values);
	track(run, values);
	return monitor_offer(run->monitor, values, &run->verdicts[row], NULL);
}

static int conclude(struct run *run)
{
	static const struct budget_options options = {BUDGET_DIRECT, 0.002, 0.002, INFINITY};
	struct contribution contributions[COLUMNS_MAX];
	struct budget_spectrum spectrum;
	double std[COLUMNS_MAX];
	int count = monitor_identify(run->monitor, contributions);
	int r = monitor_spectrum(run->monitor, &spectrum, std);

	if (count < 0 || r < 0)
		return count < 0 ? count : r;
	while (run->abnormal_columns < (size_t)count &&
	       contributions[run->abnormal_columns].abnormal)
		run->abnormal_columns++;
	if (contributions[0].column != 3)
		run->wrong++;
	budget_solve(&options, &spectrum, &run->budget);
	return 0;
}

static void *run_all(void *argument)
{
	struct run *run = argument;

	for (size_t row = 0; row < ROWS && run->result >= 0; row++)
		run->result = offer(run, row);
	if (run->result >= 0)
		run->result = conclude(run);
	return NULL;
}

static bool near(double a, double b, double tolerance)
{
	return (isnan(a) && isnan(b)) || fabs(a - b) <= tolerance * fmax(fabs(a), fabs(b));
}

static bool agree(const struct run *a, const struct run *b, double tolerance)
{
	for (size_t row = 0; row < ROWS; row++) {
		const struct row_verdict *v = &a->verdicts[row], *w = &b->verdicts[row];

		if (v->state != w->state || v->event != w->event ||
		    v->components != w->components || !near(v->spe, w->spe, tolerance) ||
		    !near(v->q, w->q, tolerance))
			return false;
	}
	return a->sent == b->sent && a->abnormal_columns == b->abnormal_columns &&
	       near(a->budget.delta, b->budget.delta, tolerance);
}

static struct run *runs_new(void)
{
	struct run *runs = calloc(RUNS, sizeof(*runs));

	for (size_t i = 0; runs && i < RUNS; i++)
		if (run_init(&runs[i], &shapes[i % SHAPES], i + 1) < 0)
			abort();
	return runs;
}

static struct run *runs_free(struct run *runs)
{
	for (size_t i = 0; i < RUNS; i++)
		monitor_free(runs[i].monitor);
	free(runs);
	return NULL;
}

static size_t abnormal_rows(const struct run *run)
{
	size_t count = 0;

	for (size_t row = ONSET; row < ROWS; row++)
		count += run->verdicts[row].state == ROW_ABNORMAL;
	return count;
}

/* What one thread makes of the rows is sensible, so that agreeing with it means something. */
static void test_rows_in_one_thread(void)
{
	struct run *runs = runs_new();

	check(runs);
	blas_threads_use_one(); /* for the tests that follow, too */
	for (size_t i = 0; i < RUNS; i++) {
		(void)run_all(&runs[i]);
		check_int(runs[i].result, 0);
		check_int(runs[i].wrong, 0);
		check(abnormal_rows(&runs[i]) >= 10);
		check(runs[i].abnormal_columns >= 1);
		check(runs[i].budget.delta > 0);
		check(runs[i].verdicts[ROWS - 1].components >= 2);
	}
	runs_free(runs);
}

static void test_objects_on_threads_at_once(void)
{
	struct run *alone = runs_new(), *together = runs_new();
	pthread_t threads[RUNS];

	check(alone && together);
	for (size_t i = 0; i < RUNS; i++)
		(void)run_all(&alone[i]);
	for (size_t i = 0; i < RUNS; i++)
		check_int(pthread_create(&threads[i], NULL, run_all, &together[i]), 0);
	for (size_t i = 0; i < RUNS; i++)
		check_int(pthread_join(threads[i], NULL), 0);
	for (size_t i = 0; i < RUNS; i++) {
		check_int(together[i].result, 0);
		check(agree(&together[i], &alone[i], EXACTLY));
	}
	runs_free(alone);
	runs_free(together);
}

static void *settle(void *argument)
{
	struct run *run = argument;

	run->result = monitor_settle(run->monitor, NULL);
	return NULL;
}

/* The verdict in one thread, the model's update in another that begins when it is out. */
static void test_object_from_thread_to_thread(void)
{
	struct run *alone = runs_new(), *handed = runs_new();

	check(alone && handed);
	(void)run_all(&alone[0]);
	for (size_t row = 0; row < ROWS; row++) {
		pthread_t thread;

		check(offer(&handed[0], row) >= 0);
		check_int(pthread_create(&thread, NULL, settle, &handed[0]), 0);
		check_int(pthread_join(thread, NULL), 0);
		check(handed[0].result >= 0);
	}
	check_int(conclude(&handed[0]), 0);
	check(agree(&handed[0], &alone[0], EXACTLY));
	runs_free(alone);
	runs_free(handed);
}

/* Where the host lets BLAS run on several threads, they are still its own business, and ours answer
 * the same. */
static void test_blas_stays_as_the_host_has_it(void)
{
	struct run *alone = runs_new(), *together = runs_new();
	pthread_t thread;

	check(alone && together);
	(void)run_all(&alone[1]);
	(void)run_all(&alone[0]);
	openblas_set_num_threads(HOST_BLAS_THREADS);
	check_int(pthread_create(&thread, NULL, run_all, &together[1]), 0);
	(void)run_all(&together[0]);
	check_int(pthread_join(thread, NULL), 0);
	check_int(openblas_get_num_threads(), HOST_BLAS_THREADS);
	blas_threads_use_one();
	check_int(openblas_get_num_threads(), 1);
	for (size_t i = 0; i < 2; i++) {
		check_int(together[i].result, 0);
		check(agree(&together[i], &alone[i], REORDERED));
	}
	runs_free(alone);
	runs_free(together);
}

static void test_ends_of_a_series(void)
{
	struct observer observer;
	struct tracker tracker;
	int exponent;

	observer_init(&observer, 0.5, true);
	tracker_start_epoch(&tracker, 0.5);
	check_string(tracker_state_name(tracker.state), "unknown");
	check(track_grid_exponent(0.5, &exponent));
	check_int(exponent, -3);
	check_int(observer_offer(&observer, 7.3), OBSERVER_SEND);
	tracker_receive(&tracker, observer_value(&observer), 1);
	check_near(tracker.value, 7.3, 0.5);
	check_int(observer_offer(&observer, 7.5), OBSERVER_SILENT);
	check_int(observer_offer(&observer, NAN), OBSERVER_GAP);
	tracker_receive_gap(&tracker, 2);
	check_string(tracker_state_name(tracker.state), "gap");
}

static void test_error_says_why(void)
{
	struct monitor_options options;
	struct monitor *monitor = NULL;
	struct error err = ERROR_INIT;

	monitor_options_preset(&options, MONITOR_PAPER);
	options.alpha = 2;
	check(monitor_new(&options, &monitor, &err) < 0);
	check(!monitor);
	check(strstr(error_text(&err, err.code), "alpha"));
}

TEST_MAIN(TEST(test_ends_of_a_series), TEST(test_error_says_why), TEST(test_rows_in_one_thread),
	  TEST(test_objects_on_threads_at_once), TEST(test_object_from_thread_to_thread),
	  TEST(test_blas_stays_as_the_host_has_it))
