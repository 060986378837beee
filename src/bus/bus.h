#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How messages travel between node and controller: whole binary messages over WebSocket over
 * TLS 1.3 with certificates on both sides. Knows nothing of what is in them. All calls and
 * callbacks on the loop's thread. Callbacks may call anything here, but x_free() of the object that
 * calls them.
 */
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/error.h"

struct bus_server;
struct bus_peer; /* borrowed from `opened` until `closed` returns */
struct bus_client;

enum {
	BUS_MESSAGE_SIZE_MAX = 4 << 20,
	BUS_QUEUE_SIZE_MAX = 16 << 20, /* unsent bytes per connection; beyond: -ENOBUFS */
	BUS_PEERS_MAX = 10000,
	BUS_NAME_MAX = 63,
	BUS_REASON_MAX = 240,
};

struct bus_tls {
	const char *ca_file, *certificate_file, *key_file;
};

struct bus_server_ops {
	void (*opened)(void *userdata, struct bus_peer *peer);
	/* `data` is borrowed during the call. A negative return closes the connection. */
	int (*received)(void *userdata, struct bus_peer *peer, const uint8_t *data, size_t size);
	void (*closed)(void *userdata, struct bus_peer *peer);
};

/* Listens at address ("0.0.0.0", "::", "127.0.0.1") and port (0: any, see bus_server_port()).
 * Errors: a bad certificate or key (says which file and what to do), an address in use. */
int bus_server_new(uv_loop_t *loop, const char *address, uint16_t port, const struct bus_tls *tls,
		   const struct bus_server_ops *ops, void *userdata, struct bus_server **ret_server,
		   struct error *err);
/* Closes all connections (closed is called for each); the loop must run once more before it is
 * closed. */
struct bus_server *bus_server_free(struct bus_server *server);
uint16_t bus_server_port(const struct bus_server *server);

/* The common name of the peer's verified certificate, and its address for people. */
const char *bus_peer_name(const struct bus_peer *peer);
const char *bus_peer_address(const struct bus_peer *peer);
void bus_peer_set_userdata(struct bus_peer *peer, void *userdata);
void *bus_peer_userdata(const struct bus_peer *peer);
int bus_peer_send(struct bus_peer *peer, const uint8_t *data, size_t size);
/* After what is queued has been sent; the client's closed() is given the reason. */
void bus_peer_close(struct bus_peer *peer, const char *reason);
uint64_t bus_peer_bytes_received(const struct bus_peer *peer);

struct bus_client_ops {
	void (*opened)(void *userdata);
	int (*received)(void *userdata, const uint8_t *data, size_t size);
	/* The connection is gone, or could not be made: a sentence for the log. A new attempt
	 * follows by itself. */
	void (*closed)(void *userdata, const char *reason);
};

/* Connects to host:port and keeps trying (0.2 s doubling to 15 s, jittered). The server's
 * certificate must be by the CA and name `host`. Pings an idle connection every 10 s and drops it
 * without an answer in 10 s. */
int bus_client_new(uv_loop_t *loop, const char *host, uint16_t port, const struct bus_tls *tls,
		   const struct bus_client_ops *ops, void *userdata, struct bus_client **ret_client,
		   struct error *err);
struct bus_client *bus_client_free(struct bus_client *client);

/* The common name of the server's verified certificate, borrowed; "" while not connected, and for a
 * certificate without one. */
const char *bus_client_peer_name(const struct bus_client *client);

/* -ENOTCONN while not connected, -ENOBUFS when the peer does not take what it gets. */
int bus_client_send(struct bus_client *client, const uint8_t *data, size_t size);
/* Ends the connection after what is queued has been sent; closed() is given the reason, and a new
 * attempt follows. */
void bus_client_close(struct bus_client *client, const char *reason);
