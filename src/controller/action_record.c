/* SPDX-License-Identifier: Apache-2.0 */
/* An action as data: its arguments checked, told, described, stored, sent. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/utf8.h"
#include "controller/action_internal.h"
#include "controller/api.h"
#include "wire/report.h"

enum { REPORT_ROWS_SHOWN = 200 };

/* The longest that each may take: a look at the memory, five seconds of watching it die; nft; a
 * whole memory to write. */
static const int64_t timeouts_usec[WIRE_ACT_KIND_COUNT] = {
	[WIRE_ACT_END_PROCESS] = 20 * USEC_PER_SEC, [WIRE_ACT_CONTAIN] = 10 * USEC_PER_SEC,
	[WIRE_ACT_RELEASE] = 10 * USEC_PER_SEC,     [WIRE_ACT_PAUSE] = 20 * USEC_PER_SEC,
	[WIRE_ACT_RESUME] = 20 * USEC_PER_SEC,      [WIRE_ACT_SNAPSHOT] = 1200 * USEC_PER_SEC,
};

/* Arguments */

enum argument_type { ARGUMENT_NUMBER, ARGUMENT_NAME, ARGUMENT_ADDRESS };

static const struct argument {
	const char *name;
	enum wire_act_kind kind;
	enum argument_type type;
	bool required;
	int64_t minimum, maximum;
} arguments[] = {
	{"pid", WIRE_ACT_END_PROCESS, ARGUMENT_NUMBER, true, 1, INT32_MAX},
	{"start_nsec", WIRE_ACT_END_PROCESS, ARGUMENT_NUMBER, false, 1, INT64_MAX},
	{"command", WIRE_ACT_END_PROCESS, ARGUMENT_NAME, false, 0, WIRE_NAME_MAX},
	{"peer", WIRE_ACT_CONTAIN, ARGUMENT_ADDRESS, true, 0, 0},
	{"address", WIRE_ACT_CONTAIN, ARGUMENT_ADDRESS, false, 0, 0},
	{"rate", WIRE_ACT_CONTAIN, ARGUMENT_NUMBER, false, 0, 1000000},
	{"expiry_seconds", WIRE_ACT_CONTAIN, ARGUMENT_NUMBER, true, 1, 604800},
	{"undoes", WIRE_ACT_RELEASE, ARGUMENT_NUMBER, true, 1, INT64_MAX},
	/* set by us: the number of the undone action on the wire */
	{"undoes_number", WIRE_ACT_RELEASE, ARGUMENT_NUMBER, false, 1, INT64_MAX},
};

enum { ARGUMENT_COUNT = sizeof(arguments) / sizeof(arguments[0]) };

static const struct argument *find_argument(enum wire_act_kind kind, const char *name)
{
	for (size_t i = 0; i < ARGUMENT_COUNT; i++)
		if (arguments[i].kind == kind && strcmp(arguments[i].name, name) == 0)
			return &arguments[i];
	return NULL;
}

static bool is_address(const char *text)
{
	struct in6_addr address;

	return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1;
}

static bool is_printable(const char *text)
{
	for (size_t step; *text; text += step) {
		step = utf8_printable_length(text);
		if (step == 0)
			return false;
	}
	return true;
}

static int check_value(const struct argument *argument, const json_t *value, struct error *err)
{
	const char *text = json_string_value(value);
	json_int_t number = json_integer_value(value);

	switch (argument->type) {
	case ARGUMENT_NUMBER:
		if (json_is_integer(value) && number >= argument->minimum &&
		    number <= argument->maximum)
			return 0;
		return error_set(err, -EINVAL, "%s must be a whole number from %lld to %lld",
				 argument->name, (long long)argument->minimum,
				 (long long)argument->maximum);
	case ARGUMENT_NAME:
		if (text && strlen(text) <= (size_t)argument->maximum && is_printable(text))
			return 0;
		return error_set(err, -EINVAL, "%s must be a text of at most %lld bytes",
				 argument->name, (long long)argument->maximum);
	case ARGUMENT_ADDRESS:
		if (text && (is_address(text) || (!*text && !argument->required)))
			return 0;
		return error_set(err, -EINVAL, "%s must be an IPv4 or IPv6 address",
				 argument->name);
	}
	return -EINVAL;
}

int action_check(enum wire_act_kind kind, const json_t *given, bool dry_run, struct error *err)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)given, name, value)
	{
		const struct argument *argument = find_argument(kind, name);
		int r = argument ? check_value(argument, value, err)
				 : error_set(err, -EINVAL, "%s takes no argument '%.40s'",
					     wire_act_kind_name(kind), name);

		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < ARGUMENT_COUNT; i++)
		if (arguments[i].kind == kind && arguments[i].required &&
		    !json_object_get(given, arguments[i].name))
			return error_set(err, -EINVAL, "%s needs %s", wire_act_kind_name(kind),
					 arguments[i].name);
	if (kind == WIRE_ACT_END_PROCESS && !dry_run && !json_object_get(given, "start_nsec"))
		return error_set(err, -EINVAL,
				 "end-process needs start_nsec, so that no other process of that "
				 "number is ended: a dry run tells it");
	return 0;
}

const char *action_text(const struct action *action, const char *argument)
{
	const char *text = json_string_value(json_object_get(action->arguments, argument));

	return text ? text : "";
}

int64_t action_whole(const struct action *action, const char *argument)
{
	return json_integer_value(json_object_get(action->arguments, argument));
}

/* Telling */

static int tell_contain(const struct action *action, char **ret_text)
{
	char rate[64] = "cut connections";
	const char *address = action_text(action, "address");

	if (action_whole(action, "rate") > 0)
		(void)snprintf(rate, sizeof(rate), "let %lld new connections a second",
			       (long long)action_whole(action, "rate"));
	return asprintf(ret_text, "%s between %s%s%s%s and %s for %lld s", rate, action->name,
			*address ? " (" : "", address, *address ? ")" : "",
			action_text(action, "peer"),
			(long long)action_whole(action, "expiry_seconds"));
}

static int tell(const struct action *action, char **ret_text)
{
	const char *command = action_text(action, "command");

	switch (action->kind) {
	case WIRE_ACT_END_PROCESS:
		return asprintf(ret_text, "end process %lld%s%s%s of %s",
				(long long)action_whole(action, "pid"), *command ? " (" : "",
				command, *command ? ")" : "", action->name);
	case WIRE_ACT_CONTAIN:
		return tell_contain(action, ret_text);
	case WIRE_ACT_RELEASE:
		return asprintf(ret_text, "undo action %lld at %s",
				(long long)action_whole(action, "undoes"), action->name);
	case WIRE_ACT_PAUSE:
		return asprintf(ret_text, "pause %s", action->name);
	case WIRE_ACT_RESUME:
		return asprintf(ret_text, "resume %s", action->name);
	case WIRE_ACT_SNAPSHOT:
		return asprintf(ret_text, "save the memory of %s", action->name);
	case WIRE_ACT_KIND_COUNT:
		break;
	}
	return -1;
}

char *action_tell(const struct action *action)
{
	char *text = NULL;

	return tell(action, &text) < 0 ? NULL : text;
}

/* As JSON */

static json_t *number_or_null(int64_t number)
{
	return number ? json_integer(number) : json_null();
}

static json_t *describe_effect(enum action_effect effect)
{
	return effect == EFFECT_UNKNOWN ? json_null() : json_boolean(effect == EFFECT_SEEN);
}

static enum action_effect parse_effect(const json_t *effect)
{
	if (!json_is_boolean(effect))
		return EFFECT_UNKNOWN;
	return json_is_true(effect) ? EFFECT_SEEN : EFFECT_NOT_SEEN;
}

json_t *action_describe(const struct action *action)
{
	json_t *report = action->report ? json_incref(action->report) : json_null();
	const char *outcome =
		action->state == ACTION_VERIFYING ? action_state_name(action->outcome) : NULL;

	return json_pack(
		"{s:I, s:I, s:o, s:s, s:s, s:s, s:s, s:s, s:O, s:b, s:s, s:s, s:s, s:o, s:o, "
		"s:o, s:o, s:o, s:s?, s:s?, s:s?, s:o, s:o}",
		"id", (json_int_t)action->id, "number", (json_int_t)action->number, "alarm",
		number_or_null(action->alarm), "vm", action->name, "uuid", action->vm, "project",
		action->project, "node", action->node, "kind", wire_act_kind_name(action->kind),
		"arguments", action->arguments, "dry_run", action->dry_run, "state",
		action_state_name(action->state), "by", action->by, "why", action->why, "made",
		api_time(action->made_usec), "due", api_time(action->due_usec), "sent",
		api_time(action->sent_usec), "ended", api_time(action->ended_usec), "after",
		number_or_null(action->after), "outcome", outcome, "reason", action->reason,
		"verified", action->verified, "effective", describe_effect(action->effect),
		"report", report);
}

static int64_t time_in(const json_t *object, const char *key)
{
	int64_t usec = 0;

	(void)clock_parse(text_of(object, key), &usec); /* null: 0 */
	return usec;
}

static bool parse_state(const char *name, enum action_state *ret_state)
{
	for (size_t i = 0; i < ACTION_STATE_COUNT; i++) {
		if (strcmp(action_state_name((enum action_state)i), name) != 0)
			continue;
		*ret_state = (enum action_state)i;
		return true;
	}
	return false;
}

/* A text that may be null. */
static char *optional_text(const json_t *object, const char *key)
{
	const json_t *text = json_object_get(object, key);

	return json_is_string(text) ? strdup(json_string_value(text)) : NULL;
}

static bool parse_names(struct action *action, const json_t *described)
{
	(void)snprintf(action->vm, sizeof(action->vm), "%s", text_of(described, "uuid"));
	(void)snprintf(action->node, sizeof(action->node), "%s", text_of(described, "node"));
	action->name = strdup(text_of(described, "vm"));
	action->by = strdup(text_of(described, "by"));
	action->why = strdup(text_of(described, "why"));
	action->project = strdup(text_of(described, "project"));
	return action->name && action->by && action->why && action->project &&
	       vm_uuid_parse(action->vm, &action->uuid) == 0;
}

struct action *action_parse(const json_t *described)
{
	struct action *action = calloc(1, sizeof(*action));
	json_t *report = json_object_get(described, "report");

	if (!action)
		return NULL;
	action->id = json_integer_value(json_object_get(described, "id"));
	action->number = (uint64_t)json_integer_value(json_object_get(described, "number"));
	action->alarm = json_integer_value(json_object_get(described, "alarm"));
	action->after = json_integer_value(json_object_get(described, "after"));
	action->dry_run = json_is_true(json_object_get(described, "dry_run"));
	action->arguments = json_incref(json_object_get(described, "arguments"));
	action->report = json_is_object(report) ? json_incref(report) : NULL;
	action->made_usec = time_in(described, "made");
	action->due_usec = time_in(described, "due");
	action->sent_usec = time_in(described, "sent");
	action->ended_usec = time_in(described, "ended");
	action->reason = optional_text(described, "reason");
	action->verified = optional_text(described, "verified");
	action->effect = parse_effect(json_object_get(described, "effective"));
	action->outcome = ACTION_DONE;
	(void)parse_state(text_of(described, "outcome"), &action->outcome); /* while verifying */
	if (!parse_names(action, described) || !action->number || !action->arguments ||
	    !parse_state(text_of(described, "state"), &action->state) ||
	    wire_act_kind_parse(text_of(described, "kind"), &action->kind) < 0)
		return action_free(action);
	return action;
}

struct action *action_free(struct action *action)
{
	if (!action)
		return NULL;
	free(action->name);
	free(action->by);
	free(action->why);
	free(action->project);
	free(action->reason);
	free(action->verified);
	json_decref(action->arguments);
	json_decref(action->findings);
	json_decref(action->report);
	free(action);
	return NULL;
}

/* Sending */

/* A process can take another name between the look and the order, and a name that was cleaned to be
 * shown fits nobody: neither is to save it. Pid and start tell enough. */
static const char *command_of(const struct action *action)
{
	return action_whole(action, "start_nsec") ? "" : action_text(action, "command");
}

void action_fill(const struct action *action, struct wire_act *ret_act)
{
	bool undoes = action->kind == WIRE_ACT_RELEASE;

	*ret_act = (struct wire_act){
		.action = action->number,
		.alarm = action->alarm,
		.vm = action->uuid,
		.kind = action->kind,
		.dry_run = action->dry_run,
		.timeout_usec = timeouts_usec[action->kind],
		.who = action->by,
		.pid = (uint32_t)action_whole(action, "pid"),
		.start_nsec = (uint64_t)action_whole(action, "start_nsec"),
		.command = (char *)command_of(action), /* these are only read */
		.peer = (char *)action_text(action, "peer"),
		.address = (char *)action_text(action, "address"),
		.rate = (uint32_t)action_whole(action, "rate"),
		.expiry_usec = action_whole(action, "expiry_seconds") * USEC_PER_SEC,
		.undoes = undoes ? (uint64_t)action_whole(action, "undoes_number") : 0,
	};
}

/* What the node reports: the guest's words among it */

/* Any bytes as text that JSON takes: "?" is what cannot be shown. */
static json_t *text_cell(const struct report_cell *cell)
{
	cleanup(free) char *text = malloc(cell->text.size + 1);
	size_t used = 0;

	for (size_t i = 0, step; text && i < cell->text.size; i += step) {
		size_t length = utf8_printable_length(cell->text.bytes + i);

		step = length ? length : 1;
		memcpy(text + used, length ? cell->text.bytes + i : "?", step);
		used += step;
	}
	return text ? json_stringn(text, used) : json_null();
}

static json_t *describe_cell(const struct report_cell *cell, enum report_kind kind)
{
	char address[24];

	if (!cell->known)
		return json_null();
	switch (kind) {
	case REPORT_TEXT:
		return text_cell(cell);
	case REPORT_REAL:
		return api_number(cell->real);
	case REPORT_FLAG:
		return json_boolean(cell->number);
	case REPORT_TIME:
		return api_time((int64_t)cell->number);
	case REPORT_ADDRESS:
		(void)snprintf(address, sizeof(address), "0x%llx",
			       (unsigned long long)cell->number);
		return json_string(address);
	case REPORT_COUNT:
	case REPORT_BYTES:
	case REPORT_NSEC:
		break;
	}
	return json_integer((json_int_t)cell->number);
}

static json_t *describe_table(const struct report *report, size_t table)
{
	size_t rows = report_rows(report, table), count;
	const struct report_column *columns = report_columns(report, table, &count);
	json_t *list = json_array();

	for (size_t row = 0; row < rows && row < REPORT_ROWS_SHOWN; row++) {
		json_t *object = json_object();

		for (size_t i = 0; i < count; i++)
			(void)json_object_set_new(
				object, columns[i].name,
				describe_cell(report_cell(report, table, row, i), columns[i].kind));
		(void)json_array_append_new(list, object);
	}
	return list;
}

json_t *action_report(const struct report *report)
{
	json_t *tables = json_object();

	for (size_t i = 0; i < report_table_count(report); i++)
		(void)json_object_set_new(tables, report_table_name(report, i),
					  describe_table(report, i));
	return tables;
}

/* Writing */

static json_t *audit_record(const struct action *action, const char *event)
{
	json_t *record = action_describe(action);

	/* its own time is the record's; the other times are of the other records */
	static const char *const passed[] = {"made", "due", "sent", "ended", "after", "id"};

	for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++)
		(void)json_object_del(record, passed[i]);
	(void)json_object_set_new(record, "action", json_integer(action->id));
	(void)json_object_set_new(record, "event", json_string(event));
	if (action->findings && !action->sent_usec)
		(void)json_object_set(record, "findings", action->findings);
	return record;
}

static int write_all(struct actions *actions, const struct action *action, const char *event,
		     struct error *err)
{
	cleanup(json_decref) json_t *described = action_describe(action);
	cleanup(free) char *detail = described ? json_dumps(described, JSON_COMPACT) : NULL;
	struct store_action stored = {.id = action->id,
				      .alarm = action->alarm,
				      .vm = action->vm,
				      .state = action_state_name(action->state),
				      .made_usec = action->made_usec,
				      .changed_usec = clock_wall_usec(),
				      .who = action->by,
				      .detail = detail};
	int r = detail ? store_put_action(actions->audit.store, &stored, err) : -ENOMEM;

	return r == 0 && event ? audit_append(&actions->audit, audit_record(action, event), err)
			       : r;
}

int action_save(struct actions *actions, struct action *action, const char *event,
		struct error *err)
{
	struct store *store = actions->audit.store;
	struct audit before = actions->audit;
	int r = store_begin_durably(store, err);

	if (r < 0)
		return r;
	r = write_all(actions, action, event, err);
	if (r == 0)
		r = store_commit(store, err);
	else
		store_rollback(store);
	if (r < 0)
		actions->audit = before;
	return r;
}
