#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the server: one request from its headers to its answer. Embedded in the session that
 * lws keeps per connection; reads the headers from lws, which keeps them until the transaction is
 * completed.
 */
#include <libwebsockets.h>
#include <stdbool.h>

#include "http/server.h"

enum http_method { HTTP_METHOD_GET, HTTP_METHOD_HEAD, HTTP_METHOD_POST, HTTP_METHOD_OTHER };

struct http_request {
	struct lws *wsi;
	enum http_method method;
	const struct http_route *route;
	const char *allow;              /* "GET, HEAD" and so on: what a 405 says */
	char path[HTTP_PARAMETER_SIZE]; /* for the log: cut, and without control characters */
	char peer[64];
	char bearer[HTTP_TOKEN_SIZE];
	const void *identity;
	size_t parameter_count;
	char parameters[HTTP_PATH_PARAMETERS_MAX][HTTP_PARAMETER_SIZE];
	char query[HTTP_PARAMETER_SIZE];
	json_t *body;
	const char *content_type; /* of the answer */
	char *answer;
	size_t answer_size;
};

void http_request_init(struct http_request *request, struct lws *wsi, const char *path);
void http_request_deinit(struct http_request *request);

/* Finds the route of method and path and notes it. 0, or the refusal's status (404, 405). */
int http_request_find_route(struct http_request *request, const struct http_route *routes,
			    size_t count, const char *path);

const char *http_method_name(enum http_method method);

/* Makes the answer {"error": text}; returns `status`. */
int http_refuse(struct http_request *request, int status, const char *text);
/* As http_refuse(), with the status and text of an error. */
int http_refuse_error(struct http_request *request, int code, const struct error *err);
