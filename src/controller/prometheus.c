/* SPDX-License-Identifier: Apache-2.0 */
/* /metrics in Prometheus' text format 0.0.4. */
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "controller/controller.h"

static void head(FILE *stream, const char *name, const char *type, const char *help)
{
	(void)fprintf(stream, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void simple(FILE *stream, const char *name, const char *type, const char *help, double value)
{
	head(stream, name, type, help);
	(void)fprintf(stream, "%s %.17g\n", name, value);
}

/* A label's value: backslash, quote and newline are escaped. */
static void label(FILE *stream, const char *name, const char *value, const char *end)
{
	(void)fprintf(stream, "%s=\"", name);
	for (; *value; value++) {
		if (*value == '\\' || *value == '"')
			(void)fputc('\\', stream);
		if (*value == '\n')
			(void)fputs("\\n", stream);
		else
			(void)fputc(*value, stream);
	}
	(void)fprintf(stream, "\"%s", end);
}

static void print_actions(const struct actions *actions, FILE *stream)
{
	simple(stream, "atom_actions_open", "gauge", "Actions that have not ended.",
	       (double)actions->count);
	head(stream, "atom_actions_total", "counter", "Actions that ended, since the start.");
	for (size_t i = ACTION_VETOED; i < ACTION_STATE_COUNT; i++)
		(void)fprintf(stream, "atom_actions_total{state=\"%s\"} %llu\n",
			      action_state_name((enum action_state)i),
			      (unsigned long long)actions->by_state[i]);
}

static void print_receiver_counts(const struct outbox *outbox, const char *outcome, size_t offset,
				  FILE *stream)
{
	for (size_t i = 0; i < outbox_receiver_count(outbox); i++) {
		struct outbox_receiver receiver = outbox_receiver(outbox, i);
		const char *counts = (const char *)&receiver.counts;

		(void)fputs("atom_notifications_total{", stream);
		label(stream, "receiver", receiver.name, ",");
		(void)fprintf(stream, "outcome=\"%s\"} %llu\n", outcome,
			      (unsigned long long)*(const uint64_t *)(counts + offset));
	}
}

static void print_receivers(const struct outbox *outbox, FILE *stream)
{
	simple(stream, "atom_notifications_waiting", "gauge",
	       "Messages that have not got to their receiver.",
	       (double)outbox_counts(outbox).waiting);
	head(stream, "atom_notifications_total", "counter",
	     "Messages sent or given up, and attempts that failed.");
	print_receiver_counts(outbox, "sent", offsetof(struct outbox_counts, sent), stream);
	print_receiver_counts(outbox, "failed", offsetof(struct outbox_counts, failed), stream);
	print_receiver_counts(outbox, "dropped", offsetof(struct outbox_counts, dropped), stream);
}

static void print_totals(const struct controller *controller, FILE *stream)
{
	struct totals totals = controller_totals(controller);

	simple(stream, "atom_nodes", "gauge", "Nodes known.", (double)totals.nodes);
	simple(stream, "atom_nodes_connected", "gauge", "Nodes connected.",
	       (double)totals.connected);
	simple(stream, "atom_vms", "gauge", "VMs that run.", (double)totals.vms);
	simple(stream, "atom_samples_total", "counter", "Samples that the observers took.",
	       (double)totals.samples);
	simple(stream, "atom_values_received_total", "counter", "Values that had to be sent.",
	       (double)totals.received);
	simple(stream, "atom_frames_total", "counter", "Frames received.", (double)totals.frames);
	simple(stream, "atom_bytes_received_total", "counter", "Bytes received from nodes.",
	       (double)totals.bytes);
	simple(stream, "atom_alarms_open", "gauge", "Alarms that are open.",
	       (double)totals.alarms_open);
	simple(stream, "atom_alarms_total", "counter", "Alarms opened since the start.",
	       (double)controller->groups.alarms_opened);
	simple(stream, "atom_inquiries_total", "counter", "Requests to look inside a VM.",
	       (double)controller->inquiries.asked);
	simple(stream, "atom_inquiries_failed_total", "counter",
	       "Those that failed, were refused or never answered.",
	       (double)(controller->inquiries.failed + controller->inquiries.refused));
	simple(stream, "atom_store_errors_total", "counter", "Ticks that could not be written.",
	       (double)history_failures(controller->history));
	simple(stream, "atom_mu", "gauge", "Permitted change of the false alarm rate; 0: off.",
	       controller->groups.tuner.budget.mu);
	print_actions(&controller->actions, stream);
	print_receivers(controller->outbox, stream);
	head(stream, "atom_series", "gauge", "Series by the state of what is known of them.");
	for (size_t i = 0; i <= TRACKER_STALE; i++)
		(void)fprintf(stream, "atom_series{state=\"%s\"} %zu\n",
			      tracker_state_name((enum tracker_state)i), totals.by_state[i]);
}

static void print_group_value(const struct group *group, const char *name, double value,
			      FILE *stream)
{
	if (!isfinite(value))
		return;
	(void)fprintf(stream, "%s{", name);
	label(stream, "group", group->name, "");
	(void)fprintf(stream, "} %.17g\n", value);
}

static void print_groups(const struct controller *controller, FILE *stream)
{
	const struct map *groups = controller->groups.by_name;
	struct group *group;

	head(stream, "atom_group_spe", "gauge", "Squared prediction error of the newest row.");
	map_foreach (groups, i, group)
		print_group_value(group, "atom_group_spe", group->verdict.spe, stream);
	head(stream, "atom_group_q", "gauge",
	     "Threshold of SPE by the window alone; the verdict weighs T2 and the reference too.");
	map_foreach (groups, i, group)
		print_group_value(group, "atom_group_q", group->verdict.q, stream);
	head(stream, "atom_group_abnormal", "gauge",
	     "Whether the newest row is abnormal, or of a lasting shift that is suspected.");
	map_foreach (groups, i, group)
		print_group_value(group, "atom_group_abnormal",
				  group->verdict.state == ROW_ABNORMAL ||
					  group->verdict.state == ROW_SHIFTED,
				  stream);
	head(stream, "atom_group_window_rows", "gauge", "Rows in the window M.");
	map_foreach (groups, i, group)
		print_group_value(group, "atom_group_window_rows",
				  (double)monitor_window_rows(group->monitor), stream);
	head(stream, "atom_group_power_loss", "gauge",
	     "Share by which the maximum errors in force raise the residual energy.");
	map_foreach (groups, i, group)
		print_group_value(group, "atom_group_power_loss", group->tuning.power_loss, stream);
	head(stream, "atom_group_delta_version", "counter",
	     "Sets of maximum errors that were planned.");
	map_foreach (groups, i, group)
		print_group_value(group, "atom_group_delta_version",
				  (double)group->tuning.plan.version, stream);
	if (controller->groups.tuner.budget.mu > 0) {
		head(stream, "atom_group_delta_std", "gauge",
		     "Maximum error that track.mu gives, in standard deviations.");
		map_foreach (groups, i, group)
			print_group_value(group, "atom_group_delta_std", group->tuning.budget.delta,
					  stream);
	}
}

static void print_series(const struct vm *vm, enum metric metric, const char *name, double value,
			 FILE *stream)
{
	(void)fprintf(stream, "%s{", name);
	label(stream, "node", vm->node->name, ",");
	label(stream, "vm", vm->name, ",");
	label(stream, "uuid", vm->uuid_text, ",");
	label(stream, "metric", metric_info(metric)->name, "");
	(void)fprintf(stream, "} %.17g\n", value);
}

static void print_values(const struct controller *controller, const char *name, bool delta,
			 FILE *stream)
{
	struct node *node;
	struct vm *vm;

	map_foreach (controller->fleet.nodes, i, node) {
		map_foreach (node->vms, j, vm) {
			for (size_t k = 0; k < METRIC_COUNT; k++) {
				const struct tracker *tracker = &vm->series[k].tracker;

				if (vm->series[k].exists && tracker->state == TRACKER_GOOD)
					print_series(vm, (enum metric)k, name,
						     delta ? tracker->delta : tracker->value,
						     stream);
			}
		}
	}
}

int api_prometheus(void *userdata, struct http_request *request, struct error *err)
{
	const struct controller *controller = userdata;
	cleanup(free) char *text = NULL;
	size_t size = 0;
	int r = access_check_all(request, err);
	FILE *stream = r == 0 ? open_memstream(&text, &size) : NULL;

	if (!stream)
		return r < 0 ? r : error_set(err, -ENOMEM, "out of memory");
	print_totals(controller, stream);
	print_groups(controller, stream);
	head(stream, "atom_value", "gauge",
	     "Value per interval, within atom_delta of the true one.");
	print_values(controller, "atom_value", false, stream);
	head(stream, "atom_delta", "gauge", "Maximum error of atom_value.");
	print_values(controller, "atom_delta", true, stream);
	if (fclose(stream) != 0)
		return error_set(err, -ENOMEM, "out of memory");
	http_answer_text(request, "text/plain; version=0.0.4; charset=utf-8", text, size);
	return 200;
}
