/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/verdict.h"

#include <errno.h>

#include "base/clock.h"
#include "base/json.h"
#include "controller/controller.h"
#include "controller/replay.h"

/* What is put back when it cannot be written. */
struct before {
	enum alarm_state state;
	int64_t closed_usec;
	json_t *evidence;
	size_t mark, announced;
	struct audit audit;
};

static int remember(const struct controller *controller, const struct alarm *alarm,
		    struct before *ret_before, struct error *err)
{
	*ret_before = (struct before){
		.state = alarm->state,
		.closed_usec = alarm->closed_usec,
		.evidence = json_deep_copy(alarm->evidence),
		.mark = history_mark(controller->history),
		.announced = controller->announcements.count,
		.audit = controller->actions.audit,
	};
	return ret_before->evidence ? 0 : error_set(err, -ENOMEM, "out of memory");
}

static void put_back(struct controller *controller, struct alarm *alarm, struct before *before)
{
	alarm->state = before->state;
	alarm->closed_usec = before->closed_usec;
	json_decref(alarm->evidence);
	alarm->evidence = json_incref(before->evidence);
	history_undo(controller->history, before->mark);
	controller->announcements.count = before->announced;
	controller->actions.audit = before->audit;
}

struct record {
	struct audit *audit;
	json_t *text;
};

static int write_record(void *userdata, struct error *err)
{
	struct record *record = userdata;

	return audit_append(record->audit, json_incref(record->text), err);
}

/* `r` is whether it could be said; then it is written. Takes `text`, the record of the audit. */
static int settle(struct controller *controller, struct alarm *alarm, struct before *before, int r,
		  json_t *text, struct error *err)
{
	struct record record = {&controller->actions.audit, text};
	struct error cause = ERROR_INIT;

	if (r == 0) {
		r = history_commit(controller->history, write_record, &record, &cause);
		if (r < 0)
			r = error_set(err, -EROFS, "what cannot be recorded is not done: %s",
				      error_text(&cause, r));
	}
	if (r < 0)
		put_back(controller, alarm, before);
	json_decref(before->evidence);
	json_decref(text);
	return r;
}

static json_t *record_of(const struct alarm *alarm, const char *event, const char *by)
{
	return json_pack("{s:s, s:I, s:s, s:s, s:s}", "event", event, "alarm",
			 (json_int_t)alarm->id, "group", alarm->group->name, "by", by, "summary",
			 alarm->summary ? alarm->summary : "");
}

int verdict_note(struct controller *controller, struct alarm *alarm, const char *by,
		 const char *project, const char *text, struct error *err)
{
	json_t *record = record_of(alarm, "note", by);
	struct before before;
	int r = remember(controller, alarm, &before, err);

	if (r < 0) {
		json_decref(record);
		return r;
	}
	(void)json_object_set_new(record, "note", json_string(text));
	r = alarm_note(alarm, by, project, text, controller->history, err);
	return settle(controller, alarm, &before, r, record, err);
}

/* The time of the last row that M has seen: a restart merges there. */
static int note_acceptance(struct alarm *alarm, bool is_late, struct error *err)
{
	if (json_object_set_new(alarm->evidence, "accepted_usec",
				json_integer(alarm->group->row_usec)) < 0 ||
	    (is_late && json_object_set_new(alarm->evidence, "accepted_late", json_true()) < 0))
		return error_set(err, -ENOMEM, "out of memory");
	return 0;
}

/* Only who belongs to the project reads who gave the verdict, and why. */
static int note_project(struct alarm *alarm, const char *project, struct error *err)
{
	return json_object_set_new(json_object_get(alarm->evidence, "verdict"), "project",
				   json_string(project)) < 0
		       ? error_set(err, -ENOMEM, "out of memory")
		       : 0;
}

static int give(struct controller *controller, struct alarm *alarm, enum alarm_state verdict,
		const char *by, const char *project, const char *note, struct error *err)
{
	json_t *record = record_of(alarm, "verdict", by);
	bool is_late = alarm->closed_usec != 0;
	struct before before;
	int r = remember(controller, alarm, &before, err);

	if (r < 0) {
		json_decref(record);
		return r;
	}
	(void)json_object_set_new(record, "verdict", json_string(alarm_state_name(verdict)));
	(void)json_object_set_new(record, "note", json_string(note));
	r = alarm_judge(alarm, verdict, by, note, alarm->group->row_usec, controller->history, err);
	if (r == 0)
		r = note_project(alarm, project, err);
	if (r == 0 && verdict == ALARM_NORMAL)
		r = note_acceptance(alarm, is_late, err);
	return settle(controller, alarm, &before, r, record, err);
}

int verdict_give(struct controller *controller, struct alarm *alarm, enum alarm_state verdict,
		 const char *by, const char *project, const char *note, struct error *err)
{
	struct group *group = alarm->group;
	bool is_late = alarm->closed_usec != 0;
	struct replay replay = {0};
	int r = 0;

	if (verdict == ALARM_NORMAL && is_late && alarm->state != ALARM_NORMAL)
		r = replay_read_alarm(controller, group, alarm->opened_usec, alarm->closed_usec,
				      &replay, err);
	if (r >= 0)
		r = give(controller, alarm, verdict, by, project, note, err);
	if (r == 0 && verdict == ALARM_NORMAL) {
		replay_teach(&replay, group);
		if (!is_late)
			groups_accept(group);
		actions_withdraw(controller, alarm->id, "the alarm is judged normal");
	}
	replay_deinit(&replay);
	return r;
}
