#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From an alarm to looks inside the VMs that it names (paper V, VI-B): which are asked about, in
 * what order, and what is made of the answers. An inquiry is one request to a node; it is sent
 * again after a reconnect, and given up when its time is over. What was found stands in the alarm's
 * evidence
 * ("introspection") and its history, so that a restart asks again only what was not answered.
 * Embedded in the controller; on the loop's thread.
 */
#include <stdint.h>

#include "controller/settings.h"
#include "suspect/playbook.h"
#include "wire/wire.h"

enum { INQUIRIES_MAX = 64, INQUIRY_VMS_MAX = 16 /* of one alarm */ };

struct controller;
struct inquiry;
struct node;

struct inquiries {
	struct playbooks playbooks;
	struct inquiry *pending[INQUIRIES_MAX];
	size_t count;
	uint64_t last_request;
	uint64_t asked, refused, failed; /* for Prometheus */
};

int inquiries_init(struct inquiries *inquiries, const struct settings *settings, struct error *err);
void inquiries_deinit(struct inquiries *inquiries);

/* Asks about VMs that open alarms name and nobody has asked about, sends again what a lost
 * connection may have lost, gives up what is over. To be called after rows and now and then. */
void inquiries_follow(struct controller *controller);

/* The node's connection has ended: what it has not answered is to be sent again. */
void inquiries_lost(struct inquiries *inquiries, const struct node *node);

/* An answer. -EPROTO when the node answers for another one's VM. An answer that nobody waits for
 * any more is passed over. */
int inquiries_take(struct controller *controller, const struct node *node,
		   const struct wire_findings *findings, struct error *err);
