/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/detect_run.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "ctl/command.h"

static json_t *number(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

static json_t *time_of(const struct csv *csv, size_t row)
{
	char text[CLOCK_TEXT_SIZE];

	if (!csv->time_usec)
		return json_null();
	return json_string(clock_format(csv->time_usec[row], text));
}

static const char *state_name(enum row_state state)
{
	switch (state) {
	case ROW_LEARNING:
		return "learning";
	case ROW_NORMAL:
		return "normal";
	case ROW_ABNORMAL:
		return "abnormal";
	case ROW_SHIFTED:
		return "shifted";
	case ROW_EMPTY:
		break;
	}
	return "empty";
}

static bool is_abnormal(enum row_state state)
{
	return state == ROW_ABNORMAL || state == ROW_SHIFTED;
}

static json_t *describe_column(const struct detect_run *run,
			       const struct contribution *contribution)
{
	const char *name = run->names[contribution->column];
	bool up = contribution->mean_abnormal > contribution->mean_normal;

	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:b}", "column", name, "direction",
			 up ? "up" : "down", "rd", number(contribution->rd), "stddev",
			 number(contribution->stddev), "meandiff", number(contribution->meandiff),
			 "mean_normal", number(contribution->mean_normal), "mean_abnormal",
			 number(contribution->mean_abnormal), "from_zero", contribution->from_zero);
}

/* The abnormal columns of the episode under way. */
static json_t *describe_columns(struct detect_run *run)
{
	int count = monitor_identify(run->monitor, run->contributions);
	json_t *list = json_array();

	for (int i = 0; i < count && run->contributions[i].abnormal; i++)
		(void)json_array_append_new(list, describe_column(run, &run->contributions[i]));
	return list;
}

static json_t *new_alarm(struct detect_run *run, json_t *time, const struct row_verdict *verdict)
{
	bool is_drift = verdict->event == EPISODE_OPENED && verdict->state == ROW_SHIFTED;
	json_t *alarm = json_pack("{s:I, s:O, s:n, s:o, s:o, s:o, s:b, s:s}", "first_row",
				  (json_int_t)run->reported, "time", time, "last_row", "spe",
				  number(verdict->spe), "q", number(verdict->q), "spe_peak",
				  number(verdict->spe), "drift", is_drift, "state",
				  is_drift ? "shifted" : "open");

	(void)json_array_append_new(run->alarms, alarm);
	return alarm;
}

/* The alarm follows its episode. One that stands already at the first reported row begins there. */
static void follow_alarm(struct detect_run *run, json_t *time, const struct row_verdict *verdict)
{
	if (!run->alarm && verdict->event != EPISODE_NONE && verdict->event != EPISODE_CLOSED)
		run->alarm = new_alarm(run, time, verdict);
	if (!run->alarm || verdict->event == EPISODE_NONE)
		return;
	(void)json_object_set_new(run->alarm, "level", json_integer((json_int_t)verdict->level));
	(void)json_object_set_new(run->alarm, "columns", describe_columns(run));
	if (verdict->spe > json_number_value(json_object_get(run->alarm, "spe_peak")))
		(void)json_object_set_new(run->alarm, "spe_peak", number(verdict->spe));
	if (verdict->event == EPISODE_SHIFTED)
		(void)json_object_set_new(run->alarm, "state", json_string("shifted"));
	if (verdict->event != EPISODE_CLOSED)
		return;
	(void)json_object_set_new(run->alarm, "last_row", json_integer((json_int_t)run->reported));
	if (strcmp(json_text(run->alarm, "state"), "shifted") != 0)
		(void)json_object_set_new(run->alarm, "state", json_string("cleared"));
	run->alarm = NULL;
}

static void report(struct detect_run *run, const struct detect_file *file, size_t row,
		   const struct row_verdict *verdict)
{
	json_t *time = time_of(file->csv, row);
	bool abnormal = is_abnormal(verdict->state);

	run->abnormal += abnormal;
	if (file->label >= 0) {
		double truth = file->csv->values[file->label][row];

		counts_add(&run->counts, abnormal, truth != 0 && !isnan(truth));
	}
	(void)json_array_append_new(run->rows, json_pack("{s:I, s:O, s:o, s:o, s:b, s:s}", "row",
							 (json_int_t)run->reported, "time", time,
							 "spe", number(verdict->spe), "q",
							 number(verdict->q), "abnormal", abnormal,
							 "state", state_name(verdict->state)));
	follow_alarm(run, time, verdict);
	json_decref(time);
	run->reported++;
}

int detect_run_offer(struct detect_run *run, const struct detect_file *file, size_t row,
		     struct error *err)
{
	struct row_verdict verdict;
	int r;

	for (size_t i = 0; i < run->count; i++) {
		double value = file->csv->values[file->columns[i]][row];

		run->row[i] = isfinite(value) ? value : NAN;
	}
	r = monitor_offer(run->monitor, run->row, &verdict, err);
	if (r >= 0 && file->is_reported)
		report(run, file, row, &verdict);
	return r;
}

static json_t *describe_label(const struct detect_run *run)
{
	const struct counts *counts = &run->counts;

	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o}", "column", run->label,
			 "true_positive", (json_int_t)counts->true_positive, "false_positive",
			 (json_int_t)counts->false_positive, "false_negative",
			 (json_int_t)counts->false_negative, "true_negative",
			 (json_int_t)counts->true_negative, "precision",
			 number(counts_precision(counts)), "recall", number(counts_recall(counts)),
			 "f1", number(counts_f1(counts)), "false_alarm_rate",
			 number(counts_false_alarm_rate(counts)));
}

json_t *detect_run_describe(const struct detect_run *run)
{
	json_t *columns = json_array(), *body;

	for (size_t i = 0; i < run->count; i++)
		(void)json_array_append_new(columns, json_string(run->names[i]));
	body = json_pack("{s:o, s:O, s:O}", "columns", columns, "rows", run->rows, "alarms",
			 run->alarms);
	if (run->label)
		(void)json_object_set_new(body, "label", describe_label(run));
	return body;
}
