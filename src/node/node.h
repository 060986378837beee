#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program atom-node: everything it owns, and its way of working. link.c talks to the
 * controller, collector.c keeps the ticks, fleet.c holds the series, introspector.c looks into VMs
 * and actor.c does to them what is ordered, as far as policy.c allows it. On the loop's thread.
 */
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/error.h"
#include "bus/bus.h"
#include "hypervisor/hypervisor.h"
#include "node/actor.h"
#include "node/fleet.h"
#include "node/introspector.h"
#include "node/policy.h"
#include "node/settings.h"
#include "node/upkeep.h"

struct node {
	struct settings settings;
	uv_loop_t loop;
	char name[BUS_NAME_MAX + 1];
	struct fleet *fleet;
	struct policy policy;
	struct introspector *introspector;
	struct journal *journal;
	struct actor *actor;
	struct upkeep *upkeep;

	/* link.c */
	struct bus_client *client; /* NULL: refused, waiting for `retry` */
	uv_timer_t retry;
	uint64_t instance; /* random: tells a reconnect from a second node of the same name */
	uint64_t epoch;
	bool connected, have_settings;
	struct wire_settings observation;
	char last_reason[256]; /* of a lost connection: logged once while it stays the
				  same */

	/* collector.c */
	struct hypervisor *hypervisor;
	uv_timer_t tick;
	int64_t next_tick_usec; /* monotonic */
	bool problem_logged;

	uv_signal_t signals[2];
	uv_timer_t farewell;
	bool ending;
	int exit_code;
};

/* Sets everything up to the point where only the loop must run. */
int node_start(struct node *node, struct error *err);

/* Lets go of everything; the loop ends when the last handle is closed. May be called twice. */
void node_stop(struct node *node, int exit_code);

/* After the loop has ended. */
void node_deinit(struct node *node);

/* link.c */
int link_start(struct node *node, struct error *err);
void link_stop(struct node *node);
/* The newest tick is in the fleet: sends its frame, and an epoch before it where one is due. */
void link_send_tick(struct node *node);
/* An answer of the introspector; lost while there is no connection: the controller asks again. One
 * that the connection does not take ends it. */
void link_send_findings(struct node *node, const struct wire_findings *findings);
/* An outcome of the actor; as above: the journal knows it when the controller says the order again.
 */
void link_send_outcome(struct node *node, const struct wire_outcome *outcome);

/* collector.c */
int collector_start(struct node *node, struct error *err);
/* New settings: the next tick follows at once, then one per interval. */
void collector_restart(struct node *node);
void collector_stop(struct node *node);
