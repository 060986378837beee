/* SPDX-License-Identifier: Apache-2.0 */
#include "vmi/output.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/test.h"

DEFINE_CLEANUP(struct report *, report_free)

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define START_USEC UINT64_C(1795516601123456) /* 2026-11-24 10:36:41, by date(1) */

static const struct report_column text_column[] = {{"command_line", REPORT_TEXT}};

/* What people see, notes after it. Returns owned. */
static char *shown(const struct report *report)
{
	char *text = NULL, *notes = NULL, *all = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size), *other = open_memstream(&notes, &size);

	if (!stream || !other || output_table(report, stream, other) < 0)
		abort();
	(void)fclose(stream);
	(void)fclose(other);
	if (asprintf(&all, "%s%s", text, notes) < 0)
		abort();
	free(text);
	free(notes);
	return all;
}

static char *as_json(const struct report *report)
{
	char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);

	if (!stream || output_json(report, stream) < 0)
		abort();
	(void)fclose(stream);
	return text;
}

static struct report *one_text(const char *text)
{
	struct report *report = report_new();

	report_table(report, "ps", text_column, 1, true);
	report_text(report, text);
	return report;
}

static struct report *every_kind(void)
{
	static const struct report_column columns[] = {
		{"pid", REPORT_COUNT},        {"comm", REPORT_TEXT},   {"rss", REPORT_BYTES},
		{"cpu_time", REPORT_NSEC},    {"start", REPORT_TIME},  {"task", REPORT_ADDRESS},
		{"cpu_percent", REPORT_REAL}, {"kernel", REPORT_FLAG},
	};
	struct report *report = report_new();

	report_table(report, "ps", columns, COUNT_OF(columns), true);
	report_number(report, 1);
	report_text(report, "systemd");
	report_number(report, 12582912);
	report_number(report, UINT64_C(62300000000));
	report_number(report, START_USEC);
	report_number(report, UINT64_C(0xffff888003a40000));
	report_real(report, 12.25);
	report_number(report, 0);
	for (size_t i = 0; i < COUNT_OF(columns); i++)
		report_unknown(report);
	return report;
}

static struct report *facts_and_list(void)
{
	static const struct report_column facts[] = {{"banner", REPORT_TEXT},
						     {"kernel_slide", REPORT_ADDRESS}};
	struct report *report = report_new();

	report_table(report, "info", facts, COUNT_OF(facts), false);
	report_text(report, "Linux version 6.1");
	report_number(report, 0x1e000000);
	report_table(report, "hidden_tasks", text_column, 1, true);
	report_text(report, "x");
	report_note(report, "walked again \x1b[31m");
	return report;
}

static void test_output_table_of_every_kind(void)
{
	cleanup(report_free) struct report *report = every_kind();
	cleanup(free) char *text = shown(report);

	check_string(text, "PID  COMM     RSS  CPU TIME  START                              TASK  "
			   "CPU PERCENT  KERNEL\n"
			   "  1  systemd  12M   1:02.30  2026-11-24 10:36:41  0xffff888003a40000  "
			   "       12.2  no\n"
			   "  -  -          -         -  -                                     -  "
			   "          -  -\n");
}

static void test_output_table_of_facts_and_list(void)
{
	cleanup(report_free) struct report *report = facts_and_list();
	cleanup(free) char *text = shown(report);

	check_string(text, "INFO\n"
			   "banner:        Linux version 6.1\n"
			   "kernel slide:  0x1e000000\n"
			   "\n"
			   "HIDDEN TASKS\n"
			   "COMMAND LINE\n"
			   "x\n"
			   "note: walked again \\x1b[31m\n");
}

static void check_shown_text(const char *guest, const char *expected)
{
	cleanup(report_free) struct report *report = one_text(guest);
	cleanup(free) char *text = shown(report);
	cleanup(free) char *all = NULL;

	check(asprintf(&all, "COMMAND LINE\n%s\n", expected) > 0);
	check_string(text, all);
}

static void test_output_table_escapes_guest_text(void)
{
	check_shown_text("plain", "plain");
	check_shown_text("", "");
	check_shown_text(NULL, "-");
	check_shown_text("-", "\\x2d");
	check_shown_text("--", "--");
	check_shown_text("a\nb\x1b[2J\x7f", "a\\x0ab\\x1b[2J\\x7f");
	check_shown_text("\xc3\xa4\xe2\x82\xac", "\xc3\xa4\xe2\x82\xac");
	check_shown_text("\xc3", "\\xc3");
	check_shown_text("\xff\xc2\x9b", "\\xff\\xc2\\x9b");
	check_shown_text("\\x41", "\\\\x41");
}

static void test_output_table_of_longest_text(void)
{
	char guest[REPORT_TEXT_MAX + 1] = "", expected[4 * REPORT_TEXT_MAX + 1] = "";

	memset(guest, '\x01', REPORT_TEXT_MAX);
	for (size_t i = 0; i < REPORT_TEXT_MAX; i++)
		memcpy(expected + 4 * i, "\\x01", 4);
	check_shown_text(guest, expected);
}

static void check_shown_number(enum report_kind kind, uint64_t number, const char *expected)
{
	const struct report_column column = {"x", kind};
	cleanup(report_free) struct report *report = report_new();
	cleanup(free) char *text = NULL;
	cleanup(free) char *all = NULL;

	report_table(report, "t", &column, 1, false);
	if (kind == REPORT_REAL)
		report_real(report, (double)number);
	else
		report_number(report, number);
	text = shown(report);
	check(asprintf(&all, "x:  %s\n", expected) > 0);
	check_string(text, all);
}

static void test_output_table_sizes(void)
{
	check_shown_number(REPORT_BYTES, 0, "0");
	check_shown_number(REPORT_BYTES, 1023, "1023");
	check_shown_number(REPORT_BYTES, 1024, "1.0K");
	check_shown_number(REPORT_BYTES, 10188, "9.9K");
	check_shown_number(REPORT_BYTES, 10189, "10K");
	check_shown_number(REPORT_BYTES, 1023 * 1024, "1023K");
	check_shown_number(REPORT_BYTES, 1024 * 1024 - 1, "1.0M");
	check_shown_number(REPORT_BYTES, UINT64_C(3) << 39, "1.5T");
	check_shown_number(REPORT_BYTES, UINT64_MAX, "16E");
}

static void test_output_table_durations(void)
{
	check_shown_number(REPORT_NSEC, 0, "0:00.00");
	check_shown_number(REPORT_NSEC, 999, "999ns");
	check_shown_number(REPORT_NSEC, 999999, "999us");
	check_shown_number(REPORT_NSEC, 9999999, "9.9ms");
	check_shown_number(REPORT_NSEC, 10000000, "0:00.01");
	check_shown_number(REPORT_NSEC, UINT64_C(3599990000000), "59:59.99");
	check_shown_number(REPORT_NSEC, UINT64_C(3600000000000), "1h00m");
	check_shown_number(REPORT_NSEC, UINT64_C(86399999999999), "23h59m");
	check_shown_number(REPORT_NSEC, UINT64_C(86400000000000), "1d00h");
	check_shown_number(REPORT_NSEC, UINT64_MAX, "213503d23h");
}

static void test_output_table_other_numbers(void)
{
	check_shown_number(REPORT_COUNT, UINT64_MAX, "18446744073709551615");
	check_shown_number(REPORT_TIME, 0, "1970-01-01 00:00:00");
	check_shown_number(REPORT_TIME, UINT64_C(253402300799000000), "9999-12-31 23:59:59");
	check_shown_number(REPORT_TIME, UINT64_C(253402300799000001), "-");
	check_shown_number(REPORT_TIME, UINT64_MAX, "-");
	check_shown_number(REPORT_FLAG, 1, "yes");
	check_shown_number(REPORT_REAL, UINT64_C(1000000000000000000), "1e+18");
}

static void test_output_cut_table_says_so(void)
{
	static const uint8_t bytes[] = "\x0a\x17"
				       "\x0a\x03"
				       "all"
				       "\x10\x01\x18\x01" /* a list, cut */
				       "\x22\x0c\x0a\x04"
				       "flag"
				       "\x10\x07\x2a\x02\x00\x01";
	cleanup(report_free) struct report *report = NULL;
	cleanup(free) char *text = NULL, *json = NULL;

	check_int(report_decode(bytes, sizeof(bytes) - 1, &report, NULL), 0);
	text = shown(report);
	check_string(text, "FLAG\nno\nyes\n(cut: there is more than these 2 rows)\n");
	json = as_json(report);
	check_string(json, "{\n\"all\": [\n{\"flag\": false},\n{\"flag\": true}\n],\n"
			   "\"all_cut\": true,\n\"notes\": []\n}\n");
}

static void test_output_json_of_every_kind(void)
{
	cleanup(report_free) struct report *report = every_kind();
	cleanup(free) char *json = as_json(report);

	check_string(json, "{\n\"ps\": [\n"
			   "{\"pid\": 1, \"comm\": \"systemd\", \"rss\": 12582912, "
			   "\"cpu_time\": 62300000000, \"start\": \"2026-11-24T10:36:41.123Z\", "
			   "\"task\": \"0xffff888003a40000\", \"cpu_percent\": 12.25, "
			   "\"kernel\": false},\n"
			   "{\"pid\": null, \"comm\": null, \"rss\": null, \"cpu_time\": null, "
			   "\"start\": null, \"task\": null, \"cpu_percent\": null, "
			   "\"kernel\": null}\n"
			   "],\n\"notes\": []\n}\n");
}

static void test_output_json_of_facts_and_list(void)
{
	cleanup(report_free) struct report *report = facts_and_list();
	cleanup(free) char *json = as_json(report);

	check_string(json, "{\n\"info\": {\"banner\": \"Linux version 6.1\", "
			   "\"kernel_slide\": \"0x1e000000\"},\n"
			   "\"hidden_tasks\": [\n{\"command_line\": \"x\"}\n],\n"
			   "\"notes\": [\"walked again \\u001B[31m\"]\n}\n");
}

static void test_output_json_of_guest_text(void)
{
	cleanup(report_free) struct report *odd = one_text("a\xff\xc3\"\n");
	cleanup(report_free) struct report *control = one_text("\xc2\x9b\xe2\x80\xae\\");
	cleanup(free) char *json_odd = as_json(odd), *json_control = as_json(control);

	check(strstr(json_odd, "{\"command_line\": \"a\\uFFFD\\uFFFD\\\"\\n\", "
			       "\"command_line_hex\": \"61ffc3220a\"}"));
	check(strstr(json_control, "{\"command_line\": \"\\u009B\\u202E\\\\\"}"));
}

static void test_output_json_of_odd_reports(void)
{
	static const struct report_column column[] = {{"x", REPORT_COUNT}};
	cleanup(report_free) struct report *report = report_new();
	cleanup(free) char *empty = as_json(report), *json = NULL;

	report_table(report, "facts", column, 1, false);
	report_table(report, "none", column, 1, true);
	report_table(report, "large", column, 1, false);
	report_number(report, UINT64_C(1) << 63);
	json = as_json(report);
	check_string(empty, "{\n\"notes\": []\n}\n");
	check_string(json, "{\n\"facts\": null,\n\"none\": [\n],\n"
			   "\"large\": {\"x\": \"9223372036854775808\"},\n\"notes\": []\n}\n");
}

static void test_output_to_full_stream(void)
{
	cleanup(report_free) struct report *report = every_kind();
	cleanup(fclose) FILE *full = fopen("/dev/full", "w");

	if (!full)
		test_skip("no /dev/full");
	check_int(output_json(report, full), -EIO);
	check_int(output_table(report, full, stderr), -EIO);
}

TEST_MAIN(TEST(test_output_table_of_every_kind), TEST(test_output_table_of_facts_and_list),
	  TEST(test_output_table_escapes_guest_text), TEST(test_output_table_of_longest_text),
	  TEST(test_output_table_sizes), TEST(test_output_table_durations),
	  TEST(test_output_table_other_numbers), TEST(test_output_cut_table_says_so),
	  TEST(test_output_json_of_every_kind), TEST(test_output_json_of_facts_and_list),
	  TEST(test_output_json_of_guest_text), TEST(test_output_json_of_odd_reports),
	  TEST(test_output_to_full_stream))
