#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps containments at the taps of their VMs, which have others after a restart, and whose names
 * other VMs get: the table of one in force is made again for the time that is left when the taps
 * are other ones, deleted while the VM does not run here, and made again when it does. Beside the
 * actor, by runs of nft of its own, one at a time; each is logged and in the journal, as an end of
 * a contain with action 0. On the loop's thread.
 */
#include <uv.h>

#include "node/actor.h"

struct upkeep;

/* The text is copied; the journal is borrowed until upkeep_free(). */
struct upkeep_options {
	const char *nft;
	struct journal *journal;
	int64_t interval_usec; /* it looks no more often */
	actor_taps *taps;
	void *userdata;
};

/* Returns owned, NULL when memory is out. What is in force by then is of an earlier process, and is
 * made again once. */
struct upkeep *upkeep_new(uv_loop_t *loop, const struct upkeep_options *options);
/* The loop must run on until a run of nft has ended, a second at most. */
struct upkeep *upkeep_free(struct upkeep *upkeep);

/* These taps were given to an action for that VM, which makes a table there perhaps. */
void upkeep_note(struct upkeep *upkeep, const struct vm_uuid *vm,
		 char (*names)[HYPERVISOR_TAP_SIZE], size_t count);

/* To be called when the hypervisor has looked for its VMs. */
void upkeep_check(struct upkeep *upkeep);
