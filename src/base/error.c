/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

int error_set(struct error *err, int code, const char *format, ...)
{
	va_list args;

	assert(code < 0);
	if (!err)
		return code;
	err->code = code;
	va_start(args, format);
	(void)vsnprintf(err->text, sizeof(err->text), format, args); /* truncation is fine */
	va_end(args);
	(void)utf8_mend(err->text);
	return code;
}

int error_set_errno(struct error *err, int code, const char *format, ...)
{
	va_list args;
	size_t length;

	assert(code < 0);
	if (!err)
		return code;
	err->code = code;
	va_start(args, format);
	(void)vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	length = strlen(err->text);
	(void)snprintf(err->text + length, sizeof(err->text) - length, ": %s", strerror(-code));
	(void)utf8_mend(err->text);
	return code;
}

int error_prefix(struct error *err, int code, const char *format, ...)
{
	char tail[ERROR_TEXT_SIZE];
	va_list args;
	size_t length;

	if (!err)
		return code;
	(void)snprintf(tail, sizeof(tail), "%s", error_text(err, code));
	err->code = code;
	va_start(args, format);
	(void)vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	length = strlen(err->text);
	(void)snprintf(err->text + length, sizeof(err->text) - length, ": %s", tail);
	(void)utf8_mend(err->text);
	return code;
}

const char *error_text(const struct error *err, int code)
{
	return err && err->text[0] ? err->text : strerror(-code);
}
