/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor by QEMU's own socket: a blocking QMP client. */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "hypervisor/hypervisor.h"
#include "hypervisor/monitor.h"
#include "hypervisor/monitor_link.h"
#include "hypervisor/procfs.h"
#include "hypervisor/unix_socket.h"

enum { READ_SIZE = 65536 };

struct qmp_link {
	struct monitor_link link;
	int fd;
	pid_t pid; /* 0: not told */
	int64_t timeout_usec;
	json_int_t last_id;
	char *bytes; /* read, with the lines not yet taken beginning at `start` */
	size_t start, size, capacity;
};

DEFINE_CLEANUP(json_t *, json_decref)

int monitor_link_parse(const char *text, size_t size, json_t **ret_object, struct error *err)
{
	json_error_t problem;
	cleanup(json_decref) json_t *object = json_loadb(text, size, 0, &problem);

	if (!json_is_object(object))
		return error_set(err, -EPROTO, "the answer is no QMP (%s)",
				 object ? "not an object" : problem.text);
	*ret_object = keep(object);
	return 0;
}

/* Until the socket is ready for `events`, or the deadline. */
static int wait_for(const struct qmp_link *link, short events, int64_t deadline_usec,
		    struct error *err)
{
	struct pollfd item = {.fd = link->fd, .events = events};

	for (;;) {
		int64_t left = deadline_usec - clock_mono_usec();
		int count;

		if (left <= 0)
			return error_set(err, -ETIME, "no answer within %.1f s",
					 (double)link->timeout_usec / (double)USEC_PER_SEC);
		count = poll(&item, 1, (int)(left / USEC_PER_MSEC) + 1);
		if (count > 0)
			return 0;
		if (count < 0 && errno != EINTR)
			return error_set_errno(err, -errno, "waiting for QEMU");
	}
}

static int send_all(const struct qmp_link *link, const char *text, int64_t deadline_usec,
		    struct error *err)
{
	size_t left = strlen(text);

	while (left > 0) {
		int r = wait_for(link, POLLOUT, deadline_usec, err);
		ssize_t sent;

		if (r < 0)
			return r;
		sent = send(link->fd, text, left, MSG_NOSIGNAL);
		if (sent < 0 && errno != EAGAIN && errno != EINTR)
			return error_set_errno(err, -ECONNRESET, "QEMU takes no command");
		if (sent > 0) {
			text += sent;
			left -= (size_t)sent;
		}
	}
	return 0;
}

/* Room for READ_SIZE more bytes, the lines taken already dropped. */
static int give_room(struct qmp_link *link, struct error *err)
{
	size_t kept = link->size - link->start;

	if (kept > 0)
		memmove(link->bytes, link->bytes + link->start, kept);
	link->start = 0;
	link->size = kept;
	if (kept > MONITOR_ANSWER_SIZE_MAX)
		return error_set(err, -EMSGSIZE, "an answer of more than %d bytes",
				 MONITOR_ANSWER_SIZE_MAX);
	if (kept + READ_SIZE > link->capacity) {
		size_t wanted = 2 * (kept + READ_SIZE);
		char *grown = realloc(link->bytes, wanted);

		if (!grown)
			return error_set_errno(err, -ENOMEM, "an answer");
		link->bytes = grown;
		link->capacity = wanted;
	}
	return 0;
}

static int read_more(struct qmp_link *link, int64_t deadline_usec, struct error *err)
{
	int r = give_room(link, err);
	ssize_t size;

	if (r == 0)
		r = wait_for(link, POLLIN, deadline_usec, err);
	if (r < 0)
		return r;
	size = recv(link->fd, link->bytes + link->size, READ_SIZE, 0);
	if (size > 0)
		link->size += (size_t)size;
	else if (size == 0)
		return error_set(err, -ECONNRESET, "QEMU has hung up");
	else if (errno != EAGAIN && errno != EINTR)
		return error_set_errno(err, -ECONNRESET, "QEMU has hung up");
	return 0;
}

/* One message: a greeting, an answer or an event. A stream that never pauses does not outlast the
 * deadline either. */
static int read_object(struct qmp_link *link, int64_t deadline_usec, json_t **ret_object,
		       struct error *err)
{
	size_t searched = 0;

	for (;;) {
		char *line = link->bytes + link->start, *end = NULL;
		int r;

		if (link->size > link->start + searched)
			end = memchr(line + searched, '\n', link->size - link->start - searched);
		if (end) {
			link->start += (size_t)(end - line) + 1;
			return monitor_link_parse(line, (size_t)(end - line), ret_object, err);
		}
		searched = link->size - link->start;
		r = read_more(link, deadline_usec, err);
		if (r < 0)
			return r;
	}
}

/* Events, and answers that come too late for a command given up, are passed over. */
static int read_answer(struct qmp_link *link, int64_t deadline_usec, json_t **ret_answer,
		       struct error *err)
{
	for (;;) {
		cleanup(json_decref) json_t *object = NULL;
		int r = read_object(link, deadline_usec, &object, err);

		if (r < 0)
			return r;
		if (json_integer_value(json_object_get(object, "id")) == link->last_id) {
			*ret_answer = keep(object);
			return 0;
		}
		if (clock_mono_usec() >= deadline_usec)
			return error_set(err, -ETIME, "no answer, but events");
	}
}

static int execute(struct monitor_link *base, json_t *request, json_t **ret_answer,
		   struct error *err)
{
	struct qmp_link *link = (struct qmp_link *)base;
	int64_t deadline_usec = clock_mono_usec() + link->timeout_usec;
	cleanup(free) char *text = NULL;
	int r;

	if (json_object_set_new(request, "id", json_integer(++link->last_id)) == 0)
		text = json_dumps(request, JSON_COMPACT);
	if (!text)
		return error_set_errno(err, -ENOMEM, "a command");
	r = send_all(link, text, deadline_usec, err);
	if (r == 0)
		r = send_all(link, "\n", deadline_usec, err);
	return r < 0 ? r : read_answer(link, deadline_usec, ret_answer, err);
}

static bool is_listed(pid_t pid)
{
	cleanup(free) pid_t *pids = calloc(HYPERVISOR_VMS_MAX, sizeof(*pids));
	int count = pids ? procfs_list(pids, HYPERVISOR_VMS_MAX) : 0;

	for (int i = 0; i < count; i++)
		if (pids[i] == pid)
			return true;
	return false;
}

static int find_pid(struct monitor_link *base, pid_t *ret_pid, struct error *err)
{
	const struct qmp_link *link = (const struct qmp_link *)base;
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (link->pid) {
		*ret_pid = link->pid;
		return 0;
	}
	if (getsockopt(link->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || peer.pid <= 0)
		return error_set(err, -ESRCH, "the process behind the QMP socket is not seen here");
	if (!is_listed(peer.pid))
		return error_set(err, -ESRCH,
				 "process %d, which made the QMP socket, is no QEMU: name the "
				 "VM's process",
				 (int)peer.pid);
	*ret_pid = peer.pid;
	return 0;
}

static void close_link(struct monitor_link *base)
{
	struct qmp_link *link = (struct qmp_link *)base;

	if (link->fd >= 0)
		(void)close(link->fd);
	free(link->bytes);
	free(link);
}

static const struct monitor_link_ops ops = {execute, find_pid, close_link, NULL, NULL};

static int take_greeting(struct qmp_link *link, struct error *err)
{
	cleanup(json_decref) json_t *greeting = NULL;
	int r = read_object(link, clock_mono_usec() + link->timeout_usec, &greeting, err);

	if (r == -ETIME)
		return error_set(err, r,
				 "no greeting within %.1f s: QEMU serves one client of the socket "
				 "at a time, and another is connected, or QEMU hangs",
				 (double)link->timeout_usec / (double)USEC_PER_SEC);
	if (r == 0 && !json_object_get(greeting, "QMP"))
		return error_set(err, -EPROTO, "what answers is no QMP server");
	return r;
}

static int negotiate(struct qmp_link *link, struct error *err)
{
	cleanup(json_decref) json_t *request = json_pack("{s:s}", "execute", "qmp_capabilities");
	cleanup(json_decref) json_t *answer = NULL;
	int r = request ? execute(&link->link, request, &answer, err)
			: error_set_errno(err, -ENOMEM, "a command");

	if (r == 0 && !json_object_get(answer, "return"))
		return error_set(err, -EPROTO, "QEMU refuses QMP's command mode");
	return r;
}

int monitor_link_open_qmp(const char *path, pid_t pid, int64_t timeout_usec,
			  struct monitor_link **ret_link, struct error *err)
{
	struct qmp_link *link = calloc(1, sizeof(*link));
	int r;

	if (!link)
		return error_set_errno(err, -ENOMEM, "monitor");
	*link = (struct qmp_link){.link = {&ops}, .pid = pid, .timeout_usec = timeout_usec};
	r = link->fd = unix_socket_connect(path, pid);
	if (r == -EAGAIN)
		(void)error_set(err, -EBUSY, "too many clients wait for their turn");
	else if (r < 0)
		(void)error_set_errno(err, r, "connecting");
	else
		r = take_greeting(link, err);
	if (r == 0)
		r = negotiate(link, err);
	if (r < 0) {
		close_link(&link->link);
		return error_prefix(err, r, "%s", path);
	}
	*ret_link = &link->link;
	return 0;
}
