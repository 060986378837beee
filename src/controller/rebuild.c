/* SPDX-License-Identifier: Apache-2.0 */
/*
 * After a restart: nodes, VMs and series as the store knows them, each group's window replayed row
 * by row with the verdicts of then, and the alarms that were open. Detection goes on with the first
 * tick.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "controller/alarm.h"
#include "controller/controller.h"

enum { ALARMS_MAX = 10000, ACCEPTED_MAX = 64 /* the newest of a window */ };

/* Rows and values of one group: values[row * columns + column]. */
struct replay {
	struct store_row *rows;
	size_t row_count, row_capacity;
	double *values;
	size_t cursor; /* while a series is read: the next row to fill */
	size_t column, columns;
	struct store_point point; /* in force at the cursor */
	bool any;
	const char *group;
	int64_t accepted_usec[ACCEPTED_MAX]; /* rows after which an episode became normal */
	size_t accepted_count;
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

static int take_row(void *userdata, const struct store_row *row)
{
	struct replay *replay = userdata;

	if (replay->row_count == replay->row_capacity) {
		size_t capacity = replay->row_capacity ? 2 * replay->row_capacity : 256;
		struct store_row *rows = reallocarray(replay->rows, capacity, sizeof(*rows));

		if (!rows)
			return -ENOMEM;
		replay->rows = rows;
		replay->row_capacity = capacity;
	}
	replay->rows[replay->row_count++] = *row;
	return 0;
}

/* Fills the rows before `until` with the point in force. */
static void fill_rows(struct replay *replay, int64_t until_usec)
{
	for (; replay->cursor < replay->row_count; replay->cursor++) {
		bool good = replay->point.state == STORE_POINT_GOOD;

		if (replay->rows[replay->cursor].time_usec >= until_usec)
			return;
		replay->values[replay->cursor * replay->columns + replay->column] =
			good ? replay->point.value : NAN;
		replay->any |= good;
	}
}

static int take_point(void *userdata, const struct store_point *point)
{
	struct replay *replay = userdata;

	fill_rows(replay, point->time_usec);
	replay->point = *point;
	return 0;
}

/* Reads one series into the next column of the replay; it becomes a column of the group when it had
 * a value. */
static int read_series(struct controller *controller, struct replay *replay, struct vm *vm,
		       enum metric metric, struct error *err)
{
	int64_t from = replay->rows[0].time_usec;
	int64_t to = replay->rows[replay->row_count - 1].time_usec;
	int r;

	replay->cursor = 0;
	replay->any = false;
	replay->point = (struct store_point){.state = STORE_POINT_GAP};
	r = store_each_point(history_store(controller->history), vm->series[metric].number, from,
			     to + 1, take_point, replay, err);
	if (r < 0)
		return r;
	fill_rows(replay, INT64_MAX);
	if (!replay->any)
		return 0;
	groups_add_column(vm, metric);
	if (vm->series[metric].column != NO_COLUMN)
		replay->column++;
	return 0;
}

static int read_group_series(struct controller *controller, const struct group *group,
			     struct replay *replay, struct error *err)
{
	struct node *node;
	struct vm *vm;

	map_foreach (controller->fleet.nodes, i, node) {
		map_foreach (node->vms, j, vm) {
			for (size_t k = 0; vm->group == group && k < METRIC_COUNT; k++) {
				int r = vm->series[k].exists ? read_series(controller, replay, vm,
									   (enum metric)k, err)
							     : 0;

				if (r < 0)
					return r;
			}
		}
	}
	return 0;
}

static size_t count_series(const struct controller *controller, const struct group *group)
{
	struct node *node;
	size_t count = 0;
	struct vm *vm;

	map_foreach (controller->fleet.nodes, i, node) {
		map_foreach (node->vms, j, vm) {
			for (size_t k = 0; vm->group == group && k < METRIC_COUNT; k++)
				count += vm->series[k].exists;
		}
	}
	return count;
}

/* Whether an operator's "this is normal" came after that row and before the next one. */
static bool is_accepted_after(const struct replay *replay, size_t row)
{
	for (size_t i = 0; i < replay->accepted_count; i++)
		if (replay->accepted_usec[i] == replay->rows[row].time_usec)
			return true;
	return false;
}

static int replay_rows(struct group *group, const struct replay *replay, struct error *err)
{
	for (size_t i = 0; i < replay->row_count; i++) {
		enum row_state state = (enum row_state)replay->rows[i].state;
		int r;

		memcpy(group->row, replay->values + i * replay->columns,
		       group->column_count * sizeof(*group->row));
		r = monitor_restore(group->monitor, group->row,
				    state == ROW_ABNORMAL || state == ROW_SHIFTED, err);
		if (r < 0)
			return r;
		if (is_accepted_after(replay, i) && monitor_episode_is_open(group->monitor))
			(void)monitor_accept_episode(group->monitor, NULL); /* one is open */
	}
	return 0;
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

static int take_accepted(void *userdata, const struct store_alarm *stored)
{
	struct replay *replay = userdata;
	json_t *evidence;
	int64_t time;

	if (strcmp(stored->group, replay->group) != 0 || strcmp(stored->state, "normal") != 0 ||
	    replay->accepted_count == ACCEPTED_MAX)
		return 0;
	evidence = json_loads(stored->evidence, 0, NULL);
	time = json_integer_value(json_object_get(evidence, "accepted_usec"));
	if (time)
		replay->accepted_usec[replay->accepted_count++] = time;
	json_decref(evidence);
	return 0;
}

static int fill_replay(struct controller *controller, struct group *group, struct replay *replay,
		       struct error *err)
{
	/* accepted rows fill M, as many abnormal ones A */
	size_t newest = 2 * controller->groups.options.window_rows;
	int r = store_each_row(history_store(controller->history), group->name, 0, INT64_MAX,
			       newest, take_row, replay, err);

	if (r < 0 || replay->row_count == 0)
		return r;
	replay->columns = count_series(controller, group);
	replay->group = group->name;
	r = store_each_alarm(history_store(controller->history), "closed", ALARMS_MAX,
			     take_accepted, replay, err);
	if (r < 0)
		return r;
	replay->values = calloc(replay->row_count * (replay->columns + 1), sizeof(*replay->values));
	if (!replay->values)
		return error_set(err, -ENOMEM, "out of memory");
	return read_group_series(controller, group, replay, err);
}

static int rebuild_group(struct controller *controller, struct group *group, struct error *err)
{
	struct replay replay = {0};
	int r = fill_replay(controller, group, &replay, err);

	if (r >= 0 && group->column_count > 0) {
		r = replay_rows(group, &replay, err);
		take_last_verdict(group, &replay.rows[replay.row_count - 1]);
		log_info("group %s: window rebuilt from %zu rows of %zu columns", group->name,
			 replay.row_count, group->column_count);
	}
	free(replay.rows);
	free(replay.values);
	return r < 0 ? error_prefix(err, r, "group %s", group->name) : 0;
}

/* Alarms */

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

	if (!group)
		return 0;
	if (!stored->closed_usec && !group->alarm)
		group->alarm = resume_alarm(group, stored);
	else if (stored->closed_usec && !group->recent)
		group->recent = resume_alarm(group, stored);
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
