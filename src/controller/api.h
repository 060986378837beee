#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/* What the API's files share: how values, times and arguments are written. */
#include <jansson.h>
#include <stdint.h>

#include "http/server.h"

/* NaN and infinities are null. */
json_t *api_number(double value);
/* RFC 3339 with milliseconds; 0 is null. */
json_t *api_time(int64_t wall_usec);

/* A query argument, or the fallback where it is not given. */
int api_get_time(struct http_request *request, const char *name, int64_t fallback,
		 int64_t *ret_usec, struct error *err);
int api_get_limit(struct http_request *request, size_t fallback, size_t maximum, size_t *ret_limit,
		  struct error *err);
