#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the command-line programs have in common: exit statuses and the way in which a mistake is
 * said. For main threads.
 */
enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* What stands before each message and in hints: "atom" (borrowed for ever). Set by main(). */
extern const char *terminal_program;

/* "atom: text" on stderr, escaped; returns the status. */
int terminal_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
