/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/action.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/utf8.h"
#include "controller/action_internal.h"
#include "wire/report.h"

/* For a node that does not answer: beyond the action's own time; while it is away; before anything
 * was sent; for the second look. */
#define PATIENCE_USEC (10 * USEC_PER_SEC)
#define AWAY_USEC (3600 * USEC_PER_SEC)
#define UNSENT_USEC (60 * USEC_PER_SEC)
#define LOOK_USEC (20 * USEC_PER_SEC)

enum { LATE_MAX = 100, SENT_MAX = 2 /* per node, which does as many at once */ };

const char *action_state_name(enum action_state state)
{
	static const char *const names[ACTION_STATE_COUNT] = {
		[ACTION_ANNOUNCED] = "announced", [ACTION_WAITING] = "waiting",
		[ACTION_ORDERED] = "ordered",     [ACTION_SENT] = "sent",
		[ACTION_VERIFYING] = "verifying", [ACTION_VETOED] = "vetoed",
		[ACTION_DONE] = "done",           [ACTION_PENDING] = "pending",
		[ACTION_REFUSED] = "refused",     [ACTION_FAILED] = "failed",
		[ACTION_UNKNOWN] = "unknown",
	};

	return names[state];
}

static bool has_ended(const struct action *action)
{
	return action->state >= ACTION_VETOED;
}

/* What an earlier life has not ended */

struct loading {
	struct actions *actions;
	int64_t now;
};

/* While we were away nobody could veto: the grace time begins anew, and is announced again. */
static void renew_grace(struct action *action)
{
	action->due_usec = clock_wall_usec() + (action->due_usec - action->made_usec);
	action->is_unsaved = true;
	action->unsaved = "announced";
}

/* They come newest first. */
static void sort(struct actions *actions)
{
	for (size_t i = 0; i < actions->count / 2; i++) {
		struct action *other = actions->open[actions->count - 1 - i];

		actions->open[actions->count - 1 - i] = actions->open[i];
		actions->open[i] = other;
	}
}

static int take_stored(void *userdata, const struct store_action *stored)
{
	struct loading *loading = userdata;
	struct actions *actions = loading->actions;
	cleanup(json_decref) json_t *described = json_loads(stored->detail, 0, NULL);
	struct action *action = described ? action_parse(described) : NULL;

	if (!action || actions->count == ACTIONS_MAX) {
		log_error("action %lld makes no sense any more and is passed over",
			  (long long)stored->id);
		action_free(action);
		return 0;
	}
	action->give_up_usec =
		loading->now + (action->state == ACTION_SENT ? AWAY_USEC : UNSENT_USEC);
	if (action->state == ACTION_ANNOUNCED)
		renew_grace(action);
	actions->open[actions->count++] = action;
	return 0;
}

/* Numbers grow, even if the clock was set back. */
static int take_newest(void *userdata, const struct store_action *stored)
{
	struct actions *actions = userdata;
	cleanup(json_decref) json_t *described = json_loads(stored->detail, 0, NULL);
	uint64_t number = (uint64_t)json_integer_value(json_object_get(described, "number"));

	if (number > actions->last_number)
		actions->last_number = number;
	return 0;
}

int actions_init(struct actions *actions, struct store *store, struct error *err)
{
	struct loading loading = {actions, clock_mono_usec()};
	int r;

	*actions = (struct actions){.last_number = (uint64_t)clock_wall_usec()};
	r = audit_init(&actions->audit, store, err);
	if (r == 0)
		r = store_last_action(store, &actions->last_id, err);
	if (r == 0)
		r = store_each_action(store, 0, "open", ACTIONS_MAX, take_stored, &loading, err);
	sort(actions);
	if (r == 0)
		r = store_each_action(store, 0, NULL, 1, take_newest, actions, err);
	return r < 0 ? r : 0;
}

void actions_deinit(struct actions *actions)
{
	for (size_t i = 0; i < actions->count; i++)
		action_free(actions->open[i]);
	actions->count = 0;
}

/* Steps */

static void note(struct controller *controller, const struct action *action, const char *event,
		 const char *text)
{
	struct alarm *alarm = groups_find_alarm(&controller->groups, action->alarm);

	if (!action->alarm)
		return;
	if (alarm) /* its row may have expired */
		history_alarm(controller->history, alarm);
	history_event(controller->history, action->alarm, clock_wall_usec(), event, action->vm,
		      text);
}

/* "end process 214 (ab) of vm2: REST" in the alarm's history. */
static void note_step(struct controller *controller, const struct action *action, const char *event,
		      const char *rest)
{
	cleanup(free) char *what = action_tell(action);
	cleanup(free) char *text = NULL;

	if (asprintf(&text, "%s%s%s%s", action->dry_run ? "dry run: " : "", what ? what : "action",
		     *rest ? ": " : "", rest) < 0)
		text = NULL;
	log_info("action %lld (%s): %s: %s", (long long)action->id, action->by, event,
		 text ? text : "");
	if (text && !action->dry_run)
		note(controller, action, event, text);
}

/* Writes the new state. A store that fails keeps the step, which is tried again before the next one
 * is taken. */
static void save_step(struct controller *controller, struct action *action, const char *event)
{
	struct error err = ERROR_INIT;

	action->is_unsaved = action_save(&controller->actions, action, event, &err) < 0;
	action->unsaved = event;
	if (action->is_unsaved)
		log_error("action %lld cannot be recorded now: %s", (long long)action->id,
			  err.text);
}

static void set_reason(struct action *action, const char *reason)
{
	free(action->reason);
	action->reason = *reason ? strdup(reason) : NULL;
	if (action->reason) /* else it could be neither recorded nor shown */
		(void)utf8_mend(action->reason);
}

static void end(struct controller *controller, struct action *action, enum action_state state)
{
	action->state = state;
	action->ended_usec = clock_wall_usec();
	controller->actions.by_state[state]++;
	save_step(controller, action, "ended");
}

static void end_with(struct controller *controller, struct action *action, enum action_state state,
		     const char *reason)
{
	set_reason(action, reason);
	end(controller, action, state);
	note_step(controller, action, action_state_name(state), reason);
}

/* Ordering */

static struct action *find(const struct actions *actions, int64_t id)
{
	for (size_t i = 0; i < actions->count; i++)
		if (actions->open[i]->id == id)
			return actions->open[i];
	return NULL;
}

static struct action *make(struct actions *actions, const struct action_order *order)
{
	struct action *action = calloc(1, sizeof(*action));
	uint64_t now = (uint64_t)clock_wall_usec();

	if (!action)
		return NULL;
	action->number = now > actions->last_number ? now : actions->last_number + 1;
	action->id = actions->last_id + 1;
	action->alarm = order->alarm;
	action->kind = order->kind;
	action->dry_run = order->dry_run;
	action->state = order->grace_usec > 0 ? ACTION_ANNOUNCED : ACTION_ORDERED;
	action->uuid = order->vm->uuid;
	action->made_usec = (int64_t)now;
	action->due_usec = order->grace_usec > 0 ? (int64_t)now + order->grace_usec : 0;
	action->give_up_usec = clock_mono_usec() + order->grace_usec + UNSENT_USEC;
	(void)snprintf(action->vm, sizeof(action->vm), "%s", order->vm->uuid_text);
	(void)snprintf(action->node, sizeof(action->node), "%s", order->vm->node->name);
	action->name = strdup(order->vm->name);
	action->by = strdup(order->by);
	action->why = strdup(order->why);
	action->project = strdup(order->vm->project);
	action->arguments = order->arguments ? json_incref(order->arguments) : json_object();
	action->findings = order->findings ? json_deep_copy(order->findings) : NULL;
	return action->name && action->by && action->why && action->project && action->arguments
		       ? action
		       : action_free(action);
}

/* Recorded, else it is not. */
static int enter(struct controller *controller, struct action *action, struct error *err)
{
	struct actions *actions = &controller->actions;
	struct error cause = ERROR_INIT;
	int r = action_save(actions, action,
			    action->state == ACTION_ANNOUNCED ? "announced" : "ordered", &cause);

	if (r < 0)
		return error_set(err, -EROFS, "what cannot be recorded is not done: %s",
				 error_text(&cause, r));
	actions->last_id = action->id;
	actions->last_number = action->number;
	actions->open[actions->count++] = action;
	note_step(controller, action, action->state == ACTION_ANNOUNCED ? "announced" : "ordered",
		  action->by);
	return 0;
}

static int order_one(struct controller *controller, const struct action_order *order, int64_t after,
		     int64_t *ret_id, struct error *err)
{
	struct actions *actions = &controller->actions;
	struct action *action = make(actions, order);
	int r;

	if (!action)
		return error_set(err, -ENOMEM, "out of memory");
	if (after) {
		action->after = after;
		action->state = action->state == ACTION_ORDERED ? ACTION_WAITING : action->state;
	}
	r = enter(controller, action, err);
	if (r < 0)
		action_free(action);
	else
		*ret_id = action->id;
	return r;
}

/* What a look into the VM has shown for the alarm. NULL: nothing. */
static const json_t *findings_of(const struct controller *controller,
				 const struct action_order *order)
{
	const struct alarm *alarm = groups_find_alarm(&controller->groups, order->alarm);
	const json_t *look;
	size_t i;

	json_array_foreach(json_object_get(alarm ? alarm->evidence : NULL, "introspection"), i,
			   look) if (strcmp(text_of(look, "uuid"), order->vm->uuid_text) ==
				     0) return look;
	return NULL;
}

/* The evidence is an action of its own, before the other. */
static int order_evidence(struct controller *controller, const struct action_order *order,
			  int64_t *ret_id, struct error *err)
{
	struct action_order evidence = *order;

	evidence.kind = WIRE_ACT_SNAPSHOT;
	evidence.arguments = NULL;
	evidence.findings = findings_of(controller, order);
	return order_one(controller, &evidence, 0, ret_id, err);
}

int actions_order(struct controller *controller, const struct action_order *order, int64_t *ret_id,
		  struct error *err)
{
	bool first = order->evidence && !order->dry_run && order->kind != WIRE_ACT_SNAPSHOT;
	int64_t after = 0;
	int r = action_check(order->kind, order->arguments, order->dry_run, err);

	if (r < 0)
		return r;
	if (controller->actions.count + 2 > ACTIONS_MAX)
		return error_set(err, -EBUSY, "more than %d actions have not ended", ACTIONS_MAX);
	if (first)
		r = order_evidence(controller, order, &after, err);
	if (r == 0)
		r = order_one(controller, order, after, ret_id, err);
	if (r < 0 && after)
		end_with(controller, find(&controller->actions, after), ACTION_FAILED,
			 "what it was for could not be recorded");
	actions_follow(controller);
	return r;
}

int actions_veto(struct controller *controller, int64_t id, const char *by, struct error *err)
{
	struct action *action = find(&controller->actions, id), *evidence;
	char reason[256];

	if (!action || action->state != ACTION_ANNOUNCED)
		return error_set(err,
				 action || id <= controller->actions.last_id ? -EALREADY : -ENOENT,
				 "action %lld is not in its grace time", (long long)id);
	(void)utf8_print(reason, sizeof(reason), "vetoed by %s", by);
	end_with(controller, action, ACTION_VETOED, reason);
	evidence = find(&controller->actions, action->after);
	if (evidence && evidence->state == ACTION_ANNOUNCED)
		end_with(controller, evidence, ACTION_VETOED, reason);
	return action->is_unsaved
		       ? error_set(err, -EROFS,
				   "it is vetoed, but this cannot be recorded yet: as long as the "
				   "store fails do not restart atomd")
		       : 0;
}

void actions_withdraw(struct controller *controller, int64_t alarm, const char *why)
{
	struct actions *actions = &controller->actions;

	for (size_t i = 0; i < actions->count; i++)
		if (actions->open[i]->alarm == alarm && actions->open[i]->state == ACTION_ANNOUNCED)
			end_with(controller, actions->open[i], ACTION_VETOED, why);
}

/* Following */

static void drop_ended(struct actions *actions)
{
	for (size_t i = actions->count; i-- > 0;) {
		if (!has_ended(actions->open[i]) || actions->open[i]->is_unsaved)
			continue;
		action_free(actions->open[i]);
		actions->count--;
		memmove(actions->open + i, actions->open + i + 1,
			(actions->count - i) * sizeof(struct action *));
	}
}

/* Whether the node would let it wait: it is at something else of that VM, or has enough. Time that
 * runs for the action would run out meanwhile. */
static bool must_wait(const struct actions *actions, const struct action *action)
{
	size_t sent = 0;

	for (size_t i = 0; i < actions->count; i++) {
		const struct action *other = actions->open[i];

		if (other == action || !other->is_sent || other->state != ACTION_SENT ||
		    strcmp(other->node, action->node) != 0)
			continue;
		if (vm_uuid_equal(&other->uuid, &action->uuid))
			return true;
		sent++;
	}
	return sent >= SENT_MAX;
}

/* That it is on its way is written first: after a restart it may have been. */
static void send_action(struct controller *controller, struct action *action, struct bus_peer *peer)
{
	struct wire_message message = {.type = WIRE_ACT};
	cleanup(free) uint8_t *data = NULL;
	struct error err = ERROR_INIT;
	size_t size;
	int r;

	if (action->state == ACTION_ORDERED) {
		action->state = ACTION_SENT;
		action->sent_usec = clock_wall_usec();
		save_step(controller, action, NULL);
		if (action->is_unsaved) { /* then it is not sent either */
			action->state = ACTION_ORDERED;
			action->sent_usec = 0;
			action->is_unsaved = false;
			return;
		}
	}
	action_fill(action, &message.act);
	r = wire_encode(&message, &data, &size, &err);
	if (r == -EINVAL) {
		end_with(controller, action, ACTION_FAILED, err.text);
		return;
	}
	if (r == 0)
		r = bus_peer_send(peer, data, size);
	if (r < 0) {
		log_warning("action %lld to node %s: %s; it is tried again", (long long)action->id,
			    action->node, error_text(&err, r));
		return;
	}
	action->is_sent = true;
	action->give_up_usec = clock_mono_usec() + message.act.timeout_usec + PATIENCE_USEC;
}

static struct bus_peer *peer_of(const struct controller *controller, const struct action *action)
{
	return fleet_peer(map_find(controller->fleet.nodes, action->node));
}

static void give_up(struct controller *controller, struct action *action)
{
	if (action->state == ACTION_ORDERED)
		end_with(controller, action, ACTION_FAILED,
			 "its node could not be reached in time: nothing was done");
	else
		end_with(controller, action, ACTION_UNKNOWN,
			 "its node has not said what became of it: look before ordering anew");
}

static void follow_order(struct controller *controller, struct action *action)
{
	struct bus_peer *peer = peer_of(controller, action);
	int64_t now = clock_mono_usec();

	if (peer && !action->is_sent && must_wait(&controller->actions, action)) {
		if (action->give_up_usec < now + UNSENT_USEC)
			action->give_up_usec = now + UNSENT_USEC;
		return;
	}
	if (now > action->give_up_usec)
		give_up(controller, action);
	else if (peer && !action->is_sent)
		send_action(controller, action, peer);
}

/* Whether what a rule has announced has lost its reason. */
static bool is_over(const struct controller *controller, const struct action *action)
{
	const struct alarm *alarm = groups_find_alarm(&controller->groups, action->alarm);

	return action->alarm && (!alarm || alarm->closed_usec);
}

static void follow_announced(struct controller *controller, struct action *action)
{
	if (is_over(controller, action)) {
		end_with(controller, action, ACTION_VETOED,
			 "the alarm was over before the grace time was: nothing is done");
		return;
	}
	if (clock_wall_usec() < action->due_usec)
		return;
	action->state = action->after ? ACTION_WAITING : ACTION_ORDERED;
	action->give_up_usec = clock_mono_usec() + UNSENT_USEC;
	save_step(controller, action, "ordered");
	note_step(controller, action, "ordered", "nobody has vetoed it");
}

struct predecessor {
	bool is_done;
	char reason[256];
};

static int take_predecessor(void *userdata, const struct store_action *stored)
{
	struct predecessor *predecessor = userdata;
	cleanup(json_decref) json_t *described = json_loads(stored->detail, 0, NULL);
	const char *reason = json_string_value(json_object_get(described, "reason"));

	predecessor->is_done = strcmp(stored->state, "done") == 0;
	(void)utf8_print(predecessor->reason, sizeof(predecessor->reason),
			 "the evidence could not be saved first: %s",
			 reason ? reason : stored->state);
	return 0;
}

static void follow_waiting(struct controller *controller, struct action *action)
{
	struct predecessor predecessor = {.reason = "the evidence's record is not to be had"};

	if (find(&controller->actions, action->after))
		return;
	(void)store_get_action(history_store(controller->history), action->after, take_predecessor,
			       &predecessor, NULL);
	if (!predecessor.is_done) {
		end_with(controller, action, ACTION_FAILED, predecessor.reason);
		return;
	}
	action->state = ACTION_ORDERED;
	action->give_up_usec = clock_mono_usec() + UNSENT_USEC;
	save_step(controller, action, NULL);
}

static void end_verified(struct controller *controller, struct action *action, const char *told)
{
	free(action->verified);
	action->verified = strdup(told);
	note_step(controller, action, "verified", told);
	end(controller, action, action->outcome);
}

static void follow_verifying(struct controller *controller, struct action *action)
{
	struct bus_peer *peer = peer_of(controller, action);

	if (clock_mono_usec() > action->give_up_usec)
		end_verified(controller, action,
			     "could not be verified: the second look was not answered in time");
	else if (peer && !action->look_is_sent)
		(void)action_send_look(action, &controller->inquiries, peer); /* or later */
}

static void follow(struct controller *controller, struct action *action)
{
	if (action->is_unsaved) {
		save_step(controller, action, action->unsaved);
		if (!action->is_unsaved && action->state == ACTION_ANNOUNCED)
			note_step(controller, action, "announced",
				  "its grace time begins anew, after a restart");
		return;
	}
	switch (action->state) {
	case ACTION_ANNOUNCED:
		follow_announced(controller, action);
		break;
	case ACTION_WAITING:
		follow_waiting(controller, action);
		break;
	case ACTION_ORDERED:
	case ACTION_SENT:
		follow_order(controller, action);
		break;
	case ACTION_VERIFYING:
		follow_verifying(controller, action);
		break;
	case ACTION_VETOED:
	case ACTION_DONE:
	case ACTION_PENDING:
	case ACTION_REFUSED:
	case ACTION_FAILED:
	case ACTION_UNKNOWN:
	case ACTION_STATE_COUNT:
		break;
	}
}

void actions_follow(struct controller *controller)
{
	struct actions *actions = &controller->actions;

	for (size_t i = 0; i < actions->count; i++)
		follow(controller, actions->open[i]);
	drop_ended(actions);
}

void actions_lost(struct actions *actions, const struct node *node)
{
	for (size_t i = 0; i < actions->count; i++) {
		struct action *action = actions->open[i];

		if (strcmp(action->node, node->name) != 0)
			continue;
		if (action->is_sent && action->state == ACTION_SENT)
			action->give_up_usec = clock_mono_usec() + AWAY_USEC;
		action->is_sent = action->look_is_sent = false;
	}
}

/* Answers */

static enum action_state state_of(enum wire_outcome_status status)
{
	static const enum action_state states[] = {
		[WIRE_OUTCOME_DONE] = ACTION_DONE,       [WIRE_OUTCOME_REFUSED] = ACTION_REFUSED,
		[WIRE_OUTCOME_FAILED] = ACTION_FAILED,   [WIRE_OUTCOME_PENDING] = ACTION_PENDING,
		[WIRE_OUTCOME_UNKNOWN] = ACTION_UNKNOWN,
	};

	return states[status];
}

static void take_report(struct action *action, const struct wire_outcome *outcome)
{
	struct report *report = NULL;

	if (!outcome->report_size ||
	    report_decode(outcome->report, outcome->report_size, &report, NULL) < 0)
		return;
	json_decref(action->report);
	action->report = action_report(report);
	report_free(report);
}

/* Why, as who did it says in its report, where it does; else as the node says. */
static const char *reason_of(const struct action *action, const struct wire_outcome *outcome)
{
	const json_t *end = json_array_get(json_object_get(action->report, "end"), 0);
	const char *told = text_of(end, "reason");

	return *told ? told : outcome->reason;
}

static void take_outcome(struct controller *controller, struct action *action,
			 const struct wire_outcome *outcome)
{
	enum action_state state = state_of(outcome->status);
	const char *reason;

	take_report(action, outcome);
	reason = reason_of(action, outcome);
	if (state != ACTION_REFUSED && state != ACTION_FAILED && action_is_verifiable(action)) {
		set_reason(action, reason);
		action->state = ACTION_VERIFYING;
		action->outcome = state;
		action->give_up_usec = clock_mono_usec() + LOOK_USEC;
		save_step(controller, action, "answered");
		note_step(controller, action, action_state_name(state), reason);
	} else {
		end_with(controller, action, state, reason);
	}
	actions_follow(controller);
}

/* An action that was given up, by its number. */
struct wanted {
	uint64_t number;
	struct action *found;
};

static int take_given_up(void *userdata, const struct store_action *stored)
{
	struct wanted *wanted = userdata;
	cleanup(json_decref) json_t *described = json_loads(stored->detail, 0, NULL);

	if ((uint64_t)json_integer_value(json_object_get(described, "number")) == wanted->number)
		wanted->found = action_parse(described);
	return wanted->found != NULL;
}

/* Better late than never: what became of one that was given up is known now. */
static int take_late(struct controller *controller, const struct node *node,
		     const struct wire_outcome *outcome, struct error *err)
{
	struct wanted wanted = {.number = outcome->action};
	struct action *action;
	bool is_its;

	(void)store_each_action(history_store(controller->history), 0, "unknown", LATE_MAX,
				take_given_up, &wanted, NULL);
	action = wanted.found;
	if (!action || outcome->status == WIRE_OUTCOME_UNKNOWN) {
		log_warning("node %s: an answer about action %llu that nobody waits for: %s",
			    node->name, (unsigned long long)outcome->action, outcome->reason);
		action_free(action);
		return 0;
	}
	is_its = strcmp(action->node, node->name) == 0;
	if (is_its) {
		take_report(action, outcome);
		set_reason(action, reason_of(action, outcome));
		action->state = state_of(outcome->status);
		save_step(controller, action, "answered late");
		note_step(controller, action, action_state_name(action->state),
			  action->reason ? action->reason : "answered late");
	}
	action_free(action);
	return is_its ? 0
		      : error_set(err, -EPROTO, "the node answers for an action of another node");
}

int actions_take(struct controller *controller, const struct node *node,
		 const struct wire_outcome *outcome, struct error *err)
{
	struct actions *actions = &controller->actions;

	for (size_t i = 0; i < actions->count; i++) {
		struct action *action = actions->open[i];

		if (action->number != outcome->action)
			continue;
		if (strcmp(action->node, node->name) != 0)
			return error_set(err, -EPROTO,
					 "the node answers for an action of another node");
		if (action->state == ACTION_SENT)
			take_outcome(controller, action, outcome);
		return 0;
	}
	return take_late(controller, node, outcome, err);
}

int actions_take_look(struct controller *controller, const struct node *node,
		      const struct wire_findings *findings, struct error *err)
{
	struct actions *actions = &controller->actions;

	for (size_t i = 0; i < actions->count; i++) {
		struct action *action = actions->open[i];
		cleanup(free) char *told = NULL;

		if (action->look != findings->request || action->state != ACTION_VERIFYING)
			continue;
		if (strcmp(action->node, node->name) != 0)
			return error_set(err, -EPROTO, "the node answers for a VM of another node");
		told = action_judge_look(action, findings, &action->effect);
		end_verified(controller, action, told ? told : "could not be verified");
		drop_ended(actions);
		return 1;
	}
	return 0;
}

struct existing {
	const char *by, *uuid;
	int64_t pid;
	bool found;
};

static int take_existing(void *userdata, const struct store_action *stored)
{
	struct existing *existing = userdata;
	cleanup(json_decref) json_t *described = json_loads(stored->detail, 0, NULL);
	const json_t *arguments = json_object_get(described, "arguments");

	if (strcmp(stored->who, existing->by) == 0 && strcmp(stored->vm, existing->uuid) == 0 &&
	    json_integer_value(json_object_get(arguments, "pid")) == existing->pid)
		existing->found = true;
	return existing->found;
}

bool actions_exist(struct controller *controller, int64_t alarm, const char *by, const char *uuid,
		   int64_t pid)
{
	struct existing existing = {by, uuid, pid, false};
	int r = store_each_action(history_store(controller->history), alarm, NULL, ACTIONS_MAX,
				  take_existing, &existing, NULL);

	return r < 0 || existing.found; /* what cannot be told is not done again */
}
