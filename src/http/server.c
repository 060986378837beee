/* SPDX-License-Identifier: Apache-2.0 */
#include "http/server.h"

#include <assert.h>
#include <errno.h>
#include <libwebsockets.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "http/session.h"
#include "http/tls.h"

/* Ours ends a slow body before lws ends the connection, so that there is an answer. */
enum { CONNECTIONS_MAX = 256, GRACE_SEC = 5 };

DEFINE_CLEANUP(struct http_server *, http_server_free)

static int serve(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
		 size_t len)
{
	struct http_session *session = user;

	/* NOLINTNEXTLINE: lws has a hundred reasons, these are ours */
	switch ((int)reason) {
	case LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS:
		return http_tls_restrict(user);
	case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE: /* neither WebSocket nor HTTP/2, nor a tunnel */
	case LWS_CALLBACK_RAW_ADOPT:
	case LWS_CALLBACK_RAW_RX:
		return -1;
	case LWS_CALLBACK_HTTP:
		return http_session_begin(session, wsi, in);
	case LWS_CALLBACK_HTTP_BODY:
		return http_session_receive(session, in, len);
	case LWS_CALLBACK_HTTP_BODY_COMPLETION:
		return http_session_received(session);
	case LWS_CALLBACK_HTTP_WRITEABLE:
		return http_session_write(session);
	case LWS_CALLBACK_TIMER:
		return session ? http_session_expire(session) : 0;
	case LWS_CALLBACK_CLOSED_HTTP:
		if (session)
			http_session_deinit(session);
		return 0;
	default:
		return lws_callback_http_dummy(wsi, reason, user, in, len);
	}
}

static const struct lws_protocols protocols[] = {
	{.name = "http", .callback = serve, .per_session_data_size = sizeof(struct http_session)},
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

static bool is_any(const char *address)
{
	return !*address || strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0;
}

static bool is_given(const char *file)
{
	return file && *file;
}

static int fill_tls(struct lws_context_creation_info *info,
		    const struct http_server_options *options, struct error *err)
{
	int r;

	if (is_given(options->certificate_file) != is_given(options->key_file))
		return error_set(err, -EINVAL,
				 "HTTPS needs both a certificate and a key: only %s is given",
				 is_given(options->key_file) ? options->key_file
							     : options->certificate_file);
	if (!is_given(options->certificate_file))
		return 0;
	r = http_tls_check(options->certificate_file, options->key_file, err);
	if (r < 0)
		return r;
	info->ssl_cert_filepath = options->certificate_file;
	info->ssl_private_key_filepath = options->key_file;
	info->alpn = "http/1.1";
	info->options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
	return 0;
}

static int create_context(struct http_server *server, const struct http_server_options *options,
			  struct error *err)
{
	struct lws_context_creation_info info = {
		.port = options->port,
		.iface = is_any(server->address) ? NULL : server->address,
		.protocols = protocols,
		.user = server,
		.foreign_loops = server->loops,
		.gid = (gid_t)-1,
		.uid = (uid_t)-1,
		.vhost_name = "api",
		.timeout_secs = server->timeout_sec + GRACE_SEC,
		.keepalive_timeout = (int)server->timeout_sec,
		.max_http_header_pool = CONNECTIONS_MAX,
		.max_http_header_data = 8192,
		.options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
			   LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND,
	};
	int r = fill_tls(&info, options, err);

	if (r < 0)
		return r;
	if (!strchr(server->address, ':'))
		info.options |= LWS_SERVER_OPTION_DISABLE_IPV6;
	lws_set_log_level(LLL_ERR | LLL_WARN, take_log);
	server->context = lws_create_context(&info);
	if (server->context)
		server->vhost = lws_create_vhost(server->context, &info);
	if (!server->vhost)
		return error_set(err, -EADDRINUSE,
				 "cannot listen for HTTP at %s port %u: address in use, or not of "
				 "this machine",
				 server->address, options->port);
	return 0;
}

static void check_routes(const struct http_route *routes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		assert(strcmp(routes[i].method, "GET") == 0 ||
		       strcmp(routes[i].method, "POST") == 0);
}

int http_server_new(uv_loop_t *loop, const struct http_server_options *options,
		    struct http_server **ret_server, struct error *err)
{
	cleanup(http_server_free) struct http_server *server = calloc(1, sizeof(*server));
	int r;

	check_routes(options->routes, options->count);
	if (!server || !(server->address = strdup(options->address)))
		return error_set(err, -ENOMEM, "out of memory");
	server->loops[0] = loop;
	server->routes = options->routes;
	server->count = options->count;
	server->authorize = options->authorize;
	server->userdata = options->userdata;
	server->timeout_sec = options->timeout_sec ? options->timeout_sec : HTTP_TIMEOUT_SEC;
	server->loopback = is_loopback(options->address);
	r = create_context(server, options, err);
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
