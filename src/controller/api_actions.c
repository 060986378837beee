/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP API (docs/http-api.md): actions, and the audit of them. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "controller/api.h"
#include "controller/api_scope.h"
#include "controller/controller.h"

enum {
	ACTIONS_DEFAULT = 100,
	ACTIONS_LIST_MAX = 10000,
	RECORDS_DEFAULT = 1000,
	RECORDS_MAX = 10000
};

struct action_list {
	const char *project; /* that the request is confined to */
	json_t *actions;
	size_t limit;
	json_t *found; /* of a single one */
};

static int take_action(void *userdata, const struct store_action *stored)
{
	struct action_list *list = userdata;
	cleanup(json_decref) json_t *described = json_loads(stored->detail, 0, NULL);

	if (!described || !scope_has_entry(described, list->project))
		return 0;
	if (list->actions)
		return json_array_append(list->actions, described) < 0
			       ? -ENOMEM
			       : json_array_size(list->actions) == list->limit;
	list->found = keep(described);
	return 0;
}

int api_actions(void *userdata, struct http_request *request, struct error *err)
{
	struct action_list list = {.project = access_project(request)};
	const struct controller *controller = userdata;
	char state[32] = "";
	const char *argument;
	int64_t alarm;
	int r = api_get_number(request, "alarm", 0, &alarm, err);

	if (r == 0)
		r = api_get_limit(request, ACTIONS_DEFAULT, ACTIONS_LIST_MAX, &list.limit, err);
	if (r < 0)
		return r;
	argument = http_request_query(request, "state");
	(void)snprintf(state, sizeof(state), "%s", argument ? argument : "");
	list.actions = json_array();
	r = store_each_action(history_store(controller->history), alarm, *state ? state : NULL,
			      *list.project ? ACTIONS_LIST_MAX : list.limit, take_action, &list,
			      err);
	if (r < 0) {
		json_decref(list.actions);
		return r;
	}
	http_answer_json(request, json_pack("{s:o}", "actions", list.actions));
	return 200;
}

/* Returns owned in `ret_action`. */
static int read_action(struct controller *controller, const struct http_request *request,
		       int64_t id, json_t **ret_action, struct error *err)
{
	struct action_list list = {.project = access_project(request)};
	int r = store_get_action(history_store(controller->history), id, take_action, &list, err);

	if (r == -ENOENT || (r == 0 && !list.found))
		return error_set(err, -ENOENT, "there is no action %lld", (long long)id);
	if (r == 0)
		*ret_action = list.found;
	return r;
}

static int answer_action(struct controller *controller, struct http_request *request, int64_t id,
			 int status, struct error *err)
{
	json_t *action;
	int r = read_action(controller, request, id, &action, err);

	if (r < 0)
		return r;
	http_answer_json(request, action);
	return status;
}

int api_action(void *userdata, struct http_request *request, struct error *err)
{
	int64_t id;
	int r = api_path_number(request, "an action", &id, err);

	return r < 0 ? r : answer_action(userdata, request, id, 200, err);
}

int api_action_veto(void *userdata, struct http_request *request, struct error *err)
{
	char who[ACCESS_WHO_SIZE];
	json_t *seen = NULL;
	int64_t id;
	int r = api_path_number(request, "an action", &id, err);

	if (r == 0)
		r = read_action(userdata, request, id, &seen, err);
	json_decref(seen);
	if (r == 0)
		r = actions_veto(userdata, id, access_who(request, who), err);
	return r < 0 ? r : answer_action(userdata, request, id, 200, err);
}

/* Ordering */

/* Members of the body that are not arguments of the kind. */
static const char *const frame[] = {"kind", "vm", "alarm", "dry_run", "evidence", "why"};

static json_t *arguments_of(const json_t *body)
{
	json_t *arguments = json_copy((json_t *)body); /* only read */

	for (size_t i = 0; i < sizeof(frame) / sizeof(frame[0]); i++)
		(void)json_object_del(arguments, frame[i]);
	return arguments;
}

/* Of a release: the VM and the number on the wire of what is undone. */
static int find_undone(struct controller *controller, const struct http_request *request,
		       json_t *arguments, struct action_order *order, struct error *err)
{
	const json_t *undoes = json_object_get(arguments, "undoes");
	cleanup(json_decref) json_t *undone = NULL;
	int r;

	if (!json_is_integer(undoes))
		return error_set(err, -EINVAL, "release needs undoes, the number of an action");
	r = read_action(controller, request, json_integer_value(undoes), &undone, err);
	if (r < 0)
		return r;
	if (strcmp(json_string_value(json_object_get(undone, "kind")), "contain") != 0)
		return error_set(err, -EINVAL, "only a contain action can be released");
	if (json_object_set(arguments, "undoes_number", json_object_get(undone, "number")) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	order->vm =
		fleet_vm_at(&controller->fleet, text_of(undone, "uuid"), text_of(undone, "node"));
	return order->vm && access_sees(request, order->vm)
		       ? 0
		       : error_set(err, -ENOENT, "no VM is called '%.100s'",
				   text_of(undone, "uuid"));
}

static int find_vm(struct controller *controller, const struct http_request *request,
		   struct action_order *order, struct error *err)
{
	const char *vm = json_string_value(json_object_get(http_request_body(request), "vm"));
	int r = vm ? access_find_vm(request, &controller->fleet, vm, &order->vm, err)
		   : error_set(err, -EINVAL, "vm must name a VM");

	if (r == 0 && order->vm->gone)
		return error_set(err, -ENOENT, "VM '%.100s' does not run", order->vm->name);
	return r;
}

static int get_flag(const json_t *body, const char *name, bool *ret_flag, struct error *err)
{
	const json_t *value = json_object_get(body, name);

	if (value && !json_is_null(value) && !json_is_boolean(value))
		return error_set(err, -EINVAL, "%s must be true or false", name);
	*ret_flag = json_is_true(value);
	return 0;
}

static int get_why(const json_t *body, const char **ret_why, struct error *err)
{
	const json_t *why = json_object_get(body, "why");

	if (why && !json_is_null(why) && !json_is_string(why))
		return error_set(err, -EINVAL, "why must be a text");
	*ret_why = text_of(body, "why");
	if (strlen(*ret_why) > ALARM_NOTE_SIZE_MAX)
		return error_set(err, -E2BIG, "why has at most %d bytes", ALARM_NOTE_SIZE_MAX);
	return 0;
}

/* The alarm that the order is for, if the request may see it. */
static int find_alarm(struct controller *controller, const struct http_request *request,
		      int64_t *ret_id, struct error *err)
{
	const json_t *id = json_object_get(http_request_body(request), "alarm");

	*ret_id = json_integer_value(id);
	if (!id || json_is_null(id))
		return 0;
	if (!json_is_integer(id))
		return error_set(err, -EINVAL, "alarm must be the number of an alarm");
	return access_find_alarm(request, &controller->groups, *ret_id)
		       ? 0
		       : error_set(err, -EINVAL, "alarm %lld is not open and not the last one",
				   (long long)*ret_id);
}

static int fill_order(struct controller *controller, const struct http_request *request,
		      struct action_order *order, struct error *err)
{
	const json_t *body = http_request_body(request);
	int r;

	if (wire_act_kind_parse(text_of(body, "kind"), &order->kind) < 0)
		return error_set(err, -EINVAL,
				 "kind must be end-process, contain, release, pause, resume or "
				 "snapshot");
	r = get_flag(body, "dry_run", &order->dry_run, err);
	if (r == 0)
		r = get_flag(body, "evidence", &order->evidence, err);
	if (r == 0)
		r = get_why(body, &order->why, err);
	if (r == 0)
		r = find_alarm(controller, request, &order->alarm, err);
	if (r < 0)
		return r;
	return order->kind == WIRE_ACT_RELEASE
		       ? find_undone(controller, request, order->arguments, order, err)
		       : find_vm(controller, request, order, err);
}

int api_action_order(void *userdata, struct http_request *request, struct error *err)
{
	cleanup(json_decref) json_t *arguments = arguments_of(http_request_body(request));
	char who[ACCESS_WHO_SIZE];
	struct action_order order = {.arguments = arguments, .by = access_who(request, who)};
	int64_t id;
	int r = fill_order(userdata, request, &order, err);

	if (r == 0)
		r = actions_order(userdata, &order, &id, err);
	return r < 0 ? r : answer_action(userdata, request, id, 202, err);
}

/* The audit */

static int take_record(void *userdata, int64_t number, int64_t time_usec, const char *record,
		       const char *hash)
{
	return json_array_append_new(
		userdata, json_pack("{s:I, s:o, s:s, s:s}", "number", (json_int_t)number, "time",
				    api_time(time_usec), "record", record, "hash", hash));
}

int api_audit(void *userdata, struct http_request *request, struct error *err)
{
	const struct controller *controller = userdata;
	const struct audit *audit = &controller->actions.audit;
	json_t *records;
	int64_t after;
	size_t limit;
	int r = access_check_all(request, err);

	if (r == 0)
		r = api_get_number(request, "after", 0, &after, err);
	if (r == 0)
		r = api_get_limit(request, RECORDS_DEFAULT, RECORDS_MAX, &limit, err);
	if (r < 0)
		return r;
	records = json_array();
	r = store_each_audit(audit->store, after, limit, take_record, records, err);
	if (r < 0) {
		json_decref(records);
		return r;
	}
	http_answer_json(request,
			 json_pack("{s:o, s:{s:I, s:s}}", "records", records, "last", "number",
				   (json_int_t)audit->number, "hash", audit->seal));
	return 200;
}
