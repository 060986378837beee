/* SPDX-License-Identifier: Apache-2.0 */
#include "introspect/socket.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/test.h"
#include "introspect/test_guest.h"

enum { INET = 2, INET6 = 10 };

/* A server that listens and has a connection, a client of UDP, and a connection nobody holds. */
struct net {
	struct test_guest *guest;
	uint64_t task, child, listener, connection, udp, orphan;
	struct task_list tasks;
	struct socket_list sockets;
};

static void cleanup_net(struct net *net)
{
	task_list_deinit(&net->tasks);
	socket_list_deinit(&net->sockets);
	net->guest = test_guest_free(net->guest);
}

static bool make(struct net *net, const char *without)
{
	struct test_guest *guest = test_guest_new(&(struct test_guest_options){.without = without});

	net->guest = guest;
	net->task = test_guest_add_process(guest, 10, "server", guest->symbols[SYMBOL_INIT_TASK]);
	net->child = test_guest_add_process(guest, 11, "child", net->task);
	net->listener = test_guest_add_socket(guest, &(struct test_socket){.family = INET6,
									   .protocol = SOCKET_TCP,
									   .state = 10,
									   .local_port = 80});
	net->connection =
		test_guest_add_socket(guest, &(struct test_socket){.family = INET,
								   .protocol = SOCKET_TCP,
								   .state = 1,
								   .local_port = 80,
								   .remote_port = 40000,
								   .local = {10, 0, 0, 9},
								   .remote = {10, 0, 0, 1}});
	net->udp = test_guest_add_socket(guest,
					 &(struct test_socket){.family = INET6,
							       .protocol = SOCKET_UDP,
							       .state = 7,
							       .local_port = 53,
							       .local = {0xfe, 0x80, [15] = 1}});
	net->orphan = test_guest_add_socket(guest, &(struct test_socket){.family = INET,
									 .protocol = SOCKET_TCP,
									 .state = 6,
									 .local_port = 81,
									 .remote_port = 9,
									 .local = {10, 0, 0, 9},
									 .remote = {10, 0, 0, 2}});
	test_guest_set_descriptor(guest, net->task, 3,
				  test_guest_add_socket_file(guest, net->listener));
	test_guest_set_descriptor(guest, net->task, 4,
				  test_guest_add_socket_file(guest, net->connection));
	test_guest_set_descriptor(guest, net->child, 5,
				  test_guest_add_socket_file(guest, net->connection));
	test_guest_set_descriptor(guest, net->child, 6,
				  test_guest_add_socket_file(guest, net->udp));
	return test_guest_open(guest, NULL) == 0 && task_list_read(&guest->guest, &net->tasks) == 0;
}

static int read_all(struct net *net)
{
	socket_list_deinit(&net->sockets);
	return socket_list_read(&net->guest->guest, &net->tasks, &net->sockets);
}

static const struct socket *find(const struct net *net, uint64_t address)
{
	for (size_t i = 0; i < net->sockets.count; i++)
		if (net->sockets.sockets[i].address == address)
			return &net->sockets.sockets[i];
	return NULL;
}

static void test_socket_list_of_all(void)
{
	cleanup(net) struct net net = {0};
	char text[SOCKET_ADDRESS_SIZE];
	const struct socket *socket;

	check(make(&net, NULL));
	check_int(read_all(&net), 0);
	check(net.sockets.count == 4 && net.sockets.unreadable == 0 && !net.sockets.is_cut);
	socket = find(&net, net.listener);
	check(socket && socket->pid == 10 && socket->descriptor == 3 && socket->holders == 1);
	check(socket->backlog == 3 && socket->backlog_max == 128 && !socket->has_bytes);
	check_string(socket_state_name(socket), "LISTEN");
	socket_format(socket, false, text);
	check_string(text, "[::]:80");
	socket_format(socket, true, text);
	check_string(text, "");
	socket = find(&net, net.connection);
	check(socket && socket->pid == 10 && socket->holders == 2 && socket->has_bytes);
	check(socket->received_bytes == 5000000000 && socket->sent_bytes == 77);
	socket_format(socket, true, text);
	check_string(text, "10.0.0.1:40000");
	socket = find(&net, net.udp);
	check(socket && socket->pid == 11 && socket->protocol == SOCKET_UDP);
	check_string(socket_state_name(socket), "UNCONNECTED");
	socket_format(socket, false, text);
	check_string(text, "[fe80::1]:53");
	socket = find(&net, net.orphan);
	check(socket && socket->pid == 0 && socket->holders == 0 && !socket->has_bytes);
	check_string(socket_state_name(socket), "TIME_WAIT");
	check(socket == &net.sockets.sockets[3]); /* those that are held come first */
}

static void test_socket_states_and_addresses(void)
{
	struct socket socket = {.family = INET, .protocol = SOCKET_TCP};
	char text[SOCKET_ADDRESS_SIZE];

	for (socket.state = 0; socket.state < 300; socket.state++)
		check(!*socket_state_name(&socket) == (socket.state == 0 || socket.state > 12));
	socket.local_port = 22;
	socket_format(&socket, false, text);
	check_string(text, "*:22");
	socket.family = INET6;
	memset(socket.local, 0xff, sizeof(socket.local));
	socket.local_port = 65535;
	socket_format(&socket, false, text);
	check_string(text, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
}

/* A kernel without a table, or without members that only some views have. */
static void test_socket_without_what_is_wanted(void)
{
	static const char *const without[] = {"udp_table", "inet_listen_hashbucket",
					      "tcp_sock.bytes_sent", "sock.sk_ack_backlog",
					      "udp_hslot"};

	for (size_t i = 0; i < sizeof(without) / sizeof(without[0]); i++) {
		cleanup(net) struct net net = {0};

		check(make(&net, without[i]));
		check_int(read_all(&net), 0);
		check(net.sockets.count == 4 && net.sockets.unreadable == 0);
	}
}

/* Chains that end in themselves, or nowhere: counted, and the rest is read. */
static void test_socket_chains_that_never_end(void)
{
	static const uint64_t links[] = {8, 0x1122334455667788, 0xffffa00000000000, UINT64_MAX - 7};
	cleanup(net) struct net net = {0};
	uint64_t node;

	check(make(&net, NULL));
	node = test_guest_member(net.guest, net.orphan, FIELD_SK_NULLS_NODE);
	test_guest_set64(net.guest, node, node);
	check_int(read_all(&net), 0);
	check(net.sockets.count == 4 && net.sockets.unreadable == 1);
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		test_guest_set64(net.guest, node, links[i]);
		check_int(read_all(&net), 0);
		check(net.sockets.count == 4 && net.sockets.unreadable == 1);
	}
	test_guest_set64(net.guest, node, 0);
	check_int(read_all(&net), 0);
	check(net.sockets.count == 4 && net.sockets.unreadable == 0);
}

static void test_socket_tables_that_lie(void)
{
	cleanup(net) struct net net = {0};
	uint64_t info;

	check(make(&net, NULL));
	info = net.guest->symbols[SYMBOL_TCP_HASHINFO];
	test_guest_set(net.guest, info, FIELD_HASHINFO_EHASH_MASK, UINT32_MAX);
	check_int(read_all(&net), 0);
	check(net.sockets.unreadable == 1 && !find(&net, net.orphan));
	test_guest_set(net.guest, info, FIELD_HASHINFO_EHASH_MASK, SOCKET_BUCKETS_MAX - 1);
	check_int(read_all(&net), 0);
	check(net.sockets.unreadable >= 1);
	test_guest_set(net.guest, info, FIELD_HASHINFO_EHASH, 12);
	check_int(read_all(&net), 0);
	check_int(net.sockets.unreadable, 1);
	check_int(net.sockets.count, 3);
}

static void test_socket_descriptors_that_lie(void)
{
	cleanup(net) struct net net = {0};
	uint64_t file, socket;

	check(make(&net, NULL));
	file = test_guest_add_socket_file(net.guest, net.orphan);
	socket = test_guest_get(net.guest, file, FIELD_FILE_PRIVATE);
	test_guest_set_descriptor(net.guest, net.task, 9, file);
	test_guest_set(net.guest, socket, FIELD_SOCKET_SK, 16);
	check_int(read_all(&net), 0);
	check(net.sockets.count == 4 && net.sockets.unreadable == 1);
	test_guest_set(net.guest, socket, FIELD_SOCKET_SK, net.orphan);
	test_guest_set(net.guest, net.orphan, FIELD_SK_TYPE, 3); /* a raw one */
	test_guest_set(net.guest, net.orphan, FIELD_SK_FAMILY, 1);
	check_int(read_all(&net), 0);
	check(net.sockets.count == 3 && net.sockets.unreadable == 0);
	/* a table of descriptors that is not there */
	test_guest_set(net.guest, test_guest_get(net.guest, net.task, FIELD_TASK_FILES),
		       FIELD_FILES_FDT, 0);
	check_int(read_all(&net), 0);
	check_int(net.sockets.unreadable, 1);
}

static void test_socket_past_the_deadline(void)
{
	cleanup(net) struct net net = {0};
	int r = 0;

	check(make(&net, NULL));
	memory_set_deadline(net.guest->memory, clock_mono_usec() - 1);
	for (int i = 0; i < 64 && r == 0; i++)
		r = read_all(&net);
	check_int(r, -ETIME);
}

TEST_MAIN(TEST(test_socket_list_of_all), TEST(test_socket_states_and_addresses),
	  TEST(test_socket_without_what_is_wanted), TEST(test_socket_chains_that_never_end),
	  TEST(test_socket_tables_that_lie), TEST(test_socket_descriptors_that_lie),
	  TEST(test_socket_past_the_deadline))
