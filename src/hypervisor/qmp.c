/* SPDX-License-Identifier: Apache-2.0 */
#include "hypervisor/qmp.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "hypervisor/unix_socket.h"

enum state {
	STATE_IDLE,
	STATE_GREETING,     /* waiting for what QEMU says first */
	STATE_CAPABILITIES, /* waiting for the answer that opens the command mode */
	STATE_ASKED,
};

/* The pipe lives until its close callback: one per connection. */
struct connection {
	uv_pipe_t pipe;
	struct qmp *qmp; /* NULL: closed, answers no longer count */
	char *line;
	size_t size, capacity;
};

struct qmp {
	uv_loop_t *loop;
	struct connection *connection;
	enum state state;
	uint64_t tag;
	char *path;
	pid_t pid;
	qmp_answer *answer;
	void *userdata;
};

DEFINE_CLEANUP(json_t *, json_decref)

/* Parsing */

static uint64_t counter(const json_t *stats, const char *name)
{
	json_int_t value = json_integer_value(json_object_get(stats, name));

	return value > 0 ? (uint64_t)value : 0;
}

static const char *device_name(const json_t *item)
{
	static const char *const keys[] = {"qdev", "device", "node-name"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const char *name = json_string_value(json_object_get(item, keys[i]));

		if (name && *name)
			return name;
	}
	return NULL;
}

int qmp_parse_block(const char *line, size_t size, struct device_counters *devices, size_t capacity)
{
	cleanup(json_decref) json_t *root = json_loadb(line, size, 0, NULL);
	const json_t *list = json_object_get(root, "return"), *item;
	size_t count = 0, i;

	if (!json_is_array(list))
		return -EPROTO;
	json_array_foreach(list, i, item)
	{
		const json_t *stats = json_object_get(item, "stats");
		const char *name = device_name(item);

		if (!name || !json_is_object(stats) || count == capacity)
			continue;
		devices[count] = (struct device_counters){
			.values = {counter(stats, "rd_bytes"), counter(stats, "wr_bytes"),
				   counter(stats, "rd_operations"), counter(stats, "wr_operations"),
				   counter(stats, "flush_operations")}};
		(void)snprintf(devices[count].name, sizeof(devices[count].name), "%s", name);
		count++;
	}
	return (int)count;
}

/* The connection */

static void free_connection(uv_handle_t *handle)
{
	struct connection *connection = handle->data;

	free(connection->line);
	free(connection);
}

static void disconnect(struct qmp *qmp, const char *why)
{
	log_debug("qmp %s: %s", qmp->path, why);
	qmp->state = STATE_IDLE;
	if (!qmp->connection)
		return;
	qmp->connection->qmp = NULL;
	uv_close((uv_handle_t *)&qmp->connection->pipe, free_connection);
	qmp->connection = NULL;
}

static void free_write(uv_write_t *request, int status)
{
	free(request);
}

static int say(struct qmp *qmp, const char *text)
{
	uv_write_t *request = malloc(sizeof(*request) + strlen(text) + 1);
	uv_buf_t buffer;
	char *copy;

	if (!request)
		return -ENOMEM;
	copy = (char *)(request + 1);
	memcpy(copy, text, strlen(text) + 1);
	buffer = uv_buf_init(copy, (unsigned)strlen(text));
	if (uv_write(request, (uv_stream_t *)&qmp->connection->pipe, &buffer, 1, free_write) == 0)
		return 0;
	free(request);
	return -EPIPE;
}

static void take_answer(struct qmp *qmp, const char *line, size_t size)
{
	cleanup(free) struct device_counters *devices =
		calloc(COUNTERS_DEVICES_MAX, sizeof(*devices));
	int count = devices ? qmp_parse_block(line, size, devices, COUNTERS_DEVICES_MAX) : -ENOMEM;

	disconnect(qmp, "answered");
	if (count >= 0)
		qmp->answer(qmp->userdata, qmp->tag, devices, (size_t)count);
}

/* QEMU takes one command after the other, so that both may be said at once. */
static void take_greeting(struct qmp *qmp, const char *line)
{
	if (strncmp(line, "{\"QMP\"", 6) == 0 &&
	    say(qmp, "{\"execute\":\"qmp_capabilities\"}\n"
		     "{\"execute\":\"query-blockstats\"}\n") == 0)
		qmp->state = STATE_CAPABILITIES;
	else
		disconnect(qmp, "no greeting");
}

/* Events come at any time between answers and are passed over. */
static void take_line(struct qmp *qmp, const char *line, size_t size)
{
	bool is_return = strncmp(line, "{\"return\"", 9) == 0;

	if (strncmp(line, "{\"error\"", 8) == 0)
		disconnect(qmp, "refused");
	else if (qmp->state == STATE_GREETING)
		take_greeting(qmp, line);
	else if (qmp->state == STATE_CAPABILITIES && is_return)
		qmp->state = STATE_ASKED;
	else if (qmp->state == STATE_ASKED && is_return)
		take_answer(qmp, line, size);
}

static void take_lines(struct connection *connection)
{
	size_t start = 0;
	char *end;

	while (connection->qmp &&
	       (end = memchr(connection->line + start, '\n', connection->size - start))) {
		size_t size = (size_t)(end - (connection->line + start));

		*end = '\0';
		take_line(connection->qmp, connection->line + start, size);
		start += size + 1;
	}
	memmove(connection->line, connection->line + start, connection->size - start);
	connection->size -= start;
}

static void give_room(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer)
{
	struct connection *connection = handle->data;
	size_t wanted = connection->size + 4096;

	*ret_buffer = uv_buf_init(NULL, 0); /* read as ENOBUFS */
	if (wanted > QMP_LINE_SIZE_MAX)
		return;
	if (wanted > connection->capacity) {
		char *grown = realloc(connection->line, 2 * wanted);

		if (!grown)
			return;
		connection->line = grown;
		connection->capacity = 2 * wanted;
	}
	*ret_buffer = uv_buf_init(connection->line + connection->size,
				  (unsigned)(connection->capacity - connection->size));
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
	struct connection *connection = stream->data;

	if (!connection->qmp)
		return;
	if (size < 0) {
		disconnect(connection->qmp, uv_strerror((int)size));
		return;
	}
	connection->size += (size_t)size;
	take_lines(connection);
}

static int start_connection(struct qmp *qmp)
{
	struct connection *connection;
	int fd = unix_socket_connect(qmp->path, qmp->pid);

	if (fd < 0)
		return fd;
	connection = calloc(1, sizeof(*connection));
	if (!connection) {
		(void)close(fd);
		return -ENOMEM;
	}
	(void)uv_pipe_init(qmp->loop, &connection->pipe, 0); /* cannot fail */
	connection->pipe.data = connection;
	connection->qmp = qmp;
	qmp->connection = connection;
	qmp->state = STATE_GREETING;
	if (uv_pipe_open(&connection->pipe, fd) < 0) {
		(void)close(fd);
		disconnect(qmp, "the socket cannot be read");
		return -EIO;
	}
	return uv_read_start((uv_stream_t *)&connection->pipe, give_room, on_read);
}

struct qmp *qmp_new(uv_loop_t *loop, pid_t pid, const char *path, qmp_answer *answer,
		    void *userdata)
{
	struct qmp *qmp = calloc(1, sizeof(*qmp));

	if (!qmp)
		return NULL;
	qmp->path = strdup(path);
	if (!qmp->path) {
		free(qmp);
		return NULL;
	}
	qmp->loop = loop;
	qmp->pid = pid;
	qmp->answer = answer;
	qmp->userdata = userdata;
	return qmp;
}

struct qmp *qmp_free(struct qmp *qmp)
{
	if (!qmp)
		return NULL;
	disconnect(qmp, "closed");
	free(qmp->path);
	free(qmp);
	return NULL;
}

int qmp_query_block(struct qmp *qmp, uint64_t tag)
{
	if (qmp->state != STATE_IDLE)
		return -EBUSY;
	qmp->tag = tag;
	return start_connection(qmp);
}
