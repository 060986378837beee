#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages that wait for one receiver, and which of them goes next. One is on its way at a
 * time. Those of one alarm go in the order in which they were made; one that fails is tried again,
 * later each time, while those of other alarms go on: no message can stop a receiver that works.
 * A receiver that fails is left alone for longer each time. Pure: times (wall clock) are given.
 * Embedded, one owner.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

#define OUTBOX_DELAY_USEC_MIN (5 * USEC_PER_SEC)
#define OUTBOX_DELAY_USEC_MAX (600 * USEC_PER_SEC)

struct outbox_message {
	struct outbox_message *previous, *next; /* in its lane */
	int64_t id;                             /* the store's; 0: it is not there */
	int64_t alarm, made_usec, due_usec;
	uint32_t attempts;
	bool is_repeat; /* made again and again while an alarm is open: never stored */
	bool is_dirty;  /* the store does not have it as it is */
	int64_t new_id; /* from a write that is not committed */
	char *body;     /* owned */
};
struct outbox_message *outbox_message_free(struct outbox_message *message);

struct outbox_lane {
	struct outbox_message *first, *last; /* the oldest, the newest */
	struct outbox_message *sending;      /* one of them, or NULL */
	size_t count;
	int64_t resume_usec; /* after failures: not before */
	uint32_t failures;   /* in a row */
	int64_t *sent_usec;  /* a ring: when the last per_hour messages got there */
	size_t per_hour, sent_next;
	int64_t retry_for_usec;
};

/* per_hour 0: no limit. -ENOMEM. */
int outbox_lane_init(struct outbox_lane *lane, size_t per_hour, int64_t retry_for_usec);
void outbox_lane_deinit(struct outbox_lane *lane);

/* Takes the message; it is the newest. */
void outbox_lane_add(struct outbox_lane *lane, struct outbox_message *message);

/* The next to be sent, or NULL: none is due, one is on its way, the receiver is left alone, or it
 * has got its share of the hour. Due ones that were tried less often go first, then the older ones.
 * Returns borrowed until it was sent or refused; it is `sending` now. */
struct outbox_message *outbox_lane_next(struct outbox_lane *lane, int64_t now_usec);
/* As many messages as are allowed in an hour have got there in the last one. */
bool outbox_lane_is_limited(const struct outbox_lane *lane, int64_t now_usec);

/* What became of `sending`. Sent and refused return it owned. Failed keeps it, to be due in 5 s,
 * doubled with each attempt up to 10 min, times 0.75 to 1.25 by `jitter` (0 to 1); returns it
 * borrowed. */
struct outbox_message *outbox_lane_sent(struct outbox_lane *lane, int64_t now_usec);
struct outbox_message *outbox_lane_refused(struct outbox_lane *lane);
struct outbox_message *outbox_lane_failed(struct outbox_lane *lane, int64_t now_usec,
					  double jitter);

/* These three take one out that is not on its way and return it owned, or NULL: one of the alarm
 * of which there is a newer one; one that was tried in vain for retry_for_usec; the oldest. */
struct outbox_message *outbox_lane_take_superseded(struct outbox_lane *lane, int64_t alarm);
struct outbox_message *outbox_lane_take_expired(struct outbox_lane *lane, int64_t now_usec);
struct outbox_message *outbox_lane_take_oldest(struct outbox_lane *lane);
