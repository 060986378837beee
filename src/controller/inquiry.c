/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/inquiry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "controller/account.h"
#include "controller/alarm.h"
#include "controller/api.h"
#include "controller/controller.h"
#include "controller/respond.h"
#include "suspect/suspect.h"

/* The node gives its own program some seconds beyond the budget; then the answer is lost. */
#define PATIENCE_USEC (10 * USEC_PER_SEC)
#define BUDGET_USEC (2 * USEC_PER_SEC)

/* ENTRIES_MAX: of one alarm, with those that are passed over. */
enum { PATTERN_SIZE = 256, NAMES_SIZE = 256, SENT_MAX = 2, ENTRIES_MAX = 64 };

#define UNSENT_USEC (300 * USEC_PER_SEC)

/* The one view that tells whether another VM shows what the first one showed. */
static const char check_view[] = "top";

static const char passed_over[] = "passed over";

struct inquiry {
	uint64_t request;
	int64_t alarm;
	struct group *group;
	struct vm_uuid uuid;
	char vm[VM_UUID_TEXT_SIZE]; /* the UUID as text: VMs come and go */
	char node[BUS_NAME_MAX + 1];
	bool is_sent;         /* on the node's present connection */
	int64_t give_up_usec; /* monotonic */
	struct playbook_metric metrics[WIRE_ABNORMAL_MAX];
	double stddevs[WIRE_ABNORMAL_MAX];
	size_t metric_count;
	int64_t onset_usec;
	char views[PLAYBOOK_VIEWS_MAX][PLAYBOOK_VIEW_SIZE];
	size_t view_count;
	char playbooks[NAMES_SIZE];
	char pattern[PATTERN_SIZE]; /* "NetworkOut up, ...": VMs that share it are alike */
};

int inquiries_init(struct inquiries *inquiries, const struct settings *settings, struct error *err)
{
	*inquiries = (struct inquiries){.last_request = (uint64_t)clock_wall_usec()};
	return playbooks_load(settings->playbooks_path, &inquiries->playbooks, err);
}

void inquiries_deinit(struct inquiries *inquiries)
{
	for (size_t i = 0; i < inquiries->count; i++)
		free(inquiries->pending[i]);
	playbooks_deinit(&inquiries->playbooks);
	*inquiries = (struct inquiries){0};
}

static void drop(struct inquiries *inquiries, size_t position)
{
	free(inquiries->pending[position]);
	inquiries->pending[position] = inquiries->pending[--inquiries->count];
}

/* The alarm's evidence: a list of what was asked about each VM */

static json_t *list_of(const struct alarm *alarm)
{
	json_t *list = json_object_get(alarm->evidence, "introspection");

	if (!list) {
		list = json_array();
		if (json_object_set_new(alarm->evidence, "introspection", list) < 0)
			return NULL;
	}
	return list;
}

static json_t *entry_of(const json_t *list, const char *uuid)
{
	json_t *entry;
	size_t i;

	json_array_foreach(list, i, entry)
	{
		if (strcmp(text_of(entry, "uuid"), uuid) == 0)
			return entry;
	}
	return NULL;
}

static bool has_pending(const struct inquiries *inquiries, int64_t alarm)
{
	for (size_t i = 0; i < inquiries->count; i++)
		if (inquiries->pending[i]->alarm == alarm)
			return true;
	return false;
}

static bool is_pending(const struct inquiries *inquiries, int64_t alarm, const char *uuid)
{
	for (size_t i = 0; i < inquiries->count; i++)
		if (inquiries->pending[i]->alarm == alarm &&
		    strcmp(inquiries->pending[i]->vm, uuid) == 0)
			return true;
	return false;
}

/* Making a request */

/* A VM's abnormal metrics, out of the alarm's columns. */
static size_t find_metrics(const json_t *columns, const char *uuid,
			   struct playbook_metric metrics[WIRE_ABNORMAL_MAX],
			   double stddevs[WIRE_ABNORMAL_MAX])
{
	const json_t *column;
	size_t i, count = 0;

	json_array_foreach(columns, i, column)
	{
		bool is_up = strcmp(text_of(column, "direction"), "up") == 0;
		const json_t *change = json_object_get(column, "meandiff");

		if (!json_is_true(json_object_get(column, "abnormal")) ||
		    strcmp(text_of(column, "uuid"), uuid) != 0 || count == WIRE_ABNORMAL_MAX ||
		    metric_parse(text_of(column, "metric"), &metrics[count].metric) < 0)
			continue;
		metrics[count].change = json_is_number(change) ? json_number_value(change)
					: is_up                ? 1
							       : -1;
		stddevs[count++] = json_number_value(json_object_get(column, "stddev"));
	}
	return count;
}

static void take_metrics(struct inquiry *inquiry, const json_t *columns)
{
	size_t used = 0;

	inquiry->metric_count =
		find_metrics(columns, inquiry->vm, inquiry->metrics, inquiry->stddevs);
	for (size_t i = 0; i < inquiry->metric_count && used < PATTERN_SIZE; i++)
		used += (size_t)snprintf(inquiry->pattern + used, PATTERN_SIZE - used, "%s%s %s",
					 i ? ", " : "",
					 metric_info(inquiry->metrics[i].metric)->name,
					 inquiry->metrics[i].change > 0 ? "up" : "down");
}

/* Another VM of the alarm with the same pattern, which is being looked into or has told something:
 * with one that showed no suspect there is nothing to compare. Of the same project: what is told of
 * the one names the other. NULL: none. */
static const json_t *find_alike(const json_t *list, const struct inquiry *inquiry,
				const struct vm *vm)
{
	const json_t *entry;
	size_t i;

	json_array_foreach(list, i, entry)
	{
		const char *state = text_of(entry, "state");

		if (strcmp(text_of(entry, "project"), vm->project) == 0 &&
		    strcmp(text_of(entry, "pattern"), inquiry->pattern) == 0 &&
		    !json_object_get(entry, "alike") &&
		    (strcmp(state, "asked") == 0 ||
		     (strcmp(state, "done") == 0 &&
		      json_array_size(json_object_get(entry, "suspects")) > 0)))
			return entry;
	}
	return NULL;
}

static json_t *describe(const struct inquiry *inquiry, const struct vm *vm, const json_t *alike)
{
	json_t *views = json_array();
	json_t *entry;

	for (size_t i = 0; i < inquiry->view_count; i++)
		(void)json_array_append_new(views, json_string(inquiry->views[i]));
	entry = json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:s, s:s}", "vm", vm->name, "uuid",
			  inquiry->vm, "project", vm->project, "node", inquiry->node, "state",
			  "asked", "asked", api_time(clock_wall_usec()), "views", views,
			  "playbooks", inquiry->playbooks, "pattern", inquiry->pattern);
	if (entry && alike)
		(void)json_object_set_new(entry, "alike", json_string(text_of(alike, "vm")));
	return entry;
}

static void note_asked(struct controller *controller, const struct alarm *alarm,
		       const struct inquiry *inquiry, const struct vm *vm, const json_t *alike)
{
	char text[4 * WIRE_NAME_MAX + 1024],
		views[PLAYBOOK_VIEWS_MAX * (PLAYBOOK_VIEW_SIZE + 2)] = "";

	for (size_t i = 0; i < inquiry->view_count; i++)
		(void)snprintf(views + strlen(views), sizeof(views) - strlen(views), "%s%s",
			       i ? ", " : "", inquiry->views[i]);
	if (alike)
		(void)snprintf(text, sizeof(text),
			       "looking into %s for what %s showed (%s), since both go alike: %s",
			       vm->name, text_of(alike, "vm"), views, inquiry->pattern);
	else
		(void)snprintf(text, sizeof(text), "looking into %s: %s (playbooks %s)", vm->name,
			       views, inquiry->playbooks);
	history_event(controller->history, alarm->id, clock_wall_usec(), "introspecting",
		      inquiry->vm, text);
}

static int send_inquiry(struct inquiry *inquiry, const struct settings *settings,
			struct bus_peer *peer)
{
	cleanup(free) uint8_t *data = NULL;
	struct wire_message message = {
		.type = WIRE_INTROSPECT,
		.introspect = {.request = inquiry->request,
			       .alarm = inquiry->alarm,
			       .vm = inquiry->uuid,
			       .view_count = inquiry->view_count,
			       .interval_usec = settings->sample_usec,
			       .budget_usec = BUDGET_USEC,
			       .metric_count = inquiry->metric_count},
	};
	struct error err = ERROR_INIT;
	size_t size;
	int r;

	for (size_t i = 0; i < inquiry->view_count; i++)
		message.introspect.views[i] = inquiry->views[i];
	for (size_t i = 0; i < inquiry->metric_count; i++)
		message.introspect.metrics[i] =
			(struct wire_abnormal){inquiry->metrics[i].metric, inquiry->stddevs[i],
					       inquiry->metrics[i].change};
	r = wire_encode(&message, &data, &size, &err);
	if (r == 0)
		r = bus_peer_send(peer, data, size);
	if (r < 0) {
		log_warning("asking node %s: %s", inquiry->node, error_text(&err, r));
		return r;
	}
	inquiry->is_sent = true;
	inquiry->give_up_usec =
		clock_mono_usec() + settings->sample_usec + BUDGET_USEC + PATIENCE_USEC;
	return 0;
}

static void choose_views(const struct inquiries *inquiries, struct inquiry *inquiry,
			 const json_t *alike)
{
	inquiry->view_count =
		playbooks_choose(&inquiries->playbooks, inquiry->metrics, inquiry->metric_count,
				 inquiry->views, inquiry->playbooks, sizeof(inquiry->playbooks));
	if (!alike)
		return;
	(void)snprintf(inquiry->views[0], PLAYBOOK_VIEW_SIZE, "%s", check_view);
	inquiry->view_count = 1;
}

/* No playbook fits: noted, so that it is not looked for again on every frame. */
static void pass_over(struct controller *controller, struct alarm *alarm, json_t *list,
		      const struct inquiry *inquiry, const struct vm *vm)
{
	static const char why[] = "no playbook fits what is abnormal in it";

	(void)json_array_append_new(
		list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "vm", vm->name, "uuid",
				inquiry->vm, "project", vm->project, "node", inquiry->node, "state",
				passed_over, "pattern", inquiry->pattern, "text", why));
	history_alarm(controller->history, alarm);
}

/* One VM of an alarm. When another one that goes alike is being looked into, its turn comes after.
 */
static void ask_about(struct controller *controller, struct alarm *alarm, const json_t *column)
{
	struct vm *vm =
		fleet_vm_at(&controller->fleet, text_of(column, "uuid"), text_of(column, "node"));
	struct inquiries *inquiries = &controller->inquiries;
	struct inquiry *inquiry = calloc(1, sizeof(*inquiry));
	json_t *list = list_of(alarm), *entry;
	const json_t *alike;

	if (!inquiry || !list || !vm) {
		free(inquiry);
		return;
	}
	inquiry->alarm = alarm->id;
	inquiry->group = alarm->group;
	inquiry->uuid = vm->uuid;
	inquiry->onset_usec = alarm->opened_usec;
	inquiry->give_up_usec = clock_mono_usec() + UNSENT_USEC;
	(void)snprintf(inquiry->vm, sizeof(inquiry->vm), "%s", vm->uuid_text);
	(void)snprintf(inquiry->node, sizeof(inquiry->node), "%s", vm->node->name);
	take_metrics(inquiry, json_object_get(alarm->evidence, "columns"));
	alike = find_alike(list, inquiry, vm);
	if (alike && strcmp(text_of(alike, "state"), "asked") == 0) {
		free(inquiry);
		return;
	}
	choose_views(inquiries, inquiry, alike);
	if (inquiry->view_count == 0)
		pass_over(controller, alarm, list, inquiry, vm);
	entry = inquiry->view_count ? describe(inquiry, vm, alike) : NULL;
	if (!entry || json_array_append_new(list, entry) < 0) {
		free(inquiry);
		return;
	}
	inquiry->request = ++inquiries->last_request;
	inquiries->pending[inquiries->count++] = inquiry;
	inquiries->asked++;
	note_asked(controller, alarm, inquiry, vm, alike);
	history_alarm(controller->history, alarm);
}

static size_t count_looks(const json_t *list)
{
	const json_t *entry;
	size_t i, count = 0;

	json_array_foreach(list, i, entry) count +=
		strcmp(text_of(entry, "state"), passed_over) != 0;
	return count;
}

/* The alarm's VMs that nobody has asked about. After a restart an entry may say "asked" although
 * nobody waits for its answer any more: it is asked again. */
static void follow_alarm(struct controller *controller, struct alarm *alarm)
{
	struct inquiries *inquiries = &controller->inquiries;
	const json_t *columns = json_object_get(alarm->evidence, "columns"), *column;
	json_t *list = list_of(alarm);
	size_t i;

	json_array_foreach(columns, i, column)
	{
		const char *uuid = text_of(column, "uuid");
		const json_t *entry;

		if (!json_is_true(json_object_get(column, "abnormal")) || !*uuid)
			continue;
		entry = entry_of(list, uuid);
		if (entry && strcmp(text_of(entry, "state"), "asked") == 0 &&
		    !is_pending(inquiries, alarm->id, uuid)) {
			size_t place = 0;

			while (json_array_get(list, place) != entry)
				place++;
			(void)json_array_remove(list, place);
			entry = NULL;
		}
		if (!entry && inquiries->count < INQUIRIES_MAX &&
		    json_array_size(list) < ENTRIES_MAX && count_looks(list) < INQUIRY_VMS_MAX)
			ask_about(controller, alarm, column);
	}
	alarm_set_looking(alarm, has_pending(inquiries, alarm->id), controller->history);
}

/* Answers */

static struct alarm *alarm_of(const struct inquiry *inquiry)
{
	struct alarm *alarm = inquiry->group->alarm;

	return alarm && alarm->id == inquiry->alarm ? alarm : NULL;
}

/* The alarm may have closed meanwhile: its history takes the answer all the same. */
static void note_answer(struct controller *controller, const struct inquiry *inquiry,
			const char *state, const char *event, const char *text, json_t *found)
{
	struct alarm *alarm = alarm_of(inquiry);
	json_t *entry = alarm ? entry_of(list_of(alarm), inquiry->vm) : NULL;

	log_info("alarm %lld: %s", (long long)inquiry->alarm, text);
	history_event(controller->history, inquiry->alarm, clock_wall_usec(), event, inquiry->vm,
		      text);
	if (entry) {
		(void)json_object_set_new(entry, "state", json_string(state));
		(void)json_object_set_new(entry, "answered", api_time(clock_wall_usec()));
		(void)json_object_set_new(entry, "text", json_string(text));
		if (found)
			(void)json_object_update(entry, found);
		history_alarm(controller->history, alarm);
	}
	json_decref(found);
}

/* NULL: it is not known any more. */
static struct vm *vm_of(const struct controller *controller, const struct inquiry *inquiry)
{
	return fleet_vm_at(&controller->fleet, inquiry->vm, inquiry->node);
}

static const char *name_of(const struct controller *controller, const struct inquiry *inquiry)
{
	const struct vm *vm = vm_of(controller, inquiry);

	return vm ? vm->name : inquiry->vm;
}

/* What the looks into the alarm's VMs tell together (paper VI-B): said once, when it changes. */

struct looks {
	struct suspect_vm vms[INQUIRY_VMS_MAX];
	struct playbook_metric metrics[INQUIRY_VMS_MAX][WIRE_ABNORMAL_MAX];
	size_t count;
};

static void gather(const struct alarm *alarm, struct looks *looks)
{
	const json_t *columns = json_object_get(alarm->evidence, "columns"), *entry;
	double stddevs[WIRE_ABNORMAL_MAX];
	size_t i;

	looks->count = 0;
	json_array_foreach(json_object_get(alarm->evidence, "introspection"), i, entry)
	{
		struct suspect_vm *vm = &looks->vms[looks->count];

		if (strcmp(text_of(entry, "state"), "done") != 0 || looks->count == INQUIRY_VMS_MAX)
			continue;
		vm->name = text_of(entry, "vm");
		vm->found = entry;
		vm->metrics = looks->metrics[looks->count];
		vm->metric_count = find_metrics(columns, text_of(entry, "uuid"),
						looks->metrics[looks->count], stddevs);
		looks->count++;
	}
}

/* Whether the pattern was told before, of the same VMs: its numbers may have changed since. */
static bool is_told(const json_t *before, const json_t *pattern)
{
	const json_t *told;
	size_t i;

	json_array_foreach(before, i, told)
	{
		if (strcmp(text_of(told, "name"), text_of(pattern, "name")) == 0 &&
		    json_equal(json_object_get(told, "vms"), json_object_get(pattern, "vms")))
			return true;
	}
	return false;
}

static void look_across(struct controller *controller, struct alarm *alarm)
{
	cleanup(free) struct looks *looks = calloc(1, sizeof(*looks));
	const json_t *before = json_object_get(alarm->evidence, "across");
	json_t *across, *pattern;
	size_t i;

	if (!looks)
		return;
	gather(alarm, looks);
	across = looks->count > 1 ? suspects_across(looks->vms, looks->count) : NULL;
	json_array_foreach(across, i, pattern)
	{
		cleanup(free) char *text = NULL;

		if (is_told(before, pattern) || asprintf(&text, "%s: %s", text_of(pattern, "name"),
							 text_of(pattern, "text")) < 0)
			continue;
		history_event(controller->history, alarm->id, clock_wall_usec(), "pattern", "",
			      text);
	}
	if (across)
		(void)json_object_set_new(alarm->evidence, "across", across);
}

/* Of a VM that was only checked: whether it shows what the other one showed, by the strongest
 * suspect's name there. Returns the sentence, owned; NULL when it does not. */
static char *compare_alike(const struct inquiry *inquiry, const json_t *found)
{
	const struct alarm *alarm = alarm_of(inquiry);
	const json_t *list = alarm ? json_object_get(alarm->evidence, "introspection") : NULL;
	const json_t *entry = list ? entry_of(list, inquiry->vm) : NULL, *first, *suspect;
	const char *wanted = "";
	char *text = NULL;
	size_t i;

	json_array_foreach(
		list, i,
		first) if (entry && strcmp(text_of(first, "vm"), text_of(entry, "alike")) == 0 &&
			   strcmp(text_of(first, "project"), text_of(entry, "project")) == 0)
		wanted = text_of(json_array_get(json_object_get(first, "suspects"), 0), "command");
	json_array_foreach(json_object_get(found, "suspects"), i, suspect)
	{
		if (!*wanted || strcmp(text_of(suspect, "command"), wanted) != 0)
			continue;
		if (asprintf(&text, "shows what %s showed: %s (pid %lld)", text_of(entry, "alike"),
			     wanted,
			     (long long)json_integer_value(json_object_get(suspect, "pid"))) < 0)
			return NULL;
		return text;
	}
	return NULL;
}

/* What rules do about it without asking. */
static void respond(struct controller *controller, const struct inquiry *inquiry,
		    const json_t *found)
{
	const struct alarm *alarm = alarm_of(inquiry);
	struct vm *vm = vm_of(controller, inquiry);

	if (alarm && found && vm)
		respond_consider(controller, alarm, vm, inquiry->playbooks, found);
}

/* When the VM was looked into before; from now on that is now. 0: it was not. */
static int64_t note_look(const struct controller *controller, const struct inquiry *inquiry)
{
	struct vm *vm = vm_of(controller, inquiry);
	int64_t before;

	if (!vm)
		return 0;
	before = vm->looked_usec;
	vm->looked_usec = clock_wall_usec();
	return before;
}

static void take_report(struct controller *controller, const struct inquiry *inquiry,
			const struct report *report, const char *reason)
{
	struct suspect_context context = {inquiry->metrics, inquiry->metric_count,
					  inquiry->onset_usec, controller->settings.sample_usec,
					  note_look(controller, inquiry)};
	json_t *found = suspects_find(report, &context);
	cleanup(free) char *same = found ? compare_alike(inquiry, found) : NULL;
	cleanup(free) char *summary = same ? keep(same) : found ? suspects_summarise(found) : NULL;
	cleanup(free) char *text = NULL;

	account_add(vm_of(controller, inquiry), report, found);
	if (asprintf(&text, "%s: %s%s%s", name_of(controller, inquiry),
		     summary ? summary : "nothing in it explains the change",
		     *reason ? "; but " : "", reason) < 0)
		text = NULL;
	note_answer(controller, inquiry, "done", summary ? "suspect" : "looked", text ? text : "",
		    json_incref(found));
	if (alarm_of(inquiry))
		look_across(controller, alarm_of(inquiry));
	respond(controller, inquiry, found);
	json_decref(found);
}

static void take_answer(struct controller *controller, const struct inquiry *inquiry,
			const struct wire_findings *findings)
{
	static const char *const states[] = {"done", "refused", "failed"};
	struct inquiries *inquiries = &controller->inquiries;
	struct error err = ERROR_INIT;
	struct report *report = NULL;
	char text[2 * WIRE_NAME_MAX + 64];
	int r = findings->status == WIRE_FINDINGS_DONE
			? report_decode(findings->report, findings->report_size, &report, &err)
			: -ENODATA;

	inquiries->refused += findings->status == WIRE_FINDINGS_REFUSED;
	inquiries->failed += findings->status == WIRE_FINDINGS_FAILED ||
			     (findings->status == WIRE_FINDINGS_DONE && r < 0);
	if (r == 0) {
		take_report(controller, inquiry, report, findings->reason);
		report_free(report);
		return;
	}
	(void)snprintf(
		text, sizeof(text), "%s could not be looked into: %s", name_of(controller, inquiry),
		findings->status == WIRE_FINDINGS_DONE ? error_text(&err, r) : findings->reason);
	note_answer(controller, inquiry,
		    findings->status == WIRE_FINDINGS_DONE ? "failed" : states[findings->status],
		    "not looked", text, NULL);
}

void inquiries_lost(struct inquiries *inquiries, const struct node *node)
{
	for (size_t i = 0; i < inquiries->count; i++) {
		struct inquiry *inquiry = inquiries->pending[i];

		if (!inquiry->is_sent || strcmp(inquiry->node, node->name) != 0)
			continue;
		inquiry->is_sent = false;
		inquiry->give_up_usec = clock_mono_usec() + UNSENT_USEC;
	}
}

int inquiries_take(struct controller *controller, const struct node *node,
		   const struct wire_findings *findings, struct error *err)
{
	struct inquiries *inquiries = &controller->inquiries;

	for (size_t i = 0; i < inquiries->count; i++) {
		const struct inquiry *inquiry = inquiries->pending[i];

		if (inquiry->request != findings->request)
			continue;
		if (strcmp(inquiry->node, node->name) != 0)
			return error_set(err, -EPROTO, "the node answers for a VM of another node");
		take_answer(controller, inquiry, findings);
		drop(inquiries, i);
		inquiries_follow(controller);
		return 0;
	}
	log_debug("node %s: an answer that nobody waits for", node->name);
	return 0;
}

/* A node looks into a few VMs at a time; what it has not begun would only wait there. */
static bool is_busy(const struct inquiries *inquiries, const struct node *node)
{
	size_t sent = 0;

	for (size_t i = 0; i < inquiries->count; i++)
		sent += inquiries->pending[i]->is_sent &&
			strcmp(inquiries->pending[i]->node, node->name) == 0;
	return sent >= SENT_MAX;
}

/* Sends what is not out on the node's present connection; false when its time is over. */
static bool attend(struct controller *controller, struct inquiry *inquiry)
{
	const struct node *node = map_find(controller->fleet.nodes, inquiry->node);
	struct bus_peer *peer = fleet_peer(node);

	if (clock_mono_usec() > inquiry->give_up_usec)
		return false;
	if (peer && !inquiry->is_sent && !is_busy(&controller->inquiries, node))
		(void)send_inquiry(inquiry, &controller->settings, peer); /* or later */
	return true;
}

void inquiries_follow(struct controller *controller)
{
	struct inquiries *inquiries = &controller->inquiries;
	struct group *group;

	map_foreach (controller->groups.by_name, i, group) {
		if (!group->alarm)
			continue;
		if (!controller->settings.introspect) {
			alarm_set_looking(group->alarm, false, controller->history);
			continue;
		}
		account_follow(controller, group->alarm);
		follow_alarm(controller, group->alarm);
	}
	for (size_t i = inquiries->count; i-- > 0;) {
		char text[2 * WIRE_NAME_MAX + 64];

		if (attend(controller, inquiries->pending[i]))
			continue;
		(void)snprintf(text, sizeof(text), "%s: node %s %s",
			       name_of(controller, inquiries->pending[i]),
			       inquiries->pending[i]->node,
			       inquiries->pending[i]->is_sent ? "has not answered in time"
							      : "could not be asked in time");
		inquiries->failed++;
		note_answer(controller, inquiries->pending[i], "failed", "not looked", text, NULL);
		drop(inquiries, i);
	}
}
