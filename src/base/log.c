/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct {
	const char *program;
	enum log_level level;
	int journal;
} log_state = {.program = "atom", .level = LOG_LEVEL_INFO};

static const char *level_name(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERROR:
		return "error";
	case LOG_LEVEL_WARNING:
		return "warning";
	case LOG_LEVEL_INFO:
		return "info";
	case LOG_LEVEL_DEBUG:
		return "debug";
	}
	return "?";
}

void log_init(const char *program, enum log_level level)
{
	log_state.program = program;
	log_state.level = level;
	log_state.journal = getenv("JOURNAL_STREAM") != NULL;
}

void log_write(enum log_level level, const char *format, ...)
{
	char line[1024];
	char when[32] = "";
	struct tm parts;
	time_t now = time(NULL);
	va_list args;

	if (level > log_state.level)
		return;
	va_start(args, format);
	(void)vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	for (char *c = line; *c; c++) /* one message is one line, whatever a peer put into it */
		if ((unsigned char)*c < ' ')
			*c = ' ';
	if (log_state.journal) {
		(void)fprintf(stderr, "<%d>%s\n", (int)level, line);
		return;
	}
	if (gmtime_r(&now, &parts))
		(void)strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &parts);
	(void)fprintf(stderr, "%s %s %s: %s\n", when, log_state.program, level_name(level), line);
}

int log_level_parse(const char *name, enum log_level *ret_level)
{
	static const enum log_level levels[] = {LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO,
						LOG_LEVEL_DEBUG};

	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		if (strcmp(name, level_name(levels[i])) != 0)
			continue;
		*ret_level = levels[i];
		return 0;
	}
	return -EINVAL;
}
