#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/* Taking a text apart line by line, for the parsers of what QEMU's human monitor prints. */
#include <stdbool.h>
#include <stddef.h>

/* Copies the line at *text, cut to `size` - 1 bytes and ended by NUL, and moves *text behind it.
 * False at the text's end. */
bool lines_next(const char **text, char *line, size_t size);
