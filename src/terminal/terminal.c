/* SPDX-License-Identifier: Apache-2.0 */
#include "terminal/terminal.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"
#include "terminal/table.h"

const char *terminal_program = "atom";

int terminal_fail(int status, const char *format, ...)
{
	char text[ERROR_TEXT_SIZE];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	(void)fprintf(stderr, "%s: %s\n", terminal_program, table_escape(text));
	return status;
}
