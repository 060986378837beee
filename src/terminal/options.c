/* SPDX-License-Identifier: Apache-2.0 */
#include "terminal/options.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "terminal/terminal.h"

static const struct command_option *find(const struct command_option *options, size_t count,
					 const char *name, size_t length)
{
	for (size_t i = 0; i < count; i++)
		if (strlen(options[i].name) == length &&
		    strncmp(options[i].name, name, length) == 0)
			return &options[i];
	return NULL;
}

static bool take_value(const struct command_option *option, const char *value)
{
	struct option_list *list = option->target;

	if (option->kind == OPTION_VALUE) {
		*(const char **)option->target = value;
		return true;
	}
	if (list->count == OPTION_LIST_MAX)
		return false;
	list->items[list->count++] = value;
	return true;
}

/* One option at argv[*position]; moves the position over its value. False when it is wrong (said).
 */
static bool take_option(int argc, char **argv, int *position, const struct command_option *options,
			size_t count)
{
	const char *text = argv[*position] + 2, *equals = strchr(text, '=');
	size_t length = equals ? (size_t)(equals - text) : strlen(text);
	const struct command_option *option = find(options, count, text, length);

	if (!option) {
		(void)terminal_fail(EXIT_USAGE, "%s has no option '%.60s'; see %s %s --help",
				    argv[0], argv[*position], terminal_program, argv[0]);
		return false;
	}
	if (option->kind == OPTION_FLAG && equals) {
		(void)terminal_fail(EXIT_USAGE, "--%s takes no value", option->name);
		return false;
	}
	if (option->kind == OPTION_FLAG) {
		*(bool *)option->target = true;
		return true;
	}
	if (!equals && *position + 1 >= argc) {
		(void)terminal_fail(EXIT_USAGE, "--%s needs a value", option->name);
		return false;
	}
	if (!take_value(option, equals ? equals + 1 : argv[++*position])) {
		(void)terminal_fail(EXIT_USAGE, "--%s is given too often", option->name);
		return false;
	}
	return true;
}

int options_parse(int argc, char **argv, const struct command_option *options, size_t count,
		  const char *help, int *ret_status)
{
	int arguments = 0;
	bool only_arguments = false;

	for (int i = 1; i < argc; i++) {
		if (only_arguments || strncmp(argv[i], "--", 2) != 0) {
			argv[++arguments] = argv[i];
		} else if (!argv[i][2]) {
			only_arguments = true;
		} else if (strcmp(argv[i], "--help") == 0) {
			fputs(help, stdout);
			*ret_status = EXIT_OK;
			return -1;
		} else if (!take_option(argc, argv, &i, options, count)) {
			*ret_status = EXIT_USAGE;
			return -1;
		}
	}
	return arguments;
}

bool options_number(const char *name, const char *text, unsigned long minimum,
		    unsigned long maximum, unsigned long *ret_value)
{
	char *end;

	errno = 0;
	*ret_value = strtoul(text, &end, 10);
	if (!errno && end != text && !*end && *text != '-' && *ret_value >= minimum &&
	    *ret_value <= maximum)
		return true;
	(void)terminal_fail(EXIT_USAGE, "--%s must be a whole number from %lu to %lu, not '%.60s'",
			    name, minimum, maximum, text);
	return false;
}

bool options_real(const char *name, const char *text, double *ret_value)
{
	char *end;

	*ret_value = strtod(text, &end);
	if (end != text && !*end && isfinite(*ret_value))
		return true;
	(void)terminal_fail(EXIT_USAGE, "--%s must be a number, not '%.60s'", name, text);
	return false;
}
