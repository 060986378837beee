#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TCP and UDP sockets of a guest: those that processes hold, by their descriptors (in all
 * network namespaces), and those that the kernel's hash tables know and no process holds
 * (connections in TIME_WAIT, orphans, and sockets of a hidden process). Addresses and ports in the
 * order of the wire are turned to the host's.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "introspect/guest.h"
#include "introspect/task.h"

enum {
	SOCKETS_MAX = 262144,
	SOCKET_BUCKETS_MAX = 4 << 20,
	SOCKET_CHAIN_MAX = 65536,
	SOCKET_TCP = 6,
	SOCKET_UDP = 17,
	SOCKET_STATE_ESTABLISHED = 1,
	SOCKET_STATE_TIME_WAIT = 6,
	SOCKET_STATE_LISTEN = 10,
	SOCKET_STATE_NEW_REQUEST = 12,
};

struct socket {
	uint64_t address;  /* of its struct sock */
	uint32_t family;   /* 2 or 10, AF_INET or AF_INET6 of Linux */
	uint32_t protocol; /* SOCKET_TCP or SOCKET_UDP */
	uint32_t state;
	uint8_t local[16], remote[16]; /* IPv4 in the first four bytes */
	uint16_t local_port, remote_port;
	bool has_bytes;
	uint64_t received_bytes, sent_bytes; /* over the life of the connection; TCP only */
	uint32_t backlog, backlog_max;       /* of a listener: waiting, and how many may */
	uint32_t pid;                        /* of the first process that holds it; 0: nobody */
	uint32_t descriptor, holders; /* holders: descriptors that lead to it, of all processes */
};

/* "ESTABLISHED", ...; "" for a state that does not exist. */
const char *socket_state_name(const struct socket *socket);
enum { SOCKET_ADDRESS_SIZE = 64 };
/* "10.0.0.9:80", "[fe80::1]:22", "*:22" for any address, "" for none. */
void socket_format(const struct socket *socket, bool remote, char text[SOCKET_ADDRESS_SIZE]);
/* The same without port and brackets: "10.0.0.9", "fe80::1". */
void socket_format_address(const struct socket *socket, bool remote,
			   char text[SOCKET_ADDRESS_SIZE]);

struct socket_list {
	struct socket *sockets; /* owned; those held by processes come first */
	size_t count;
	bool is_cut;
	uint32_t unreadable; /* descriptors or chains that could not be followed */
};
/* Errors: -ETIME, -EIO, -ENOMEM; what cannot be followed otherwise is counted. */
int socket_list_read(const struct guest *guest, const struct task_list *tasks,
		     struct socket_list *ret_list);
void socket_list_deinit(struct socket_list *list);
