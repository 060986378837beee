#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line that the daemons share: --config, --check-config, --help-config,
 * --print-reference, --help, --version. For main() only: it prints.
 */
#include "config/config.h"

enum { COMMAND_LINE_RUN = 0, COMMAND_LINE_ANSWERED = 1, COMMAND_LINE_USAGE = 2 };

/* Fills ret_settings and returns COMMAND_LINE_RUN: go on, and config_deinit() them later.
 * COMMAND_LINE_ANSWERED: everything has been said, end with 0. COMMAND_LINE_USAGE: so has what is
 * wrong, end with 2. `purpose` is a sentence. */
int command_line_parse(int argc, char **argv, const char *program, const char *purpose,
		       const struct config_table *table, void *ret_settings);
