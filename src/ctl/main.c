/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/command.h"

static const struct command {
	const char *name;
	command_function *run;
	const char *help;
} commands[] = {
	{"up", command_up, "run atomd and atom-node on this machine, with generated keys"},
	{"status", command_status, "what atomd knows, and what tracking saves"},
	{"vm", command_vm, "list the VMs, or show one"},
	{"metric", command_metric, "values of a VM with their maximum error, and their history"},
	{"group", command_group, "groups of VMs, their SPE and threshold"},
	{"alarm", command_alarm, "list alarms, or show one with its evidence"},
	{"enroll", command_enroll, "make the authority, the controller's and nodes' certificates"},
	{"track", command_track, "count what tracking would send for the columns of a CSV file"},
	{"detect", command_detect, "run the monitor over a CSV file"},
};

static const size_t command_count = sizeof(commands) / sizeof(commands[0]);

static void print_help(FILE *stream)
{
	(void)fputs("Usage: atom [--server URL] COMMAND [ARGUMENT...]\n\n", stream);
	for (size_t i = 0; i < command_count; i++)
		(void)fprintf(stream, "  %-8s %s\n", commands[i].name, commands[i].help);
	(void)fputs("\natom COMMAND --help tells more. The server is http://127.0.0.1:7480 unless "
		    "--server "
		    "or ATOM_SERVER\nnames another. Exit status: 0 done, 1 failed, 2 bad usage.\n",
		    stream);
}

/* The command that begins with the same letters, for a hint. */
static const char *nearest(const char *name)
{
	for (size_t length = strlen(name); length > 0; length--)
		for (size_t i = 0; i < command_count; i++)
			if (strncmp(commands[i].name, name, length) == 0)
				return commands[i].name;
	return "help";
}

static int dispatch(int argc, char **argv)
{
	for (size_t i = 0; i < command_count; i++)
		if (strcmp(commands[i].name, argv[0]) == 0)
			return commands[i].run(argc, argv);
	return terminal_fail(EXIT_USAGE, "there is no command '%.60s'; did you mean 'atom %s'?",
			     argv[0], nearest(argv[0]));
}

int main(int argc, char **argv)
{
	const char *server = getenv("ATOM_SERVER");
	int first = 1;

	if (server && *server)
		command_server = server;
	if (argc > 2 && strcmp(argv[1], "--server") == 0) {
		command_server = argv[2];
		first = 3;
	} else if (argc > 1 && strncmp(argv[1], "--server=", 9) == 0) {
		command_server = argv[1] + 9;
		first = 2;
	}
	if (first >= argc) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[first], "--version") == 0) {
		puts("atom " ATOM_VERSION);
		return EXIT_OK;
	}
	if (strcmp(argv[first], "help") == 0 || strcmp(argv[first], "--help") == 0 ||
	    strcmp(argv[first], "-h") == 0) {
		print_help(stdout);
		return EXIT_OK;
	}
	return dispatch(argc - first, argv + first);
}
