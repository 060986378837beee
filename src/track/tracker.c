/* SPDX-License-Identifier: Apache-2.0 */
#include "track/tracker.h"

#include <math.h>

void tracker_start_epoch(struct tracker *tracker, double delta)
{
	tracker->state = TRACKER_UNKNOWN;
	tracker->value = NAN;
	tracker->delta = delta;
	tracker->since_usec = 0;
}

void tracker_receive(struct tracker *tracker, double value, int64_t time_usec)
{
	tracker->state = TRACKER_GOOD;
	tracker->value = value;
	tracker->since_usec = time_usec;
	tracker->received++;
}

void tracker_receive_gap(struct tracker *tracker, int64_t time_usec)
{
	tracker->state = TRACKER_GAP;
	tracker->since_usec = time_usec;
	tracker->received++;
}

void tracker_tick(struct tracker *tracker)
{
	tracker->ticks++;
}

void tracker_mark_stale(struct tracker *tracker, int64_t time_usec)
{
	if (tracker->state == TRACKER_STALE)
		return;
	tracker->state = TRACKER_STALE;
	tracker->since_usec = time_usec;
}

const char *tracker_state_name(enum tracker_state state)
{
	static const char *const names[] = {
		[TRACKER_UNKNOWN] = "unknown",
		[TRACKER_GOOD] = "good",
		[TRACKER_GAP] = "gap",
		[TRACKER_STALE] = "stale",
	};

	return names[state];
}
