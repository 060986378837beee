/* SPDX-License-Identifier: Apache-2.0 */
#include "node/introspector.h"

#include <assert.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/utf8.h"

enum {
	ARGUMENTS_MAX = 11, /* with the NULL */
	VIEWS_SIZE = WIRE_VIEWS_MAX * 16,
	COMPLAINT_SIZE = 4096,
	READ_SIZE = 65536,
	KILL_MSEC = 1000,
	DRAIN_MSEC = 500, /* after its end: a process of its own may hold the pipes for longer */
};

/* The least that atom-vmi's options take. */
#define BUDGET_USEC_MIN (10 * USEC_PER_MSEC)
#define INTERVAL_USEC_MIN (50 * USEC_PER_MSEC)
#define INTERVAL_USEC_DEFAULT USEC_PER_SEC

struct job;

struct introspector {
	uv_loop_t *loop;
	char *program, *uri;
	int64_t patience_msec;
	const struct policy *policy;
	introspector_answer *answer;
	void *userdata;
	struct job *running[INTROSPECTOR_RUNNING_MAX];
	struct job *waiting[INTROSPECTOR_WAITING_MAX]; /* the oldest first */
	size_t running_count, waiting_count;
};

/* Why there is no report whatever the program says; the first thing counts. */
enum trouble { TROUBLE_NONE, TROUBLE_START, TROUBLE_LATE, TROUBLE_LARGE, TROUBLE_MEMORY };

/* One request, from introspector_ask() to the last close callback. */
struct job {
	struct introspector *owner; /* NULL: let go of, nobody waits for the answer */
	uint64_t request;
	char vm[VM_UUID_TEXT_SIZE], views[VIEWS_SIZE];
	int64_t budget_usec, interval_usec;

	uv_process_t process;
	uv_pipe_t out, err;
	uv_timer_t timer; /* the deadline, then the kill or the drain */
	unsigned open;    /* handles that are not closed yet */
	bool exited, out_ended, err_ended;
	int64_t exit_status;
	int signal, spawn_error;
	enum trouble trouble;

	uint8_t *report; /* grows up to INTROSPECTOR_REPORT_SIZE_MAX */
	size_t report_size, report_room;
	char complaint[COMPLAINT_SIZE]; /* the end of what it said on stderr */
	size_t complaint_size;
};

/* Texts for people */

/* Any bytes as text that the wire takes: "?" is what cannot be shown. `bytes` end with a NUL at
 * `size`, ret_text has WIRE_NAME_MAX + 1. */
static void make_printable(const char *bytes, size_t size, char *ret_text)
{
	size_t used = 0;

	for (size_t i = 0, step; i < size; i += step) {
		size_t length = utf8_printable_length(bytes + i);

		step = length ? length : 1;
		if (used + step > WIRE_NAME_MAX)
			break;
		memcpy(ret_text + used, length ? bytes + i : "?", step);
		used += step;
	}
	ret_text[used] = '\0';
}

/* The last line on stderr that is not empty. False: there is none. */
static bool last_line(const struct job *job, char *ret_text)
{
	char line[COMPLAINT_SIZE + 1];
	size_t end = job->complaint_size, start;

	while (end > 0 && (unsigned char)job->complaint[end - 1] <= ' ')
		end--;
	for (start = end; start > 0 && job->complaint[start - 1] != '\n';)
		start--;
	memcpy(line, job->complaint + start, end - start);
	line[end - start] = '\0';
	make_printable(line, end - start, ret_text);
	return end > start;
}

static const char *program_name(const struct introspector *introspector)
{
	const char *slash = strrchr(introspector->program, '/');

	return slash ? slash + 1 : introspector->program;
}

/* Answers */

static void answer(const struct introspector *introspector, const struct wire_findings *findings)
{
	static const char *const states[] = {"done", "refused", "failed"};

	log_info("request %llu is %s%s%s", (unsigned long long)findings->request,
		 states[findings->status], *findings->reason ? ": " : "", findings->reason);
	introspector->answer(introspector->userdata, findings);
}

/* Without a report. */
__attribute__((format(printf, 4, 5))) static void decline(const struct introspector *introspector,
							  uint64_t request,
							  enum wire_findings_status status,
							  const char *format, ...)
{
	char text[1024], reason[WIRE_NAME_MAX + 1];
	struct wire_findings findings = {.request = request, .status = status, .reason = reason};
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	make_printable(text, strlen(text), reason);
	answer(introspector, &findings);
}

static void decline_trouble(const struct introspector *introspector, const struct job *job)
{
	const char *name = program_name(introspector);

	switch (job->trouble) {
	case TROUBLE_START:
		decline(introspector, job->request, WIRE_FINDINGS_FAILED,
			"%s cannot be started: %s", name, uv_strerror(job->spawn_error));
		break;
	case TROUBLE_LATE:
		decline(introspector, job->request, WIRE_FINDINGS_FAILED,
			"%s had not ended when its time was over", name);
		break;
	case TROUBLE_LARGE:
		decline(introspector, job->request, WIRE_FINDINGS_FAILED,
			"the report is larger than %d bytes: ask for fewer views",
			INTROSPECTOR_REPORT_SIZE_MAX);
		break;
	case TROUBLE_MEMORY:
	case TROUBLE_NONE:
		decline(introspector, job->request, WIRE_FINDINGS_FAILED, "out of memory");
		break;
	}
}

/* By what the program has left behind. Status 1 with a report is that not all of it went well. */
static void answer_job(const struct introspector *introspector, struct job *job)
{
	char reason[WIRE_NAME_MAX + 1] = "";
	struct wire_findings findings = {.request = job->request,
					 .status = WIRE_FINDINGS_DONE,
					 .reason = reason,
					 .report = job->report,
					 .report_size = job->report_size};
	bool has_line = last_line(job, reason), is_done = job->exit_status == 0;

	if (job->trouble != TROUBLE_NONE) {
		decline_trouble(introspector, job);
	} else if (job->signal) {
		decline(introspector, job->request, WIRE_FINDINGS_FAILED,
			"%s was ended by signal %d", program_name(introspector), job->signal);
	} else if (job->report_size > 0 && (is_done || job->exit_status == 1)) {
		if (is_done)
			reason[0] = '\0';
		else if (!has_line)
			(void)snprintf(reason, sizeof(reason), "not every view could be read");
		answer(introspector, &findings);
	} else if (has_line) {
		decline(introspector, job->request, WIRE_FINDINGS_FAILED, "%s", reason);
	} else {
		decline(introspector, job->request, WIRE_FINDINGS_FAILED,
			"%s gave no report and no reason, exit status %d",
			program_name(introspector), (int)job->exit_status);
	}
}

/* The end of a job */

static void free_job(struct job *job)
{
	free(job->report);
	free(job);
}

static void on_closed(uv_handle_t *handle)
{
	struct job *job = handle->data;

	if (--job->open == 0)
		free_job(job);
}

/* The job lives until its handles are closed. */
static void close_job(struct job *job)
{
	uv_close((uv_handle_t *)&job->process, on_closed);
	uv_close((uv_handle_t *)&job->out, on_closed);
	uv_close((uv_handle_t *)&job->err, on_closed);
	uv_close((uv_handle_t *)&job->timer, on_closed);
}

static void leave(struct introspector *introspector, const struct job *job)
{
	size_t i = 0;

	while (introspector->running[i] != job)
		i++;
	introspector->running[i] = introspector->running[--introspector->running_count];
}

static void start_waiting(struct introspector *introspector);

static void finish(struct job *job)
{
	struct introspector *introspector = job->owner;

	close_job(job);
	if (!introspector)
		return;
	leave(introspector, job);
	answer_job(introspector, job);
	start_waiting(introspector);
}

/* All is there, or what is missing does not matter. */
static void finish_when_done(struct job *job)
{
	bool is_read = job->out_ended && job->err_ended;

	if (job->exited && (is_read || job->trouble != TROUBLE_NONE || !job->owner))
		finish(job);
}

static void on_drained(uv_timer_t *timer)
{
	finish(timer->data);
}

static void on_exited(uv_process_t *process, int64_t exit_status, int signal_number)
{
	struct job *job = process->data;

	job->exited = true;
	job->exit_status = exit_status;
	job->signal = signal_number;
	(void)uv_timer_start(&job->timer, on_drained, DRAIN_MSEC, 0);
	finish_when_done(job);
}

static void on_kill(uv_timer_t *timer)
{
	struct job *job = timer->data;

	(void)uv_process_kill(&job->process, SIGKILL); /* on_exited() follows */
}

/* Asks the program to end, and ends it a second later. Its own children see to themselves. */
static void end_program(struct job *job)
{
	(void)uv_process_kill(&job->process, SIGTERM); /* fails for one that has just ended */
	(void)uv_timer_start(&job->timer, on_kill, KILL_MSEC, 0);
}

static void fail(struct job *job, enum trouble trouble)
{
	if (job->trouble != TROUBLE_NONE)
		return;
	job->trouble = trouble;
	if (!job->exited)
		end_program(job);
}

static void on_deadline(uv_timer_t *timer)
{
	fail(timer->data, TROUBLE_LATE);
}

/* Reading */

static void on_report_room(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer)
{
	struct job *job = handle->data;
	/* the byte that is too much tells that there is more */
	size_t most = INTROSPECTOR_REPORT_SIZE_MAX + 1, room = 2 * job->report_room + READ_SIZE;

	*ret_buffer = uv_buf_init(NULL, 0);
	if (job->report_size == job->report_room) {
		uint8_t *report = realloc(job->report, room < most ? room : most);

		if (!report)
			return; /* on_report() is told UV_ENOBUFS */
		job->report = report;
		job->report_room = room < most ? room : most;
	}
	ret_buffer->base = (char *)job->report + job->report_size;
	ret_buffer->len = job->report_room - job->report_size;
}

static void on_report(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
	struct job *job = stream->data;

	if (size > 0)
		job->report_size += (size_t)size;
	if (size >= 0 && job->report_size <= INTROSPECTOR_REPORT_SIZE_MAX)
		return;
	(void)uv_read_stop(stream); /* cannot fail */
	job->out_ended = true;
	if (size != UV_EOF)
		fail(job, size > 0 ? TROUBLE_LARGE : TROUBLE_MEMORY);
	finish_when_done(job);
}

static void on_complaint_room(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer)
{
	struct job *job = handle->data;

	if (job->complaint_size == COMPLAINT_SIZE) {
		/* only its end is of interest */
		job->complaint_size = COMPLAINT_SIZE / 2;
		memcpy(job->complaint, job->complaint + COMPLAINT_SIZE / 2, COMPLAINT_SIZE / 2);
	}
	ret_buffer->base = job->complaint + job->complaint_size;
	ret_buffer->len = COMPLAINT_SIZE - job->complaint_size;
}

static void on_complaint(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
	struct job *job = stream->data;

	if (size > 0)
		job->complaint_size += (size_t)size;
	if (size >= 0)
		return;
	(void)uv_read_stop(stream);
	job->err_ended = true;
	finish_when_done(job);
}

/* Starting */

static int spawn(struct job *job, const char *const *arguments)
{
	uv_stdio_container_t stdio[] = {
		{.flags = UV_IGNORE}, /* /dev/null */
		{.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
		 .data.stream = (uv_stream_t *)&job->out},
		{.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
		 .data.stream = (uv_stream_t *)&job->err},
	};
	uv_process_options_t options = {
		.exit_cb = on_exited,
		.file = arguments[0],
		.args = (char **)arguments, /* only read */
		.stdio = stdio,
		.stdio_count = 3,
	};
	uv_loop_t *loop = job->owner->loop;

	(void)uv_timer_init(loop, &job->timer); /* these three cannot fail */
	(void)uv_pipe_init(loop, &job->out, 0);
	(void)uv_pipe_init(loop, &job->err, 0);
	job->process.data = job->out.data = job->err.data = job->timer.data = job;
	job->open = 4; /* the process too, whether or not it can be started */
	return uv_spawn(loop, &job->process, &options);
}

static int start_program(struct job *job)
{
	const struct introspector *introspector = job->owner;
	long long budget_msec = (job->budget_usec + USEC_PER_MSEC - 1) / USEC_PER_MSEC;
	char budget[24], interval[48];
	bool has_uri = *introspector->uri != '\0';
	const char *arguments[ARGUMENTS_MAX] = {
		introspector->program, job->views, job->vm,
		"--encoded",           "--budget", budget,
		"--interval",          interval,   has_uri ? "--connect" : NULL,
		introspector->uri};

	(void)snprintf(budget, sizeof(budget), "%lld", budget_msec);
	(void)snprintf(interval, sizeof(interval), "%lld.%06lld",
		       (long long)(job->interval_usec / USEC_PER_SEC),
		       (long long)(job->interval_usec % USEC_PER_SEC));
	return spawn(job, arguments);
}

/* A job whose program cannot be started is answered and gone. */
static void start(struct introspector *introspector, struct job *job)
{
	int64_t usec = job->budget_usec + job->interval_usec;
	int r = start_program(job);

	if (r < 0) {
		job->trouble = TROUBLE_START;
		job->spawn_error = r;
		close_job(job);
		answer_job(introspector, job);
		return;
	}
	introspector->running[introspector->running_count++] = job;
	uv_update_time(introspector->loop); /* starting it took a while */
	(void)uv_timer_start(&job->timer, on_deadline,
			     (uint64_t)(usec / USEC_PER_MSEC + introspector->patience_msec), 0);
	(void)uv_read_start((uv_stream_t *)&job->out, on_report_room, on_report);
	(void)uv_read_start((uv_stream_t *)&job->err, on_complaint_room, on_complaint);
}

static void start_waiting(struct introspector *introspector)
{
	while (introspector->running_count < INTROSPECTOR_RUNNING_MAX &&
	       introspector->waiting_count > 0) {
		struct job *job = introspector->waiting[0];

		introspector->waiting_count--;
		memmove(introspector->waiting, introspector->waiting + 1,
			introspector->waiting_count * sizeof(struct job *));
		start(introspector, job);
	}
}

/* Asking */

static bool is_known(struct job *const *jobs, size_t count, uint64_t request)
{
	for (size_t i = 0; i < count; i++)
		if (jobs[i]->request == request)
			return true;
	return false;
}

/* False: refused, and answered. */
static bool may_look(const struct introspector *introspector, const struct wire_introspect *request,
		     const struct policy_case *asked)
{
	if (!asked) {
		decline(introspector, request->request, WIRE_FINDINGS_REFUSED,
			"this node has no such VM");
		return false;
	}
	for (size_t i = 0; i < request->view_count; i++) {
		const char *view = request->views[i];

		if (policy_allows_view(introspector->policy, asked, view))
			continue;
		decline(introspector, request->request, WIRE_FINDINGS_REFUSED,
			policy_knows_view(view)
				? "this node's policy does not allow view '%.32s' of VM %s"
				: "this node knows no view '%.32s', asked for of VM %s",
			view, asked->vm);
		return false;
	}
	return true;
}

/* NULL when memory is out. */
static struct job *make_job(struct introspector *introspector,
			    const struct wire_introspect *request)
{
	struct job *job = calloc(1, sizeof(*job));
	size_t used = 0;

	if (!job)
		return NULL;
	job->owner = introspector;
	job->request = request->request;
	job->budget_usec =
		request->budget_usec > BUDGET_USEC_MIN ? request->budget_usec : BUDGET_USEC_MIN;
	job->interval_usec = request->interval_usec == 0                  ? INTERVAL_USEC_DEFAULT
			     : request->interval_usec > INTERVAL_USEC_MIN ? request->interval_usec
									  : INTERVAL_USEC_MIN;
	(void)vm_uuid_format(&request->vm, job->vm);
	for (size_t i = 0; i < request->view_count; i++)
		used += (size_t)snprintf(job->views + used, sizeof(job->views) - used, "%s%s",
					 i ? "," : "", request->views[i]);
	assert(used < sizeof(job->views)); /* the policy knows only short ones */
	return job;
}

void introspector_ask(struct introspector *introspector, const struct wire_introspect *request,
		      const struct policy_case *asked)
{
	struct job *job;

	if (is_known(introspector->running, introspector->running_count, request->request) ||
	    is_known(introspector->waiting, introspector->waiting_count, request->request)) {
		log_debug("request %llu is said again", (unsigned long long)request->request);
		return;
	}
	if (!may_look(introspector, request, asked))
		return;
	if (introspector->waiting_count == INTROSPECTOR_WAITING_MAX) {
		decline(introspector, request->request, WIRE_FINDINGS_FAILED, "too many requests");
		return;
	}
	job = make_job(introspector, request);
	if (!job) {
		decline(introspector, request->request, WIRE_FINDINGS_FAILED, "out of memory");
		return;
	}
	log_info("request %llu, alarm %lld: looking into VM %s for %s",
		 (unsigned long long)request->request, (long long)request->alarm, asked->vm,
		 job->views);
	introspector->waiting[introspector->waiting_count++] = job;
	start_waiting(introspector);
}

/* Life */

/* Returns owned, NULL when memory is out. */
static char *find_program(const char *name)
{
	static const char *const places[] = {"", "../vmi/"};
	char folder[PATH_MAX], path[PATH_MAX + NAME_MAX];
	ssize_t length = readlink("/proc/self/exe", folder, sizeof(folder) - 1);
	char *slash;

	if (strchr(name, '/') || length < 0)
		return strdup(name);
	folder[length] = '\0';
	slash = strrchr(folder, '/');
	for (size_t i = 0; slash && i < 2; i++) {
		int size = snprintf(path, sizeof(path), "%.*s/%s%s", (int)(slash - folder), folder,
				    places[i], name);

		if (size < (int)sizeof(path) && access(path, X_OK) == 0)
			return strdup(path);
	}
	return strdup(name);
}

struct introspector *introspector_new(uv_loop_t *loop, const struct introspector_options *options)
{
	struct introspector *introspector = calloc(1, sizeof(*introspector));

	if (!introspector)
		return NULL;
	*introspector = (struct introspector){
		.loop = loop,
		.program = find_program(options->program),
		.uri = strdup(options->uri),
		.patience_msec = options->patience_msec ? options->patience_msec
							: INTROSPECTOR_PATIENCE_MSEC,
		.policy = options->policy,
		.answer = options->answer,
		.userdata = options->userdata,
	};
	if (!introspector->program || !introspector->uri)
		return introspector_free(introspector);
	return introspector;
}

struct introspector *introspector_free(struct introspector *introspector)
{
	if (!introspector)
		return NULL;
	for (size_t i = 0; i < introspector->waiting_count; i++)
		free_job(introspector->waiting[i]);
	for (size_t i = 0; i < introspector->running_count; i++) {
		struct job *job = introspector->running[i];

		job->owner = NULL;
		if (job->exited)
			close_job(job);
		else
			end_program(job);
	}
	free(introspector->program);
	free(introspector->uri);
	free(introspector);
	return NULL;
}
