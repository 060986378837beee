#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of this folder share: a server on a loop in a thread of its own, and raw requests.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/test.h"
#include "http/server.h"

enum { RAW_ANSWER_SIZE = 4096, RAW_PATIENCE_SEC = 10 };

struct world {
	uv_loop_t loop;
	uv_async_t stop;
	struct http_server *server;
	pthread_t thread;
	char base[64]; /* "http://127.0.0.1:4711" */
};

static void world_on_stop(uv_async_t *async)
{
	uv_stop(async->loop);
}

static void *world_run(void *userdata)
{
	struct world *world = userdata;

	(void)uv_run(&world->loop, UV_RUN_DEFAULT);
	return NULL;
}

/* On 127.0.0.1, at any port. */
static inline int world_start(struct world *world, const struct http_server_options *options,
			      struct error *err)
{
	struct http_server_options own = *options;
	int r;

	own.address = "127.0.0.1";
	(void)uv_loop_init(&world->loop);
	(void)uv_async_init(&world->loop, &world->stop, world_on_stop);
	r = http_server_new(&world->loop, &own, &world->server, err);
	if (r < 0)
		return r;
	(void)snprintf(world->base, sizeof(world->base), "http%s://127.0.0.1:%u",
		       own.certificate_file ? "s" : "", http_server_port(world->server));
	return pthread_create(&world->thread, NULL, world_run, world);
}

static inline int world_finish(struct world *world)
{
	(void)uv_async_send(&world->stop);
	(void)pthread_join(world->thread, NULL);
	http_server_free(world->server);
	uv_close((uv_handle_t *)&world->stop, NULL);
	for (int i = 0; i < 100 && uv_loop_alive(&world->loop); i++)
		(void)uv_run(&world->loop, UV_RUN_ONCE);
	return uv_loop_close(&world->loop);
}

static inline int raw_connect(const struct world *world)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	struct timeval patience = {.tv_sec = RAW_PATIENCE_SEC};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_port = htons(http_server_port(world->server));
	(void)inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

static inline int raw_send(int fd, const char *text)
{
	size_t size = strlen(text);

	return send(fd, text, size, MSG_NOSIGNAL) == (ssize_t)size ? 0 : -1;
}

/* The size of an answer by its own words, 0 while that is not known. */
static inline size_t raw_size(const char *answer)
{
	const char *end = strstr(answer, "\r\n\r\n"), *length = strstr(answer, "content-length: ");

	return end && length && length < end
		       ? (size_t)(end + 4 - answer) + strtoul(length + 16, NULL, 10)
		       : 0;
}

/* Reads one answer, or until the server closes, into RAW_ANSWER_SIZE bytes (what is more is
 * dropped). Returns the status, -1 where there was none or the connection was torn off. */
static inline int raw_receive(int fd, char *answer)
{
	size_t size = 0;
	ssize_t got;

	do {
		char more[RAW_ANSWER_SIZE];

		got = recv(fd, more, sizeof(more), 0);
		for (ssize_t i = 0; i < got && size + 1 < RAW_ANSWER_SIZE; i++)
			answer[size++] = more[i];
		answer[size] = '\0';
	} while (got > 0 && (raw_size(answer) == 0 || size < raw_size(answer)));
	return got >= 0 && size > 12 ? atoi(answer + 9) : -1;
}

/* One request on a connection of its own. */
static inline int raw_exchange(const struct world *world, const char *request, char *answer)
{
	int fd = raw_connect(world), status = -1;

	if (raw_send(fd, request) == 0)
		status = raw_receive(fd, answer);
	(void)close(fd);
	return status;
}
