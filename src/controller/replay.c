/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/replay.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "controller/controller.h"

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

/* Reads one series into its column; it becomes a column of the group, the next one, when it had a
 * value. */
static int read_series(struct controller *controller, struct replay *replay, struct vm *vm,
		       enum metric metric, struct error *err)
{
	int64_t from = replay->rows[0].time_usec;
	int64_t to = replay->rows[replay->row_count - 1].time_usec;
	int r;

	replay->cursor = 0;
	replay->column = vm->series[metric].column != NO_COLUMN ? (size_t)vm->series[metric].column
								: vm->group->column_count;
	replay->any = false;
	replay->point = (struct store_point){.state = STORE_POINT_GAP};
	r = store_each_point(history_store(controller->history), vm->series[metric].number, from,
			     to + 1, take_point, replay, err);
	if (r < 0)
		return r;
	fill_rows(replay, INT64_MAX);
	if (replay->any)
		groups_add_column(vm, metric);
	return 0;
}

static bool is_wanted(const struct replay *replay, const struct series *series)
{
	return series->exists && (series->column != NO_COLUMN || !replay->is_known_only);
}

static int read_group_series(struct controller *controller, const struct group *group,
			     struct replay *replay, struct error *err)
{
	struct node *node;
	struct vm *vm;

	map_foreach (controller->fleet.nodes, i, node) {
		map_foreach (node->vms, j, vm) {
			for (size_t k = 0; vm->group == group && k < METRIC_COUNT; k++) {
				int r = is_wanted(replay, &vm->series[k])
						? read_series(controller, replay, vm,
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

static int make_values(struct replay *replay)
{
	size_t count = replay->row_count * replay->columns;

	replay->values = calloc(count + 1, sizeof(*replay->values));
	for (size_t i = 0; replay->values && i < count; i++)
		replay->values[i] = NAN;
	return replay->values ? 0 : -ENOMEM;
}

static int read_rows(struct controller *controller, struct group *group, int64_t from_usec,
		     int64_t to_usec, size_t newest, struct replay *replay, struct error *err)
{
	int r = store_each_row(history_store(controller->history), group->name, from_usec, to_usec,
			       newest, take_row, replay, err);

	if (r < 0 || replay->row_count == 0)
		return r;
	/* a series without a value is read behind the last column */
	replay->columns = count_series(controller, group) + 1;
	if (make_values(replay) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	return read_group_series(controller, group, replay, err);
}

int replay_read(struct controller *controller, struct group *group, int64_t from_usec,
		int64_t to_usec, size_t newest, struct replay *ret_replay, struct error *err)
{
	*ret_replay = (struct replay){0};
	return read_rows(controller, group, from_usec, to_usec, newest, ret_replay, err);
}

int replay_read_known(struct controller *controller, struct group *group, int64_t from_usec,
		      int64_t to_usec, struct replay *ret_replay, struct error *err)
{
	*ret_replay = (struct replay){.is_known_only = true};
	return read_rows(controller, group, from_usec, to_usec, 0, ret_replay, err);
}

void replay_deinit(struct replay *replay)
{
	free(replay->rows);
	free(replay->values);
	*replay = (struct replay){0};
}

int replay_read_alarm(struct controller *controller, struct group *group, int64_t opened_usec,
		      int64_t closed_usec, struct replay *ret_replay, struct error *err)
{
	const struct monitor_options *options = &controller->groups.options;
	/* an alarm opens with the last of the rows that make an onset */
	int64_t onset_usec = (int64_t)options->onset_rows * controller->settings.interval_usec;

	return replay_read(controller, group, opened_usec - onset_usec, closed_usec,
			   options->window_rows, ret_replay, err);
}

void replay_teach(const struct replay *replay, struct group *group)
{
	for (size_t i = 0; i < replay->row_count; i++)
		if (replay->rows[i].state == ROW_ABNORMAL || replay->rows[i].state == ROW_SHIFTED)
			monitor_learn(group->monitor, replay->values + i * replay->columns);
}
