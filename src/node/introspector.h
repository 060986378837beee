#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks into VMs on the controller's request (paper V): starts atom-vmi, a process per request,
 * reads the encoded report from it, ends it when its time is over. A few at a time, the rest wait
 * in a short queue. What it reads it hands on unread: the report is a guest's word. Never blocks.
 * On the loop's thread.
 */
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "node/policy.h"
#include "wire/wire.h"

enum {
	INTROSPECTOR_RUNNING_MAX = 2,
	INTROSPECTOR_WAITING_MAX = 64,
	INTROSPECTOR_REPORT_SIZE_MAX = WIRE_MESSAGE_SIZE_MAX - 1024, /* room for the rest of it */
	INTROSPECTOR_PATIENCE_MSEC = 3000,
};

struct introspector;

/* Each request is answered once, maybe before introspector_ask() returns (a refusal). The findings
 * are borrowed for the call, which may do anything but free the introspector. */
typedef void introspector_answer(void *userdata, const struct wire_findings *findings);

/* The texts are copied. */
struct introspector_options {
	const char *program;    /* with a slash: this file. Else searched in the folder of our own
				   program, its neighbour ../vmi (a build), then PATH */
	const char *uri;        /* of libvirt, handed on as --connect; "" none */
	unsigned patience_msec; /* that a look may last beyond its budget and interval; 0:
				   INTROSPECTOR_PATIENCE_MSEC. A second later it is killed */
	const struct policy *policy; /* borrowed until introspector_free() */
	introspector_answer *answer;
	void *userdata;
};

/* Returns owned, NULL when memory is out. */
struct introspector *introspector_new(uv_loop_t *loop, const struct introspector_options *options);
/* Ends what runs; nothing is answered any more. The loop must run on until that has ended, a second
 * at most. */
struct introspector *introspector_free(struct introspector *introspector);

/* `asked` NULL: this node has no such VM. Copies what it needs. A request that bears the number of
 * one that runs or waits is that one said again: it is dropped. */
void introspector_ask(struct introspector *introspector, const struct wire_introspect *request,
		      const struct policy_case *asked);
