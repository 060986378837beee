/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/action.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "ctl/command.h"
#include "terminal/table.h"

enum { POLL_USEC = 200000, PATH_SIZE = 64 };

DEFINE_CLEANUP(struct table *, table_free)

const char *action_duration(int64_t seconds, char *text)
{
	static const struct {
		int64_t seconds;
		const char *unit;
	} units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
	size_t i = 0;

	while (units[i].seconds > 1 && (seconds < units[i].seconds || seconds % units[i].seconds))
		i++;
	(void)snprintf(text, NUMBER_SIZE, "%lld %s", (long long)(seconds / units[i].seconds),
		       units[i].unit);
	return text;
}

/* The peer, from which address, what is let through, how long. */
static void describe_containment(const json_t *arguments, FILE *stream)
{
	const char *address = json_text(arguments, "address");
	int64_t rate = json_whole(arguments, "rate");
	int64_t expiry = json_whole(arguments, "expiry_seconds");
	char text[NUMBER_SIZE];

	if (*address)
		(void)fprintf(stream, " of its address %s", address);
	if (expiry > 0)
		(void)fprintf(stream, ", for %s", action_duration(expiry, text));
	if (rate > 0)
		(void)fprintf(stream, ", letting %lld new connections a second through",
			      (long long)rate);
}

static void describe(const char *kind, const char *vm, const json_t *arguments, FILE *stream)
{
	const char *command = json_text(arguments, "command");

	if (strcmp(kind, "end-process") == 0) {
		(void)fprintf(stream, "end process %lld", (long long)json_whole(arguments, "pid"));
		(void)fprintf(stream, *command ? " (%s)" : "%s", command);
		(void)fprintf(stream, " of %s", vm);
	} else if (strcmp(kind, "contain") == 0) {
		(void)fprintf(stream, "contain %s at %s", json_text(arguments, "peer"), vm);
		describe_containment(arguments, stream);
	} else if (strcmp(kind, "release") == 0) {
		(void)fprintf(stream, "release what action %lld contains at %s",
			      (long long)json_whole(arguments, "undoes"), vm);
	} else if (strcmp(kind, "snapshot") == 0) {
		(void)fprintf(stream, "save the memory of %s", vm);
	} else {
		(void)fprintf(stream, "%s %s", kind, vm);
	}
}

char *action_describe(const char *kind, const char *vm, const json_t *arguments)
{
	char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);

	if (!stream)
		return NULL;
	describe(kind, vm, arguments, stream);
	return fclose(stream) == 0 ? text : NULL;
}

static bool is_one_of(const char *word, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(*words, word) == 0)
			return true;
	return false;
}

bool action_is_over(const json_t *action)
{
	static const char *const states[] = {"done",    "pending", "refused", "failed",
					     "unknown", "vetoed",  NULL};

	return is_one_of(json_text(action, "state"), states);
}

bool action_is_done(const json_t *action)
{
	return strcmp(json_text(action, "state"), "done") == 0;
}

static enum terminal_style style_of(const json_t *action)
{
	static const char *const bad[] = {"refused", "failed", "unknown", NULL};
	const char *state = json_text(action, "state");

	if (is_one_of(state, bad))
		return STYLE_RED;
	return action_is_done(action) ? STYLE_GREEN : STYLE_YELLOW;
}

static bool is_dry(const json_t *action)
{
	return json_is_true(json_object_get(action, "dry_run"));
}

static char *description_of(const json_t *action)
{
	return action_describe(json_text(action, "kind"), json_text(action, "vm"),
			       json_object_get(action, "arguments"));
}

/* Lists */

/* What it is about, beside kind and VM. */
static void add_object(struct table *table, const json_t *action)
{
	const json_t *arguments = json_object_get(action, "arguments");
	const char *kind = json_text(action, "kind"), *command = json_text(arguments, "command");

	if (strcmp(kind, "end-process") == 0)
		table_cell(table, "%lld %s", (long long)json_whole(arguments, "pid"), command);
	else if (strcmp(kind, "contain") == 0)
		table_cell(table, "%s", json_text(arguments, "peer"));
	else if (strcmp(kind, "release") == 0)
		table_cell(table, "action %lld", (long long)json_whole(arguments, "undoes"));
	else
		table_cell(table, "-");
}

/* Most are of people: only what is of a rule says so. */
static void add_author(struct table *table, const char *by)
{
	static const char person[] = "operator ";
	bool is_person = strncmp(by, person, sizeof(person) - 1) == 0;

	table_cell(table, "%s", is_person ? by + sizeof(person) - 1 : by);
}

static void add_result(struct table *table, const json_t *action)
{
	const char *verified = json_text(action, "verified"), *reason = json_text(action, "reason");
	const json_t *after = json_object_get(action, "after");
	char text[NUMBER_SIZE];

	if (*verified)
		table_cell(table, "%s", verified);
	else if (strcmp(json_text(action, "state"), "announced") == 0)
		table_cell(table, "will be ordered at %s unless vetoed%s%s",
			   format_time(json_text(action, "due"), text), *reason ? "; " : "",
			   reason);
	else if (*reason)
		table_cell(table, "%s", reason);
	else if (!action_is_over(action) && json_is_integer(after))
		table_cell(table, "after action %lld", (long long)json_integer_value(after));
	else
		table_cell(table, "-");
}

static void add_action(struct table *table, const json_t *action, bool with_alarm)
{
	const json_t *alarm = json_object_get(action, "alarm");
	char text[NUMBER_SIZE];

	table_cell(table, "%lld", (long long)json_whole(action, "id"));
	if (with_alarm && json_is_integer(alarm))
		table_cell(table, "%lld", (long long)json_integer_value(alarm));
	else if (with_alarm)
		table_cell(table, "-");
	table_cell(table, "%s", format_time(json_text(action, "made"), text));
	table_cell(table, "%s", json_text(action, "kind"));
	table_cell(table, "%s", json_text(action, "vm"));
	add_object(table, action);
	table_cell(table, "%s%s", json_text(action, "state"), is_dry(action) ? ", dry" : "");
	add_author(table, json_text(action, "by"));
	add_result(table, action);
}

void action_print_list(const json_t *actions, bool with_alarm)
{
	cleanup(table_free) struct table *table = table_new();
	const json_t *action;
	size_t i;

	table_column(table, "ACTION", TABLE_RIGHT);
	if (with_alarm)
		table_column(table, "ALARM", TABLE_RIGHT);
	table_column(table, "MADE", TABLE_LEFT);
	table_column(table, "KIND", TABLE_LEFT);
	table_column(table, "VM", TABLE_LEFT);
	table_column(table, "WHAT", TABLE_LEFT);
	table_column(table, "STATE", TABLE_LEFT);
	table_column(table, "BY", TABLE_LEFT);
	table_column(table, "RESULT", TABLE_LEFT);
	json_array_foreach(actions, i, action) add_action(table, action, with_alarm);
	table_print(table, stdout);
}

/* One action */

static void print_head(const json_t *action)
{
	cleanup(free) char *what = description_of(action);

	terminal_say(stdout, style_of(action), 4, "action %lld: %s: %s%s",
		     (long long)json_whole(action, "id"), what ? what : "",
		     json_text(action, "state"), is_dry(action) ? " (dry run)" : "");
}

static void print_fact(const char *label, const char *text)
{
	if (*text)
		terminal_say(stdout, STYLE_PLAIN, 13, "  %-9s  %s", label, text);
}

void action_print_result(const json_t *action)
{
	print_head(action);
	print_fact("result", json_text(action, "reason"));
	print_fact("verified", json_text(action, "verified"));
}

static void print_origin(const json_t *action)
{
	static const struct {
		const char *key, *label;
	} times[] = {{"made", "made"}, {"due", "due"}, {"sent", "sent"}, {"ended", "ended"}};
	const json_t *alarm = json_object_get(action, "alarm");
	char text[128] = "", moment[NUMBER_SIZE];
	size_t used = 0;

	if (json_is_integer(alarm))
		terminal_say(stdout, STYLE_PLAIN, 13, "  %-9s  %s, for alarm %lld", "by",
			     json_text(action, "by"), (long long)json_integer_value(alarm));
	else
		print_fact("by", json_text(action, "by"));
	print_fact("why", json_text(action, "why"));
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		const char *time = json_text(action, times[i].key);

		if (*time)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s %s",
						 used ? ", " : "", times[i].label,
						 format_time(time, moment));
	}
	print_fact("when", text);
	print_fact("node", json_text(action, "node"));
	if (json_is_integer(json_object_get(action, "after")))
		terminal_say(stdout, STYLE_PLAIN, 13, "  %-9s  action %lld, its evidence", "after",
			     (long long)json_whole(action, "after"));
}

/* The report */

static const json_t *only_row(const json_t *table)
{
	return json_is_array(table) ? json_array_get(table, 0) : table;
}

const json_t *action_report_value(const json_t *action, const char *table, const char *key)
{
	const json_t *report = json_object_get(action, "report");

	return json_object_get(only_row(json_object_get(report, table)), key);
}

static void print_end(const json_t *action)
{
	const char *method = json_string_value(action_report_value(action, "end", "method"));
	const json_t *threads = action_report_value(action, "end", "threads");
	const json_t *wakeups = action_report_value(action, "end", "wakeups");

	if (method)
		terminal_say(stdout, STYLE_PLAIN, 13, "  %-9s  method %s, threads %lld, woken %lld",
			     "how", method, (long long)json_integer_value(threads),
			     (long long)json_integer_value(wakeups));
}

static void print_rules(const json_t *rules)
{
	const json_t *rule;
	size_t i;

	json_array_foreach(rules, i, rule)
		terminal_say(stdout, STYLE_PLAIN, 6, "    %s", json_text(rule, "rule"));
}

static void print_file(const json_t *file)
{
	char size[NUMBER_SIZE];

	terminal_say(stdout, STYLE_PLAIN, 13, "  %-9s  %s, %s bytes", "file",
		     json_text(file, "path"), format_number(json_object_get(file, "size"), size));
}

static void add_words(struct table *table, const json_t *write)
{
	static const char *const keys[] = {"what", "address", "size", "before", "after"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const json_t *value = json_object_get(write, keys[i]);

		if (json_is_integer(value))
			table_cell(table, "%lld", (long long)json_integer_value(value));
		else
			table_cell(table, "%s",
				   json_is_string(value) ? json_string_value(value) : "-");
	}
}

static void print_writes(const json_t *writes, bool dry)
{
	cleanup(table_free) struct table *table = table_new();
	const json_t *write;
	size_t i;

	terminal_say(stdout, STYLE_PLAIN, 13, "  %-9s  %zu %s of the guest's memory%s:", "writes",
		     json_array_size(writes), json_array_size(writes) == 1 ? "word" : "words",
		     dry ? " would be written" : "");
	table_column(table, "WHAT", TABLE_LEFT);
	table_column(table, "ADDRESS", TABLE_RIGHT);
	table_column(table, "SIZE", TABLE_RIGHT);
	table_column(table, "BEFORE", TABLE_RIGHT);
	table_column(table, "AFTER", TABLE_RIGHT);
	json_array_foreach(writes, i, write) add_words(table, write);
	table_print_within(table, stdout, 4, terminal_width(stdout));
}

static void print_report(const json_t *action)
{
	const json_t *report = json_object_get(action, "report");
	const json_t *writes = json_object_get(report, "writes");
	const json_t *rules = json_object_get(report, "rules");
	const json_t *file = only_row(json_object_get(report, "file"));

	print_end(action);
	if (json_array_size(writes) > 0)
		print_writes(writes, is_dry(action));
	if (json_array_size(rules) > 0) {
		print_fact("rules", is_dry(action) ? "would be put in force:" : "put in force:");
		print_rules(rules);
	}
	if (file)
		print_file(file);
}

void action_print(const json_t *action)
{
	print_head(action);
	print_fact("result", json_text(action, "reason"));
	print_fact("verified", json_text(action, "verified"));
	print_origin(action);
	print_report(action);
}

void action_print_rehearsal(const json_t *action)
{
	const char *reason = json_text(action, "reason"), *state = json_text(action, "state");
	enum terminal_style style = style_of(action);

	if (action_is_done(action))
		terminal_say(stdout, style, 13, "  %-9s  %s", "dry run",
			     *reason ? reason : "it can be done");
	else if (action_is_over(action))
		terminal_say(stdout, style, 13, "  %-9s  %s: %s", "dry run", state, reason);
	else
		terminal_say(stdout, style, 13, "  %-9s  no answer in time: it is %s", "dry run",
			     state);
	print_report(action);
}

/* Waiting */

json_t *action_wait(int64_t id, action_test *test, int64_t timeout_usec)
{
	int64_t end = clock_mono_usec() + timeout_usec;
	json_t *action = NULL;
	char path[PATH_SIZE];

	(void)snprintf(path, sizeof(path), "/api/v1/actions/%lld", (long long)id);
	for (;;) {
		struct error err = ERROR_INIT;
		json_t *now = NULL;
		int r = command_request("GET", path, NULL, &now, &err);
		bool late = clock_mono_usec() >= end;

		if (r == 0) {
			json_decref(action);
			action = now;
		}
		if (r < 0 && (!command_may_pass(r) || (late && !action))) {
			(void)command_explain(r, &err);
			json_decref(action);
			return NULL;
		}
		if (late || (r == 0 && test(action)))
			return action;
		(void)usleep(POLL_USEC);
	}
}
