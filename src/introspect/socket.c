/* SPDX-License-Identifier: Apache-2.0 */
#include "introspect/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "introspect/address_set.h"
#include "introspect/file.h"

enum { FAMILY_INET = 2, FAMILY_INET6 = 10, TYPE_STREAM = 1, TYPE_DATAGRAM = 2 };

const char *socket_state_name(const struct socket *socket)
{
	static const char *const names[] = {
		"",          "ESTABLISHED", "SYN_SENT",    "SYN_RECV",   "FIN_WAIT1",
		"FIN_WAIT2", "TIME_WAIT",   "CLOSE",       "CLOSE_WAIT", "LAST_ACK",
		"LISTEN",    "CLOSING",     "NEW_SYN_RECV"};
	size_t count = sizeof(names) / sizeof(names[0]);

	if (socket->protocol == SOCKET_UDP && socket->state != SOCKET_STATE_ESTABLISHED)
		return "UNCONNECTED";
	return socket->state < count ? names[socket->state] : "";
}

void socket_format_address(const struct socket *socket, bool remote, char text[SOCKET_ADDRESS_SIZE])
{
	(void)inet_ntop(socket->family == FAMILY_INET6 ? AF_INET6 : AF_INET,
			remote ? socket->remote : socket->local, text,
			SOCKET_ADDRESS_SIZE); /* there is room */
}

void socket_format(const struct socket *socket, bool remote, char text[SOCKET_ADDRESS_SIZE])
{
	static const uint8_t any[16];
	uint16_t port = remote ? socket->remote_port : socket->local_port;
	bool is_any = memcmp(remote ? socket->remote : socket->local, any, sizeof(any)) == 0;
	char name[SOCKET_ADDRESS_SIZE];

	if (is_any && port == 0) {
		(void)snprintf(text, SOCKET_ADDRESS_SIZE, "%s", "");
	} else if (is_any) {
		(void)snprintf(text, SOCKET_ADDRESS_SIZE,
			       socket->family == FAMILY_INET6 ? "[::]:%u" : "*:%u", port);
	} else {
		socket_format_address(socket, remote, name);
		(void)snprintf(text, SOCKET_ADDRESS_SIZE,
			       socket->family == FAMILY_INET6 ? "[%.45s]:%u" : "%.45s:%u", name,
			       port);
	}
}

struct reading {
	const struct guest *guest;
	struct socket_list *list;
	size_t capacity;
	struct address_set seen; /* numbers are places in the list */
	const struct task *task;
	uint64_t next_in_chain; /* offset of the chain's node in a sock */
	uint32_t protocol;
};

/* What must be known of every kind of socket: full ones, requests and those in TIME_WAIT. */
static int read_common(const struct guest *guest, struct socket *socket)
{
	uint64_t family, state, number, port;
	int r = guest_field(guest, socket->address, FIELD_SK_FAMILY, &family);

	if (r == 0)
		r = guest_field(guest, socket->address, FIELD_SK_STATE, &state);
	if (r == 0)
		r = guest_field(guest, socket->address, FIELD_SK_NUM, &number);
	if (r == 0)
		r = guest_field(guest, socket->address, FIELD_SK_DPORT, &port);
	if (r < 0)
		return r;
	socket->family = (uint32_t)family;
	socket->state = (uint32_t)state;
	socket->local_port = (uint16_t)number;
	socket->remote_port = ntohs((uint16_t)port);
	if (family == FAMILY_INET) {
		r = guest_read(guest, socket->address + guest_offset(guest, FIELD_SK_LOCAL4),
			       socket->local, 4);
		return r < 0 ? r
			     : guest_read(guest,
					  socket->address + guest_offset(guest, FIELD_SK_REMOTE4),
					  socket->remote, 4);
	}
	if (family != FAMILY_INET6 || !guest_has(guest, FIELD_SK_LOCAL6) ||
	    !guest_has(guest, FIELD_SK_REMOTE6))
		return -ENOENT;
	r = guest_read(guest, socket->address + guest_offset(guest, FIELD_SK_LOCAL6), socket->local,
		       16);
	return r < 0 ? r
		     : guest_read(guest, socket->address + guest_offset(guest, FIELD_SK_REMOTE6),
				  socket->remote, 16);
}

/* Requests and sockets in TIME_WAIT are smaller structures, without what is read here. */
static bool is_full(const struct socket *socket)
{
	return socket->state != SOCKET_STATE_TIME_WAIT && socket->state != SOCKET_STATE_NEW_REQUEST;
}

static void read_rest(const struct guest *guest, struct socket *socket)
{
	uint64_t value;

	if (socket->protocol != SOCKET_TCP || !is_full(socket))
		return;
	if (socket->state == SOCKET_STATE_LISTEN) {
		if (guest_field(guest, socket->address, FIELD_SK_BACKLOG, &value) == 0)
			socket->backlog = (uint32_t)value;
		if (guest_field(guest, socket->address, FIELD_SK_BACKLOG_MAX, &value) == 0)
			socket->backlog_max = (uint32_t)value;
		return;
	}
	socket->has_bytes =
		guest_field(guest, socket->address, FIELD_TCP_RECEIVED, &socket->received_bytes) ==
			0 &&
		guest_field(guest, socket->address, FIELD_TCP_SENT, &socket->sent_bytes) == 0;
}

static int append(struct reading *reading, const struct socket *socket)
{
	struct socket_list *list = reading->list;

	if (list->count == reading->capacity) {
		size_t capacity = reading->capacity ? 2 * reading->capacity : 256;
		struct socket *grown = reallocarray(list->sockets, capacity, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		list->sockets = grown;
		reading->capacity = capacity;
	}
	list->sockets[list->count++] = *socket;
	return 0;
}

/* Adds it, or another holder to the one that is there. */
static int add_socket(struct reading *reading, const struct socket *socket)
{
	uint32_t number;
	int r = address_set_add(&reading->seen, socket->address, &number);

	if (r == 1)
		return append(reading, socket);
	if (r == 0)
		reading->list->sockets[number].holders += socket->holders;
	reading->list->is_cut |= r == -ELOOP;
	return r == -ELOOP ? 0 : r;
}

/* By the descriptors of processes */

static int protocol_of(const struct guest *guest, uint64_t sk, uint32_t *ret_protocol)
{
	uint64_t type, protocol;
	int r = guest_field(guest, sk, FIELD_SK_TYPE, &type);

	if (r == 0)
		r = guest_field(guest, sk, FIELD_SK_PROTOCOL, &protocol);
	if (r < 0)
		return r;
	*ret_protocol = (uint32_t)protocol;
	return (type == TYPE_STREAM && protocol == SOCKET_TCP) ||
			       (type == TYPE_DATAGRAM && protocol == SOCKET_UDP)
		       ? 0
		       : -ENOENT;
}

static int read_held(struct reading *reading, uint64_t file, struct socket *socket)
{
	const struct guest *guest = reading->guest;
	uint64_t operations, outer;
	int r = guest_field(guest, file, FIELD_FILE_OP, &operations);

	if (r == 0 && operations != guest_symbol(guest, SYMBOL_SOCKET_FILE_OPS))
		r = -ENOENT;
	if (r == 0)
		r = guest_field_pointer(guest, file, FIELD_FILE_PRIVATE, &outer);
	if (r == 0)
		r = guest_field_pointer(guest, outer, FIELD_SOCKET_SK, &socket->address);
	if (r == 0)
		r = protocol_of(guest, socket->address, &socket->protocol);
	if (r == 0)
		r = read_common(guest, socket);
	return r;
}

static int take_descriptor(void *userdata, uint32_t descriptor, uint64_t file)
{
	struct reading *reading = userdata;
	struct socket socket = {.pid = reading->task->pid, .descriptor = descriptor, .holders = 1};
	int r = read_held(reading, file, &socket);

	if (guest_is_final(r))
		return r;
	if (r == -ENOENT)
		return 0;
	if (r < 0) {
		reading->list->unreadable++;
		return 0;
	}
	read_rest(reading->guest, &socket);
	return add_socket(reading, &socket);
}

/* By the hash tables */

static int take_chained(struct reading *reading, uint64_t node, uint64_t *ret_next)
{
	struct socket socket = {.address = node - reading->next_in_chain,
				.protocol = reading->protocol};
	int r = guest_read64(reading->guest, node, ret_next);

	if (r == 0)
		r = read_common(reading->guest, &socket);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	read_rest(reading->guest, &socket);
	return add_socket(reading, &socket);
}

/* A chain ends with an odd pointer (a "nulls" list) or NULL. */
static int walk_chain(struct reading *reading, uint64_t node)
{
	int r = 0;

	for (int i = 0; node && !(node & 1); i++) {
		if (i == SOCKET_CHAIN_MAX || !guest_is_kernel_pointer(node))
			r = -EFAULT;
		else
			r = take_chained(reading, node, &node);
		if (guest_is_final(r))
			return r;
		if (r < 0) {
			reading->list->unreadable++;
			return 0;
		}
	}
	return 0;
}

struct hash_table {
	uint64_t buckets, count;
	uint32_t stride, head; /* of a bucket; the head's offset in it */
};

/* The buckets are read in pieces: one by one would cost a call each through a process's memory. */
static int walk_table(struct reading *reading, const struct hash_table *table)
{
	enum { PIECE = 64 << 10 };
	cleanup(free) uint8_t *bytes = malloc(PIECE);
	uint64_t each = PIECE / (table->stride ? table->stride : 1);
	int r = 0;

	if (!bytes)
		return -ENOMEM;
	if (table->stride < 8 || table->stride > 256 || table->head + 8 > table->stride ||
	    table->count > SOCKET_BUCKETS_MAX)
		return -EFAULT;
	for (uint64_t at = 0; r == 0 && at < table->count; at += each) {
		uint64_t part = table->count - at < each ? table->count - at : each;

		r = guest_read(reading->guest, table->buckets + at * table->stride, bytes,
			       part * table->stride);
		for (uint64_t i = 0; r == 0 && i < part; i++) {
			uint64_t node;

			memcpy(&node, bytes + i * table->stride + table->head, sizeof(node));
			r = walk_chain(reading, node);
		}
	}
	return r;
}

struct table_fields {
	enum field buckets, mask, stride, head;
	enum symbol symbol;
	enum field node;
	uint32_t protocol;
};

static int walk_known_table(struct reading *reading, const struct table_fields *fields)
{
	const struct guest *guest = reading->guest;
	uint64_t symbol = guest_symbol(guest, fields->symbol), mask;
	struct hash_table table = {0};
	int r;

	if (!symbol || !guest_has(guest, fields->head) || !guest_has(guest, fields->buckets))
		return 0;
	r = guest_field_pointer(guest, symbol, fields->buckets, &table.buckets);
	if (r == 0)
		r = guest_field(guest, symbol, fields->mask, &mask);
	if (r == 0) {
		table.count = (mask & UINT32_MAX) + 1;
		table.stride = guest->profile.fields[fields->stride].size;
		table.head = guest_offset(guest, fields->head);
		reading->next_in_chain = guest_offset(guest, fields->node);
		reading->protocol = fields->protocol;
		r = walk_table(reading, &table);
	}
	if (r < 0 && !guest_is_final(r)) {
		reading->list->unreadable++;
		r = 0;
	}
	return r;
}

static int walk_tables(struct reading *reading)
{
	static const struct table_fields tables[] = {
		{FIELD_HASHINFO_EHASH, FIELD_HASHINFO_EHASH_MASK, FIELD_EHASH_SIZE,
		 FIELD_EHASH_CHAIN, SYMBOL_TCP_HASHINFO, FIELD_SK_NULLS_NODE, SOCKET_TCP},
		{FIELD_HASHINFO_LHASH2, FIELD_HASHINFO_LHASH2_MASK, FIELD_LHASH2_SIZE,
		 FIELD_LHASH2_HEAD, SYMBOL_TCP_HASHINFO, FIELD_SK_NULLS_NODE, SOCKET_TCP},
		{FIELD_UDP_HASH, FIELD_UDP_MASK, FIELD_UDP_SLOT_SIZE, FIELD_UDP_SLOT_HEAD,
		 SYMBOL_UDP_TABLE, FIELD_SK_NODE, SOCKET_UDP},
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(tables) / sizeof(tables[0]); i++)
		r = walk_known_table(reading, &tables[i]);
	return r;
}

int socket_list_read(const struct guest *guest, const struct task_list *tasks,
		     struct socket_list *ret_list)
{
	struct socket_list list = {0};
	struct reading reading = {.guest = guest, .list = &list};
	int r = 0;

	address_set_init(&reading.seen, SOCKETS_MAX);
	for (size_t i = 0; r == 0 && i < tasks->count; i++) {
		reading.task = &tasks->tasks[i];
		r = file_walk(guest, reading.task, take_descriptor, &reading);
		if (r < 0 && !guest_is_final(r)) {
			list.unreadable++;
			r = 0;
		}
	}
	if (r == 0)
		r = walk_tables(&reading);
	address_set_deinit(&reading.seen);
	if (r < 0)
		socket_list_deinit(&list);
	else
		*ret_list = list;
	return r;
}

void socket_list_deinit(struct socket_list *list)
{
	free(list->sockets);
	*list = (struct socket_list){0};
}
