/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/confirm.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "terminal/table.h"
#include "terminal/terminal.h"

enum { ANSWER_SIZE = 64 };

static bool is_yes(char *answer)
{
	answer[strcspn(answer, "\r\n")] = '\0';
	return strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0;
}

int confirm(bool yes, const char *question, ...)
{
	cleanup(free) char *text = NULL;
	char answer[ANSWER_SIZE];
	va_list args;
	int r;

	if (yes)
		return EXIT_OK;
	if (!isatty(STDIN_FILENO))
		return terminal_fail(EXIT_FAILED,
				     "nothing is done: there is no terminal to ask at, "
				     "and --yes was not given");
	va_start(args, question);
	r = vasprintf(&text, question, args);
	va_end(args);
	if (r < 0) {
		text = NULL;
		return terminal_fail(EXIT_FAILED, "out of memory");
	}
	(void)fflush(stdout);
	(void)tcflush(STDIN_FILENO, TCIFLUSH); /* what was typed before it was asked is no answer */
	(void)fprintf(stderr, "%s%s [y/N]%s ", terminal_style(stderr, STYLE_BOLD),
		      table_escape(text), terminal_style(stderr, STYLE_PLAIN));
	if (fgets(answer, sizeof(answer), stdin) && is_yes(answer))
		return EXIT_OK;
	(void)fputs("Nothing is done.\n", stderr);
	return EXIT_DECLINED;
}
