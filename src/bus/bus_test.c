/* SPDX-License-Identifier: Apache-2.0 */
/* Both ends on one loop over loopback, with certificates made for the test. */
#include "bus/bus.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/test.h"
#include "pki/pki.h"

enum { PATIENCE_MSEC = 8000, BIG = 3 << 20 };

static char directory[64], other[64];

struct world {
	uv_loop_t loop;
	uv_timer_t patience;
	struct bus_server *server;
	struct bus_client *client;
	int opened, received, client_opened, client_received, client_closed, peers_closed;
	size_t last_size;
	char name[BUS_NAME_MAX + 1], server_name[BUS_NAME_MAX + 1], reason[256];
	const char *refuse_with, *close_with;
	int stop_after; /* messages back at the client, or closed connections when negative */
};

static const char *in(const char *folder, const char *name)
{
	static char paths[8][128];
	static unsigned next;
	char *path = paths[next++ % 8];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

static int make_keys(char *folder)
{
	static const char *const names[] = {"localhost", "127.0.0.1"};
	static const char *const elsewhere[] = {"other.example"};

	(void)strcpy(folder, "/tmp/atom-bus-test-XXXXXX");
	if (!mkdtemp(folder) || pki_create_authority(folder, NULL) < 0 ||
	    pki_issue_node(folder, "node-a", folder, NULL) < 0 ||
	    pki_issue_controller(folder, names, 2, folder, NULL) < 0)
		return -1;
	(void)mkdir(in(folder, "elsewhere"), 0700);
	return pki_issue_controller(folder, elsewhere, 1, in(folder, "elsewhere"), NULL);
}

static void remove_keys(const char *folder)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -r %s", folder);
	if (system(command) != 0)
		printf("# %s is left behind\n", folder);
}

static void on_opened(void *userdata, struct bus_peer *peer)
{
	struct world *world = userdata;

	world->opened++;
	(void)snprintf(world->name, sizeof(world->name), "%s", bus_peer_name(peer));
	if (world->refuse_with)
		bus_peer_close(peer, world->refuse_with);
}

static int on_received(void *userdata, struct bus_peer *peer, const uint8_t *data, size_t size)
{
	struct world *world = userdata;

	world->received++;
	return bus_peer_send(peer, data, size); /* an echo */
}

static void on_peer_closed(void *userdata, struct bus_peer *peer)
{
	((struct world *)userdata)->peers_closed++;
}

static void on_client_opened(void *userdata)
{
	struct world *world = userdata;
	static uint8_t big[BIG];

	world->client_opened++;
	(void)snprintf(world->server_name, sizeof(world->server_name), "%s",
		       bus_client_peer_name(world->client));
	if (world->refuse_with)
		return;
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (uint8_t)(i * 7);
	(void)bus_client_send(world->client, (const uint8_t *)"hello", 5);
	(void)bus_client_send(world->client, big, sizeof(big));
	if (world->close_with)
		bus_client_close(world->client, world->close_with);
}

static int on_client_received(void *userdata, const uint8_t *data, size_t size)
{
	struct world *world = userdata;

	world->client_received++;
	world->last_size = size;
	for (size_t i = 0; size == BIG && i < size; i++)
		if (data[i] != (uint8_t)(i * 7))
			world->last_size = 0;
	if (world->stop_after > 0 && world->client_received >= world->stop_after)
		uv_stop(&world->loop);
	return 0;
}

static void on_client_closed(void *userdata, const char *reason)
{
	struct world *world = userdata;

	world->client_closed++;
	(void)snprintf(world->reason, sizeof(world->reason), "%s", reason);
	if (world->stop_after < 0 && world->client_closed >= -world->stop_after)
		uv_stop(&world->loop);
}

static void on_patience(uv_timer_t *timer)
{
	uv_stop(timer->loop);
}

static const struct bus_server_ops server_ops = {on_opened, on_received, on_peer_closed};
static const struct bus_client_ops client_ops = {on_client_opened, on_client_received,
						 on_client_closed};

static int start_server(struct world *world, uint16_t port, const char *controller)
{
	struct bus_tls tls = {in(directory, "ca.crt"), "", ""};
	char certificate[128], key[128];
	struct error err = ERROR_INIT;
	int r;

	(void)snprintf(certificate, sizeof(certificate), "%s/%scontroller.crt", directory,
		       controller);
	(void)snprintf(key, sizeof(key), "%s/%scontroller.key", directory, controller);
	tls.certificate_file = certificate;
	tls.key_file = key;
	r = bus_server_new(&world->loop, "127.0.0.1", port, &tls, &server_ops, world,
			   &world->server, &err);
	if (r < 0)
		printf("# %s\n", err.text);
	return r;
}

static int start_client(struct world *world, const char *host, uint16_t port, const char *folder,
			const char *name)
{
	struct bus_tls tls = {in(directory, "ca.crt"), "", ""};
	char certificate[128], key[128];

	(void)snprintf(certificate, sizeof(certificate), "%s/%s.crt", folder, name);
	(void)snprintf(key, sizeof(key), "%s/%s.key", folder, name);
	tls.certificate_file = certificate;
	tls.key_file = key;
	return bus_client_new(&world->loop, host, port, &tls, &client_ops, world, &world->client,
			      NULL);
}

static void open_world(struct world *world)
{
	*world = (struct world){0};
	(void)uv_loop_init(&world->loop);
	(void)uv_timer_init(&world->loop, &world->patience);
	(void)uv_timer_start(&world->patience, on_patience, PATIENCE_MSEC, 0);
}

static int close_world(struct world *world)
{
	world->client = bus_client_free(world->client);
	world->server = bus_server_free(world->server);
	uv_close((uv_handle_t *)&world->patience, NULL);
	for (int i = 0; i < 100 && uv_loop_alive(&world->loop); i++)
		(void)uv_run(&world->loop, UV_RUN_ONCE);
	return uv_loop_close(&world->loop);
}

static void test_bus_echoes_small_and_big(void)
{
	struct world world;

	open_world(&world);
	check_int(start_server(&world, 0, ""), 0);
	check_int(start_client(&world, "127.0.0.1", bus_server_port(world.server), directory,
			       "node-a"),
		  0);
	world.stop_after = 2;
	(void)uv_run(&world.loop, UV_RUN_DEFAULT);
	check_string(world.name, "node-a");
	check_int(world.client_received, 2);
	check_int(world.last_size, BIG);
	check_int(close_world(&world), 0);
	check_int(world.peers_closed, world.opened);
}

static void test_bus_server_name_by_dns(void)
{
	struct world world;

	open_world(&world);
	check_int(start_server(&world, 0, ""), 0);
	check_int(start_client(&world, "localhost", bus_server_port(world.server), directory,
			       "node-a"),
		  0);
	world.stop_after = 2;
	(void)uv_run(&world.loop, UV_RUN_DEFAULT);
	check_int(world.client_received, 2);
	check_int(close_world(&world), 0);
}

/* Runs a client that must not get through. */
static void run_refused(struct world *world, const char *controller, const char *host,
			const char *folder, const char *name)
{
	open_world(world);
	check_int(start_server(world, 0, controller), 0);
	check_int(start_client(world, host, bus_server_port(world->server), folder, name), 0);
	world->stop_after = -1;
	(void)uv_run(&world->loop, UV_RUN_DEFAULT);
	check(world->client_closed >= 1);
	check_int(world->received, 0);
	check(world->reason[0]);
	check_int(close_world(world), 0);
}

static void test_bus_refuses_wrong_server_name(void)
{
	struct world world;

	run_refused(&world, "elsewhere/", "127.0.0.1", directory, "node-a");
	check_int(world.client_opened, 0);
	run_refused(&world, "elsewhere/", "localhost", directory, "node-a");
	check_int(world.client_opened, 0);
}

static void test_bus_refuses_a_node_of_another_authority(void)
{
	struct world world;

	run_refused(&world, "", "127.0.0.1", other, "node-a");
	check_int(world.opened, 0);
}

static void test_bus_refuses_a_controller_as_node(void)
{
	struct world world;

	run_refused(&world, "", "127.0.0.1", directory, "controller");
	check_int(world.opened, 0);
}

static void test_bus_close_reason_arrives(void)
{
	struct world world;

	open_world(&world);
	world.refuse_with = "choose another name";
	check_int(start_server(&world, 0, ""), 0);
	check_int(start_client(&world, "127.0.0.1", bus_server_port(world.server), directory,
			       "node-a"),
		  0);
	world.stop_after = -1;
	(void)uv_run(&world.loop, UV_RUN_DEFAULT);
	check_string(world.reason, "choose another name");
	check_int(close_world(&world), 0);
}

static void test_bus_client_closes_when_all_is_sent(void)
{
	struct world world;

	open_world(&world);
	world.close_with = "a fresh start is wanted";
	check_int(start_server(&world, 0, ""), 0);
	check_int(start_client(&world, "127.0.0.1", bus_server_port(world.server), directory,
			       "node-a"),
		  0);
	world.stop_after = -2; /* and it comes back */
	(void)uv_run(&world.loop, UV_RUN_DEFAULT);
	check_string(world.reason, "a fresh start is wanted");
	check_int(world.client_opened, 2);
	check(world.received >= 2);
	check_int(close_world(&world), 0);
}

static void test_bus_client_comes_back_after_a_restart(void)
{
	struct world world;
	uint16_t port;

	open_world(&world);
	check_int(start_server(&world, 0, ""), 0);
	port = bus_server_port(world.server);
	check_int(start_client(&world, "127.0.0.1", port, directory, "node-a"), 0);
	world.stop_after = 2;
	(void)uv_run(&world.loop, UV_RUN_DEFAULT);
	check_int(world.client_received, 2);
	world.server = bus_server_free(world.server);
	world.stop_after = -1;
	(void)uv_run(&world.loop, UV_RUN_DEFAULT);
	check_int(world.client_closed, 1);
	check_int(start_server(&world, port, ""), 0);
	world.stop_after = 4;
	(void)uv_run(&world.loop, UV_RUN_DEFAULT);
	check_int(world.client_received, 4);
	check_int(world.client_opened, 2);
	check_int(close_world(&world), 0);
}

/* The name in the controller's certificate, and only while there is a connection. */
static void test_bus_client_knows_the_server_while_connected(void)
{
	struct world world;

	open_world(&world);
	check_int(start_server(&world, 0, ""), 0);
	check_int(start_client(&world, "127.0.0.1", bus_server_port(world.server), directory,
			       "node-a"),
		  0);
	check_string(bus_client_peer_name(world.client), "");
	world.stop_after = 2;
	(void)uv_run(&world.loop, UV_RUN_DEFAULT);
	check_string(world.server_name, "controller");
	check_string(bus_client_peer_name(world.client), "controller");
	world.server = bus_server_free(world.server);
	world.stop_after = -1;
	(void)uv_run(&world.loop, UV_RUN_DEFAULT);
	check_int(world.client_closed, 1);
	check_string(bus_client_peer_name(world.client), "");
	check_int(close_world(&world), 0);
}

static void test_bus_send_without_connection(void)
{
	struct world world;

	open_world(&world);
	check_int(start_client(&world, "127.0.0.1", 1, directory, "node-a"), 0);
	check_int(bus_client_send(world.client, (const uint8_t *)"x", 1), -ENOTCONN);
	world.stop_after = -1;
	(void)uv_run(&world.loop, UV_RUN_DEFAULT);
	check(strstr(world.reason, "cannot reach 127.0.0.1 port 1"));
	check_int(close_world(&world), 0);
}

static void test_bus_bad_certificate_is_named(void)
{
	struct bus_tls tls = {in(directory, "ca.crt"), "/nonexistent.crt", "/nonexistent.key"};
	struct error err = ERROR_INIT;
	struct world world;

	open_world(&world);
	check(bus_server_new(&world.loop, "127.0.0.1", 0, &tls, &server_ops, &world, &world.server,
			     &err) < 0);
	check(strstr(err.text, "/nonexistent.crt"));
	check_int(close_world(&world), 0);
}

static const struct test_case cases[] = {
	TEST(test_bus_echoes_small_and_big),
	TEST(test_bus_server_name_by_dns),
	TEST(test_bus_refuses_wrong_server_name),
	TEST(test_bus_refuses_a_node_of_another_authority),
	TEST(test_bus_refuses_a_controller_as_node),
	TEST(test_bus_close_reason_arrives),
	TEST(test_bus_client_closes_when_all_is_sent),
	TEST(test_bus_client_comes_back_after_a_restart),
	TEST(test_bus_client_knows_the_server_while_connected),
	TEST(test_bus_send_without_connection),
	TEST(test_bus_bad_certificate_is_named),
};

int main(void)
{
	int failed;

	if (make_keys(directory) < 0 || make_keys(other) < 0)
		return 1;
	failed = test_run(cases, sizeof(cases) / sizeof(cases[0]));
	remove_keys(directory);
	remove_keys(other);
	return failed;
}
