#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/* Reports as atom-vmi makes them, and what was made of them, for the tests of this folder. */
#include "suspect/suspect.h"

#include <math.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/test.h"
#include "suspect/suspect_internal.h"

DEFINE_CLEANUP(json_t *, json_decref)
DEFINE_CLEANUP(struct report *, report_free)

#define TABLE(report, name, columns) \
	report_table(report, name, columns, sizeof(columns) / sizeof((columns)[0]), true)
#define ONSET (INT64_C(1800000000) * USEC_PER_SEC)

/* Reports as atom-vmi makes them, with its columns as far as they are read. */

__attribute__((unused)) static void begin_ps(struct report *report)
{
	static const struct report_column columns[] = {
		{"pid", REPORT_COUNT},         {"ppid", REPORT_COUNT},
		{"uid", REPORT_COUNT},         {"start", REPORT_TIME},
		{"kernel", REPORT_FLAG},       {"command", REPORT_TEXT},
		{"command_line", REPORT_TEXT}, {"start_nsec", REPORT_COUNT},
	};

	TABLE(report, "ps", columns);
}

__attribute__((unused)) static void ps(struct report *report, unsigned pid, unsigned ppid,
				       const char *command, double start_sec)
{
	report_number(report, pid);
	report_number(report, ppid);
	report_number(report, 1000);
	report_number(report, (uint64_t)(ONSET + (int64_t)(start_sec * 1e6)));
	report_number(report, pid == 2 || ppid == 2);
	report_text(report, command);
	report_text(report, pid == 2 || ppid == 2 ? NULL : command);
	report_number(report, pid * UINT64_C(1000000007));
}

__attribute__((unused)) static void begin_top(struct report *report)
{
	static const struct report_column columns[] = {
		{"pid", REPORT_COUNT},           {"command", REPORT_TEXT},
		{"cpu_percent", REPORT_REAL},    {"read_per_sec", REPORT_BYTES},
		{"write_per_sec", REPORT_BYTES}, {"new", REPORT_FLAG},
	};

	TABLE(report, "top", columns);
}

__attribute__((unused)) static void top(struct report *report, unsigned pid, double cpu,
					uint64_t read, uint64_t written)
{
	report_number(report, pid);
	report_unknown(report);
	report_real(report, cpu);
	report_number(report, read);
	report_number(report, written);
	report_number(report, 0);
}

__attribute__((unused)) static void begin_peers(struct report *report)
{
	static const struct report_column columns[] = {
		{"pid", REPORT_COUNT},
		{"direction", REPORT_TEXT},
		{"peer", REPORT_TEXT},
		{"port", REPORT_COUNT},
		{"connections", REPORT_COUNT},
		{"opened", REPORT_COUNT},
		{"received_per_sec", REPORT_BYTES},
		{"sent_per_sec", REPORT_BYTES},
	};

	TABLE(report, "peers", columns);
}

__attribute__((unused)) static void peer(struct report *report, unsigned pid, const char *direction,
					 const char *address, unsigned port, unsigned connections,
					 unsigned opened, uint64_t sent)
{
	if (pid)
		report_number(report, pid);
	else
		report_unknown(report);
	report_text(report, direction);
	report_text(report, address);
	report_number(report, port);
	report_number(report, connections);
	report_number(report, opened);
	report_number(report, sent / 10);
	report_number(report, sent);
}

__attribute__((unused)) static void begin_net(struct report *report)
{
	static const struct report_column columns[] = {
		{"protocol", REPORT_TEXT}, {"state", REPORT_TEXT},    {"local", REPORT_TEXT},
		{"remote", REPORT_TEXT},   {"backlog", REPORT_COUNT}, {"backlog_max", REPORT_COUNT},
		{"pid", REPORT_COUNT},
	};

	TABLE(report, "net", columns);
}

__attribute__((unused)) static void net(struct report *report, unsigned pid, const char *state,
					const char *local, const char *remote)
{
	report_text(report, "tcp");
	report_text(report, state);
	report_text(report, local);
	report_text(report, remote);
	report_unknown(report);
	report_unknown(report);
	if (pid)
		report_number(report, pid);
	else
		report_unknown(report);
}

__attribute__((unused)) static void listener(struct report *report, unsigned pid, const char *local,
					     unsigned waiting, unsigned most)
{
	report_text(report, "tcp");
	report_text(report, "LISTEN");
	report_text(report, local);
	report_unknown(report);
	report_number(report, waiting);
	report_number(report, most);
	report_number(report, pid);
}

__attribute__((unused)) static void exe(struct report *report, unsigned pid, const char *path,
					bool deleted, bool in_memory)
{
	static const struct report_column columns[] = {
		{"pid", REPORT_COUNT},    {"command", REPORT_TEXT},   {"executable", REPORT_TEXT},
		{"deleted", REPORT_FLAG}, {"in_memory", REPORT_FLAG},
	};

	if (report_find_table(report, "exe") < 0)
		TABLE(report, "exe", columns);
	report_number(report, pid);
	report_unknown(report);
	report_text(report, path);
	report_number(report, deleted);
	report_number(report, in_memory);
}

__attribute__((unused)) static void begin_hidden(struct report *report)
{
	static const struct report_column columns[] = {
		{"pid", REPORT_COUNT},        {"ppid", REPORT_COUNT},
		{"uid", REPORT_COUNT},        {"command", REPORT_TEXT},
		{"seen_in", REPORT_TEXT},     {"missing_from", REPORT_TEXT},
		{"start_nsec", REPORT_COUNT},
	};

	TABLE(report, "hidden", columns);
}

__attribute__((unused)) static void hidden(struct report *report, unsigned pid, const char *command)
{
	report_number(report, pid);
	report_number(report, 1);
	report_number(report, 0);
	report_text(report, command);
	report_text(report, "pids,children");
	report_text(report, "list");
	report_number(report, 77);
}

/* init, kthreadd, a shell of old, and a worker of the kernel. */
__attribute__((unused)) static void ordinary(struct report *report)
{
	begin_ps(report);
	ps(report, 1, 0, "init", -86400);
	ps(report, 2, 0, "kthreadd", -86400);
	ps(report, 3, 2, "kworker/0:1", -86400);
	ps(report, 101, 1, "sh", -3600);
}

__attribute__((unused)) static const struct playbook_metric network_up[] = {
	{METRIC_NETWORK_OUT, 5e6}};
__attribute__((unused)) static const struct playbook_metric network_down[] = {
	{METRIC_NETWORK_IN, -5e6}, {METRIC_NETWORK_OUT, -5e6}};
__attribute__((unused)) static const struct playbook_metric cpu_up[] = {
	{METRIC_CPU_UTILIZATION, 60}};
__attribute__((unused)) static const struct playbook_metric write_up[] = {
	{METRIC_DISK_WRITE_BYTES, 1e7}};
__attribute__((unused)) static const struct playbook_metric read_up[] = {
	{METRIC_NETWORK_IN, 1}, {METRIC_DISK_READ_OPS, 1}, {METRIC_DISK_READ_BYTES, 1}};

__attribute__((unused)) static json_t *find(const struct report *report,
					    const struct playbook_metric *metrics, size_t count)
{
	const struct suspect_context context = {metrics, count, ONSET, USEC_PER_SEC};

	if (report_error(report) < 0)
		return NULL;
	return suspects_find(report, &context);
}

__attribute__((unused)) static const json_t *at(const json_t *found, const char *list, size_t place)
{
	return json_array_get(json_object_get(found, list), place);
}

__attribute__((unused)) static const char *text(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value ? value : "(none)";
}

__attribute__((unused)) static const char *reason(const json_t *found, size_t suspect, size_t place)
{
	const char *value = json_string_value(
		json_array_get(json_object_get(at(found, "suspects", suspect), "reasons"), place));

	return value ? value : "(none)";
}

__attribute__((unused)) static long long pid_of(const json_t *found, size_t place)
{
	return json_integer_value(json_object_get(at(found, "suspects", place), "pid"));
}

__attribute__((unused)) static double score_of(const json_t *found, size_t place)
{
	return json_number_value(json_object_get(at(found, "suspects", place), "score"));
}

__attribute__((unused)) static size_t size_of(const json_t *found, const char *list)
{
	return json_array_size(json_object_get(found, list));
}

__attribute__((unused)) static struct report *flood(void)
{
	struct report *report = report_new();

	ordinary(report);
	ps(report, 214, 101, "ab", -3);
	ps(report, 80, 1, "nginx", -3600);
	begin_peers(report);
	peer(report, 214, "out", "10.0.0.9", 80, 412, 412, 4000000);
	peer(report, 80, "out", "10.0.0.5", 5432, 4, 0, 1000);
	peer(report, 80, "out", "127.0.0.1", 9000, 900, 900, 90000000);
	peer(report, 80, "in", "10.0.0.7", 443, 9, 8, 2000);
	begin_net(report);
	listener(report, 80, "*:443", 0, 511);
	net(report, 80, "ESTABLISHED", "10.0.0.4:50000", "10.0.0.5:5432");
	net(report, 214, "ESTABLISHED", "10.0.0.4:50001", "10.0.0.9:80");
	net(report, 214, "ESTABLISHED", "10.0.0.4:50002", "10.0.0.9:80");
	net(report, 80, "ESTABLISHED", "127.0.0.1:50000", "127.0.0.1:9000");
	net(report, 214, "SYN_SENT", "10.9.9.9:50002", "10.0.0.9:80");
	return report;
}
