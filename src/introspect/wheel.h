#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waking a sleeping task by writes into memory alone (facts of the timer wheel:
 * kernel/time/timer.c, Linux 5.10 to 6.12). A timer is put into a CPU's wheel whose function is the
 * kernel's own process_timeout(), which wakes the task that stands beside the timer. The timer
 * lives where nothing else is: in init_signals.real_timer, which pid 0 never arms, so that it
 * cannot be freed before it fires; the caller keeps the task from being freed. All with the guest
 * paused. One owner, and one wake-up at a time per guest.
 */
#include <stdbool.h>
#include <stdint.h>

#include "introspect/guest.h"

enum { WHEEL_PLACE_SIZE = 64 };

struct wheel_timer {
	uint64_t place; /* where the timer lies */
	uint64_t saved[WHEEL_PLACE_SIZE / 8];
	uint64_t slot; /* the address of the list's head */
	uint32_t cpu;
};

/* Links the timer. Errors: -EBUSY (a CPU is changing its wheel, or the place is in use: let the
 * guest go on and try again), -ENOTSUP (this kernel's wheel is not as expected), -EFAULT (what lies
 * in the wheel does not fit together: nothing was written), those of guest_write(). */
int wheel_arm(const struct guest *guest, uint64_t task, struct wheel_timer *ret_timer);
/* Whether it has fired; needs no pause. */
int wheel_has_fired(const struct guest *guest, const struct wheel_timer *timer, bool *ret_fired);
/* Puts back what was in its place, after taking it out of the wheel if it has not fired. -EBUSY as
 * above. */
int wheel_disarm(const struct guest *guest, const struct wheel_timer *timer);
