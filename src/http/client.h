#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A blocking HTTP client for command lines and tests (libcurl): JSON in, JSON out. Bounded answers,
 * time-outs.
 */
#include <jansson.h>

#include "base/error.h"

enum { HTTP_CLIENT_ANSWER_SIZE_MAX = 64 << 20 };

/* GET url as JSON. An answer other than 2xx is an error with the server's {"error": ...} text
 * (-ENOENT for 404, -EINVAL for 400, else -EIO); -ECONNREFUSED where nobody listens, -ETIMEDOUT,
 * -EPROTO for no JSON. Returns owned. */
int http_client_get_json(const char *url, json_t **ret_body, struct error *err);

/* Percent-encodes one path or query part; returns owned, NULL when memory is out. */
char *http_client_escape(const char *text);
