/* SPDX-License-Identifier: Apache-2.0 */
#include "hypervisor/tick.h"

#include <errno.h>

#include "base/clock.h"

void tick_init(struct tick *tick, uv_loop_t *loop, void (*finish)(struct tick *tick), void *owner)
{
	(void)uv_timer_init(loop, &tick->timer); /* cannot fail */
	tick->timer.data = tick;
	tick->finish = finish;
	tick->owner = owner;
}

static void on_timer(uv_timer_t *timer)
{
	struct tick *tick = timer->data;

	tick->under_way = false;
	tick->finish(tick);
}

int tick_begin(struct tick *tick, int64_t deadline_usec)
{
	if (tick->under_way)
		return -EBUSY;
	tick->under_way = true;
	tick->number++;
	return uv_timer_start(&tick->timer, on_timer,
			      (uint64_t)((deadline_usec + USEC_PER_MSEC - 1) / USEC_PER_MSEC), 0);
}

void tick_end(struct tick *tick)
{
	if (tick->under_way)
		(void)uv_timer_start(&tick->timer, on_timer, 0, 0);
}
