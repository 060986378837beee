#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/* A process that ATOM suspects, as people read it. */
#include <jansson.h>

/* Who it is with its parents and, each on a line of its own, what it runs and why it is suspected,
 * 4 columns from the left. `head` stands before: "1. ". */
void suspect_print(const json_t *suspect, const char *head);
