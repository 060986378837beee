/* SPDX-License-Identifier: Apache-2.0 */
/* What nodes say: HELLO, EPOCH, FRAME, each checked against the certificate, the order and the
 * limits. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "controller/controller.h"
#include "track/grid.h"

/* A node's clock may differ from ours, but not by this. */
#define FUTURE_USEC_MAX (24 * 3600 * USEC_PER_SEC)
#define STALE_INTERVALS 3
#define STALE_USEC_MIN USEC_PER_SEC

DEFINE_CLEANUP(struct codec *, codec_free)

static int send_message(struct bus_peer *peer, const struct wire_message *message)
{
	cleanup(free) uint8_t *data = NULL;
	size_t size;
	int r = wire_encode(message, &data, &size, NULL);

	return r < 0 ? r : bus_peer_send(peer, data, size);
}

static void set_state(struct node *node, enum node_state state)
{
	if (node->state == state)
		return;
	node->state = state;
	node->since_usec = clock_wall_usec();
}

/* Tells the node why and ends the connection. */
static void refuse(struct bus_peer *peer, const char *reason)
{
	struct wire_message message = {.type = WIRE_REFUSED, .refused = {.reason = (char *)reason}};

	log_warning("node %s at %s is refused: %s", bus_peer_name(peer), bus_peer_address(peer),
		    reason);
	(void)send_message(peer, &message); /* the close that follows says it too */
	bus_peer_close(peer, reason);
}

static void on_opened(void *userdata, struct bus_peer *peer)
{
	log_debug("connection from %s at %s", bus_peer_name(peer), bus_peer_address(peer));
}

/* Silence */

static void mark_vm_stale(struct controller *controller, struct vm *vm)
{
	int64_t time = vm->node->watermark_usec + vm->node->interval_usec;

	for (size_t i = 0; i < METRIC_COUNT; i++) {
		struct tracker *tracker = &vm->series[i].tracker;

		if (!vm->series[i].exists || tracker->state == TRACKER_STALE)
			continue;
		tracker_mark_stale(tracker, time);
		history_point(controller->history, vm, (enum metric)i, time);
	}
}

static void drop_vm(struct controller *controller, struct vm *vm)
{
	vm->gone = true;
	vm->gone_usec = clock_wall_usec();
	log_info("VM %s of node %s is gone", vm->name, vm->node->name);
	mark_vm_stale(controller, vm);
	groups_place(&controller->groups, vm);
}

/* A VM that another node runs meanwhile is not to be waited for. */
static void mark_stale(struct controller *controller, struct node *node)
{
	struct vm *vm;

	map_foreach (node->vms, i, vm) {
		if (vm->gone)
			continue;
		if (fleet_runs_elsewhere(&controller->fleet, vm))
			drop_vm(controller, vm);
		else
			mark_vm_stale(controller, vm);
	}
	history_write(controller->history);
}

static bool is_silent(const struct node *node)
{
	int64_t patience = STALE_INTERVALS * node->interval_usec;

	if (patience < STALE_USEC_MIN)
		patience = STALE_USEC_MIN;
	return clock_mono_usec() - node->heard_usec > patience;
}

void link_watch(struct controller *controller)
{
	struct node *node;

	map_foreach (controller->fleet.nodes, i, node) {
		if (!node->in_epoch || !is_silent(node))
			continue;
		node->in_epoch = false; /* its series are stale until another epoch begins */
		if (node->peer)
			set_state(node, NODE_STALE);
		log_warning("node %s has been silent: its series are stale", node->name);
		mark_stale(controller, node);
	}
}

/* What its connection has swallowed is said again on the next one. */
static void lose(struct controller *controller, const struct node *node)
{
	inquiries_lost(&controller->inquiries, node);
	actions_lost(&controller->actions, node);
}

static void on_closed(void *userdata, struct bus_peer *peer)
{
	struct controller *controller = userdata;
	struct node *node = bus_peer_userdata(peer);

	if (!node || node->peer != peer)
		return;
	log_info("node %s has disconnected", node->name);
	node->peer = NULL;
	lose(controller, node);
	node->bytes += bus_peer_bytes_received(peer);
	set_state(node, NODE_DISCONNECTED);
}

/* HELLO */

static void take_text(char **text, char **with)
{
	free(*text);
	*text = keep(*with);
}

/* The other connection of that name, if it is alive and of another process. */
static bool is_taken(const struct node *node, const struct wire_hello *hello)
{
	return node->peer && node->instance != hello->instance && !is_silent(node);
}

/* Whether a node may not connect; the reason says what to do. */
static bool is_unwelcome(const struct bus_peer *peer, const struct wire_hello *hello,
			 const struct node *node, char reason[BUS_REASON_MAX + 1])
{
	if (hello->version != WIRE_VERSION)
		(void)snprintf(
			reason, BUS_REASON_MAX + 1,
			"this atomd speaks version %d of the protocol, not %u: install the same "
			"release on both",
			WIRE_VERSION, hello->version);
	else if (strcmp(hello->node, bus_peer_name(peer)) != 0)
		(void)snprintf(
			reason, BUS_REASON_MAX + 1,
			"it calls itself '%.60s' but its certificate says '%.60s': set name in "
			"node.yaml to that, or enroll it anew",
			hello->node, bus_peer_name(peer));
	else if (node && is_taken(node, hello))
		(void)snprintf(
			reason, BUS_REASON_MAX + 1,
			"a node called '%.60s' is connected already, from %s: enroll this one "
			"under another name",
			node->name, node->address);
	else
		return false;
	return true;
}

static void adopt_peer(struct controller *controller, struct node *node, struct bus_peer *peer,
		       struct wire_hello *hello)
{
	if (node->peer) {
		/* it may have ended for the node alone */
		bus_peer_close(node->peer, "replaced by a newer connection of the same node");
		lose(controller, node);
	}
	node->peer = peer;
	node->instance = hello->instance;
	node->in_epoch = false;
	node->heard_usec = clock_mono_usec();
	(void)snprintf(node->address, sizeof(node->address), "%s", bus_peer_address(peer));
	take_text(&node->host, &hello->host);
	take_text(&node->software, &hello->software);
	take_text(&node->hypervisor, &hello->hypervisor);
	bus_peer_set_userdata(peer, node);
	set_state(node, NODE_CONNECTED);
	log_info("node %s has connected from %s: %s", node->name, node->address, node->hypervisor);
}

static int take_hello(struct controller *controller, struct bus_peer *peer,
		      struct wire_hello *hello)
{
	struct wire_message settings = {.type = WIRE_SETTINGS, .settings = controller->observation};
	struct node *node = map_find(controller->fleet.nodes, hello->node);
	char reason[BUS_REASON_MAX + 1];

	if (is_unwelcome(peer, hello, node, reason)) {
		refuse(peer, reason);
		return 0;
	}
	node = fleet_node(&controller->fleet, hello->node);
	if (!node)
		return -ENOMEM;
	adopt_peer(controller, node, peer, hello);
	return send_message(peer, &settings);
}

/* EPOCH */

static int reserve_epoch(struct node *node, const struct wire_epoch *epoch,
			 struct codec **ret_codec)
{
	size_t count = wire_series_count(epoch);
	cleanup(free) int32_t *exponents = calloc(count + 1, sizeof(*exponents));
	struct codec_entry *entries = reallocarray(node->entries, count + 1, sizeof(*entries));
	struct vm **order;

	if (!entries || !exponents)
		return -ENOMEM;
	node->entries = entries;
	order = reallocarray(node->order, epoch->vm_count + 1, sizeof(struct vm *));
	if (!order)
		return -ENOMEM;
	node->order = order;
	for (size_t i = 0; i < count; i++) {
		int exponent;

		exponents[i] =
			track_grid_exponent(epoch->deltas[i], &exponent) ? exponent : CODEC_NO_GRID;
	}
	return codec_new(exponents, count, ret_codec);
}

static int take_vms(struct controller *controller, struct node *node,
		    const struct wire_epoch *epoch)
{
	for (size_t i = 0; i < epoch->vm_count; i++) {
		const struct wire_vm *told = &epoch->vms[i];
		struct vm *vm = fleet_vm(node, &told->uuid);

		if (!vm)
			return -ENOMEM;
		if (strcmp(vm->name, told->name) != 0 ||
		    strcmp(vm->instance, told->instance) != 0 ||
		    strcmp(vm->project, told->project) != 0 || vm->vcpus != told->vcpus)
			vm->number = 0; /* the store learns the new names */
		if (fleet_name_vm(vm, told->name, told->instance, told->project, told->vcpus) < 0)
			return -ENOMEM;
		vm->gone = vm->stored = false;
		node->order[i] = vm;
		groups_place(&controller->groups, vm);
	}
	return 0;
}

static bool is_in_order(const struct node *node, const struct vm *vm)
{
	for (size_t i = 0; i < node->order_count; i++)
		if (node->order[i] == vm)
			return true;
	return false;
}

static void drop_missing(struct controller *controller, struct node *node)
{
	struct vm *vm;

	map_foreach (node->vms, i, vm)
		if (!vm->gone && !is_in_order(node, vm))
			drop_vm(controller, vm);
}

/* What the node runs now and another one ran that is away: it has come over. */
static void take_over(struct controller *controller, const struct node *node)
{
	struct node *other;

	map_foreach (controller->fleet.nodes, i, other) {
		for (size_t j = 0; other->state != NODE_CONNECTED && j < node->order_count; j++) {
			struct vm *vm = map_find(other->vms, node->order[j]->uuid_text);

			if (vm && vm != node->order[j] && !vm->gone)
				drop_vm(controller, vm);
		}
	}
}

static void start_series(const struct tuner *tuner, struct node *node, const double *deltas)
{
	for (size_t i = 0; i < fleet_series_count(node); i++) {
		enum metric metric;
		struct vm *vm;
		struct series *series = fleet_series(node, i, &vm, &metric);

		series->exists = true;
		tracker_start_epoch(&series->tracker, deltas[i]);
		tuner_adopt(tuner, series, metric, deltas[i]);
		groups_set_floor(vm, metric);
	}
}

static int take_epoch(struct controller *controller, struct node *node,
		      const struct wire_epoch *epoch, struct error *err)
{
	cleanup(codec_free) struct codec *codec = NULL;
	int r;

	if (epoch->epoch <= node->epoch)
		return error_set(err, -EPROTO,
				 "epoch %llu is not newer than %llu: was the node's clock set "
				 "back?",
				 (unsigned long long)epoch->epoch, (unsigned long long)node->epoch);
	r = reserve_epoch(node, epoch, &codec);
	if (r < 0)
		return r;
	node->order_count = 0;
	r = take_vms(controller, node, epoch);
	if (r < 0)
		return r;
	node->order_count = epoch->vm_count;
	node->metrics = epoch->metrics;
	node->epoch = epoch->epoch;
	node->sequence = 0;
	node->interval_usec = epoch->interval_usec;
	node->in_epoch = true;
	node->heard_usec = clock_mono_usec();
	drop_missing(controller, node);
	take_over(controller, node);
	codec_free(node->codec);
	node->codec = keep(codec);
	node->delta_version = epoch->delta_version;
	if (epoch->delta_version > node->delta_last)
		node->delta_last = epoch->delta_version;
	node->delta_awaited = false;
	start_series(&controller->groups.tuner, node, epoch->deltas);
	log_debug("node %s: epoch %llu of %zu VMs", node->name, (unsigned long long)node->epoch,
		  node->order_count);
	return 0;
}

/* FRAME */

static int check_frame(const struct node *node, const struct wire_frame *frame, struct error *err)
{
	if (!node->codec || frame->epoch != node->epoch)
		return error_set(err, -EPROTO, "frame of an epoch that was not announced");
	if (frame->sequence != node->sequence)
		return error_set(err, -EPROTO, "frame %llu where %llu was due",
				 (unsigned long long)frame->sequence,
				 (unsigned long long)node->sequence);
	if (frame->watermark_usec < node->watermark_usec)
		return error_set(
			err, -EPROTO,
			"the node's time goes backwards: check its clock, or the start of its "
			"trace");
	if (frame->watermark_usec > clock_wall_usec() + FUTURE_USEC_MAX)
		return error_set(err, -EPROTO,
				 "the node's time is more than a day ahead: check its clock");
	return 0;
}

static void take_entry(struct controller *controller, struct node *node,
		       const struct codec_entry *entry, int64_t time_usec)
{
	enum metric metric;
	struct vm *vm;
	struct series *series = fleet_series(node, entry->series, &vm, &metric);

	if (entry->gap) {
		tracker_receive_gap(&series->tracker, time_usec);
	} else {
		tracker_receive(&series->tracker, entry->value, time_usec);
		groups_add_column(vm, metric);
	}
	history_point(controller->history, vm, metric, time_usec);
}

static int take_frame(struct controller *controller, struct node *node,
		      const struct wire_frame *frame, struct error *err)
{
	size_t count;
	int r = check_frame(node, frame, err);

	if (r == 0)
		r = tuner_set_grids(node, frame, err);
	if (r == 0)
		r = codec_decode(node->codec, frame->payload, frame->payload_size, node->entries,
				 &count, err);
	if (r == 0 && frame->sequence == 0 && count != fleet_series_count(node))
		r = error_set(err, -EPROTO, "the first frame of an epoch must hold every series");
	if (r < 0)
		return r;
	node->sequence++;
	node->frames++;
	node->heard_usec = clock_mono_usec();
	node->watermark_usec = frame->watermark_usec;
	node->in_epoch = true;
	set_state(node, NODE_CONNECTED);
	tuner_set_in_force(controller->history, node, frame);
	for (size_t i = 0; i < count; i++)
		take_entry(controller, node, &node->entries[i], frame->watermark_usec);
	for (size_t i = 0; i < fleet_series_count(node); i++) {
		enum metric metric;
		struct vm *vm;

		tracker_tick(&fleet_series(node, i, &vm, &metric)->tracker);
	}
	groups_advance(&controller->groups, &controller->fleet, node);
	tuner_send(node);
	inquiries_follow(controller);
	history_write(controller->history);
	announce_tell(controller);
	return 0;
}

/* Of a look that an alarm asked for, or one that verifies an action. */
static int take_findings(struct controller *controller, const struct node *node,
			 const struct wire_findings *findings, struct error *err)
{
	int r = actions_take_look(controller, node, findings, err);

	if (r == 0)
		r = inquiries_take(controller, node, findings, err);
	history_write(controller->history);
	return r < 0 ? r : 0;
}

/* A node that was stale and speaks on in its old epoch: its series are as good as its silence was
 * long. It must begin anew, which closing the connection makes it do. */
static int take_message(struct controller *controller, struct bus_peer *peer,
			struct wire_message *message, struct error *err)
{
	struct node *node = bus_peer_userdata(peer);

	if (message->type == WIRE_HELLO && !node)
		return take_hello(controller, peer, &message->hello);
	if (!node || node->peer != peer)
		return error_set(err, -EPROTO, "a node must say HELLO first, and once");
	if (message->type == WIRE_EPOCH)
		return take_epoch(controller, node, &message->epoch, err);
	if (message->type == WIRE_FINDINGS)
		return take_findings(controller, node, &message->findings, err);
	if (message->type == WIRE_OUTCOME) {
		int r = actions_take(controller, node, &message->outcome, err);

		history_write(controller->history);
		return r;
	}
	if (message->type != WIRE_FRAME)
		return error_set(err, -EPROTO, "a message that a node does not send");
	if (!node->in_epoch)
		return error_set(err, -EPROTO, "a frame after a long silence: begin a new epoch");
	return take_frame(controller, node, &message->frame, err);
}

static int on_received(void *userdata, struct bus_peer *peer, const uint8_t *data, size_t size)
{
	struct controller *controller = userdata;
	struct wire_message message;
	struct error err = ERROR_INIT;
	int r = wire_decode(data, size, &message, &err);

	if (r == -ENOTSUP)
		return 0; /* of a newer node */
	if (r == 0) {
		r = take_message(controller, peer, &message, &err);
		wire_message_deinit(&message);
	}
	if (r < 0) {
		log_warning("node %s at %s: %s; the connection is closed", bus_peer_name(peer),
			    bus_peer_address(peer), error_text(&err, r));
		bus_peer_close(peer, error_text(&err, r));
	}
	return 0;
}

const struct bus_server_ops link_ops = {on_opened, on_received, on_closed};
