/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/respond.h"

#include <fnmatch.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/utf8.h"
#include "controller/controller.h"

#define HOUR_USEC (3600 * USEC_PER_SEC)
#define AT(member) offsetof(struct respond_rule, member)

enum { WHO_SIZE = 300, WHY_SIZE = 600 };

static const struct config_key rule_keys[] = {
	{"name", CONFIG_STRING, AT(name), NULL, .help = "Name of the rule, for people."},
	{"playbook", CONFIG_STRING, AT(playbook), "",
	 .help = "Only looks that this playbook asked for; empty: any."},
	{"group", CONFIG_STRING, AT(group), "", .help = "Shell pattern of groups; empty: any."},
	{"vm", CONFIG_STRING, AT(vm), "",
	 .help = "Shell pattern of VM or instance names; empty: any."},
	{"project", CONFIG_STRING, AT(project), "",
	 .help = "Shell pattern of the cloud's project names; empty: any."},
	{"action", CONFIG_CHOICE, AT(action), NULL, .choices = "end-process|contain|pause",
	 .help = "What is done: to the first suspect, to the flow of its pattern, to the VM."},
	{"min_score", CONFIG_NUMBER, AT(min_score), "0.9", 0, 1,
	 .help = "Only where the first suspect's score is at least this."},
	{"per_hour", CONFIG_INTEGER, AT(per_hour), "1", 1, 1000,
	 .help = "At most so many actions of the rule in an hour."},
	{"grace", CONFIG_DURATION, AT(grace_usec), "60s", 1, 86400,
	 .help = "How long it is announced, and can be vetoed, before it is ordered."},
	{"evidence", CONFIG_BOOLEAN, AT(evidence), "false",
	 .help = "Save the VM's memory first; where that fails nothing is done."},
	{"rate", CONFIG_INTEGER, AT(rate), "0", 0, 1000000,
	 .help = "contain: new connections a second that are let through."},
	{"for", CONFIG_DURATION, AT(expiry_usec), "1h", 1, 604800, .help = "contain: how long."},
};

const struct config_table respond_table = {"respond", sizeof(struct respond_rule), rule_keys,
					   sizeof(rule_keys) / sizeof(rule_keys[0])};

static bool matches(const char *pattern, const char *text)
{
	return !*pattern || fnmatch(pattern, text, 0) == 0;
}

/* Whether `name` is one of "network, any". */
static bool is_listed(const char *list, const char *name)
{
	size_t length = strlen(name);

	if (!*name)
		return true;
	for (const char *item = list; item; item = strstr(item, ", ")) {
		item += item == list ? 0 : 2;
		if (strncmp(item, name, length) == 0 && strchr(",", item[length]))
			return true;
	}
	return false;
}

static bool fits(const struct respond_rule *rule, const struct alarm *alarm, const struct vm *vm,
		 const char *playbooks)
{
	return is_listed(playbooks, rule->playbook) && matches(rule->group, alarm->group->name) &&
	       matches(rule->project, vm->project) &&
	       (matches(rule->vm, vm->name) || (*vm->instance && matches(rule->vm, vm->instance)));
}

static json_t *copy_members(const json_t *from, const char *const *names, size_t count)
{
	json_t *object = json_object();

	for (size_t i = 0; i < count; i++) {
		json_t *value = json_object_get(from, names[i]);

		if (value && !json_is_null(value))
			(void)json_object_set(object, names[i], value);
	}
	return object;
}

/* What the action needs of what was seen. NULL: it is not there. */
static json_t *make_arguments(const struct respond_rule *rule, const json_t *found,
			      const json_t *suspect)
{
	static const char *const identity[] = {"pid", "start_nsec", "command"};
	const json_t *pattern;
	size_t i;

	if (rule->action == RESPOND_PAUSE)
		return json_object();
	if (rule->action == RESPOND_END_PROCESS)
		return copy_members(suspect, identity, 3);
	json_array_foreach(json_object_get(found, "patterns"), i, pattern)
	{
		const char *peer = text_of(pattern, "peer");

		if (*peer)
			return json_pack("{s:s, s:I, s:I}", "peer", peer, "rate",
					 (json_int_t)rule->rate, "expiry_seconds",
					 (json_int_t)(rule->expiry_usec / USEC_PER_SEC));
	}
	return NULL;
}

static enum wire_act_kind kind_of(const struct respond_rule *rule)
{
	return rule->action == RESPOND_END_PROCESS ? WIRE_ACT_END_PROCESS
	       : rule->action == RESPOND_CONTAIN   ? WIRE_ACT_CONTAIN
						   : WIRE_ACT_PAUSE;
}

static void tell(struct controller *controller, const struct alarm *alarm, const struct vm *vm,
		 const struct respond_rule *rule, const char *text)
{
	char line[WHO_SIZE + ERROR_TEXT_SIZE];

	(void)utf8_print(line, sizeof(line), "rule %.200s: %s", rule->name, text);
	log_info("alarm %lld: %s", (long long)alarm->id, line);
	history_event(controller->history, alarm->id, clock_wall_usec(), "not done", vm->uuid_text,
		      line);
}

/* Whether the rule may act once more in this hour; says so where not. Evidence is an action too. */
static bool has_allowance(struct controller *controller, const struct alarm *alarm,
			  const struct vm *vm, const struct respond_rule *rule, const char *who)
{
	struct error err = ERROR_INIT;
	size_t count, most = (size_t)rule->per_hour * (rule->evidence ? 2 : 1);
	int r = store_count_actions(history_store(controller->history), who,
				    clock_wall_usec() - HOUR_USEC, &count, &err);

	if (r < 0)
		tell(controller, alarm, vm, rule, err.text);
	else if (count >= most)
		tell(controller, alarm, vm, rule,
		     "it has acted as often as it may within an hour: nothing is done");
	return r == 0 && count < most;
}

static void apply(struct controller *controller, const struct respond_rule *rule,
		  const struct alarm *alarm, struct vm *vm, const json_t *found,
		  const json_t *suspect)
{
	cleanup(json_decref) json_t *arguments = make_arguments(rule, found, suspect);
	char who[WHO_SIZE], why[WHY_SIZE];
	struct action_order order = {.kind = kind_of(rule),
				     .vm = vm,
				     .alarm = alarm->id,
				     .evidence = rule->evidence,
				     .arguments = arguments,
				     .by = who,
				     .why = why,
				     .grace_usec = rule->grace_usec};
	const char *reason =
		json_string_value(json_array_get(json_object_get(suspect, "reasons"), 0));
	struct error err = ERROR_INIT;
	int64_t id;

	(void)utf8_print(who, sizeof(who), "rule %.200s", rule->name);
	(void)utf8_print(why, sizeof(why), "score %.2f: %s",
			 json_number_value(json_object_get(suspect, "score")),
			 reason ? reason : "");
	if (!arguments ||
	    actions_exist(controller, alarm->id, who, vm->uuid_text,
			  json_integer_value(json_object_get(arguments, "pid"))) ||
	    !has_allowance(controller, alarm, vm, rule, who))
		return;
	if (actions_order(controller, &order, &id, &err) < 0)
		tell(controller, alarm, vm, rule, err.text);
}

void respond_consider(struct controller *controller, const struct alarm *alarm, struct vm *vm,
		      const char *playbooks, const json_t *found)
{
	const struct config_records *rules = &controller->settings.respond;
	const json_t *suspect = json_array_get(json_object_get(found, "suspects"), 0);
	double score = json_number_value(json_object_get(suspect, "score"));

	for (size_t i = 0; suspect && i < rules->count; i++) {
		const struct respond_rule *rule = (const struct respond_rule *)rules->items + i;

		if (score >= rule->min_score && fits(rule, alarm, vm, playbooks))
			apply(controller, rule, alarm, vm, found, suspect);
	}
}
