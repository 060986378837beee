/* SPDX-License-Identifier: Apache-2.0 */
#include "http/request.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static enum http_method method_of(struct lws *wsi)
{
	if (lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI) > 0)
		return HTTP_METHOD_GET;
	if (lws_hdr_total_length(wsi, WSI_TOKEN_HEAD_URI) > 0)
		return HTTP_METHOD_HEAD;
	if (lws_hdr_total_length(wsi, WSI_TOKEN_POST_URI) > 0)
		return HTTP_METHOD_POST;
	return HTTP_METHOD_OTHER;
}

const char *http_method_name(enum http_method method)
{
	static const char *const names[] = {[HTTP_METHOD_GET] = "GET",
					    [HTTP_METHOD_HEAD] = "HEAD",
					    [HTTP_METHOD_POST] = "POST",
					    [HTTP_METHOD_OTHER] = "(other method)"};

	return names[method];
}

/* The peer chooses the path: it must not write lines of its own into the log. */
static void copy_path(struct http_request *request, const char *path)
{
	size_t i;

	for (i = 0; path[i] && i + 1 < sizeof(request->path); i++)
		request->path[i] = (unsigned char)path[i] < ' ' || path[i] == 0x7f ? '?' : path[i];
	request->path[i] = '\0';
}

/* Takes exactly one token of RFC 6750's characters; a header said twice has a comma, so is none. */
static void read_bearer(struct http_request *request)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				       "0123456789-._~+/=";
	char header[HTTP_TOKEN_SIZE + 16];
	const char *token = header + strlen("Bearer ");
	size_t length;

	if (lws_hdr_copy(request->wsi, header, sizeof(header), WSI_TOKEN_HTTP_AUTHORIZATION) <= 0 ||
	    strncasecmp(header, "Bearer ", strlen("Bearer ")) != 0)
		return;
	token += strspn(token, " ");
	length = strspn(token, alphabet);
	if (length >= sizeof(request->bearer) || token[length + strspn(token + length, " ")])
		return;
	memcpy(request->bearer, token, length);
	request->bearer[length] = '\0';
}

void http_request_init(struct http_request *request, struct lws *wsi, const char *path)
{
	*request = (struct http_request){.wsi = wsi, .method = method_of(wsi)};
	copy_path(request, path);
	(void)lws_get_peer_simple(wsi, request->peer, sizeof(request->peer)); /* "" is fine */
	read_bearer(request);
}

void http_request_deinit(struct http_request *request)
{
	json_decref(request->body);
	free(request->answer);
	*request = (struct http_request){0};
}

/* Whether `path` is of the form `pattern`; parts in braces become the request's parameters. */
static bool match(const char *pattern, const char *path, struct http_request *request)
{
	request->parameter_count = 0;
	while (*pattern) {
		size_t length;

		if (*pattern != '{') {
			if (*pattern++ != *path++)
				return false;
			continue;
		}
		length = strcspn(path, "/");
		if (length == 0 || length >= HTTP_PARAMETER_SIZE)
			return false;
		assert(request->parameter_count < HTTP_PATH_PARAMETERS_MAX);
		memcpy(request->parameters[request->parameter_count], path, length);
		request->parameters[request->parameter_count++][length] = '\0';
		path += length;
		pattern += strcspn(pattern, "}") + 1;
	}
	return !*path;
}

static const char *allow_text(bool get, bool post)
{
	return get && post ? "GET, HEAD, POST" : post ? "POST" : "GET, HEAD";
}

int http_request_find_route(struct http_request *request, const struct http_route *routes,
			    size_t count, const char *path)
{
	bool get = false, post = false;

	for (size_t i = 0; i < count; i++) {
		bool is_post = strcmp(routes[i].method, "POST") == 0;

		if (!match(routes[i].path, path, request))
			continue;
		if (request->method == HTTP_METHOD_POST
			    ? is_post
			    : !is_post && request->method != HTTP_METHOD_OTHER) {
			request->route = &routes[i];
			return 0;
		}
		get = get || !is_post;
		post = post || is_post;
	}
	if (!get && !post)
		return http_refuse(request, HTTP_STATUS_NOT_FOUND, "there is nothing at this path");
	request->allow = allow_text(get, post);
	return http_refuse(request, HTTP_STATUS_METHOD_NOT_ALLOWED,
			   "this path does not answer to this method");
}

const char *http_request_peer(const struct http_request *request)
{
	return request->peer;
}

const char *http_request_bearer(const struct http_request *request)
{
	return request->bearer;
}

void http_request_set_identity(struct http_request *request, const void *identity)
{
	request->identity = identity;
}

const void *http_request_identity(const struct http_request *request)
{
	return request->identity;
}

const char *http_request_parameter(const struct http_request *request, size_t position)
{
	return position < request->parameter_count ? request->parameters[position] : "";
}

const char *http_request_query(struct http_request *request, const char *name)
{
	size_t length = strlen(name);

	for (int i = 0; lws_hdr_copy_fragment(request->wsi, request->query, sizeof(request->query),
					      WSI_TOKEN_HTTP_URI_ARGS, i) > 0;
	     i++) {
		if (strncmp(request->query, name, length) == 0 && request->query[length] == '=')
			return request->query + length + 1;
	}
	return NULL;
}

const json_t *http_request_body(const struct http_request *request)
{
	return request->body;
}

void http_answer_text(struct http_request *request, const char *content_type, const char *text,
		      size_t size)
{
	char *answer = malloc(size + 1);

	if (!answer)
		return; /* no answer is a 500 */
	memcpy(answer, text, size);
	answer[size] = '\0';
	free(request->answer);
	request->answer = answer;
	request->answer_size = size;
	request->content_type = content_type;
}

void http_answer_json(struct http_request *request, json_t *body)
{
	free(request->answer);
	request->answer = body ? json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	request->answer_size = request->answer ? strlen(request->answer) : 0;
	request->content_type = "application/json";
	json_decref(body);
}

static int status_of(int code)
{
	switch (code) {
	case -EINVAL:
		return HTTP_STATUS_BAD_REQUEST;
	case -EACCES:
		return HTTP_STATUS_UNAUTHORIZED;
	case -EPERM:
		return HTTP_STATUS_FORBIDDEN;
	case -ENOENT:
		return HTTP_STATUS_NOT_FOUND;
	case -EALREADY:
	case -EBUSY:
		return HTTP_STATUS_CONFLICT;
	case -E2BIG:
		return HTTP_STATUS_REQ_ENTITY_TOO_LARGE;
	case -EROFS:
	case -ENOSPC:
		return HTTP_STATUS_SERVICE_UNAVAILABLE;
	default:
		return HTTP_STATUS_INTERNAL_SERVER_ERROR;
	}
}

int http_refuse(struct http_request *request, int status, const char *text)
{
	static const char instead[] = "{\"error\":\"the reason cannot be told\"}";

	http_answer_json(request, json_pack("{s:s}", "error", text));
	if (!request->answer)
		http_answer_text(request, "application/json", instead, sizeof(instead) - 1);
	return status;
}

int http_refuse_error(struct http_request *request, int code, const struct error *err)
{
	return http_refuse(request, status_of(code), error_text(err, code));
}
