/* SPDX-License-Identifier: Apache-2.0 */
#include "quality_run.h"

#include <errno.h>
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "detect/identify.h"
#include "metric/metric.h"

enum { SHORT_LEARNING_ROWS = 30 };

DEFINE_CLEANUP(struct monitor *, monitor_free)

/* Presets */

static void fill_calibrated(struct monitor_options *options)
{
	monitor_options_preset(options, MONITOR_CALIBRATED);
}

static void fill_paper(struct monitor_options *options)
{
	monitor_options_preset(options, MONITOR_PAPER);
	options->min_rows = options->window_rows;
}

static const struct preset presets[] = {
	{"calibrated", fill_calibrated},
	{"paper", fill_paper},
};

const struct preset *preset_at(size_t position)
{
	return position < sizeof(presets) / sizeof(presets[0]) ? &presets[position] : NULL;
}

const struct preset *preset_find(const char *name)
{
	for (size_t i = 0; i < sizeof(presets) / sizeof(presets[0]); i++)
		if (strcmp(presets[i].name, name) == 0)
			return &presets[i];
	return NULL;
}

/* One pass */

/* How well an event's columns were named, by its newest row with an open episode. */
struct identified {
	bool is_open;
	double hit, paper_hit, set_f1;
};

struct pass {
	const struct entity *entity;
	const struct run_settings *settings;
	struct result *result;
	struct monitor *monitor;
	size_t onset_rows;
	double *score; /* per judged row, as all of these */
	bool *verdict;
	struct span *alarms;
	struct contribution *contributions;
	bool *flagged; /* per column */
	size_t *ranked, *paper_ranked;
	struct identified *named; /* per event of the entity */
};

/* The resolution of the metric where a column is "VM.Metric". */
static double floor_of(const char *name)
{
	const char *dot = strrchr(name, '.');
	enum metric metric;

	if (!dot || metric_parse(dot + 1, &metric) < 0)
		return 0;
	return metric_info(metric)->resolution;
}

static size_t first_labelled(const struct entity *entity)
{
	size_t row = entity->train_rows;

	while (row < entity->rows && !entity->label[row - entity->train_rows])
		row++;
	return row;
}

/* A recording with hardly an interval of calm before its attack must be learnt from sooner. */
static void adapt_options(const struct entity *entity, struct monitor_options *options)
{
	size_t usual = options->min_rows ? options->min_rows : options->window_rows / 4;

	if (first_labelled(entity) < usual + MONITOR_CALIBRATION_ROWS)
		options->min_rows = SHORT_LEARNING_ROWS;
}

static int start(struct pass *pass, struct error *err)
{
	const struct entity *entity = pass->entity;
	struct monitor_options options;
	int r;

	pass->settings->preset->fill(&options);
	adapt_options(entity, &options);
	pass->onset_rows = options.onset_rows;
	r = monitor_new(&options, &pass->monitor, err);
	for (size_t i = 0; r >= 0 && i < entity->columns; i++)
		r = monitor_add_column(pass->monitor, floor_of(entity->names[i]), err);
	return r < 0 ? r : 0;
}

/* What ranks the rows: how far the row is beyond its threshold. 0 while there is none; infinite (a
 * constant column that changed) is the highest there is. */
static double score_of(const struct row_verdict *verdict)
{
	return fmin(verdict->score, DBL_MAX);
}

static bool is_abnormal(const struct row_verdict *verdict)
{
	return verdict->state == ROW_ABNORMAL;
}

/* An alarm that stands already when the judged rows begin is one of theirs. */
static void follow_alarm(struct pass *pass, size_t row, const struct row_verdict *verdict)
{
	struct result *result = pass->result;
	bool is_open = monitor_episode_is_open(pass->monitor);

	if (verdict->event == EPISODE_OPENED || (row == 0 && is_open))
		pass->alarms[result->alarms++].first =
			row + 1 > pass->onset_rows ? row + 1 - pass->onset_rows : 0;
	if (is_open)
		pass->alarms[result->alarms - 1].last = row;
}

/* Ranks the columns by the episode under way, and by the paper's rule. Returns how many, 0 without
 * an episode. */
static size_t identify(struct pass *pass)
{
	int count = monitor_identify(pass->monitor, pass->contributions);

	memset(pass->flagged, 0, pass->entity->columns * sizeof(*pass->flagged));
	for (int i = 0; i < count; i++) {
		pass->ranked[i] = pass->contributions[i].column;
		pass->flagged[pass->ranked[i]] = pass->contributions[i].abnormal;
	}
	if (count <= 0)
		return 0;
	identify_rank(pass->contributions, (size_t)count, CONTRIBUTIONS_BY_STDDEV);
	for (int i = 0; i < count; i++)
		pass->paper_ranked[i] = pass->contributions[i].column;
	return (size_t)count;
}

/* An event's newest identification counts. Events may overlap and come in any order. */
static void identify_events(struct pass *pass, size_t row)
{
	const struct entity *entity = pass->entity;
	size_t count = 0;

	if (!monitor_episode_is_open(pass->monitor))
		return;
	for (size_t i = 0; i < entity->event_count; i++) {
		const struct event *event = &entity->events[i];

		if (row < event->rows.first || row > event->rows.last)
			continue;
		if (count == 0)
			count = identify(pass);
		if (count == 0)
			return;
		pass->named[i].is_open = true;
		pass->named[i].hit =
			measure_hit_rate(pass->ranked, count, event->is_true, entity->columns);
		pass->named[i].paper_hit = measure_hit_rate(pass->paper_ranked, count,
							    event->is_true, entity->columns);
		pass->named[i].set_f1 =
			measure_set_f1(pass->flagged, event->is_true, entity->columns);
	}
}

static void sum_identified(struct pass *pass)
{
	struct result *result = pass->result;

	for (size_t i = 0; i < pass->entity->event_count; i++) {
		result->named++;
		if (!pass->named[i].is_open)
			continue;
		result->identified++;
		result->hit_sum += pass->named[i].hit;
		result->paper_hit_sum += pass->named[i].paper_hit;
		result->set_f1_sum += pass->named[i].set_f1;
	}
}

/* "carts-db" of "carts-db_cpu". */
static bool is_same_service(const char *left, const char *right)
{
	size_t length = strcspn(left, "_");

	return length == strcspn(right, "_") && strncmp(left, right, length) == 0;
}

static void identify_culprit(struct pass *pass, size_t row)
{
	const struct entity *entity = pass->entity;
	size_t culprit = (size_t)entity->culprit, count;
	struct result *result = pass->result;

	if (entity->culprit < 0 || row >= CULPRIT_ROWS || !monitor_episode_is_open(pass->monitor))
		return;
	count = identify(pass);
	result->named = 1;
	result->identified = 1;
	result->service_first = count > 0 && is_same_service(entity->names[pass->ranked[0]],
							     entity->names[culprit]);
	result->paper_service_first =
		count > 0 &&
		is_same_service(entity->names[pass->paper_ranked[0]], entity->names[culprit]);
	result->culprit_first = count > 0 && pass->ranked[0] == culprit;
	result->culprit_in_three = false;
	for (size_t i = 0; i < count && i < 3; i++)
		result->culprit_in_three |= pass->ranked[i] == culprit;
}

static int go_through(struct pass *pass, FILE *scores, struct error *err)
{
	const struct entity *entity = pass->entity;
	struct row_verdict verdict;

	for (size_t i = 0; i < entity->rows; i++) {
		size_t row = i - entity->train_rows;
		int r = monitor_offer(pass->monitor, entity->values + i * entity->columns, &verdict,
				      err);

		if (r < 0)
			return error_prefix(err, r, "row %zu", i);
		if (i < entity->train_rows)
			continue;
		pass->score[row] = score_of(&verdict);
		pass->verdict[row] = is_abnormal(&verdict);
		pass->result->unscored += isnan(verdict.spe);
		follow_alarm(pass, row, &verdict);
		identify_events(pass, row);
		identify_culprit(pass, row);
		if (scores)
			(void)fprintf(scores, "%zu,%.17g,%.17g,%.17g,%d,%d,%d\n", row,
				      pass->score[row], verdict.spe, verdict.q, verdict.state,
				      pass->verdict[row], entity->label[row]);
	}
	return 0;
}

/* Afterwards, beside the labels */

static int measure(struct pass *pass)
{
	const struct entity *entity = pass->entity;
	struct result *result = pass->result;
	size_t rows = entity->rows - entity->train_rows;
	cleanup(free) struct span *events = calloc(rows / 2 + 1, sizeof(*events));
	int r;

	if (!events)
		return -ENOMEM;
	sum_identified(pass);
	measure_count(pass->verdict, entity->label, rows, &result->plain);
	r = measure_auc_pr(pass->score, entity->label, rows, &result->auc_pr);
	if (r == 0)
		r = measure_vus_pr(pass->score, entity->label, rows, pass->settings->vus_length,
				   &result->vus_pr);
	result->events = measure_spans(entity->label, rows, events);
	result->false_alarms = measure_false_alarms(pass->alarms, result->alarms, events,
						    result->events, EVENT_TOLERANCE_ROWS);
	for (size_t i = 0; i < result->events && result->found < RESULT_EVENTS_MAX; i++)
		result->found +=
			measure_delay(pass->verdict, &events[i], &result->delays[result->found]);
	measure_point_adjust(pass->verdict, entity->label, rows);
	measure_count(pass->verdict, entity->label, rows, &result->adjusted);
	return r;
}

static FILE *open_scores(const struct pass *pass, struct error *err)
{
	const struct entity *entity = pass->entity;
	char path[PATH_MAX];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s_%s_%s.csv", pass->settings->scores,
		       entity->set->name, entity->name, pass->settings->preset->name);
	file = fopen(path, "we");
	if (!file)
		(void)error_set_errno(err, -errno, "%s", path);
	else
		(void)fputs("row,score,spe,q,state,abnormal,label\n", file);
	return file;
}

static int run_pass(struct pass *pass, struct error *err)
{
	cleanup(fclose) FILE *scores = NULL;
	int64_t before = clock_mono_usec();
	int r = start(pass, err);

	if (r == 0 && pass->settings->scores && !(scores = open_scores(pass, err)))
		r = -EIO;
	if (r == 0)
		r = go_through(pass, scores, err);
	if (r < 0)
		return r;
	pass->result->usec_per_row =
		(double)(clock_mono_usec() - before) / (double)pass->entity->rows;
	return measure(pass) < 0 ? error_set(err, -ENOMEM, "out of memory") : 0;
}

int entity_measure(const struct entity *entity, const struct run_settings *settings,
		   struct result *ret_result, struct error *err)
{
	size_t rows = entity->rows - entity->train_rows;
	cleanup(free) double *score = calloc(rows + 1, sizeof(*score));
	cleanup(free) bool *verdict = calloc(rows + 1, sizeof(*verdict));
	cleanup(free) struct span *alarms = calloc(rows + 1, sizeof(*alarms));
	cleanup(free) bool *flagged = calloc(entity->columns, sizeof(*flagged));
	cleanup(free) size_t *ranked = calloc(2 * entity->columns, sizeof(*ranked));
	cleanup(free) struct contribution *contributions =
		calloc(entity->columns, sizeof(*contributions));
	cleanup(free) struct identified *named = calloc(entity->event_count + 1, sizeof(*named));
	struct pass pass = {.entity = entity,
			    .settings = settings,
			    .result = ret_result,
			    .score = score,
			    .verdict = verdict,
			    .alarms = alarms,
			    .contributions = contributions,
			    .flagged = flagged,
			    .ranked = ranked,
			    .paper_ranked = ranked ? ranked + entity->columns : NULL,
			    .named = named};
	int r;

	*ret_result = (struct result){.train_rows = entity->train_rows,
				      .rows = rows,
				      .columns = entity->columns,
				      .days = (double)rows * entity->set->interval_sec / 86400};
	if (!score || !verdict || !alarms || !flagged || !ranked || !contributions || !named)
		return error_set(err, -ENOMEM, "out of memory");
	r = run_pass(&pass, err);
	monitor_free(pass.monitor);
	ret_result->done = r == 0;
	return r;
}
