/* SPDX-License-Identifier: Apache-2.0 */
/* Reasons and patterns of one VM. */
#include "suspect/test_report.h"

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

TEST_MAIN(TEST(test_suspect_new_since_the_last_look), TEST(test_suspects_flood),
	  TEST(test_suspects_flood_pattern_peers_and_addresses),
	  TEST(test_suspects_flood_without_top), TEST(test_suspects_flood_of_nobody),
	  TEST(test_suspects_flood_by_children), TEST(test_suspects_sockets_taken),
	  TEST(test_suspects_cpu), TEST(test_suspects_cpu_of_ended_children),
	  TEST(test_suspects_time_wait_is_no_denial), TEST(test_suspects_cpu_not_asked),
	  TEST(test_suspects_kernel_thread_needs_strong_evidence), TEST(test_suspects_files),
	  TEST(test_suspects_hidden), TEST(test_suspects_executables),
	  TEST(test_suspects_of_an_ordinary_vm), TEST(test_suspects_of_an_empty_report),
	  TEST(test_suspects_new_process))
