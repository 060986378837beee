#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/* What may be shown to a person. Pure; any thread. */
#include <stddef.h>

/* The bytes of the character that `text` begins with, whichever it is; 0 when it is no valid UTF-8,
 * or the end of the text. Never reads past the terminating NUL. */
size_t utf8_length(const char *text);

/* The bytes of the character that `text` begins with, or 0 when it is no valid UTF-8 or a control
 * character (of either set), or one that is not seen but moves others, or the end of the text.
 * Never reads past the terminating NUL. */
size_t utf8_printable_length(const char *text);
