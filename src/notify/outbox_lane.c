/* SPDX-License-Identifier: Apache-2.0 */
#include "notify/outbox_lane.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum { DOUBLINGS_MAX = 7 }; /* from 5 s to more than 10 min */

#define HOUR_USEC (3600 * USEC_PER_SEC)

struct outbox_message *outbox_message_free(struct outbox_message *message)
{
	if (message)
		free(message->body);
	free(message);
	return NULL;
}

int outbox_lane_init(struct outbox_lane *lane, size_t per_hour, int64_t retry_for_usec)
{
	*lane = (struct outbox_lane){.per_hour = per_hour, .retry_for_usec = retry_for_usec};
	lane->sent_usec = calloc(per_hour + 1, sizeof(*lane->sent_usec));
	return lane->sent_usec ? 0 : -ENOMEM;
}

void outbox_lane_deinit(struct outbox_lane *lane)
{
	struct outbox_message *message = lane->first;

	while (message) {
		struct outbox_message *next = message->next;

		outbox_message_free(message);
		message = next;
	}
	free(lane->sent_usec);
	*lane = (struct outbox_lane){0};
}

void outbox_lane_add(struct outbox_lane *lane, struct outbox_message *message)
{
	message->previous = lane->last;
	message->next = NULL;
	if (lane->last)
		lane->last->next = message;
	else
		lane->first = message;
	lane->last = message;
	lane->count++;
}

static struct outbox_message *take(struct outbox_lane *lane, struct outbox_message *message)
{
	if (message->previous)
		message->previous->next = message->next;
	else
		lane->first = message->next;
	if (message->next)
		message->next->previous = message->previous;
	else
		lane->last = message->previous;
	message->previous = message->next = NULL;
	lane->count--;
	return message;
}

/* A time that lies further ahead than any delay is of a clock that was set back since. */
static bool is_due(int64_t due_usec, int64_t now_usec)
{
	return due_usec <= now_usec || due_usec > now_usec + 2 * OUTBOX_DELAY_USEC_MAX;
}

static bool has_earlier(const struct outbox_message *message)
{
	for (const struct outbox_message *m = message->previous; m; m = m->previous)
		if (m->alarm == message->alarm)
			return true;
	return false;
}

bool outbox_lane_is_limited(const struct outbox_lane *lane, int64_t now_usec)
{
	int64_t oldest = lane->sent_usec[lane->sent_next];

	return lane->per_hour > 0 && oldest > 0 && oldest <= now_usec &&
	       now_usec - oldest < HOUR_USEC;
}

struct outbox_message *outbox_lane_next(struct outbox_lane *lane, int64_t now_usec)
{
	struct outbox_message *best = NULL;

	if (lane->sending || !lane->first || !is_due(lane->resume_usec, now_usec) ||
	    outbox_lane_is_limited(lane, now_usec))
		return NULL;
	for (struct outbox_message *m = lane->first; m && (!best || best->attempts > 0);
	     m = m->next)
		if (is_due(m->due_usec, now_usec) && (!best || m->attempts < best->attempts) &&
		    !has_earlier(m))
			best = m;
	lane->sending = best;
	return best;
}

struct outbox_message *outbox_lane_refused(struct outbox_lane *lane)
{
	struct outbox_message *message = lane->sending;

	assert(message);
	lane->sending = NULL;
	lane->failures = 0;
	lane->resume_usec = 0;
	return take(lane, message);
}

struct outbox_message *outbox_lane_sent(struct outbox_lane *lane, int64_t now_usec)
{
	if (lane->per_hour > 0) {
		lane->sent_usec[lane->sent_next] = now_usec;
		lane->sent_next = (lane->sent_next + 1) % lane->per_hour;
	}
	return outbox_lane_refused(lane); /* it answered: what follows is the same */
}

static int64_t delay_after(uint32_t failures, double jitter)
{
	uint32_t doublings = failures - 1 < DOUBLINGS_MAX ? failures - 1 : DOUBLINGS_MAX;
	int64_t delay = OUTBOX_DELAY_USEC_MIN << doublings;

	if (delay > OUTBOX_DELAY_USEC_MAX)
		delay = OUTBOX_DELAY_USEC_MAX;
	return (int64_t)((double)delay * (0.75 + jitter / 2));
}

struct outbox_message *outbox_lane_failed(struct outbox_lane *lane, int64_t now_usec, double jitter)
{
	struct outbox_message *message = lane->sending;

	assert(message);
	lane->sending = NULL;
	message->due_usec = now_usec + delay_after(++message->attempts, jitter);
	message->is_dirty = true;
	lane->resume_usec = now_usec + delay_after(++lane->failures, jitter);
	return message;
}

struct outbox_message *outbox_lane_take_superseded(struct outbox_lane *lane, int64_t alarm)
{
	bool has_newer = false;

	for (struct outbox_message *m = lane->last; m; m = m->previous) {
		if (m->alarm != alarm)
			continue;
		if (has_newer && m != lane->sending)
			return take(lane, m);
		has_newer = true;
	}
	return NULL;
}

struct outbox_message *outbox_lane_take_expired(struct outbox_lane *lane, int64_t now_usec)
{
	for (struct outbox_message *m = lane->first; m; m = m->next)
		if (m != lane->sending && m->attempts > 0 &&
		    now_usec - m->made_usec > lane->retry_for_usec)
			return take(lane, m);
	return NULL;
}

struct outbox_message *outbox_lane_take_oldest(struct outbox_lane *lane)
{
	struct outbox_message *oldest = lane->first;

	if (oldest && oldest == lane->sending)
		oldest = oldest->next;
	return oldest ? take(lane, oldest) : NULL;
}
