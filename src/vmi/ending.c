/* SPDX-License-Identifier: Apache-2.0 */
/* The child's part of ending a process: the order, the host at the other end of the line, the
 * report. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "introspect/end.h"
#include "vmi/child.h"
#include "vmi/frame.h"

static int host_pause(void *userdata, struct error *err)
{
	return session_pause(userdata, err);
}

static int host_resume(void *userdata, struct error *err)
{
	return session_resume(userdata, err);
}

static int host_call(void *userdata, const struct end_call *call, uint64_t *ret_result,
		     struct error *err)
{
	const uint64_t numbers[] = {call->breakpoint,   call->function,     call->return_to,
				    call->arguments[0], call->arguments[1], call->arguments[2]};
	struct session *session = userdata;
	uint8_t answer[FRAME_ANSWER_MAX];
	size_t size;
	int r = session_ask(session, FRAME_CALL, numbers, sizeof(numbers), answer, &size, err);

	if (r < 0)
		return r;
	if (size != sizeof(*ret_result))
		return error_set(err, -EPROTO, "the parent answered a call with %zu bytes", size);
	memcpy(ret_result, answer, sizeof(*ret_result));
	return 0;
}

/* We have the memory to read only: the parent checks a write and makes it. */
static int write_by_parent(void *userdata, uint64_t gpa, uint64_t before, uint64_t after,
			   size_t size)
{
	const uint64_t numbers[] = {gpa, before, after, size};

	return session_ask(userdata, FRAME_WRITE, numbers, sizeof(numbers), NULL, NULL, NULL);
}

static const char *outcome_name(enum end_outcome outcome)
{
	static const char *const names[] = {[END_REFUSED] = "refused",
					    [END_DRY] = "dry run",
					    [END_DEAD] = "dead",
					    [END_ARMED] = "armed"};

	return names[outcome];
}

static void put_result(struct session *session, const struct end_order *order,
		       const struct end_result *result)
{
	static const struct report_column columns[] = {
		{"outcome", REPORT_TEXT},
		{"reason", REPORT_TEXT},
		{"pid", REPORT_COUNT},
		{"command", REPORT_TEXT},
		{"uid", REPORT_COUNT},
		{"start_nsec", REPORT_COUNT},
		{"method", REPORT_TEXT},
		{"threads", REPORT_COUNT},
		{"wakeups", REPORT_COUNT},
		{"took", REPORT_NSEC},
		{"keeps_reference", REPORT_FLAG},
	};
	struct report *report = session->report;

	report_table(report, "end", columns, sizeof(columns) / sizeof(columns[0]), false);
	report_text(report, outcome_name(result->outcome));
	report_text(report, result->reason[0] ? result->reason : NULL);
	report_number(report, order->pid);
	if (result->task.address) {
		report_text(report, result->task.comm);
		report_number(report, result->task.uid);
		report_number(report, result->task.start_nsec);
	} else {
		report_unknown(report);
		report_unknown(report);
		report_unknown(report);
	}
	report_text(report, order->method == END_BY_CALL ? "call" : "memory");
	report_number(report, result->threads);
	report_number(report, result->wakeups);
	report_number(report, (uint64_t)result->took_usec * 1000);
	report_number(report, result->keeps_reference);
	if (result->keeps_reference)
		report_note(report,
			    "the process was gone before its reference was given back: the "
			    "guest keeps a structure of it (some KiB at most) until it reboots");
}

static void put_writes(struct session *session)
{
	static const struct report_column columns[] = {
		{"what", REPORT_TEXT},      {"address", REPORT_ADDRESS}, {"size", REPORT_COUNT},
		{"before", REPORT_ADDRESS}, {"after", REPORT_ADDRESS},
	};
	size_t count;
	const struct memory_change *changes = memory_changes(session->guest.memory, &count);

	report_table(session->report, "writes", columns, sizeof(columns) / sizeof(columns[0]),
		     true);
	for (size_t i = 0; i < count; i++) {
		report_text(session->report, changes[i].what);
		report_number(session->report, changes[i].gpa);
		report_number(session->report, changes[i].size);
		report_number(session->report, changes[i].before);
		report_number(session->report, changes[i].after);
	}
}

int child_end_process(const struct job *job, struct session *session, struct error *err)
{
	const struct end_host host = {host_pause, host_resume, host_call, session};
	struct end_result result;
	struct memory *memory = session->guest.memory;
	int r;

	memory_set_writer(memory, write_by_parent, session);
	memory_allow_writes(memory, job->end.dry_run ? MEMORY_WRITES_DRY : MEMORY_WRITES_REAL);
	memory_set_deadline(memory,
			    clock_mono_usec() + job->order.budget_usec + job->end.wait_usec);
	r = end_process(&session->guest, &job->end, &host, &result, err);
	if (r < 0 && result.outcome != END_REFUSED)
		report_note(session->report, "not all went well: %s", error_text(err, r));
	else if (r < 0)
		return r;
	put_result(session, &job->end, &result);
	put_writes(session);
	return 0;
}
