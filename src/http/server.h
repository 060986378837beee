#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small HTTP server (1.1; over TLS where it has a certificate) on the loop: one table of routes,
 * JSON or text answers. Knows nothing of VMs, users or roles: authorize() decides. Requests are
 * bounded in size and time. On a loopback address it only answers to the names of loopback, so that
 * a web page cannot reach it by a name of its own; a POST must be JSON, so that a web form cannot
 * send one. All calls and handlers on the loop's thread.
 */
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/error.h"

struct http_server;
struct http_request; /* borrowed during the call of authorize() or the handler */

enum {
	HTTP_PATH_PARAMETERS_MAX = 4,
	HTTP_PARAMETER_SIZE = 256,
	HTTP_TOKEN_SIZE = 512,
	HTTP_BODY_SIZE_MAX = 65536,
	HTTP_ANSWER_SIZE_MAX = 64 << 20,
	HTTP_TIMEOUT_SEC = 20,
};

/*
 * Gives the answer by one of the http_answer_... functions and returns the HTTP status (200, 202,
 * 503, ...); a negative errno with err set becomes {"error": text} and the status
 *   -EINVAL 400, -EACCES 401, -EPERM 403, -ENOENT 404, -EALREADY and -EBUSY 409, -E2BIG 413,
 *   -EROFS and -ENOSPC 503, else 500.
 */
typedef int http_handler(void *userdata, struct http_request *request, struct error *err);

/* Whether the sender may do what needs `right` (that of the route). Called before the handler, and
 * before a POST's body is read. 0, or -EACCES (it must say who it is: 401), -EPERM (403), or
 * another of the above. */
typedef int http_authorize(void *userdata, struct http_request *request, unsigned right,
			   struct error *err);

/* Several routes may share a path. A path that is only there under another method is a 405. */
struct http_route {
	const char *method; /* "GET" (then HEAD too) or "POST" */
	const char *path;   /* "/api/v1/vms/{vm}/metrics/{metric}" */
	unsigned right;     /* handed to authorize() */
	http_handler *handle;
};

/* The routes are borrowed while the server lives, the texts until it is made. */
struct http_server_options {
	const char *address; /* "127.0.0.1", "0.0.0.0", "::" */
	uint16_t port;       /* 0: any, see http_server_port() */
	const char
		*certificate_file; /* PEM, with its chain; both or neither (NULL or ""): HTTPS, */
	const char *key_file;      /* TLS 1.2 or later */
	const struct http_route *routes;
	size_t count;
	http_authorize *authorize; /* NULL: everybody may do everything */
	void *userdata;
	unsigned timeout_sec; /* for a body to arrive, an idle connection; 0: HTTP_TIMEOUT_SEC */
};

/* Errors: -EINVAL a bad certificate or key (says which file and why), -EADDRINUSE. */
int http_server_new(uv_loop_t *loop, const struct http_server_options *options,
		    struct http_server **ret_server, struct error *err);
/* The loop must run once more before it is closed. */
struct http_server *http_server_free(struct http_server *server);
uint16_t http_server_port(const struct http_server *server);

/* The address of the client, for people. */
const char *http_request_peer(const struct http_request *request);
/* The token of `Authorization: Bearer TOKEN`; "" where there is none, or none that can be one. */
const char *http_request_bearer(const struct http_request *request);
/* What authorize() has found out, for the handler; NULL at first. Borrowed until the handler has
 * returned: the body of a POST arrives between the two, so it must outlive turns of the loop. */
void http_request_set_identity(struct http_request *request, const void *identity);
const void *http_request_identity(const struct http_request *request);

/* The decoded part of the path in braces at `position` (0 is the first). Never NULL. */
const char *http_request_parameter(const struct http_request *request, size_t position);
/* A decoded query argument, cut at HTTP_PARAMETER_SIZE, or NULL. Borrowed until the next call. */
const char *http_request_query(struct http_request *request, const char *name);
/* The JSON object that a POST carries (an empty body is an empty object). Never NULL in the handler
 * of a POST; NULL in authorize() and for GET. */
const json_t *http_request_body(const struct http_request *request);

/* Takes `body`. */
void http_answer_json(struct http_request *request, json_t *body);
/* Copies. */
void http_answer_text(struct http_request *request, const char *content_type, const char *text,
		      size_t size);
