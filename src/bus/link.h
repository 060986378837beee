#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What both ends of a connection share: the queue of messages to send, the reassembly of the one
 * being received, and the common part of the libwebsockets settings. Embedded; on the loop's
 * thread.
 */
#include <libwebsockets.h>
#include <stdbool.h>

#include "bus/bus.h"

#define BUS_PROTOCOL_NAME "atom.v1"

struct link_message;

struct link {
	struct link_message *first, *last;
	size_t queued; /* bytes */
	uint8_t *received;
	size_t received_size, received_capacity;
	char close_reason[BUS_REASON_MAX + 1]; /* non-empty: close when the queue is out */
	bool reason_written;
};

void link_deinit(struct link *link);

/* Copies the message to the end of the queue; -ENOBUFS beyond BUS_QUEUE_SIZE_MAX, -EMSGSIZE. */
int link_queue(struct link *link, const uint8_t *data, size_t size);

/* On a writable callback: writes the next message, or closes. Negative: give the connection up. */
int link_write(struct link *link, struct lws *wsi);

/* On a receive callback: 1 when link->received holds a whole message, 0 for a part, negative errno.
 */
int link_receive(struct link *link, struct lws *wsi, const void *data, size_t size);

/* Ping an idle connection every 10 s, drop it without an answer in 10 s more. */
extern const lws_retry_bo_t link_idle_policy;

/* The settings common to server and client. `loops` must live as long as the context. */
void link_fill_info(struct lws_context_creation_info *info, void **loops);

/* TLS 1.3 and nothing older. Returns 0, or -1 for a callback to pass on. */
int link_restrict_tls(void *ssl_context);

/* The common name of the peer's verified certificate; TLS has checked chain, dates and purpose
 * already. ret_name has BUS_NAME_MAX + 1. -EACCES: it has none that is a name. */
int link_peer_name(struct lws *wsi, char *ret_name);

/* What lws said last at its levels error and warning, for messages to people; "" when nothing. */
const char *link_last_complaint(void);
void link_clear_complaint(void);
