#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of a command by a table: long names with or without a value, in any order with the
 * arguments. --help is always there. For main threads.
 */
#include <stdbool.h>
#include <stddef.h>

enum { OPTION_LIST_MAX = 256 };

struct option_list {
	const char *items[OPTION_LIST_MAX];
	size_t count;
};

enum option_kind { OPTION_FLAG, OPTION_VALUE, OPTION_LIST };

struct command_option {
	const char *name; /* "json": --json */
	enum option_kind kind;
	void *target; /* bool *, const char **, struct option_list * */
};

/* Moves the arguments to the front of argv. Returns their number (argv[0] not counted), or -1 when
 * the command must end with *ret_status: --help (printed), or a mistake (said). */
int options_parse(int argc, char **argv, const struct command_option *options, size_t count,
		  const char *help, int *ret_status);

/* A whole number from `minimum` to `maximum`; false (said) otherwise. */
bool options_number(const char *name, const char *text, unsigned long minimum,
		    unsigned long maximum, unsigned long *ret_value);
/* A finite number. */
bool options_real(const char *name, const char *text, double *ret_value);
