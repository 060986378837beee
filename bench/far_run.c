/* SPDX-License-Identifier: Apache-2.0 */
#include "far_run.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "far_exact.h"

/* The copy's SPE and the monitor's may differ by what its faster forms are allowed to. */
#define SPE_TOLERANCE 0.03

DEFINE_CLEANUP(struct monitor *, monitor_free)
DEFINE_CLEANUP(struct exact *, exact_free)

struct run {
	const struct plan *plan;
	struct monitor *monitor;
	struct exact *exact;
	struct source source;
	double *before;
	struct tally *tally;
	size_t in_a_row, episode, batch_alarms;
	bool open;
};

static int set_up(struct run *run)
{
	size_t d = run->plan->family.columns;
	struct monitor_options options;
	cleanup(free) double *covariance = calloc(d * d, sizeof(*covariance));

	run->before = calloc(d, sizeof(*run->before));
	if (!covariance || !run->before ||
	    source_init(&run->source, &run->plan->family, run->plan->seed) < 0)
		return -ENOMEM;
	source_covariance(&run->source, covariance);
	run->exact = exact_new(d, FAR_WINDOW, covariance, run->plan->family.rho);
	if (!run->exact)
		return -ENOMEM;
	monitor_options_preset(&options, MONITOR_CALIBRATED);
	run->plan->preset->fill(&options);
	options.window_rows = FAR_WINDOW;
	options.min_rows = FAR_WINDOW;
	run->tally->alpha = options.alpha;
	if (monitor_new(&options, &run->monitor, NULL) < 0)
		return -ENOMEM;
	for (size_t j = 0; j < d; j++)
		if (monitor_add_column(run->monitor, 0, NULL) < 0)
			return -E2BIG;
	return 0;
}

static void ask_exact(struct run *run, const struct row_verdict *verdict)
{
	struct exact_tails tails;

	if (isnan(verdict->q) ||
	    exact_tails(run->exact, run->before, run->source.row, verdict, &tails) < 0)
		return;
	if (!(fabs(tails.spe - verdict->spe) <= SPE_TOLERANCE * tails.spe)) {
		run->tally->exact_off++;
		return;
	}
	run->tally->exact_count++;
	run->tally->next_sum += tails.next;
	run->tally->fresh_sum += tails.fresh;
}

static size_t larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

/* The episode's length counts its rows from the first abnormal one. */
static void count_episode(struct run *run, const struct row_verdict *verdict, bool alarm)
{
	struct tally *tally = run->tally;

	if (verdict->event == EPISODE_OPENED) {
		run->open = true;
		run->episode = run->in_a_row;
		tally->episodes++;
	} else if (run->open) {
		run->episode++;
	}
	tally->unlocks += verdict->event == EPISODE_SHIFTED;
	if (verdict->event == EPISODE_CLOSED)
		run->open = false;
	if (run->open && alarm)
		tally->longest_episode = larger(tally->longest_episode, run->episode);
}

static void count_row(struct run *run, const struct row_verdict *verdict)
{
	struct tally *tally = run->tally;
	bool alarm = verdict->state == ROW_ABNORMAL || verdict->state == ROW_SHIFTED;

	tally->rows++;
	tally->states[verdict->state]++;
	tally->components += (double)verdict->components;
	run->in_a_row = alarm ? run->in_a_row + 1 : 0;
	tally->longest_run = larger(tally->longest_run, run->in_a_row);
	count_episode(run, verdict, alarm);
	run->batch_alarms += alarm;
	if (tally->rows % FAR_BATCH == 0) {
		double alarms = (double)run->batch_alarms;

		tally->batches++;
		tally->batch_sum += alarms;
		tally->batch_squares += alarms * alarms;
		run->batch_alarms = 0;
	}
}

static int run_rows(struct run *run)
{
	const struct plan *plan = run->plan;
	struct row_verdict verdict;

	for (size_t i = 0; i < 2 * FAR_WINDOW + plan->rows; i++) {
		bool counted = i >= 2 * FAR_WINDOW;
		int r;

		source_next(&run->source);
		r = monitor_offer(run->monitor, run->source.row, &verdict, NULL);
		if (r < 0)
			return r;
		if (counted && plan->exact_rows > 0 && i % plan->exact_rows == 0)
			ask_exact(run, &verdict);
		if (counted)
			count_row(run, &verdict);
		exact_follow(run->exact, run->source.row, &verdict);
		memcpy(run->before, run->source.row, plan->family.columns * sizeof(*run->before));
	}
	return 0;
}

void far_run(const struct plan *plan, struct tally *ret_tally)
{
	struct run run = {.plan = plan, .tally = ret_tally};
	int r;

	*ret_tally = (struct tally){0};
	r = set_up(&run);
	if (r == 0)
		r = run_rows(&run);
	ret_tally->failed = r;
	monitor_free(run.monitor);
	exact_free(run.exact);
	source_deinit(&run.source);
	free(run.before);
}

void tally_add(struct tally *sum, const struct tally *run)
{
	sum->failed = sum->failed < 0 ? sum->failed : run->failed;
	sum->rows += run->rows;
	for (size_t i = 0; i < FAR_STATES; i++)
		sum->states[i] += run->states[i];
	sum->longest_run = larger(sum->longest_run, run->longest_run);
	sum->longest_episode = larger(sum->longest_episode, run->longest_episode);
	sum->episodes += run->episodes;
	sum->unlocks += run->unlocks;
	sum->batches += run->batches;
	sum->batch_sum += run->batch_sum;
	sum->batch_squares += run->batch_squares;
	sum->components += run->components;
	sum->exact_count += run->exact_count;
	sum->exact_off += run->exact_off;
	sum->next_sum += run->next_sum;
	sum->fresh_sum += run->fresh_sum;
	sum->alpha = run->alpha;
}

size_t tally_false_alarms(const struct tally *tally)
{
	return tally->states[ROW_ABNORMAL] + tally->states[ROW_SHIFTED];
}
