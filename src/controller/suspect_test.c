/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/suspect.h"

#include <math.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/test.h"
#include "controller/suspect_internal.h"

DEFINE_CLEANUP(json_t *, json_decref)
DEFINE_CLEANUP(struct report *, report_free)

#define TABLE(report, name, columns) \
	report_table(report, name, columns, sizeof(columns) / sizeof((columns)[0]), true)
#define ONSET (INT64_C(1800000000) * USEC_PER_SEC)

/* Reports as atom-vmi makes them, with its columns as far as they are read. */

static void begin_ps(struct report *report)
{
	static const struct report_column columns[] = {
		{"pid", REPORT_COUNT},         {"ppid", REPORT_COUNT},
		{"uid", REPORT_COUNT},         {"start", REPORT_TIME},
		{"kernel", REPORT_FLAG},       {"command", REPORT_TEXT},
		{"command_line", REPORT_TEXT}, {"start_nsec", REPORT_COUNT},
	};

	TABLE(report, "ps", columns);
}

static void ps(struct report *report, unsigned pid, unsigned ppid, const char *command,
	       double start_sec)
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

static void begin_top(struct report *report)
{
	static const struct report_column columns[] = {
		{"pid", REPORT_COUNT},           {"command", REPORT_TEXT},
		{"cpu_percent", REPORT_REAL},    {"read_per_sec", REPORT_BYTES},
		{"write_per_sec", REPORT_BYTES}, {"new", REPORT_FLAG},
	};

	TABLE(report, "top", columns);
}

static void top(struct report *report, unsigned pid, double cpu, uint64_t read, uint64_t written)
{
	report_number(report, pid);
	report_unknown(report);
	report_real(report, cpu);
	report_number(report, read);
	report_number(report, written);
	report_number(report, 0);
}

static void begin_peers(struct report *report)
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

static void peer(struct report *report, unsigned pid, const char *direction, const char *address,
		 unsigned port, unsigned connections, unsigned opened, uint64_t sent)
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

static void begin_net(struct report *report)
{
	static const struct report_column columns[] = {
		{"protocol", REPORT_TEXT}, {"state", REPORT_TEXT},    {"local", REPORT_TEXT},
		{"remote", REPORT_TEXT},   {"backlog", REPORT_COUNT}, {"backlog_max", REPORT_COUNT},
		{"pid", REPORT_COUNT},
	};

	TABLE(report, "net", columns);
}

static void net(struct report *report, unsigned pid, const char *state, const char *local,
		const char *remote)
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

static void listener(struct report *report, unsigned pid, const char *local, unsigned waiting,
		     unsigned most)
{
	report_text(report, "tcp");
	report_text(report, "LISTEN");
	report_text(report, local);
	report_unknown(report);
	report_number(report, waiting);
	report_number(report, most);
	report_number(report, pid);
}

static void exe(struct report *report, unsigned pid, const char *path, bool deleted, bool in_memory)
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

static void begin_hidden(struct report *report)
{
	static const struct report_column columns[] = {
		{"pid", REPORT_COUNT},        {"ppid", REPORT_COUNT},
		{"uid", REPORT_COUNT},        {"command", REPORT_TEXT},
		{"seen_in", REPORT_TEXT},     {"missing_from", REPORT_TEXT},
		{"start_nsec", REPORT_COUNT},
	};

	TABLE(report, "hidden", columns);
}

static void hidden(struct report *report, unsigned pid, const char *command)
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
static void ordinary(struct report *report)
{
	begin_ps(report);
	ps(report, 1, 0, "init", -86400);
	ps(report, 2, 0, "kthreadd", -86400);
	ps(report, 3, 2, "kworker/0:1", -86400);
	ps(report, 101, 1, "sh", -3600);
}

static const struct playbook_metric network_up[] = {{METRIC_NETWORK_OUT, 5e6}};
static const struct playbook_metric network_down[] = {{METRIC_NETWORK_IN, -5e6},
						      {METRIC_NETWORK_OUT, -5e6}};
static const struct playbook_metric cpu_up[] = {{METRIC_CPU_UTILIZATION, 60}};
static const struct playbook_metric write_up[] = {{METRIC_DISK_WRITE_BYTES, 1e7}};
static const struct playbook_metric read_up[] = {
	{METRIC_NETWORK_IN, 1}, {METRIC_DISK_READ_OPS, 1}, {METRIC_DISK_READ_BYTES, 1}};

static json_t *find(const struct report *report, const struct playbook_metric *metrics,
		    size_t count)
{
	const struct suspect_context context = {metrics, count, ONSET, USEC_PER_SEC};

	if (report_error(report) < 0)
		return NULL;
	return suspects_find(report, &context);
}

static const json_t *at(const json_t *found, const char *list, size_t place)
{
	return json_array_get(json_object_get(found, list), place);
}

static const char *text(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value ? value : "(none)";
}

static const char *reason(const json_t *found, size_t suspect, size_t place)
{
	const char *value = json_string_value(
		json_array_get(json_object_get(at(found, "suspects", suspect), "reasons"), place));

	return value ? value : "(none)";
}

static long long pid_of(const json_t *found, size_t place)
{
	return json_integer_value(json_object_get(at(found, "suspects", place), "pid"));
}

static double score_of(const json_t *found, size_t place)
{
	return json_number_value(json_object_get(at(found, "suspects", place), "score"));
}

static size_t size_of(const json_t *found, const char *list)
{
	return json_array_size(json_object_get(found, list));
}

static struct report *flood(void)
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

static void test_suspects_flood(void)
{
	cleanup(report_free) struct report *report = flood();
	cleanup(json_decref) json_t *found = find(report, network_up, 1);
	cleanup(free) char *summary = suspects_summarise(found);
	const json_t *suspect = at(found, "suspects", 0);

	check_int(size_of(found, "suspects"), 1);
	check_int(pid_of(found, 0), 214);
	check_string(text(suspect, "command"), "ab");
	check_string(text(suspect, "command_line"), "ab");
	check_int(json_integer_value(json_object_get(suspect, "start_nsec")), 214000001498);
	check_int(json_integer_value(json_object_get(suspect, "uid")), 1000);
	check_string(text(json_array_get(json_object_get(suspect, "parents"), 0), "command"), "sh");
	check_string(text(json_array_get(json_object_get(suspect, "parents"), 1), "command"),
		     "init");
	check_string(reason(found, 0, 0),
		     "412 connections to 10.0.0.9 port 80 opened in 1.0 s, 98 % of this VM's");
	check_string(reason(found, 0, 1),
		     "sends 3.8 MiB/s, 100 % of what this VM's connections send");
	check_string(reason(found, 0, 2),
		     "receives 391 KiB/s, 100 % of what this VM's connections receive");
	check_string(reason(found, 0, 3), "started 3 s before onset");
	/* 1 - (1 - 0.9 * 412 / 420) (1 - 0.7)^2 (1 - 0.25), the shares of bytes being nearly 1 */
	check_near(score_of(found, 0), 0.99, 1e-9);
	check_string(summary,
		     "suspect ab (pid 214, child of sh): 412 connections to 10.0.0.9 port 80 "
		     "opened in 1.0 s, 98 % of this VM's; sends 3.8 MiB/s, 100 % of what this VM's "
		     "connections send; receives 391 KiB/s, 100 % of what this VM's connections "
		     "receive");
}

static void test_suspects_flood_pattern_peers_and_addresses(void)
{
	cleanup(report_free) struct report *report = flood();
	cleanup(json_decref) json_t *found = find(report, network_up, 1);
	const json_t *pattern = at(found, "patterns", 0), *most = at(found, "peers", 0);

	check_int(size_of(found, "patterns"), 1);
	check_string(text(pattern, "name"), "possible flood");
	check_string(text(pattern, "text"), "412 connections to 10.0.0.9 port 80 opened in 1.0 s, "
					    "98 % of this VM's, by ab (pid 214)");
	check_string(text(pattern, "peer"), "10.0.0.9");
	check_int(json_integer_value(json_object_get(pattern, "port")), 80);
	check_int(size_of(found, "peers"), 3);
	check_string(text(most, "peer"), "10.0.0.9");
	check_string(text(most, "direction"), "out");
	check_int(json_integer_value(json_object_get(most, "opened")), 412);
	check_near(json_number_value(json_object_get(most, "share")), 0.97, 1e-9);
	check_int(size_of(found, "addresses"), 1); /* SYN_SENT proves none */
	check_string(json_string_value(at(found, "addresses", 0)), "10.0.0.4");
}

/* Seen by the sockets alone, over IPv6 too. */
static void test_suspects_flood_without_top(void)
{
	cleanup(report_free) struct report *report = report_new();
	cleanup(json_decref) json_t *found = NULL;

	begin_net(report);
	for (int i = 0; i < 60; i++)
		net(report, 9, "ESTABLISHED", "[::ffff:10.0.0.4]:50000", "[::ffff:10.0.0.9]:80");
	for (int i = 0; i < 40; i++)
		net(report, 0, "TIME_WAIT", "10.0.0.4:50000", "10.0.0.9:80");
	found = find(report, network_up, 1);
	check_string(reason(found, 0, 0), "60 connections to 10.0.0.9 port 80, 60 % of this VM's");
	check_string(reason(found, 0, 1),
		     "40 more connections to 10.0.0.9 port 80 that no process holds any more "
		     "(TIME_WAIT); of those that speak with it this one opens most");
	check_string(json_string_value(at(found, "addresses", 0)), "10.0.0.4");
	check(json_is_null(json_object_get(at(found, "suspects", 0), "command")));
	/* 1 - (1 - 0.7 * 0.6) (1 - 0.6 * 0.4) */
	check_near(score_of(found, 0), 0.56, 1e-9);
}

/* Opened and closed so quickly that nobody holds one: of the VM, not of a process. */
static void test_suspects_flood_of_nobody(void)
{
	cleanup(report_free) struct report *report = report_new();
	cleanup(json_decref) json_t *found = NULL;
	cleanup(free) char *summary = NULL;

	ordinary(report);
	begin_net(report);
	for (int i = 0; i < 3000; i++)
		net(report, 0, "TIME_WAIT", "10.0.0.4:50000", "10.0.0.9:80");
	found = find(report, network_up, 1);
	summary = suspects_summarise(found);
	check_int(size_of(found, "suspects"), 0);
	check_int(size_of(found, "patterns"), 1);
	check_string(summary,
		     "possible flood: 3000 connections to 10.0.0.9 port 80, 100 % of this VM's; no "
		     "process holds one any more (TIME_WAIT)");
}

/* None of them has much, all together do. */
static void test_suspects_flood_by_children(void)
{
	cleanup(report_free) struct report *report = report_new();
	cleanup(json_decref) json_t *found = NULL;
	const json_t *parent = NULL;

	ordinary(report);
	ps(report, 200, 101, "goldeneye", -5);
	for (unsigned i = 0; i < 10; i++)
		ps(report, 201 + i, 200, "worker", -5);
	begin_peers(report);
	for (unsigned i = 0; i < 10; i++)
		peer(report, 201 + i, "out", "10.0.0.9", 80, 50, 50, 10);
	found = find(report, network_up, 1);
	check_int(size_of(found, "suspects"), 11);
	for (size_t i = 0; i < 11 && !parent; i++)
		if (pid_of(found, i) == 200)
			parent = at(found, "suspects", i);
	check(parent);
	check_string(json_string_value(json_array_get(json_object_get(parent, "reasons"), 0)),
		     "its 10 children together: 500 connections to 10.0.0.9 port 80 opened in "
		     "1.0 s, 100 % of this VM's");
	check_string(reason(found, 1, 0),
		     "one of 10 children of goldeneye (pid 200), together: 500 connections to "
		     "10.0.0.9 port 80 opened in 1.0 s, 100 % of this VM's");
	check_string(text(at(found, "patterns", 0), "text"),
		     "500 connections to 10.0.0.9 port 80 opened in 1.0 s, 100 % of this VM's, by "
		     "10 processes, most by worker (pid 201)");
}

/* The victim of a resource-freeing attack: the server is not the one to blame. */
static void test_suspects_sockets_taken(void)
{
	cleanup(report_free) struct report *report = report_new();
	cleanup(json_decref) json_t *found = NULL;

	ordinary(report);
	ps(report, 80, 1, "apache2", -3600);
	begin_peers(report);
	peer(report, 80, "in", "10.0.0.3", 80, 390, 2, 10);
	peer(report, 80, "in", "10.0.0.7", 80, 10, 1, 10);
	begin_net(report);
	listener(report, 80, "[::]:80", 129, 128);
	found = find(report, network_down, 2);
	check_int(size_of(found, "suspects"), 1);
	check_string(reason(found, 0, 0),
		     "390 connections from 10.0.0.3 to its port 80, 98 % of this VM's");
	check_string(reason(found, 0, 1),
		     "129 connections wait to be accepted at its port 80, where 128 may");
	check(score_of(found, 0) < 0.5);
	check_int(size_of(found, "patterns"), 2);
	check_string(text(at(found, "patterns", 0), "name"), "possible denial of service");
	check_string(text(at(found, "patterns", 1), "text"),
		     "apache2 (pid 80): 129 connections wait to be accepted at its port 80, where "
		     "128 may");
}

/* A script that starts one short command after the other uses nothing itself. */
static void test_suspects_cpu_of_ended_children(void)
{
	static const struct report_column columns[] = {{"pid", REPORT_COUNT},
						       {"cpu_percent", REPORT_REAL},
						       {"children_cpu_percent", REPORT_REAL}};
	cleanup(report_free) struct report *report = report_new();
	cleanup(json_decref) json_t *found = NULL;

	ordinary(report);
	ps(report, 300, 101, "script", -10);
	TABLE(report, "top", columns);
	report_number(report, 300);
	report_real(report, 4);
	report_real(report, 56);
	report_number(report, 101);
	report_real(report, 20);
	report_unknown(report);
	found = find(report, cpu_up, 1);
	check_string(text(at(found, "suspects", 0), "command"), "script");
	check_string(reason(found, 0, 0), "60 % of a CPU (56 % by children that ended meanwhile), "
					  "75 % of what this VM uses");
}

/* What a server closed stays in TIME_WAIT for a minute, of nobody, and takes no socket. */
static void test_suspects_time_wait_is_no_denial(void)
{
	cleanup(report_free) struct report *report = report_new();
	cleanup(json_decref) json_t *found = NULL;

	ordinary(report);
	begin_peers(report);
	peer(report, 0, "in", "203.0.113.5", 80, 340, 6, 10);
	peer(report, 101, "in", "203.0.113.5", 80, 2, 2, 10);
	found = find(report, network_up, 1);
	check_int(size_of(found, "patterns"), 0);
}

static void test_suspects_cpu(void)
{
	cleanup(report_free) struct report *report = report_new();
	cleanup(json_decref) json_t *found = NULL;

	ordinary(report);
	ps(report, 300, 101, "miner", -10);
	begin_top(report);
	top(report, 300, 94, 0, 0);
	top(report, 3, 5, 0, 0);
	top(report, 101, 4, 0, 0);
	begin_peers(report);
	peer(report, 300, "out", "203.0.113.5", 3333, 1, 0, 10);
	found = find(report, cpu_up, 1);
	check_int(size_of(found, "suspects"), 1);
	check_string(reason(found, 0, 0), "94 % of a CPU, 91 % of what this VM uses");
	check_string(reason(found, 0, 1), "started 10 s before onset");
	check_string(text(at(found, "patterns", 0), "name"), "possible mining");
	check_string(text(at(found, "patterns", 0), "text"),
		     "miner (pid 300) uses 94 % of a CPU and keeps 1 connection to the outside, "
		     "to 203.0.113.5 port 3333");
	/* 1 - (1 - 0.8 * 94 / 103) (1 - 0.25) */
	check_near(score_of(found, 0), 0.80, 1e-9);
}

/* The same figures while something else is abnormal tell nothing. */
static void test_suspects_cpu_not_asked(void)
{
	cleanup(report_free) struct report *report = report_new();
	cleanup(json_decref) json_t *found = NULL;

	ordinary(report);
	begin_top(report);
	top(report, 101, 94, 0, 0);
	begin_peers(report);
	peer(report, 101, "out", "203.0.113.5", 3333, 100, 100, 1000000);
	found = find(report, write_up, 1);
	check_int(size_of(found, "suspects"), 0);
	check_int(size_of(found, "patterns"), 0);
	check(!suspects_summarise(found));
}

static void test_suspects_kernel_thread_needs_strong_evidence(void)
{
	cleanup(report_free) struct report *report = report_new();
	cleanup(json_decref) json_t *found = NULL;

	ordinary(report);
	ps(report, 4, 2, "kworker/1:1", 5); /* new, and busy */
	begin_top(report);
	top(report, 3, 90, 0, 0);
	top(report, 4, 10, 0, 0);
	found = find(report, cpu_up, 1);
	check_int(size_of(found, "suspects"), 1);
	check_int(pid_of(found, 0), 3);
}

static void test_suspects_files(void)
{
	static const struct report_column columns[] = {
		{"pid", REPORT_COUNT}, {"mode", REPORT_TEXT}, {"path", REPORT_TEXT}};
	cleanup(report_free) struct report *report = report_new();
	cleanup(json_decref) json_t *found = NULL;

	ordinary(report);
	ps(report, 400, 101, "locker", 30);
	begin_top(report);
	top(report, 400, 10, 0, 20 << 20);
	top(report, 101, 1, 0, 1 << 20);
	TABLE(report, "files", columns);
	for (int i = 0; i < 40; i++) {
		report_number(report, 400);
		report_text(report, i % 2 ? "rw" : "r");
		report_text(report, i == 1 ? "socket:[12]" : "/home/a/letter.odt");
	}
	found = find(report, write_up, 1);
	check_int(pid_of(found, 0), 400);
	check_string(reason(found, 0, 0), "writes 20.0 MiB/s, 95 % of what this VM writes to disk");
	check_string(reason(found, 0, 1), "started 30 s after onset");
	check_int(size_of(found, "patterns"), 1);
	check_string(text(at(found, "patterns", 0), "text"),
		     "locker (pid 400) writes 20.0 MiB/s and has 19 files open for writing, one of "
		     "them /home/a/letter.odt");
}

static void test_suspects_hidden(void)
{
	cleanup(report_free) struct report *report = report_new();
	cleanup(json_decref) json_t *found = NULL;

	ordinary(report);
	begin_hidden(report);
	hidden(report, 666, "diamorphine");
	hidden(report, 0, "nobody");
	found = find(report, cpu_up, 1);
	check_int(size_of(found, "suspects"), 1);
	check_int(pid_of(found, 0), 666);
	check_string(reason(found, 0, 0), "hidden: seen in pids,children, missing from list");
	check_near(score_of(found, 0), 0.8, 1e-9);
	check_string(text(json_array_get(json_object_get(at(found, "suspects", 0), "parents"), 0),
			  "command"),
		     "init");
	check_int(size_of(found, "patterns"), 1);
	check_string(text(at(found, "patterns", 0), "text"),
		     "a process without a number, nobody is missing from list");
}

static void test_suspects_executables(void)
{
	cleanup(report_free) struct report *report = report_new();
	cleanup(json_decref) json_t *found = NULL;
	cleanup(free) char *summary = NULL;

	ordinary(report);
	exe(report, 500, "/usr/sbin/sshd", true, false);
	exe(report, 501, "/tmp/.x", true, false);
	exe(report, 502, "memfd:a", false, true);
	exe(report, 503, "/bin/true", false, false);
	found = find(report, network_up, 1);
	check_int(size_of(found, "suspects"), 3);
	check_int(pid_of(found, 0), 502);
	check_string(reason(found, 0, 0), "executes a file that is only in memory (memfd:a)");
	check_string(reason(found, 1, 0), "executes a file that is deleted (/tmp/.x)");
	check_int(pid_of(found, 2), 500);
	check_near(score_of(found, 2), 0.25, 1e-9);
	summary = suspects_summarise(found);
	check_string(summary, "suspect process (pid 502): executes a file that is only in memory "
			      "(memfd:a); and 1 other");
}

static void test_suspects_of_an_ordinary_vm(void)
{
	cleanup(report_free) struct report *report = report_new();
	cleanup(json_decref) json_t *found = NULL;

	ordinary(report);
	begin_top(report);
	top(report, 101, 1, 100, 100);
	begin_peers(report);
	peer(report, 101, "out", "10.0.0.9", 22, 1, 0, 100);
	begin_net(report);
	listener(report, 101, "*:22", 0, 128);
	exe(report, 101, "/bin/sh", false, false);
	begin_hidden(report);
	found = find(report, network_up, 1);
	check_int(size_of(found, "suspects"), 0);
	check_int(size_of(found, "patterns"), 0);
	check(!suspects_summarise(found));
}

static void test_suspects_of_an_empty_report(void)
{
	cleanup(report_free) struct report *report = report_new();
	cleanup(json_decref) json_t *found = find(report, NULL, 0);

	check(found);
	check_int(size_of(found, "suspects"), 0);
	check(!suspects_summarise(found));
}

/* Only new: listed, but not worth a sentence. */
static void test_suspects_new_process(void)
{
	cleanup(report_free) struct report *report = report_new();
	cleanup(json_decref) json_t *found = NULL;

	ordinary(report);
	ps(report, 600, 101, "cron", 600);
	found = find(report, network_up, 1);
	check_int(size_of(found, "suspects"), 1);
	check_string(reason(found, 0, 0), "started 10 min after onset");
	check(!suspects_summarise(found));
}

/* What a hostile guest may say */

static void test_suspects_hostile_texts(void)
{
	cleanup(report_free) struct report *report = report_new();
	cleanup(json_decref) json_t *found = NULL;
	cleanup(free) char *summary = NULL;
	char path[REPORT_TEXT_MAX];

	memset(path, 'x', sizeof(path));
	memcpy(path, "/tmp/\xe2\x82", 7);
	path[sizeof(path) - 1] = '\0';
	begin_ps(report);
	ps(report, 7, 6, "\xff\x1b[2J\xe2\x80\xae\n\xc3\xa9", -1);
	ps(report, 6, 0, "\xc3", -1000);
	exe(report, 7, path, true, false);
	found = find(report, network_up, 1);
	check_string(text(at(found, "suspects", 0), "command"),
		     "\xef\xbf\xbd\xef\xbf\xbd[2J\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd \xc3\xa9");
	check(strncmp(reason(found, 0, 0),
		      "executes a file that is deleted (/tmp/\xef\xbf\xbd\xef\xbf\xbdxx", 46) == 0);
	check(strstr(reason(found, 0, 0), "xxx...)"));
	check(strlen(reason(found, 0, 0)) < 200);
	summary = suspects_summarise(found);
	check(summary && strstr(summary, "child of \xef\xbf\xbd): "));
}

static void test_suspects_hostile_numbers(void)
{
	cleanup(report_free) struct report *report = report_new();
	cleanup(json_decref) json_t *found = NULL;
	uint64_t numbers[] = {UINT64_MAX, UINT64_MAX - 1, UINT64_C(1) << 63, INT32_MAX, 0, 7};

	begin_ps(report);
	begin_top(report);
	for (size_t i = 0; i < 6; i++) {
		report_number(report, numbers[i]);
		report_text(report, "x");
		report_real(report, i % 2 ? 1e308 : -1e308);
		report_number(report, UINT64_MAX);
		report_number(report, UINT64_MAX);
		report_number(report, UINT64_MAX);
	}
	begin_peers(report);
	for (size_t i = 0; i < 36; i++) {
		report_number(report, numbers[i % 6]);
		report_text(report, i % 2 ? "in" : "sideways");
		report_text(report, "10.0.0.9");
		for (int j = 0; j < 5; j++)
			report_number(report, numbers[(i / 6 + (size_t)j) % 6]);
	}
	found = find(report, network_up, 1);
	check(found);
	for (size_t i = 0; i < size_of(found, "suspects"); i++)
		check(score_of(found, i) > 0 && score_of(found, i) <= 1);
	json_decref(found);
	found = find(report, cpu_up, 1);
	check(found);
	check_int(size_of(found, "patterns"), 0);
}

/* Columns of another kind than atom-vmi's are not read. */
static void test_suspects_hostile_kinds(void)
{
	static const struct report_column columns[] = {{"pid", REPORT_TEXT},
						       {"ppid", REPORT_REAL},
						       {"command", REPORT_COUNT},
						       {"start_nsec", REPORT_TEXT}};
	static const struct report_column net_columns[] = {
		{"pid", REPORT_COUNT}, {"state", REPORT_COUNT}, {"remote", REPORT_BYTES}};
	cleanup(report_free) struct report *report = report_new();
	cleanup(json_decref) json_t *found = NULL;

	TABLE(report, "ps", columns);
	report_text(report, "1");
	report_real(report, 1);
	report_number(report, 1);
	report_text(report, "1");
	TABLE(report, "net", net_columns);
	report_number(report, 5);
	report_number(report, 5);
	report_number(report, 5);
	found = find(report, network_up, 1);
	check_int(size_of(found, "suspects"), 0);
}

static void test_suspects_hostile_circle_of_parents(void)
{
	cleanup(report_free) struct report *report = report_new();
	cleanup(json_decref) json_t *found = NULL;

	begin_ps(report);
	for (unsigned i = 0; i < 3; i++)
		ps(report, 10 + i, 10 + (i + 1) % 3, "round", 1);
	ps(report, 20, 20, "self", 1);
	for (unsigned i = 0; i < 20; i++)
		ps(report, 30 + i, 31 + i, "deep", 1);
	ps(report, 20, 1, "again", 1);
	found = find(report, network_up, 1);
	check_int(size_of(found, "suspects"), SUSPECTS_MAX);
	check_int(size_of(at(found, "suspects", 0), "parents"), 2);
	check_int(pid_of(found, 3), 20);
	check_string(text(at(found, "suspects", 3), "command"), "self");
	check_int(size_of(at(found, "suspects", 3), "parents"), 0);
	check_int(size_of(at(found, "suspects", 4), "parents"), SUSPECT_PARENTS_MAX);
}

static void test_suspects_hostile_addresses(void)
{
	static const char *const texts[] = {"",      ":",     "10.0.0.9",     "10.0.0.9:",
					    ":80",   "[::1]", "10.0.0.9:x",   "10.0.0.9:70000",
					    "[]:80", "[:80",  "[::ffff:]:80", "::ffff:1.2.3.4:80"};
	cleanup(report_free) struct report *report = report_new();
	cleanup(json_decref) json_t *found = NULL;

	begin_net(report);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		net(report, 9, "ESTABLISHED", texts[i], texts[i]);
	found = find(report, network_up, 1);
	check(found);
	check(size_of(found, "peers") <= 4);
}

/* 10^5 rows in every table: far under a second; with sanitizers some. */
static void test_suspects_hostile_size(void)
{
	enum { ROWS = 100000 };
	cleanup(report_free) struct report *report = report_new();
	cleanup(json_decref) json_t *found = NULL;
	int64_t begun;
	char address[64];

	begin_ps(report);
	for (unsigned i = 0; i < ROWS; i++)
		ps(report, 1 + i, 1 + i / 3, "x", 1);
	begin_top(report);
	for (unsigned i = 0; i < ROWS; i++)
		top(report, ROWS - i, 99, 1 << 20, 1 << 20);
	begin_peers(report);
	for (unsigned i = 0; i < ROWS; i++) {
		(void)snprintf(address, sizeof(address), "10.%u.0.9", i % 200);
		peer(report, 1 + i / 2, i % 7 ? "out" : "in", address, i % 3, 2, 0, 100);
	}
	begin_net(report);
	for (unsigned i = 0; i < ROWS; i++) {
		(void)snprintf(address, sizeof(address), "10.0.%u.%u:%u", i / 256 % 256, i % 256,
			       i % 65536);
		net(report, i % 5, i % 2 ? "TIME_WAIT" : "LISTEN", address, address);
	}
	check_int(report_error(report), 0);
	begun = clock_mono_usec();
	found = find(report, cpu_up, 1);
	check(found);
	json_decref(found);
	found = find(report, network_up, 1);
	check(found);
	check_int(size_of(found, "suspects"), SUSPECTS_MAX);
	check(clock_mono_usec() - begun < 10 * USEC_PER_SEC);
}

/* Several VMs */

static json_t *victim_found(void)
{
	struct report *report = report_new();
	json_t *found;

	begin_peers(report);
	peer(report, 80, "in", "10.0.0.3", 80, 390, 2, 10);
	peer(report, 80, "in", "10.0.0.7", 80, 10, 1, 10);
	begin_net(report);
	net(report, 80, "ESTABLISHED", "10.0.0.2:80", "10.0.0.3:40000");
	found = find(report, network_down, 2);
	report_free(report);
	return found;
}

/* Closed ones, of nobody, are no attack seen from two VMs either, whoever the peer is. */
static void test_suspects_across_time_wait_is_no_denial(void)
{
	cleanup(report_free) struct report *report = report_new();
	cleanup(json_decref) json_t *found = NULL, *across = NULL;
	cleanup(json_decref) json_t *client = json_pack("{s:[s]}", "addresses", "10.0.0.3");
	struct suspect_vm vms[] = {{"vm2", NULL, network_up, 1}, {"vm3", client, network_up, 1}};

	begin_peers(report);
	peer(report, 0, "in", "10.0.0.3", 80, 340, 6, 10);
	peer(report, 80, "in", "10.0.0.3", 80, 2, 2, 10);
	found = find(report, network_up, 1);
	check_int(json_integer_value(json_object_get(at(found, "peers", 0), "connections")), 342);
	check_int(json_integer_value(json_object_get(at(found, "peers", 0), "held")), 2);
	check_near(json_number_value(json_object_get(at(found, "peers", 0), "held_share")), 1,
		   1e-9);
	vms[0].found = found;
	across = suspects_across(vms, 2);
	check_int(json_array_size(across), 0);
}

/* What is an attack within a VM is one across VMs, and the other way round. */
static void test_suspects_denial_is_one_rule(void)
{
	static const unsigned held[] = {19, 20, 78, 80, 1599};
	static const bool is_one[] = {false, true, false, true, false};
	static const unsigned others[] = {0, 0, 22, 20, 400};

	for (size_t i = 0; i < 5; i++) {
		cleanup(report_free) struct report *report = report_new();
		cleanup(json_decref) json_t *client = json_pack("{s:[s]}", "addresses", "10.0.0.3");
		cleanup(json_decref) json_t *found = NULL, *across = NULL;
		struct suspect_vm vms[] = {{"vm2", NULL, network_up, 1},
					   {"vm3", client, network_up, 1}};

		begin_peers(report);
		peer(report, 80, "in", "10.0.0.3", 80, held[i], 0, 10);
		peer(report, 80, "in", "10.0.0.7", 80, others[i], 0, 10);
		peer(report, 0, "in", "10.0.0.8", 80, 5000, 0, 10);
		found = find(report, network_up, 1);
		vms[0].found = found;
		across = suspects_across(vms, 2);
		check_int(size_of(found, "patterns"), is_one[i]);
		check_int(json_array_size(across), is_one[i]);
	}
}

static json_t *attacker_found(void)
{
	struct report *report = report_new();
	json_t *found;

	begin_peers(report);
	peer(report, 9, "out", "10.0.0.2", 80, 388, 2, 10);
	begin_net(report);
	net(report, 9, "ESTABLISHED", "10.0.0.3:40000", "10.0.0.2:80");
	found = find(report, read_up, 3);
	report_free(report);
	return found;
}

static void test_suspects_across_resource_freeing(void)
{
	cleanup(json_decref) json_t *victim = victim_found();
	cleanup(json_decref) json_t *attacker = attacker_found();
	cleanup(json_decref) json_t *across = NULL;
	struct suspect_vm vms[] = {{"vm1", NULL, NULL, 0},
				   {"vm2", victim, network_down, 2},
				   {"vm3", attacker, read_up, 3}};

	across = suspects_across(vms, 3);
	check_int(json_array_size(across), 1);
	check_string(text(json_array_get(across, 0), "name"), "possible resource-freeing attack");
	check_string(text(json_array_get(across, 0), "text"),
		     "390 connections from vm3 to port 80 of vm2 (10.0.0.3), 98 % of all that vm2 "
		     "holds; meanwhile DiskReadOps, DiskReadBytes of vm3 went up; NetworkIn, "
		     "NetworkOut of the other went down");
	check_string(json_string_value(
			     json_array_get(json_object_get(json_array_get(across, 0), "vms"), 0)),
		     "vm3");
	json_decref(across);
	vms[2].metric_count = 1; /* without its disk */
	across = suspects_across(vms, 3);
	check_string(text(json_array_get(across, 0), "name"), "possible denial of service");
	json_decref(across);
	vms[1].found = NULL; /* seen by the other alone: nothing tells whose 10.0.0.2 is */
	across = suspects_across(vms, 3);
	check_int(json_array_size(across), 0);
}

static void test_suspects_across_claimed_address(void)
{
	cleanup(json_decref) json_t *victim = victim_found();
	cleanup(json_decref) json_t *attacker = attacker_found();
	cleanup(json_decref) json_t *liar = json_pack("{s:[s]}", "addresses", "10.0.0.3");
	cleanup(json_decref) json_t *across = NULL;
	struct suspect_vm vms[] = {{"vm2", victim, network_down, 2},
				   {"vm3", attacker, read_up, 3},
				   {"liar", liar, NULL, 0}};

	across = suspects_across(vms, 3);
	check_int(json_array_size(across), 2);
	check(strstr(text(json_array_get(across, 0), "text"),
		     "(10.0.0.3, an address that 2 VMs claim)"));
	json_decref(across);
	/* A victim that claims the attacker's address speaks with itself, as it says. */
	check_int(json_array_append_new(json_object_get(victim, "addresses"),
					json_string("10.0.0.3")),
		  0);
	check_int(json_array_append_new(json_object_get(attacker, "addresses"),
					json_string("10.0.0.2")),
		  0);
	across = suspects_across(vms, 3);
	check_int(json_array_size(across), 0);
}

static void test_suspects_across_flood(void)
{
	cleanup(report_free) struct report *report = flood();
	cleanup(json_decref) json_t *found = find(report, network_up, 1);
	cleanup(json_decref) json_t *across = NULL;
	struct suspect_vm vms[20];

	vms[0] = (struct suspect_vm){"vm1", NULL, NULL, 0};
	vms[1] = (struct suspect_vm){"vm2", found, network_up, 1};
	vms[2] = (struct suspect_vm){"vm3", found, network_up, 1};
	across = suspects_across(vms, 3);
	check_int(json_array_size(across), 1);
	check_string(text(json_array_get(across, 0), "text"),
		     "flood towards 10.0.0.9 port 80 from vm2 and vm3");
	json_decref(across);
	across = suspects_across(vms, 2);
	check_int(json_array_size(across), 0);
	json_decref(across);
	for (size_t i = 0; i < 20; i++)
		vms[i] = (struct suspect_vm){"vm", found, network_up, 1};
	across = suspects_across(vms, 20);
	check(strstr(text(json_array_get(across, 0), "text"), "vm, vm and 10 others"));
	check_int(size_of(json_array_get(across, 0), "vms"), 20);
}

static void test_suspects_across_odd_json(void)
{
	cleanup(json_decref) json_t *odd =
		json_pack("{s:[i,n,s], s:[{s:i}, s, {s:s, s:s, s:s}], s:s}", "addresses", 1, "a",
			  "peers", "peer", 5, "x", "peer", "a", "connections", "many", "share",
			  "no", "patterns", "none");
	cleanup(json_decref) json_t *across = NULL;
	const struct suspect_vm vms[] = {{"a", odd, NULL, 0}, {"b", odd, NULL, 0}};

	check(odd);
	across = suspects_across(vms, 2);
	check_int(json_array_size(across), 0);
	json_decref(across);
	across = suspects_across(NULL, 0);
	check_int(json_array_size(across), 0);
}

static void test_suspect_clean_cuts_whole_characters(void)
{
	char out[12];

	check_string(suspect_clean((struct span){"abc", 3}, out, sizeof(out)), "abc");
	check_string(suspect_clean((struct span){"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", 10},
				   out, sizeof(out)),
		     "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9...");
	check_string(suspect_clean((struct span){"\xc3\xa9", 1}, out, sizeof(out)), "\xef\xbf\xbd");
	check_string(suspect_clean((struct span){NULL, 0}, out, sizeof(out)), "");
}

static void test_suspect_new_since_the_last_look(void)
{
	struct suspect_context context = {cpu_up, 1, ONSET, USEC_PER_SEC,
					  ONSET - 7200 * USEC_PER_SEC};
	cleanup(report_free) struct report *report = report_new();
	cleanup(json_decref) json_t *found = NULL, *without = NULL;

	ordinary(report);
	ps(report, 300, 101, "miner", -1200);
	begin_top(report);
	top(report, 300, 94, 0, 0);
	found = suspects_find(report, &context);
	check_string(reason(found, 0, 1), "started 20 min before onset, since the last look "
					  "(06:00:00)");
	context.looked_usec = 0;
	without = suspects_find(report, &context);
	check_int(size_of(at(without, "suspects", 0), "reasons"), 1);
}

TEST_MAIN(TEST(test_suspect_new_since_the_last_look), TEST(test_suspects_flood),
	  TEST(test_suspects_flood_pattern_peers_and_addresses),
	  TEST(test_suspects_flood_without_top), TEST(test_suspects_flood_of_nobody),
	  TEST(test_suspects_flood_by_children), TEST(test_suspects_sockets_taken),
	  TEST(test_suspects_cpu), TEST(test_suspects_cpu_of_ended_children),
	  TEST(test_suspects_time_wait_is_no_denial), TEST(test_suspects_cpu_not_asked),
	  TEST(test_suspects_kernel_thread_needs_strong_evidence), TEST(test_suspects_files),
	  TEST(test_suspects_hidden), TEST(test_suspects_executables),
	  TEST(test_suspects_of_an_ordinary_vm), TEST(test_suspects_of_an_empty_report),
	  TEST(test_suspects_new_process), TEST(test_suspects_hostile_texts),
	  TEST(test_suspects_hostile_numbers), TEST(test_suspects_hostile_kinds),
	  TEST(test_suspects_hostile_circle_of_parents), TEST(test_suspects_hostile_addresses),
	  TEST(test_suspects_hostile_size), TEST(test_suspects_across_resource_freeing),
	  TEST(test_suspects_across_claimed_address),
	  TEST(test_suspects_across_time_wait_is_no_denial), TEST(test_suspects_denial_is_one_rule),
	  TEST(test_suspects_across_flood), TEST(test_suspects_across_odd_json),
	  TEST(test_suspect_clean_cuts_whole_characters))
