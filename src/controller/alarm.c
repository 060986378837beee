/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/alarm.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "controller/api.h"
#include "controller/group.h"
#include "controller/history.h"

enum { SUMMARY_METRICS_MAX = 4, SUMMARY_VMS_MAX = 6 };

/* Evidence */

static json_t *describe_column(const struct group *group, const struct contribution *contribution)
{
	const struct column *column = &group->columns[contribution->column];
	const struct metric_info *info = metric_info(column->metric);
	bool up = contribution->mean_abnormal > contribution->mean_normal;

	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:s, s:b, s:b}", "vm",
			 column->vm->name, "uuid", column->vm->uuid_text, "node",
			 column->vm->node->name, "metric", info->name, "unit", info->unit, "rd",
			 api_number(contribution->rd), "stddev", api_number(contribution->stddev),
			 "meandiff", api_number(contribution->meandiff), "mean_normal",
			 api_number(contribution->mean_normal), "mean_abnormal",
			 api_number(contribution->mean_abnormal), "direction", up ? "up" : "down",
			 "from_zero", contribution->from_zero, "abnormal", contribution->abnormal);
}

static json_t *describe_columns(const struct group *group)
{
	size_t capacity = monitor_columns(group->monitor) + 1;
	cleanup(free) struct contribution *contributions = calloc(capacity, sizeof(*contributions));
	json_t *columns = json_array();
	int count = contributions ? monitor_identify(group->monitor, contributions) : -1;

	for (int i = 0; i < count; i++)
		(void)json_array_append_new(columns, describe_column(group, &contributions[i]));
	return columns;
}

/* The summary: VMs in the order of their strongest column, with that order's strongest metrics. */

static void write_metric(FILE *stream, const json_t *column, bool first)
{
	double deviations = json_number_value(json_object_get(column, "stddev"));

	(void)fprintf(stream, "%s %s %s (%.1f sd%s)", first ? ":" : ",",
		      json_string_value(json_object_get(column, "metric")),
		      json_string_value(json_object_get(column, "direction")), deviations,
		      json_is_true(json_object_get(column, "from_zero")) ? ", from zero" : "");
}

static bool is_abnormal(const json_t *column)
{
	return json_is_true(json_object_get(column, "abnormal"));
}

static const char *uuid_of(const json_t *column)
{
	return json_string_value(json_object_get(column, "uuid"));
}

static bool was_named(const json_t *columns, size_t before, const char *uuid)
{
	for (size_t i = 0; i < before; i++) {
		const json_t *column = json_array_get(columns, i);

		if (is_abnormal(column) && strcmp(uuid_of(column), uuid) == 0)
			return true;
	}
	return false;
}

static void write_vm(FILE *stream, const json_t *columns, size_t first)
{
	const json_t *strongest = json_array_get(columns, first);
	size_t named = 0;

	(void)fprintf(stream, "%s", json_string_value(json_object_get(strongest, "vm")));
	for (size_t i = first; i < json_array_size(columns); i++) {
		const json_t *column = json_array_get(columns, i);

		if (!is_abnormal(column) || strcmp(uuid_of(column), uuid_of(strongest)) != 0)
			continue;
		if (named < SUMMARY_METRICS_MAX)
			write_metric(stream, column, named == 0);
		named++;
	}
	if (named > SUMMARY_METRICS_MAX)
		(void)fprintf(stream, ", %zu more", named - SUMMARY_METRICS_MAX);
	(void)fputs("; ", stream);
}

char *alarm_summarise(const json_t *evidence)
{
	const json_t *columns = json_object_get(evidence, "columns");
	char *text = NULL;
	size_t size, vms = 0;
	FILE *stream = open_memstream(&text, &size);

	if (!stream)
		return NULL;
	for (size_t i = 0; i < json_array_size(columns); i++) {
		const json_t *column = json_array_get(columns, i);

		if (!is_abnormal(column) || was_named(columns, i, uuid_of(column)))
			continue;
		if (++vms <= SUMMARY_VMS_MAX)
			write_vm(stream, columns, i);
	}
	if (vms > SUMMARY_VMS_MAX)
		(void)fprintf(stream, "%zu VMs more; ", vms - SUMMARY_VMS_MAX);
	if (vms == 0)
		(void)fputs("no single column stands out; ", stream);
	(void)fprintf(stream, "SPE %.4g > Q %.4g",
		      json_number_value(json_object_get(evidence, "spe_peak")),
		      json_number_value(json_object_get(evidence, "q")));
	return fclose(stream) == 0 ? text : NULL;
}

/* Life */

static void refresh(struct alarm *alarm)
{
	char *summary;

	(void)json_object_set_new(alarm->evidence, "columns", describe_columns(alarm->group));
	summary = alarm_summarise(alarm->evidence);
	if (!summary)
		return;
	free(alarm->summary);
	alarm->summary = summary;
}

struct alarm *alarm_open(struct group *group, int64_t id, int64_t time_usec,
			 const struct row_verdict *verdict, struct history *history)
{
	struct alarm *alarm = calloc(1, sizeof(*alarm));

	if (!alarm)
		return NULL;
	*alarm = (struct alarm){.id = id,
				.group = group,
				.state = "open",
				.opened_usec = time_usec,
				.level = (uint32_t)verdict->level};
	alarm->evidence = json_pack(
		"{s:o, s:o, s:o, s:I, s:I}", "spe", api_number(verdict->spe), "q",
		api_number(verdict->q), "spe_peak", api_number(verdict->spe), "components",
		(json_int_t)verdict->components, "window_rows", (json_int_t)verdict->window_rows);
	refresh(alarm);
	log_warning("alarm %lld in group %s: %s", (long long)id, group->name, alarm->summary);
	history_alarm(history, alarm);
	history_event(history, id, time_usec, "opened", alarm->summary ? alarm->summary : "");
	return alarm;
}

struct alarm *alarm_resume(struct group *group, int64_t id, const char *state, int64_t opened_usec,
			   uint32_t level, const char *summary, json_t *evidence)
{
	struct alarm *alarm = calloc(1, sizeof(*alarm));

	if (!alarm) {
		json_decref(evidence);
		return NULL;
	}
	*alarm = (struct alarm){.id = id,
				.group = group,
				.state = strcmp(state, "shifted") == 0 ? "shifted" : "open",
				.opened_usec = opened_usec,
				.level = level,
				.summary = strdup(summary),
				.evidence = evidence};
	return alarm;
}

struct alarm *alarm_free(struct alarm *alarm)
{
	if (!alarm)
		return NULL;
	free(alarm->summary);
	json_decref(alarm->evidence);
	free(alarm);
	return NULL;
}

/* "vm2/NetworkOut,vm3/..." of the abnormal columns, to see whether another one is named. */
static char *list_names(const json_t *evidence)
{
	const json_t *columns = json_object_get(evidence, "columns"), *column;
	char *text = NULL;
	size_t size, i;
	FILE *stream = open_memstream(&text, &size);

	if (!stream)
		return NULL;
	json_array_foreach(columns, i, column) if (is_abnormal(column))(void)
		fprintf(stream, "%s/%s,", uuid_of(column),
			json_string_value(json_object_get(column, "metric")));
	return fclose(stream) == 0 ? text : NULL;
}

void alarm_update(struct alarm *alarm, int64_t time_usec, const struct row_verdict *verdict,
		  struct history *history)
{
	cleanup(free) char *before = list_names(alarm->evidence);
	cleanup(free) char *after = NULL;
	double peak = json_number_value(json_object_get(alarm->evidence, "spe_peak"));

	if (alarm->level == verdict->level)
		return; /* a normal row within the episode: nothing new to say */
	alarm->level = (uint32_t)verdict->level;
	if (verdict->spe > peak)
		(void)json_object_set_new(alarm->evidence, "spe_peak", api_number(verdict->spe));
	refresh(alarm);
	after = list_names(alarm->evidence);
	if (before && after && strlen(before) != strlen(after))
		history_event(history, alarm->id, time_usec, "named",
			      alarm->summary ? alarm->summary : "");
	history_alarm(history, alarm);
}

void alarm_shift(struct alarm *alarm, int64_t time_usec, struct history *history)
{
	static const char why[] = "taken for a lasting shift: the rows of this alarm now belong to "
				  "what is normal";

	alarm->state = "shifted";
	log_warning("alarm %lld: %s", (long long)alarm->id, why);
	history_alarm(history, alarm);
	history_event(history, alarm->id, time_usec, "shifted", why);
}

void alarm_close(struct alarm *alarm, int64_t time_usec, const char *why, struct history *history)
{
	alarm->state = "cleared";
	alarm->closed_usec = time_usec;
	log_info("alarm %lld is cleared: %s", (long long)alarm->id, why);
	history_alarm(history, alarm);
	history_event(history, alarm->id, time_usec, "cleared", why);
}
