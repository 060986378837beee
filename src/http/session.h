#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the server: what happens on one connection, as lws' callbacks tell it. A request is
 * examined by its headers; then, for a POST, its body is received; then it is handled, and the
 * answer written piece by piece. The connection ends after all but a GET or HEAD without a body;
 * where the sender is still sending, not before it has had time to read the answer (a close with
 * unread input would take the answer away from it).
 */
#include <libwebsockets.h>

#include "http/body.h"
#include "http/request.h"

struct http_server {
	struct lws_context *context;
	struct lws_vhost *vhost;
	void *loops[1];
	const struct http_route *routes;
	size_t count;
	http_authorize *authorize;
	void *userdata;
	unsigned timeout_sec;
	bool loopback;
	char *address;
};

enum http_session_state {
	HTTP_SESSION_IDLE,
	HTTP_SESSION_RECEIVING,
	HTTP_SESSION_ANSWERING,
	HTTP_SESSION_LINGERING,
};

/* lws keeps one per connection, zeroed at first. */
struct http_session {
	enum http_session_state state;
	struct http_request request;
	struct http_body body;
	bool last;      /* the connection ends after the answer */
	size_t written; /* of the answer */
	size_t ignored; /* bytes of a body that nobody wants */
};

/* All: 0, or -1 to close the connection. */
/* The headers are there. */
int http_session_begin(struct http_session *session, struct lws *wsi, const char *path);
/* A part of a body, its framing included. */
int http_session_receive(struct http_session *session, const char *data, size_t size);
/* lws has seen the end of a body (http_session_receive() knew) and has stopped its clock. */
int http_session_received(struct http_session *session);
int http_session_write(struct http_session *session);
/* The time is up that the session has given the sender. */
int http_session_expire(struct http_session *session);

void http_session_deinit(struct http_session *session);
