/* SPDX-License-Identifier: Apache-2.0 */
/* atom act end, contain, release, pause, resume, snapshot */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "config/value.h"
#include "ctl/act.h"
#include "ctl/order.h"
#include "terminal/options.h"

enum { OWN_MAX = 4, COMMON = 6, RATE_MAX = 1000000, DURATION_MAX_SEC = 604800 };

DEFINE_CLEANUP(json_t *, json_decref)

#define COMMON_HELP                                                                             \
	"--alarm N: it belongs to that alarm. --note TEXT: why, for the audit log. --dry-run: " \
	"only\n"                                                                                \
	"shows what would be done. --yes: does not ask. Exit status: 0 done, 1 failed or "      \
	"refused,\n"                                                                            \
	"2 bad usage, 3 you said no.\n"

static const char end_help[] =
	"Usage: atom act end VM PID [--start NSEC] [--command NAME] [--alarm N] [--evidence]\n"
	"                [--note TEXT] [--dry-run] [--yes] [--json]\n"
	"Ends a process inside a VM from outside, by SIGKILL. --start and --command are its "
	"identity\n"
	"as a look gave it (start_nsec, command); without them it is the process that bears the\n"
	"number when the dry run is made. --evidence: saves the VM's memory first.\n" COMMON_HELP;

static const char contain_help[] =
	"Usage: atom act contain VM PEER [--address A] [--rate N] [--for 10min] [--alarm N]\n"
	"                [--evidence] [--note TEXT] [--dry-run] [--yes] [--json]\n"
	"Cuts what the VM has with PEER, an IPv4 or IPv6 address: closes connections and lets no "
	"new\n"
	"ones through, or --rate N new ones a second. --address: only of that address of the VM.\n"
	"After --for (1s to 7d) it ends by itself; atom act release ends it earlier.\n" COMMON_HELP;

static const char release_help[] =
	"Usage: atom act release N [--alarm N] [--note TEXT] [--dry-run] [--yes] [--json]\n"
	"Undoes the containment that action N put in force.\n" COMMON_HELP;

static const char vm_help[] =
	"Usage: atom act pause VM [--alarm N] [--evidence] [--note TEXT] [--dry-run] [--yes] "
	"[--json]\n"
	"       atom act resume VM [--alarm N] [--note TEXT] [--dry-run] [--yes] [--json]\n"
	"       atom act snapshot VM [--alarm N] [--note TEXT] [--dry-run] [--yes] [--json]\n"
	"Stops the VM's CPUs, lets them go on, or saves its memory into the evidence folder of "
	"its\n"
	"node (the VM stands still meanwhile).\n" COMMON_HELP;

bool act_duration(const char *text, int64_t *ret_seconds)
{
	static const struct config_key key = {"--for",          CONFIG_DURATION,  0, NULL, 1,
					      DURATION_MAX_SEC, .unit = "seconds"};
	struct error err = ERROR_INIT;
	int64_t usec;

	if (config_value_set(&key, text ? text : "10min", &usec, &err) < 0) {
		(void)terminal_fail(EXIT_USAGE, "--for: %s", err.text);
		return false;
	}
	*ret_seconds = (usec + USEC_PER_SEC - 1) / USEC_PER_SEC;
	return true;
}

bool act_pid(const char *text, int64_t *ret_pid)
{
	return command_number("a process", text, ret_pid) &&
	       (*ret_pid <= UINT32_MAX ||
		(terminal_fail(EXIT_USAGE, "'%.60s' is no number of a process", text), false));
}

/* NULL: nothing to put. False where it is no UTF-8 (said). */
static bool put_text(json_t *body, const char *key, const char *text)
{
	if (!text || json_object_set_new(body, key, json_string(text)) == 0)
		return true;
	(void)terminal_fail(EXIT_USAGE, "'%.60s' is no valid UTF-8", text);
	return false;
}

bool act_fill_contain(json_t *body, const char *peer, const char *address, const char *rate,
		      const char *duration)
{
	unsigned long number = 0;
	int64_t seconds;

	if ((rate && !options_number("rate", rate, 0, RATE_MAX, &number)) ||
	    !act_duration(duration, &seconds) || !put_text(body, "peer", peer) ||
	    !put_text(body, "address", address))
		return false;
	(void)json_object_set_new(body, "rate", json_integer((json_int_t)number));
	(void)json_object_set_new(body, "expiry_seconds", json_integer(seconds));
	return true;
}

/* What all of these have in common. */
struct act {
	const char *alarm_text, *note;
	int64_t alarm;
	bool evidence;
	struct order_plan plan;
};

/* Parses the options of the kind and the common ones; argv[1..wanted] are the arguments. False when
 * the command ends with *ret_status. */
static bool parse(struct act *act, int argc, char **argv, const struct command_option *own,
		  size_t own_count, int wanted, const char *help, int *ret_status)
{
	struct command_option options[OWN_MAX + COMMON] = {
		{"alarm", OPTION_VALUE, &act->alarm_text},
		{"note", OPTION_VALUE, &act->note},
		{"evidence", OPTION_FLAG, &act->evidence},
		{"dry-run", OPTION_FLAG, &act->plan.dry_run},
		{"yes", OPTION_FLAG, &act->plan.yes},
		{"json", OPTION_FLAG, &act->plan.json}};
	int count;

	if (own_count > 0)
		memcpy(options + COMMON, own, own_count * sizeof(*own));
	count = options_parse(argc, argv, options, COMMON + own_count, help, ret_status);
	if (count < 0)
		return false;
	*ret_status = EXIT_USAGE;
	if (count != wanted) {
		(void)fputs(help, stderr);
		return false;
	}
	return !act->alarm_text || command_number("an alarm", act->alarm_text, &act->alarm);
}

static int finish(struct act *act, int status)
{
	order_plan_deinit(&act->plan);
	return status;
}

static int run(struct act *act)
{
	json_t *body = act->plan.orders[0].body;

	if (!put_text(body, "why", act->note))
		return finish(act, EXIT_USAGE);
	if (act->evidence)
		(void)json_object_set_new(body, "evidence", json_true());
	return finish(act, order_plan_run(&act->plan));
}

int act_end(int argc, char **argv)
{
	struct act act = {0};
	const char *start = NULL, *command = NULL;
	const struct command_option own[] = {{"start", OPTION_VALUE, &start},
					     {"command", OPTION_VALUE, &command}};
	unsigned long start_nsec = 0;
	json_t *body;
	int64_t pid;
	int status;

	if (!parse(&act, argc, argv, own, 2, 2, end_help, &status))
		return status;
	if (!act_pid(argv[2], &pid) ||
	    (start && !options_number("start", start, 1, INT64_MAX, &start_nsec)))
		return EXIT_USAGE;
	body = order_plan_add(&act.plan, "end-process", argv[1], argv[1], act.alarm);
	if (!body)
		return EXIT_FAILED;
	(void)json_object_set_new(body, "pid", json_integer(pid));
	if (start)
		(void)json_object_set_new(body, "start_nsec", json_integer((json_int_t)start_nsec));
	if (!put_text(body, "command", command))
		return finish(&act, EXIT_USAGE);
	return run(&act);
}

int act_contain(int argc, char **argv)
{
	struct act act = {0};
	const char *address = NULL, *rate = NULL, *duration = NULL;
	const struct command_option own[] = {{"address", OPTION_VALUE, &address},
					     {"rate", OPTION_VALUE, &rate},
					     {"for", OPTION_VALUE, &duration}};
	json_t *body;
	int status;

	if (!parse(&act, argc, argv, own, 3, 2, contain_help, &status))
		return status;
	body = order_plan_add(&act.plan, "contain", argv[1], argv[1], act.alarm);
	if (!body)
		return EXIT_FAILED;
	if (!act_fill_contain(body, argv[2], address, rate, duration))
		return finish(&act, EXIT_USAGE);
	return run(&act);
}

/* The action says at which VM it was. Its alarm may long have been followed by others, to which
 * nothing is added any more: the release belongs to one only where the operator says so. */
int act_release(int argc, char **argv)
{
	struct act act = {0};
	cleanup(json_decref) json_t *undone = NULL;
	json_t *body;
	char path[64];
	int64_t number;
	int status;

	if (!parse(&act, argc, argv, NULL, 0, 1, release_help, &status))
		return status;
	if (!command_number("an action", argv[1], &number))
		return EXIT_USAGE;
	(void)snprintf(path, sizeof(path), "/api/v1/actions/%lld", (long long)number);
	undone = command_get(path);
	if (!undone)
		return EXIT_FAILED;
	if (strcmp(json_text(undone, "kind"), "contain") != 0)
		return terminal_fail(EXIT_FAILED, "action %lld contains nothing: it is of kind %s",
				     (long long)number, json_text(undone, "kind"));
	body = order_plan_add(&act.plan, "release", json_text(undone, "uuid"),
			      json_text(undone, "vm"), act.alarm);
	if (!body)
		return EXIT_FAILED;
	(void)json_object_set_new(body, "undoes", json_integer(number));
	return run(&act);
}

static int act_on_vm(const char *kind, int argc, char **argv)
{
	struct act act = {0};
	int status;

	if (!parse(&act, argc, argv, NULL, 0, 1, vm_help, &status))
		return status;
	if (!order_plan_add(&act.plan, kind, argv[1], argv[1], act.alarm))
		return EXIT_FAILED;
	return run(&act);
}

int act_pause(int argc, char **argv)
{
	return act_on_vm("pause", argc, argv);
}

int act_resume(int argc, char **argv)
{
	return act_on_vm("resume", argc, argv);
}

int act_snapshot(int argc, char **argv)
{
	return act_on_vm("snapshot", argc, argv);
}
