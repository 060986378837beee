/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "bus/link.h"

enum { RETRY_MSEC_MIN = 200, RETRY_MSEC_MAX = 15000 };

struct bus_client {
	struct lws_context *context;
	struct lws_vhost *vhost;
	void *loops[1];
	uv_loop_t *loop;
	uv_timer_t *retry; /* outlives the client until its close callback */
	unsigned retry_msec;
	char *host;
	uint16_t port;
	struct bus_client_ops ops;
	void *userdata;
	struct lws *wsi; /* NULL: no connection, none under way */
	bool open;
	char peer_name[BUS_NAME_MAX + 1]; /* while it is open */
	struct link link;
	char peer_reason[BUS_REASON_MAX + 1];
};

DEFINE_CLEANUP(struct bus_client *, bus_client_free)

static struct bus_client *client_of(struct lws *wsi)
{
	return lws_context_user(lws_get_context(wsi));
}

static bool is_address(const char *host)
{
	unsigned char address[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

/* lws compares the server's name as a host name; an IP address is ours to demand. */
static int prepare_tls(struct lws *wsi, void *ssl_context)
{
	const struct bus_client *client = client_of(wsi);

	if (is_address(client->host) &&
	    X509_VERIFY_PARAM_set1_ip_asc(SSL_CTX_get0_param(ssl_context), client->host) != 1)
		return -1;
	return link_restrict_tls(ssl_context);
}

static void close_timer(uv_handle_t *handle)
{
	free(handle);
}

static void connect_now(struct bus_client *client);

static void on_retry(uv_timer_t *timer)
{
	connect_now(timer->data);
}

static void schedule_retry(struct bus_client *client)
{
	/* a quarter either way, so that many nodes do not come back together */
	unsigned jitter = (unsigned)random() % (client->retry_msec / 2 + 1);
	unsigned wait = client->retry_msec - client->retry_msec / 4 + jitter;

	(void)uv_timer_start(client->retry, on_retry, wait, 0);
	client->retry_msec *= 2;
	if (client->retry_msec > RETRY_MSEC_MAX)
		client->retry_msec = RETRY_MSEC_MAX;
}

static void on_gone(struct bus_client *client, const char *reason)
{
	link_deinit(&client->link);
	client->wsi = NULL;
	client->open = false;
	client->peer_name[0] = '\0';
	schedule_retry(client);
	client->ops.closed(client->userdata, reason);
}

static void connect_now(struct bus_client *client)
{
	struct lws_client_connect_info info = {
		.context = client->context,
		.vhost = client->vhost,
		.address = client->host,
		.port = client->port,
		.path = "/",
		.host = client->host,
		.origin = client->host,
		.protocol = BUS_PROTOCOL_NAME,
		.ssl_connection = LCCSCF_USE_SSL,
		.pwsi = &client->wsi,
		.retry_and_idle_policy = &link_idle_policy,
	};

	if (is_address(client->host)) /* prepare_tls() demands it */
		info.ssl_connection |= LCCSCF_SKIP_SERVER_CERT_HOSTNAME_CHECK;
	client->peer_reason[0] = '\0';
	link_clear_complaint();
	if (!lws_client_connect_via_info(&info) && !uv_is_active((uv_handle_t *)client->retry))
		on_gone(client, "the connection could not be begun");
}

static void on_connection_error(struct bus_client *client, const char *text, size_t length)
{
	char reason[256];

	(void)snprintf(reason, sizeof(reason), "cannot reach %s port %u: %.*s", client->host,
		       client->port, (int)length, text ? text : "");
	on_gone(client, reason);
}

static void on_closed(struct bus_client *client)
{
	on_gone(client, client->peer_reason[0] ? client->peer_reason
					       : "the connection to the controller was lost");
}

static int receive(struct bus_client *client, struct lws *wsi, const void *in, size_t len)
{
	int r = link_receive(&client->link, wsi, in, len);

	if (r <= 0)
		return r;
	if (lws_frame_is_binary(wsi))
		return client->ops.received(client->userdata, client->link.received,
					    client->link.received_size);
	/* a text frame says why the connection is going to end */
	(void)snprintf(client->peer_reason, sizeof(client->peer_reason), "%.*s",
		       (int)client->link.received_size, (const char *)client->link.received);
	return 0;
}

static int serve(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
		 size_t len)
{
	struct bus_client *client = client_of(wsi);

	/* NOLINTNEXTLINE: lws has a hundred reasons, these are ours */
	switch ((int)reason) {
	case LWS_CALLBACK_OPENSSL_LOAD_EXTRA_CLIENT_VERIFY_CERTS:
		return prepare_tls(wsi, user);
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
		on_connection_error(client, in, len);
		return 0;
	case LWS_CALLBACK_CLIENT_ESTABLISHED:
		client->open = true;
		client->retry_msec = RETRY_MSEC_MIN;
		if (link_peer_name(wsi, client->peer_name) < 0)
			client->peer_name[0] = '\0'; /* verified, but of no name */
		client->ops.opened(client->userdata);
		return 0;
	case LWS_CALLBACK_CLIENT_WRITEABLE:
		return link_write(&client->link, wsi);
	case LWS_CALLBACK_CLIENT_RECEIVE:
		return receive(client, wsi, in, len) >= 0 ? 0 : -1;
	case LWS_CALLBACK_CLIENT_CLOSED:
		on_closed(client);
		return 0;
	default:
		return lws_callback_http_dummy(wsi, reason, user, in, len);
	}
}

static const struct lws_protocols protocols[] = {
	{.name = BUS_PROTOCOL_NAME, .callback = serve, .rx_buffer_size = 65536},
	{0},
};

static int create_context(struct bus_client *client, const struct bus_tls *tls, struct error *err)
{
	struct lws_context_creation_info info = {0};

	link_fill_info(&info, client->loops);
	link_clear_complaint();
	info.port = CONTEXT_PORT_NO_LISTEN;
	info.protocols = protocols;
	info.user = client;
	info.client_ssl_ca_filepath = tls->ca_file;
	info.client_ssl_cert_filepath = tls->certificate_file;
	info.client_ssl_private_key_filepath = tls->key_file;
	info.vhost_name = "bus";
	info.options |= LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS;
	client->context = lws_create_context(&info);
	if (client->context)
		client->vhost = lws_create_vhost(client->context, &info);
	if (!client->vhost)
		return error_set(err, -EINVAL, "cannot use %s, %s and %s for TLS: %s", tls->ca_file,
				 tls->certificate_file, tls->key_file, link_last_complaint());
	return 0;
}

static int create_timer(struct bus_client *client, struct error *err)
{
	client->retry = calloc(1, sizeof(*client->retry));
	if (!client->retry)
		return error_set(err, -ENOMEM, "out of memory");
	(void)uv_timer_init(client->loop, client->retry); /* cannot fail */
	client->retry->data = client;
	return 0;
}

int bus_client_new(uv_loop_t *loop, const char *host, uint16_t port, const struct bus_tls *tls,
		   const struct bus_client_ops *ops, void *userdata, struct bus_client **ret_client,
		   struct error *err)
{
	cleanup(bus_client_free) struct bus_client *client = calloc(1, sizeof(*client));
	int r;

	if (!client || !(client->host = strdup(host)))
		return error_set(err, -ENOMEM, "out of memory");
	client->loop = loop;
	client->loops[0] = loop;
	client->port = port;
	client->ops = *ops;
	client->userdata = userdata;
	client->retry_msec = RETRY_MSEC_MIN;
	r = create_context(client, tls, err);
	if (r == 0)
		r = create_timer(client, err);
	if (r < 0)
		return r;
	(void)uv_timer_start(client->retry, on_retry, 0, 0);
	*ret_client = keep(client);
	return 0;
}

static void ignore_closed(void *userdata, const char *reason)
{
}

struct bus_client *bus_client_free(struct bus_client *client)
{
	if (!client)
		return NULL;
	client->ops.closed = ignore_closed;
	if (client->context)
		lws_context_destroy(client->context);
	link_deinit(&client->link);
	if (client->retry)
		uv_close((uv_handle_t *)client->retry, close_timer);
	free(client->host);
	free(client);
	return NULL;
}

const char *bus_client_peer_name(const struct bus_client *client)
{
	return client->peer_name;
}

void bus_client_close(struct bus_client *client, const char *reason)
{
	if (!client->open)
		return;
	(void)snprintf(client->peer_reason, sizeof(client->peer_reason), "%s", reason);
	(void)snprintf(client->link.close_reason, sizeof(client->link.close_reason), "%s", reason);
	client->link.reason_written = true; /* it is ours, the server is told nothing */
	lws_callback_on_writable(client->wsi);
}

int bus_client_send(struct bus_client *client, const uint8_t *data, size_t size)
{
	int r;

	if (!client->open)
		return -ENOTCONN;
	r = link_queue(&client->link, data, size);
	if (r == 0)
		lws_callback_on_writable(client->wsi);
	return r;
}
