#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small HTTP server (1.1) on the loop: one table of GET routes, JSON or text answers. Knows
 * nothing of VMs. Requests are bounded in size and time. On a loopback address it only answers to
 * the names of loopback, so that a web page cannot reach it by a name of its own. All calls and
 * handlers on the loop's thread.
 */
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/error.h"

struct http_server;
struct http_request; /* borrowed during the handler's call */

enum { HTTP_PATH_PARAMETERS_MAX = 4, HTTP_PARAMETER_SIZE = 256, HTTP_ANSWER_SIZE_MAX = 64 << 20 };

/* Gives the answer by one of the http_answer_... functions and returns the HTTP status (200, 503,
 * ...); a negative errno with err set becomes {"error": text} with a fitting status (-EINVAL 400,
 * -ENOENT 404, else 500). */
typedef int http_handler(void *userdata, struct http_request *request, struct error *err);

struct http_route {
	const char *path; /* "/api/v1/vms/{vm}/metrics/{metric}" */
	http_handler *handle;
};

/* `routes` are borrowed. port 0: any. */
int http_server_new(uv_loop_t *loop, const char *address, uint16_t port,
		    const struct http_route *routes, size_t count, void *userdata,
		    struct http_server **ret_server, struct error *err);
/* The loop must run once more before it is closed. */
struct http_server *http_server_free(struct http_server *server);
uint16_t http_server_port(const struct http_server *server);

/* The decoded part of the path in braces at `position` (0 is the first). Never NULL. */
const char *http_request_parameter(const struct http_request *request, size_t position);
/* A decoded query argument, cut at HTTP_PARAMETER_SIZE, or NULL. Borrowed until the next call. */
const char *http_request_query(struct http_request *request, const char *name);

/* Takes `body`. */
void http_answer_json(struct http_request *request, json_t *body);
/* Copies. */
void http_answer_text(struct http_request *request, const char *content_type, const char *text,
		      size_t size);
