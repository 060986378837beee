#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may do what at the API: the role of the token that a request bears (src/access), and the one
 * of those who bear none. A token of a project sees and acts on that project's VMs alone. The file
 * of tokens is read anew when it has changed. Embedded in the controller; on the loop's thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "access/tokens.h"
#include "controller/settings.h"
#include "http/server.h"

struct alarm;
struct fleet;
struct groups;
struct vm;

struct access {
	const char *path;
	enum access_role anonymous;
	/* A request that waits for its body may still point into the older ones. */
	struct tokens tokens, older;
	int64_t read_usec; /* monotonic */
	int64_t file_version;
};

int access_init(struct access *access, const struct settings *settings, struct error *err);
void access_deinit(struct access *access);
/* Reads the file anew where it has changed; not more often than once a minute. A file that makes no
 * sense leaves the old tokens in force. To be called now and then. */
void access_follow(struct access *access);

/* http_authorize: `right` is an enum access_role. `userdata` is the controller. */
http_authorize access_authorize;

enum { ACCESS_WHO_SIZE = 96 };
/* "operator anna", for the audit; "anonymous". Returns text. */
const char *access_who(const struct http_request *request, char text[ACCESS_WHO_SIZE]);
/* The project that the request is confined to; "": none. */
const char *access_project(const struct http_request *request);
bool access_sees(const struct http_request *request, const struct vm *vm);
/* The VM that a person's text means, as if there were only those that the request may see. Errors
 * of fleet_find_vm(). */
int access_find_vm(const struct http_request *request, const struct fleet *fleet,
		   const char *wanted, struct vm **ret_vm, struct error *err);
/* As groups_find_alarm(); NULL too where the request may see nothing of it. */
struct alarm *access_find_alarm(const struct http_request *request, const struct groups *groups,
				int64_t id);
/* -EPERM for a request that is confined to a project: the answer would show others. */
int access_check_all(const struct http_request *request, struct error *err);
