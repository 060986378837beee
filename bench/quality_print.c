/* SPDX-License-Identifier: Apache-2.0 */
#include "quality_print.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "terminal/table.h"

DEFINE_CLEANUP(struct table *, table_free)

enum {
	EVENTS = 1 << SET_EVENTS,
	QUIET = 1 << SET_QUIET,
	CULPRIT = 1 << SET_CULPRIT,
	ATTACK = 1 << SET_ATTACK,
	LABELLED = EVENTS | ATTACK,
	ALL = EVENTS | QUIET | CULPRIT | ATTACK,
};

/* Of one entity, or of all of a set: a mean over entities, or a pool where it says so. */
typedef double figure_function(const struct result *results, size_t count);

/* The mean over those entities that have the figure. */
static double mean_of(const struct result *results, size_t count,
		      double (*figure)(const struct result *result))
{
	double sum = 0;
	size_t having = 0;

	for (size_t i = 0; i < count; i++) {
		double value = figure(&results[i]);

		having += !isnan(value);
		sum += isnan(value) ? 0 : value;
	}
	return having > 0 ? sum / (double)having : NAN;
}

#define MEAN_FIGURE(name, expression)                                  \
	static double one_##name(const struct result *result)          \
	{                                                              \
		return expression;                                     \
	}                                                              \
	static double name(const struct result *results, size_t count) \
	{                                                              \
		return mean_of(results, count, one_##name);            \
	}

MEAN_FIGURE(precision, counts_precision(&result->plain))
MEAN_FIGURE(recall, counts_recall(&result->plain))
MEAN_FIGURE(f1, counts_f1(&result->plain))
MEAN_FIGURE(adjusted_f1, counts_f1(&result->adjusted))
MEAN_FIGURE(auc_pr, result->auc_pr)
MEAN_FIGURE(vus_pr, result->vus_pr)
MEAN_FIGURE(false_alarm_rate, counts_false_alarm_rate(&result->plain))
MEAN_FIGURE(service_first, result->service_first)
MEAN_FIGURE(paper_service_first, result->paper_service_first)
MEAN_FIGURE(culprit_first, result->culprit_first)
MEAN_FIGURE(culprit_in_three, result->culprit_in_three)
MEAN_FIGURE(usec_per_row, result->usec_per_row)

#define SUM_FIGURE(name, member)                                       \
	static double name(const struct result *results, size_t count) \
	{                                                              \
		double sum = 0;                                        \
		for (size_t i = 0; i < count; i++)                     \
			sum += (double)results[i].member;              \
		return sum;                                            \
	}

SUM_FIGURE(rows, rows)
SUM_FIGURE(unscored, unscored)
SUM_FIGURE(alarms, alarms)
SUM_FIGURE(false_alarms, false_alarms)
SUM_FIGURE(days, days)
SUM_FIGURE(events, events)
SUM_FIGURE(found, found)
SUM_FIGURE(named, named)
SUM_FIGURE(identified, identified)
SUM_FIGURE(hit_sum, hit_sum)
SUM_FIGURE(paper_hit_sum, paper_hit_sum)
SUM_FIGURE(set_f1_sum, set_f1_sum)

#define POOL_FIGURE(name, part, whole)                                     \
	static double name(const struct result *results, size_t count)     \
	{                                                                  \
		double divisor = whole(results, count);                    \
		return divisor > 0 ? part(results, count) / divisor : NAN; \
	}

POOL_FIGURE(false_alarms_per_day, false_alarms, days)
POOL_FIGURE(hit_open, hit_sum, identified)
POOL_FIGURE(paper_hit_open, paper_hit_sum, identified)
POOL_FIGURE(hit_all, hit_sum, named)
POOL_FIGURE(set_f1_open, set_f1_sum, identified)
POOL_FIGURE(set_f1_all, set_f1_sum, named)

static int compare_sizes(const void *left, const void *right)
{
	size_t a = *(const size_t *)left, b = *(const size_t *)right;

	return (a > b) - (a < b);
}

/* The median over all events that were found. */
static double delay(const struct result *results, size_t count)
{
	cleanup(free) size_t *delays = calloc(count * RESULT_EVENTS_MAX + 1, sizeof(*delays));
	size_t total = 0, low, high;

	for (size_t i = 0; delays && i < count; i++)
		for (size_t j = 0; j < results[i].found; j++)
			delays[total++] = results[i].delays[j];
	if (total == 0)
		return NAN;
	qsort(delays, total, sizeof(*delays), compare_sizes);
	low = (total - 1) / 2;
	high = total / 2;
	return ((double)delays[low] + (double)delays[high]) / 2;
}

static const struct figure {
	const char *title, *key;
	unsigned kinds;
	int decimals;
	figure_function *value;
} figures[] = {
	{"ROWS", "rows", ALL, 0, rows},
	{"UNSCORED", "unscored", ALL, 0, unscored},
	{"PREC", "precision", LABELLED, 3, precision},
	{"RECALL", "recall", LABELLED | CULPRIT, 3, recall},
	{"F1", "f1", LABELLED, 3, f1},
	{"(PA-F1)", "point_adjusted_f1", LABELLED, 3, adjusted_f1},
	{"AUC-PR", "auc_pr", LABELLED, 3, auc_pr},
	{"VUS-PR", "vus_pr", LABELLED, 3, vus_pr},
	{"FAR", "false_alarm_rate", LABELLED | QUIET, 4, false_alarm_rate},
	{"ALARMS", "alarms", ALL, 0, alarms},
	{"FALSE", "false_alarms", LABELLED | QUIET, 0, false_alarms},
	{"/DAY", "false_alarms_per_day", LABELLED | QUIET, 2, false_alarms_per_day},
	{"EVENTS", "events", LABELLED | CULPRIT, 0, events},
	{"FOUND", "found", LABELLED | CULPRIT, 0, found},
	{"DELAY", "delay_rows_median", LABELLED | CULPRIT, 1, delay},
	{"NAMED", "named", EVENTS | CULPRIT, 0, named},
	{"OPEN", "identified", EVENTS | CULPRIT, 0, identified},
	{"HIT", "hit_100_open", EVENTS, 3, hit_open},
	{"PAPER'S", "hit_100_open_paper_rule", EVENTS, 3, paper_hit_open},
	{"HIT-ALL", "hit_100_all", EVENTS, 3, hit_all},
	{"SET-F1", "set_f1_open", EVENTS, 3, set_f1_open},
	{"SET-ALL", "set_f1_all", EVENTS, 3, set_f1_all},
	{"SERVICE", "service_first", CULPRIT, 2, service_first},
	{"PAPER'S", "service_first_paper_rule", CULPRIT, 2, paper_service_first},
	{"FIRST", "culprit_first", CULPRIT, 2, culprit_first},
	{"IN-3", "culprit_in_first_three", CULPRIT, 2, culprit_in_three},
	{"US/ROW", "usec_per_row", ALL, 0, usec_per_row},
};

enum { FIGURES = sizeof(figures) / sizeof(figures[0]) };

static bool has_figure(const struct report *report, const struct figure *figure)
{
	return figure->kinds >> report->set->kind & 1;
}

static void print_line(struct table *table, const struct report *report, const char *name,
		       const struct result *results, size_t count)
{
	table_cell(table, "%s", name);
	for (size_t i = 0; i < FIGURES; i++) {
		double value;

		if (!has_figure(report, &figures[i]))
			continue;
		value = figures[i].value(results, count);
		if (isnan(value))
			table_cell(table, "-");
		else
			table_cell(table, "%.*f", figures[i].decimals, value);
	}
}

/* Those that are done, in one piece. Returns owned, NULL when memory is out. */
static struct result *gather(const struct report *report, size_t *ret_count)
{
	struct result *results = calloc(report->count + 1, sizeof(*results));

	*ret_count = 0;
	for (size_t i = 0; results && i < report->count; i++)
		if (report->results[i].done)
			results[(*ret_count)++] = report->results[i];
	return results;
}

void report_print(const struct report *report)
{
	cleanup(table_free) struct table *table = table_new();
	size_t count;
	cleanup(free) struct result *done = gather(report, &count);

	printf("\n%s: %s. Preset %s\n", report->set->name, report->set->title,
	       report->preset->name);
	table_column(table, "NAME", TABLE_LEFT);
	for (size_t i = 0; i < FIGURES; i++)
		if (has_figure(report, &figures[i]))
			table_column(table, figures[i].title, TABLE_RIGHT);
	for (size_t i = 0; i < report->count; i++)
		if (report->results[i].done)
			print_line(table, report, report->names[i], &report->results[i], 1);
	if (done && count > 1)
		print_line(table, report, "all", done, count);
	table_print(table, stdout);
	printf("baselines: %s\n", report->set->baseline);
}

static json_t *describe(const struct report *report, const char *name, const struct result *results,
			size_t count)
{
	json_t *object = json_pack("{s:s}", "name", name);

	for (size_t i = 0; i < FIGURES; i++) {
		double value;

		if (!has_figure(report, &figures[i]))
			continue;
		value = figures[i].value(results, count);
		(void)json_object_set_new(object, figures[i].key,
					  isnan(value) ? json_null() : json_real(value));
	}
	return object;
}

json_t *report_json(const struct report *report)
{
	json_t *entities = json_array();
	size_t count;
	cleanup(free) struct result *done = gather(report, &count);

	for (size_t i = 0; i < report->count; i++)
		if (report->results[i].done)
			(void)json_array_append_new(entities, describe(report, report->names[i],
								       &report->results[i], 1));
	return json_pack("{s:s, s:s, s:s, s:o, s:o}", "set", report->set->name, "preset",
			 report->preset->name, "baselines", report->set->baseline, "entities",
			 entities, "all",
			 done ? describe(report, "all", done, count) : json_null());
}
