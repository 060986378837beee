#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pause of the VM by the parent, with a guard that resumes it if we die meanwhile. Embedded;
 * owned by whoever pauses. One thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "vmi/guard.h"
#include "vmi/target.h"

struct pause {
	struct target *target; /* set by the owner, the rest zero */
	struct guard guard;
	bool is_guarded;    /* the guard resumes the VM when we end */
	int64_t since_usec; /* of the monotonic clock; 0: the VM runs */
	int64_t total_usec; /* of all pauses that have ended */
};

/* Of all pauses of one owner together, so that many short ones make no long one. */
#define PAUSE_TOTAL_USEC_MAX (5 * INT64_C(1000000))

/* Whether the VM runs; -EALREADY. */
int pause_check(const struct pause *pause, struct error *err);
/* Nothing when it is paused by us already. Errors: -EDQUOT; -EALREADY when the VM did not run (it
 * is left so, and is not to be resumed), the monitor's. */
int pause_begin(struct pause *pause, struct error *err);
/* Does nothing when it was not paused by us. */
int pause_end(struct pause *pause, struct error *err);
/* Work that pauses the VM by other means is put between these: the guard watches over it. */
int pause_guard(struct pause *pause, struct error *err);
void pause_unguard(struct pause *pause);
/* Where the VM is not known to run again, gives the target's monitor up and waits until the guard,
 * which needs it, has resumed the VM or QEMU has ended. */
void pause_deinit(struct pause *pause);
