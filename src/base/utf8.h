#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/* What may be shown to a person, and what may be told as JSON, which is UTF-8. Pure; any thread. */
#include <stddef.h>

/* The bytes of the character that `text` begins with, whichever it is; 0 when it is no valid UTF-8,
 * or the end of the text. Never reads past the terminating NUL. */
size_t utf8_length(const char *text);

/* The bytes of the character that `text` begins with, or 0 when it is no valid UTF-8 or a control
 * character (of either set), or one that is not seen but moves others, or the end of the text.
 * Never reads past the terminating NUL. */
size_t utf8_printable_length(const char *text);

/* Makes the text valid UTF-8, in place and never longer: a character that is cut at the end is
 * taken away, any other run of bytes that make no character becomes one '?'. Returns text. */
char *utf8_mend(char *text);

/* As snprintf() into `size` bytes, at least 1, but the text is mended: one that does not fit ends
 * with a whole character. Returns ret_text. */
char *utf8_print(char *ret_text, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
