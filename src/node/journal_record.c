/* SPDX-License-Identifier: Apache-2.0 */
#include "node/journal_record.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/hex.h"

DEFINE_CLEANUP(json_t *, json_decref)

static const char *const events[] = {"begun", "ended", "refused", "interrupted"};

enum { EVENT_COUNT = sizeof(events) / sizeof(events[0]) };

#define INTERRUPTED "atom-node was ended in the middle of it; look again before ordering anew"

/* Making */

static json_t *make_expiry(int64_t expiry_usec)
{
	if (expiry_usec % USEC_PER_SEC == 0)
		return json_integer(expiry_usec / USEC_PER_SEC);
	return json_real((double)expiry_usec / (double)USEC_PER_SEC);
}

static json_t *make_arguments(const struct wire_act *act)
{
	switch (act->kind) {
	case WIRE_ACT_END_PROCESS:
		return json_pack("{sI sI ss}", "pid", (json_int_t)act->pid, "start_nsec",
				 (json_int_t)act->start_nsec, "command", act->command);
	case WIRE_ACT_CONTAIN:
		return json_pack("{ss ss sI so}", "peer", act->peer, "address", act->address,
				 "rate", (json_int_t)act->rate, "expiry_seconds",
				 make_expiry(act->expiry_usec));
	case WIRE_ACT_RELEASE:
		return json_pack("{sI}", "undoes", (json_int_t)act->undoes);
	case WIRE_ACT_PAUSE:
	case WIRE_ACT_RESUME:
	case WIRE_ACT_SNAPSHOT:
	case WIRE_ACT_KIND_COUNT:
		break;
	}
	return json_object();
}

/* The bytes as hexadecimal digits; owned, NULL when memory is out. */
static json_t *make_report(const struct wire_outcome *outcome)
{
	cleanup(free) char *text = malloc(2 * outcome->report_size + 1);

	if (!text)
		return NULL;
	return json_string(hex_write(outcome->report, outcome->report_size, text));
}

static int add_outcome(json_t *object, const struct wire_outcome *outcome)
{
	int r = json_object_set_new(object, "status",
				    json_string(wire_outcome_status_name(outcome->status)));

	r |= json_object_set_new(object, "reason", json_string(outcome->reason));
	if (outcome->report_size > 0 && outcome->report_size <= JOURNAL_REPORT_SIZE_MAX)
		r |= json_object_set_new(object, "report", make_report(outcome));
	return r;
}

/* A containment lasts as long as the kernel counts, however the wall clock is set. */
static int add_boot(json_t *object, const struct record_time *time)
{
	int r = json_object_set_new(object, "boot", json_string(time->boot));

	return r | json_object_set_new(object, "boot_usec", json_integer(time->boot_usec));
}

json_t *record_make(const struct journal_record *record, const struct record_time *time)
{
	const struct wire_act *act = record->act;
	char text[CLOCK_TEXT_SIZE], uuid[VM_UUID_TEXT_SIZE];
	cleanup(json_decref) json_t *object = json_pack(
		"{ss ss sI sI ss ss ss so ss ss}", "time", clock_format(time->wall_usec, text),
		"event", events[record->event], "action", (json_int_t)act->action, "alarm",
		(json_int_t)act->alarm, "vm", vm_uuid_format(&act->vm, uuid), "name", record->name,
		"kind", wire_act_kind_name(act->kind), "arguments", make_arguments(act), "who",
		act->who, "controller", record->controller);

	if (object && record->event != JOURNAL_BEGUN && add_outcome(object, record->outcome) < 0)
		return NULL;
	if (object && record->event == JOURNAL_BEGUN && act->kind == WIRE_ACT_CONTAIN &&
	    *time->boot && add_boot(object, time) < 0)
		return NULL;
	if (object && record->nothing_done &&
	    json_object_set_new(object, "nothing_done", json_true()) < 0)
		return NULL;
	return keep(object);
}

json_t *record_make_interrupted(const json_t *begun, int64_t time_usec)
{
	const struct wire_outcome outcome = {.status = WIRE_OUTCOME_UNKNOWN, .reason = INTERRUPTED};
	char time[CLOCK_TEXT_SIZE];
	cleanup(json_decref) json_t *object = json_copy((json_t *)begun); /* only read */

	if (!object ||
	    json_object_set_new(object, "time", json_string(clock_format(time_usec, time))) < 0 ||
	    json_object_set_new(object, "event", json_string(events[JOURNAL_INTERRUPTED])) < 0 ||
	    add_outcome(object, &outcome) < 0)
		return NULL;
	return keep(object);
}

/* Orders */

/* What makes an order another one: all that is in it but who says it, and for how long. */
static int digest_order(json_t *alarm, json_t *vm, json_t *kind, json_t *arguments,
			char ret_order[DIGEST_TEXT_SIZE])
{
	cleanup(json_decref) json_t *order = json_pack("[OOOO]", alarm, vm, kind, arguments);
	cleanup(free) char *text = order ? json_dumps(order, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

	return text ? digest_text(text, strlen(text), ret_order) : -EIO;
}

int record_order(const struct wire_act *act, char ret_order[DIGEST_TEXT_SIZE])
{
	char uuid[VM_UUID_TEXT_SIZE];
	cleanup(json_decref) json_t *alarm = json_integer(act->alarm);
	cleanup(json_decref) json_t *vm = json_string(vm_uuid_format(&act->vm, uuid));
	cleanup(json_decref) json_t *kind = json_string(wire_act_kind_name(act->kind));
	cleanup(json_decref) json_t *arguments = make_arguments(act);

	return digest_order(alarm, vm, kind, arguments, ret_order);
}

/* Reading */

static int read_event(const json_t *record, enum journal_event *ret_event)
{
	const char *text = json_string_value(json_object_get(record, "event"));

	for (size_t i = 0; text && i < EVENT_COUNT; i++)
		if (strcmp(events[i], text) == 0) {
			*ret_event = (enum journal_event)i;
			return 0;
		}
	return -EBADMSG;
}

static int read_status(const json_t *record, enum wire_outcome_status *ret_status)
{
	const char *text = json_string_value(json_object_get(record, "status"));

	return text && wire_outcome_status_parse(text, ret_status) == 0 ? 0 : -EBADMSG;
}

static int read_whole(const json_t *object, const char *name, uint64_t *ret_number)
{
	const json_t *value = json_object_get(object, name);

	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return -EBADMSG;
	*ret_number = (uint64_t)json_integer_value(value);
	return 0;
}

/* Of the kinds that the node remembers something of. */
static int read_arguments(const json_t *arguments, struct record_summary *summary)
{
	const json_t *expiry = json_object_get(arguments, "expiry_seconds");

	if (!json_is_object(arguments))
		return -EBADMSG;
	if (summary->kind == WIRE_ACT_RELEASE)
		return read_whole(arguments, "undoes", &summary->undoes);
	if (summary->kind != WIRE_ACT_CONTAIN)
		return 0;
	summary->expiry_usec = (int64_t)(json_number_value(expiry) * (double)USEC_PER_SEC);
	return summary->expiry_usec > 0 && summary->expiry_usec <= WIRE_ACT_EXPIRY_USEC_MAX
		       ? 0
		       : -EBADMSG;
}

/* Left empty where there is none that makes sense. */
static void read_boot(const json_t *record, struct record_time *time)
{
	const char *boot = json_string_value(json_object_get(record, "boot"));
	uint64_t usec;

	if (!boot || strlen(boot) >= sizeof(time->boot) ||
	    read_whole(record, "boot_usec", &usec) < 0)
		return;
	memcpy(time->boot, boot, strlen(boot) + 1);
	time->boot_usec = (int64_t)usec;
}

int record_read(const json_t *record, struct record_summary *ret_summary)
{
	json_t *alarm = json_object_get(record, "alarm"), *vm = json_object_get(record, "vm"),
	       *kind = json_object_get(record, "kind"), *name = json_object_get(record, "name"),
	       *arguments = json_object_get(record, "arguments");
	const char *time = json_string_value(json_object_get(record, "time"));
	struct record_summary summary = {0};

	if (!alarm || !json_is_string(vm) || !json_is_string(kind) || !json_is_string(name) ||
	    !time || clock_parse(time, &summary.time.wall_usec) < 0 ||
	    vm_uuid_parse(json_string_value(vm), &summary.vm) < 0 ||
	    wire_act_kind_parse(json_string_value(kind), &summary.kind) < 0 ||
	    read_whole(record, "action", &summary.action) < 0 ||
	    read_event(record, &summary.event) < 0 || read_arguments(arguments, &summary) < 0)
		return -EBADMSG;
	if (summary.event != JOURNAL_BEGUN && read_status(record, &summary.status) < 0)
		return -EBADMSG;
	read_boot(record, &summary.time);
	summary.nothing_done = json_is_true(json_object_get(record, "nothing_done"));
	wire_make_text(json_string_value(name), json_string_length(name), summary.name);
	if (digest_order(alarm, vm, kind, arguments, summary.order) < 0)
		return -EIO;
	*ret_summary = summary;
	return 0;
}

/* Returns owned bytes; NULL for what is no pairs of digits, and when memory is out. */
static uint8_t *read_report(const json_t *text)
{
	size_t size = json_string_length(text) / 2;
	cleanup(free) uint8_t *report = malloc(size + 1);

	if (!report || hex_read(json_string_value(text), size, report) < 0)
		return NULL;
	return keep(report);
}

int record_read_outcome(const json_t *record, struct wire_outcome *ret_outcome)
{
	const json_t *reason = json_object_get(record, "reason"),
		     *report = json_object_get(record, "report");
	struct wire_outcome outcome = {0};
	char text[WIRE_NAME_MAX + 1];

	if (read_status(record, &outcome.status) < 0 || !json_is_string(reason) ||
	    read_whole(record, "action", &outcome.action) < 0)
		return -EBADMSG;
	wire_make_text(json_string_value(reason), json_string_length(reason), text);
	outcome.reason = strdup(text);
	if (!outcome.reason)
		return -ENOMEM;
	if (json_is_string(report)) {
		outcome.report = read_report(report);
		outcome.report_size = outcome.report ? json_string_length(report) / 2 : 0;
	}
	*ret_outcome = outcome;
	return 0;
}

static int read_address(const json_t *arguments, const char *name, char text[JOURNAL_ADDRESS_SIZE])
{
	const char *found = json_string_value(json_object_get(arguments, name));

	return found && snprintf(text, JOURNAL_ADDRESS_SIZE, "%s", found) < JOURNAL_ADDRESS_SIZE
		       ? 0
		       : -EBADMSG;
}

int record_read_flow(const json_t *record, struct journal_flow *ret_flow)
{
	const json_t *arguments = json_object_get(record, "arguments");
	const char *kind = json_string_value(json_object_get(record, "kind"));
	enum wire_outcome_status status;
	struct journal_flow flow;
	uint64_t rate;

	if (!kind || strcmp(kind, wire_act_kind_name(WIRE_ACT_CONTAIN)) != 0 ||
	    read_status(record, &status) < 0 || status != WIRE_OUTCOME_DONE)
		return -ENOENT;
	if (read_address(arguments, "peer", flow.peer) < 0 ||
	    read_address(arguments, "address", flow.address) < 0 ||
	    read_whole(arguments, "rate", &rate) < 0 || rate > UINT32_MAX)
		return -EBADMSG;
	flow.rate = (uint32_t)rate;
	*ret_flow = flow;
	return 0;
}
