/* SPDX-License-Identifier: Apache-2.0 */
#include "http/server.h"

#include <errno.h>
#include <libwebsockets.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"

enum { CHUNK_SIZE = 32768, HEADERS_SIZE = 2048, CONNECTIONS_MAX = 256, TIMEOUT_SEC = 20 };

struct http_server {
	struct lws_context *context;
	struct lws_vhost *vhost;
	void *loops[1];
	const struct http_route *routes;
	size_t count;
	void *userdata;
	bool loopback;
	char *address;
};

struct http_request {
	struct lws *wsi;
	size_t parameter_count;
	char parameters[HTTP_PATH_PARAMETERS_MAX][HTTP_PARAMETER_SIZE];
	char query[HTTP_PARAMETER_SIZE];
	const char *content_type;
	char *body;
	size_t body_size;
};

/* The session that lws keeps per connection: what is left to write. */
struct session {
	char *body;
	size_t size, written;
};

DEFINE_CLEANUP(struct http_server *, http_server_free)

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

void http_answer_text(struct http_request *request, const char *content_type, const char *text,
		      size_t size)
{
	char *body = malloc(size + 1);

	if (!body)
		return; /* an answer without a body is a 500 */
	memcpy(body, text, size);
	body[size] = '\0';
	free(request->body);
	request->body = body;
	request->body_size = size;
	request->content_type = content_type;
}

void http_answer_json(struct http_request *request, json_t *body)
{
	free(request->body);
	request->body = body ? json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	request->body_size = request->body ? strlen(request->body) : 0;
	request->content_type = "application/json";
	json_decref(body);
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
		memcpy(request->parameters[request->parameter_count], path, length);
		request->parameters[request->parameter_count++][length] = '\0';
		path += length;
		pattern += strcspn(pattern, "}") + 1;
	}
	return !*path;
}

static int status_of(int code)
{
	switch (code) {
	case -EINVAL:
		return HTTP_STATUS_BAD_REQUEST;
	case -ENOENT:
		return HTTP_STATUS_NOT_FOUND;
	default:
		return HTTP_STATUS_INTERNAL_SERVER_ERROR;
	}
}

static int answer_error(struct http_request *request, int status, const char *text)
{
	http_answer_json(request, json_pack("{s:s}", "error", text));
	return status;
}

static int answer(const struct http_server *server, struct http_request *request, const char *path)
{
	for (size_t i = 0; i < server->count; i++) {
		struct error err = ERROR_INIT;
		int status;

		if (!match(server->routes[i].path, path, request))
			continue;
		status = server->routes[i].handle(server->userdata, request, &err);
		if (status < 0)
			return answer_error(request, status_of(status), error_text(&err, status));
		if (!request->body || request->body_size > HTTP_ANSWER_SIZE_MAX)
			return answer_error(request, HTTP_STATUS_INTERNAL_SERVER_ERROR,
					    "no answer could be made");
		return status;
	}
	return answer_error(request, HTTP_STATUS_NOT_FOUND, "there is nothing at this path");
}

/* "name:port", "[v6]:port", "name" without the port; in place. */
static void cut_port(char *host)
{
	char *colon = strrchr(host, ':');

	if (colon && (strchr(host, ':') == colon || (colon > host && colon[-1] == ']')))
		*colon = '\0';
}

static bool host_is_ours(const struct http_server *server, struct lws *wsi)
{
	static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
	char host[HTTP_PARAMETER_SIZE];

	if (!server->loopback)
		return true;
	if (lws_hdr_copy(wsi, host, sizeof(host), WSI_TOKEN_HOST) <= 0)
		return false;
	cut_port(host);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcasecmp(host, names[i]) == 0)
			return true;
	return strcmp(host, server->address) == 0;
}

static int add_header(struct lws *wsi, const char *name, const char *value, unsigned char **p,
		      unsigned char *end)
{
	return lws_add_http_header_by_name(wsi, (const unsigned char *)name,
					   (const unsigned char *)value, (int)strlen(value), p,
					   end);
}

static int write_headers(struct lws *wsi, int status, const struct http_request *request)
{
	unsigned char buffer[LWS_PRE + HEADERS_SIZE], *start = buffer + LWS_PRE, *p = start;
	unsigned char *end = buffer + sizeof(buffer) - 1;

	if (lws_add_http_common_headers(wsi, (unsigned int)status, request->content_type,
					request->body_size, &p, end) ||
	    add_header(wsi, "cache-control:", "no-store", &p, end) ||
	    add_header(wsi, "x-content-type-options:", "nosniff", &p, end))
		return -1;
	if (status == HTTP_STATUS_METHOD_NOT_ALLOWED &&
	    add_header(wsi, "allow:", "GET, HEAD", &p, end))
		return -1;
	return lws_finalize_write_http_header(wsi, start, &p, end) ? -1 : 0;
}

static bool is_method(struct lws *wsi, enum lws_token_indexes token)
{
	return lws_hdr_total_length(wsi, token) > 0;
}

static int begin(struct lws *wsi, struct session *session, const char *path)
{
	const struct http_server *server = lws_context_user(lws_get_context(wsi));
	struct http_request request = {.wsi = wsi};
	bool head = is_method(wsi, WSI_TOKEN_HEAD_URI);
	int status;

	if (!head && !is_method(wsi, WSI_TOKEN_GET_URI))
		status = answer_error(&request, HTTP_STATUS_METHOD_NOT_ALLOWED,
				      "only GET and HEAD are answered");
	else if (!host_is_ours(server, wsi))
		status = answer_error(&request, HTTP_STATUS_FORBIDDEN,
				      "this address only answers to the names of loopback");
	else
		status = answer(server, &request, path);
	log_debug("%s %s: %d, %zu bytes", head ? "HEAD" : "GET", path, status, request.body_size);
	if (!request.body || write_headers(wsi, status, &request) < 0) {
		free(request.body);
		return -1;
	}
	if (head) {
		free(request.body);
		return lws_http_transaction_completed(wsi) ? -1 : 0;
	}
	free(session->body);
	*session = (struct session){.body = request.body, .size = request.body_size};
	lws_callback_on_writable(wsi);
	return 0;
}

static int write_some(struct lws *wsi, struct session *session)
{
	unsigned char buffer[LWS_PRE + CHUNK_SIZE];
	size_t rest = session->size - session->written;
	size_t size = rest < CHUNK_SIZE ? rest : CHUNK_SIZE;

	if (!session->body)
		return 0;
	memcpy(buffer + LWS_PRE, session->body + session->written, size);
	if (lws_write(wsi, buffer + LWS_PRE, size,
		      size == rest ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) < 0)
		return -1;
	session->written += size;
	lws_set_timeout(wsi, PENDING_TIMEOUT_HTTP_CONTENT, TIMEOUT_SEC);
	if (session->written < session->size) {
		lws_callback_on_writable(wsi);
		return 0;
	}
	free(session->body);
	*session = (struct session){0};
	return lws_http_transaction_completed(wsi) ? -1 : 0;
}

static int serve(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
		 size_t len)
{
	struct session *session = user;

	/* NOLINTNEXTLINE: lws has a hundred reasons, these are ours */
	switch ((int)reason) {
	case LWS_CALLBACK_HTTP:
		return begin(wsi, session, in);
	case LWS_CALLBACK_HTTP_WRITEABLE:
		return write_some(wsi, session);
	case LWS_CALLBACK_CLOSED_HTTP:
		if (session)
			free(session->body);
		if (session)
			*session = (struct session){0};
		return 0;
	default:
		return lws_callback_http_dummy(wsi, reason, user, in, len);
	}
}

static const struct lws_protocols protocols[] = {
	{.name = "http", .callback = serve, .per_session_data_size = sizeof(struct session)},
	{0},
};

static void take_log(int level, const char *line)
{
	log_debug("libwebsockets: %.*s", (int)strcspn(line, "\n"), line);
}

static bool is_loopback(const char *address)
{
	return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;
}

static int create_context(struct http_server *server, uint16_t port, struct error *err)
{
	const char *address = server->address;
	bool any = !*address || strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0;
	struct lws_context_creation_info info = {
		.port = port,
		.iface = any ? NULL : address,
		.protocols = protocols,
		.user = server,
		.foreign_loops = server->loops,
		.gid = (gid_t)-1,
		.uid = (uid_t)-1,
		.vhost_name = "api",
		.timeout_secs = TIMEOUT_SEC,
		.keepalive_timeout = TIMEOUT_SEC,
		.max_http_header_pool = CONNECTIONS_MAX,
		.max_http_header_data = 8192,
		.options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
			   LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND,
	};

	if (!strchr(address, ':'))
		info.options |= LWS_SERVER_OPTION_DISABLE_IPV6;
	lws_set_log_level(LLL_ERR | LLL_WARN, take_log);
	server->context = lws_create_context(&info);
	if (server->context)
		server->vhost = lws_create_vhost(server->context, &info);
	if (!server->vhost)
		return error_set(err, -EADDRINUSE,
				 "cannot listen for HTTP at %s port %u: address in use, or not of "
				 "this machine",
				 address, port);
	return 0;
}

int http_server_new(uv_loop_t *loop, const char *address, uint16_t port,
		    const struct http_route *routes, size_t count, void *userdata,
		    struct http_server **ret_server, struct error *err)
{
	cleanup(http_server_free) struct http_server *server = calloc(1, sizeof(*server));
	int r;

	if (!server || !(server->address = strdup(address)))
		return error_set(err, -ENOMEM, "out of memory");
	server->loops[0] = loop;
	server->routes = routes;
	server->count = count;
	server->userdata = userdata;
	server->loopback = is_loopback(address);
	r = create_context(server, port, err);
	if (r < 0)
		return r;
	*ret_server = keep(server);
	return 0;
}

struct http_server *http_server_free(struct http_server *server)
{
	if (!server)
		return NULL;
	if (server->context)
		lws_context_destroy(server->context);
	free(server->address);
	free(server);
	return NULL;
}

uint16_t http_server_port(const struct http_server *server)
{
	return (uint16_t)lws_get_vhost_listen_port(server->vhost);
}
