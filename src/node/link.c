/* SPDX-License-Identifier: Apache-2.0 */
/* The connection to the controller: HELLO, then what it says, then epochs and frames; and what it
 * asks to look into and orders to be done. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "node/node.h"

enum { REFUSED_RETRY_MSEC = 30000 };

static int connect_client(struct node *node, struct error *err);

static int send_hello(struct node *node)
{
	cleanup(free) uint8_t *data = NULL;
	char host[256] = "", software[] = ATOM_VERSION;
	struct error err = ERROR_INIT;
	struct wire_message message = {
		.type = WIRE_HELLO,
		.hello = {.version = WIRE_VERSION,
			  .node = node->name,
			  .host = host,
			  .instance = node->instance,
			  .software = software,
			  .hypervisor = (char *)hypervisor_name(node->hypervisor)},
	};
	size_t size;
	int r;

	if (gethostname(host, sizeof(host) - 1) < 0)
		host[0] = '\0';
	r = wire_encode(&message, &data, &size, &err);
	if (r == 0)
		r = bus_client_send(node->client, data, size);
	if (r < 0)
		log_error("cannot greet the controller: %s", error_text(&err, r));
	return r;
}

static void on_opened(void *userdata)
{
	struct node *node = userdata;

	log_info("connected to %s port %d", node->settings.controller_host,
		 (int)node->settings.controller_port);
	node->connected = true;
	node->have_settings = false;
	node->last_reason[0] = '\0';
	fleet_end_epoch(node->fleet);
	(void)send_hello(node); /* a failed one ends the connection by the controller's patience */
}

static void on_closed(void *userdata, const char *reason)
{
	struct node *node = userdata;

	if (strcmp(reason, node->last_reason) != 0)
		log_warning("%s; trying again", reason);
	(void)snprintf(node->last_reason, sizeof(node->last_reason), "%s", reason);
	node->connected = false;
	node->have_settings = false;
	fleet_end_epoch(node->fleet);
}

static bool is_same(const struct wire_settings *a, const struct wire_settings *b)
{
	bool same = a->interval_usec == b->interval_usec && a->metrics == b->metrics;

	for (size_t i = 0; i < METRIC_COUNT; i++)
		same &= a->deltas[i] == b->deltas[i];
	return same;
}

static void take_settings(struct node *node, const struct wire_settings *settings)
{
	bool same = is_same(&node->observation, settings);

	node->have_settings = true;
	if (same) {
		/* rates and observers stayed warm: the newest samples begin the epoch */
		link_send_tick(node);
		return;
	}
	node->observation = *settings;
	fleet_set_settings(node->fleet, settings);
	log_info("observing every %.3g s", (double)settings->interval_usec / (double)USEC_PER_SEC);
	collector_restart(node);
}

static void on_retry(uv_timer_t *timer)
{
	struct node *node = timer->data;
	struct error err = ERROR_INIT;

	if (node->client) {
		/* refused: a person has to act first, the usual eagerness would only fill logs */
		node->client = bus_client_free(node->client);
		(void)uv_timer_start(&node->retry, on_retry, REFUSED_RETRY_MSEC, 0);
		return;
	}
	if (connect_client(node, &err) < 0) {
		log_error("%s", err.text);
		node_stop(node, 1);
	}
}

/* The client is let go of by the timer, since it may not be freed in its own callback. */
static void take_refusal(struct node *node, const char *reason)
{
	log_error("the controller refuses this node: %s; trying again every %d s", reason,
		  REFUSED_RETRY_MSEC / 1000);
	node->connected = false;
	(void)uv_timer_start(&node->retry, on_retry, 0, 0);
}

/* Before that, "no such VM" would be an answer for good. A controller that waits for the epoch, as
 * it should, has nothing passed over. */
static bool may_take(const struct node *node, const char *what)
{
	if (!node->have_settings)
		log_warning("%s comes before the settings: passed over", what);
	else if (!fleet_is_listed(node->fleet))
		log_warning("%s comes before it is known which VMs there are: passed over", what);
	else
		return true;
	return false;
}

static void take_introspect(struct node *node, const struct wire_introspect *request)
{
	struct policy_case asked = {.controller = bus_client_peer_name(node->client)};
	bool found = fleet_find_vm(node->fleet, &request->vm, &asked.vm, &asked.project) == 0;

	if (may_take(node, "a request to look into a VM"))
		introspector_ask(node->introspector, request, found ? &asked : NULL);
}

static void take_act(struct node *node, const struct wire_act *act)
{
	struct policy_case asked = {.controller = bus_client_peer_name(node->client)};

	(void)fleet_find_vm(node->fleet, &act->vm, &asked.vm, &asked.project); /* or NULL */
	if (may_take(node, "an action"))
		actor_order(node->actor, act, &asked);
}

static void take_deltas(struct node *node, const struct wire_deltas *deltas)
{
	int r = node->have_settings ? fleet_set_deltas(node->fleet, deltas) : 0;

	if (r > 0)
		log_debug("maximum errors %llu: %zu series", (unsigned long long)deltas->version,
			  deltas->count);
	else if (r < 0)
		log_warning("maximum errors for series that there are not: passed over");
}

static int on_received(void *userdata, const uint8_t *data, size_t size)
{
	struct node *node = userdata;
	struct wire_message message;
	struct error err = ERROR_INIT;
	int r = wire_decode(data, size, &message, &err);

	if (r == -ENOTSUP)
		return 0; /* of a newer controller */
	if (r < 0) {
		log_error("the controller's message makes no sense: %s", error_text(&err, r));
		return r;
	}
	if (message.type == WIRE_SETTINGS)
		take_settings(node, &message.settings);
	else if (message.type == WIRE_REFUSED)
		take_refusal(node, message.refused.reason);
	else if (message.type == WIRE_INTROSPECT)
		take_introspect(node, &message.introspect);
	else if (message.type == WIRE_ACT)
		take_act(node, &message.act);
	else if (message.type == WIRE_DELTAS)
		take_deltas(node, &message.deltas);
	wire_message_deinit(&message);
	return 0;
}

static uint64_t next_epoch(const struct node *node)
{
	uint64_t now = (uint64_t)clock_wall_usec();

	return now > node->epoch ? now : node->epoch + 1;
}

static int send_epoch(struct node *node, struct error *err)
{
	cleanup(free) uint8_t *data = NULL;
	uint64_t number = next_epoch(node);
	size_t size;
	int r = fleet_begin_epoch(node->fleet, number, &data, &size, err);

	if (r < 0)
		return r;
	node->epoch = number;
	r = bus_client_send(node->client, data, size);
	return r < 0 ? error_set_errno(err, r, "sending") : 0;
}

static int send_frame(struct node *node, struct error *err)
{
	cleanup(free) uint8_t *data = NULL;
	size_t size;
	int r = fleet_make_frame(node->fleet, &data, &size, err);

	if (r == 0)
		r = bus_client_send(node->client, data, size);
	return r < 0 && err->code == 0 ? error_set_errno(err, r, "sending") : r;
}

void link_send_tick(struct node *node)
{
	struct error err = ERROR_INIT;
	int r = 0;

	if (!node->connected || !node->have_settings || !fleet_has_tick(node->fleet))
		return;
	if (!fleet_has_epoch(node->fleet))
		r = send_epoch(node, &err);
	if (r == 0)
		r = send_frame(node, &err);
	if (r == 0)
		return;
	/* a frame that is not out breaks the sequence: the next one begins an epoch */
	fleet_end_epoch(node->fleet);
	log_warning("this tick is lost: %s", error_text(&err, r));
}

/* What is not sent is asked for again, after the connection has ended. So one that does not take an
 * answer is ended, as soon as it has taken what is queued: the next one gets on. */
static void send_answer(struct node *node, const struct wire_message *message, const char *what,
			uint64_t number)
{
	cleanup(free) uint8_t *data = NULL;
	struct error err = ERROR_INIT;
	size_t size;
	int r;

	if (!node->connected || !node->have_settings)
		return;
	r = wire_encode(message, &data, &size, &err);
	if (r < 0) {
		log_warning("the answer to %s %llu is lost: %s", what, (unsigned long long)number,
			    error_text(&err, r));
		return;
	}
	r = bus_client_send(node->client, data, size);
	if (r == 0)
		return;
	log_warning("the answer to %s %llu is not sent: %s", what, (unsigned long long)number,
		    strerror(-r));
	node->connected = false;
	bus_client_close(node->client, "the controller did not take an answer: connecting anew");
}

void link_send_findings(struct node *node, const struct wire_findings *findings)
{
	const struct wire_message message = {.type = WIRE_FINDINGS, .findings = *findings};

	send_answer(node, &message, "request", findings->request);
}

void link_send_outcome(struct node *node, const struct wire_outcome *outcome)
{
	const struct wire_message message = {.type = WIRE_OUTCOME, .outcome = *outcome};

	send_answer(node, &message, "action", outcome->action);
}

static const struct bus_client_ops ops = {on_opened, on_received, on_closed};

static int connect_client(struct node *node, struct error *err)
{
	struct bus_tls tls = {node->settings.tls_ca, node->settings.tls_certificate,
			      node->settings.tls_key};

	return bus_client_new(&node->loop, node->settings.controller_host,
			      (uint16_t)node->settings.controller_port, &tls, &ops, node,
			      &node->client, err);
}

int link_start(struct node *node, struct error *err)
{
	(void)uv_timer_init(&node->loop, &node->retry); /* cannot fail */
	node->retry.data = node;
	if (getrandom(&node->instance, sizeof(node->instance), 0) != sizeof(node->instance))
		return error_set_errno(err, -errno, "random numbers");
	return connect_client(node, err);
}

void link_stop(struct node *node)
{
	node->client = bus_client_free(node->client);
	uv_close((uv_handle_t *)&node->retry, NULL);
}
