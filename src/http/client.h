#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A blocking HTTP client for command lines and tests (libcurl): JSON in, JSON out. Bounded answers,
 * time-outs. Redirects are not followed, so that a token reaches the server it is meant for and no
 * other.
 */
#include <jansson.h>

#include "base/error.h"

enum { HTTP_CLIENT_ANSWER_SIZE_MAX = 64 << 20 };

/* NULL is "" in each. */
struct http_client_options {
	const char *token;   /* sent as `Authorization: Bearer TOKEN`; "" none */
	const char *ca_file; /* PEM: the authorities that a server of HTTPS may be of; "" the
				system's */
};

/*
 * Sends `method` ("GET" or "POST") to url, with the JSON object `body` (POST only; NULL: an empty
 * body); options may be NULL. ret_body (NULL allowed) returns owned. An answer other than 2xx is an
 * error with the server's {"error": ...} text: 400 -EINVAL, 401 -EACCES, 403 -EPERM, 404 -ENOENT,
 * 409 -EALREADY, else -EIO. Others: -ECONNREFUSED where nobody listens, -ETIMEDOUT, -EINVAL for a
 * bad url, token or CA file, -EIO for a certificate that is not of the CA, -EPROTO for no JSON.
 */
int http_client_request(const char *method, const char *url,
			const struct http_client_options *options, const json_t *body,
			json_t **ret_body, struct error *err);

/* Percent-encodes one path or query part; returns owned, NULL when memory is out. */
char *http_client_escape(const char *text);
