/* SPDX-License-Identifier: Apache-2.0 */
#include "config/command_line.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>

static const char help[] =
	"Usage: %s [--config FILE]\n%s\n\n"
	"  -c, --config FILE        configuration (default: the defaults)\n"
	"      --check-config       read the configuration, say whether it is good, and end\n"
	"      --help-config        list every key of the configuration\n"
	"      --print-reference    the same as a Markdown page\n"
	"  -h, --help               this text\n"
	"      --version            the version\n\n"
	"Exit status: 0 ended in order, 1 failed, 2 bad usage or configuration.\n";

enum { OPTION_CHECK = 256, OPTION_HELP_CONFIG, OPTION_REFERENCE, OPTION_VERSION };

static const struct option options[] = {
	{"config", required_argument, NULL, 'c'},
	{"check-config", no_argument, NULL, OPTION_CHECK},
	{"help-config", no_argument, NULL, OPTION_HELP_CONFIG},
	{"print-reference", no_argument, NULL, OPTION_REFERENCE},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, OPTION_VERSION},
	{0},
};

/* Answers an option that needs no configuration. */
static int answer(int option, const char *program, const char *purpose,
		  const struct config_table *table)
{
	switch (option) {
	case OPTION_HELP_CONFIG:
		config_print_help(table, stdout);
		return COMMAND_LINE_ANSWERED;
	case OPTION_REFERENCE:
		config_print_reference(table, stdout);
		return COMMAND_LINE_ANSWERED;
	case OPTION_VERSION:
		printf("%s %s\n", program, ATOM_VERSION);
		return COMMAND_LINE_ANSWERED;
	case 'h':
		printf(help, program, purpose);
		return COMMAND_LINE_ANSWERED;
	default:
		return COMMAND_LINE_USAGE;
	}
}

int command_line_parse(int argc, char **argv, const char *program, const char *purpose,
		       const struct config_table *table, void *ret_settings)
{
	struct error err = ERROR_INIT;
	const char *path = NULL;
	bool check = false;
	int option;

	while ((option = getopt_long(argc, argv, "c:h", options, NULL)) >= 0) {
		if (option == 'c')
			path = optarg;
		else if (option == OPTION_CHECK)
			check = true;
		else
			return answer(option, program, purpose, table);
	}
	if (optind < argc) {
		(void)fprintf(stderr, "%s: '%s' is not an option\n", program, argv[optind]);
		return COMMAND_LINE_USAGE;
	}
	if (config_load(table, path, ret_settings, &err) < 0) {
		(void)fprintf(stderr, "%s: %s\n", program, err.text);
		return COMMAND_LINE_USAGE;
	}
	if (!check)
		return COMMAND_LINE_RUN;
	puts("the configuration is good");
	config_deinit(table, ret_settings);
	return COMMAND_LINE_ANSWERED;
}
