#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The outbox: what the receivers of atomd.yaml are to be told of alarms, kept in the store until
 * they have it. A receiver that is down is tried again, less and less often; what waits outlives a
 * restart. Each message gets there at least once: twice where atomd dies between the delivery and
 * its record. Of one alarm, a receiver gets its messages in their order. While the store fails,
 * messages are sent all the same, and written later. On the loop's thread; offers and follows write
 * transactions of their own, so never between store_begin() and store_commit().
 */
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/error.h"
#include "notify/notify.h"
#include "notify/settings.h"

struct outbox;
struct store;

/* Beyond these the oldest message of the longest queue is dropped, and the log says so. */
enum { OUTBOX_MESSAGES_MAX = 10000, OUTBOX_BYTES_MAX = 64 << 20 };

struct outbox_options {
	const struct config_records *receivers; /* of struct notify_settings, checked */
	const char *external_url;               /* how people reach this atomd; "": not known */
};

/* Takes up what the store holds. Loop, store and what the options point to are borrowed until it is
 * freed. -ENOMEM, and what reading the store gives. */
int outbox_new(uv_loop_t *loop, struct store *store, const struct outbox_options *options,
	       struct outbox **ret_outbox, struct error *err);
/* What is on its way is let go of, and sent again by the next atomd. The loop must run until it is
 * idle. */
struct outbox *outbox_free(struct outbox *outbox);

/* Something has happened to the alarm: queues a message for each receiver that wants to know. The
 * alert is borrowed for the call; its external_url is not looked at, that of the options is taken.
 * Says nothing of what fails but in the log. */
void outbox_offer(struct outbox *outbox, const struct notify_alert *alert);

/* Gives the alert of each open alarm, as it is now, to `take`, whatever its event. */
typedef void outbox_take(void *taker, const struct notify_alert *alert);
typedef void outbox_each_open(void *userdata, outbox_take *take, void *taker);

/* To be called now and then, as each 250 ms: sends what is due; says firing alerts again to
 * Alertmanager, and tells of alarms that have reached a receiver's min_level (event "grown"), for
 * which it asks `each_open` every few seconds (NULL: there is no open one). */
void outbox_follow(struct outbox *outbox, outbox_each_open *each_open, void *userdata);

/* Since the start. */
struct outbox_counts {
	uint64_t sent;    /* messages that got there */
	uint64_t failed;  /* attempts that did not work */
	uint64_t merged;  /* messages of which a newer one of their alarm took the place */
	uint64_t dropped; /* messages given up: refused, too old, too many */
	size_t waiting;   /* messages, now */
};
struct outbox_counts outbox_counts(const struct outbox *outbox);

struct outbox_receiver {
	const char *name, *kind;
	struct outbox_counts counts;
	const char *problem; /* of the last attempt; "": it worked, or there was none */
};
/* Borrowed until the outbox does anything else. `position` 0 .. outbox_receiver_count() - 1, in the
 * order of the settings. */
size_t outbox_receiver_count(const struct outbox *outbox);
struct outbox_receiver outbox_receiver(const struct outbox *outbox, size_t position);
