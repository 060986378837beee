#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One tick of a back end for real VMs: everything that can be read at once is read at its end, when
 * the slow answers (block counters) are in or the deadline has passed. Embedded in the back end; on
 * the loop's thread.
 */
#include <stdbool.h>
#include <uv.h>

struct tick {
	uv_timer_t timer;
	void (*finish)(struct tick *tick);
	void *owner;
	uint64_t number;
	bool under_way;
};

void tick_init(struct tick *tick, uv_loop_t *loop, void (*finish)(struct tick *tick), void *owner);

/* A new number, and finish() after the deadline or tick_end(), whichever is first. -EBUSY while
 * under way. */
int tick_begin(struct tick *tick, int64_t deadline_usec);

/* Everything that was asked has been answered: finish() follows from the loop. */
void tick_end(struct tick *tick);
