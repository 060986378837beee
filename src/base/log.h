#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logging to stderr, one line a message, with the priority prefix "<3>" that journald understands
 * when stderr is its stream, and with a UTC time and the priority's name otherwise. Only programs
 * log above debug. The level is set once by main() before threads start; any thread may log.
 */
enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7
};

/* Messages above `level` are dropped; `program` is put before each line (borrowed for ever). */
void log_init(const char *program, enum log_level level);

void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* "error", "warning", "info" or "debug" to its level; -EINVAL for any other name. */
int log_level_parse(const char *name, enum log_level *ret_level);
