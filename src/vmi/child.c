/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "introspect/isf.h"
#include "introspect/sandbox.h"
#include "vmi/child.h"
#include "vmi/frame.h"
#include "vmi/view.h"

enum { SEND_USEC = 10 * 1000 * 1000, MEMORY_BYTES_MAX = 1 << 30, CPU_SECONDS_MAX = 120 };

/* What a parser that fell to its guest would print could speak to a terminal. */
static void silence(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; null >= 0 && fd <= STDERR_FILENO; fd++)
		(void)dup2(null, fd);
	if (null > STDERR_FILENO)
		(void)close(null);
}

static int confine(const struct job *job, const struct target *target, int parent,
		   int *ret_landlock, struct error *err)
{
	int keep[TARGET_DESCRIPTORS_MAX + 1];
	struct sandbox_limits limits = {.memory_bytes = MEMORY_BYTES_MAX,
					.cpu_seconds = CPU_SECONDS_MAX};

	if (job->unconfined)
		return 0;
	silence();
	memcpy(keep, target->descriptors, target->descriptor_count * sizeof(keep[0]));
	keep[target->descriptor_count] = parent;
	return sandbox_enter(keep, target->descriptor_count + 1, &limits, ret_landlock, err);
}

/* The profile that was kept if it is of the kernel that runs now, else a new one, which the parent
 * is given to keep. */
static int find_profile(struct session *session, const void *kept, size_t kept_size,
			struct error *err)
{
	struct profile_source source = {session->target->memory, session->target->vcpus,
					session->target->vcpu_count};
	struct profile profile;
	int64_t started_usec = clock_mono_usec();
	int r = kept ? profile_load(&source, kept, kept_size, &profile, NULL) : -ENOENT;

	session->from_cache = r == 0;
	if (r < 0)
		r = profile_make(&source, &profile, err);
	if (r < 0)
		return r;
	session->profile_usec = clock_mono_usec() - started_usec;
	guest_init(&session->guest, session->target->memory, &profile);
	if (!session->from_cache)
		r = frame_send(session->parent, clock_mono_usec() + SEND_USEC, FRAME_PROFILE,
			       &profile, sizeof(profile));
	return r < 0 ? error_set_errno(err, r, "handing on the profile") : 0;
}

/* How it was read: the last table of every report. */
static void put_reading(struct session *session)
{
	static const struct report_column columns[] = {
		{"mode", REPORT_TEXT},          {"retries", REPORT_COUNT},
		{"paused", REPORT_NSEC},        {"reads", REPORT_COUNT},
		{"failed_views", REPORT_COUNT}, {"confined", REPORT_TEXT},
		{"profile", REPORT_TEXT},       {"profile_took", REPORT_NSEC},
		{"whole_took", REPORT_NSEC},
	};
	struct report *report = session->report;

	report_table(report, "reading", columns, sizeof(columns) / sizeof(columns[0]), false);
	report_text(report, session->paused_usec       ? "paused"
			    : session->retries         ? "live, again"
			    : session->target->monitor ? "live"
						       : "dump");
	report_number(report, session->retries);
	report_number(report, (uint64_t)session->paused_usec * 1000);
	report_number(report, memory_reads(session->guest.memory));
	report_number(report, session->failed_views);
	report_text(report, session->is_unconfined  ? "no"
			    : session->has_landlock ? "seccomp, landlock"
						    : "seccomp");
	report_text(report, session->from_cache ? "kept" : "made");
	report_number(report, (uint64_t)session->profile_usec * 1000);
	report_number(report, (uint64_t)(clock_mono_usec() - session->started_usec) * 1000);
}

/* A view that fails costs the others nothing; when all do, that is the answer. */
static int run_views(struct session *session, struct error *err)
{
	const struct session_order *order = session->order;
	struct error view_err;
	int r = 0;

	for (size_t i = 0; i < order->view_count; i++) {
		const struct view *view = &view_table[order->views[i]];

		view_err = ERROR_INIT;
		r = view->run(session, &view_err);
		if (r == 0)
			continue;
		session->failed_views++;
		if (session->failed_views == order->view_count)
			return error_set(err, r, "%s: %s", view->name, error_text(&view_err, r));
		report_note(session->report, "%s: %s", view->name, error_text(&view_err, r));
	}
	return 0;
}

static int send_report(struct session *session, struct error *err)
{
	cleanup(free) uint8_t *bytes = NULL;
	size_t size;
	int r = report_encode(session->report, &bytes, &size, err);

	if (r == 0)
		r = frame_send(session->parent, clock_mono_usec() + SEND_USEC, FRAME_REPORT, bytes,
			       size);
	return r;
}

static int send_piece(void *userdata, const void *bytes, size_t size)
{
	struct session *session = userdata;

	return frame_send(session->parent, clock_mono_usec() + SEND_USEC, FRAME_DATA, bytes, size);
}

static int make_symbols(struct session *session, struct error *err)
{
	return isf_make(&session->guest, send_piece, session, err);
}

static int do_job(const struct job *job, struct session *session, struct error *err)
{
	switch (job->kind) {
	case JOB_END_PROCESS:
		return child_end_process(job, session, err);
	case JOB_SYMBOLS:
		return make_symbols(session, err);
	case JOB_VIEWS:
		break;
	}
	return run_views(session, err);
}

static int work(const struct job *job, struct session *session, const void *profile,
		size_t profile_size, struct error *err)
{
	int r = confine(job, session->target, session->parent, &session->has_landlock, err);

	memory_set_deadline(session->target->memory,
			    session->started_usec + job->order.budget_usec);
	if (r == 0)
		r = find_profile(session, profile, profile_size, err);
	if (r == 0)
		r = do_job(job, session, err);
	if (r < 0)
		return r;
	put_reading(session);
	return send_report(session, err);
}

int child_run(const struct job *job, const struct target *target, int parent, const void *profile,
	      size_t profile_size)
{
	struct error err = ERROR_INIT;
	struct session session = {.order = &job->order,
				  .is_unconfined = job->unconfined,
				  .target = target,
				  .parent = parent,
				  .report = report_new(),
				  .started_usec = clock_mono_usec()};
	int r = session.report ? work(job, &session, profile, profile_size, &err)
			       : error_set_errno(&err, -ENOMEM, "report");

	if (r < 0) {
		if (err.code == 0)
			(void)error_set_errno(&err, r, "looking into the guest");
		r = frame_send_error(parent, clock_mono_usec() + SEND_USEC, &err);
	} else {
		r = frame_send(parent, clock_mono_usec() + SEND_USEC, FRAME_DONE, NULL, 0);
	}
	session_deinit(&session);
	return r < 0;
}
