#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program atomd: everything it owns. link.c takes what nodes say, group.c tests rows, history.c
 * writes, rebuild.c brings all of it back after a restart, api*.c and prometheus.c answer. On the
 * loop's thread.
 */
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "bus/bus.h"
#include "controller/access.h"
#include "controller/action.h"
#include "controller/announce.h"
#include "controller/fleet.h"
#include "controller/group.h"
#include "controller/history.h"
#include "controller/inquiry.h"
#include "controller/settings.h"
#include "http/server.h"
#include "notify/outbox.h"

struct controller {
	struct settings settings;
	struct wire_settings observation;
	uv_loop_t loop;
	struct fleet fleet;
	struct groups groups;
	struct inquiries inquiries;
	struct actions actions;
	struct access access;
	struct announcements announcements;
	struct history *history;
	struct outbox *outbox;
	struct bus_server *bus;
	struct http_server *http;
	uv_timer_t watch;  /* finds silent nodes */
	uv_timer_t expiry; /* forgets what is old */
	uv_signal_t signals[2];
	int64_t started_usec;
	bool ending;
	int exit_code;
};

/* Opens the store, rebuilds, listens. Then only the loop must run. */
int controller_start(struct controller *controller, struct error *err);
void controller_stop(struct controller *controller, int exit_code);
/* After the loop has ended. */
void controller_deinit(struct controller *controller);

/* link.c */
extern const struct bus_server_ops link_ops;
/* Nodes that have been silent for more than three intervals become stale, with their series. */
void link_watch(struct controller *controller);

/* rebuild.c: nodes, VMs, windows and open alarms as the store has them; series are stale until
 * their node speaks. */
int rebuild(struct controller *controller, struct error *err);

/* api.c */
extern const struct http_route api_routes[];
extern const size_t api_route_count;

/* api_groups.c, api_alarms.c, api_actions.c */
http_handler api_groups, api_group;
http_handler api_alarms, api_alarm, api_alarm_note, api_alarm_verdict, api_events;
http_handler api_actions, api_action, api_action_order, api_action_veto, api_audit;

/* prometheus.c */
http_handler api_prometheus;

/* Totals over the fleet, for the status and for Prometheus. */
struct totals {
	size_t nodes, connected, vms, series;
	size_t by_state[TRACKER_STALE + 1];
	uint64_t samples, received, frames, bytes;
	size_t alarms_open;
};
struct totals controller_totals(const struct controller *controller);
