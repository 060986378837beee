/* SPDX-License-Identifier: Apache-2.0 */
#include "node/introspector.h"

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "node/program.h"

enum {
	ARGUMENTS_MAX = 11, /* with the NULL */
	VIEWS_SIZE = WIRE_VIEWS_MAX * 16,
};

/* The least that atom-vmi's options take. */
#define BUDGET_USEC_MIN (10 * USEC_PER_MSEC)
#define INTERVAL_USEC_MIN (50 * USEC_PER_MSEC)
#define INTERVAL_USEC_DEFAULT USEC_PER_SEC

struct job;

struct introspector {
	uv_loop_t *loop;
	char *program, *uri;
	int64_t patience_usec;
	const struct policy *policy;
	introspector_answer *answer;
	void *userdata;
	struct job *running[INTROSPECTOR_RUNNING_MAX];
	struct job *waiting[INTROSPECTOR_WAITING_MAX]; /* the oldest first */
	size_t running_count, waiting_count;
};

/* One request, from introspector_ask() to its answer. */
struct job {
	struct introspector *owner;
	uint64_t request;
	char vm[VM_UUID_TEXT_SIZE], views[VIEWS_SIZE];
	int64_t budget_usec, interval_usec;
	struct program_run *run; /* NULL while it waits */
};

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
	wire_make_text(text, strlen(text), reason);
	answer(introspector, &findings);
}

static void decline_trouble(const struct introspector *introspector, const struct job *job,
			    enum program_trouble trouble)
{
	switch (trouble) {
	case PROGRAM_LATE:
		decline(introspector, job->request, WIRE_FINDINGS_FAILED,
			"%s had not ended when its time was over",
			program_name(introspector->program));
		break;
	case PROGRAM_TOO_LARGE:
		decline(introspector, job->request, WIRE_FINDINGS_FAILED,
			"the report is larger than %d bytes: ask for fewer views",
			INTROSPECTOR_REPORT_SIZE_MAX);
		break;
	case PROGRAM_NO_MEMORY:
	case PROGRAM_NO_TROUBLE:
		decline(introspector, job->request, WIRE_FINDINGS_FAILED, "out of memory");
		break;
	}
}

/* By what the program has left behind. Status 1 with a report is that not all of it went well. */
static void answer_job(const struct introspector *introspector, const struct job *job,
		       const struct program_result *result)
{
	const char *name = program_name(introspector->program), *complaint = result->complaint;
	bool is_done = result->exit_status == 0;
	struct wire_findings findings = {.request = job->request,
					 .status = WIRE_FINDINGS_DONE,
					 .reason = (char *)complaint, /* only read */
					 .report = result->output,
					 .report_size = result->output_size};

	if (result->trouble != PROGRAM_NO_TROUBLE) {
		decline_trouble(introspector, job, result->trouble);
	} else if (result->signal) {
		decline(introspector, job->request, WIRE_FINDINGS_FAILED,
			"%s was ended by signal %d", name, result->signal);
	} else if (result->output_size > 0 && (is_done || result->exit_status == 1)) {
		if (is_done)
			findings.reason = "";
		else if (!*complaint)
			findings.reason = "not every view could be read";
		answer(introspector, &findings);
	} else if (*complaint) {
		decline(introspector, job->request, WIRE_FINDINGS_FAILED, "%s", complaint);
	} else {
		decline(introspector, job->request, WIRE_FINDINGS_FAILED,
			"%s gave no report and no reason, exit status %d", name,
			(int)result->exit_status);
	}
}

/* The end of a job */

static void leave(struct introspector *introspector, const struct job *job)
{
	size_t i = 0;

	while (introspector->running[i] != job)
		i++;
	introspector->running[i] = introspector->running[--introspector->running_count];
}

static void start_waiting(struct introspector *introspector);

static void on_ended(void *userdata, const struct program_result *result)
{
	struct job *job = userdata;
	struct introspector *introspector = job->owner;

	leave(introspector, job);
	answer_job(introspector, job, result);
	free(job);
	start_waiting(introspector);
}

/* Starting */

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
	struct program_options options = {.arguments = arguments,
					  .output_max = INTROSPECTOR_REPORT_SIZE_MAX,
					  .timeout_usec = introspector->patience_usec,
					  .ended = on_ended,
					  .userdata = job};

	(void)snprintf(budget, sizeof(budget), "%lld", budget_msec);
	(void)snprintf(interval, sizeof(interval), "%lld.%06lld",
		       (long long)(job->interval_usec / USEC_PER_SEC),
		       (long long)(job->interval_usec % USEC_PER_SEC));
	options.timeout_usec += job->budget_usec + job->interval_usec;
	return program_run_new(introspector->loop, &options, &job->run);
}

/* A job whose program cannot be started is answered and gone. */
static void start(struct introspector *introspector, struct job *job)
{
	int r = start_program(job);

	if (r == 0) {
		introspector->running[introspector->running_count++] = job;
		return;
	}
	decline(introspector, job->request, WIRE_FINDINGS_FAILED, "%s cannot be started: %s",
		program_name(introspector->program), uv_strerror(r));
	free(job);
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

struct introspector *introspector_new(uv_loop_t *loop, const struct introspector_options *options)
{
	struct introspector *introspector = calloc(1, sizeof(*introspector));

	if (!introspector)
		return NULL;
	*introspector = (struct introspector){
		.loop = loop,
		.program = program_find(options->program),
		.uri = strdup(options->uri),
		.patience_usec =
			USEC_PER_MSEC * (options->patience_msec ? options->patience_msec
								: INTROSPECTOR_PATIENCE_MSEC),
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
		free(introspector->waiting[i]);
	for (size_t i = 0; i < introspector->running_count; i++) {
		program_run_free(introspector->running[i]->run);
		free(introspector->running[i]);
	}
	free(introspector->program);
	free(introspector->uri);
	free(introspector);
	return NULL;
}
