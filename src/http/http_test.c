/* SPDX-License-Identifier: Apache-2.0 */
/* The server on a loop in a thread, the client beside it, over loopback. */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/test.h"
#include "http/client.h"
#include "http/server.h"

enum { BIG = 200000 };

struct world {
	uv_loop_t loop;
	uv_async_t stop;
	struct http_server *server;
	pthread_t thread;
	char base[64];
};

static int handle_vm(void *userdata, struct http_request *request, struct error *err)
{
	const char *at = http_request_query(request, "at");

	if (strcmp(http_request_parameter(request, 0), "none") == 0)
		return error_set(err, -ENOENT, "no VM is called '%s'",
				 http_request_parameter(request, 0));
	http_answer_json(request,
			 json_pack("{s:s, s:s, s:s}", "vm", http_request_parameter(request, 0),
				   "metric", http_request_parameter(request, 1), "at",
				   at ? at : "-"));
	return 200;
}

static int handle_big(void *userdata, struct http_request *request, struct error *err)
{
	json_t *list = json_array();

	for (int i = 0; i < BIG; i++)
		(void)json_array_append_new(list, json_integer(i));
	http_answer_json(request, list);
	return 200;
}

static int handle_bad(void *userdata, struct http_request *request, struct error *err)
{
	return error_set(err, -EINVAL, "'to' lies before 'from'");
}

static const struct http_route routes[] = {
	{"/vms/{vm}/metrics/{metric}", handle_vm},
	{"/big", handle_big},
	{"/bad", handle_bad},
};

static void on_stop(uv_async_t *async)
{
	uv_stop(async->loop);
}

static void *run(void *userdata)
{
	struct world *world = userdata;

	(void)uv_run(&world->loop, UV_RUN_DEFAULT);
	return NULL;
}

static int start(struct world *world)
{
	int r;

	(void)uv_loop_init(&world->loop);
	(void)uv_async_init(&world->loop, &world->stop, on_stop);
	r = http_server_new(&world->loop, "127.0.0.1", 0, routes, 3, NULL, &world->server, NULL);
	if (r < 0)
		return r;
	(void)snprintf(world->base, sizeof(world->base), "http://127.0.0.1:%u",
		       http_server_port(world->server));
	return pthread_create(&world->thread, NULL, run, world);
}

static int finish(struct world *world)
{
	(void)uv_async_send(&world->stop);
	(void)pthread_join(world->thread, NULL);
	http_server_free(world->server);
	uv_close((uv_handle_t *)&world->stop, NULL);
	for (int i = 0; i < 100 && uv_loop_alive(&world->loop); i++)
		(void)uv_run(&world->loop, UV_RUN_ONCE);
	return uv_loop_close(&world->loop);
}

static int get(const struct world *world, const char *path, json_t **ret_body, struct error *err)
{
	char url[256];

	(void)snprintf(url, sizeof(url), "%s%s", world->base, path);
	return http_client_get_json(url, ret_body, err);
}

static void test_http_parameters_and_query(void)
{
	struct world world;
	json_t *body = NULL;

	check_int(start(&world), 0);
	check_int(get(&world, "/vms/vm%201/metrics/CPUUtilization?x=1&at=12%3A30", &body, NULL), 0);
	check_string(json_string_value(json_object_get(body, "vm")), "vm 1");
	check_string(json_string_value(json_object_get(body, "metric")), "CPUUtilization");
	check_string(json_string_value(json_object_get(body, "at")), "12:30");
	json_decref(body);
	check_int(finish(&world), 0);
}

static void test_http_errors_keep_their_text(void)
{
	struct error err = ERROR_INIT;
	struct world world;
	json_t *body;

	check_int(start(&world), 0);
	check_int(get(&world, "/vms/none/metrics/x", &body, &err), -ENOENT);
	check_string(err.text, "no VM is called 'none'");
	check_int(get(&world, "/bad", &body, &err), -EINVAL);
	check_string(err.text, "'to' lies before 'from'");
	check_int(get(&world, "/nowhere", &body, &err), -ENOENT);
	check_int(get(&world, "/vms//metrics/x", &body, &err), -ENOENT);
	check_int(finish(&world), 0);
}

static void test_http_big_answer_is_whole(void)
{
	struct world world;
	json_t *body = NULL;

	check_int(start(&world), 0);
	check_int(get(&world, "/big", &body, NULL), 0);
	check_int(json_array_size(body), BIG);
	check_int(json_integer_value(json_array_get(body, BIG - 1)), BIG - 1);
	json_decref(body);
	check_int(finish(&world), 0);
}

/* One raw request; returns the status, or -1. */
static int raw_status(const struct world *world, const char *request)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), status = -1;
	char answer[256] = "";

	address.sin_port = htons(http_server_port(world->server));
	(void)inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
	    write(fd, request, strlen(request)) > 0 && read(fd, answer, sizeof(answer) - 1) > 12)
		status = atoi(answer + 9);
	(void)close(fd);
	return status;
}

static void test_http_methods_and_hosts(void)
{
	struct world world;

	check_int(start(&world), 0);
	check_int(raw_status(&world, "GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n"), 200);
	check_int(raw_status(&world, "HEAD /big HTTP/1.1\r\nHost: 127.0.0.1:80\r\n\r\n"), 200);
	check_int(raw_status(&world, "GET /big HTTP/1.1\r\nHost: evil.example\r\n\r\n"), 403);
	check_int(raw_status(&world, "DELETE /big HTTP/1.1\r\nHost: localhost\r\n\r\n"), 405);
	check(raw_status(&world, "nonsense\r\n\r\n") != 200);
	check_int(finish(&world), 0);
}

static void test_http_nobody_listens(void)
{
	struct error err = ERROR_INIT;
	json_t *body;

	check_int(http_client_get_json("http://127.0.0.1:1/x", &body, &err), -ECONNREFUSED);
	check(err.text[0]);
}

static void test_http_port_in_use(void)
{
	struct error err = ERROR_INIT;
	struct http_server *second;
	struct world world;
	uv_loop_t loop;

	check_int(start(&world), 0);
	(void)uv_loop_init(&loop);
	check_int(http_server_new(&loop, "127.0.0.1", http_server_port(world.server), routes, 3,
				  NULL, &second, &err),
		  -EADDRINUSE);
	check(strstr(err.text, "in use"));
	for (int i = 0; i < 100 && uv_loop_alive(&loop); i++)
		(void)uv_run(&loop, UV_RUN_ONCE);
	(void)uv_loop_close(&loop);
	check_int(finish(&world), 0);
}

static void test_http_escape(void)
{
	cleanup(free) char *escaped = http_client_escape("vm 1/ä");

	check_string(escaped, "vm%201%2F%C3%A4");
}

TEST_MAIN(TEST(test_http_parameters_and_query), TEST(test_http_errors_keep_their_text),
	  TEST(test_http_big_answer_is_whole), TEST(test_http_methods_and_hosts),
	  TEST(test_http_nobody_listens), TEST(test_http_port_in_use), TEST(test_http_escape))
