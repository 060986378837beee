/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP API (docs/http-api.md): groups with their rows. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "controller/alarm.h"
#include "controller/api.h"
#include "controller/controller.h"

enum { ROWS_DEFAULT = 10000, ROWS_MAX = 1000000 };

/* Groups */

/* Those that the request may see. */
static json_t *list_vms(const struct controller *controller, const struct group *group,
			const struct http_request *request)
{
	json_t *list = json_array();
	struct node *node;
	struct vm *vm;

	map_foreach (controller->fleet.nodes, i, node) {
		map_foreach (node->vms, j, vm)
			if (vm->group == group && access_sees(request, vm))
				(void)json_array_append_new(list, json_string(vm->name));
	}
	return list;
}

/* What its maximum errors come from and cost. */
static json_t *describe_tracking(const struct tuner *tuner, const struct group *group)
{
	const struct tuning *tuning = &group->tuning;
	bool known = tuner->budget.mu > 0 && isfinite(tuning->power_loss);
	json_t *from = json_object();

	for (size_t i = 0; i < group->column_count; i++) {
		enum metric metric = group->columns[i].metric;

		(void)json_object_set_new(
			from, metric_info(metric)->name,
			json_string(delta_source_name(tuner->rules[metric].source)));
	}
	return json_pack("{s:f, s:s, s:o, s:o, s:o, s:I, s:o}", "mu", tuner->budget.mu, "budget",
			 tuner->budget.method == BUDGET_DIRECT ? "direct" : "paper", "delta_std",
			 api_number(known ? tuning->budget.delta : NAN), "epsilon",
			 api_number(known ? tuning->budget.epsilon : NAN), "power_loss",
			 api_number(tuning->power_loss), "version",
			 (json_int_t)tuning->plan.version, "from", from);
}

/* NULL: the request may see nothing of it. */
static json_t *describe_group(const struct controller *controller, const struct group *group,
			      const struct http_request *request)
{
	const struct row_verdict *verdict = &group->verdict;
	json_t *vms = list_vms(controller, group, request), *alarm;

	if (*access_project(request) && json_array_size(vms) == 0) {
		json_decref(vms);
		return NULL;
	}
	alarm = group->alarm && access_find_alarm(request, &controller->groups, group->alarm->id)
			? json_integer(group->alarm->id)
			: json_null();
	return json_pack(
		"{s:s, s:o, s:I, s:I, s:I, s:I, s:s, s:o, s:o, s:I, s:I, s:o, s:o, s:o}", "name",
		group->name, "vms", vms, "columns", (json_int_t)group->column_count, "learning",
		(json_int_t)group_learning_columns(group), "window_rows",
		(json_int_t)monitor_window_rows(group->monitor), "window_size",
		(json_int_t)controller->groups.options.window_rows, "state",
		group_state_name(group), "spe", api_number(verdict->spe), "q",
		api_number(verdict->q), "components", (json_int_t)verdict->components, "level",
		(json_int_t)verdict->level, "time", api_time(group->row_usec), "alarm", alarm,
		"tracking", describe_tracking(&controller->groups.tuner, group));
}

int api_groups(void *userdata, struct http_request *request, struct error *err)
{
	const struct controller *controller = userdata;
	json_t *list = json_array();
	struct group *group;

	map_foreach (controller->groups.by_name, i, group) {
		json_t *described = describe_group(controller, group, request);

		if (described)
			(void)json_array_append_new(list, described);
	}
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
	json_t *body = group ? describe_group(controller, group, request) : NULL, *rows;
	int r;

	if (!body)
		return error_set(err, -ENOENT, "there is no group '%.100s'", name);
	rows = json_array();
	r = read_rows(controller, request, group, rows, err);
	if (r < 0) {
		json_decref(rows);
		json_decref(body);
		return r;
	}
	(void)json_object_set_new(body, "rows", rows);
	http_answer_json(request, body);
	return 200;
}
