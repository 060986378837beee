/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/order.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "ctl/action.h"
#include "ctl/command.h"
#include "ctl/confirm.h"
#include "ctl/suspect.h"
#include "terminal/table.h"

DEFINE_CLEANUP(json_t *, json_decref)

/* How long an end is waited for: of a dry run, of an action, of one that first saves the VM's
 * memory as evidence or is such a saving; and of a verification after that. */
static const int64_t rehearsal_usec = 60 * USEC_PER_SEC, end_usec = 60 * USEC_PER_SEC,
		     memory_usec = 900 * USEC_PER_SEC, verification_usec = 30 * USEC_PER_SEC;

json_t *order_plan_add(struct order_plan *plan, const char *kind, const char *vm, const char *name,
		       int64_t alarm)
{
	struct order *order = &plan->orders[plan->count];

	if (plan->count == ORDERS_MAX) {
		(void)terminal_fail(EXIT_FAILED, "more than %d actions at once", ORDERS_MAX);
		return NULL;
	}
	*order =
		(struct order){.body = json_pack("{s:s, s:s}", "kind", kind, "vm", vm), .vm = name};
	if (!order->body) {
		(void)terminal_fail(EXIT_FAILED, "VM '%s' cannot be named in JSON", vm);
		return NULL;
	}
	plan->count++;
	if (alarm > 0)
		(void)json_object_set_new(order->body, "alarm", json_integer(alarm));
	return order->body;
}

void order_plan_deinit(struct order_plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		json_decref(plan->orders[i].body);
		json_decref(plan->orders[i].rehearsed);
		json_decref(plan->orders[i].end);
	}
	plan->count = 0;
}

static bool is_kind(const struct order *order, const char *kind)
{
	return strcmp(json_text(order->body, "kind"), kind) == 0;
}

static char *description_of(const struct order *order)
{
	return action_describe(json_text(order->body, "kind"), order->vm, order->body);
}

/* The action, as far as it is known before it is asked for, or NULL (said). */
static json_t *post(const struct order *order, bool dry_run)
{
	cleanup(json_decref) json_t *body = json_deep_copy(order->body);
	json_t *action;

	(void)json_object_set_new(body, "dry_run", json_boolean(dry_run));
	if (dry_run)
		(void)json_object_del(body, "evidence");
	action = command_post("/api/v1/actions", body);
	if (!action)
		return NULL;
	if (json_object_get(action, "kind"))
		return action;
	(void)json_object_set(action, "kind", json_object_get(body, "kind"));
	(void)json_object_set_new(action, "vm", json_string(order->vm));
	(void)json_object_set(action, "arguments", body);
	return action;
}

/* Rehearsal */

static bool is_named(const struct order *order)
{
	return !is_kind(order, "end-process") || json_object_get(order->body, "start_nsec");
}

/* An order for a process is for the one that the dry run saw, and no later bearer of its number. */
static void take_identity(struct order *order)
{
	static const char *const keys[] = {"start_nsec", "command"};

	if (!is_kind(order, "end-process") || !action_is_done(order->rehearsed))
		return;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const json_t *value = action_report_value(order->rehearsed, "end", keys[i]);

		if (value && !json_is_null(value) && !json_object_get(order->body, keys[i]))
			(void)json_object_set(order->body, keys[i], (json_t *)value);
	}
}

static void rehearse(struct order_plan *plan)
{
	for (size_t i = 0; i < plan->count; i++)
		plan->orders[i].rehearsed = post(&plan->orders[i], true);
	for (size_t i = 0; i < plan->count; i++) {
		struct order *order = &plan->orders[i];
		json_t *posted = order->rehearsed;

		if (!posted)
			continue;
		order->rehearsed =
			action_wait(json_whole(posted, "id"), action_is_over, rehearsal_usec);
		json_decref(posted);
		take_identity(order);
	}
}

static bool needs_rehearsal(const struct order_plan *plan)
{
	if (plan->always || plan->dry_run || !plan->yes)
		return true;
	for (size_t i = 0; i < plan->count; i++)
		if (!is_named(&plan->orders[i]))
			return true;
	return false;
}

/* Nothing is known against doing it, and for a process which one it is. */
static bool is_possible(const struct order *order, bool rehearsed)
{
	return (!rehearsed || action_is_done(order->rehearsed)) && is_named(order);
}

static void show_order(const struct order *order)
{
	cleanup(free) char *what = description_of(order);

	terminal_say(stdout, STYLE_BOLD, 4, "%s", what ? what : "");
	if (order->suspect)
		suspect_print(order->suspect, "ATOM suspects ");
	if (!order->rehearsed)
		return; /* why has been said */
	action_print_rehearsal(order->rehearsed);
	if (action_is_done(order->rehearsed) && !is_named(order))
		puts("  the dry run does not tell which process it is: it will not be ended");
	(void)putchar('\n');
}

/* The question */

/* "end process 214 (ab) of vm2 and pause vm3". Returns owned. */
static char *question_of(const struct order_plan *plan)
{
	char *text = NULL;
	size_t size, said = 0;
	FILE *stream = open_memstream(&text, &size);

	if (!stream)
		return NULL;
	for (size_t i = 0; i < plan->count; i++) {
		const struct order *order = &plan->orders[i];
		cleanup(free) char *what = description_of(order);

		if (is_possible(order, order->rehearsed != NULL))
			(void)fprintf(stream, "%s%s", said++ ? " and " : "", what ? what : "");
	}
	(void)fprintf(stream, "%s?",
		      json_is_true(json_object_get(plan->orders[0].body, "evidence"))
			      ? ", after saving the memory as evidence"
			      : "");
	return fclose(stream) == 0 ? text : NULL;
}

static int ask(const struct order_plan *plan)
{
	cleanup(free) char *question = question_of(plan);

	if (!question)
		return terminal_fail(EXIT_FAILED, "out of memory");
	return confirm(plan->yes, "%s", question);
}

/* Doing it */

static bool is_verified(const json_t *action)
{
	return *json_text(action, "verified") != '\0';
}

/* atomd looks again at what these two have changed inside a VM. */
static bool will_be_verified(const struct order *order)
{
	const char *state = json_text(order->end, "state");

	return (strcmp(state, "done") == 0 || strcmp(state, "pending") == 0) &&
	       (is_kind(order, "end-process") || is_kind(order, "contain"));
}

static void follow(struct order *order)
{
	bool slow = is_kind(order, "snapshot") ||
		    json_is_true(json_object_get(order->body, "evidence"));
	int64_t id = json_whole(order->end, "id");
	json_t *action = action_wait(id, action_is_over, slow ? memory_usec : end_usec);

	if (!action)
		return;
	json_decref(order->end);
	order->end = action;
	if (!will_be_verified(order))
		return;
	action = action_wait(id, is_verified, verification_usec);
	if (!action)
		return;
	json_decref(order->end);
	order->end = action;
}

/* Says when the end is not the last word, or has not been seen. */
static void show_end(const struct order *order)
{
	long long id = (long long)json_whole(order->end, "id");

	action_print_result(order->end);
	if (!action_is_over(order->end))
		printf("  it goes on: atom act show %lld tells more\n", id);
	else if (will_be_verified(order) && !is_verified(order->end))
		printf("  not verified yet: atom act show %lld tells when it is\n", id);
}

static int carry_out(struct order_plan *plan, bool rehearsed)
{
	int status = EXIT_OK;

	for (size_t i = 0; i < plan->count; i++) {
		struct order *order = &plan->orders[i];

		if (is_possible(order, rehearsed))
			order->end = post(order, false);
	}
	if (!plan->json && isatty(STDERR_FILENO))
		(void)fputs("Ordered; waiting for the end (Ctrl-C does not stop it) ...\n", stderr);
	for (size_t i = 0; i < plan->count; i++) {
		struct order *order = &plan->orders[i];

		if (order->end)
			follow(order);
		if (order->end && !plan->json)
			show_end(order);
		if (!order->end || !action_is_done(order->end) ||
		    json_is_false(json_object_get(order->end, "effective")))
			status = EXIT_FAILED;
	}
	return status;
}

static json_t *collect(const struct order_plan *plan, bool rehearsals)
{
	json_t *list = json_array();

	for (size_t i = 0; i < plan->count; i++) {
		json_t *action = rehearsals ? plan->orders[i].rehearsed : plan->orders[i].end;

		if (action)
			(void)json_array_append(list, action);
	}
	return list;
}

static void print_json(const struct order_plan *plan)
{
	cleanup(json_decref) json_t *all = json_pack("{s:o, s:o}", "dry_runs", collect(plan, true),
						     "actions", collect(plan, false));

	(void)command_print_json(all);
}

static int run(struct order_plan *plan)
{
	bool rehearsed = needs_rehearsal(plan);
	size_t possible = 0;
	int status;

	if (rehearsed)
		rehearse(plan);
	for (size_t i = 0; i < plan->count; i++) {
		possible += is_possible(&plan->orders[i], rehearsed);
		if (rehearsed && !plan->json)
			show_order(&plan->orders[i]);
	}
	if (plan->dry_run)
		return possible == plan->count ? EXIT_OK : EXIT_FAILED;
	if (possible == 0)
		return terminal_fail(EXIT_FAILED, "nothing of this can be done: nothing is done");
	status = ask(plan);
	if (status == EXIT_OK && plan->agreed)
		status = plan->agreed(plan->userdata);
	return status == EXIT_OK ? carry_out(plan, rehearsed) : status;
}

int order_plan_run(struct order_plan *plan)
{
	int status;

	if (plan->json && !plan->yes && !plan->dry_run)
		return terminal_fail(EXIT_USAGE,
				     "--json asks nothing: it needs --yes or --dry-run");
	status = run(plan);
	if (plan->json)
		print_json(plan);
	return status;
}
