/* SPDX-License-Identifier: Apache-2.0 */
/* What goes out of the outbox, and what becomes of it. */
#include <string.h>

#include "base/log.h"
#include "notify/outbox_internal.h"

/* 0 to 1; xorshift64, which need not be better than this. */
static double next_jitter(struct outbox *outbox)
{
	outbox->random ^= outbox->random << 13;
	outbox->random ^= outbox->random >> 7;
	outbox->random ^= outbox->random << 17;
	return (double)(outbox->random >> 11) / (double)(UINT64_C(1) << 53);
}

static const char *name_of(const struct outbox_recipient *recipient)
{
	return recipient->settings->name;
}

static void note_sent(struct outbox_recipient *recipient, int64_t now_usec)
{
	struct outbox_message *message = recipient->lane.sending;

	if (recipient->problem[0])
		log_info("notify '%s' works again; %zu messages wait", name_of(recipient),
			 recipient->lane.count - 1);
	log_debug("notify '%s' has message %lld of alarm %lld", name_of(recipient),
		  (long long)message->id, (long long)message->alarm);
	recipient->problem[0] = '\0';
	recipient->counts.sent++;
	outbox_forget(recipient->owner, outbox_lane_sent(&recipient->lane, now_usec));
}

static void note_refused(struct outbox_recipient *recipient, const char *text)
{
	struct outbox_message *message = recipient->lane.sending;

	log_warning("notify '%s': a message of alarm %lld is dropped: %s", name_of(recipient),
		    (long long)message->alarm, text);
	recipient->counts.failed++;
	recipient->counts.dropped++;
	outbox_forget(recipient->owner, outbox_lane_refused(&recipient->lane));
}

static void note_failed(struct outbox_recipient *recipient, int64_t now_usec, const char *text)
{
	const struct outbox_message *message =
		outbox_lane_failed(&recipient->lane, now_usec, next_jitter(recipient->owner));
	enum log_level level = recipient->problem[0] ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING;

	log_write(level,
		  "notify '%s': attempt %u of a message of alarm %lld: %s; the next in %lld s",
		  name_of(recipient), message->attempts, (long long)message->alarm, text,
		  (long long)((message->due_usec - now_usec) / USEC_PER_SEC));
	recipient->counts.failed++;
	recipient->owner->is_dirty = true;
	outbox_merge(recipient, message->alarm, now_usec);
}

static void on_done(void *userdata, enum notify_outcome outcome, const char *text)
{
	struct outbox_recipient *recipient = userdata;
	struct outbox *outbox = recipient->owner;
	int64_t now = clock_wall_usec();

	recipient->delivery = NULL;
	switch (outcome) {
	case NOTIFY_DELIVERED:
		note_sent(recipient, now);
		break;
	case NOTIFY_AGAIN:
		note_failed(recipient, now, text);
		break;
	case NOTIFY_REFUSED:
		note_refused(recipient, text);
		break;
	}
	(void)snprintf(recipient->problem, sizeof(recipient->problem), "%s", text);
	outbox_save(outbox);
	outbox_send(recipient);
}

/* The log says when a receiver has had its share, and when it goes on. */
static void watch_limit(struct outbox_recipient *recipient, int64_t now_usec)
{
	bool is_limited = outbox_lane_is_limited(&recipient->lane, now_usec);

	if (is_limited == recipient->is_limited || (is_limited && recipient->lane.count == 0))
		return;
	recipient->is_limited = is_limited;
	if (is_limited)
		log_warning("notify '%s' got %zu messages within an hour: the rest waits, and of "
			    "each alarm only the newest",
			    name_of(recipient), recipient->lane.per_hour);
	else
		log_info("notify '%s' gets messages again; %zu wait", name_of(recipient),
			 recipient->lane.count);
}

void outbox_send(struct outbox_recipient *recipient)
{
	int64_t now = clock_wall_usec();
	const struct outbox_message *message;
	int r;

	watch_limit(recipient, now);
	message = outbox_lane_next(&recipient->lane, now);
	if (!message)
		return;
	r = notify_deliver(recipient->owner->loop, &recipient->receiver, message->body,
			   recipient->settings->timeout_usec, on_done, recipient,
			   &recipient->delivery);
	if (r < 0)
		note_failed(recipient, now, "out of memory");
}

void outbox_expire(struct outbox_recipient *recipient)
{
	struct outbox_message *message;
	int64_t now = clock_wall_usec();

	while ((message = outbox_lane_take_expired(&recipient->lane, now))) {
		log_warning("notify '%s': a message of alarm %lld is dropped after %u attempts: "
			    "%s",
			    name_of(recipient), (long long)message->alarm, message->attempts,
			    recipient->problem);
		recipient->counts.dropped++;
		outbox_forget(recipient->owner, message);
	}
}
