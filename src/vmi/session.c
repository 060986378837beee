/* SPDX-License-Identifier: Apache-2.0 */
#include "vmi/session.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

enum { RETRY_GAP_USEC = 2000, ANSWER_USEC = 10 * 1000 * 1000 };

void session_refresh(struct session *session)
{
	memory_forget(session->guest.memory);
	if (session->has_tasks)
		task_list_deinit(&session->tasks);
	session->has_tasks = false;
}

void session_deinit(struct session *session)
{
	if (session->has_tasks)
		task_list_deinit(&session->tasks);
	report_free(session->report);
}

int session_ask(struct session *session, enum frame_type type, const void *payload, size_t size,
		void *answer, size_t *ret_size, struct error *err)
{
	int64_t deadline = clock_mono_usec() + ANSWER_USEC;
	struct frame frame;
	int r = frame_send(session->parent, deadline, type, payload, size);

	if (r < 0)
		return error_set_errno(err, r, "asking the parent");
	r = frame_receive(session->parent, deadline, &frame, err);
	if (r < 0)
		return r;
	if (frame.type == FRAME_FAILED) {
		r = frame_error(&frame, err);
	} else if (frame.type != FRAME_OK) {
		r = error_set(err, -EPROTO, "the parent answered out of turn");
	} else if (answer) {
		memcpy(answer, frame.payload, frame.size);
		*ret_size = frame.size;
	}
	frame_deinit(&frame);
	return r;
}

int session_pause(struct session *session, struct error *err)
{
	int r = session->is_paused ? 0 : session_ask(session, FRAME_STOP, NULL, 0, NULL, NULL, err);

	if (r == 0 && !session->is_paused) {
		session->is_paused = true;
		session->paused_usec -= clock_mono_usec();
		memory_forget(session->guest.memory);
	}
	return r;
}

int session_resume(struct session *session, struct error *err)
{
	int r = session->is_paused ? session_ask(session, FRAME_CONT, NULL, 0, NULL, NULL, err) : 0;

	if (r == 0 && session->is_paused) {
		session->is_paused = false;
		session->paused_usec += clock_mono_usec();
	}
	return r;
}

static void wait_a_moment(void)
{
	struct timespec gap = {.tv_nsec = RETRY_GAP_USEC * 1000};

	(void)nanosleep(&gap, NULL); /* shorter is no harm */
}

static bool is_worth_another_try(int r, const struct task_list *tasks)
{
	return r == -EFAULT || r == -ELOOP || (r == 0 && tasks->broken > 0);
}

static int explain(int code, struct error *err)
{
	if (code == -ETIME)
		return error_set(err, code, "the time budget ended while the processes were read");
	if (code == -EFAULT || code == -ELOOP)
		return error_set(
			err, code,
			"the guest's list of processes leads nowhere, and so does its table "
			"of pids");
	return error_set_errno(err, code, "reading the guest's processes");
}

/* With the guest paused nothing changes under the reader any more. */
static int read_paused(struct session *session, struct task_list *ret_tasks, struct error *err)
{
	int r = session_pause(session, err), read;

	if (r < 0 && r != -EALREADY)
		return r;
	read = task_list_read(&session->guest, ret_tasks);
	r = session_resume(session, err);
	return read < 0 ? explain(read, err) : r;
}

/* Live, up to so many times; the last try counts even when links disagree. */
static int read_live(struct session *session, struct task_list *ret_tasks)
{
	int tries = session->target->monitor ? SESSION_TRIES : 1; /* a dump does not change */

	for (int i = 1;; i++) {
		int r = task_list_read(&session->guest, ret_tasks);

		if (!is_worth_another_try(r, ret_tasks) || i == tries)
			return r;
		if (r == 0)
			task_list_deinit(ret_tasks);
		session->retries++;
		memory_forget(session->guest.memory);
		wait_a_moment();
	}
}

int session_tasks(struct session *session, const struct task_list **ret_tasks, struct error *err)
{
	struct task_list tasks = {0};
	int r;

	*ret_tasks = &session->tasks;
	if (session->has_tasks)
		return 0;
	r = read_live(session, &tasks);
	if (is_worth_another_try(r, &tasks) && session->order->pause_usec > 0) {
		if (r == 0)
			task_list_deinit(&tasks);
		r = read_paused(session, &tasks, err);
		if (r < 0 && r != -EFAULT && r != -ELOOP)
			return r;
	}
	if (r == -EFAULT || r == -ELOOP) {
		r = task_list_read_pids(&session->guest, &tasks);
		if (r == 0 && !session->is_list_lost)
			report_note(session->report,
				    "the guest's list of processes leads nowhere: processes are "
				    "from its table of pids instead");
		session->is_list_lost = true;
	}
	if (r < 0)
		return explain(r, err);
	session->tasks = tasks;
	session->has_tasks = true;
	return 0;
}

int session_boot_time(const struct session *session, uint64_t *ret_boot_usec,
		      uint64_t *ret_uptime_nsec)
{
	const struct guest *guest = &session->guest;
	uint64_t keeper = guest_symbol(guest, SYMBOL_TK_CORE), seconds, nanoseconds, monotonic,
		 suspended;
	int r;

	if (!keeper)
		return -ENOENT;
	/* behind a sequence counter, until 6.13 in a structure without a name */
	keeper += guest_has(guest, FIELD_TKDATA_TIMEKEEPER)
			  ? guest_offset(guest, FIELD_TKDATA_TIMEKEEPER)
			  : 8;
	r = guest_field(guest, keeper, FIELD_TK_TO_MONOTONIC_SEC, &seconds);
	if (r == 0)
		r = guest_field(guest, keeper, FIELD_TK_TO_MONOTONIC_NSEC, &nanoseconds);
	if (r == 0)
		r = guest_field(guest, keeper, FIELD_TK_KTIME_SEC, &monotonic);
	if (r == 0)
		r = guest_field(guest, keeper, FIELD_TK_OFFS_BOOT, &suspended);
	if (r < 0)
		return r;
	if (-seconds > UINT32_MAX * UINT64_C(4) || nanoseconds >= UINT64_C(1000000000) ||
	    monotonic > UINT32_MAX)
		return -ENOENT;
	*ret_boot_usec = -seconds * USEC_PER_SEC - nanoseconds / 1000 - suspended / 1000;
	if (ret_uptime_nsec)
		*ret_uptime_nsec = monotonic * UINT64_C(1000000000) + suspended;
	return 0;
}
