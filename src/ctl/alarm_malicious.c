/* SPDX-License-Identifier: Apache-2.0 */
/* atom alarm malicious N: the verdict that it is an attack, and the end of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/act.h"
#include "ctl/alarm.h"
#include "ctl/confirm.h"
#include "ctl/order.h"
#include "terminal/options.h"
#include "terminal/table.h"

DEFINE_CLEANUP(json_t *, json_decref)

static const char help[] =
	"Usage: atom alarm malicious N [--vm VM] [--process PID]... [--contain PEER[,RATE]]...\n"
	"                [--for 10min] [--evidence] [--note TEXT] [--only-verdict]\n"
	"                [--dry-run] [--yes] [--json]\n"
	"The verdict that the alarm is an attack, and the end of it. Without --process the "
	"process\n"
	"that ATOM suspects most in each VM is ended (--vm: only in that one). --contain cuts "
	"what\n"
	"the VMs have with PEER for a time (--for), or lets RATE new connections a second "
	"through.\n"
	"First a dry run shows who would be ended, why, and each word that would be written into "
	"the\n"
	"guest; then you are asked once. --evidence: saves the VM's memory before. --dry-run: "
	"stops\n"
	"after showing. --only-verdict: does nothing to a VM. --yes: does not ask.\n"
	"Exit status: 0 all was done, 1 something failed or was refused, 2 bad usage, 3 you said "
	"no.\n";

struct malicious {
	int64_t number;
	const char *vm, *duration, *note;
	struct option_list processes, peers;
	bool evidence, only_verdict;
	json_t *alarm;
	struct order_plan plan;
};

static bool is_wanted(const struct malicious *malicious, const json_t *look)
{
	const char *vm = malicious->vm;

	return !vm || strcmp(json_text(look, "vm"), vm) == 0 ||
	       strcmp(json_text(look, "uuid"), vm) == 0;
}

static const json_t *suspect_of_pid(const json_t *look, int64_t pid)
{
	const json_t *suspects = json_object_get(look, "suspects"), *suspect;
	size_t i;

	json_array_foreach(suspects, i,
			   suspect) if (json_whole(suspect, "pid") == pid) return suspect;
	return NULL;
}

/* `suspect` NULL: a process that was not suspected. */
static bool add_process(struct malicious *malicious, const char *uuid, const char *vm, int64_t pid,
			const json_t *suspect)
{
	struct order_plan *plan = &malicious->plan;
	json_t *body = order_plan_add(plan, "end-process", uuid, vm, malicious->number);
	static const char *const identity[] = {"start_nsec", "command"};

	if (!body)
		return false;
	(void)json_object_set_new(body, "pid", json_integer(pid));
	for (size_t i = 0; i < sizeof(identity) / sizeof(identity[0]); i++) {
		json_t *value = json_object_get(suspect, identity[i]);

		if (value && !json_is_null(value))
			(void)json_object_set(body, identity[i], value);
	}
	plan->orders[plan->count - 1].suspect = suspect;
	return true;
}

/* The only VM that was looked into and is wanted, or NULL (said): a PID is of one VM. */
static const json_t *only_look(const struct malicious *malicious)
{
	const json_t *looks = json_object_get(malicious->alarm, "introspection"), *look;
	const json_t *found = NULL;
	size_t i;

	json_array_foreach(looks, i, look)
	{
		if (!is_wanted(malicious, look))
			continue;
		if (found && strcmp(json_text(found, "uuid"), json_text(look, "uuid")) != 0) {
			(void)terminal_fail(EXIT_USAGE,
					    "the alarm is of several VMs (%s, %s ...): "
					    "--process needs --vm",
					    json_text(found, "vm"), json_text(look, "vm"));
			return NULL;
		}
		found = look;
	}
	if (!found && !malicious->vm)
		(void)terminal_fail(EXIT_USAGE, "no VM of this alarm was looked into: --process "
						"needs --vm");
	return found;
}

/* The processes that were named; of a VM that was not looked into there are only their numbers. */
static int add_named(struct malicious *malicious)
{
	const json_t *look = only_look(malicious);
	const char *uuid = look ? json_text(look, "uuid") : malicious->vm;
	const char *vm = look ? json_text(look, "vm") : malicious->vm;

	if (!uuid)
		return EXIT_USAGE;
	for (size_t i = 0; i < malicious->processes.count; i++) {
		int64_t pid;

		if (!act_pid(malicious->processes.items[i], &pid))
			return EXIT_USAGE;
		if (!add_process(malicious, uuid, vm, pid, suspect_of_pid(look, pid)))
			return EXIT_FAILED;
	}
	return EXIT_OK;
}

/* The first suspect of each VM. */
static int add_suspects(struct malicious *malicious)
{
	const json_t *looks = json_object_get(malicious->alarm, "introspection"), *look;
	size_t i;

	json_array_foreach(looks, i, look)
	{
		const json_t *suspect = json_array_get(json_object_get(look, "suspects"), 0);

		if (suspect && is_wanted(malicious, look) &&
		    !add_process(malicious, json_text(look, "uuid"), json_text(look, "vm"),
				 json_whole(suspect, "pid"), suspect))
			return EXIT_FAILED;
	}
	return EXIT_OK;
}

/* "10.0.0.9" or "10.0.0.9,5" at one VM. */
static int add_containment(struct malicious *malicious, const char *uuid, const char *vm,
			   const char *text)
{
	cleanup(free) char *peer = strdup(text);
	char *comma = peer ? strchr(peer, ',') : NULL;
	json_t *body = order_plan_add(&malicious->plan, "contain", uuid, vm, malicious->number);

	if (!body || !peer)
		return EXIT_FAILED;
	if (comma)
		*comma++ = '\0';
	return act_fill_contain(body, peer, NULL, comma, malicious->duration) ? EXIT_OK
									      : EXIT_USAGE;
}

static bool has_process_order(const struct malicious *malicious, const char *uuid)
{
	const struct order_plan *plan = &malicious->plan;

	for (size_t i = 0; i < plan->count; i++)
		if (strcmp(json_text(plan->orders[i].body, "kind"), "end-process") == 0 &&
		    strcmp(json_text(plan->orders[i].body, "vm"), uuid) == 0)
			return true;
	return false;
}

/* At the VMs whose processes are to end; at the one of --vm; else at all that the alarm names. */
static int add_containments(struct malicious *malicious)
{
	const json_t *columns = json_object_get(malicious->alarm, "columns"), *column;
	const struct option_list *peers = &malicious->peers;
	cleanup(json_decref) json_t *seen = json_object();
	bool any = malicious->plan.count > 0;
	int status = EXIT_OK;
	size_t i;

	json_array_foreach(columns, i, column)
	{
		const char *uuid = json_text(column, "uuid");

		if (!is_wanted(malicious, column) || json_object_get(seen, uuid) ||
		    !json_is_true(json_object_get(column, "abnormal")) ||
		    (any && !has_process_order(malicious, uuid)))
			continue;
		(void)json_object_set_new(seen, uuid, json_true());
		for (size_t j = 0; j < peers->count && status == EXIT_OK; j++)
			status = add_containment(malicious, uuid, json_text(column, "vm"),
						 peers->items[j]);
	}
	for (size_t j = 0; malicious->vm && json_object_size(seen) == 0 && j < peers->count; j++)
		if (status == EXIT_OK)
			status = add_containment(malicious, malicious->vm, malicious->vm,
						 peers->items[j]);
	return status;
}

static int make_plan(struct malicious *malicious)
{
	struct order_plan *plan = &malicious->plan;
	int status =
		malicious->processes.count > 0 ? add_named(malicious) : add_suspects(malicious);

	if (status == EXIT_OK && malicious->peers.count > 0)
		status = add_containments(malicious);
	if (status != EXIT_OK)
		return status;
	if (plan->count == 0)
		return terminal_fail(
			EXIT_FAILED,
			"no process is suspected%s%s: --process names one, --contain "
			"PEER cuts a flow, --only-verdict only says that it is malicious",
			malicious->vm ? " in " : "", malicious->vm ? malicious->vm : "");
	for (size_t i = 0; malicious->evidence && i < plan->count; i++)
		(void)json_object_set_new(plan->orders[i].body, "evidence", json_true());
	return EXIT_OK;
}

/* Before anything is done to a VM. One that was given earlier stays. */
static int give_verdict(void *userdata)
{
	const struct malicious *malicious = userdata;
	const char *given = json_text(json_object_get(malicious->alarm, "verdict"), "verdict");
	cleanup(json_decref) json_t *body =
		json_pack("{s:s, s:s*}", "verdict", "malicious", "note", malicious->note);
	cleanup(json_decref) json_t *answer = NULL;

	if (strcmp(given, "malicious") == 0)
		return EXIT_OK;
	if (!body)
		return terminal_fail(EXIT_FAILED, "the note is no valid UTF-8");
	answer = alarm_post(malicious->number, "/verdict", body);
	if (!answer)
		return EXIT_FAILED;
	if (malicious->only_verdict && malicious->plan.json)
		return command_print_json(answer);
	if (!malicious->plan.json)
		printf("alarm %lld has the verdict malicious\n", (long long)malicious->number);
	return EXIT_OK;
}

static void print_head(const struct malicious *malicious)
{
	terminal_say(stdout, STYLE_BOLD, 4, "%s", json_text(malicious->alarm, "summary"));
	if (malicious->processes.count == 0 && !malicious->only_verdict)
		terminal_say(stdout, STYLE_PLAIN, 0,
			     "Processes that ATOM suspects, by what the guests' own "
			     "kernels say; --process names others:");
	(void)putchar('\n');
}

static int run_verdict(struct malicious *malicious)
{
	const struct order_plan *plan = &malicious->plan;
	int status;

	if (!plan->json)
		print_head(malicious);
	if (plan->dry_run)
		return EXIT_OK;
	status = confirm(plan->yes, "give alarm %lld the verdict malicious?",
			 (long long)malicious->number);
	return status == EXIT_OK ? give_verdict(malicious) : status;
}

static int run(struct malicious *malicious)
{
	struct order_plan *plan = &malicious->plan;
	int status;

	malicious->alarm = alarm_get(malicious->number);
	if (!malicious->alarm)
		return EXIT_FAILED;
	if (malicious->only_verdict)
		return run_verdict(malicious);
	status = make_plan(malicious);
	if (status != EXIT_OK)
		return status;
	if (!plan->json)
		print_head(malicious);
	plan->always = true;
	plan->agreed = give_verdict;
	plan->userdata = malicious;
	return order_plan_run(plan);
}

int alarm_malicious(int argc, char **argv)
{
	struct malicious malicious = {0};
	struct order_plan *plan = &malicious.plan;
	const struct command_option options[] = {
		{"vm", OPTION_VALUE, &malicious.vm},
		{"process", OPTION_LIST, &malicious.processes},
		{"contain", OPTION_LIST, &malicious.peers},
		{"for", OPTION_VALUE, &malicious.duration},
		{"evidence", OPTION_FLAG, &malicious.evidence},
		{"note", OPTION_VALUE, &malicious.note},
		{"only-verdict", OPTION_FLAG, &malicious.only_verdict},
		{"dry-run", OPTION_FLAG, &plan->dry_run},
		{"yes", OPTION_FLAG, &plan->yes},
		{"json", OPTION_FLAG, &plan->json},
	};
	int end, count = options_parse(argc, argv, options, sizeof(options) / sizeof(options[0]),
				       help, &end);
	int status;

	if (count < 0)
		return end;
	if (count != 1) {
		(void)fputs(help, stderr);
		return EXIT_USAGE;
	}
	if (!command_number("an alarm", argv[1], &malicious.number))
		return EXIT_USAGE;
	if (plan->json && !plan->yes && !plan->dry_run)
		return terminal_fail(EXIT_USAGE,
				     "--json asks nothing: it needs --yes or --dry-run");
	status = run(&malicious);
	order_plan_deinit(plan);
	json_decref(malicious.alarm);
	return status;
}
