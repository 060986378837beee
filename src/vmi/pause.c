/* SPDX-License-Identifier: Apache-2.0 */
#include "vmi/pause.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"

/* In the guard, whose connection is a new one: the parent's ended with it. */
static int resume_for_the_dead(void *userdata)
{
	const struct timespec moment = {.tv_nsec = 200 * 1000 * 1000};
	const struct pause *pause = userdata;
	int r = -EAGAIN;

	/* somebody else may have the monitor for a while; as long as QEMU lives there is hope */
	while (r < 0 && kill(pause->target->pid, 0) == 0) {
		struct error err = ERROR_INIT;
		struct monitor *monitor;

		r = target_reopen_monitor(pause->target, &monitor, &err);
		if (r == 0)
			r = monitor_cont(monitor, &err);
		if (r == 0)
			break;
		(void)fprintf(stderr, "atom-vmi: the VM is still paused: %s; trying again\n",
			      error_text(&err, r));
		(void)nanosleep(&moment, NULL); /* shorter is no harm */
	}
	return r;
}

int pause_guard(struct pause *pause, struct error *err)
{
	int r = pause->guard.pid ? 0 : guard_start(&pause->guard, resume_for_the_dead, pause, err);

	if (r == 0) {
		guard_paused(&pause->guard);
		pause->is_guarded = true;
	}
	return r;
}

void pause_unguard(struct pause *pause)
{
	guard_resumed(&pause->guard);
	pause->is_guarded = false;
}

int pause_check(const struct pause *pause, struct error *err)
{
	struct monitor_state state;
	int r = monitor_state(pause->target->monitor, &state, err);

	if (r < 0)
		return r;
	return state.running ? 0
			     : error_set(err, -EALREADY, "the VM does not run (%s)", state.status);
}

int pause_begin(struct pause *pause, struct error *err)
{
	int r;

	if (pause->since_usec)
		return 0;
	if (!pause->target->monitor)
		return error_set(err, -EALREADY, "a dump does not run");
	if (pause->total_usec > PAUSE_TOTAL_USEC_MAX)
		return error_set(err, -EDQUOT, "the VM was paused for long enough by now");
	r = pause_check(pause, err);
	if (r == 0)
		r = pause_guard(pause, err);
	if (r < 0)
		return r;
	r = monitor_stop(pause->target->monitor, err);
	if (r == 0)
		pause->since_usec = clock_mono_usec();
	else if (r == -EALREADY)
		pause_unguard(pause); /* other errors: QEMU may still do it, so the guard stays */
	return r;
}

int pause_end(struct pause *pause, struct error *err)
{
	int r = pause->since_usec ? monitor_cont(pause->target->monitor, err) : 0;

	if (r == 0 && pause->since_usec) {
		pause->total_usec += clock_mono_usec() - pause->since_usec;
		pause->since_usec = 0;
		pause_unguard(pause);
	}
	return r;
}

void pause_deinit(struct pause *pause)
{
	/* QEMU serves one client at a time */
	if (pause->is_guarded)
		pause->target->monitor = monitor_free(pause->target->monitor);
	guard_stop(&pause->guard);
	pause->is_guarded = false;
}
