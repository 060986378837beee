/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP API (docs/http-api.md): alarms with their evidence and history, notes, verdicts, and the
 * events of all of them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "controller/api.h"
#include "controller/api_scope.h"
#include "controller/controller.h"
#include "controller/verdict.h"

enum { ALARMS_DEFAULT = 100, ALARMS_MAX = 10000, EVENTS_DEFAULT = 20, EVENTS_MAX = 10000 };

/* An alarm, or a list of alarms, as a request may see it. */
struct view {
	const char *project;
	json_t *body;
	size_t limit; /* of a list */
};

/* What a project may not see does not count: of the newest so many its own are told. */
static size_t limit_of_reading(const char *project, size_t limit, size_t maximum)
{
	return *project ? maximum : limit;
}

static json_t *describe(const struct store_alarm *alarm)
{
	return json_pack("{s:I, s:s, s:s, s:o, s:o, s:I, s:s}", "id", (json_int_t)alarm->id,
			 "group", alarm->group, "state", alarm->state, "opened",
			 api_time(alarm->opened_usec), "closed", api_time(alarm->closed_usec),
			 "level", (json_int_t)alarm->level, "summary", alarm->summary);
}

/* The summary names VMs: of those that may be seen it is made anew. */
static void confine_summary(json_t *described, const json_t *evidence, const char *project)
{
	cleanup(free) char *summary = *project ? alarm_summarise(evidence) : NULL;

	if (*project)
		(void)json_object_set_new(described, "summary",
					  json_string(summary ? summary : ""));
}

/* The evidence as it may be seen; NULL: nothing of it. */
static json_t *load_evidence(const struct store_alarm *alarm, const char *project)
{
	json_t *evidence = json_loads(alarm->evidence, 0, NULL);

	if (evidence && scope_evidence(evidence, project))
		return evidence;
	json_decref(evidence);
	return *project ? NULL : json_object();
}

static int take_alarm(void *userdata, const struct store_alarm *alarm)
{
	struct view *view = userdata;
	cleanup(json_decref) json_t *evidence =
		*view->project ? load_evidence(alarm, view->project) : json_object();
	json_t *described;

	if (!evidence)
		return 0;
	described = describe(alarm);
	confine_summary(described, evidence, view->project);
	return json_array_append_new(view->body, described) < 0
		       ? -ENOMEM
		       : json_array_size(view->body) == view->limit;
}

int api_alarms(void *userdata, struct http_request *request, struct error *err)
{
	struct controller *controller = userdata;
	const char *argument = http_request_query(request, "state");
	struct view view = {.project = access_project(request)};
	char state[8] = "";
	int r;

	if (argument && strcmp(argument, "open") != 0 && strcmp(argument, "closed") != 0)
		return error_set(err, -EINVAL, "state must be open or closed");
	(void)snprintf(state, sizeof(state), "%s", argument ? argument : "");
	r = api_get_limit(request, ALARMS_DEFAULT, ALARMS_MAX, &view.limit, err);
	if (r < 0)
		return r;
	view.body = json_array();
	r = store_each_alarm(history_store(controller->history), *state ? state : NULL,
			     limit_of_reading(view.project, view.limit, ALARMS_MAX), take_alarm,
			     &view, err);
	if (r < 0) {
		json_decref(view.body);
		return r;
	}
	http_answer_json(request, json_pack("{s:o}", "alarms", view.body));
	return 200;
}

/* One alarm */

/* What is kept with the evidence for a restart alone. */
static const char *const inner[] = {"accepted_usec", "accepted_late", "earlier_level"};

static int take_detail(void *userdata, const struct store_alarm *alarm)
{
	const struct view *view = userdata;
	cleanup(json_decref) json_t *evidence = load_evidence(alarm, view->project);
	cleanup(json_decref) json_t *described = describe(alarm);

	if (!evidence)
		return -ENOENT;
	for (size_t i = 0; i < sizeof(inner) / sizeof(inner[0]); i++)
		(void)json_object_del(evidence, inner[i]);
	confine_summary(described, evidence, view->project);
	(void)json_object_update(view->body, described);
	(void)json_object_update(view->body, evidence);
	return 0;
}

/* Texts of other projects' VMs, and those that may name several, are not for a confined request. */
static bool may_read(const struct view *view, const struct store_event *event)
{
	return !*view->project ||
	       (*event->vm && scope_has_vm(view->body, event->vm, view->project));
}

static json_t *describe_event(const struct store_event *event, bool readable)
{
	return json_pack("{s:I, s:I, s:o, s:s, s:s}", "id", (json_int_t)event->id, "alarm",
			 (json_int_t)event->alarm, "time", api_time(event->time_usec), "event",
			 event->event, "text", readable ? event->text : "");
}

/* Of what may not be read it is told that it was, unless it is about another VM. */
static int add_event(const struct view *view, const struct store_event *event, json_t *list)
{
	bool readable = may_read(view, event);

	if (*event->vm && !readable)
		return 0;
	return json_array_append_new(list, describe_event(event, readable));
}

static int take_event(void *userdata, const struct store_event *event)
{
	const struct view *view = userdata;

	return add_event(view, event, json_object_get(view->body, "history"));
}

static int take_action_id(void *userdata, const struct store_action *action)
{
	const struct view *view = userdata;
	cleanup(json_decref) json_t *described = json_loads(action->detail, 0, NULL);

	if (!scope_has_entry(described, view->project))
		return 0;
	return json_array_append_new(json_object_get(view->body, "actions"),
				     json_integer(action->id));
}

static int read_alarm(struct controller *controller, int64_t id, struct view *view,
		      struct error *err)
{
	struct store *store = history_store(controller->history);
	int r;

	history_write(controller->history); /* what is read is what is known */
	r = store_get_alarm(store, id, take_detail, view, err);
	if (r == -ENOENT)
		return error_set(err, r, "there is no alarm %lld", (long long)id);
	if (r < 0)
		return r;
	(void)json_object_set_new(view->body, "history", json_array());
	(void)json_object_set_new(view->body, "actions", json_array());
	r = store_each_alarm_event(store, id, take_event, view, err);
	if (r == 0)
		r = store_each_action(store, id, NULL, ALARMS_MAX, take_action_id, view, err);
	return r;
}

int api_alarm(void *userdata, struct http_request *request, struct error *err)
{
	struct view view = {.project = access_project(request), .body = json_object()};
	int64_t id;
	int r = api_path_number(request, "an alarm", &id, err);

	if (r == 0)
		r = read_alarm(userdata, id, &view, err);
	if (r < 0) {
		json_decref(view.body);
		return r;
	}
	http_answer_json(request, view.body);
	return 200;
}

/* Words and verdicts */

/* Why an alarm cannot be written on: one that the request may not see is as one that is not there.
 */
static int tell_why_not(struct controller *controller, const struct http_request *request,
			int64_t id, struct error *err)
{
	struct view view = {.project = access_project(request), .body = json_object()};
	int r = read_alarm(controller, id, &view, err);

	json_decref(view.body);
	return r < 0 ? r
		     : error_set(err, -EALREADY,
				 "alarm %lld has been followed by another one: nothing is added to "
				 "it any more",
				 (long long)id);
}

/* The alarm that the path names, as far as its group still has it. An older one can be read, not
 * written on. */
static int find_alarm(struct controller *controller, const struct http_request *request,
		      struct alarm **ret_alarm, struct error *err)
{
	int64_t id;
	int r = api_path_number(request, "an alarm", &id, err);

	if (r < 0)
		return r;
	*ret_alarm = access_find_alarm(request, &controller->groups, id);
	return *ret_alarm ? 0 : tell_why_not(controller, request, id, err);
}

static const char *body_text(const struct http_request *request, const char *key)
{
	return text_of(http_request_body(request), key);
}

static int answer_alarm(struct controller *controller, struct http_request *request, int64_t id,
			struct error *err)
{
	struct view view = {.project = access_project(request), .body = json_object()};
	int r = read_alarm(controller, id, &view, err);

	if (r < 0) {
		json_decref(view.body);
		return r;
	}
	http_answer_json(request, view.body);
	return 200;
}

int api_alarm_note(void *userdata, struct http_request *request, struct error *err)
{
	struct controller *controller = userdata;
	char who[ACCESS_WHO_SIZE];
	struct alarm *alarm;
	int r = find_alarm(controller, request, &alarm, err);

	if (r == 0)
		r = verdict_note(controller, alarm, access_who(request, who),
				 access_project(request), body_text(request, "text"), err);
	return r < 0 ? r : answer_alarm(controller, request, alarm->id, err);
}

static int parse_verdict(const struct http_request *request, enum alarm_state *ret_verdict,
			 struct error *err)
{
	const char *verdict = body_text(request, "verdict");

	if (strlen(body_text(request, "note")) > ALARM_NOTE_SIZE_MAX)
		return error_set(err, -E2BIG, "a note has at most %d bytes", ALARM_NOTE_SIZE_MAX);
	if (strcmp(verdict, "normal") == 0)
		*ret_verdict = ALARM_NORMAL;
	else if (strcmp(verdict, "malicious") == 0)
		*ret_verdict = ALARM_MALICIOUS;
	else
		return error_set(err, -EINVAL, "verdict must be normal or malicious");
	return 0;
}

static int judge(struct controller *controller, const struct http_request *request,
		 struct alarm *alarm, struct error *err)
{
	const char *note = body_text(request, "note");
	char who[ACCESS_WHO_SIZE];
	enum alarm_state verdict = ALARM_MALICIOUS;
	int r = parse_verdict(request, &verdict, err);

	if (r < 0)
		return r;
	if (!scope_is_whole(alarm->evidence, access_project(request)))
		return error_set(err, -EPERM,
				 "the alarm names VMs of other projects too: its verdict is not "
				 "for a token of one project");
	return verdict_give(controller, alarm, verdict, access_who(request, who),
			    access_project(request), note, err);
}

int api_alarm_verdict(void *userdata, struct http_request *request, struct error *err)
{
	struct controller *controller = userdata;
	struct alarm *alarm;
	int r = find_alarm(controller, request, &alarm, err);

	if (r == 0) {
		alarm_ref(alarm);
		r = judge(controller, request, alarm, err);
		if (r == 0)
			r = answer_alarm(controller, request, alarm->id, err);
		alarm_unref(alarm);
	}
	return r;
}

/* Events of all alarms, as they come */

struct stream {
	struct store *store;
	struct view view; /* of the alarm that the last event was of */
	int64_t alarm;
	bool is_visible;
	json_t *events;
	size_t limit;
	bool newest; /* the last `limit` of them, else the first */
	int64_t last;
};

static bool is_of_visible_alarm(struct stream *stream, const struct store_event *event)
{
	if (!*stream->view.project || stream->alarm == event->alarm)
		return !*stream->view.project || stream->is_visible;
	(void)json_object_clear(stream->view.body);
	stream->alarm = event->alarm;
	stream->is_visible =
		store_get_alarm(stream->store, event->alarm, take_detail, &stream->view, NULL) == 0;
	return stream->is_visible;
}

static int take_any_event(void *userdata, const struct store_event *event)
{
	struct stream *stream = userdata;

	stream->last = event->id;
	if (!is_of_visible_alarm(stream, event))
		return 0;
	if (add_event(&stream->view, event, stream->events) < 0)
		return -ENOMEM;
	if (stream->newest && json_array_size(stream->events) > stream->limit)
		(void)json_array_remove(stream->events, 0);
	return !stream->newest && json_array_size(stream->events) == stream->limit;
}

static int read_events(struct stream *stream, struct error *err)
{
	size_t limit = limit_of_reading(stream->view.project, stream->limit, EVENTS_MAX);
	int r;

	stream->view.body = json_object();
	r = store_each_event(stream->store, stream->last, limit, stream->newest, take_any_event,
			     stream, err);
	json_decref(stream->view.body);
	return r < 0 ? r : 0;
}

int api_events(void *userdata, struct http_request *request, struct error *err)
{
	const struct controller *controller = userdata;
	struct stream stream = {.store = history_store(controller->history),
				.view = {.project = access_project(request)}};
	int64_t after;
	int r = api_get_number(request, "after", -1, &after, err);

	if (r == 0)
		r = api_get_limit(request, EVENTS_DEFAULT, EVENTS_MAX, &stream.limit, err);
	if (r < 0)
		return r;
	stream.newest = after < 0;
	stream.last = after < 0 ? 0 : after;
	stream.events = json_array();
	r = read_events(&stream, err);
	if (r < 0) {
		json_decref(stream.events);
		return r;
	}
	http_answer_json(request, json_pack("{s:o, s:I}", "events", stream.events, "last",
					    (json_int_t)stream.last));
	return 200;
}
