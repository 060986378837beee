#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the server: the body of a request on its way in. lws 4.1 hands over what follows the
 * headers as it comes, chunks with their framing, so both kinds of framing end here. Embedded.
 */
#include <jansson.h>
#include <libwebsockets.h>
#include <stdbool.h>

#include "base/error.h"

enum { HTTP_CHUNK_LINE_SIZE = 256 };

enum http_body_stage {
	HTTP_BODY_COMPLETE, /* nothing, or nothing more, is to come */
	HTTP_BODY_SIZED,
	HTTP_BODY_CHUNK_HEAD,
	HTTP_BODY_CHUNK_DATA,
	HTTP_BODY_CHUNK_END,
	HTTP_BODY_TRAILER,
	HTTP_BODY_BROKEN, /* nobody knows where it ends */
};

struct http_body {
	enum http_body_stage stage;
	uint64_t remaining; /* bytes of the body, or of this chunk */
	uint64_t received;  /* bytes, with their framing */
	char *data;
	size_t size, capacity;
	char line[HTTP_CHUNK_LINE_SIZE]; /* of the framing, on its way in */
	size_t line_size;
};

/* Reads from the headers how the body is framed. -EINVAL where they cannot be understood, or not in
 * one way. */
int http_body_init(struct http_body *body, struct lws *wsi, struct error *err);
void http_body_deinit(struct http_body *body);

/* -E2BIG where more is announced than HTTP_BODY_SIZE_MAX. */
int http_body_check_size(const struct http_body *body, struct error *err);
/* Whether the sender calls it JSON. A body that is `empty` may go without a type, unless a web page
 * sends it: a browser names its origin with every POST, and asks before it sends JSON elsewhere. */
bool http_body_type_fits(struct lws *wsi, bool empty);

/* Takes what has arrived; nothing after the end. 1 when it was the last, 0 for a part; -E2BIG,
 * -EINVAL for a broken chunk, -ENOMEM. */
int http_body_take(struct http_body *body, const char *data, size_t size, struct error *err);

/* The whole body as a JSON object; -EINVAL says where it is none. Returns owned. */
int http_body_parse(const struct http_body *body, json_t **ret_object, struct error *err);
