/* SPDX-License-Identifier: Apache-2.0 */
/* JSON: the alert as Alertmanager has it, alone, in a list, or in the payload of its webhooks. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "notify/notify_internal.h"

enum {
	FINGERPRINT_SIZE = 17,
	RESENDS_MISSED = 4, /* without which a firing alert is taken to be over */
};

/* What Alertmanager writes for an alert that has not ended. */
static const char no_time[] = "0001-01-01T00:00:00Z";

/* Names an alarm for Alertmanager: sorted by name, as the fingerprint wants it. Nothing that may
 * change over the alarm's life may be here, or it would be another alert. */
struct labels {
	char alarm[24];
	char *group;
	const char *list[4][2]; /* name, value */
};

static bool make_labels(const struct notify_alert *alert, struct labels *ret_labels)
{
	struct labels *labels = ret_labels;

	(void)snprintf(labels->alarm, sizeof(labels->alarm), "%lld", (long long)alert->alarm);
	labels->group =
		notify_clean(*alert->group ? alert->group : "-", NOTIFY_NAME_MAX, NOTIFY_ONE_LINE);
	labels->list[0][0] = "alarm";
	labels->list[0][1] = labels->alarm;
	labels->list[1][0] = "alertname";
	labels->list[1][1] = "AtomAlarm";
	labels->list[2][0] = "group";
	labels->list[2][1] = labels->group;
	labels->list[3][0] = "severity";
	labels->list[3][1] = "warning";
	return labels->group != NULL;
}

static json_t *labels_object(const struct labels *labels)
{
	json_t *object = json_object();

	for (size_t i = 0; i < 4; i++)
		(void)json_object_set_new(object, labels->list[i][0],
					  json_string(labels->list[i][1]));
	return object;
}

static uint64_t hash_text(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
	return (hash ^ 0xff) * UINT64_C(1099511628211); /* what separates them is no UTF-8 */
}

/* FNV-1a of the sorted names and values: Alertmanager comes to the same one for these labels. */
static void make_fingerprint(const struct labels *labels, char ret_text[FINGERPRINT_SIZE])
{
	uint64_t hash = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < 4; i++)
		hash = hash_text(hash_text(hash, labels->list[i][0]), labels->list[i][1]);
	(void)snprintf(ret_text, FINGERPRINT_SIZE, "%016llx", (unsigned long long)hash);
}

/* Nothing is set for a text that is empty. False: memory is out. */
static bool annotate(json_t *annotations, const char *name, const char *text, size_t limit)
{
	enum notify_lines lines = limit == NOTIFY_DETAILS_MAX ? NOTIFY_MANY_LINES : NOTIFY_ONE_LINE;
	cleanup(free) char *clean = notify_clean(text, limit, lines);

	return clean &&
	       (!*clean || json_object_set_new(annotations, name, json_string(clean)) == 0);
}

/* NULL when memory is out. */
static json_t *make_annotations(const struct notify_alert *alert)
{
	cleanup(json_decref) json_t *annotations = json_object();
	cleanup(free) char *vms = notify_vm_list(alert);
	char level[16];

	(void)snprintf(level, sizeof(level), "%u", alert->level);
	if (annotations && vms &&
	    annotate(annotations, "summary", alert->summary, NOTIFY_SUMMARY_MAX) &&
	    annotate(annotations, "description", alert->details, NOTIFY_DETAILS_MAX) &&
	    annotate(annotations, "event", alert->event, NOTIFY_NAME_MAX) &&
	    annotate(annotations, "state", alert->state, NOTIFY_NAME_MAX) &&
	    annotate(annotations, "level", level, NOTIFY_NAME_MAX) &&
	    annotate(annotations, "vms", vms, NOTIFY_DETAILS_MAX) &&
	    annotate(annotations, "project", alert->project, NOTIFY_NAME_MAX))
		return keep(annotations);
	return NULL;
}

static const char *status_name(const struct notify_alert *alert)
{
	return alert->status == NOTIFY_FIRING ? "firing" : "resolved";
}

/* The alert of a webhook's payload. NULL when memory is out. */
static json_t *make_alert(const struct notify_alert *alert, const struct labels *labels)
{
	char starts[CLOCK_TEXT_SIZE], ends[CLOCK_TEXT_SIZE], fingerprint[FINGERPRINT_SIZE];
	cleanup(free) char *url = notify_alarm_url(alert);
	json_t *annotations = make_annotations(alert);

	if (!url || !annotations) {
		json_decref(annotations);
		return NULL;
	}
	make_fingerprint(labels, fingerprint);
	clock_format(alert->opened_usec, starts);
	clock_format(alert->closed_usec, ends);
	return json_pack("{s:s, s:o, s:o, s:s, s:s, s:s, s:s}", "status", status_name(alert),
			 "labels", labels_object(labels), "annotations", annotations, "startsAt",
			 starts, "endsAt", alert->status == NOTIFY_FIRING ? no_time : ends,
			 "generatorURL", url, "fingerprint", fingerprint);
}

static json_t *make_payload(const struct notify_receiver *receiver,
			    const struct notify_alert *alert, const struct labels *labels)
{
	cleanup(free) char *name = notify_clean(receiver->name, NOTIFY_NAME_MAX, NOTIFY_ONE_LINE);
	cleanup(free) char *url =
		notify_clean(alert->external_url, NOTIFY_SUMMARY_MAX, NOTIFY_ONE_LINE);
	json_t *one = make_alert(alert, labels);
	char key[64];

	if (!name || !url || !one) {
		json_decref(one);
		return NULL;
	}
	(void)snprintf(key, sizeof(key), "{}:{alarm=\"%s\"}", labels->alarm);
	return json_pack("{s:s, s:s, s:i, s:s, s:s, s:[o], s:{s:s}, s:o, s:O, s:s}", "version", "4",
			 "groupKey", key, "truncatedAlerts", 0, "receiver", name, "status",
			 status_name(alert), "alerts", one, "groupLabels", "alarm", labels->alarm,
			 "commonLabels", labels_object(labels), "commonAnnotations",
			 json_object_get(one, "annotations"), "externalURL", url);
}

/* Times that Alertmanager takes: it refuses an end before the beginning, and an end that its clock
 * has not reached yet would be no end. */
static json_t *make_post(const struct notify_receiver *receiver, const struct notify_alert *alert,
			 const struct labels *labels)
{
	bool is_firing = alert->status == NOTIFY_FIRING;
	int64_t last = is_firing ? alert->time_usec + RESENDS_MISSED * receiver->resend_usec
				 : alert->closed_usec;
	int64_t end = !is_firing && last > alert->time_usec ? alert->time_usec : last;
	char starts[CLOCK_TEXT_SIZE], ends[CLOCK_TEXT_SIZE];
	cleanup(free) char *url = notify_alarm_url(alert);
	json_t *annotations = make_annotations(alert), *post;

	if (!url || !annotations) {
		json_decref(annotations);
		return NULL;
	}
	clock_format(alert->opened_usec < end ? alert->opened_usec : end, starts);
	clock_format(end, ends);
	post = json_pack("{s:o, s:o, s:s, s:s}", "labels", labels_object(labels), "annotations",
			 annotations, "startsAt", starts, "endsAt", ends);
	if (post && *url)
		(void)json_object_set_new(post, "generatorURL", json_string(url));
	return post ? json_pack("[o]", post) : NULL;
}

static json_t *make_json(const struct notify_receiver *receiver, const struct notify_alert *alert)
{
	struct labels labels = {0};
	json_t *made = NULL;

	if (!make_labels(alert, &labels))
		return NULL;
	if (receiver->kind == NOTIFY_WEBHOOK)
		made = make_payload(receiver, alert, &labels);
	else if (receiver->kind == NOTIFY_ALERTMANAGER)
		made = make_post(receiver, alert, &labels);
	else
		made = make_alert(alert, &labels);
	free(labels.group);
	return made;
}

char *notify_render(const struct notify_receiver *receiver, const struct notify_alert *alert)
{
	cleanup(json_decref) json_t *made = NULL;

	if (receiver->kind == NOTIFY_MAIL)
		return notify_render_mail(receiver, alert);
	made = make_json(receiver, alert);
	return made ? json_dumps(made, JSON_COMPACT) : NULL;
}
