/* SPDX-License-Identifier: Apache-2.0 */
#include "notify/notify.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "notify/notify_internal.h"

const char *notify_kind_name(enum notify_kind kind)
{
	static const char *const names[NOTIFY_KIND_COUNT] = {"webhook", "alertmanager", "mail",
							     "command"};

	assert(kind < NOTIFY_KIND_COUNT);
	return names[kind];
}

char *notify_clean(const char *text, size_t limit, enum notify_lines lines)
{
	size_t size = strnlen(text, limit), used = 0;
	char *clean = malloc(size + 1);

	while (clean && *text) {
		size_t length = utf8_printable_length(text), whole = utf8_length(text);
		bool is_kept = length > 0 || (lines == NOTIFY_MANY_LINES && *text == '\n');
		size_t step = is_kept && length > 0 ? length : 1;

		if (used + step > size)
			break;
		memcpy(clean + used, is_kept ? text : "?", step);
		used += step;
		text += whole > 0 ? whole : 1;
	}
	if (clean)
		clean[used] = '\0';
	return clean;
}

char *notify_vm_list(const struct notify_alert *alert)
{
	size_t named = alert->vm_count < NOTIFY_VMS_MAX ? alert->vm_count : NOTIFY_VMS_MAX;
	char *list = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&list, &size);
	bool is_whole = stream != NULL;

	for (size_t i = 0; is_whole && i < named; i++) {
		cleanup(free) char *name =
			notify_clean(alert->vms[i], NOTIFY_NAME_MAX, NOTIFY_ONE_LINE);

		is_whole = name && fprintf(stream, "%s%s", i ? ", " : "", name) >= 0;
	}
	if (is_whole && alert->vm_count > named)
		is_whole = fprintf(stream, ", %zu more", alert->vm_count - named) >= 0;
	if (stream && fclose(stream) != 0)
		is_whole = false;
	if (!is_whole) {
		free(list);
		return NULL;
	}
	return list;
}

char *notify_alarm_url(const struct notify_alert *alert)
{
	cleanup(free) char *base =
		notify_clean(alert->external_url, NOTIFY_SUMMARY_MAX, NOTIFY_ONE_LINE);
	size_t length = base ? strlen(base) : 0;
	char *url = NULL;

	if (!base || length == 0)
		return keep(base);
	while (length > 0 && base[length - 1] == '/')
		length--;
	if (asprintf(&url, "%.*s/alarms/%lld", (int)length, base, (long long)alert->alarm) < 0)
		return NULL;
	return url;
}

int notify_deliver(uv_loop_t *loop, const struct notify_receiver *receiver, const char *body,
		   int64_t timeout_usec, notify_done *done, void *userdata,
		   struct notify_delivery **ret_delivery)
{
	struct notify_delivery delivery = {.done = done, .userdata = userdata};

	switch (receiver->kind) {
	case NOTIFY_WEBHOOK:
	case NOTIFY_ALERTMANAGER:
		return notify_post(loop, receiver, body, timeout_usec, &delivery, ret_delivery);
	case NOTIFY_MAIL:
	case NOTIFY_COMMAND:
		return notify_run(loop, receiver, body, timeout_usec, &delivery, ret_delivery);
	case NOTIFY_KIND_COUNT:
		break;
	}
	assert(false);
	return 0;
}

void notify_abandon(struct notify_delivery *delivery)
{
	delivery->done = NULL;
	delivery->end(delivery);
}
