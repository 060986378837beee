/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/group.h"

#include <errno.h>
#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "controller/history.h"

int groups_init(struct groups *groups, const struct settings *settings, struct history *history)
{
	groups->settings = settings;
	groups->history = history;
	settings_monitor(settings, &groups->options);
	tuner_init(&groups->tuner, settings);
	groups->by_name = map_new();
	return groups->by_name ? 0 : -ENOMEM;
}

static void free_group(struct group *group)
{
	alarm_unref(group->alarm);
	alarm_unref(group->recent);
	monitor_free(group->monitor);
	free(group->columns);
	free(group->row);
	free(group->tuning.std);
	free(group->name);
	free(group);
}

void groups_deinit(struct groups *groups)
{
	struct group *group;

	if (!groups->by_name)
		return;
	map_foreach (groups->by_name, i, group)
		free_group(group);
	groups->by_name = map_free(groups->by_name);
}

/* Who belongs where */

static bool matches(const char *pattern, const char *text)
{
	return !*pattern || fnmatch(pattern, text, 0) == 0;
}

bool group_selects(const struct group_settings *selector, const struct vm *vm)
{
	return matches(selector->node, vm->node->name) && matches(selector->project, vm->project) &&
	       (matches(selector->vm, vm->name) ||
		(*vm->instance && matches(selector->vm, vm->instance)));
}

static const struct group_settings *selector_of(const struct groups *groups, const struct vm *vm)
{
	const struct group_settings *selectors = groups->settings->groups.items;

	for (size_t i = 0; i < groups->settings->groups.count; i++)
		if (group_selects(&selectors[i], vm))
			return &selectors[i];
	return NULL;
}

static struct group *new_group(struct groups *groups, const char *name,
			       const struct group_settings *selector)
{
	struct group *group = calloc(1, sizeof(*group));
	struct error err = ERROR_INIT;

	if (!group)
		return NULL;
	group->selector = selector;
	tuning_init(&groups->tuner, &group->tuning);
	group->verdict = (struct row_verdict){.state = ROW_LEARNING, .spe = NAN, .q = NAN};
	group->name = strdup(name);
	if (!group->name || monitor_new(&groups->options, &group->monitor, &err) < 0 ||
	    map_put(groups->by_name, name, group) < 0) {
		log_error("group %s: %s", name, error_text(&err, -ENOMEM));
		free_group(group);
		return NULL;
	}
	return group;
}

struct group *groups_for(struct groups *groups, const struct vm *vm)
{
	const struct group_settings *selector = selector_of(groups, vm);
	const char *name = selector ? selector->name : vm->node->name;
	struct group *group = map_find(groups->by_name, name);

	return group ? group : new_group(groups, name, selector);
}

/* Columns */

static int reserve(struct group *group)
{
	size_t capacity = group->column_capacity ? 2 * group->column_capacity : 32;
	struct column *columns;
	double *row, *std;

	if (group->column_count < group->column_capacity)
		return 0;
	columns = reallocarray(group->columns, capacity, sizeof(*columns));
	if (!columns)
		return -ENOMEM;
	group->columns = columns;
	row = reallocarray(group->row, capacity, sizeof(*row));
	if (!row)
		return -ENOMEM;
	group->row = row;
	std = reallocarray(group->tuning.std, capacity, sizeof(*std));
	if (!std)
		return -ENOMEM;
	group->tuning.std = std;
	group->column_capacity = capacity;
	return 0;
}

/* Below this a deviation is the tracker's own error or the metric's resolution. */
static double floor_of(const struct vm *vm, enum metric metric)
{
	return fmax(vm->series[metric].tracker.delta / sqrt(3), metric_info(metric)->resolution);
}

void groups_add_column(struct vm *vm, enum metric metric)
{
	struct series *series = &vm->series[metric];
	struct group *group = vm->group;
	struct error err = ERROR_INIT;
	int column;

	if (!group || series->column != NO_COLUMN || group->full)
		return;
	column = reserve(group);
	if (column == 0)
		column = monitor_add_column(group->monitor, floor_of(vm, metric), &err);
	if (column < 0) {
		log_error("%s %s and what comes after it are left out of group %s: %s; define "
			  "smaller "
			  "groups",
			  vm->name, metric_info(metric)->name, group->name,
			  error_text(&err, column));
		group->full = true;
		return;
	}
	series->column = column;
	group->columns[group->column_count++] = (struct column){vm, metric};
}

void groups_set_floor(struct vm *vm, enum metric metric)
{
	if (vm->group && vm->series[metric].column != NO_COLUMN)
		monitor_set_floor(vm->group->monitor, (size_t)vm->series[metric].column,
				  floor_of(vm, metric));
}

static void remove_column(struct group *group, size_t column)
{
	struct column *gone = &group->columns[column];

	group->full = false;
	monitor_remove_column(group->monitor, column);
	gone->vm->series[gone->metric].column = NO_COLUMN;
	memmove(gone, gone + 1, (group->column_count - column - 1) * sizeof(*gone));
	group->column_count--;
	for (size_t i = column; i < group->column_count; i++)
		group->columns[i].vm->series[group->columns[i].metric].column = (long)i;
}

static void leave(struct vm *vm)
{
	for (size_t i = 0; i < METRIC_COUNT; i++)
		if (vm->series[i].column != NO_COLUMN)
			remove_column(vm->group, (size_t)vm->series[i].column);
	vm->group = NULL;
}

void groups_place(struct groups *groups, struct vm *vm)
{
	struct group *group = vm->gone ? NULL : groups_for(groups, vm);

	if (vm->group == group)
		return;
	if (vm->group)
		leave(vm);
	vm->group = group;
}

/* Rows */

/* Flapping: what comes back soon after it was cleared, and names what was named then, is no new
 * alarm. */
static bool is_again(const struct groups *groups, const struct group *group)
{
	const struct alarm *recent = group->recent;

	return recent && recent->state != ALARM_NORMAL &&
	       group->row_usec - recent->closed_usec <= groups->settings->reopen_usec &&
	       alarm_is_like(recent);
}

static void begin_episode(struct groups *groups, struct group *group)
{
	if (is_again(groups, group)) {
		group->alarm = keep(group->recent);
		alarm_reopen(group->alarm, group->row_usec, &group->verdict, groups->history);
		return;
	}
	group->alarm = alarm_open(group, ++groups->last_alarm, group->row_usec, &group->verdict,
				  groups->history);
	groups->alarms_opened++;
}

static void retire(struct group *group)
{
	alarm_unref(group->recent);
	group->recent = keep(group->alarm);
}

static void react(struct groups *groups, struct group *group)
{
	const struct row_verdict *verdict = &group->verdict;

	/* an episode without an alarm would be one that nobody hears of */
	if (verdict->event == EPISODE_OPENED ||
	    (verdict->event == EPISODE_ONGOING && !group->alarm))
		begin_episode(groups, group);
	if (!group->alarm)
		return;
	switch (verdict->event) {
	case EPISODE_NONE:
	case EPISODE_OPENED:
		break;
	case EPISODE_ONGOING:
		alarm_update(group->alarm, group->row_usec, verdict, groups->history);
		break;
	case EPISODE_SHIFTED:
		alarm_shift(group->alarm, group->row_usec, groups->history);
		break;
	case EPISODE_CLOSED:
		alarm_close(group->alarm, group->row_usec, "its rows are normal again",
			    groups->history);
		retire(group);
		break;
	}
}

struct alarm *groups_find_alarm(const struct groups *groups, int64_t id)
{
	struct group *group;

	map_foreach (groups->by_name, i, group) {
		if (group->alarm && group->alarm->id == id)
			return group->alarm;
		if (group->recent && group->recent->id == id)
			return group->recent;
	}
	return NULL;
}

void groups_accept(struct group *group)
{
	(void)monitor_accept_episode(group->monitor, NULL); /* fails where none is under way */
	retire(group);
}

static void note_row(struct groups *groups, const struct group *group)
{
	const struct row_verdict *verdict = &group->verdict;
	struct store_row row = {
		.time_usec = group->row_usec,
		.state = (int)verdict->state,
		.spe = verdict->spe,
		.q = verdict->q,
		.components = (uint32_t)verdict->components,
		.level = (uint32_t)verdict->level,
	};

	history_row(groups->history, group->name, &row);
}

static void build_row(struct groups *groups, struct group *group, int64_t time_usec)
{
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < group->column_count; i++) {
		const struct column *column = &group->columns[i];
		const struct tracker *tracker = &column->vm->series[column->metric].tracker;

		group->row[i] = tracker->state == TRACKER_GOOD ? tracker->value : NAN;
	}
	group->row_usec = time_usec;
	if (monitor_offer(group->monitor, group->row, &group->verdict, &err) < 0) {
		log_error("group %s: a row could not be tested: %s", group->name, err.text);
		return;
	}
	if (group->verdict.state == ROW_EMPTY)
		return;
	note_row(groups, group);
	react(groups, group);
	tuner_row(&groups->tuner, group);
}

static bool is_member(const struct group *group, const struct node *node)
{
	struct vm *vm;

	map_foreach (node->vms, i, vm)
		if (vm->group == group)
			return true;
	return false;
}

/* Up to when all of the group's nodes that are heard of have told; `ret_members` is how many they
 * are. */
static int64_t group_watermark(const struct group *group, const struct fleet *fleet,
			       size_t *ret_members)
{
	int64_t watermark = INT64_MAX;
	struct node *node;

	*ret_members = 0;
	map_foreach (fleet->nodes, i, node) {
		if (node->state != NODE_CONNECTED || !node->in_epoch || !is_member(group, node))
			continue;
		(*ret_members)++;
		if (node->watermark_usec < watermark)
			watermark = node->watermark_usec;
	}
	return watermark;
}

/* Rows of several nodes lie on a common grid, because their ticks do not fall together. */
static void advance_group(struct groups *groups, struct group *group, const struct fleet *fleet,
			  int64_t interval_usec)
{
	size_t members;
	int64_t watermark = group_watermark(group, fleet, &members);

	if (members == 0 || group->column_count == 0)
		return;
	if (members > 1)
		watermark -= watermark % interval_usec;
	if (watermark > group->row_usec)
		build_row(groups, group, watermark);
}

void groups_advance(struct groups *groups, const struct fleet *fleet, const struct node *node)
{
	struct group *group;

	map_foreach (groups->by_name, i, group) {
		if (is_member(group, node))
			advance_group(groups, group, fleet, node->interval_usec);
	}
}

/* Names */

const char *row_state_name(enum row_state state)
{
	static const char *const names[] = {
		[ROW_LEARNING] = "learning", [ROW_NORMAL] = "normal", [ROW_ABNORMAL] = "abnormal",
		[ROW_SHIFTED] = "shifted",   [ROW_EMPTY] = "empty",
	};

	return (unsigned)state < sizeof(names) / sizeof(names[0]) ? names[state] : "unknown";
}

const char *group_state_name(const struct group *group)
{
	return row_state_name(group->verdict.state);
}

size_t group_learning_columns(const struct group *group)
{
	size_t learning = 0;

	for (size_t i = 0; i < group->column_count; i++)
		learning += monitor_column_is_learning(group->monitor, i);
	return learning;
}
