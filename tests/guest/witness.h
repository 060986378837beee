/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

/*
 * The witness lives inside a guest. Over a serial port it says what the guest's own /proc says, and
 * it starts processes of known shapes ("victims"), so that a test can compare both with what was
 * seen from outside. One thread; a test program: it gives up (exits) where a test can not go on.
 */

/* JSON on one line. Bytes outside printable ASCII become \u00XX, so that any file name or argument
 * can be told. */
struct json {
	FILE *out;
	bool comma;
};

/* `key` is NULL inside an array; `bracket` is one of { [ } ]. */
void json_open(struct json *j, const char *key, char bracket);
void json_close(struct json *j, char bracket);
void json_number(struct json *j, const char *key, long long value);
void json_unsigned(struct json *j, const char *key, unsigned long long value);
void json_bool(struct json *j, const char *key, bool value);
void json_bytes(struct json *j, const char *key, const char *bytes, size_t size);
void json_text(struct json *j, const char *key, const char *text);

/* A whole file of /proc; returns its size, or -1. The buffer is the module's and lives until the
 * next call. */
ssize_t slurp(const char *path, char **ret_text);

/* State letter, command and start ticks of a process; false where there is none. `ret_comm` holds
 * 64 bytes. */
bool process_stat(pid_t pid, char *ret_state, char *ret_comm, long long *ret_start);

/* Members of an open object: all of the guest, or with `only` its one process. */
void facts_write(struct json *j, pid_t only);
/* Addresses of kernel symbols, by /proc/kallsyms. */
void facts_symbols(struct json *j, char **names, int count);

/*
 * A victim is this program executed again under the name v-KIND. It writes members of JSON to
 * descriptor VICTIM_REPORT, closes it, and then takes its state.
 */
enum { VICTIM_REPORT = 3 };

struct victim_kind {
	const char *name;
	char state;                      /* the letter of /proc that it settles in, 0 for any */
	int clone_flags;                 /* for the process's birth */
	void (*enter)(char **arguments); /* between birth and exec; may exec itself */
	void (*run)(char **arguments);   /* arguments as NULL-terminated strings */
};

const struct victim_kind *victim_find(const char *name);
/* Sockets in TIME_WAIT that no process holds: connects, closes, and says the ports. */
void victim_leave_timewait(struct json *j, int count);
