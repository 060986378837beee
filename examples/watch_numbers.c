/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libatom in one page: numbers are tracked, what the tracker knows of them is watched, and how far
 * it may be off follows from what that costs the watching.
 *
 *     watch_numbers [WINDOW [MU]] < FILE
 *
 * FILE has a row per line, numbers with commas or blanks between; `nan` is a number that could not
 * be had. WINDOW rows (default 720) are what is normal. MU (default 0.002; 0: every value is sent
 * exactly) is the change of the false alarm rate that the tracking may cause.
 *
 *     cc watch_numbers.c $(pkg-config --cflags --libs libatom) -lm
 */
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <atom/budget.h>
#include <atom/delta_plan.h>
#include <atom/monitor.h>
#include <atom/observer.h>
#include <atom/tracker.h>

/* The two ends of a number. The observer is where the number arises, the tracker is where it is
 * wanted; between them is your network, here an assignment. */
struct series {
	struct observer observer;
	struct tracker tracker;
};

struct watch {
	size_t columns, rows, sent, alarms;
	struct series *series;
	struct monitor *monitor;
	struct budget_options budget;
	struct delta_plan plan;
	double *row;                        /* as read, then as tracked */
	double *std;                        /* per column */
	struct contribution *contributions; /* per column */
};

static void pass_on(struct watch *watch, struct series *series, enum observer_answer answer)
{
	int64_t now = (int64_t)watch->rows;

	if (answer == OBSERVER_SEND)
		tracker_receive(&series->tracker, observer_value(&series->observer), now);
	if (answer == OBSERVER_GAP)
		tracker_receive_gap(&series->tracker, now);
	watch->sent += answer != OBSERVER_SILENT;
}

/* Replaces the row by what the trackers hold: within the maximum error of each, or not known. */
static void track_row(struct watch *watch)
{
	for (size_t j = 0; j < watch->columns; j++) {
		struct series *series = &watch->series[j];

		pass_on(watch, series, observer_offer(&series->observer, watch->row[j]));
		tracker_tick(&series->tracker);
		watch->row[j] = series->tracker.state == TRACKER_GOOD ? series->tracker.value : NAN;
	}
}

/* Both ends of a column and the monitor learn of another maximum error at the same instant. An
 * error that is uniform in +-Delta has the deviation Delta / sqrt 3. */
static void set_delta(struct watch *watch, size_t column, double delta)
{
	struct series *series = &watch->series[column];

	series->tracker.delta = delta;
	pass_on(watch, series, observer_set_delta(&series->observer, delta));
	monitor_set_floor(watch->monitor, column, delta / sqrt(3));
}

/* Now and then, as the plan says: how far off may the columns be? */
static void plan_deltas(struct watch *watch, bool trusted)
{
	static const struct delta_limits limits = {.floor = 0, .cap = INFINITY};
	enum delta_step step = delta_plan_row(&watch->plan, trusted);
	struct budget_spectrum spectrum;
	struct budget budget;
	bool changed = false;

	if (watch->budget.mu == 0 || step == DELTA_STEP_NONE ||
	    monitor_spectrum(watch->monitor, &spectrum, watch->std) < 0)
		return;
	budget_solve(&watch->budget, &spectrum, &budget);
	for (size_t j = 0; j < watch->columns; j++) {
		double old = watch->series[j].observer.delta;
		double next = delta_plan_next(old, budget.delta * watch->std[j], &limits, step);

		if (next == old)
			continue;
		set_delta(watch, j, next);
		changed = true;
	}
	if (changed)
		(void)delta_plan_commit(&watch->plan);
}

static void print_alarm(struct watch *watch, const struct row_verdict *verdict)
{
	int count = monitor_identify(watch->monitor, watch->contributions);

	printf("row %zu: alarm %zu: SPE %.4g, Q %.4g:", watch->rows, ++watch->alarms, verdict->spe,
	       verdict->q);
	for (int i = 0; i < count && watch->contributions[i].abnormal; i++) {
		const struct contribution *c = &watch->contributions[i];

		printf(" column %zu %s (%.1f sd)", c->column + 1,
		       c->mean_abnormal > c->mean_normal ? "up" : "down", c->stddev);
	}
	putchar('\n');
}

static int watch_row(struct watch *watch, struct error *err)
{
	struct row_verdict verdict;
	int r;

	watch->rows++;
	track_row(watch);
	r = monitor_offer(watch->monitor, watch->row, &verdict, err);
	if (r < 0)
		return error_prefix(err, r, "row %zu", watch->rows);
	if (verdict.event == EPISODE_OPENED)
		print_alarm(watch, &verdict);
	if (verdict.event == EPISODE_SHIFTED)
		printf("row %zu: this may be how things are from now on\n", watch->rows);
	if (verdict.event == EPISODE_CLOSED)
		printf("row %zu: over\n", watch->rows);
	plan_deltas(watch, verdict.state == ROW_NORMAL && !monitor_episode_is_open(watch->monitor));
	return 0;
}

/* As many columns as the first row has numbers. */
static int set_columns(struct watch *watch, size_t columns, struct error *err)
{
	watch->columns = columns;
	watch->series = calloc(columns, sizeof(*watch->series));
	watch->row = calloc(columns, sizeof(*watch->row));
	watch->std = calloc(columns, sizeof(*watch->std));
	watch->contributions = calloc(columns, sizeof(*watch->contributions));
	if (!watch->series || !watch->row || !watch->std || !watch->contributions)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t j = 0; j < columns; j++) {
		int r = monitor_add_column(watch->monitor, 0, err);

		if (r < 0)
			return r;
		observer_init(&watch->series[j].observer, 0, false);
		tracker_start_epoch(&watch->series[j].tracker, 0);
	}
	return 0;
}

/* How many numbers a line has, or -EINVAL; the first `count_max` of them into ret_row. */
static int parse(const char *line, double *ret_row, size_t count_max, struct error *err)
{
	size_t count = 0;

	for (;;) {
		char *end;
		double value;

		while (*line == ' ' || *line == '\t' || *line == ',' || *line == '\n')
			line++;
		if (*line == '\0')
			return (int)count;
		value = strtod(line, &end);
		if (end == line)
			return error_set(err, -EINVAL, "not a number: '%.20s'", line);
		if (count < count_max)
			ret_row[count] = value;
		count++;
		line = end;
	}
}

static int watch_line(struct watch *watch, const char *line, struct error *err)
{
	int count = parse(line, watch->row, watch->columns, err);
	int r = 0;

	if (count <= 0)
		return count;
	if (watch->columns == 0) {
		r = set_columns(watch, (size_t)count, err);
		if (r < 0)
			return r;
		(void)parse(line, watch->row, watch->columns, NULL);
	}
	if ((size_t)count != watch->columns)
		return error_set(err, -EINVAL, "%d numbers after row %zu, which has %zu", count,
				 watch->rows, watch->columns);
	return watch_row(watch, err);
}

static int watch_init(struct watch *watch, size_t window_rows, double mu, struct error *err)
{
	struct monitor_options options;

	if (!(mu >= 0 && mu < 0.5))
		return error_set(err, -EINVAL, "MU is between 0 and 0.5");
	monitor_options_preset(&options, MONITOR_CALIBRATED);
	monitor_options_scale(&options, window_rows);
	watch->budget = (struct budget_options){.method = BUDGET_DIRECT,
						.alpha = options.alpha,
						.mu = mu,
						.power_loss_max = INFINITY};
	delta_plan_init(&watch->plan, window_rows / 4 + 1);
	return monitor_new(&options, &watch->monitor, err);
}

static void watch_deinit(struct watch *watch)
{
	monitor_free(watch->monitor);
	free(watch->series);
	free(watch->row);
	free(watch->std);
	free(watch->contributions);
}

int main(int argc, char **argv)
{
	size_t window_rows = argc > 1 ? strtoul(argv[1], NULL, 10) : 720;
	double mu = argc > 2 ? strtod(argv[2], NULL) : 0.002;
	struct error err = ERROR_INIT;
	struct watch watch = {0};
	size_t size = 0;
	char *line = NULL;
	int r = watch_init(&watch, window_rows, mu, &err);

	while (r >= 0 && getline(&line, &size, stdin) >= 0)
		r = watch_line(&watch, line, &err);
	if (r < 0)
		(void)fprintf(stderr, "watch_numbers: %s\n", error_text(&err, r));
	else
		printf("%zu rows of %zu columns: %zu alarms, %zu of %zu values sent\n", watch.rows,
		       watch.columns, watch.alarms, watch.sent, watch.rows * watch.columns);
	watch_deinit(&watch);
	free(line);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
