/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest may write. */
#include "suspect/test_report.h"

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

TEST_MAIN(TEST(test_suspects_hostile_texts), TEST(test_suspects_hostile_numbers),
	  TEST(test_suspects_hostile_kinds), TEST(test_suspects_hostile_circle_of_parents),
	  TEST(test_suspects_hostile_addresses), TEST(test_suspects_hostile_size),
	  TEST(test_suspect_clean_cuts_whole_characters))
