/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/utf8.h"
#include "bus/link.h"

struct bus_peer {
	struct bus_server *server;
	struct lws *wsi;
	struct link link;
	void *userdata;
	uint64_t bytes_received;
	char name[BUS_NAME_MAX + 1];
	char address[64];
};

struct bus_server {
	struct lws_context *context;
	struct lws_vhost *vhost;
	void *loops[1];
	char *ca_file;
	struct bus_server_ops ops;
	void *userdata;
	size_t peers;
};

/* The session that lws keeps per connection. */
struct session {
	struct bus_peer *peer;
};

DEFINE_CLEANUP(struct bus_server *, bus_server_free)

static struct bus_server *server_of(struct lws *wsi)
{
	return lws_context_user(lws_get_context(wsi));
}

static int load_authority(struct lws *wsi, void *ssl_context)
{
	const struct bus_server *server = server_of(wsi);

	if (SSL_CTX_load_verify_locations(ssl_context, server->ca_file, NULL) != 1)
		return -1;
	return link_restrict_tls(ssl_context);
}

static int open_peer(struct lws *wsi, struct session *session)
{
	struct bus_server *server = server_of(wsi);
	struct bus_peer *peer;

	if (server->peers == BUS_PEERS_MAX)
		return -1;
	peer = calloc(1, sizeof(*peer));
	if (!peer)
		return -1;
	if (link_peer_name(wsi, peer->name) < 0) {
		free(peer);
		return -1;
	}
	peer->server = server;
	peer->wsi = wsi;
	(void)lws_get_peer_simple(wsi, peer->address, sizeof(peer->address));
	session->peer = peer;
	server->peers++;
	server->ops.opened(server->userdata, peer);
	return 0;
}

static void close_peer(struct session *session)
{
	struct bus_peer *peer = session->peer;

	if (!peer)
		return;
	session->peer = NULL;
	peer->server->ops.closed(peer->server->userdata, peer);
	peer->server->peers--;
	link_deinit(&peer->link);
	free(peer);
}

static int receive(struct bus_peer *peer, const void *data, size_t size)
{
	struct bus_server *server = peer->server;
	int r;

	peer->bytes_received += size;
	if (peer->link.close_reason[0])
		return 0; /* told to go: what it still says does not count */
	r = link_receive(&peer->link, peer->wsi, data, size);
	if (r <= 0)
		return r;
	if (!lws_frame_is_binary(peer->wsi))
		return -EPROTO;
	return server->ops.received(server->userdata, peer, peer->link.received,
				    peer->link.received_size);
}

static int serve(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
		 size_t len)
{
	struct session *session = user;

	/* NOLINTNEXTLINE: lws has a hundred reasons, these are ours */
	switch ((int)reason) {
	case LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS:
		return load_authority(wsi, user);
	case LWS_CALLBACK_ESTABLISHED:
		return open_peer(wsi, session);
	case LWS_CALLBACK_SERVER_WRITEABLE:
		return session->peer ? link_write(&session->peer->link, wsi) : -1;
	case LWS_CALLBACK_RECEIVE:
		return session->peer && receive(session->peer, in, len) >= 0 ? 0 : -1;
	case LWS_CALLBACK_CLOSED:
		close_peer(session);
		return 0;
	case LWS_CALLBACK_HTTP: /* the bus speaks WebSocket and nothing else */
		return -1;
	default:
		return lws_callback_http_dummy(wsi, reason, user, in, len);
	}
}

static const struct lws_protocols protocols[] = {
	{.name = BUS_PROTOCOL_NAME,
	 .callback = serve,
	 .per_session_data_size = sizeof(struct session),
	 .rx_buffer_size = 65536},
	{0},
};

static bool is_any(const char *address)
{
	return !*address || strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0;
}

static int create_context(struct bus_server *server, const char *address, uint16_t port,
			  const struct bus_tls *tls, struct error *err)
{
	struct lws_context_creation_info info = {0};

	link_fill_info(&info, server->loops);
	link_clear_complaint();
	info.port = port;
	info.iface = is_any(address) ? NULL : address;
	info.protocols = protocols;
	info.user = server;
	info.ssl_cert_filepath = tls->certificate_file;
	info.ssl_private_key_filepath = tls->key_file;
	info.ssl_ca_filepath = tls->ca_file;
	info.vhost_name = "bus";
	info.options |= LWS_SERVER_OPTION_REQUIRE_VALID_OPENSSL_CLIENT_CERT |
			LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
			LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND;
	if (!strchr(address, ':'))
		info.options |= LWS_SERVER_OPTION_DISABLE_IPV6;
	server->context = lws_create_context(&info);
	if (!server->context)
		return error_set(err, -EIO, "no listener for nodes: %s", link_last_complaint());
	server->vhost = lws_create_vhost(server->context, &info);
	if (!server->vhost)
		return error_set(err, -EADDRINUSE,
				 "cannot listen for nodes at %s port %u (address in use, or not of "
				 "this machine?) with %s, %s and %s: %s",
				 address, port, tls->ca_file, tls->certificate_file, tls->key_file,
				 link_last_complaint());
	return 0;
}

int bus_server_new(uv_loop_t *loop, const char *address, uint16_t port, const struct bus_tls *tls,
		   const struct bus_server_ops *ops, void *userdata, struct bus_server **ret_server,
		   struct error *err)
{
	cleanup(bus_server_free) struct bus_server *server = calloc(1, sizeof(*server));
	int r;

	if (!server || !(server->ca_file = strdup(tls->ca_file)))
		return error_set(err, -ENOMEM, "out of memory");
	server->loops[0] = loop;
	server->ops = *ops;
	server->userdata = userdata;
	r = create_context(server, address, port, tls, err);
	if (r < 0)
		return r;
	*ret_server = keep(server);
	return 0;
}

struct bus_server *bus_server_free(struct bus_server *server)
{
	if (!server)
		return NULL;
	if (server->context)
		lws_context_destroy(server->context);
	free(server->ca_file);
	free(server);
	return NULL;
}

uint16_t bus_server_port(const struct bus_server *server)
{
	return (uint16_t)lws_get_vhost_listen_port(server->vhost);
}

const char *bus_peer_name(const struct bus_peer *peer)
{
	return peer->name;
}

const char *bus_peer_address(const struct bus_peer *peer)
{
	return peer->address;
}

void bus_peer_set_userdata(struct bus_peer *peer, void *userdata)
{
	peer->userdata = userdata;
}

void *bus_peer_userdata(const struct bus_peer *peer)
{
	return peer->userdata;
}

int bus_peer_send(struct bus_peer *peer, const uint8_t *data, size_t size)
{
	int r = link_queue(&peer->link, data, size);

	if (r == 0)
		lws_callback_on_writable(peer->wsi);
	return r;
}

void bus_peer_close(struct bus_peer *peer, const char *reason)
{
	(void)utf8_print(peer->link.close_reason, sizeof(peer->link.close_reason), "%s", reason);
	lws_callback_on_writable(peer->wsi);
}

uint64_t bus_peer_bytes_received(const struct bus_peer *peer)
{
	return peer->bytes_received;
}
