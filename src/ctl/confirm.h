#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/* The question before something is done that cannot be taken back. */
#include <stdbool.h>

/* A person read what would be done, and said no. */
enum { EXIT_DECLINED = 3 };

/* Asks "<question> [y/N] " on the terminal and waits for the answer; `yes` (--yes) takes it for
 * given. 0: yes. Else the status to end with: EXIT_DECLINED, or EXIT_FAILED (said) where there is
 * no terminal to ask at. */
int confirm(bool yes, const char *question, ...) __attribute__((format(printf, 2, 3)));
