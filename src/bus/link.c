/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/link.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

struct link_message {
	struct link_message *next;
	size_t size;
	uint8_t data[]; /* LWS_PRE bytes of room, then the message */
};

const lws_retry_bo_t link_idle_policy = {
	.secs_since_valid_ping = 10,
	.secs_since_valid_hangup = 20,
};

/* lws logs through one function of the process: kept for messages, and passed on at debug. */
static char last_complaint[256];

static void take_log(int level, const char *line)
{
	size_t length = strcspn(line, "\n");

	if (level & (LLL_ERR | LLL_WARN))
		(void)snprintf(last_complaint, sizeof(last_complaint), "%.*s", (int)length, line);
	log_debug("libwebsockets: %.*s", (int)length, line);
}

const char *link_last_complaint(void)
{
	return last_complaint;
}

void link_clear_complaint(void)
{
	last_complaint[0] = '\0';
}

void link_fill_info(struct lws_context_creation_info *info, void **loops)
{
	lws_set_log_level(LLL_ERR | LLL_WARN, take_log);
	info->foreign_loops = loops;
	info->gid = (gid_t)-1;
	info->uid = (uid_t)-1;
	info->options |= LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
	info->retry_and_idle_policy = &link_idle_policy;
	info->timeout_secs = 10;
	info->pt_serv_buf_size = 65536;
}

int link_restrict_tls(void *ssl_context)
{
	return SSL_CTX_set_min_proto_version(ssl_context, TLS1_3_VERSION) ? 0 : -1;
}

int link_peer_name(struct lws *wsi, char *ret_name)
{
	union {
		union lws_tls_cert_info_results result;
		char room[sizeof(union lws_tls_cert_info_results) + 256];
	} info = {0};

	if (lws_tls_peer_cert_info(wsi, LWS_TLS_CERT_INFO_VERIFIED, &info.result, 0) != 0 ||
	    !info.result.verified)
		return -EACCES;
	if (lws_tls_peer_cert_info(wsi, LWS_TLS_CERT_INFO_COMMON_NAME, &info.result, 256) != 0)
		return -EACCES;
	if (info.result.ns.len < 1 || info.result.ns.len > BUS_NAME_MAX)
		return -EACCES;
	memcpy(ret_name, info.result.ns.name, (size_t)info.result.ns.len);
	ret_name[info.result.ns.len] = '\0';
	return strlen(ret_name) == (size_t)info.result.ns.len ? 0 : -EACCES;
}

void link_deinit(struct link *link)
{
	while (link->first) {
		struct link_message *message = link->first;

		link->first = message->next;
		free(message);
	}
	free(link->received);
	*link = (struct link){0};
}

int link_queue(struct link *link, const uint8_t *data, size_t size)
{
	struct link_message *message;

	if (size == 0 || size > BUS_MESSAGE_SIZE_MAX)
		return -EMSGSIZE;
	if (link->queued + size > BUS_QUEUE_SIZE_MAX)
		return -ENOBUFS;
	message = malloc(sizeof(*message) + LWS_PRE + size);
	if (!message)
		return -ENOMEM;
	message->next = NULL;
	message->size = size;
	memcpy(message->data + LWS_PRE, data, size);
	if (link->first)
		link->last->next = message;
	else
		link->first = message;
	link->last = message;
	link->queued += size;
	return 0;
}

/* The last frame is a text frame that says why: a close frame's reason does not reach lws' clients.
 */
static int write_reason(struct link *link, struct lws *wsi)
{
	unsigned char frame[LWS_PRE + sizeof(link->close_reason)];
	size_t length = strlen(link->close_reason);

	if (link->reason_written)
		return -1;
	memcpy(frame + LWS_PRE, link->close_reason, length);
	if (lws_write(wsi, frame + LWS_PRE, length, LWS_WRITE_TEXT) < 0)
		return -1;
	link->reason_written = true;
	lws_callback_on_writable(wsi);
	return 0;
}

int link_write(struct link *link, struct lws *wsi)
{
	struct link_message *message = link->first;
	int written;

	if (!message)
		return link->close_reason[0] ? write_reason(link, wsi) : 0;
	link->first = message->next;
	link->queued -= message->size;
	/* lws keeps what the socket does not take at once */
	written = lws_write(wsi, message->data + LWS_PRE, message->size, LWS_WRITE_BINARY);
	free(message);
	if (written < 0)
		return -1;
	if (link->first || link->close_reason[0])
		lws_callback_on_writable(wsi);
	return 0;
}

static int append(struct link *link, const void *data, size_t size, size_t expected)
{
	size_t needed = link->received_size + size + expected;

	if (needed > BUS_MESSAGE_SIZE_MAX)
		return -EMSGSIZE;
	if (needed > link->received_capacity) {
		uint8_t *grown = realloc(link->received, needed);

		if (!grown)
			return -ENOMEM;
		link->received = grown;
		link->received_capacity = needed;
	}
	if (size > 0)
		memcpy(link->received + link->received_size, data, size);
	link->received_size += size;
	return 0;
}

int link_receive(struct link *link, struct lws *wsi, const void *data, size_t size)
{
	size_t remaining = lws_remaining_packet_payload(wsi);
	int r;

	if (lws_is_first_fragment(wsi))
		link->received_size = 0;
	r = append(link, data, size, remaining);
	if (r < 0)
		return r;
	return remaining == 0 && lws_is_final_fragment(wsi) ? 1 : 0;
}
