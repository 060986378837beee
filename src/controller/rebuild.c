/* SPDX-License-Identifier: Apache-2.0 */
/*
 * After a restart: nodes, VMs and series as the store knows them, each group's window replayed row
 * by row with the verdicts of then, after the older rows that its reference stands for have been
 * recalled unscored, and the alarms that were open. Detection goes on with the first tick.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "controller/alarm.h"
#include "controller/controller.h"
#include "controller/replay.h"

enum {
	ALARMS_MAX = 10000,
	ACCEPTED_MAX = 64,       /* of a group, the newest */
	RECALLED_MAX = 16 << 20, /* values read for the references; some seconds */
};

struct context {
	struct controller *controller;
	struct vm *vm;
	struct error *err;
};

/* Nodes, VMs, series */

static int take_series(void *userdata, int64_t number, enum metric metric)
{
	struct context *context = userdata;
	struct series *series = &context->vm->series[metric];
	struct store_point point;
	int r = store_point_at(history_store(context->controller->history), number, INT64_MAX,
			       &point, context->err);

	series->number = number;
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	series->exists = true;
	series->tracker = (struct tracker){.state = TRACKER_STALE,
					   .value = point.value,
					   .delta = point.delta,
					   .since_usec = point.time_usec};
	tuner_adopt(&context->controller->groups.tuner, series, metric, point.delta);
	return 0;
}

static int take_vm(void *userdata, int64_t number, const struct store_vm *seen)
{
	struct context *context = userdata;
	struct node *node = fleet_node(&context->controller->fleet, seen->node);
	struct vm *vm = node ? fleet_vm(node, &seen->uuid) : NULL;

	if (!vm || fleet_name_vm(vm, seen->name, seen->instance, seen->project, seen->vcpus) < 0)
		return error_set(context->err, -ENOMEM, "out of memory");
	vm->number = number;
	vm->stored = true;
	node->interval_usec = context->controller->settings.interval_usec;
	return 0;
}

static int take_all_series(struct context *context)
{
	struct store *store = history_store(context->controller->history);
	struct node *node;

	map_foreach (context->controller->fleet.nodes, i, node) {
		map_foreach (node->vms, j, context->vm) {
			int r = store_each_series(store, context->vm->number, take_series, context,
						  context->err);

			if (r < 0)
				return r;
			groups_place(&context->controller->groups, context->vm);
		}
	}
	return 0;
}

/* Windows */

/* An operator's "this is normal", and the row after which it came. */
struct acceptance {
	int64_t after_usec;
	bool was_over; /* the alarm had closed: its rows were learned out of the store */
	int64_t opened_usec, closed_usec;
};

struct acceptances {
	const char *group;
	struct acceptance list[ACCEPTED_MAX];
	size_t count;
};

static int take_accepted(void *userdata, const struct store_alarm *stored)
{
	struct acceptances *acceptances = userdata;
	cleanup(json_decref) json_t *evidence = NULL;
	int64_t after;

	if (strcmp(stored->group, acceptances->group) != 0 ||
	    strcmp(stored->state, "normal") != 0 || acceptances->count == ACCEPTED_MAX)
		return 0;
	evidence = json_loads(stored->evidence, 0, NULL);
	after = json_integer_value(json_object_get(evidence, "accepted_usec"));
	if (after)
		acceptances->list[acceptances->count++] = (struct acceptance){
			after, json_is_true(json_object_get(evidence, "accepted_late")),
			stored->opened_usec, stored->closed_usec};
	return 0;
}

static int accept_late(struct controller *controller, struct group *group,
		       const struct acceptance *acceptance, struct error *err)
{
	struct replay replay;
	int r = replay_read_alarm(controller, group, acceptance->opened_usec,
				  acceptance->closed_usec, &replay, err);

	if (r >= 0)
		replay_teach(&replay, group);
	replay_deinit(&replay);
	return r < 0 ? r : 0;
}

/* Those that came after the row at `from` and before the one at `to`. */
static int accept_between(struct controller *controller, struct group *group,
			  const struct acceptances *acceptances, int64_t from_usec, int64_t to_usec,
			  struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < acceptances->count; i++) {
		const struct acceptance *acceptance = &acceptances->list[i];

		if (acceptance->after_usec < from_usec || acceptance->after_usec >= to_usec)
			continue;
		if (acceptance->was_over)
			r = accept_late(controller, group, acceptance, err);
		else if (monitor_episode_is_open(group->monitor))
			(void)monitor_accept_episode(group->monitor, NULL); /* one is open */
	}
	return r;
}

static int replay_rows(struct controller *controller, struct group *group,
		       const struct acceptances *acceptances, const struct replay *replay,
		       struct error *err)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < replay->row_count; i++) {
		enum row_state state = (enum row_state)replay->rows[i].state;
		bool is_last = i + 1 == replay->row_count;

		r = monitor_restore(group->monitor, replay->values + i * replay->columns, state,
				    err);
		if (r >= 0)
			r = accept_between(
				controller, group, acceptances, replay->rows[i].time_usec,
				is_last ? INT64_MAX : replay->rows[i + 1].time_usec, err);
	}
	return r;
}

/* The reference */

/* How many rows are worth recalling: what a reference stands for, as long as all groups' values
 * are few enough to be read at a start. */
static size_t recalled_rows(const struct controller *controller)
{
	const struct monitor_options *options = &controller->groups.options;
	size_t newest = 2 * options->window_rows, series = 0, most;
	struct node *node;
	struct vm *vm;

	map_foreach (controller->fleet.nodes, i, node)
		map_foreach (node->vms, j, vm)
			for (size_t k = 0; k < METRIC_COUNT; k++)
				series += vm->series[k].exists;
	most = RECALLED_MAX / (series + 1);
	if (options->reference_span <= newest)
		return 0;
	return options->reference_span - newest < most ? options->reference_span - newest : most;
}

struct times {
	int64_t *usec;
	size_t count;
};

static int take_time(void *userdata, const struct store_row *row)
{
	struct times *times = userdata;

	times->usec[times->count++] = row->time_usec;
	return 0;
}

/* Whether the row is of an episode that was called normal. */
static bool is_accepted(const struct acceptances *acceptances, const struct store_row *row)
{
	for (size_t i = 0; i < acceptances->count; i++)
		if (row->time_usec >= acceptances->list[i].opened_usec &&
		    row->time_usec <= acceptances->list[i].closed_usec)
			return row->state == ROW_ABNORMAL || row->state == ROW_SHIFTED;
	return false;
}

static int recall_between(struct controller *controller, struct group *group,
			  const struct acceptances *acceptances, int64_t from_usec, int64_t to_usec,
			  struct error *err)
{
	struct replay replay;
	int r = replay_read_known(controller, group, from_usec, to_usec, &replay, err);

	for (size_t i = 0; r >= 0 && i < replay.row_count; i++) {
		const double *row = replay.values + i * replay.columns;

		if (is_accepted(acceptances, &replay.rows[i]))
			monitor_learn(group->monitor, row);
		else
			monitor_recall(group->monitor, row, (enum row_state)replay.rows[i].state);
	}
	replay_deinit(&replay);
	return r;
}

/* Rows before that time, a window's number at once: a reference's worth of them takes much room. */
static int recall_before(struct controller *controller, struct group *group,
			 const struct acceptances *acceptances, int64_t end_usec, struct error *err)
{
	size_t most = recalled_rows(controller), step = controller->groups.options.window_rows;
	cleanup(free) int64_t *usec = calloc(most + 1, sizeof(*usec));
	struct times times = {.usec = usec};
	int r = 0;

	if (!usec)
		return error_set(err, -ENOMEM, "out of memory");
	if (most > 0)
		r = store_each_row(history_store(controller->history), group->name, 0, end_usec,
				   most, take_time, &times, err);
	for (size_t i = 0; r >= 0 && i < times.count; i += step)
		r = recall_between(controller, group, acceptances, usec[i],
				   i + step < times.count ? usec[i + step] : end_usec, err);
	return r;
}

static void take_last_verdict(struct group *group, const struct store_row *row)
{
	group->row_usec = row->time_usec;
	group->verdict = (struct row_verdict){
		.state = (enum row_state)row->state,
		.spe = row->spe,
		.q = row->q,
		.components = row->components,
		.level = row->level,
	};
}

static int fill_monitor(struct controller *controller, struct group *group,
			const struct replay *replay, struct error *err)
{
	struct acceptances acceptances = {.group = group->name};
	int r = store_each_alarm(history_store(controller->history), "closed", ALARMS_MAX,
				 take_accepted, &acceptances, err);

	if (r >= 0)
		r = recall_before(controller, group, &acceptances, replay->rows[0].time_usec, err);
	return r < 0 ? r : replay_rows(controller, group, &acceptances, replay, err);
}

static int rebuild_group(struct controller *controller, struct group *group, struct error *err)
{
	/* accepted rows fill M, as many abnormal ones A */
	size_t newest = 2 * controller->groups.options.window_rows;
	struct replay replay;
	int r = replay_read(controller, group, 0, INT64_MAX, newest, &replay, err);

	if (r >= 0 && group->column_count > 0) {
		r = fill_monitor(controller, group, &replay, err);
		take_last_verdict(group, &replay.rows[replay.row_count - 1]);
		log_info("group %s: window rebuilt from %zu rows of %zu columns", group->name,
			 replay.row_count, group->column_count);
	}
	replay_deinit(&replay);
	return r < 0 ? error_prefix(err, r, "group %s", group->name) : 0;
}

/* Alarms */

/* When its VMs were looked into, for what is new since then. */
static void note_looks(const struct controller *controller, const json_t *evidence)
{
	const json_t *entry;
	size_t i;

	json_array_foreach(json_object_get(evidence, "introspection"), i, entry)
	{
		struct vm *vm = fleet_vm_at(&controller->fleet, text_of(entry, "uuid"),
					    text_of(entry, "node"));
		int64_t time;

		if (vm && strcmp(text_of(entry, "state"), "done") == 0 &&
		    clock_parse(text_of(entry, "answered"), &time) == 0 && time > vm->looked_usec)
			vm->looked_usec = time;
	}
}

static struct alarm *resume_alarm(struct group *group, const struct store_alarm *stored)
{
	json_t *evidence = json_loads(stored->evidence, 0, NULL);

	return alarm_resume(group, stored->id, stored->state, stored->opened_usec,
			    stored->closed_usec, stored->level, stored->summary,
			    evidence ? evidence : json_object());
}

/* Newest first: of each group the open one, and the last that was closed. Those of groups that
 * there are no more stay in the store as they are. */
static int take_alarm(void *userdata, const struct store_alarm *stored)
{
	const struct controller *controller = ((struct context *)userdata)->controller;
	struct group *group = map_find(controller->groups.by_name, stored->group);

	struct alarm **place;

	if (!group)
		return 0;
	place = stored->closed_usec ? &group->recent : &group->alarm;
	if (!*place) {
		*place = resume_alarm(group, stored);
		if (*place)
			note_looks(controller, (*place)->evidence);
	}
	return 0;
}

/* An alarm goes on exactly when the replayed episode does. */
static void settle_alarm(struct controller *controller, struct group *group)
{
	int64_t now = clock_wall_usec();

	if (!group->alarm)
		return;
	if (monitor_episode_is_open(group->monitor)) {
		history_event(controller->history, group->alarm->id, now, "resumed", "",
			      "atomd was restarted; the alarm goes on");
		log_info("alarm %lld of group %s goes on", (long long)group->alarm->id,
			 group->name);
		return;
	}
	alarm_close(group->alarm, now, "its rows are not in the store any more",
		    controller->history);
	alarm_unref(group->recent);
	group->recent = keep(group->alarm);
}

int rebuild(struct controller *controller, struct error *err)
{
	struct store *store = history_store(controller->history);
	struct context context = {.controller = controller, .err = err};
	struct group *group;
	int r = store_last_alarm(store, &controller->groups.last_alarm, err);

	if (r == 0)
		r = store_each_vm(store, take_vm, &context, err);
	if (r == 0)
		r = take_all_series(&context);
	if (r == 0)
		r = store_each_alarm(store, "open", ALARMS_MAX, take_alarm, &context, err);
	if (r == 0)
		r = store_each_alarm(store, "closed", ALARMS_MAX, take_alarm, &context, err);
	if (r < 0)
		return r;
	map_foreach (controller->groups.by_name, i, group) {
		r = rebuild_group(controller, group, err);
		if (r < 0)
			return r;
	}
	map_foreach (controller->groups.by_name, i, group)
		settle_alarm(controller, group);
	history_write(controller->history);
	return 0;
}
