/* SPDX-License-Identifier: Apache-2.0 */
#include "notify/outbox.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "notify/outbox_internal.h"

#define LOOK_USEC (5 * USEC_PER_SEC)           /* between looks for alarms that have grown */
#define OVERFLOW_SAID_USEC (60 * USEC_PER_SEC) /* between lines of the log */

DEFINE_CLEANUP(struct outbox *, outbox_free)

/* What a receiver wants to know */

static bool fits(const struct config_strings *patterns, const char *text)
{
	for (size_t i = 0; i < patterns->count; i++)
		if (fnmatch(patterns->items[i], text, 0) == 0)
			return true;
	return patterns->count == 0;
}

static bool wants_event(const struct notify_settings *settings, const char *event)
{
	for (size_t i = 0; i < settings->events.count; i++)
		if (strcmp(settings->events.items[i], event) == 0)
			return true;
	return settings->events.count == 0;
}

/* But for the event and the level. */
static bool wants_alarm(const struct notify_settings *settings, const struct notify_alert *alert)
{
	return fits(&settings->groups, alert->group) &&
	       (!*settings->project || fnmatch(settings->project, alert->project, 0) == 0);
}

static bool has_level(const struct notify_settings *settings, const struct notify_alert *alert)
{
	return alert->level >= settings->min_level;
}

/* What waits */

void outbox_forget(struct outbox *outbox, struct outbox_message *message)
{
	outbox->messages--;
	outbox->bytes -= strlen(message->body);
	if (message->id && outbox->forgotten_count == outbox->forgotten_room) {
		size_t room = 2 * outbox->forgotten_room + 64;
		int64_t *forgotten = reallocarray(outbox->forgotten, room, sizeof(*forgotten));

		if (forgotten) {
			outbox->forgotten = forgotten;
			outbox->forgotten_room = room;
		}
	}
	if (message->id && outbox->forgotten_count < outbox->forgotten_room)
		outbox->forgotten[outbox->forgotten_count++] = message->id;
	outbox_message_free(message);
}

/* The oldest of the longest queue: a receiver that is down costs the others nothing. False: all
 * that is left is on its way. */
static bool drop_one(struct outbox *outbox)
{
	struct outbox_recipient *longest = &outbox->recipients[0];
	struct outbox_message *message;

	for (size_t i = 1; i < outbox->count; i++)
		if (outbox->recipients[i].lane.count > longest->lane.count)
			longest = &outbox->recipients[i];
	message = outbox_lane_take_oldest(&longest->lane);
	if (!message)
		return false;
	longest->counts.dropped++;
	outbox->overflowed++;
	outbox_forget(outbox, message);
	return true;
}

static void keep_bounds(struct outbox *outbox)
{
	int64_t now = clock_mono_usec();

	while ((outbox->messages > OUTBOX_MESSAGES_MAX || outbox->bytes > OUTBOX_BYTES_MAX) &&
	       drop_one(outbox))
		;
	if (outbox->overflowed == 0 || (outbox->overflow_said_usec > 0 &&
					now - outbox->overflow_said_usec < OVERFLOW_SAID_USEC))
		return;
	log_warning("too many notifications wait: the oldest %llu are dropped",
		    (unsigned long long)outbox->overflowed);
	outbox->overflowed = 0;
	outbox->overflow_said_usec = now;
}

void outbox_merge(struct outbox_recipient *recipient, int64_t alarm, int64_t now_usec)
{
	struct outbox_message *message;

	if (recipient->receiver.kind != NOTIFY_ALERTMANAGER &&
	    !outbox_lane_is_limited(&recipient->lane, now_usec))
		return;
	while ((message = outbox_lane_take_superseded(&recipient->lane, alarm))) {
		recipient->counts.merged++;
		outbox_forget(recipient->owner, message);
	}
}

enum message_kind { MESSAGE_EVENT, MESSAGE_REPEAT };

static void queue(struct outbox_recipient *recipient, const struct notify_alert *alert,
		  enum message_kind kind)
{
	struct outbox *outbox = recipient->owner;
	struct outbox_message *message = calloc(1, sizeof(*message));
	int64_t now = clock_wall_usec();

	if (message)
		message->body = notify_render(&recipient->receiver, alert);
	if (!message || !message->body) {
		log_error("notify '%s': out of memory for alarm %lld", recipient->settings->name,
			  (long long)alert->alarm);
		outbox_message_free(message);
		return;
	}
	message->alarm = alert->alarm;
	message->made_usec = message->due_usec = now;
	message->is_repeat = kind == MESSAGE_REPEAT;
	message->is_dirty = kind == MESSAGE_EVENT;
	outbox->is_dirty |= message->is_dirty;
	outbox->messages++;
	outbox->bytes += strlen(message->body);
	outbox_lane_add(&recipient->lane, message);
	outbox_merge(recipient, alert->alarm, now);
	keep_bounds(outbox);
}

static void queue_grown(struct outbox_recipient *recipient, const struct notify_alert *alert)
{
	struct notify_alert grown = *alert;

	grown.event = "grown";
	queue(recipient, &grown, MESSAGE_EVENT);
}

static struct notify_alert with_url(const struct outbox *outbox, const struct notify_alert *alert)
{
	struct notify_alert complete = *alert;

	complete.external_url = outbox->external_url;
	return complete;
}

static void offer_to(struct outbox_recipient *recipient, const struct notify_alert *alert)
{
	const struct notify_settings *settings = recipient->settings;
	bool is_firing = alert->status == NOTIFY_FIRING, was_held;

	if (!wants_alarm(settings, alert))
		return;
	if (is_firing && !has_level(settings, alert)) {
		if (wants_event(settings, alert->event))
			outbox_hold(recipient, alert->alarm);
		return;
	}
	was_held = outbox_release(recipient, alert->alarm);
	if (!has_level(settings, alert))
		return; /* it is over, and nobody was told of it */
	if (wants_event(settings, alert->event))
		queue(recipient, alert, MESSAGE_EVENT);
	else if (is_firing && was_held)
		queue_grown(recipient, alert);
}

void outbox_offer(struct outbox *outbox, const struct notify_alert *alert)
{
	struct notify_alert complete = with_url(outbox, alert);

	for (size_t i = 0; i < outbox->count; i++)
		offer_to(&outbox->recipients[i], &complete);
	outbox_save(outbox);
}

/* Open alarms */

static bool is_resend_due(const struct outbox_recipient *recipient, int64_t mono_usec)
{
	return recipient->receiver.kind == NOTIFY_ALERTMANAGER &&
	       (recipient->resent_usec == 0 ||
		mono_usec - recipient->resent_usec >= recipient->settings->resend_usec);
}

/* Whether anybody needs to know the open alarms now. */
static bool is_look_due(const struct outbox *outbox, int64_t mono_usec)
{
	bool is_time = outbox->looked_usec == 0 || mono_usec - outbox->looked_usec >= LOOK_USEC;

	for (size_t i = 0; i < outbox->count; i++)
		if (outbox->recipients[i].receiver.kind == NOTIFY_ALERTMANAGER
			    ? is_resend_due(&outbox->recipients[i], mono_usec)
			    : is_time && outbox->recipients[i].settings->min_level > 0)
			return true;
	return false;
}

/* One that is below the level cannot have been told of, after a restart too: a level only grows. */
static void watch_level(struct outbox_recipient *recipient, const struct notify_alert *alert)
{
	if (has_level(recipient->settings, alert)) {
		if (outbox_release(recipient, alert->alarm))
			queue_grown(recipient, alert);
	} else if (wants_event(recipient->settings, "opened")) {
		outbox_hold(recipient, alert->alarm);
	}
}

struct look {
	struct outbox *outbox;
	int64_t mono_usec;
};

static void on_open(void *taker, const struct notify_alert *alert)
{
	const struct look *look = taker;
	struct outbox *outbox = look->outbox;
	struct notify_alert complete = with_url(outbox, alert);

	for (size_t i = 0; i < outbox->count; i++) {
		struct outbox_recipient *recipient = &outbox->recipients[i];

		if (!wants_alarm(recipient->settings, alert))
			continue;
		if (recipient->receiver.kind != NOTIFY_ALERTMANAGER)
			watch_level(recipient, &complete);
		else if (has_level(recipient->settings, alert) &&
			 is_resend_due(recipient, look->mono_usec))
			queue(recipient, &complete, MESSAGE_REPEAT);
	}
}

static void look(struct outbox *outbox, outbox_each_open *each_open, void *userdata)
{
	struct look now = {outbox, clock_mono_usec()};

	if (!each_open || !is_look_due(outbox, now.mono_usec))
		return;
	each_open(userdata, on_open, &now);
	outbox->looked_usec = now.mono_usec;
	for (size_t i = 0; i < outbox->count; i++)
		if (is_resend_due(&outbox->recipients[i], now.mono_usec))
			outbox->recipients[i].resent_usec = now.mono_usec;
}

void outbox_follow(struct outbox *outbox, outbox_each_open *each_open, void *userdata)
{
	look(outbox, each_open, userdata);
	for (size_t i = 0; i < outbox->count; i++)
		outbox_expire(&outbox->recipients[i]);
	outbox_save(outbox);
	for (size_t i = 0; i < outbox->count; i++)
		outbox_send(&outbox->recipients[i]);
}

/* Counts */

static struct outbox_counts counts_of(const struct outbox_recipient *recipient)
{
	struct outbox_counts counts = recipient->counts;

	counts.waiting = recipient->lane.count;
	return counts;
}

struct outbox_counts outbox_counts(const struct outbox *outbox)
{
	struct outbox_counts sum = {0};

	for (size_t i = 0; i < outbox->count; i++) {
		struct outbox_counts counts = counts_of(&outbox->recipients[i]);

		sum.sent += counts.sent;
		sum.failed += counts.failed;
		sum.merged += counts.merged;
		sum.dropped += counts.dropped;
		sum.waiting += counts.waiting;
	}
	return sum;
}

size_t outbox_receiver_count(const struct outbox *outbox)
{
	return outbox->count;
}

struct outbox_receiver outbox_receiver(const struct outbox *outbox, size_t position)
{
	const struct outbox_recipient *recipient = &outbox->recipients[position];

	return (struct outbox_receiver){
		.name = recipient->receiver.name,
		.kind = notify_kind_name(recipient->receiver.kind),
		.counts = counts_of(recipient),
		.problem = recipient->problem,
	};
}

/* Life */

static int init_recipient(struct outbox *outbox, struct outbox_recipient *recipient,
			  const struct notify_settings *settings)
{
	enum notify_kind kind = (enum notify_kind)settings->kind;
	size_t per_hour = kind == NOTIFY_ALERTMANAGER ? 0 : (size_t)settings->per_hour;

	recipient->owner = outbox;
	recipient->settings = settings;
	recipient->receiver = (struct notify_receiver){
		.name = settings->name,
		.kind = kind,
		.url = settings->url,
		.token_file = settings->token_file,
		.ca_file = settings->ca_file,
		.from = settings->from,
		.to = (const char *const *)settings->to.items,
		.to_count = settings->to.count,
		.command = (const char *const *)settings->command.items,
		.command_count = settings->command.count,
		.resend_usec = settings->resend_usec,
	};
	(void)snprintf(recipient->key, sizeof(recipient->key), "%s/%s", notify_kind_name(kind),
		       settings->name);
	return outbox_lane_init(&recipient->lane, per_hour, settings->retry_for_usec);
}

static int init_recipients(struct outbox *outbox, struct error *err)
{
	const struct notify_settings *list = outbox->receivers->items;
	size_t count = outbox->receivers->count;

	outbox->recipients = calloc(count + 1, sizeof(*outbox->recipients));
	if (!outbox->recipients)
		return error_set(err, -ENOMEM, "out of memory");
	for (; outbox->count < count; outbox->count++)
		if (init_recipient(outbox, &outbox->recipients[outbox->count],
				   &list[outbox->count]) < 0)
			return error_set(err, -ENOMEM, "out of memory");
	return 0;
}

int outbox_new(uv_loop_t *loop, struct store *store, const struct outbox_options *options,
	       struct outbox **ret_outbox, struct error *err)
{
	cleanup(outbox_free) struct outbox *outbox = calloc(1, sizeof(*outbox));
	int r;

	if (!outbox)
		return error_set(err, -ENOMEM, "out of memory");
	outbox->loop = loop;
	outbox->store = store;
	outbox->receivers = options->receivers;
	outbox->external_url = options->external_url;
	(void)getrandom(&outbox->random, sizeof(outbox->random), 0); /* any number but 0 will do */
	outbox->random |= 1;
	r = init_recipients(outbox, err);
	if (r == 0)
		r = outbox_load(outbox, err);
	if (r < 0)
		return r;
	*ret_outbox = keep(outbox);
	return 0;
}

struct outbox *outbox_free(struct outbox *outbox)
{
	if (!outbox)
		return NULL;
	for (size_t i = 0; i < outbox->count; i++) {
		struct outbox_recipient *recipient = &outbox->recipients[i];

		if (recipient->delivery)
			notify_abandon(recipient->delivery);
		outbox_lane_deinit(&recipient->lane);
	}
	free(outbox->recipients);
	free(outbox->forgotten);
	free(outbox);
	return NULL;
}
