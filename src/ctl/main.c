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
	{"alarm", command_alarm, "list, show, watch alarms; give notes and verdicts"},
	{"act", command_act, "end a process, contain a flow, pause a VM; what was done"},
	{"audit", command_audit, "who did what; check that the log is whole"},
	{"enroll", command_enroll, "make the authority, the controller's and nodes' certificates"},
	{"token", command_token, "make, list and remove tokens of the API"},
	{"track", command_track, "count what tracking would send for the columns of a CSV file"},
	{"detect", command_detect, "run the monitor over a CSV file"},
};

static const size_t command_count = sizeof(commands) / sizeof(commands[0]);

static void print_help(FILE *stream)
{
	(void)fputs("Usage: atom [OPTION...] COMMAND [ARGUMENT...]\n\n", stream);
	for (size_t i = 0; i < command_count; i++)
		(void)fprintf(stream, "  %-8s %s\n", commands[i].name, commands[i].help);
	(void)fputs("\n"
		    "  --server URL       atomd's address; else ATOM_SERVER, else "
		    "http://127.0.0.1:7480\n"
		    "  --token-file FILE  who you are; else ATOM_TOKEN, else ~/.config/atom/token\n"
		    "  --ca FILE          the authority of an https server; else ATOM_CA\n"
		    "  --version\n\n"
		    "atom COMMAND --help tells more. Exit status: 0 done, 1 failed, 2 bad usage, 3 "
		    "you said no.\n",
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

/* Takes the options of all commands out of argv, wherever they stand before "--". Returns what is
 * left of argc, or -1 where a value is missing (said). */
static int take_global_options(int argc, char **argv)
{
	const struct {
		const char *name;
		const char **target;
	} options[] = {{"--server", &command_server},
		       {"--ca", &command_ca},
		       {"--token-file", &command_token_file}};
	const size_t count = sizeof(options) / sizeof(options[0]);
	int kept = 1, i = 1;

	for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
		size_t j = 0, length = strcspn(argv[i], "=");

		while (j < count && (strlen(options[j].name) != length ||
				     strncmp(options[j].name, argv[i], length) != 0))
			j++;
		if (j == count)
			argv[kept++] = argv[i];
		else if (argv[i][length] == '=')
			*options[j].target = argv[i] + length + 1;
		else if (i + 1 < argc)
			*options[j].target = argv[++i];
		else
			return terminal_fail(-1, "%s needs a value", options[j].name);
	}
	for (; i < argc; i++)
		argv[kept++] = argv[i];
	argv[kept] = NULL;
	return kept;
}

static int run(int argc, char **argv)
{
	if (argc < 2) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("atom " ATOM_VERSION);
		return EXIT_OK;
	}
	if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
	    strcmp(argv[1], "-h") == 0) {
		print_help(stdout);
		return EXIT_OK;
	}
	return dispatch(argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
	const char *server = getenv("ATOM_SERVER"), *ca = getenv("ATOM_CA");

	if (server && *server)
		command_server = server;
	if (ca && *ca)
		command_ca = ca;
	argc = take_global_options(argc, argv);
	return argc < 0 ? EXIT_USAGE : run(argc, argv);
}
