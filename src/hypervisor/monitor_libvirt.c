/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor by libvirt, whose calls have no deadline: each runs in a thread of its own, which is
 * left alone when it does not return in time and then cleans up by itself.
 */
#include <errno.h>
#include <libvirt/libvirt-qemu.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "hypervisor/hypervisor.h"
#include "hypervisor/monitor.h"
#include "hypervisor/monitor_link.h"
#include "hypervisor/procfs.h"

/* Held by the link and by each call under way. */
struct session {
	atomic_int holders;
	char *uri, *name;
	virConnectPtr connection;
	virDomainPtr domain;
	struct vm_uuid uuid;
};

struct answer {
	char *text;
	struct monitor_run run;
};

/* Freed by the thread if it was given up, else by who waits for it. */
struct call {
	struct session *session;
	void (*work)(struct call *call);
	char *command;
	struct answer answer;
	struct error problem; /* code 0: it succeeded */
	pthread_mutex_t lock;
	pthread_cond_t ended;
	bool is_done, is_given_up;
};

struct libvirt_link {
	struct monitor_link link;
	struct session *session;
	int64_t timeout_usec;
};

static struct session *session_unref(struct session *session)
{
	if (!session || atomic_fetch_sub(&session->holders, 1) > 1)
		return NULL;
	if (session->domain)
		(void)virDomainFree(session->domain);
	if (session->connection)
		(void)virConnectClose(session->connection);
	free(session->uri);
	free(session->name);
	free(session);
	return NULL;
}

static struct session *session_new(const char *uri, const char *name)
{
	struct session *session = calloc(1, sizeof(*session));

	if (!session)
		return NULL;
	atomic_init(&session->holders, 1);
	session->uri = uri ? strdup(uri) : NULL;
	session->name = strdup(name);
	return session->name && (session->uri || !uri) ? session : session_unref(session);
}

/* A call and its thread */

static void call_free(struct call *call)
{
	(void)session_unref(call->session);
	(void)pthread_mutex_destroy(&call->lock);
	(void)pthread_cond_destroy(&call->ended);
	free(call->command);
	free(call->answer.text);
	free(call);
}

static struct call *call_new(struct session *session, void (*work)(struct call *call),
			     const char *command)
{
	struct call *call = calloc(1, sizeof(*call));
	pthread_condattr_t attributes;

	if (!call)
		return NULL;
	(void)pthread_mutex_init(&call->lock, NULL); /* these cannot fail on Linux */
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&call->ended, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	call->work = work;
	call->session = session;
	atomic_fetch_add(&session->holders, 1);
	call->command = command ? strdup(command) : NULL;
	if (!command || call->command)
		return call;
	call_free(call);
	return NULL;
}

static void *run_call(void *argument)
{
	struct call *call = argument;
	bool is_given_up;

	call->work(call);
	(void)pthread_mutex_lock(&call->lock);
	call->is_done = true;
	is_given_up = call->is_given_up;
	(void)pthread_cond_signal(&call->ended);
	(void)pthread_mutex_unlock(&call->lock);
	if (is_given_up)
		call_free(call);
	return NULL;
}

static int start_thread(struct call *call)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int r;

	(void)pthread_attr_init(&attributes); /* these cannot fail on Linux */
	(void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	r = pthread_create(&thread, &attributes, run_call, call);
	(void)pthread_attr_destroy(&attributes);
	return -r;
}

static bool await(struct call *call, int64_t timeout_usec)
{
	int64_t deadline_usec = clock_mono_usec() + timeout_usec;
	struct timespec deadline = {.tv_sec = deadline_usec / USEC_PER_SEC,
				    .tv_nsec = deadline_usec % USEC_PER_SEC * 1000};
	bool is_done;
	int r = 0;

	(void)pthread_mutex_lock(&call->lock);
	while (!call->is_done && r == 0)
		r = pthread_cond_timedwait(&call->ended, &call->lock, &deadline);
	is_done = call->is_done;
	call->is_given_up = !is_done;
	(void)pthread_mutex_unlock(&call->lock);
	return is_done;
}

/* Takes the call (NULL: memory was out). On success its answer goes to ret_answer, the text owned,
 * where that is not NULL. */
static int finish(struct call *call, int64_t timeout_usec, struct answer *ret_answer,
		  struct error *err)
{
	int r = call ? start_thread(call) : -ENOMEM;

	if (r < 0) {
		if (call)
			call_free(call);
		return error_set_errno(err, r, "a thread for libvirt");
	}
	if (!await(call, timeout_usec))
		return error_set(err, -ETIME, "libvirt has not answered within %.1f s",
				 (double)timeout_usec / (double)USEC_PER_SEC);
	r = call->problem.code;
	if (r < 0)
		(void)error_set(err, r, "%s", call->problem.text);
	if (r == 0 && ret_answer) {
		*ret_answer = call->answer;
		call->answer.text = NULL;
	}
	call_free(call);
	return r;
}

/* What runs in the thread */

static void note_problem(struct call *call, const char *what)
{
	static const struct {
		int libvirt, code;
	} codes[] = {{VIR_ERR_NO_DOMAIN, -ENOENT},
		     {VIR_ERR_NO_SUPPORT, -ENOTSUP},
		     {VIR_ERR_OPERATION_INVALID, -ESRCH},
		     {VIR_ERR_OPERATION_TIMEOUT, -ETIME}};
	const virError *problem = virGetLastError();
	int code = -EIO;

	for (size_t i = 0; problem && i < sizeof(codes) / sizeof(codes[0]); i++)
		if (problem->code == codes[i].libvirt)
			code = codes[i].code;
	(void)error_set(&call->problem, code, "%s: %s", what,
			problem && problem->message ? problem->message : "no reason given");
}

static virDomainPtr find_domain(const struct session *session)
{
	struct vm_uuid uuid;
	virDomainPtr domain = NULL;

	if (vm_uuid_parse(session->name, &uuid) == 0)
		domain = virDomainLookupByUUID(session->connection, uuid.bytes);
	return domain ? domain : virDomainLookupByName(session->connection, session->name);
}

static void connect_domain(struct call *call)
{
	struct session *session = call->session;

	session->connection = virConnectOpen(session->uri);
	if (!session->connection) {
		note_problem(call, "connecting to libvirt");
		return;
	}
	session->domain = find_domain(session);
	if (!session->domain || virDomainGetUUID(session->domain, session->uuid.bytes) < 0)
		note_problem(call, session->name);
}

static void ask_domain(struct call *call)
{
	if (virDomainQemuMonitorCommand(call->session->domain, call->command, &call->answer.text,
					0) < 0)
		note_problem(call, "monitor");
}

static void describe_pause(int reason, struct monitor_run *run)
{
	static const struct {
		const char *status;
		bool is_busy;
	} reasons[] = {
		[VIR_DOMAIN_PAUSED_UNKNOWN] = {"paused", false},
		[VIR_DOMAIN_PAUSED_USER] = {"paused", false},
		[VIR_DOMAIN_PAUSED_MIGRATION] = {"migration", true},
		[VIR_DOMAIN_PAUSED_SAVE] = {"save", true},
		[VIR_DOMAIN_PAUSED_DUMP] = {"dump", true},
		[VIR_DOMAIN_PAUSED_IOERROR] = {"io-error", false},
		[VIR_DOMAIN_PAUSED_WATCHDOG] = {"watchdog", false},
		[VIR_DOMAIN_PAUSED_FROM_SNAPSHOT] = {"restored", false},
		[VIR_DOMAIN_PAUSED_SHUTTING_DOWN] = {"shutdown", true},
		[VIR_DOMAIN_PAUSED_SNAPSHOT] = {"snapshot", true},
		[VIR_DOMAIN_PAUSED_CRASHED] = {"guest-panicked", true},
		[VIR_DOMAIN_PAUSED_STARTING_UP] = {"prelaunch", true},
		[VIR_DOMAIN_PAUSED_POSTCOPY] = {"postcopy", true},
	};
	bool is_known = reason >= 0 && (size_t)reason < sizeof(reasons) / sizeof(reasons[0]);

	run->is_passing = reason == VIR_DOMAIN_PAUSED_UNKNOWN;
	run->is_ordered = reason == VIR_DOMAIN_PAUSED_USER;
	run->is_busy = !is_known || reasons[reason].is_busy;
	(void)snprintf(run->status, sizeof(run->status), "%s",
		       is_known ? reasons[reason].status : "paused for another reason");
}

static void ask_domain_state(struct call *call)
{
	struct monitor_run *run = &call->answer.run;
	int state, reason;

	if (virDomainGetState(call->session->domain, &state, &reason, 0) < 0) {
		note_problem(call, "the domain's state");
		return;
	}
	run->running = state == VIR_DOMAIN_RUNNING || state == VIR_DOMAIN_BLOCKED;
	if (state == VIR_DOMAIN_PAUSED) {
		describe_pause(reason, run);
		return;
	}
	run->is_busy = !run->running;
	(void)snprintf(run->status, sizeof(run->status), "%s",
		       run->running                      ? "running"
		       : state == VIR_DOMAIN_PMSUSPENDED ? "suspended"
							 : "shutdown");
}

static void suspend_domain(struct call *call)
{
	if (virDomainSuspend(call->session->domain) < 0)
		note_problem(call, "pausing the domain");
}

static void resume_domain(struct call *call)
{
	if (virDomainResume(call->session->domain) < 0)
		note_problem(call, "resuming the domain");
}

/* The link */

static int execute(struct monitor_link *base, json_t *request, json_t **ret_answer,
		   struct error *err)
{
	struct libvirt_link *link = (struct libvirt_link *)base;
	cleanup(free) char *command = json_dumps(request, JSON_COMPACT), *text = NULL;
	struct answer answer = {0};
	int r;

	if (!command)
		return error_set_errno(err, -ENOMEM, "a command");
	r = finish(call_new(link->session, ask_domain, command), link->timeout_usec, &answer, err);
	if (r < 0)
		return r;
	text = answer.text;
	if (!text || strlen(text) > MONITOR_ANSWER_SIZE_MAX)
		return error_set(err, -EMSGSIZE, "an answer of more than %d bytes",
				 MONITOR_ANSWER_SIZE_MAX);
	return monitor_link_parse(text, strlen(text), ret_answer, err);
}

static int find_pid(struct monitor_link *base, pid_t *ret_pid, struct error *err)
{
	const struct libvirt_link *link = (const struct libvirt_link *)base;
	cleanup(free) struct qemu_process *process = malloc(sizeof(*process));
	cleanup(free) pid_t *pids = calloc(HYPERVISOR_VMS_MAX, sizeof(*pids));
	int count = pids && process ? procfs_list(pids, HYPERVISOR_VMS_MAX) : -ENOMEM;

	if (count < 0)
		return error_set_errno(err, count, "the processes");
	for (int i = 0; i < count; i++) {
		if (!procfs_examine(pids[i], process) ||
		    !vm_uuid_equal(&process->uuid, &link->session->uuid))
			continue;
		*ret_pid = pids[i];
		return 0;
	}
	return error_set(err, -ESRCH, "%s: no process of this host carries the domain's UUID",
			 link->session->name);
}

static int ask_run(struct monitor_link *base, struct monitor_run *ret_run, struct error *err)
{
	const struct libvirt_link *link = (const struct libvirt_link *)base;
	struct answer answer = {0};
	int r = finish(call_new(link->session, ask_domain_state, NULL), link->timeout_usec, &answer,
		       err);

	if (r == 0)
		*ret_run = answer.run;
	return r;
}

static int set_run(struct monitor_link *base, bool run, struct error *err)
{
	const struct libvirt_link *link = (const struct libvirt_link *)base;

	return finish(call_new(link->session, run ? resume_domain : suspend_domain, NULL),
		      link->timeout_usec, NULL, err);
}

static void close_link(struct monitor_link *base)
{
	struct libvirt_link *link = (struct libvirt_link *)base;

	(void)session_unref(link->session);
	free(link);
}

static const struct monitor_link_ops ops = {execute, find_pid, close_link, ask_run, set_run};

/* libvirt prints errors on stderr by itself unless told otherwise. */
static void keep_quiet(void *userdata, virErrorPtr error)
{
}

int monitor_link_open_libvirt(const char *uri, const char *domain, int64_t timeout_usec,
			      struct monitor_link **ret_link, struct error *err)
{
	struct libvirt_link *link = calloc(1, sizeof(*link));
	int r;

	if (link)
		*link = (struct libvirt_link){.link = {&ops}, .timeout_usec = timeout_usec};
	if (!link || virInitialize() < 0 || !(link->session = session_new(uri, domain))) {
		free(link);
		return error_set_errno(err, -ENOMEM, "libvirt's client library");
	}
	virSetErrorFunc(NULL, keep_quiet);
	r = finish(call_new(link->session, connect_domain, NULL), timeout_usec, NULL, err);
	if (r < 0) {
		close_link(&link->link);
		return r;
	}
	*ret_link = &link->link;
	return 0;
}
