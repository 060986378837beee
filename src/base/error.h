#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one error idiom. A function that can fail returns 0 or a documented positive answer on
 * success and a negative errno on failure; where a person will read why, its last parameter is
 * `struct error *err` (NULL allowed), which lives in the caller's frame and needs no allocation.
 * The origin sets it, each layer on the way up prefixes what only it knows, and a program's handler
 * reports it once. The text is valid UTF-8, whatever it quotes and wherever it was cut, so that it
 * can be told as JSON.
 */
#include <stddef.h>

enum { ERROR_TEXT_SIZE = 512 };

struct error {
	int code; /* negative errno */
	char text[ERROR_TEXT_SIZE];
};

#define ERROR_INIT ((struct error){0})

/* Sets code and text and returns `code` (a negative errno), so that an origin is one line:
 * `return error_set(err, -EINVAL, "%s:%d: unknown key '%s'", file, line, key);` */
int error_set(struct error *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* As error_set(), with ": " and the text of errno `-code` after the message. */
int error_set_errno(struct error *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "<message>: " before the text that is there and returns the code that is there. */
int error_prefix(struct error *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The text, or the text of errno `code` where err is NULL or empty. Returns borrowed until err
 * changes. */
const char *error_text(const struct error *err, int code);
