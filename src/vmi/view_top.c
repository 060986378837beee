/* SPDX-License-Identifier: Apache-2.0 */
/* Two samples a moment apart: what each process used in between, and with whom it spoke. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "introspect/socket.h"
#include "vmi/view.h"

struct sample {
	struct task_list tasks;     /* by pid */
	struct socket_list sockets; /* by address once sorted */
	int64_t taken_usec;
};

static void sample_deinit(struct sample *sample)
{
	task_list_deinit(&sample->tasks);
	socket_list_deinit(&sample->sockets);
}

static int by_pid(const void *a, const void *b)
{
	const struct task *left = a, *right = b;

	return (left->pid > right->pid) - (left->pid < right->pid);
}

/* NULL: it was not there. */
static const struct task *find_task(const struct sample *sample, uint32_t pid)
{
	struct task wanted = {.pid = pid};

	return bsearch(&wanted, sample->tasks.tasks, sample->tasks.count, sizeof(wanted), by_pid);
}

/* Takes the session's list of processes: the next one is to be read anew. */
static int take_sample(struct session *session, struct sample *sample, struct error *err)
{
	const struct task_list *tasks;
	int r;

	session_refresh(session);
	sample->taken_usec = clock_mono_usec();
	r = session_tasks(session, &tasks, err);
	if (r == 0) {
		r = socket_list_read(&session->guest, tasks, &sample->sockets);
		if (r < 0)
			(void)error_set_errno(err, r, "reading the guest's sockets");
	}
	if (r == 0) {
		sample->tasks = session->tasks;
		session->has_tasks = false;
		qsort(sample->tasks.tasks, sample->tasks.count, sizeof(struct task), by_pid);
	}
	return r;
}

static void wait_interval(struct session *session)
{
	int64_t usec = session->order->interval_usec;
	struct timespec gap = {.tv_sec = usec / USEC_PER_SEC,
			       .tv_nsec = usec % USEC_PER_SEC * 1000};

	(void)nanosleep(&gap, NULL); /* what really passed is measured */
	memory_set_deadline(session->guest.memory, clock_mono_usec() + session->order->budget_usec);
}

static int by_address(const void *a, const void *b)
{
	const struct socket *left = a, *right = b;

	return (left->address > right->address) - (left->address < right->address);
}

/* The same connection in the earlier sample: an address may have been used again. */
static const struct socket *find_before(const struct sample *before, const struct socket *socket)
{
	const struct socket *found = bsearch(socket, before->sockets.sockets, before->sockets.count,
					     sizeof(*socket), by_address);

	if (!found || found->local_port != socket->local_port ||
	    found->remote_port != socket->remote_port || found->family != socket->family ||
	    memcmp(found->remote, socket->remote, sizeof(found->remote)) != 0 ||
	    found->received_bytes > socket->received_bytes ||
	    found->sent_bytes > socket->sent_bytes)
		return NULL;
	return found;
}

/* Peers: the connections of a process with one address and service, added up */

struct peer {
	uint32_t pid, family;
	bool is_incoming;
	uint8_t address[16];
	uint16_t port; /* of the service: ours when incoming, else the peer's */
	uint64_t connections, opened, received, sent, received_delta, sent_delta;
};

struct peers {
	struct peer *peers;
	size_t count;
};

/* One bit a port: asked once per listener instead of once per connection. */
static void mark_listeners(const struct sample *sample, uint8_t ports[8192])
{
	memset(ports, 0, 8192);
	for (size_t i = 0; i < sample->sockets.count; i++) {
		const struct socket *socket = &sample->sockets.sockets[i];

		if (socket->state == SOCKET_STATE_LISTEN)
			ports[socket->local_port / 8] |= (uint8_t)(1 << socket->local_port % 8);
	}
}

static struct peer peer_of(const struct socket *socket, const struct socket *before,
			   const uint8_t ports[8192])
{
	struct peer peer = {
		.pid = socket->pid,
		.family = socket->family,
		.is_incoming = ports[socket->local_port / 8] >> socket->local_port % 8 & 1,
		.connections = 1,
		.opened = !before,
		.received = socket->received_bytes,
		.sent = socket->sent_bytes,
		.received_delta = socket->received_bytes - (before ? before->received_bytes : 0),
		.sent_delta = socket->sent_bytes - (before ? before->sent_bytes : 0),
	};

	peer.port = peer.is_incoming ? socket->local_port : socket->remote_port;
	memcpy(peer.address, socket->remote, sizeof(peer.address));
	return peer;
}

static int by_peer(const void *a, const void *b)
{
	const struct peer *left = a, *right = b;
	int order = memcmp(left->address, right->address, sizeof(left->address));

	if (left->pid != right->pid)
		return left->pid < right->pid ? -1 : 1;
	if (left->is_incoming != right->is_incoming)
		return left->is_incoming ? -1 : 1;
	if (left->family != right->family)
		return left->family < right->family ? -1 : 1;
	return order ? order : (int)left->port - (int)right->port;
}

static void merge(struct peers *peers)
{
	size_t kept = 0;

	for (size_t i = 0; i < peers->count; i++) {
		struct peer *last = kept ? &peers->peers[kept - 1] : NULL;
		const struct peer *peer = &peers->peers[i];

		if (!last || by_peer(last, peer) != 0) {
			peers->peers[kept++] = *peer;
			continue;
		}
		last->connections += peer->connections;
		last->opened += peer->opened;
		last->received += peer->received;
		last->sent += peer->sent;
		last->received_delta += peer->received_delta;
		last->sent_delta += peer->sent_delta;
	}
	peers->count = kept;
}

static int find_peers(const struct sample *before, const struct sample *after, struct peers *peers)
{
	uint8_t ports[8192];

	mark_listeners(after, ports);
	peers->peers = calloc(after->sockets.count + 1, sizeof(*peers->peers));
	if (!peers->peers)
		return -ENOMEM;
	for (size_t i = 0; i < after->sockets.count; i++) {
		const struct socket *socket = &after->sockets.sockets[i];

		if (socket->remote_port == 0)
			continue;
		peers->peers[peers->count++] = peer_of(socket, find_before(before, socket), ports);
	}
	qsort(peers->peers, peers->count, sizeof(*peers->peers), by_peer);
	merge(peers);
	return 0;
}

/* Processes */

struct usage {
	const struct task *task;
	double cpu_percent, children_percent, read_rate, write_rate, received_rate, sent_rate;
	uint64_t connections, opened,
		ended_nsec; /* ended_nsec: of children, until the first sample */
	bool is_new;
};

static double rate(uint64_t after, uint64_t before, double seconds)
{
	return after >= before ? (double)(after - before) / seconds : 0;
}

static struct usage usage_of(const struct task *task, const struct sample *before, double seconds)
{
	static const struct task none;
	const struct task *earlier = find_task(before, task->pid);
	bool is_new = !earlier || earlier->start_nsec != task->start_nsec;

	if (is_new)
		earlier = &none;
	return (struct usage){
		.task = task,
		.cpu_percent = 1e-7 * rate(task->runtime_nsec, earlier->runtime_nsec, seconds),
		.read_rate = rate(task->read_bytes, earlier->read_bytes, seconds),
		.write_rate = rate(task->write_bytes, earlier->write_bytes, seconds),
		.is_new = is_new,
	};
}

/* What children used that have ended in between: a script that starts one short command after the
 * other uses nothing itself. A child that had been there before brings its whole life with it, of
 * which only the end counts. */
static void add_children(struct usage *usages, const struct sample *before,
			 const struct sample *after, double seconds)
{
	const struct task *first = after->tasks.tasks;

	for (size_t i = 0; i < before->tasks.count; i++) {
		const struct task *child = &before->tasks.tasks[i];
		const struct task *now = find_task(after, child->pid);
		const struct task *parent = find_task(after, child->parent_pid);

		if (parent && (!now || now->start_nsec != child->start_nsec))
			usages[parent - first].ended_nsec +=
				child->runtime_nsec + child->children_nsec;
	}
	for (size_t i = 0; i < after->tasks.count; i++) {
		const struct task *earlier = find_task(before, first[i].pid);
		uint64_t was = usages[i].is_new || !earlier ? 0 : earlier->children_nsec;

		usages[i].children_percent =
			1e-7 * rate(first[i].children_nsec, was + usages[i].ended_nsec, seconds);
	}
}

static void add_peers(struct usage *usage, const struct peers *peers, double seconds)
{
	for (size_t i = 0; i < peers->count; i++) {
		const struct peer *peer = &peers->peers[i];

		if (peer->pid != usage->task->pid)
			continue;
		usage->connections += peer->connections;
		usage->opened += peer->opened;
		usage->received_rate += (double)peer->received_delta / seconds;
		usage->sent_rate += (double)peer->sent_delta / seconds;
	}
}

static int by_cpu(const void *a, const void *b)
{
	const struct usage *left = a, *right = b;
	double order = right->cpu_percent - left->cpu_percent;

	if (order == 0)
		return left->task->pid < right->task->pid ? -1 : left->task->pid > right->task->pid;
	return order < 0 ? -1 : 1;
}

static void put_usage(struct session *session, const struct usage *usage)
{
	struct report *report = session->report;

	report_number(report, usage->task->pid);
	report_number(report, usage->task->uid);
	report_text(report, usage->task->comm);
	report_real(report, usage->cpu_percent);
	report_real(report, usage->children_percent);
	report_number(report, (uint64_t)usage->read_rate);
	report_number(report, (uint64_t)usage->write_rate);
	report_number(report, usage->connections);
	report_number(report, usage->opened);
	report_number(report, (uint64_t)usage->received_rate);
	report_number(report, (uint64_t)usage->sent_rate);
	report_number(report, usage->is_new);
	report_number(report, usage->task->start_nsec);
}

static int put_usages(struct session *session, const struct sample *before,
		      const struct sample *after, const struct peers *peers, double seconds)
{
	static const struct report_column columns[] = {
		{"pid", REPORT_COUNT},
		{"uid", REPORT_COUNT},
		{"command", REPORT_TEXT},
		{"cpu_percent", REPORT_REAL},
		{"children_cpu_percent", REPORT_REAL},
		{"read_per_sec", REPORT_BYTES},
		{"write_per_sec", REPORT_BYTES},
		{"connections", REPORT_COUNT},
		{"opened", REPORT_COUNT},
		{"received_per_sec", REPORT_BYTES},
		{"sent_per_sec", REPORT_BYTES},
		{"new", REPORT_FLAG},
		{"start_nsec", REPORT_COUNT},
	};
	cleanup(free) struct usage *usages = calloc(after->tasks.count + 1, sizeof(*usages));

	if (!usages)
		return -ENOMEM;
	for (size_t i = 0; i < after->tasks.count; i++) {
		usages[i] = usage_of(&after->tasks.tasks[i], before, seconds);
		add_peers(&usages[i], peers, seconds);
	}
	add_children(usages, before, after, seconds);
	qsort(usages, after->tasks.count, sizeof(*usages), by_cpu);
	VIEW_TABLE(session, "top", columns);
	for (size_t i = 0; i < after->tasks.count; i++)
		if (view_wants(session, usages[i].task->pid))
			put_usage(session, &usages[i]);
	return 0;
}

static void put_peer(struct session *session, const struct peer *peer, const struct task *task,
		     double seconds)
{
	struct socket address = {.family = peer->family, .remote_port = peer->port};
	struct report *report = session->report;
	char text[SOCKET_ADDRESS_SIZE];

	memcpy(address.remote, peer->address, sizeof(address.remote));
	socket_format_address(&address, true, text);
	if (peer->pid) {
		report_number(report, peer->pid);
		report_text(report, task ? task->comm : NULL);
	} else {
		report_unknown(report);
		report_unknown(report);
	}
	report_text(report, peer->is_incoming ? "in" : "out");
	report_text(report, text);
	report_number(report, peer->port);
	report_number(report, peer->connections);
	report_number(report, peer->opened);
	report_number(report, peer->received);
	report_number(report, peer->sent);
	report_number(report, (uint64_t)((double)peer->received_delta / seconds));
	report_number(report, (uint64_t)((double)peer->sent_delta / seconds));
}

static void put_peers(struct session *session, const struct sample *after,
		      const struct peers *peers, double seconds)
{
	static const struct report_column columns[] = {
		{"pid", REPORT_COUNT},          {"command", REPORT_TEXT},
		{"direction", REPORT_TEXT},     {"peer", REPORT_TEXT},
		{"port", REPORT_COUNT},         {"connections", REPORT_COUNT},
		{"opened", REPORT_COUNT},       {"received", REPORT_BYTES},
		{"sent", REPORT_BYTES},         {"received_per_sec", REPORT_BYTES},
		{"sent_per_sec", REPORT_BYTES},
	};

	VIEW_TABLE(session, "peers", columns);
	for (size_t i = 0; i < peers->count; i++)
		if (view_wants(session, peers->peers[i].pid))
			put_peer(session, &peers->peers[i], find_task(after, peers->peers[i].pid),
				 seconds);
}

int view_top(struct session *session, struct error *err)
{
	struct sample before = {0}, after = {0};
	struct peers peers = {0};
	double seconds;
	int r = take_sample(session, &before, err);

	if (r == 0) {
		qsort(before.sockets.sockets, before.sockets.count, sizeof(struct socket),
		      by_address);
		wait_interval(session);
		r = take_sample(session, &after, err);
	}
	seconds = (double)(after.taken_usec - before.taken_usec) / (double)USEC_PER_SEC;
	if (r == 0)
		r = find_peers(&before, &after, &peers);
	if (r == 0)
		r = put_usages(session, &before, &after, &peers, seconds);
	if (r == 0)
		put_peers(session, &after, &peers, seconds);
	else if (r == -ENOMEM)
		(void)error_set_errno(err, r, "comparing two samples");
	free(peers.peers);
	sample_deinit(&before);
	sample_deinit(&after);
	return r;
}
