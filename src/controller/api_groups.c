/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP API (docs/http-api.md): groups with their rows, alarms with their evidence and history.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "controller/alarm.h"
#include "controller/api.h"
#include "controller/controller.h"

enum { ROWS_DEFAULT = 10000, ROWS_MAX = 1000000, ALARMS_DEFAULT = 100, ALARMS_MAX = 10000 };

/* Groups */

static json_t *list_vms(const struct controller *controller, const struct group *group)
{
	json_t *list = json_array();
	struct node *node;
	struct vm *vm;

	map_foreach (controller->fleet.nodes, i, node) {
		map_foreach (node->vms, j, vm)
			if (vm->group == group)
				(void)json_array_append_new(list, json_string(vm->name));
	}
	return list;
}

static json_t *describe_group(const struct controller *controller, const struct group *group)
{
	const struct row_verdict *verdict = &group->verdict;
	json_t *alarm = group->alarm ? json_integer(group->alarm->id) : json_null();

	return json_pack("{s:s, s:o, s:I, s:I, s:I, s:I, s:s, s:o, s:o, s:I, s:I, s:o, s:o}",
			 "name", group->name, "vms", list_vms(controller, group), "columns",
			 (json_int_t)group->column_count, "learning",
			 (json_int_t)group_learning_columns(group), "window_rows",
			 (json_int_t)monitor_window_rows(group->monitor), "window_size",
			 (json_int_t)controller->groups.options.window_rows, "state",
			 group_state_name(group), "spe", api_number(verdict->spe), "q",
			 api_number(verdict->q), "components", (json_int_t)verdict->components,
			 "level", (json_int_t)verdict->level, "time", api_time(group->row_usec),
			 "alarm", alarm);
}

int api_groups(void *userdata, struct http_request *request, struct error *err)
{
	const struct controller *controller = userdata;
	json_t *list = json_array();
	struct group *group;

	map_foreach (controller->groups.by_name, i, group)
		(void)json_array_append_new(list, describe_group(controller, group));
	http_answer_json(request, json_pack("{s:o}", "groups", list));
	return 200;
}

static int take_row(void *userdata, const struct store_row *row)
{
	return json_array_append_new(
		userdata,
		json_pack("{s:o, s:o, s:o, s:s, s:I, s:I}", "time", api_time(row->time_usec), "spe",
			  api_number(row->spe), "q", api_number(row->q), "state",
			  row_state_name((enum row_state)row->state), "components",
			  (json_int_t)row->components, "level", (json_int_t)row->level));
}

static int read_rows(struct controller *controller, struct http_request *request,
		     const struct group *group, json_t *rows, struct error *err)
{
	int64_t from, to;
	size_t limit;
	int r = api_get_time(request, "to", clock_wall_usec() + USEC_PER_SEC, &to, err);

	if (r == 0)
		r = api_get_time(request, "from", to - 3600 * USEC_PER_SEC, &from, err);
	if (r == 0)
		r = api_get_limit(request, ROWS_DEFAULT, ROWS_MAX, &limit, err);
	if (r == 0)
		r = store_each_row(history_store(controller->history), group->name, from, to, limit,
				   take_row, rows, err);
	return r;
}

int api_group(void *userdata, struct http_request *request, struct error *err)
{
	struct controller *controller = userdata;
	const char *name = http_request_parameter(request, 0);
	const struct group *group = map_find(controller->groups.by_name, name);
	json_t *body, *rows;
	int r;

	if (!group)
		return error_set(err, -ENOENT, "there is no group '%.100s'", name);
	rows = json_array();
	r = read_rows(controller, request, group, rows, err);
	if (r < 0) {
		json_decref(rows);
		return r;
	}
	body = describe_group(controller, group);
	(void)json_object_set_new(body, "rows", rows);
	http_answer_json(request, body);
	return 200;
}

/* Alarms */

static json_t *describe_alarm(const struct store_alarm *alarm)
{
	return json_pack("{s:I, s:s, s:s, s:o, s:o, s:I, s:s}", "id", (json_int_t)alarm->id,
			 "group", alarm->group, "state", alarm->state, "opened",
			 api_time(alarm->opened_usec), "closed", api_time(alarm->closed_usec),
			 "level", (json_int_t)alarm->level, "summary", alarm->summary);
}

static int take_alarm(void *userdata, const struct store_alarm *alarm)
{
	return json_array_append_new(userdata, describe_alarm(alarm));
}

int api_alarms(void *userdata, struct http_request *request, struct error *err)
{
	struct controller *controller = userdata;
	const char *argument = http_request_query(request, "state");
	char state[8] = "";
	json_t *list;
	size_t limit;
	int r;

	if (argument && strcmp(argument, "open") != 0 && strcmp(argument, "closed") != 0)
		return error_set(err, -EINVAL, "state must be open or closed");
	(void)snprintf(state, sizeof(state), "%s", argument ? argument : "");
	r = api_get_limit(request, ALARMS_DEFAULT, ALARMS_MAX, &limit, err);
	if (r < 0)
		return r;
	list = json_array();
	r = store_each_alarm(history_store(controller->history), *state ? state : NULL, limit,
			     take_alarm, list, err);
	if (r < 0) {
		json_decref(list);
		return r;
	}
	http_answer_json(request, json_pack("{s:o}", "alarms", list));
	return 200;
}

static int take_detail(void *userdata, const struct store_alarm *alarm)
{
	json_t *evidence = json_loads(alarm->evidence, 0, NULL), *described = describe_alarm(alarm);

	(void)json_object_update(userdata, described);
	if (evidence)
		(void)json_object_update(userdata, evidence);
	json_decref(evidence);
	json_decref(described);
	return 0;
}

static int take_event(void *userdata, const struct store_event *event)
{
	return json_array_append_new(userdata, json_pack("{s:o, s:s, s:s}", "time",
							 api_time(event->time_usec), "event",
							 event->event, "text", event->text));
}

int api_alarm(void *userdata, struct http_request *request, struct error *err)
{
	struct store *store = history_store(((struct controller *)userdata)->history);
	const char *text = http_request_parameter(request, 0);
	json_t *body, *events;
	char *end;
	long long id = strtoll(text, &end, 10);
	int r;

	if (*end || id < 1)
		return error_set(err, -EINVAL, "'%.60s' is no alarm number", text);
	body = json_object();
	events = json_array();
	r = store_get_alarm(store, id, take_detail, body, err);
	if (r == 0)
		r = store_each_alarm_event(store, id, take_event, events, err);
	(void)json_object_set_new(body, "history", events);
	if (r < 0) {
		json_decref(body);
		return r;
	}
	http_answer_json(request, body);
	return 200;
}
