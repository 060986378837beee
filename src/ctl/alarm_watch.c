/* SPDX-License-Identifier: Apache-2.0 */
/* atom alarm watch */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "ctl/alarm.h"
#include "terminal/options.h"

DEFINE_CLEANUP(json_t *, json_decref)

enum { EVENTS_AT_ONCE = 200, EVENTS_BEFORE = 10, POLL_USEC = 500000, PATH_SIZE = 96, INDENT = 38 };

static const char help[] =
	"Usage: atom alarm watch [--since N] [--json]\n"
	"Prints the newest events of all alarms, then each new one as it comes, until Ctrl-C.\n"
	"--since N: all events after number N (0: from the first one). --json: one object a line,\n"
	"whose id is a number for --since. A controller that is restarted meanwhile is waited "
	"for.\n";

struct watch {
	int64_t after; /* -1: the newest few */
	bool json, lost;
};

/* Every line is out by then, and nothing else is to be saved. */
static void stop(int number)
{
	_exit(EXIT_OK);
}

static void print_event(const struct watch *watch, const json_t *event)
{
	const char *word = json_text(event, "event");
	char time[NUMBER_SIZE];

	if (watch->json) {
		(void)json_dumpf(event, stdout, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENSURE_ASCII);
		(void)putchar('\n');
	} else {
		terminal_say(stdout, alarm_style_of(word), INDENT, "%-11s  alarm %-4lld %-13s %s",
			     format_time(json_text(event, "time"), time),
			     (long long)json_whole(event, "alarm"), word, json_text(event, "text"));
	}
	(void)fflush(stdout);
}

static int ask(const struct watch *watch, json_t **ret_body, struct error *err)
{
	char path[PATH_SIZE];

	if (watch->after < 0)
		(void)snprintf(path, sizeof(path), "/api/v1/events?limit=%d", EVENTS_BEFORE);
	else
		(void)snprintf(path, sizeof(path), "/api/v1/events?after=%lld&limit=%d",
			       (long long)watch->after, EVENTS_AT_ONCE);
	return command_request("GET", path, NULL, ret_body, err);
}

/* Returns whether there may be more at once. What a token may not see is passed over. */
static bool take(struct watch *watch, const json_t *body)
{
	const json_t *events = json_object_get(body, "events"), *event;
	int64_t last = json_whole(body, "last"), before = watch->after;
	size_t i;

	json_array_foreach(events, i, event)
	{
		int64_t id = json_whole(event, "id");

		if (id > watch->after) {
			print_event(watch, event);
			watch->after = id;
		}
	}
	if (json_array_size(events) == 0 && last > watch->after)
		watch->after = last;
	if (watch->after < 0)
		watch->after = 0;
	return before >= 0 && watch->after > before;
}

static int watch_on(struct watch *watch)
{
	for (;;) {
		cleanup(json_decref) json_t *body = NULL;
		struct error err = ERROR_INIT;
		int r = ask(watch, &body, &err);

		if (r < 0 && !command_may_pass(r))
			return command_explain(r, &err);
		if (r < 0 && !watch->lost)
			(void)terminal_fail(EXIT_FAILED,
					    "atomd at %s does not answer (%s); waiting for it",
					    command_server, err.text);
		if (r == 0 && watch->lost)
			(void)fputs("atomd answers again\n", stderr);
		watch->lost = r < 0;
		if (r < 0 || !take(watch, body))
			(void)usleep(POLL_USEC);
	}
}

int alarm_watch(int argc, char **argv)
{
	struct watch watch = {.after = -1};
	const char *since = NULL;
	const struct command_option options[] = {{"json", OPTION_FLAG, &watch.json},
						 {"since", OPTION_VALUE, &since}};
	const struct sigaction action = {.sa_handler = stop};
	unsigned long after;
	int end, count = options_parse(argc, argv, options, 2, help, &end);

	if (count < 0)
		return end;
	if (count > 0) {
		(void)fputs(help, stderr);
		return EXIT_USAGE;
	}
	if (since && !options_number("since", since, 0, INT64_MAX, &after))
		return EXIT_USAGE;
	if (since)
		watch.after = (int64_t)after;
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	return watch_on(&watch);
}
