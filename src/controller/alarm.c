/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/alarm.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
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

	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:s, s:b, s:b}",
			 "vm", column->vm->name, "uuid", column->vm->uuid_text, "project",
			 column->vm->project, "node", column->vm->node->name, "metric", info->name,
			 "unit", info->unit, "rd", api_number(contribution->rd), "stddev",
			 api_number(contribution->stddev), "meandiff",
			 api_number(contribution->meandiff), "mean_normal",
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

/* T2 adds to SPE, so that a row may be abnormal under Q; and what M has followed is under it. */
static void write_figures(FILE *stream, const json_t *evidence)
{
	double peak = json_number_value(json_object_get(evidence, "spe_peak"));
	double q = json_number_value(json_object_get(evidence, "q"));

	if (json_is_true(json_object_get(evidence, "drift")))
		(void)fprintf(stream, "a slow drift that M has followed, SPE %.4g, Q %.4g", peak,
			      q);
	else if (peak > q)
		(void)fprintf(stream, "SPE %.4g > Q %.4g", peak, q);
	else
		(void)fprintf(stream, "over the limit with T2, SPE %.4g, Q %.4g", peak, q);
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
	write_figures(stream, evidence);
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

static struct alarm *make(struct group *group, int64_t id, int64_t opened_usec)
{
	struct alarm *alarm = calloc(1, sizeof(*alarm));

	if (alarm)
		*alarm = (struct alarm){
			.references = 1, .id = id, .group = group, .opened_usec = opened_usec};
	return alarm;
}

/* The first row of the episode is one that M knows. */
static bool is_drift(const struct row_verdict *verdict)
{
	return verdict->event == EPISODE_OPENED && verdict->state == ROW_SHIFTED;
}

/* The figures of an onset. */
static json_t *describe_onset(const struct row_verdict *verdict)
{
	return json_pack("{s:o, s:o, s:o, s:I, s:I, s:b}", "spe", api_number(verdict->spe), "q",
			 api_number(verdict->q), "spe_peak", api_number(verdict->spe), "components",
			 (json_int_t)verdict->components, "window_rows",
			 (json_int_t)verdict->window_rows, "drift", is_drift(verdict));
}

struct alarm *alarm_open(struct group *group, int64_t id, int64_t time_usec,
			 const struct row_verdict *verdict, struct history *history)
{
	struct alarm *alarm = make(group, id, time_usec);

	if (!alarm)
		return NULL;
	alarm->state = is_drift(verdict) ? ALARM_SHIFTED : ALARM_OPEN;
	alarm->level = (uint32_t)verdict->level;
	alarm->evidence = describe_onset(verdict);
	refresh(alarm);
	log_warning("alarm %lld in group %s: %s", (long long)id, group->name, alarm->summary);
	history_alarm(history, alarm);
	history_event(history, id, time_usec, "opened", "", alarm->summary ? alarm->summary : "");
	return alarm;
}

const char *alarm_state_name(enum alarm_state state)
{
	static const char *const names[ALARM_STATE_COUNT] = {
		[ALARM_OPEN] = "open",           [ALARM_INTROSPECTING] = "introspecting",
		[ALARM_AWAITING] = "awaiting",   [ALARM_SHIFTED] = "shifted",
		[ALARM_MALICIOUS] = "malicious", [ALARM_NORMAL] = "normal",
		[ALARM_CLEARED] = "cleared",
	};

	return names[state];
}

static enum alarm_state parse_state(const char *name)
{
	for (size_t i = 0; i < ALARM_STATE_COUNT; i++)
		if (strcmp(alarm_state_name((enum alarm_state)i), name) == 0)
			return (enum alarm_state)i;
	return ALARM_OPEN;
}

struct alarm *alarm_resume(struct group *group, int64_t id, const char *state, int64_t opened_usec,
			   int64_t closed_usec, uint32_t level, const char *summary,
			   json_t *evidence)
{
	struct alarm *alarm = make(group, id, opened_usec);

	if (!alarm) {
		json_decref(evidence);
		return NULL;
	}
	alarm->state = parse_state(state);
	alarm->closed_usec = closed_usec;
	alarm->level = level;
	alarm->earlier_level =
		(uint32_t)json_integer_value(json_object_get(evidence, "earlier_level"));
	alarm->summary = strdup(summary);
	alarm->evidence = evidence;
	return alarm;
}

struct alarm *alarm_ref(struct alarm *alarm)
{
	alarm->references++;
	return alarm;
}

struct alarm *alarm_unref(struct alarm *alarm)
{
	if (!alarm || --alarm->references > 0)
		return NULL;
	free(alarm->summary);
	json_decref(alarm->evidence);
	free(alarm);
	return NULL;
}

/* "vm2/NetworkOut,vm3/..." of the abnormal columns, to see whether another one is named. */
static char *list_names(const json_t *columns)
{
	const json_t *column;
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

/* Whether two such lists name the same, in whatever order. */
static bool are_same_names(const char *before, const char *after)
{
	if (strlen(before) != strlen(after))
		return false;
	for (const char *name = after; *name; name += strcspn(name, ",") + 1)
		if (!memmem(before, strlen(before), name, strcspn(name, ",") + 1))
			return false;
	return true;
}

static const json_t *columns_of(const struct alarm *alarm)
{
	return json_object_get(alarm->evidence, "columns");
}

void alarm_update(struct alarm *alarm, int64_t time_usec, const struct row_verdict *verdict,
		  struct history *history)
{
	cleanup(free) char *before = list_names(columns_of(alarm));
	cleanup(free) char *after = NULL;
	double peak = json_number_value(json_object_get(alarm->evidence, "spe_peak"));
	uint32_t level = alarm->earlier_level + (uint32_t)verdict->level;

	if (alarm->level == level)
		return; /* a normal row within the episode: nothing new to say */
	alarm->level = level;
	if (verdict->spe > peak)
		(void)json_object_set_new(alarm->evidence, "spe_peak", api_number(verdict->spe));
	refresh(alarm);
	after = list_names(columns_of(alarm));
	if (before && after && !are_same_names(before, after))
		history_event(history, alarm->id, time_usec, "named", "",
			      alarm->summary ? alarm->summary : "");
	history_alarm(history, alarm);
}

void alarm_shift(struct alarm *alarm, int64_t time_usec, struct history *history)
{
	static const char why[] =
		"a lasting shift is suspected: M has got used to such rows, and moves on";

	if (alarm->state == ALARM_SHIFTED)
		return; /* a drift */
	if (alarm->state != ALARM_MALICIOUS)
		alarm->state = ALARM_SHIFTED;
	log_warning("alarm %lld: %s", (long long)alarm->id, why);
	history_alarm(history, alarm);
	history_event(history, alarm->id, time_usec, "shifted", "", why);
}

static void close_as(struct alarm *alarm, enum alarm_state state, int64_t time_usec,
		     const char *why, struct history *history)
{
	alarm->state = state;
	if (!alarm->closed_usec)
		alarm->closed_usec = time_usec;
	log_info("alarm %lld is resolved as %s: %s", (long long)alarm->id, alarm_state_name(state),
		 why);
	history_alarm(history, alarm);
	history_event(history, alarm->id, time_usec,
		      state == ALARM_MALICIOUS ? "resolved" : alarm_state_name(state), "", why);
}

void alarm_close(struct alarm *alarm, int64_t time_usec, const char *why, struct history *history)
{
	close_as(alarm, alarm->state == ALARM_MALICIOUS ? ALARM_MALICIOUS : ALARM_CLEARED,
		 time_usec, why, history);
}

/* What was seen then may not be what is there now: the VMs are looked into anew. */
static void set_looks_aside(json_t *evidence)
{
	json_t *looks = json_object_get(evidence, "introspection");

	if (json_array_size(looks))
		(void)json_object_set(evidence, "earlier_introspection", looks);
	(void)json_object_del(evidence, "introspection");
	(void)json_object_del(evidence, "across");
}

void alarm_reopen(struct alarm *alarm, int64_t time_usec, const struct row_verdict *verdict,
		  struct history *history)
{
	json_int_t times = json_integer_value(json_object_get(alarm->evidence, "reopened"));
	char text[128];

	alarm->state = is_drift(verdict) ? ALARM_SHIFTED : ALARM_OPEN;
	alarm->closed_usec = 0;
	alarm->earlier_level = alarm->level;
	(void)json_object_set_new(alarm->evidence, "earlier_level", json_integer(alarm->level));
	(void)json_object_set_new(alarm->evidence, "drift", json_boolean(is_drift(verdict)));
	(void)json_object_set_new(alarm->evidence, "reopened", json_integer(times + 1));
	(void)json_object_del(alarm->evidence, "verdict"); /* it is in the history */
	set_looks_aside(alarm->evidence);
	(void)snprintf(text, sizeof(text), "the same again, for the %lldth time: the alarm goes on",
		       (long long)times + 1);
	log_warning("alarm %lld in group %s: %s", (long long)alarm->id, alarm->group->name, text);
	history_event(history, alarm->id, time_usec, "reopened", "", text);
	alarm_update(alarm, time_usec, verdict, history);
}

bool alarm_is_like(const struct alarm *alarm)
{
	json_t *now = describe_columns(alarm->group);
	cleanup(free) char *before = list_names(columns_of(alarm));
	cleanup(free) char *text = list_names(now);
	char *rest = NULL;
	bool found = false;

	for (const char *name = text ? strtok_r(text, ",", &rest) : NULL; name && !found;
	     name = strtok_r(NULL, ",", &rest))
		found = before && strstr(before, name);
	json_decref(now);
	return found;
}

void alarm_set_looking(struct alarm *alarm, bool is_looking, struct history *history)
{
	enum alarm_state state = is_looking ? ALARM_INTROSPECTING : ALARM_AWAITING;

	if (alarm->state > ALARM_AWAITING || alarm->state == state)
		return;
	alarm->state = state;
	history_alarm(history, alarm);
}

/* The list of that name in the evidence, made when there is none. Borrowed, NULL: no memory. */
static json_t *list_in(json_t *evidence, const char *name)
{
	json_t *list = json_object_get(evidence, name);

	if (list)
		return list;
	list = json_array();
	return json_object_set_new(evidence, name, list) < 0 ? NULL : list;
}

int alarm_note(struct alarm *alarm, const char *by, const char *project, const char *text,
	       struct history *history, struct error *err)
{
	json_t *notes = list_in(alarm->evidence, "notes");
	int64_t now = clock_wall_usec();
	cleanup(free) char *said = NULL;

	if (!*text)
		return error_set(err, -EINVAL, "the note is empty");
	if (strlen(text) > ALARM_NOTE_SIZE_MAX || json_array_size(notes) >= ALARM_NOTES_MAX)
		return error_set(err, -E2BIG, "a note has at most %d bytes, an alarm %d notes",
				 ALARM_NOTE_SIZE_MAX, ALARM_NOTES_MAX);
	if (json_array_append_new(notes, json_pack("{s:o, s:s, s:s, s:s}", "time", api_time(now),
						   "by", by, "project", project, "text", text)) <
		    0 ||
	    asprintf(&said, "%s: %s", by, text) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	history_alarm(history, alarm);
	history_event(history, alarm->id, now, "note", "", said);
	return 0;
}

int alarm_judge(struct alarm *alarm, enum alarm_state verdict, const char *by, const char *note,
		int64_t time_usec, struct history *history, struct error *err)
{
	const char *name = alarm_state_name(verdict);
	int64_t now = clock_wall_usec();
	cleanup(free) char *said = NULL;
	json_t *described;

	if (alarm->state == verdict)
		return error_set(err, -EALREADY, "alarm %lld is judged %s already",
				 (long long)alarm->id, name);
	if (alarm->state == ALARM_NORMAL)
		return error_set(
			err, -EALREADY,
			"alarm %lld is judged normal, and its rows are learned: that cannot "
			"be taken back",
			(long long)alarm->id);
	described = json_pack("{s:s, s:s, s:o, s:s}", "verdict", name, "by", by, "time",
			      api_time(now), "note", note);
	if (!described || json_object_set_new(alarm->evidence, "verdict", described) < 0 ||
	    asprintf(&said, "%s judges it %s%s%s", by, name, *note ? ": " : "", note) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	history_event(history, alarm->id, now, "verdict", "", said);
	if (verdict == ALARM_NORMAL) {
		close_as(alarm, ALARM_NORMAL, time_usec, "its rows now belong to what is normal",
			 history);
		return 0;
	}
	alarm->state = verdict;
	history_alarm(history, alarm);
	return 0;
}
