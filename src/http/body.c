/* SPDX-License-Identifier: Apache-2.0 */
#include "http/body.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "http/server.h"

/* What may arrive for one body: chunks of a few bytes are mostly framing. */
enum { RECEIVED_MAX = 16 * HTTP_BODY_SIZE_MAX };

static bool has(struct lws *wsi, enum lws_token_indexes token)
{
	return lws_hdr_total_length(wsi, token) > 0;
}

static int read_length(struct lws *wsi, uint64_t *ret_length, struct error *err)
{
	char text[20];
	int size = lws_hdr_copy(wsi, text, sizeof(text), WSI_TOKEN_HTTP_CONTENT_LENGTH);

	/* 19 digits fit; a header that came twice has a comma */
	if (size <= 0 || text[strspn(text, "0123456789")])
		return error_set(err, -EINVAL, "Content-Length is no number");
	*ret_length = strtoull(text, NULL, 10);
	return 0;
}

int http_body_init(struct http_body *body, struct lws *wsi, struct error *err)
{
	bool chunked = has(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING);
	char coding[16];

	*body = (struct http_body){.stage = HTTP_BODY_BROKEN};
	if (has(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH)) {
		if (chunked)
			return error_set(err, -EINVAL,
					 "Content-Length and Transfer-Encoding exclude each other");
		if (read_length(wsi, &body->remaining, err) < 0)
			return -EINVAL;
	}
	if (!chunked) {
		body->stage = body->remaining > 0 ? HTTP_BODY_SIZED : HTTP_BODY_COMPLETE;
		return 0;
	}
	if (lws_hdr_copy(wsi, coding, sizeof(coding), WSI_TOKEN_HTTP_TRANSFER_ENCODING) <= 0 ||
	    strcasecmp(coding, "chunked") != 0)
		return error_set(err, -EINVAL, "the only Transfer-Encoding here is chunked");
	body->stage = HTTP_BODY_CHUNK_HEAD;
	return 0;
}

void http_body_deinit(struct http_body *body)
{
	free(body->data);
	*body = (struct http_body){0};
}

static int too_big(struct error *err)
{
	return error_set(err, -E2BIG, "a body has at most %d bytes", HTTP_BODY_SIZE_MAX);
}

int http_body_check_size(const struct http_body *body, struct error *err)
{
	return body->remaining > HTTP_BODY_SIZE_MAX ? too_big(err) : 0;
}

bool http_body_type_fits(struct lws *wsi, bool empty)
{
	static const char json[] = "application/json";
	char type[128];

	if (!has(wsi, WSI_TOKEN_HTTP_CONTENT_TYPE))
		return empty && !has(wsi, WSI_TOKEN_ORIGIN);
	return lws_hdr_copy(wsi, type, sizeof(type), WSI_TOKEN_HTTP_CONTENT_TYPE) > 0 &&
	       strncasecmp(type, json, strlen(json)) == 0 &&
	       (!type[strlen(json)] || strchr("; \t", type[strlen(json)]));
}

static int append(struct http_body *body, const char *data, size_t size, struct error *err)
{
	size_t needed = body->size + size;

	if (needed > HTTP_BODY_SIZE_MAX)
		return too_big(err);
	if (needed > body->capacity) {
		size_t capacity = needed < HTTP_BODY_SIZE_MAX / 2 ? 2 * needed : HTTP_BODY_SIZE_MAX;
		char *grown = realloc(body->data, capacity);

		if (!grown)
			return error_set(err, -ENOMEM, "out of memory");
		body->data = grown;
		body->capacity = capacity;
	}
	memcpy(body->data + body->size, data, size);
	body->size += size;
	return 0;
}

/* "1a0;name=value" */
static int read_chunk_size(const char *line, uint64_t *ret_size)
{
	size_t digits = strspn(line, "0123456789abcdefABCDEF");

	if (digits == 0 || digits > 8 || (line[digits] && !strchr("; \t", line[digits])))
		return -EINVAL;
	*ret_size = strtoull(line, NULL, 16);
	return 0;
}

static int end_line(struct http_body *body)
{
	if (body->stage == HTTP_BODY_TRAILER) {
		if (!body->line[0])
			body->stage = HTTP_BODY_COMPLETE;
		return 0;
	}
	if (body->stage == HTTP_BODY_CHUNK_END) {
		body->stage = HTTP_BODY_CHUNK_HEAD;
		return body->line[0] ? -EINVAL : 0;
	}
	body->stage = HTTP_BODY_CHUNK_DATA;
	if (read_chunk_size(body->line, &body->remaining) < 0)
		return -EINVAL;
	if (body->remaining == 0)
		body->stage = HTTP_BODY_TRAILER;
	return 0;
}

static int take_framing(struct http_body *body, char c)
{
	if (c != '\n') {
		if (body->line_size + 1 == sizeof(body->line) || !c)
			return -EINVAL;
		body->line[body->line_size++] = c;
		return 0;
	}
	if (body->line_size == 0 || body->line[body->line_size - 1] != '\r')
		return -EINVAL;
	body->line[body->line_size - 1] = '\0';
	body->line_size = 0;
	return end_line(body);
}

static int take_content(struct http_body *body, const char *data, size_t size, struct error *err)
{
	int r = append(body, data, size, err);

	body->remaining -= size;
	if (r == 0 && body->remaining == 0)
		body->stage =
			body->stage == HTTP_BODY_SIZED ? HTTP_BODY_COMPLETE : HTTP_BODY_CHUNK_END;
	return r;
}

int http_body_take(struct http_body *body, const char *data, size_t size, struct error *err)
{
	int r;

	body->received += size;
	if (body->received > RECEIVED_MAX)
		return too_big(err);
	while (size > 0 && body->stage != HTTP_BODY_COMPLETE) {
		size_t part = 1;

		if (body->stage == HTTP_BODY_SIZED || body->stage == HTTP_BODY_CHUNK_DATA) {
			part = body->remaining < size ? (size_t)body->remaining : size;
			r = take_content(body, data, part, err);
			if (r < 0)
				return r;
		} else if (take_framing(body, *data) < 0) {
			return error_set(err, -EINVAL, "the chunks of the body are broken");
		}
		data += part;
		size -= part;
	}
	return body->stage == HTTP_BODY_COMPLETE;
}

int http_body_parse(const struct http_body *body, json_t **ret_object, struct error *err)
{
	json_error_t problem;
	json_t *object;

	if (body->size == 0) {
		object = json_object();
		if (!object)
			return error_set(err, -ENOMEM, "out of memory");
		*ret_object = object;
		return 0;
	}
	object = json_loadb(body->data, body->size, JSON_REJECT_DUPLICATES, &problem);
	if (!object)
		return error_set(err, -EINVAL, "the body is no JSON: line %d: %s", problem.line,
				 problem.text);
	if (!json_is_object(object)) {
		json_decref(object);
		return error_set(err, -EINVAL, "the body is JSON, but no object: write {...}");
	}
	*ret_object = object;
	return 0;
}
