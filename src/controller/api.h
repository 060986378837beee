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

/* A query argument, or the fallback where it is not given. A limit is from 1 to `maximum`. */
int api_get_time(struct http_request *request, const char *name, int64_t fallback,
		 int64_t *ret_usec, struct error *err);
int api_get_limit(struct http_request *request, size_t fallback, size_t maximum, size_t *ret_limit,
		  struct error *err);

/* A whole number from `minimum` to `maximum`, in decimal digits; `what` names it in the error.
 * -EINVAL: it is none, or out of range. */
int api_parse_number(const char *text, const char *what, int64_t minimum, int64_t maximum,
		     int64_t *ret_number, struct error *err);
/* A query argument that is a number from 0 on, or the fallback where it is not given. */
int api_get_number(struct http_request *request, const char *name, int64_t fallback,
		   int64_t *ret_number, struct error *err);
/* The number in the path; `what` says of what: "an alarm". */
int api_path_number(const struct http_request *request, const char *what, int64_t *ret_number,
		    struct error *err);
