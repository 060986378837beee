/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "controller/alarm.h"
#include "controller/group.h"

enum { ALARMS_MAX = 1000, EXPIRE_ROWS = 5000 };

struct pending_point {
	struct vm *vm;
	enum metric metric;
	struct store_point point;
};

struct pending_row {
	char *group;
	struct store_row row;
};

struct pending_event {
	int64_t alarm, time_usec;
	char *event, *vm, *text;
};

/* A list that grows up to a limit; then its oldest half goes. */
struct list {
	void *items;
	size_t count, capacity, size, limit;
};

struct history {
	struct store *store;
	struct list points, rows, events;
	struct alarm *alarms[ALARMS_MAX];
	size_t alarm_count;
	struct error problem;
	bool failing;
	uint64_t failures, lost;
	history_listener *listener;
	void *listener_userdata;
};

DEFINE_CLEANUP(struct history *, history_free)

int history_new(const char *path, struct history **ret_history, struct error *err)
{
	cleanup(history_free) struct history *history = calloc(1, sizeof(*history));
	int r;

	if (!history)
		return error_set(err, -ENOMEM, "out of memory");
	history->points =
		(struct list){.size = sizeof(struct pending_point), .limit = HISTORY_POINTS_MAX};
	history->rows =
		(struct list){.size = sizeof(struct pending_row), .limit = HISTORY_ROWS_MAX};
	history->events =
		(struct list){.size = sizeof(struct pending_event), .limit = HISTORY_EVENTS_MAX};
	r = store_open(path, &history->store, err);
	if (r < 0)
		return r;
	*ret_history = keep(history);
	return 0;
}

static void free_rows(struct list *rows, size_t count)
{
	struct pending_row *items = rows->items;

	for (size_t i = 0; i < count; i++)
		free(items[i].group);
}

static void free_events(struct list *events, size_t count)
{
	struct pending_event *items = events->items;

	for (size_t i = 0; i < count; i++) {
		free(items[i].event);
		free(items[i].vm);
		free(items[i].text);
	}
}

static void drop_alarms(struct history *history)
{
	for (size_t i = 0; i < history->alarm_count; i++)
		alarm_unref(history->alarms[i]);
	history->alarm_count = 0;
}

struct history *history_free(struct history *history)
{
	if (!history)
		return NULL;
	drop_alarms(history);
	free_rows(&history->rows, history->rows.count);
	free_events(&history->events, history->events.count);
	free(history->points.items);
	free(history->rows.items);
	free(history->events.items);
	store_free(history->store);
	free(history);
	return NULL;
}

struct store *history_store(struct history *history)
{
	return history->store;
}

/* Room for one more item at the end, or NULL when memory is out. */
static void *append(struct history *history, struct list *list,
		    void (*free_items)(struct list *list, size_t count))
{
	if (list->count == list->limit) {
		size_t half = list->count / 2;

		if (free_items)
			free_items(list, half);
		memmove(list->items, (char *)list->items + half * list->size,
			(list->count - half) * list->size);
		list->count -= half;
		history->lost += half;
	}
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? 2 * list->capacity : 64;
		void *items = reallocarray(list->items, capacity, list->size);

		if (!items) {
			history->lost++;
			return NULL;
		}
		list->items = items;
		list->capacity = capacity;
	}
	return (char *)list->items + list->count++ * list->size;
}

static enum store_point_state point_state(enum tracker_state state)
{
	switch (state) {
	case TRACKER_GOOD:
		return STORE_POINT_GOOD;
	case TRACKER_STALE:
		return STORE_POINT_STALE;
	case TRACKER_UNKNOWN:
	case TRACKER_GAP:
		break;
	}
	return STORE_POINT_GAP;
}

void history_point(struct history *history, struct vm *vm, enum metric metric, int64_t time_usec)
{
	const struct tracker *tracker = &vm->series[metric].tracker;
	struct pending_point *pending = append(history, &history->points, NULL);

	if (!pending)
		return;
	*pending = (struct pending_point){
		.vm = vm,
		.metric = metric,
		.point = {.time_usec = time_usec,
			  .state = point_state(tracker->state),
			  .value = tracker->value,
			  .delta = tracker->delta},
	};
}

void history_row(struct history *history, const char *group, const struct store_row *row)
{
	struct pending_row *pending = append(history, &history->rows, free_rows);

	if (pending)
		*pending = (struct pending_row){.group = strdup(group), .row = *row};
}

void history_alarm(struct history *history, struct alarm *alarm)
{
	for (size_t i = 0; i < history->alarm_count; i++)
		if (history->alarms[i] == alarm)
			return;
	if (history->alarm_count < ALARMS_MAX)
		history->alarms[history->alarm_count++] = alarm_ref(alarm);
}

void history_event(struct history *history, int64_t alarm, int64_t time_usec, const char *event,
		   const char *vm, const char *text)
{
	struct pending_event *pending = append(history, &history->events, free_events);

	if (pending)
		*pending = (struct pending_event){.alarm = alarm,
						  .time_usec = time_usec,
						  .event = strdup(event),
						  .vm = strdup(vm),
						  .text = strdup(text)};
	if (history->listener)
		history->listener(history->listener_userdata, alarm, event, vm, text);
}

void history_listen(struct history *history, history_listener *listener, void *userdata)
{
	history->listener = listener;
	history->listener_userdata = userdata;
}

/* Writing */

static int series_number(struct history *history, struct vm *vm, enum metric metric,
			 int64_t *ret_number, struct error *err)
{
	struct store_vm seen = {.node = vm->node->name,
				.uuid = vm->uuid,
				.name = vm->name,
				.instance = vm->instance,
				.project = vm->project,
				.vcpus = vm->vcpus};
	struct series *series = &vm->series[metric];
	int r = 0;

	if (vm->number == 0)
		r = store_vm_number(history->store, &seen, &vm->number, err);
	if (r == 0 && series->number == 0)
		r = store_series_number(history->store, vm->number, metric, &series->number, err);
	if (r == 0)
		*ret_number = series->number;
	return r;
}

static int write_points(struct history *history, struct error *err)
{
	struct pending_point *items = history->points.items;

	for (size_t i = 0; i < history->points.count; i++) {
		int64_t number;
		int r = series_number(history, items[i].vm, items[i].metric, &number, err);

		if (r == 0)
			r = store_put_point(history->store, number, &items[i].point, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int write_rows(struct history *history, struct error *err)
{
	struct pending_row *items = history->rows.items;

	for (size_t i = 0; i < history->rows.count; i++) {
		int r = items[i].group
				? store_put_row(history->store, items[i].group, &items[i].row, err)
				: 0;

		if (r < 0)
			return r;
	}
	return 0;
}

static int write_alarm(struct history *history, const struct alarm *alarm, struct error *err)
{
	cleanup(free) char *evidence = json_dumps(alarm->evidence, JSON_COMPACT);
	struct store_alarm stored = {
		.id = alarm->id,
		.group = alarm->group->name,
		.state = alarm_state_name(alarm->state),
		.opened_usec = alarm->opened_usec,
		.closed_usec = alarm->closed_usec,
		.level = alarm->level,
		.summary = alarm->summary ? alarm->summary : "",
		.evidence = evidence ? evidence : "{}",
	};

	return store_put_alarm(history->store, &stored, err);
}

/* One of an alarm that has expired meanwhile is passed over: it must not hold back the rest. */
static int write_events(struct history *history, struct error *err)
{
	struct pending_event *items = history->events.items;

	for (size_t i = 0; i < history->events.count; i++) {
		int r = items[i].event && items[i].text && items[i].vm
				? store_put_alarm_event(history->store, items[i].alarm,
							items[i].time_usec, items[i].event,
							items[i].text, items[i].vm, err)
				: 0;

		if (r == -EINVAL)
			log_warning("'%s' of alarm %lld is in no history: the alarm has expired",
				    items[i].event, (long long)items[i].alarm);
		else if (r < 0)
			return r;
	}
	return 0;
}

static int write_all(struct history *history, struct error *err)
{
	int r = write_points(history, err);

	if (r == 0)
		r = write_rows(history, err);
	for (size_t i = 0; r == 0 && i < history->alarm_count; i++)
		r = write_alarm(history, history->alarms[i], err);
	return r == 0 ? write_events(history, err) : r;
}

/* Numbers that a transaction gave which was undone are not known any more. */
static void forget_numbers(struct history *history)
{
	struct pending_point *items = history->points.items;

	for (size_t i = 0; i < history->points.count; i++) {
		items[i].vm->number = 0;
		items[i].vm->series[items[i].metric].number = 0;
	}
}

static void note_failure(struct history *history)
{
	history->failures++;
	forget_numbers(history);
	if (!history->failing)
		log_error("%s; until it works again everything is kept in memory",
			  history->problem.text);
	history->failing = true;
}

static void note_success(struct history *history)
{
	if (history->failing)
		log_info("the store works again%s",
			 history->lost ? ", but not all could be kept" : "");
	history->failing = false;
	history->points.count = 0;
	free_rows(&history->rows, history->rows.count);
	history->rows.count = 0;
	free_events(&history->events, history->events.count);
	history->events.count = 0;
	drop_alarms(history);
}

static int finish(struct history *history, int r, struct error *err)
{
	if (r == 0)
		r = store_commit(history->store, err);
	else
		store_rollback(history->store);
	if (r < 0)
		note_failure(history);
	else
		note_success(history);
	return r;
}

void history_write(struct history *history)
{
	struct error *err = &history->problem;
	int r;

	if (history_is_empty(history))
		return;
	r = store_begin(history->store, err);
	if (r < 0)
		note_failure(history);
	else
		(void)finish(history, write_all(history, err), err);
}

int history_commit(struct history *history, history_part *part, void *userdata, struct error *err)
{
	int r = store_begin_durably(history->store, &history->problem);

	if (r < 0) {
		note_failure(history);
	} else {
		r = write_all(history, &history->problem);
		if (r == 0)
			r = part(userdata, &history->problem);
		r = finish(history, r, &history->problem);
	}
	if (r < 0 && err)
		*err = history->problem;
	return r;
}

size_t history_mark(const struct history *history)
{
	return history->events.count;
}

void history_undo(struct history *history, size_t mark)
{
	struct pending_event *items = history->events.items;

	for (; history->events.count > mark; history->events.count--) {
		const struct pending_event *event = &items[history->events.count - 1];

		free(event->event);
		free(event->vm);
		free(event->text);
	}
}

void history_expire(struct history *history, int64_t before_usec)
{
	struct error err = ERROR_INIT;
	int r = store_begin(history->store, &err);

	if (r == 0)
		r = store_expire(history->store, before_usec, EXPIRE_ROWS, &err);
	if (r >= 0)
		r = store_commit(history->store, &err);
	if (r >= 0)
		return;
	store_rollback(history->store);
	log_debug("nothing expired: %s", err.text);
}

const char *history_problem(const struct history *history)
{
	return history->failing ? history->problem.text : NULL;
}

bool history_is_empty(const struct history *history)
{
	return history->points.count == 0 && history->rows.count == 0 &&
	       history->events.count == 0 && history->alarm_count == 0;
}

uint64_t history_failures(const struct history *history)
{
	return history->failures;
}
