/* SPDX-License-Identifier: Apache-2.0 */
#include "vmi/pause.h"

#include <errno.h>

#include "base/clock.h"

/* In the guard, whose connection is a new one: the parent's ended with it. */
static int resume_for_the_dead(void *userdata)
{
	const struct pause *pause = userdata;
	struct monitor *monitor;
	int r = target_reopen_monitor(pause->target, &monitor, NULL);

	return r < 0 ? r : monitor_cont(monitor, NULL);
}

int pause_guard(struct pause *pause, struct error *err)
{
	int r = pause->guard.pid ? 0 : guard_start(&pause->guard, resume_for_the_dead, pause, err);

	if (r == 0)
		guard_paused(&pause->guard);
	return r;
}

void pause_unguard(struct pause *pause)
{
	guard_resumed(&pause->guard);
}

int pause_begin(struct pause *pause, struct error *err)
{
	int r;

	if (!pause->target->monitor)
		return error_set(err, -EALREADY, "a dump does not run");
	r = pause_guard(pause, err);
	if (r == 0)
		r = monitor_stop(pause->target->monitor, err);
	if (r < 0)
		pause_unguard(pause);
	else
		pause->since_usec = clock_mono_usec();
	return r;
}

int pause_end(struct pause *pause, struct error *err)
{
	int r = pause->since_usec ? monitor_cont(pause->target->monitor, err) : 0;

	if (r == 0 && pause->since_usec) {
		pause->since_usec = 0;
		pause_unguard(pause);
	}
	return r;
}

void pause_deinit(struct pause *pause)
{
	guard_stop(&pause->guard);
}
