#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of `atom`, one file each, and what they share. A command gets its own name as
 * argv[0] and returns the program's exit status.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "terminal/terminal.h"

typedef int command_function(int argc, char **argv);

command_function command_up, command_enroll, command_status, command_vm, command_metric,
	command_group, command_alarm, command_track, command_detect;

/* The address of atomd: --server, ATOM_SERVER, or loopback. Set by main(). */
extern const char *command_server;

/* Gets a path of the API (already escaped); says on stderr what is wrong. Returns owned JSON or
 * NULL. */
json_t *command_get(const char *path);

/* --json: the API's answer, indented, keys sorted. */
int command_print_json(const json_t *body);

/* Members of JSON objects as text for tables. Borrowed; "" or "-" where there is none. */
const char *json_text(const json_t *object, const char *key);
int64_t json_whole(const json_t *object, const char *key);

enum { NUMBER_SIZE = 32 };
/* Four digits with a unit's prefix ("1.235k", "-"), into text of NUMBER_SIZE bytes. */
const char *format_number(const json_t *value, char *text);
/* "10:36:41" of an API time of today, else "11-24 10:36"; "-" for null. Into text of NUMBER_SIZE
 * bytes. */
const char *format_time(const char *api_time, char *text);
