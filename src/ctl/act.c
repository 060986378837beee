/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/act.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/action.h"
#include "http/client.h"
#include "terminal/options.h"
#include "terminal/table.h"

DEFINE_CLEANUP(json_t *, json_decref)

enum { PATH_SIZE = 64 };

static const char help[] =
	"Usage: atom act [list] [--alarm N] [--state STATE] [--json]\n"
	"       atom act show N [--json]\n"
	"       atom act veto N                 stops an automatic one in its time of grace\n"
	"       atom act end VM PID             ends a process inside a VM\n"
	"       atom act contain VM PEER        cuts or limits what a VM has with a peer\n"
	"       atom act release N              undoes containment N\n"
	"       atom act pause VM | resume VM   stops a VM's CPUs, lets them go on\n"
	"       atom act snapshot VM            saves a VM's memory at its node\n"
	"An action is shown as a dry run and asked for before it is done: --dry-run stops after\n"
	"showing, --yes does not ask. Which are allowed is the policy of the node. atom act WORD\n"
	"--help tells each one's options.\n";

static int usage(void)
{
	(void)fputs(help, stderr);
	return EXIT_USAGE;
}

/* "/api/v1/actions?alarm=..&state=..". Returns owned, NULL when memory is out. */
static char *list_path(int64_t alarm, const char *state)
{
	cleanup(free) char *escaped = http_client_escape(state ? state : "");
	char *path = NULL;
	size_t size;
	FILE *stream = open_memstream(&path, &size);

	if (!stream)
		return NULL;
	(void)fputs("/api/v1/actions?limit=100", stream);
	if (alarm > 0)
		(void)fprintf(stream, "&alarm=%lld", (long long)alarm);
	if (state)
		(void)fprintf(stream, "&state=%s", escaped ? escaped : "");
	return fclose(stream) == 0 ? path : NULL;
}

static int act_list(int argc, char **argv)
{
	bool json = false;
	const char *alarm_text = NULL, *state = NULL;
	const struct command_option options[] = {{"json", OPTION_FLAG, &json},
						 {"alarm", OPTION_VALUE, &alarm_text},
						 {"state", OPTION_VALUE, &state}};
	cleanup(json_decref) json_t *body = NULL;
	cleanup(free) char *path = NULL;
	const json_t *actions;
	int64_t alarm = 0;
	int end, count = options_parse(argc, argv, options, 3, help, &end);

	if (count < 0)
		return end;
	if (count > 0)
		return usage();
	if (alarm_text && !command_number("an alarm", alarm_text, &alarm))
		return EXIT_USAGE;
	path = list_path(alarm, state);
	body = path ? command_get(path) : NULL;
	if (!body)
		return EXIT_FAILED;
	if (json)
		return command_print_json(body);
	actions = json_object_get(body, "actions");
	if (json_array_size(actions) == 0)
		puts("there are no such actions");
	else
		action_print_list(actions, true);
	return EXIT_OK;
}

/* One action by its number: shown, or vetoed first. */
static int one(int argc, char **argv, bool veto)
{
	bool json = false;
	const struct command_option options[] = {{"json", OPTION_FLAG, &json}};
	cleanup(json_decref) json_t *action = NULL, *nothing = json_object();
	char path[PATH_SIZE];
	int64_t number;
	int end, count = options_parse(argc, argv, options, 1, help, &end);

	if (count < 0)
		return end;
	if (count != 1)
		return usage();
	if (!command_number("an action", argv[1], &number))
		return EXIT_USAGE;
	(void)snprintf(path, sizeof(path), "/api/v1/actions/%lld%s", (long long)number,
		       veto ? "/veto" : "");
	action = veto ? command_post(path, nothing) : command_get(path);
	if (!action)
		return EXIT_FAILED;
	if (json)
		return command_print_json(action);
	if (veto)
		action_print_result(action);
	else
		action_print(action);
	return EXIT_OK;
}

static int act_show(int argc, char **argv)
{
	return one(argc, argv, false);
}

static int act_veto(int argc, char **argv)
{
	return one(argc, argv, true);
}

int command_act(int argc, char **argv)
{
	static const struct subcommand subcommands[] = {
		{"act list", act_list},         {"act show", act_show},
		{"act veto", act_veto},         {"act end", act_end},
		{"act contain", act_contain},   {"act release", act_release},
		{"act pause", act_pause},       {"act resume", act_resume},
		{"act snapshot", act_snapshot},
	};

	return command_dispatch(argc, argv, subcommands,
				sizeof(subcommands) / sizeof(subcommands[0]), help);
}
