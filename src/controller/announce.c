/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/announce.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/utf8.h"
#include "controller/api_scope.h"
#include "controller/controller.h"

/* The alarm's own words and the receivers'; what is not here is told nobody. */
static const struct {
	const char *event, *told;
} words[] = {
	{"opened", "opened"},     {"named", "named"},      {"suspect", "suspect"},
	{"pattern", "pattern"},   {"verdict", "verdict"},  {"shifted", "shifted"},
	{"reopened", "reopened"}, {"cleared", "cleared"},  {"normal", "cleared"},
	{"resolved", "cleared"},  {"announced", "action"}, {"ordered", "action"},
	{"vetoed", "action"},     {"done", "action"},      {"pending", "action"},
	{"refused", "action"},    {"failed", "action"},    {"unknown", "action"},
	{"verified", "action"},   {"not done", "action"},
};

void announce_hear(void *userdata, int64_t alarm, const char *event, const char *vm,
		   const char *text)
{
	struct announcements *announcements = userdata;
	struct announcement *announcement;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(words[i].event, event) != 0)
			continue;
		if (announcements->count == ANNOUNCEMENTS_MAX)
			return; /* the alarm's history has it */
		announcement = &announcements->list[announcements->count++];
		announcement->alarm = alarm;
		announcement->event = words[i].told;
		(void)snprintf(announcement->vm, sizeof(announcement->vm), "%s", vm);
		(void)utf8_print(announcement->text, sizeof(announcement->text), "%s", text);
		return;
	}
}

/* The VMs that the alarm names, each once. */
struct named {
	const char *vms[NOTIFY_VMS_MAX];
	size_t count;
};

static bool is_named(const struct named *named, const char *vm)
{
	for (size_t i = 0; i < named->count; i++)
		if (strcmp(named->vms[i], vm) == 0)
			return true;
	return false;
}

static void name_vms(const struct alarm *alarm, struct named *named)
{
	const json_t *column;
	size_t i;

	json_array_foreach(json_object_get(alarm->evidence, "columns"), i, column)
	{
		const char *vm = text_of(column, "vm");

		if (json_is_true(json_object_get(column, "abnormal")) && !is_named(named, vm) &&
		    named->count < NOTIFY_VMS_MAX)
			named->vms[named->count++] = vm;
	}
}

/* The project that all of the alert is of; `vm` is the one that its text speaks of. An action of
 * another one's VM may be done because of the alarm. */
static const char *project_of(const struct alarm *alarm, const char *vm)
{
	const char *project = scope_project(alarm->evidence);

	return !*vm || scope_has_vm(alarm->evidence, vm, project) ? project : "";
}

static void tell_suspects(const json_t *look, FILE *stream)
{
	const json_t *suspect, *reason;
	size_t i, j;

	json_array_foreach(json_object_get(look, "suspects"), i, suspect)
	{
		if (i == 3)
			break;
		(void)fprintf(stream, "  %s (pid %lld, score %.2f)\n", text_of(suspect, "command"),
			      (long long)number_of(suspect, "pid"), number_of(suspect, "score"));
		json_array_foreach(json_object_get(suspect, "reasons"), j, reason)(void)
			fprintf(stream, "    %s\n", json_string_value(reason));
	}
}

/* What happened just now, then what was seen in the VMs. Owned. */
static char *tell_details(const struct alarm *alarm, const char *text)
{
	const json_t *entry;
	char *details = NULL;
	size_t size, i;
	FILE *stream = open_memstream(&details, &size);

	if (!stream)
		return NULL;
	if (*text)
		(void)fprintf(stream, "%s\n", text);
	json_array_foreach(json_object_get(alarm->evidence, "introspection"), i, entry)
	{
		(void)fprintf(stream, "%s\n", text_of(entry, "text"));
		tell_suspects(entry, stream);
	}
	json_array_foreach(json_object_get(alarm->evidence, "across"), i, entry)(void)
		fprintf(stream, "%s: %s\n", text_of(entry, "name"), text_of(entry, "text"));
	return fclose(stream) == 0 ? details : NULL;
}

/* What happens while nothing has: an alarm is open. */
static const struct announcement firing = {.event = "firing"};

static void offer(const struct alarm *alarm, const struct announcement *announcement,
		  outbox_take *take, void *taker)
{
	struct named named = {.count = 0};
	cleanup(free) char *details = tell_details(alarm, announcement->text);
	struct notify_alert alert = {
		.alarm = alarm->id,
		.group = alarm->group->name,
		.state = alarm_state_name(alarm->state),
		.status = alarm->closed_usec ? NOTIFY_RESOLVED : NOTIFY_FIRING,
		.opened_usec = alarm->opened_usec,
		.closed_usec = alarm->closed_usec,
		.time_usec = clock_wall_usec(),
		.level = alarm->level,
		.summary = alarm->summary ? alarm->summary : "",
		.details = details ? details : "",
		.vms = named.vms,
		.event = announcement->event,
		.project = project_of(alarm, announcement->vm),
		.external_url = "",
	};

	name_vms(alarm, &named);
	alert.vm_count = named.count;
	take(taker, &alert);
}

static void take_offer(void *taker, const struct notify_alert *alert)
{
	outbox_offer(taker, alert);
}

void announce_tell(struct controller *controller)
{
	struct announcements *announcements = &controller->announcements;

	for (size_t i = 0; i < announcements->count; i++) {
		const struct announcement *announcement = &announcements->list[i];
		const struct alarm *alarm =
			groups_find_alarm(&controller->groups, announcement->alarm);

		if (alarm)
			offer(alarm, announcement, take_offer, controller->outbox);
	}
	announcements->count = 0;
}

static void each_open(void *userdata, outbox_take *take, void *taker)
{
	const struct controller *controller = userdata;
	const struct group *group;

	map_foreach (controller->groups.by_name, i, group)
		if (group->alarm)
			offer(group->alarm, &firing, take, taker);
}

void announce_follow(struct controller *controller)
{
	announce_tell(controller);
	outbox_follow(controller->outbox, each_open, controller);
}
