/* SPDX-License-Identifier: Apache-2.0 */
/* The outbox in the store. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "notify/outbox_internal.h"
#include "store/store.h"

static int put(struct outbox *outbox, const struct outbox_recipient *recipient,
	       struct outbox_message *message, struct error *err)
{
	struct store_message stored = {.id = message->id,
				       .receiver = recipient->key,
				       .alarm = message->alarm,
				       .made_usec = message->made_usec,
				       .due_usec = message->due_usec,
				       .attempts = message->attempts,
				       .body = message->body};
	int r = store_put_message(outbox->store, &stored, &message->new_id, err);

	if (r != -ENOENT)
		return r;
	message->new_id = message->id; /* the store's time was over for it: it goes on without */
	return 0;
}

static int put_all(struct outbox *outbox, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < outbox->count; i++) {
		struct outbox_recipient *recipient = &outbox->recipients[i];

		for (struct outbox_message *m = recipient->lane.first; r == 0 && m; m = m->next)
			if (m->is_dirty && !m->is_repeat)
				r = put(outbox, recipient, m, err);
	}
	for (size_t i = 0; r == 0 && i < outbox->forgotten_count; i++)
		r = store_delete_message(outbox->store, outbox->forgotten[i], err);
	return r;
}

static void settle(struct outbox *outbox)
{
	for (size_t i = 0; i < outbox->count; i++)
		for (struct outbox_message *m = outbox->recipients[i].lane.first; m; m = m->next) {
			if (m->is_dirty && !m->is_repeat)
				m->id = m->new_id;
			m->is_dirty = false;
		}
	outbox->forgotten_count = 0;
	outbox->is_dirty = false;
}

static int write_all(struct outbox *outbox, struct error *err)
{
	int r = store_begin(outbox->store, err);

	if (r < 0)
		return r;
	r = put_all(outbox, err);
	if (r == 0)
		return store_commit(outbox->store, err);
	store_rollback(outbox->store);
	return r;
}

void outbox_save(struct outbox *outbox)
{
	struct error err = ERROR_INIT;
	int r;

	if (!outbox->is_dirty && outbox->forgotten_count == 0)
		return;
	r = write_all(outbox, &err);
	if (r == 0)
		settle(outbox);
	if (r < 0 && !outbox->is_failing)
		log_error("notifications are sent, but cannot be kept over a restart: %s",
			  error_text(&err, r));
	if (r == 0 && outbox->is_failing)
		log_info("notifications are kept over a restart again");
	outbox->is_failing = r < 0;
}

/* Reading */

struct loading {
	struct outbox *outbox;
	struct loaded {
		struct outbox_recipient *recipient;
		struct outbox_message *message;
	} * items;
	size_t count, room;
	size_t strangers; /* of receivers that are configured no more */
};

static struct outbox_recipient *find(struct outbox *outbox, const char *key)
{
	for (size_t i = 0; i < outbox->count; i++)
		if (strcmp(outbox->recipients[i].key, key) == 0)
			return &outbox->recipients[i];
	return NULL;
}

static int on_message(void *userdata, const struct store_message *stored)
{
	struct loading *loading = userdata;
	struct outbox_message *message = calloc(1, sizeof(*message));

	if (loading->count == loading->room) {
		size_t room = 2 * loading->room + 64;
		struct loaded *items = reallocarray(loading->items, room, sizeof(*items));

		if (items) {
			loading->items = items;
			loading->room = room;
		}
	}
	if (!message || loading->count == loading->room ||
	    !(message->body = strdup(stored->body))) {
		outbox_message_free(message);
		return -ENOMEM;
	}
	message->id = stored->id;
	message->alarm = stored->alarm;
	message->made_usec = stored->made_usec;
	message->due_usec = stored->due_usec;
	message->attempts = stored->attempts;
	loading->items[loading->count++] =
		(struct loaded){find(loading->outbox, stored->receiver), message};
	return 0;
}

static int by_number(const void *a, const void *b)
{
	const struct loaded *first = a, *second = b;

	return first->message->id < second->message->id ? -1 : 1;
}

/* Into the lanes, in the order in which they were made. */
static void sort_in(struct loading *loading)
{
	struct outbox *outbox = loading->outbox;

	if (loading->count > 0)
		qsort(loading->items, loading->count, sizeof(*loading->items), by_number);
	for (size_t i = 0; i < loading->count; i++) {
		struct loaded *loaded = &loading->items[i];

		outbox->messages++;
		outbox->bytes += strlen(loaded->message->body);
		if (loaded->recipient) {
			outbox_lane_add(&loaded->recipient->lane, loaded->message);
		} else {
			outbox_forget(outbox, loaded->message);
			loading->strangers++;
		}
	}
	loading->count = 0;
}

int outbox_load(struct outbox *outbox, struct error *err)
{
	struct loading loading = {.outbox = outbox};
	int r = store_each_message(outbox->store, INT64_MAX, OUTBOX_MESSAGES_MAX, on_message,
				   &loading, err);

	if (r == -ENOMEM)
		r = error_set(err, r, "out of memory");
	if (r == 0)
		sort_in(&loading);
	for (size_t i = 0; i < loading.count; i++)
		outbox_message_free(loading.items[i].message);
	free(loading.items);
	if (loading.strangers > 0)
		log_warning("%zu notifications for receivers that are configured no more, or are "
			    "of another kind now, are dropped",
			    loading.strangers);
	if (r == 0 && outbox->messages > 0)
		log_info("%zu notifications wait from before", outbox->messages);
	outbox_save(outbox);
	return r;
}
