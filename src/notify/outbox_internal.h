#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/* What the outbox's files share. */
#include "notify/outbox.h"
#include "notify/outbox_lane.h"

enum {
	OUTBOX_HELD_MAX = 1000, /* alarms that have not reached a receiver's min_level yet */
	OUTBOX_KEY_SIZE = NOTIFY_NAME_MAX + 16,
};

/* One receiver and all that is its own. */
struct outbox_recipient {
	struct outbox *owner;
	const struct notify_settings *settings;
	struct notify_receiver receiver;
	char key[OUTBOX_KEY_SIZE]; /* "mail/ops": what its messages are stored under */
	struct outbox_lane lane;
	struct notify_delivery *delivery; /* of the lane's `sending` */
	struct outbox_counts counts;      /* but for waiting */
	char problem[NOTIFY_TEXT_SIZE];
	bool is_limited;     /* and it was said */
	int64_t resent_usec; /* alertmanager: when firing alerts were said again, monotonic */
	int64_t held[OUTBOX_HELD_MAX]; /* alarms, the oldest first */
	size_t held_count;
};

struct outbox {
	uv_loop_t *loop;
	struct store *store;
	const struct config_records *receivers; /* of struct notify_settings */
	const char *external_url;
	struct outbox_recipient *recipients;
	size_t count;
	size_t messages, bytes; /* of all lanes */
	int64_t *forgotten;     /* numbers of messages that the store need not hold any longer */
	size_t forgotten_count, forgotten_room;
	bool is_dirty;   /* there are messages that the store does not have as they are */
	bool is_failing; /* writing did not work the last time */
	uint64_t overflowed;
	int64_t overflow_said_usec, looked_usec; /* monotonic; 0: never */
	uint64_t random;
};

/* outbox.c: a message that is in no lane any more. Takes it. */
void outbox_forget(struct outbox *outbox, struct outbox_message *message);
/* Of each alarm only the newest message is of use to Alertmanager, and to a receiver that gets no
 * more for the hour: drops the others. */
void outbox_merge(struct outbox_recipient *recipient, int64_t alarm, int64_t now_usec);

/* outbox_disk.c */

/* One transaction with all that has changed. What fails is written another time, and said once. */
void outbox_save(struct outbox *outbox);
/* Brings back what waits. */
int outbox_load(struct outbox *outbox, struct error *err);

/* outbox_send.c */

/* Begins with the next message, if one may go. */
void outbox_send(struct outbox_recipient *recipient);
/* Drops what was tried for too long. */
void outbox_expire(struct outbox_recipient *recipient);

/* outbox_hold.c: alarms that wait to reach min_level. */

void outbox_hold(struct outbox_recipient *recipient, int64_t alarm);
/* Whether it was held. */
bool outbox_release(struct outbox_recipient *recipient, int64_t alarm);
