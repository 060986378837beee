/* SPDX-License-Identifier: Apache-2.0 */
#include "introspect/hidden.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "vmi/view.h"

static const struct {
	uint32_t view;
	const char *name;
} names[] = {{HIDDEN_VIEW_LIST, "list"},
	     {HIDDEN_VIEW_PIDS, "pids"},
	     {HIDDEN_VIEW_CHILDREN, "children"},
	     {HIDDEN_VIEW_RUNNING, "running"}};

static void put_views(struct report *report, uint32_t views)
{
	char text[64] = "";

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (views & names[i].view)
			(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s",
				       *text ? "," : "", names[i].name);
	report_text(report, text);
}

static void put_entry(struct session *session, const struct hidden_entry *entry)
{
	struct report *report = session->report;
	struct task task = {0};
	bool is_known = task_read(&session->guest, entry->address, &task) == 0;
	uint32_t all = HIDDEN_VIEW_LIST | HIDDEN_VIEW_PIDS | HIDDEN_VIEW_CHILDREN;

	if (is_known) {
		report_number(report, task.pid);
		report_number(report, task.parent_pid);
		report_number(report, task.uid);
		report_text(report, task.comm);
	} else {
		report_unknown(report);
		report_unknown(report);
		report_unknown(report);
		report_unknown(report);
	}
	put_views(report, entry->views);
	put_views(report, all & ~entry->views);
	report_number(report, entry->start_nsec);
	report_number(report, entry->address);
}

/* The views of one moment. */
static int sample(struct session *session, struct hidden_sample *ret_sample, struct error *err)
{
	const struct task_list *tasks;
	int r = session_tasks(session, &tasks, err);

	if (r < 0)
		return r;
	r = hidden_sample_read(&session->guest, tasks, ret_sample);
	return r < 0 ? error_set_errno(err, r, "reading the views of processes") : 0;
}

/* Takes further samples while something is odd; the guest runs between them. */
static int confirm(struct session *session, struct hidden_sample *sample_kept, int *ret_samples,
		   struct error *err)
{
	const struct timespec gap = {.tv_nsec = HIDDEN_SAMPLE_GAP_USEC * 1000};

	for (*ret_samples = 1; sample_kept->odd > 0 && *ret_samples < HIDDEN_SAMPLES;
	     (*ret_samples)++) {
		struct hidden_sample next;
		int r;

		(void)nanosleep(&gap, NULL); /* shorter is no harm */
		session_refresh(session);
		r = sample(session, &next, err);
		if (r < 0)
			return r;
		hidden_sample_intersect(sample_kept, &next);
		hidden_sample_deinit(&next);
	}
	return 0;
}

int view_hidden(struct session *session, struct error *err)
{
	static const struct report_column columns[] = {
		{"pid", REPORT_COUNT},        {"ppid", REPORT_COUNT},
		{"uid", REPORT_COUNT},        {"command", REPORT_TEXT},
		{"seen_in", REPORT_TEXT},     {"missing_from", REPORT_TEXT},
		{"start_nsec", REPORT_COUNT}, {"task", REPORT_ADDRESS},
	};
	struct hidden_sample kept;
	int samples = 0, r = sample(session, &kept, err);

	if (r < 0)
		return r;
	r = confirm(session, &kept, &samples, err);
	if (r < 0) {
		hidden_sample_deinit(&kept);
		return r;
	}
	VIEW_TABLE(session, "hidden", columns);
	for (size_t i = 0; i < kept.count; i++)
		if (hidden_is_odd(&kept.entries[i]))
			put_entry(session, &kept.entries[i]);
	if (kept.unreadable)
		report_note(session->report, "hidden: %u parts of views could not be followed",
			    kept.unreadable);
	if (samples > 1)
		report_note(session->report, "hidden: views differed; %d samples were compared",
			    samples);
	hidden_sample_deinit(&kept);
	return 0;
}
