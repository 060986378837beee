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
	command_group, command_alarm, command_act, command_audit, command_token, command_track,
	command_detect;

/* One of the words that follow a command. Its options are its own, so it gets "alarm show" as
 * argv[0], which is what messages name. */
struct subcommand {
	const char *title; /* "alarm show" */
	command_function *run;
};

/* Runs the subcommand that argv[1] names; the first of them where there is none. `help` is printed
 * for --help and for a word that is unknown. */
int command_dispatch(int argc, char **argv, const struct subcommand *subcommands, size_t count,
		     const char *help);

/* What requests need, set by main(). The address of atomd: --server, ATOM_SERVER, or loopback. The
 * file of --token-file (credentials.h). The authority of its certificate, where that is not one of
 * the system's: --ca, ATOM_CA. NULL where it was not given. */
extern const char *command_server, *command_token_file, *command_ca;

/* One request for a path of the API (already escaped); `body` is NULL for a GET. The errors are
 * those of http_client_request(). Returns owned JSON. */
int command_request(const char *method, const char *path, const json_t *body, json_t **ret_body,
		    struct error *err);
/* Whether a failed request may succeed later by itself: nobody answers there now, or what answers
 * is a proxy whose server restarts. */
bool command_may_pass(int code);
/* Says on stderr what was wrong with a request and what to do; returns EXIT_FAILED. */
int command_explain(int code, const struct error *err);

/* A request whose failure is said. Returns owned JSON or NULL. */
json_t *command_get(const char *path);
json_t *command_post(const char *path, const json_t *body);

/* The number of an alarm, action, ...: 1 or more. Says what is wrong with it. */
bool command_number(const char *what, const char *text, int64_t *ret_number);

/* --json: the API's answer, indented, keys sorted; ASCII, so that nothing in it moves a cursor. */
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
