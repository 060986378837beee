/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two sides differ for good reasons too, so the limits are wide: the hypervisor's figure, as
 * low as its tracker allows, less what is known to be nobody's, must be more than three times the
 * guest's, and more by so much:
 *
 * - CPU: 50 % of one CPU. Interrupts that come while the guest idles are charged to no process, and
 *   QEMU's own threads work for its devices: 10 % are allowed for each MB/s of traffic, too much
 *   for large packets and about right for the smallest, and 5 % for each 1000 disk requests a
 *   second. So a VM with much traffic always agrees. Left: an idle loop that polls, children that
 *   nobody waits for, the kernel's own work.
 * - Network: 1 MB/s. Acknowledgements have no payload: a twentieth of the other direction is
 *   allowed. Where connections come and go, most are in neither sample: not compared. Left: UDP,
 *   raw and forwarded packets, which are in no count of a socket.
 * - Reading: 4 MiB/s. Left: a kernel without task I/O accounting.
 * - Writing: as reading, but only told: a process is charged when it changes the cache, the disk is
 *   written to when the cache is flushed.
 */
#include "controller/account.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/utf8.h"
#include "controller/alarm.h"
#include "controller/api.h"
#include "controller/controller.h"
#include "suspect/suspect.h"
#include "suspect/suspect_usage.h"

static const double times_as_much = 3, percent_per_byte = 1e-5, percent_per_request = 5e-3,
		    acknowledged_share = 0.05;

enum { TEXT_SIZE = 512 };

enum item { ITEM_CPU, ITEM_RECEIVED, ITEM_SENT, ITEM_READ, ITEM_WRITTEN, ITEM_COUNT };

static const struct {
	enum metric metric;
	double least;
	const char *what; /* that the hypervisor counts "... of web2" */
	const char *who;  /* accounts for less */
	const char *why;
	const char *pattern; /* NULL: none */
} items[ITEM_COUNT] = {
	[ITEM_CPU] = {METRIC_CPU_UTILIZATION, 50, "for", "processes",
		      "something in it is hidden from the process table, or works in the kernel",
		      "possible hidden process"},
	[ITEM_RECEIVED] = {METRIC_NETWORK_IN, 1e6, "received by", "TCP connections",
			   "what else it receives is hidden from its table of sockets, or is no "
			   "TCP, or is not for itself",
			   "possible hidden traffic"},
	[ITEM_SENT] =
		{METRIC_NETWORK_OUT, 1e6, "sent by", "TCP connections",
		 "what else it sends is hidden from its table of sockets, or is no TCP, or is "
		 "forwarded",
		 "possible hidden traffic"},
	[ITEM_READ] = {METRIC_DISK_READ_BYTES, 0x1p22, "read from disk by", "processes",
		       "something in it is hidden from the process table, or its kernel does not "
		       "count what processes read",
		       "possible hidden process"},
	[ITEM_WRITTEN] = {METRIC_DISK_WRITE_BYTES, 0x1p22, "written to disk by", "processes",
			  "the cache is written out later than it was filled, so this tells little",
			  NULL},
};

/* One metric, as the hypervisor counts it. */
struct figure {
	bool is_known;
	double value, within;
};

static struct figure figure_now(const struct vm *vm, enum metric metric)
{
	const struct tracker *tracker = &vm->series[metric].tracker;
	double factor;

	if (!vm->series[metric].exists || tracker->state != TRACKER_GOOD ||
	    vm->node->interval_usec <= 0)
		return (struct figure){.is_known = false};
	factor = metric == METRIC_CPU_UTILIZATION
			 ? vm->vcpus
			 : (double)USEC_PER_SEC / (double)vm->node->interval_usec;
	return (struct figure){true, factor * tracker->value, factor * tracker->delta};
}

/* Opening */

static double usage_of(const struct suspect_usage *usage, enum item item)
{
	const double values[ITEM_COUNT] = {
		[ITEM_CPU] = usage->cpu_percent,         [ITEM_RECEIVED] = usage->received_per_sec,
		[ITEM_SENT] = usage->sent_per_sec,       [ITEM_READ] = usage->read_per_sec,
		[ITEM_WRITTEN] = usage->written_per_sec,
	};

	return values[item];
}

static json_t *tenths(double value)
{
	return api_number(round(10 * value) / 10);
}

static json_t *open_line(enum item item, const struct figure *before, double guest)
{
	const char *text = "waits until the interval of the look has been observed";

	if (isnan(guest) && (item == ITEM_RECEIVED || item == ITEM_SENT))
		text = "the look does not tell what connections carry, or they come and go too "
		       "quickly to be added up";
	else if (isnan(guest))
		text = "the look does not tell what processes use of it";
	else if (!before->is_known)
		text = "the hypervisor's count is not known";
	return json_pack("{s:s, s:o, s:o, s:o, s:s, s:n, s:s}", "metric",
			 metric_info(items[item].metric)->name, "hypervisor",
			 tenths(before->is_known ? before->value : NAN), "within",
			 tenths(before->is_known ? before->within : NAN), "guest", tenths(guest),
			 "unit", item == ITEM_CPU ? "% of a CPU" : "bytes per second", "agrees",
			 "text", text);
}

json_t *account_open(const struct report *report, const struct vm *vm)
{
	cleanup(json_decref) json_t *lines = NULL;
	struct suspect_usage usage;
	int64_t due_usec;

	if (suspect_usage_read(report, &usage) < 0)
		return NULL;
	lines = json_array();
	for (int i = 0; i < ITEM_COUNT; i++) {
		struct figure before = figure_now(vm, items[i].metric);
		json_t *line = open_line((enum item)i, &before, usage_of(&usage, (enum item)i));

		if (json_array_append_new(lines, line) < 0)
			return NULL;
	}
	/* Ticks are not quite regular: the next one is past half an interval. */
	due_usec = vm->node->watermark_usec + vm->node->interval_usec / 2;
	return json_pack("{s:O, s:I}", "account", lines, "account_due", (json_int_t)due_usec);
}

void account_add(const struct vm *vm, const struct report *report, json_t *found)
{
	cleanup(json_decref) json_t *account = found && vm ? account_open(report, vm) : NULL;

	if (account)
		(void)json_object_update(found, account);
}

/* Settling */

struct line {
	json_t *json;
	struct figure before, now;
	double guest; /* NaN: not known */
};

static double number_or_nan(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return json_is_number(value) ? json_number_value(value) : NAN;
}

static void read_lines(const json_t *account, const struct vm *vm, struct line lines[ITEM_COUNT])
{
	json_t *json;
	size_t i;

	for (i = 0; i < ITEM_COUNT; i++)
		lines[i] = (struct line){.guest = NAN};
	json_array_foreach(account, i, json)
	{
		for (int item = 0; item < ITEM_COUNT; item++) {
			enum metric metric = items[item].metric;
			double value = number_or_nan(json, "hypervisor");

			if (strcmp(text_of(json, "metric"), metric_info(metric)->name) != 0)
				continue;
			lines[item] = (struct line){
				.json = json,
				.before = {!isnan(value), value, number_of(json, "within")},
				.now = figure_now(vm, metric),
				.guest = number_or_nan(json, "guest"),
			};
		}
	}
}

static double highest(const struct figure *figure)
{
	return figure->is_known ? figure->value + figure->within : 0;
}

/* The traffic of both intervals at its most; where the hypervisor does not see it, the guest's. */
static double most_of(const struct line *line)
{
	if (line->before.is_known || line->now.is_known)
		return fmax(highest(&line->before), highest(&line->now));
	return isnan(line->guest) ? 0 : line->guest;
}

/* What of the hypervisor's figure is nobody's in the guest. */
static double allowed_of(const struct line lines[ITEM_COUNT], enum item item, const struct vm *vm)
{
	struct figure reads = figure_now(vm, METRIC_DISK_READ_OPS);
	struct figure writes = figure_now(vm, METRIC_DISK_WRITE_OPS);

	switch (item) {
	case ITEM_CPU:
		return percent_per_byte *
			       (most_of(&lines[ITEM_RECEIVED]) + most_of(&lines[ITEM_SENT])) +
		       percent_per_request * (highest(&reads) + highest(&writes));
	case ITEM_RECEIVED:
		return acknowledged_share * most_of(&lines[ITEM_SENT]);
	case ITEM_SENT:
		return acknowledged_share * most_of(&lines[ITEM_RECEIVED]);
	case ITEM_READ:
	case ITEM_WRITTEN:
	case ITEM_COUNT:
		break;
	}
	return 0;
}

/* The interval of which less can be said to have been used. */
static const struct figure *lower_of(const struct line *line)
{
	return line->before.value - line->before.within < line->now.value - line->now.within
		       ? &line->before
		       : &line->now;
}

static void print_amount(enum item item, double amount, char text[32])
{
	if (item == ITEM_CPU)
		(void)snprintf(text, 32, "%.0f %%", amount);
	else
		suspect_tell_bytes(amount, text);
}

static void tell(enum item item, const struct line *line, const struct vm *vm, bool agrees,
		 char text[TEXT_SIZE])
{
	char counted[32], shown[32];

	print_amount(item, lower_of(line)->value, counted);
	print_amount(item, line->guest, shown);
	(void)utf8_print(
		text, TEXT_SIZE,
		"the hypervisor counts %s%s %s %.100s, the %s that its kernel shows account "
		"for %s%s%s%s",
		counted, item == ITEM_CPU ? " of a CPU" : "/s", items[item].what, vm->name,
		items[item].who, shown, item == ITEM_CPU ? "" : "/s", agrees ? "" : ": ",
		agrees ? "" : items[item].why);
}

static int settle_line(const struct line lines[ITEM_COUNT], enum item item, const struct vm *vm,
		       json_t *patterns)
{
	const struct line *line = &lines[item];
	const struct figure *lower = lower_of(line);
	double left = lower->value - lower->within - allowed_of(lines, item, vm);
	bool agrees =
		!(left - line->guest >= items[item].least && left > times_as_much * line->guest);
	char text[TEXT_SIZE];
	int r;

	tell(item, line, vm, agrees, text);
	r = json_object_set_new(line->json, "hypervisor", tenths(lower->value));
	r |= json_object_set_new(line->json, "within", tenths(lower->within));
	r |= json_object_set_new(line->json, "agrees", json_boolean(agrees));
	r |= json_object_set_new(line->json, "text", json_string(text));
	if (!agrees && items[item].pattern)
		r |= json_array_append_new(patterns, json_pack("{s:s, s:s}", "name",
							       items[item].pattern, "text", text));
	return r;
}

/* Nothing was observed of the look's time, or it is not this VM's node that was. */
static bool is_over(const json_t *entry, const struct vm *vm, int64_t due_usec)
{
	return !vm || strcmp(text_of(entry, "node"), vm->node->name) != 0 ||
	       vm->node->watermark_usec > due_usec + 2 * vm->node->interval_usec;
}

json_t *account_settle(json_t *entry, const struct vm *vm)
{
	int64_t due_usec = json_integer_value(json_object_get(entry, "account_due"));
	cleanup(json_decref) json_t *patterns = json_array();
	bool over = is_over(entry, vm, due_usec);
	struct line lines[ITEM_COUNT];
	int r = 0;

	if (!over && vm->node->watermark_usec < due_usec)
		return NULL;
	(void)json_object_del(entry, "account_due");
	if (over) {
		json_t *line;
		size_t i;

		json_array_foreach(json_object_get(entry, "account"), i, line) r |=
			json_object_set_new(
				line, "text",
				json_string("the interval of the look was not observed"));
		return r == 0 ? keep(patterns) : NULL;
	}
	read_lines(json_object_get(entry, "account"), vm, lines);
	for (int i = 0; i < ITEM_COUNT; i++) {
		const struct line *line = &lines[i];

		if (line->before.is_known && line->now.is_known && !isnan(line->guest))
			r |= settle_line(lines, (enum item)i, vm, patterns);
		else if (line->json && !isnan(line->guest))
			r |= json_object_set_new(
				line->json, "text",
				json_string("the hypervisor's count is not known"));
	}
	return r == 0 ? keep(patterns) : NULL;
}

/* A VM with as many patterns as are kept loses the last one. */
static void add_pattern(json_t *entry, json_t *pattern)
{
	json_t *list = json_object_get(entry, "patterns");

	if (json_array_size(list) >= SUSPECT_PATTERNS_MAX)
		(void)json_array_remove(list, json_array_size(list) - 1);
	(void)json_array_append(list, pattern);
}

void account_follow(struct controller *controller, struct alarm *alarm)
{
	json_t *entry, *pattern;
	size_t i, j;

	json_array_foreach(json_object_get(alarm->evidence, "introspection"), i, entry)
	{
		cleanup(json_decref) json_t *patterns = NULL;
		const struct vm *vm;

		if (!json_object_get(entry, "account_due"))
			continue;
		vm = fleet_vm_at(&controller->fleet, text_of(entry, "uuid"),
				 text_of(entry, "node")); /* NULL: it went */
		patterns = account_settle(entry, vm);
		json_array_foreach(patterns, j, pattern)
		{
			cleanup(free) char *text = NULL;

			add_pattern(entry, pattern);
			if (asprintf(&text, "%s: %s", text_of(pattern, "name"),
				     text_of(pattern, "text")) >= 0)
				history_event(controller->history, alarm->id, clock_wall_usec(),
					      "pattern", text_of(entry, "uuid"), text);
		}
		if (patterns)
			history_alarm(controller->history, alarm);
	}
}
