/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "terminal/terminal.h"
#include "vmi/command.h"
#include "vmi/view.h"

static const struct {
	const char *name;
	command_function *run;
	const char *help;
} commands[] = {
	{"kill", command_kill, "end a process of the guest"},
	{"pause", command_pause, "pause the VM"},
	{"resume", command_resume, "let a paused VM run"},
	{"isf", command_isf, "write a symbol file of the kernel for Volatility 3 and LibVMI"},
	{"snapshot", command_snapshot, "save the guest's memory"},
};

static void print_help(FILE *stream)
{
	(void)fputs(
		"Usage: atom-vmi VIEW[,VIEW...] VM [OPTION...]\n"
		"       atom-vmi COMMAND VM [OPTION...]\n\n"
		"Looks into a running Linux guest from outside, with no agent and no symbol file.\n"
		"VM is the name or UUID of a VM on this host, or instead of it --qmp SOCKET,\n"
		"--process PID or --dump FILE. atom-vmi VIEW --help and COMMAND --help tell "
		"more.\n\nViews:\n",
		stream);
	for (size_t i = 0; i < view_count; i++)
		(void)fprintf(stream, "  %-9s %s\n", view_table[i].name, view_table[i].help);
	(void)fputs("\nCommands:\n", stream);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		(void)fprintf(stream, "  %-9s %s\n", commands[i].name, commands[i].help);
	(void)fputs("\nExit status: 0 done, 1 failed, 2 bad usage; of kill also 3 refused, 4 "
		    "pending,\nof pause and resume 3 nothing to do.\n",
		    stream);
}

/* What is opened later is not to be taken for standard input or output. */
static void fill_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		(void)close(fd);
}

int main(int argc, char **argv)
{
	terminal_program = "atom-vmi";
	fill_standard_descriptors();
	(void)signal(SIGPIPE, SIG_IGN); /* cannot fail */
	if (argc < 2) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("atom-vmi " ATOM_VERSION);
		return EXIT_OK;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		print_help(stdout);
		return EXIT_OK;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, argv[1]) == 0)
			return commands[i].run(argc - 1, argv + 1);
	return command_look(argc - 1, argv + 1);
}
