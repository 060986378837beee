#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules that contain a flow at a VM's taps: text for `nft -f -`, to be run in the network
 * namespace of the taps. Each action has a table of its own, "netdev atom-<action>", which is made
 * whole or not at all, replaces one of the same action, and is deleted to undo it. What it holds
 * against is an element of a set with a time-out, so that the kernel lets everything through again
 * whatever has become of us. Nothing here runs a program or asks the kernel: a tap that is not
 * there is refused by the kernel before Linux 6.16 only. Pure functions; any thread.
 *
 * Between the peer and the VM, in both directions: new TCP connections and whatever is no TCP, or a
 * fragment, are dropped, or let through at `rate`. A TCP connection that was there ends by resets
 * as soon as the VM says anything on it; with a rate only in the first CONTAINMENT_CLOSING_USEC, in
 * which no new one is let through, so that those that are let through later live. So that the
 * peer's end is closed as well, the VM hears the peer for CONTAINMENT_HEARING_USEC, and answers by
 * resets. After that nothing passes where the rate is 0 but CONTAINMENT_FEW packets a second that
 * have no payload: resets and IPv6's neighbour discovery.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum {
	CONTAINMENT_TAPS_MAX = 16,
	CONTAINMENT_TAP_LENGTH_MAX = 15,
	CONTAINMENT_RATE_MAX = 1000000,
	CONTAINMENT_HEARD = 1000, /* per second */
	CONTAINMENT_FEW = 20,
};

#define CONTAINMENT_CLOSING_USEC INT64_C(3000000)
#define CONTAINMENT_HEARING_USEC INT64_C(10000000)
#define CONTAINMENT_EXPIRY_USEC_MAX (INT64_C(604800) * 1000000) /* a week */

struct containment {
	uint64_t action;
	const char *taps[CONTAINMENT_TAPS_MAX]; /* of [A-Za-z0-9_.-], no name twice */
	size_t tap_count;                       /* at least one */
	const char *peer;    /* IPv4 or IPv6 text; IPv4 written as ::ffff:a.b.c.d is IPv4 */
	const char *address; /* the VM's own, of the same family; "": any */
	uint32_t rate;       /* new connections, and other packets, per second let through; as many
				may come at once. 0: none. At most CONTAINMENT_RATE_MAX */
	bool is_renewal; /* of one that was in force: with a rate nothing is closed any more, and
			    the peer is not heard anew */
	int64_t expiry_usec; /* 1 ms to CONTAINMENT_EXPIRY_USEC_MAX; parts of a ms count whole */
};

/* Returns the script owned. -EINVAL, with what is wrong: bad address, bad tap name, mixed families,
 * a number out of its range. -ENOMEM. */
int containment_script(const struct containment *containment, char **ret_script, struct error *err);

/* Deletes the table; succeeds too where it is gone. Returns owned, or NULL when memory is out. */
char *containment_release_script(uint64_t action);
