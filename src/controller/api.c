/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP API (docs/http-api.md): status, nodes, VMs and series. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "controller/api.h"
#include "controller/controller.h"

enum { POINTS_DEFAULT = 10000, POINTS_MAX = 1000000 };

json_t *api_number(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

json_t *api_time(int64_t wall_usec)
{
	char text[CLOCK_TEXT_SIZE];

	return wall_usec > 0 ? json_string(clock_format(wall_usec, text)) : json_null();
}

int api_get_time(struct http_request *request, const char *name, int64_t fallback,
		 int64_t *ret_usec, struct error *err)
{
	const char *text = http_request_query(request, name);

	*ret_usec = fallback;
	if (!text || clock_parse(text, ret_usec) == 0)
		return 0;
	return error_set(err, -EINVAL,
			 "%s: '%.60s' is no time: write 2026-11-24T10:36:41Z, seconds since "
			 "1970, or now",
			 name, text);
}

int api_get_limit(struct http_request *request, size_t fallback, size_t maximum, size_t *ret_limit,
		  struct error *err)
{
	const char *text = http_request_query(request, "limit");
	int64_t limit = (int64_t)fallback;
	int r = text ? api_parse_number(text, "limit", 1, (int64_t)maximum, &limit, err) : 0;

	*ret_limit = (size_t)limit;
	return r;
}

int api_parse_number(const char *text, const char *what, int64_t minimum, int64_t maximum,
		     int64_t *ret_number, struct error *err)
{
	bool is_written = *text && strspn(text, "0123456789") == strlen(text);
	long long number;

	errno = 0;
	number = is_written ? strtoll(text, NULL, 10) : 0;
	if (is_written && !errno && number >= minimum && number <= maximum) {
		*ret_number = number;
		return 0;
	}
	if (maximum == INT64_MAX)
		return error_set(err, -EINVAL, "%s must be a number from %lld on, not '%.60s'",
				 what, (long long)minimum, text);
	return error_set(err, -EINVAL, "%s must be a number from %lld to %lld, not '%.60s'", what,
			 (long long)minimum, (long long)maximum, text);
}

int api_get_number(struct http_request *request, const char *name, int64_t fallback,
		   int64_t *ret_number, struct error *err)
{
	const char *text = http_request_query(request, name);

	*ret_number = fallback;
	return text ? api_parse_number(text, name, 0, INT64_MAX, ret_number, err) : 0;
}

int api_path_number(const struct http_request *request, const char *what, int64_t *ret_number,
		    struct error *err)
{
	const char *text = http_request_parameter(request, 0);

	if (api_parse_number(text, what, 1, INT64_MAX, ret_number, NULL) < 0)
		return error_set(err, -EINVAL, "'%.60s' is no number of %s", text, what);
	return 0;
}

/* Status */

static uint64_t bytes_of(const struct node *node)
{
	return node->bytes + (node->peer ? bus_peer_bytes_received(node->peer) : 0);
}

static void add_node(struct totals *totals, const struct node *node)
{
	struct vm *vm;

	totals->nodes++;
	totals->connected += node->state == NODE_CONNECTED;
	totals->frames += node->frames;
	totals->bytes += bytes_of(node);
	map_foreach (node->vms, i, vm) {
		totals->vms += !vm->gone;
		for (size_t j = 0; j < METRIC_COUNT; j++) {
			const struct series *series = &vm->series[j];

			totals->samples += series->tracker.ticks;
			totals->received += series->tracker.received;
			if (!series->exists || vm->gone)
				continue;
			totals->series++;
			totals->by_state[series->tracker.state]++;
		}
	}
}

struct totals controller_totals(const struct controller *controller)
{
	struct totals totals = {0};
	struct group *group;
	struct node *node;

	map_foreach (controller->fleet.nodes, i, node)
		add_node(&totals, node);
	map_foreach (controller->groups.by_name, i, group)
		totals.alarms_open += group->alarm != NULL;
	return totals;
}

static double saved_percent(uint64_t samples, uint64_t received)
{
	return samples > 0 ? 100.0 * (1.0 - (double)received / (double)samples) : NAN;
}

static int answer_status(void *userdata, struct http_request *request, struct error *err)
{
	const struct controller *controller = userdata;
	const char *problem = history_problem(controller->history);
	struct totals totals = controller_totals(controller);
	json_t *body = json_pack(
		"{s:s, s:o, s:o, s:{s:s, s:b, s:s?}, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:I, "
		"s:I, s:I}",
		"version", ATOM_VERSION, "started", api_time(controller->started_usec), "now",
		api_time(clock_wall_usec()), "store", "path", controller->settings.store_path,
		"healthy", problem == NULL, "problem", problem, "interval_seconds",
		(double)controller->settings.interval_usec / (double)USEC_PER_SEC, "nodes",
		(json_int_t)totals.nodes, "nodes_connected", (json_int_t)totals.connected, "vms",
		(json_int_t)totals.vms, "series", (json_int_t)totals.series, "samples",
		(json_int_t)totals.samples, "values_received", (json_int_t)totals.received,
		"values_saved_percent", api_number(saved_percent(totals.samples, totals.received)),
		"bytes_received", (json_int_t)totals.bytes, "groups",
		(json_int_t)map_size(controller->groups.by_name), "alarms_open",
		(json_int_t)totals.alarms_open);

	http_answer_json(request, body);
	return 200;
}

static int answer_health(void *userdata, struct http_request *request, struct error *err)
{
	const struct controller *controller = userdata;
	const char *problem = history_problem(controller->history);
	const char *text = problem ? problem : "ok\n";

	http_answer_text(request, "text/plain; charset=utf-8", text, strlen(text));
	return problem ? 503 : 200;
}

/* Nodes */

static json_t *describe_node(const struct node *node, const struct http_request *request)
{
	size_t running = 0;
	struct vm *vm;

	map_foreach (node->vms, i, vm)
		running += !vm->gone && access_sees(request, vm);
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:I, s:I, s:f, s:I, s:I, s:I, "
			 "s:I}",
			 "name", node->name, "host", node->host, "address", node->address,
			 "software", node->software, "hypervisor", node->hypervisor, "state",
			 fleet_node_state_name(node->state), "since", api_time(node->since_usec),
			 "watermark", api_time(node->watermark_usec), "epoch",
			 (json_int_t)node->epoch, "sequence", (json_int_t)node->sequence,
			 "interval_seconds", (double)node->interval_usec / (double)USEC_PER_SEC,
			 "vms", (json_int_t)running, "frames", (json_int_t)node->frames,
			 "bytes_received", (json_int_t)bytes_of(node), "delta_version",
			 (json_int_t)node->delta_version);
}

/* A request of one project sees the nodes that its VMs run on. */
static bool has_visible(const struct node *node, const struct http_request *request)
{
	struct vm *vm;

	map_foreach (node->vms, i, vm)
		if (access_sees(request, vm))
			return true;
	return !*access_project(request);
}

static int answer_nodes(void *userdata, struct http_request *request, struct error *err)
{
	const struct controller *controller = userdata;
	json_t *list = json_array();
	struct node *node;

	map_foreach (controller->fleet.nodes, i, node)
		if (has_visible(node, request))
			(void)json_array_append_new(list, describe_node(node, request));
	http_answer_json(request, json_pack("{s:o}", "nodes", list));
	return 200;
}

/* VMs */

static const char *vm_state(const struct vm *vm)
{
	if (vm->gone)
		return "gone";
	for (size_t i = 0; i < METRIC_COUNT; i++)
		if (vm->series[i].exists && vm->series[i].tracker.state != TRACKER_STALE)
			return "good";
	return "stale";
}

static bool is_learning(const struct vm *vm)
{
	for (size_t i = 0; vm->group && i < METRIC_COUNT; i++)
		if (vm->series[i].column != NO_COLUMN &&
		    monitor_column_is_learning(vm->group->monitor, (size_t)vm->series[i].column))
			return true;
	return false;
}

static json_t *describe_series(const struct vm *vm)
{
	json_t *list = json_object();

	for (size_t i = 0; i < METRIC_COUNT; i++) {
		const struct metric_info *info = metric_info((enum metric)i);
		const struct tracker *tracker = &vm->series[i].tracker;

		if (!vm->series[i].exists)
			continue;
		(void)json_object_set_new(
			list, info->name,
			json_pack("{s:o, s:f, s:o, s:s, s:s, s:o, s:I, s:I}", "value",
				  api_number(tracker->value), "delta", tracker->delta,
				  "delta_planned", api_number(vm->series[i].planned), "state",
				  tracker_state_name(tracker->state), "unit", info->unit, "since",
				  api_time(tracker->since_usec), "samples",
				  (json_int_t)tracker->ticks, "values_received",
				  (json_int_t)tracker->received));
	}
	return list;
}

static json_t *describe_vm(const struct vm *vm)
{
	json_int_t samples = 0, received = 0;

	for (size_t i = 0; i < METRIC_COUNT; i++) {
		samples += (json_int_t)vm->series[i].tracker.ticks;
		received += (json_int_t)vm->series[i].tracker.received;
	}
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:s?, s:b, s:o, s:I, s:I}", "uuid",
			 vm->uuid_text, "name", vm->name, "instance", vm->instance, "project",
			 vm->project, "node", vm->node->name, "vcpus", (json_int_t)vm->vcpus,
			 "state", vm_state(vm), "group", vm->group ? vm->group->name : NULL,
			 "learning", is_learning(vm), "series", describe_series(vm), "samples",
			 samples, "values_received", received);
}

static int answer_vms(void *userdata, struct http_request *request, struct error *err)
{
	const struct controller *controller = userdata;
	json_t *list = json_array();
	struct node *node;
	struct vm *vm;

	map_foreach (controller->fleet.nodes, i, node) {
		map_foreach (node->vms, j, vm)
			if (access_sees(request, vm))
				(void)json_array_append_new(list, describe_vm(vm));
	}
	http_answer_json(request, json_pack("{s:o}", "vms", list));
	return 200;
}

/* The VM that the path names, if the request may see it. */
static int find_vm(const struct controller *controller, const struct http_request *request,
		   struct vm **ret_vm, struct error *err)
{
	return access_find_vm(request, &controller->fleet, http_request_parameter(request, 0),
			      ret_vm, err);
}

static int answer_vm(void *userdata, struct http_request *request, struct error *err)
{
	const struct controller *controller = userdata;
	struct vm *vm;
	int r = find_vm(controller, request, &vm, err);

	if (r < 0)
		return r;
	http_answer_json(request, describe_vm(vm));
	return 200;
}

/* Series */

static const char *point_state_name(enum store_point_state state)
{
	static const char *const names[] = {[STORE_POINT_GOOD] = "good",
					    [STORE_POINT_GAP] = "gap",
					    [STORE_POINT_STALE] = "stale"};

	return names[state];
}

static json_t *describe_point(const struct store_point *point, const char *state)
{
	return json_pack("{s:o, s:o, s:f, s:s}", "time", api_time(point->time_usec), "value",
			 api_number(point->value), "delta", point->delta, "state", state);
}

struct point_list {
	json_t *points;
	size_t limit;
};

static int take_point(void *userdata, const struct store_point *point)
{
	struct point_list *list = userdata;

	if (json_array_size(list->points) == list->limit)
		return 1;
	return json_array_append_new(list->points,
				     describe_point(point, point_state_name(point->state)));
}

static int read_points(struct controller *controller, int64_t series, int64_t from, int64_t to,
		       struct point_list *list, struct error *err)
{
	if (series == 0)
		return 0; /* nothing of it has been written yet */
	return store_each_point(history_store(controller->history), series, from, to, take_point,
				list, err);
}

/* The one point in force at an instant. */
static int read_instant(struct controller *controller, const struct vm *vm, int64_t series,
			int64_t at, json_t *points, struct error *err)
{
	struct store_point point;
	int r = series ? store_point_at(history_store(controller->history), series, at, &point, err)
		       : error_set(err, -ENOENT, "nothing is known of that time");
	bool beyond = at > vm->node->watermark_usec;

	if (r < 0)
		return r;
	return json_array_append_new(
		points, describe_point(&point, beyond && point.state == STORE_POINT_GOOD
						       ? "unknown"
						       : point_state_name(point.state)));
}

static int fill_points(struct controller *controller, struct http_request *request, struct vm *vm,
		       enum metric metric, json_t *body, struct error *err)
{
	struct point_list list = {.points = json_object_get(body, "points")};
	int64_t now = clock_wall_usec(), series = vm->series[metric].number, from, to, at;
	int r = api_get_time(request, "to", now, &to, err);

	if (r == 0)
		r = api_get_time(request, "from", to - 3600 * USEC_PER_SEC, &from, err);
	if (r == 0)
		r = api_get_time(request, "at", -1, &at, err);
	if (r == 0)
		r = api_get_limit(request, POINTS_DEFAULT, POINTS_MAX, &list.limit, err);
	if (r < 0)
		return r;
	if (from > to)
		return error_set(err, -EINVAL, "from lies after to");
	(void)json_object_set_new(body, "from", api_time(at >= 0 ? at : from));
	(void)json_object_set_new(body, "to", api_time(at >= 0 ? at : to));
	if (at >= 0)
		return read_instant(controller, vm, series, at, list.points, err);
	r = read_points(controller, series, from, to, &list, err);
	(void)json_object_set_new(body, "truncated", json_boolean(r > 0));
	return r < 0 ? r : 0;
}

static int answer_metric(void *userdata, struct http_request *request, struct error *err)
{
	struct controller *controller = userdata;
	const char *name = http_request_parameter(request, 1);
	const struct tracker *tracker;
	enum metric metric;
	struct vm *vm;
	json_t *body;
	int r = find_vm(controller, request, &vm, err);

	if (r < 0)
		return r;
	if (metric_parse(name, &metric) < 0 || !vm->series[metric].exists)
		return error_set(err, -ENOENT, "VM '%s' has no metric '%.60s'", vm->name, name);
	tracker = &vm->series[metric].tracker;
	body = json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:[], s:b, s:I, s:I}", "uuid",
			 vm->uuid_text, "name", vm->name, "node", vm->node->name, "metric", name,
			 "unit", metric_info(metric)->unit, "watermark",
			 api_time(vm->node->watermark_usec), "points", "truncated", 0, "samples",
			 (json_int_t)tracker->ticks, "values_received",
			 (json_int_t)tracker->received);
	r = fill_points(controller, request, vm, metric, body, err);
	if (r < 0) {
		json_decref(body);
		return r;
	}
	http_answer_json(request, body);
	return 200;
}

const struct http_route api_routes[] = {
	{"GET", "/healthz", ACCESS_NONE, answer_health},
	{"GET", "/metrics", ACCESS_VIEWER, api_prometheus},
	{"GET", "/api/v1/status", ACCESS_VIEWER, answer_status},
	{"GET", "/api/v1/nodes", ACCESS_VIEWER, answer_nodes},
	{"GET", "/api/v1/vms", ACCESS_VIEWER, answer_vms},
	{"GET", "/api/v1/vms/{vm}", ACCESS_VIEWER, answer_vm},
	{"GET", "/api/v1/vms/{vm}/metrics/{metric}", ACCESS_VIEWER, answer_metric},
	{"GET", "/api/v1/groups", ACCESS_VIEWER, api_groups},
	{"GET", "/api/v1/groups/{group}", ACCESS_VIEWER, api_group},
	{"GET", "/api/v1/alarms", ACCESS_VIEWER, api_alarms},
	{"GET", "/api/v1/alarms/{id}", ACCESS_VIEWER, api_alarm},
	{"POST", "/api/v1/alarms/{id}/notes", ACCESS_OPERATOR, api_alarm_note},
	{"POST", "/api/v1/alarms/{id}/verdict", ACCESS_OPERATOR, api_alarm_verdict},
	{"GET", "/api/v1/events", ACCESS_VIEWER, api_events},
	{"GET", "/api/v1/actions", ACCESS_VIEWER, api_actions},
	{"POST", "/api/v1/actions", ACCESS_OPERATOR, api_action_order},
	{"GET", "/api/v1/actions/{id}", ACCESS_VIEWER, api_action},
	{"POST", "/api/v1/actions/{id}/veto", ACCESS_OPERATOR, api_action_veto},
	{"GET", "/api/v1/audit", ACCESS_ADMIN, api_audit},
};
const size_t api_route_count = sizeof(api_routes) / sizeof(api_routes[0]);
