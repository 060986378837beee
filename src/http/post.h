#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One POST of a text to a server that somebody else runs (libcurl). Blocking, for a worker thread:
 * any thread may call it, several at a time. Nothing is followed to another address: an answer that
 * redirects is an answer. Time and answers are bounded.
 */
#include <stdatomic.h>
#include <stdint.h>

#include "base/error.h"

enum { HTTP_POST_ANSWER_SIZE = 256 };

struct http_post {
	const char *url;          /* http:// or https:// */
	const char *content_type; /* "application/json" */
	const char *body;
	const char *bearer;           /* the token of an Authorization header; NULL: none */
	const char *ca_file;          /* PEM; NULL: the system's authorities */
	int64_t connect_timeout_usec; /* > 0 */
	int64_t timeout_usec;         /* of the whole, > 0 */
	const atomic_bool *abandoned; /* ends it within about a second when true; NULL: never */
};

/* Returns the status of the answer, 200 or more, whichever it is, with the first bytes of its body
 * as they came, and a NUL, in ret_answer. Without an answer: -ECONNREFUSED, -ETIMEDOUT,
 * -ECANCELED (abandoned), -EINVAL (no such URL), -EHOSTUNREACH (no such name), -EPROTO (TLS: not
 * trusted, no handshake), -EIO for the rest. */
int http_client_post_text(const struct http_post *post, char ret_answer[HTTP_POST_ANSWER_SIZE],
			  struct error *err);
