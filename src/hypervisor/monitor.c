/* SPDX-License-Identifier: Apache-2.0 */
#include "hypervisor/monitor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "hypervisor/monitor_link.h"

struct monitor {
	struct monitor_link *link;
};

DEFINE_CLEANUP(json_t *, json_decref)

int monitor_open_link(struct monitor_link *link, struct monitor **ret_monitor, struct error *err)
{
	struct monitor *monitor = calloc(1, sizeof(*monitor));

	if (!monitor) {
		link->ops->close(link);
		return error_set_errno(err, -ENOMEM, "monitor");
	}
	monitor->link = link;
	*ret_monitor = monitor;
	return 0;
}

int monitor_open_qmp(const char *path, pid_t pid, struct monitor **ret_monitor, struct error *err)
{
	struct monitor_link *link;
	int r = monitor_link_open_qmp(path, pid, MONITOR_TIMEOUT_USEC, &link, err);

	return r < 0 ? r : monitor_open_link(link, ret_monitor, err);
}

int monitor_open_libvirt(const char *uri, const char *domain, struct monitor **ret_monitor,
			 struct error *err)
{
	struct monitor_link *link;
	int r = monitor_link_open_libvirt(uri, domain, MONITOR_TIMEOUT_USEC, &link, err);

	return r < 0 ? r : monitor_open_link(link, ret_monitor, err);
}

struct monitor *monitor_free(struct monitor *monitor)
{
	if (!monitor)
		return NULL;
	monitor->link->ops->close(monitor->link);
	free(monitor);
	return NULL;
}

/* Takes `arguments` (NULL: none). Returns what the command returned, owned. A refusal by QEMU is
 * -EIO with its words. */
static int execute(struct monitor *monitor, const char *command, json_t *arguments,
		   json_t **ret_result, struct error *err)
{
	cleanup(json_decref) json_t *request =
		json_pack("{s:s, s:o*}", "execute", command, "arguments", arguments);
	cleanup(json_decref) json_t *answer = NULL;
	const json_t *refusal;
	const char *words;
	json_t *result;
	int r;

	if (!request)
		return error_set_errno(err, -ENOMEM, "%s", command);
	r = monitor->link->ops->execute(monitor->link, request, &answer, err);
	if (r < 0)
		return error_prefix(err, r, "%s", command);
	refusal = json_object_get(answer, "error");
	words = json_string_value(json_object_get(refusal, "desc"));
	if (refusal)
		return error_set(err, -EIO, "%s: QEMU refuses: %s", command,
				 words ? words : "for no reason that it gives");
	result = json_object_get(answer, "return");
	if (!result)
		return error_set(err, -EPROTO, "%s: an answer without a result", command);
	*ret_result = json_incref(result);
	return 0;
}

/* The human monitor ends its lines as terminals want them. */
static void drop_carriage_returns(char *text)
{
	char *to = text;

	for (const char *from = text; *from; from++)
		if (*from != '\r')
			*to++ = *from;
	*to = '\0';
}

int monitor_human(struct monitor *monitor, const char *command, char **ret_text, struct error *err)
{
	cleanup(json_decref) json_t *result = NULL;
	json_t *arguments = json_pack("{s:s}", "command-line", command);
	char *text;
	int r;

	if (!arguments)
		return error_set(err, -EINVAL, "a monitor command that is no UTF-8");
	r = execute(monitor, "human-monitor-command", arguments, &result, err);
	if (r < 0)
		return error_prefix(err, r, "%s", command);
	if (!json_is_string(result))
		return error_set(err, -EPROTO, "%s: the answer is no text", command);
	text = strdup(json_string_value(result));
	if (!text)
		return error_set_errno(err, -ENOMEM, "%s", command);
	drop_carriage_returns(text);
	*ret_text = text;
	return 0;
}

static int query_status(struct monitor *monitor, struct monitor_state *ret_state, struct error *err)
{
	cleanup(json_decref) json_t *result = NULL;
	const json_t *running;
	const char *status;
	int r = execute(monitor, "query-status", NULL, &result, err);

	if (r < 0)
		return r;
	running = json_object_get(result, "running");
	status = json_string_value(json_object_get(result, "status"));
	if (!json_is_boolean(running) || !status)
		return error_set(err, -EPROTO, "query-status: an answer without the status");
	*ret_state = (struct monitor_state){.running = json_is_true(running)};
	(void)snprintf(ret_state->status, sizeof(ret_state->status), "%s", status);
	return 0;
}

/* The "status" of the answer into text, "" where there is none: nothing of the kind ever ran. */
static int query_word(struct monitor *monitor, const char *command, char *text, size_t size,
		      struct error *err)
{
	cleanup(json_decref) json_t *result = NULL;
	const char *status;
	int r = execute(monitor, command, NULL, &result, err);

	if (r < 0)
		return r;
	status = json_string_value(json_object_get(result, "status"));
	(void)snprintf(text, size, "%s", status ? status : "");
	return 0;
}

static bool is_among(const char *word, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(word, words[i]) == 0)
			return true;
	return false;
}

#define IS_AMONG(word, words) is_among(word, words, sizeof(words) / sizeof((words)[0]))

/* What is written into memory now may be lost, or reach only one of two copies. A word of a later
 * QEMU counts as work in progress. */
static bool memory_moves(const char *status, const char *migration, const char *dump)
{
	static const char *const moving[] = {
		"inmigrate", "finish-migrate", "postmigrate", "prelaunch",
		"preconfig", "save-vm",        "restore-vm",  "colo"};
	static const char *const at_rest[] = {"", "none", "cancelled", "completed", "failed"};

	return IS_AMONG(status, moving) || !IS_AMONG(migration, at_rest) ||
	       !IS_AMONG(dump, at_rest);
}

int monitor_state(struct monitor *monitor, struct monitor_state *ret_state, struct error *err)
{
	struct monitor_state state;
	char migration[32], dump[32];
	int r = query_status(monitor, &state, err);

	if (r == 0)
		r = query_word(monitor, "query-migrate", migration, sizeof(migration), err);
	if (r == 0)
		r = query_word(monitor, "query-dump", dump, sizeof(dump), err);
	if (r < 0)
		return r;
	state.migrating = memory_moves(state.status, migration, dump);
	*ret_state = state;
	return 0;
}

int monitor_stop(struct monitor *monitor, struct error *err)
{
	cleanup(json_decref) json_t *result = NULL;
	struct monitor_state state;
	int r = query_status(monitor, &state, err);

	if (r < 0)
		return r;
	if (!state.running)
		return error_set(err, -EALREADY, "the VM does not run (%s)", state.status);
	return execute(monitor, "stop", NULL, &result, err);
}

int monitor_cont(struct monitor *monitor, struct error *err)
{
	cleanup(json_decref) json_t *result = NULL;

	return execute(monitor, "cont", NULL, &result, err);
}

int monitor_run(struct monitor *monitor, struct monitor_run *ret_run, struct error *err)
{
	static const char *const resumable[] = {"paused", "prelaunch", "io-error", "watchdog",
						"debug"};
	struct monitor_state state;
	bool is_paused;
	int r;

	if (monitor->link->ops->ask_run)
		return monitor->link->ops->ask_run(monitor->link, ret_run, err);
	r = query_status(monitor, &state, err);
	if (r < 0)
		return r;
	is_paused = strcmp(state.status, "paused") == 0;
	*ret_run = (struct monitor_run){.running = state.running,
					.is_passing = is_paused,
					.is_ordered = is_paused,
					.is_busy = !state.running &&
						   !IS_AMONG(state.status, resumable)};
	memcpy(ret_run->status, state.status, sizeof(ret_run->status));
	return 0;
}

int monitor_suspend(struct monitor *monitor, struct error *err)
{
	cleanup(json_decref) json_t *result = NULL;

	if (monitor->link->ops->set_run)
		return monitor->link->ops->set_run(monitor->link, false, err);
	return execute(monitor, "stop", NULL, &result, err);
}

int monitor_resume(struct monitor *monitor, struct error *err)
{
	if (monitor->link->ops->set_run)
		return monitor->link->ops->set_run(monitor->link, true, err);
	return monitor_cont(monitor, err);
}

int monitor_pid(struct monitor *monitor, pid_t *ret_pid, struct error *err)
{
	return monitor->link->ops->find_pid(monitor->link, ret_pid, err);
}
