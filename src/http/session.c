/* SPDX-License-Identifier: Apache-2.0 */
#include "http/session.h"

#include <string.h>

#include "base/log.h"

enum { CHUNK_SIZE = 32768, HEADERS_SIZE = 2048, LINGER_SEC = 2, IGNORED_MAX = 1 << 20 };

static const struct http_server *server_of(struct lws *wsi)
{
	return lws_context_user(lws_get_context(wsi));
}

static void restart_clock(struct lws *wsi)
{
	lws_set_timeout(wsi, PENDING_TIMEOUT_HTTP_CONTENT, (int)server_of(wsi)->timeout_sec);
}

void http_session_deinit(struct http_session *session)
{
	http_request_deinit(&session->request);
	http_body_deinit(&session->body);
	*session = (struct http_session){0};
}

/* Answers */

static int add_header(struct lws *wsi, const char *name, const char *value, unsigned char **p,
		      unsigned char *end)
{
	return lws_add_http_header_by_name(wsi, (const unsigned char *)name,
					   (const unsigned char *)value, (int)strlen(value), p,
					   end);
}

static int write_headers(const struct http_session *session, int status)
{
	unsigned char buffer[LWS_PRE + HEADERS_SIZE], *start = buffer + LWS_PRE, *p = start;
	unsigned char *end = buffer + sizeof(buffer) - 1;
	const struct http_request *request = &session->request;
	struct lws *wsi = request->wsi;

	if (lws_add_http_common_headers(wsi, (unsigned int)status, request->content_type,
					request->answer_size, &p, end) ||
	    add_header(wsi, "cache-control:", "no-store", &p, end) ||
	    add_header(wsi, "x-content-type-options:", "nosniff", &p, end))
		return -1;
	if (request->allow && add_header(wsi, "allow:", request->allow, &p, end))
		return -1;
	if (status == HTTP_STATUS_UNAUTHORIZED &&
	    add_header(wsi, "www-authenticate:", "Bearer", &p, end))
		return -1;
	if (session->last && add_header(wsi, "connection:", "close", &p, end))
		return -1;
	return lws_finalize_write_http_header(wsi, start, &p, end) ? -1 : 0;
}

static void log_request(const struct http_request *request, int status)
{
	enum log_level level =
		request->method == HTTP_METHOD_GET || request->method == HTTP_METHOD_HEAD
			? LOG_LEVEL_DEBUG
			: LOG_LEVEL_INFO;

	log_write(level, "%s %s from %s: %d, %zu bytes", http_method_name(request->method),
		  request->path, request->peer, status, request->answer_size);
}

static int answer(struct http_session *session, int status)
{
	struct http_request *request = &session->request;

	log_request(request, status);
	if (!request->answer || write_headers(session, status) < 0)
		return -1;
	session->state = HTTP_SESSION_ANSWERING;
	session->written = request->method == HTTP_METHOD_HEAD ? request->answer_size : 0;
	lws_callback_on_writable(request->wsi);
	return 0;
}

/* The answer is written. */
static int end(struct http_session *session)
{
	struct lws *wsi = session->request.wsi;
	bool last = session->last;

	if (last && session->body.stage != HTTP_BODY_COMPLETE) {
		session->state = HTTP_SESSION_LINGERING;
		lws_set_timer_usecs(wsi, LINGER_SEC * LWS_US_PER_SEC);
		return 0;
	}
	http_session_deinit(session);
	return last || lws_http_transaction_completed(wsi) ? -1 : 0;
}

int http_session_write(struct http_session *session)
{
	unsigned char buffer[LWS_PRE + CHUNK_SIZE];
	struct http_request *request = &session->request;
	size_t rest = request->answer_size - session->written;
	size_t size = rest < CHUNK_SIZE ? rest : CHUNK_SIZE;

	if (session->state != HTTP_SESSION_ANSWERING)
		return 0;
	if (rest == 0)
		return end(session);
	memcpy(buffer + LWS_PRE, request->answer + session->written, size);
	if (lws_write(request->wsi, buffer + LWS_PRE, size,
		      size == rest ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) < 0)
		return -1;
	session->written += size;
	restart_clock(request->wsi);
	if (size == rest)
		return end(session);
	lws_callback_on_writable(request->wsi);
	return 0;
}

/* Requests. From here on a status of 0 means: not answered yet. */

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

static int authorize(const struct http_server *server, struct http_request *request)
{
	struct error err = ERROR_INIT;
	int r = 0;

	if (server->authorize)
		r = server->authorize(server->userdata, request, request->route->right, &err);
	return r < 0 ? http_refuse_error(request, r, &err) : 0;
}

static int refuse_type(struct http_request *request)
{
	return http_refuse(request, HTTP_STATUS_UNSUPPORTED_MEDIA_TYPE,
			   "the body must be JSON, with Content-Type: application/json");
}

static int examine_body(struct http_session *session)
{
	struct error err = ERROR_INIT;
	bool empty = session->body.stage != HTTP_BODY_SIZED; /* a chunked one as far as is known */
	int r;

	if (session->request.method != HTTP_METHOD_POST)
		return session->body.stage == HTTP_BODY_COMPLETE
			       ? 0
			       : http_refuse(&session->request, HTTP_STATUS_BAD_REQUEST,
					     "only a POST may have a body");
	if (!http_body_type_fits(session->request.wsi, empty))
		return refuse_type(&session->request);
	r = http_body_check_size(&session->body, &err);
	return r < 0 ? http_refuse_error(&session->request, r, &err) : 0;
}

static int examine(struct http_session *session, const char *path)
{
	struct http_request *request = &session->request;
	const struct http_server *server = server_of(request->wsi);
	struct error err = ERROR_INIT;
	int r = http_body_init(&session->body, request->wsi, &err), status;

	if (r < 0)
		return http_refuse_error(request, r, &err);
	if (!host_is_ours(server, request->wsi))
		return http_refuse(request, HTTP_STATUS_FORBIDDEN,
				   "this address only answers to the names of loopback");
	status = http_request_find_route(request, server->routes, server->count, path);
	if (status == 0)
		status = authorize(server, request);
	return status == 0 ? examine_body(session) : status;
}

static int handle(struct http_request *request)
{
	const struct http_server *server = server_of(request->wsi);
	struct error err = ERROR_INIT;
	int status = request->route->handle(server->userdata, request, &err);

	if (status < 0)
		return http_refuse_error(request, status, &err);
	if (!request->answer || request->answer_size > HTTP_ANSWER_SIZE_MAX)
		return http_refuse(request, HTTP_STATUS_INTERNAL_SERVER_ERROR,
				   "no answer could be made");
	return status;
}

/* The body is there. */
static int complete(struct http_session *session)
{
	struct http_request *request = &session->request;
	struct error err = ERROR_INIT;
	int r;

	if (!http_body_type_fits(request->wsi, session->body.size == 0))
		return answer(session, refuse_type(request));
	r = http_body_parse(&session->body, &request->body, &err);
	if (r < 0)
		return answer(session, http_refuse_error(request, r, &err));
	return answer(session, handle(request));
}

int http_session_begin(struct http_session *session, struct lws *wsi, const char *path)
{
	int status;

	if (session->state != HTTP_SESSION_IDLE)
		return -1; /* the next request came before this one was answered */
	http_request_init(&session->request, wsi, path);
	status = examine(session, path);
	session->last = (session->request.method != HTTP_METHOD_GET &&
			 session->request.method != HTTP_METHOD_HEAD) ||
			session->body.stage != HTTP_BODY_COMPLETE;
	if (status != 0)
		return answer(session, status);
	if (session->request.method != HTTP_METHOD_POST)
		return answer(session, handle(&session->request));
	if (session->body.stage == HTTP_BODY_COMPLETE)
		return complete(session);
	session->state = HTTP_SESSION_RECEIVING;
	/* ended by http_session_expire(), unless it is answered by then: lws' own clock begins
	 * again with every byte */
	lws_set_timer_usecs(wsi, server_of(wsi)->timeout_sec * LWS_US_PER_SEC);
	return 0;
}

/* The answer does not depend on the rest of the body, but the sender is still at it. */
static int ignore(struct http_session *session, size_t size)
{
	struct http_body *body = &session->body;

	session->ignored += size;
	if (session->ignored > IGNORED_MAX)
		return -1;
	if (body->stage == HTTP_BODY_SIZED) {
		body->remaining -= size < body->remaining ? size : body->remaining;
		if (body->remaining == 0)
			body->stage = HTTP_BODY_COMPLETE;
	}
	return session->state == HTTP_SESSION_LINGERING && body->stage == HTTP_BODY_COMPLETE ? -1
											     : 0;
}

int http_session_receive(struct http_session *session, const char *data, size_t size)
{
	struct error err = ERROR_INIT;
	int r;

	if (session->state != HTTP_SESSION_RECEIVING)
		return ignore(session, size);
	r = http_body_take(&session->body, data, size, &err);
	if (r < 0)
		return answer(session, http_refuse_error(&session->request, r, &err));
	return r > 0 ? complete(session) : 0;
}

int http_session_received(struct http_session *session)
{
	restart_clock(session->request.wsi);
	return 0;
}

int http_session_expire(struct http_session *session)
{
	if (session->state == HTTP_SESSION_LINGERING)
		return -1;
	if (session->state != HTTP_SESSION_RECEIVING)
		return 0;
	return answer(session, http_refuse(&session->request, HTTP_STATUS_REQUEST_TIMEOUT,
					   "the body did not arrive in time"));
}
