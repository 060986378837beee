/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/report.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/test.h"

DEFINE_CLEANUP(struct report *, report_free)

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct report_column all_kinds[] = {
	{"comm", REPORT_TEXT},  {"threads", REPORT_COUNT}, {"rss", REPORT_BYTES},
	{"cpu", REPORT_NSEC},   {"start", REPORT_TIME},    {"task", REPORT_ADDRESS},
	{"share", REPORT_REAL}, {"kernel", REPORT_FLAG},
};
static const struct report_column one_text[] = {{"text", REPORT_TEXT}};
static const struct report_column one_number[] = {{"number", REPORT_COUNT}};

static void add_row(struct report *report, const char *text, uint64_t number)
{
	report_text(report, text);
	report_number(report, number);
	report_number(report, number + 1);
	report_number(report, number + 2);
	report_number(report, number + 3);
	report_number(report, UINT64_MAX);
	report_real(report, 0.25 * (double)number);
	report_number(report, number & 1);
}

static void add_unknown_row(struct report *report)
{
	for (size_t i = 0; i < COUNT_OF(all_kinds); i++)
		report_unknown(report);
}

/* Returns owned: two tables with rows of every kind, an empty one, two notes. */
static struct report *sample(void)
{
	static const struct report_column facts[] = {{"banner", REPORT_TEXT}, {"up", REPORT_NSEC}};
	struct report *report = report_new();

	if (!report)
		abort();
	report_table(report, "info", facts, COUNT_OF(facts), false);
	report_text(report, "Linux \xff\x01 \xc3\xa4");
	report_number(report, 5);
	report_table(report, "ps", all_kinds, COUNT_OF(all_kinds), true);
	add_row(report, "init", 1);
	add_unknown_row(report);
	for (uint64_t i = 0; i < 20; i++)
		add_row(report, i % 3 ? "sh" : "", i << (3 * i));
	report_table(report, "nothing", one_text, 1, true);
	report_note(report, "retried %d times", 3);
	report_note(report, "\x80 odd");
	return report;
}

static bool same_bytes(const struct report *a, const struct report *b)
{
	cleanup(free) uint8_t *of_a = NULL, *of_b = NULL;
	size_t size_a = 0, size_b = 0;

	return report_encode(a, &of_a, &size_a, NULL) == 0 &&
	       report_encode(b, &of_b, &size_b, NULL) == 0 && size_a == size_b &&
	       memcmp(of_a, of_b, size_a) == 0;
}

static struct report *through_wire(const struct report *report)
{
	cleanup(free) uint8_t *bytes = NULL;
	struct report *decoded = NULL;
	size_t size;

	if (report_encode(report, &bytes, &size, NULL) < 0 ||
	    report_decode(bytes, size, &decoded, NULL) < 0)
		return NULL;
	return decoded;
}

static void test_report_round_trip_keeps_all(void)
{
	cleanup(report_free) struct report *report = sample();
	cleanup(report_free) struct report *decoded = through_wire(report);
	const struct report_column *columns;
	size_t count;

	check(decoded && same_bytes(report, decoded));
	check_int(report_table_count(decoded), 3);
	check_string(report_table_name(decoded, 1), "ps");
	check(report_table_is_list(decoded, 1) && !report_table_is_list(decoded, 0));
	check_int(report_rows(decoded, 0), 1);
	check_int(report_rows(decoded, 1), 22);
	check_int(report_rows(decoded, 2), 0);
	columns = report_columns(decoded, 1, &count);
	check_int(count, COUNT_OF(all_kinds));
	check_string(columns[4].name, "start");
	check_int(columns[4].kind, REPORT_TIME);
	check_int(report_note_count(decoded), 2);
	check_string(report_note_at(decoded, 0), "retried 3 times");
}

static void test_report_round_trip_keeps_cells(void)
{
	cleanup(report_free) struct report *report = sample();
	cleanup(report_free) struct report *decoded = through_wire(report);

	check(decoded);
	check_string(report_cell(decoded, 0, 0, 0)->text.bytes, "Linux \xff\x01 \xc3\xa4");
	check_string(report_cell(decoded, 1, 0, 0)->text.bytes, "init");
	check_int(report_cell(decoded, 1, 0, 0)->text.size, 4);
	check_string(report_cell(decoded, 1, 2, 0)->text.bytes, "");
	check_int(report_cell(decoded, 1, 0, 4)->number, 4);
	check(report_cell(decoded, 1, 0, 5)->number == UINT64_MAX);
	check_near(report_cell(decoded, 1, 0, 6)->real, 0.25, 0);
	for (size_t i = 0; i < COUNT_OF(all_kinds); i++) {
		check(report_cell(decoded, 1, 0, i)->known);
		check(!report_cell(decoded, 1, 1, i)->known);
	}
}

static void test_report_without_tables(void)
{
	cleanup(report_free) struct report *report = report_new();
	cleanup(report_free) struct report *decoded = through_wire(report);

	check(decoded);
	check_int(report_table_count(decoded), 0);
	check_int(report_note_count(decoded), 0);
	check(report_free(NULL) == NULL);
}

static void test_report_find(void)
{
	cleanup(report_free) struct report *report = sample();

	check_int(report_find_table(report, "ps"), 1);
	check_int(report_find_table(report, "p"), -1);
	check_int(report_find_column(report, 1, "rss"), 2);
	check_int(report_find_column(report, 1, "rs"), -1);
}

static void test_report_text_ends_at_nul_or_limit(void)
{
	cleanup(report_free) struct report *report = report_new();
	char text[REPORT_TEXT_MAX + 100];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	report_table(report, "t", one_text, 1, true);
	report_bytes(report, "abcdef", 4);
	report_bytes(report, "ab\0def", 6);
	report_text(report, text);
	report_text(report, NULL);
	check_string(report_cell(report, 0, 0, 0)->text.bytes, "abcd");
	check_string(report_cell(report, 0, 1, 0)->text.bytes, "ab");
	check_int(report_cell(report, 0, 2, 0)->text.size, REPORT_TEXT_MAX);
	check_int(strlen(report_cell(report, 0, 2, 0)->text.bytes), REPORT_TEXT_MAX);
	check(!report_cell(report, 0, 3, 0)->known);
}

static void test_report_odd_values(void)
{
	static const struct report_column columns[] = {{"real", REPORT_REAL},
						       {"flag", REPORT_FLAG}};
	cleanup(report_free) struct report *report = report_new();

	report_table(report, "t", columns, 2, true);
	report_real(report, NAN);
	report_number(report, 0x800);
	check(!report_cell(report, 0, 0, 0)->known);
	check_int(report_cell(report, 0, 0, 1)->number, 1);
}

static void test_report_rows_past_limit_are_cut(void)
{
	cleanup(report_free) struct report *report = report_new();
	cleanup(report_free) struct report *decoded = NULL;

	report_table(report, "t", one_number, 1, true);
	for (size_t i = 0; i < REPORT_ROWS_MAX; i++)
		report_number(report, i);
	check(!report_table_is_cut(report, 0));
	report_number(report, 1);
	report_unknown(report);
	report_table(report, "other", one_number, 1, true);
	report_number(report, 1);
	decoded = through_wire(report);
	check(decoded);
	check_int(report_rows(decoded, 0), REPORT_ROWS_MAX);
	check_int(report_cell(decoded, 0, REPORT_ROWS_MAX - 1, 0)->number, REPORT_ROWS_MAX - 1);
	check(report_table_is_cut(decoded, 0) && !report_table_is_cut(decoded, 1));
	check_int(report_rows(decoded, 1), 1);
}

static void test_report_size_past_limit_is_cut(void)
{
	cleanup(report_free) struct report *report = report_new();
	cleanup(free) uint8_t *bytes = NULL;
	char text[REPORT_TEXT_MAX + 1];
	size_t size;

	memset(text, 'x', sizeof(text));
	report_table(report, "t", one_text, 1, true);
	for (size_t i = 0; i < REPORT_SIZE_MAX / REPORT_TEXT_MAX; i++)
		report_bytes(report, text, sizeof(text));
	check(report_table_is_cut(report, 0));
	check_int(report_encode(report, &bytes, &size, NULL), 0);
	check(size <= REPORT_SIZE_MAX && size > REPORT_SIZE_MAX / 10 * 9);
}

static void test_report_largest_heads_are_decoded(void)
{
	cleanup(report_free) struct report *report = report_new();
	cleanup(report_free) struct report *decoded = NULL;
	struct report_column columns[REPORT_COLUMNS_MAX];
	char names[REPORT_TABLES_MAX][REPORT_NAME_MAX + 1], note[REPORT_TEXT_MAX + 1];

	memset(note, 'n', sizeof(note));
	for (size_t i = 0; i < REPORT_TABLES_MAX; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "%0*zu", REPORT_NAME_MAX, i);
		columns[i] = (struct report_column){names[i], REPORT_FLAG};
	}
	for (size_t i = 0; i < REPORT_TABLES_MAX; i++)
		report_table(report, names[i], columns, COUNT_OF(columns), true);
	for (size_t i = 0; i < REPORT_NOTES_MAX + 2; i++)
		report_note(report, "%.*s", (int)sizeof(note), note);
	decoded = through_wire(report);
	check(decoded);
	check_int(report_table_count(decoded), REPORT_TABLES_MAX);
	check_int(report_note_count(decoded), REPORT_NOTES_MAX);
	check_int(strlen(report_note_at(decoded, 0)), REPORT_TEXT_MAX);
	check(strstr(report_note_at(decoded, REPORT_NOTES_MAX - 1), "more notes"));
}

static void test_report_tables_past_limit_fail(void)
{
	cleanup(report_free) struct report *report = report_new();
	struct error err = ERROR_INIT;
	uint8_t *bytes;
	size_t size;

	for (int i = 0; i <= REPORT_TABLES_MAX; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "t%d", i);
		report_table(report, name, one_number, 1, true);
		report_number(report, 1);
	}
	report_note(report, "too late");
	check_int(report_error(report), -E2BIG);
	check_int(report_encode(report, &bytes, &size, &err), -E2BIG);
	check(strstr(err.text, "cannot be completed"));
}

static void build_number_in_text(struct report *report)
{
	report_table(report, "t", one_text, 1, true);
	report_number(report, 1);
}

static void build_text_in_number(struct report *report)
{
	report_table(report, "t", one_number, 1, true);
	report_text(report, "x");
}

static void build_half_a_row(struct report *report)
{
	report_table(report, "t", all_kinds, COUNT_OF(all_kinds), true);
	report_text(report, "x");
	report_table(report, "u", one_text, 1, true);
}

static void build_two_facts(struct report *report)
{
	report_table(report, "t", one_number, 1, false);
	report_number(report, 1);
	report_number(report, 1);
}

static void build_bad_name(struct report *report)
{
	report_table(report, "No", one_number, 1, false);
}

/* Whether building ends the process. */
static bool is_asserted(void (*build)(struct report *report))
{
	pid_t child;
	int status;

	(void)fflush(stdout);
	child = fork();
	if (child == 0) {
		(void)close(STDERR_FILENO);
		build(report_new());
		_exit(0);
	}
	return child > 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status) &&
	       WTERMSIG(status) == SIGABRT;
}

static void test_report_mistakes_are_asserted(void)
{
	check(is_asserted(build_number_in_text));
	check(is_asserted(build_text_in_number));
	check(is_asserted(build_half_a_row));
	check(is_asserted(build_two_facts));
	check(is_asserted(build_bad_name));
}

/* Messages by hand: fields of less than 128 bytes with numbers below 16. */
struct message {
	uint8_t bytes[8192];
	size_t size;
};

static void put(struct message *message, int field, const void *bytes, size_t size)
{
	uint8_t *out = message->bytes + message->size;

	if (size >= 128 || message->size + size + 2 > sizeof(message->bytes))
		abort();
	out[0] = (uint8_t)(field << 3 | 2);
	out[1] = (uint8_t)size;
	memcpy(out + 2, bytes, size);
	message->size += size + 2;
}

static void put_small(struct message *message, int field, uint8_t value)
{
	message->bytes[message->size++] = (uint8_t)(field << 3);
	message->bytes[message->size++] = value;
}

static struct message column(const char *name, int kind, int field, const char *cells, size_t size)
{
	struct message message = {.size = 0};

	put(&message, 1, name, strlen(name));
	put_small(&message, 2, (uint8_t)kind);
	put(&message, field, cells, size);
	return message;
}

static int decode(const struct message *message)
{
	struct report *report = NULL;
	struct error err = ERROR_INIT;
	int r = report_decode(message->bytes, message->size, &report, &err);

	(void)report_free(report);
	return r < 0 && !err.text[0] ? -ENOTRECOVERABLE : r;
}

/* A report with one table of one or two columns. */
static int decode_columns(bool is_list, const struct message *first, const struct message *second)
{
	struct message table = {.size = 0}, report = {.size = 0};

	put(&table, 1, "t", 1);
	put_small(&table, 2, is_list);
	put(&table, 4, first->bytes, first->size);
	if (second)
		put(&table, 4, second->bytes, second->size);
	put(&report, 1, table.bytes, table.size);
	return decode(&report);
}

static int decode_column(const char *name, int kind, int field, const char *cells, size_t size)
{
	struct message one = column(name, kind, field, cells, size);

	return decode_columns(true, &one, NULL);
}

enum { TEXTS = 4, NUMBERS = 5, REALS = 6 };

static void test_report_decode_checks_cells(void)
{
	static const double nan_real = NAN, infinite = INFINITY;

	check_int(decode_column("a", REPORT_TEXT, TEXTS, "x\0", 3), 0);
	check_int(decode_column("a", REPORT_TEXT, TEXTS, "x", 1), -EBADMSG);
	check_int(decode_column("a", REPORT_TEXT, NUMBERS, "x", 1), -EBADMSG);
	check_int(decode_column("a", REPORT_COUNT, NUMBERS, "x", 1), 0);
	check_int(decode_column("a", REPORT_COUNT, TEXTS, "x", 2), -EBADMSG);
	check_int(decode_column("a", REPORT_COUNT, REALS, "12345678", 8), -EBADMSG);
	check_int(decode_column("a", REPORT_REAL, REALS, "12345678", 8), 0);
	check_int(decode_column("a", REPORT_REAL, NUMBERS, "1", 1), -EBADMSG);
	check_int(decode_column("a", REPORT_REAL, REALS, (const char *)&nan_real, 8), -EBADMSG);
	check_int(decode_column("a", REPORT_REAL, REALS, (const char *)&infinite, 8), -EBADMSG);
	check_int(decode_column("a", REPORT_FLAG, NUMBERS, "\1\0", 2), 0);
	check_int(decode_column("a", REPORT_FLAG, NUMBERS, "\2", 1), -EBADMSG);
	check_int(decode_column("a", REPORT_FLAG + 1, NUMBERS, "\2", 1), -EBADMSG);
}

static void test_report_decode_checks_names(void)
{
	char name[REPORT_NAME_MAX + 2] = "";

	memset(name, 'a', REPORT_NAME_MAX);
	check_int(decode_column(name, REPORT_TEXT, TEXTS, "", 0), 0);
	name[REPORT_NAME_MAX] = 'a';
	check_int(decode_column(name, REPORT_TEXT, TEXTS, "", 0), -EBADMSG);
	check_int(decode_column("", REPORT_TEXT, TEXTS, "", 0), -EBADMSG);
	check_int(decode_column("A", REPORT_TEXT, TEXTS, "", 0), -EBADMSG);
	check_int(decode_column("a\x1b", REPORT_TEXT, TEXTS, "", 0), -EBADMSG);
}

static void test_report_decode_checks_shape(void)
{
	struct message one = column("a", REPORT_COUNT, NUMBERS, "1", 1);
	struct message two = column("b", REPORT_COUNT, NUMBERS, "12", 2);
	struct message report = {.size = 0};

	check_int(decode_columns(true, &one, &two), -EBADMSG);
	check_int(decode_columns(true, &one, &one), -EBADMSG);
	check_int(decode_columns(true, &two, NULL), 0);
	check_int(decode_columns(false, &two, NULL), -E2BIG);
	put(&two, 3, "\1", 1);
	check_int(decode_columns(true, &two, NULL), 0);
	put(&two, 3, "\1\0", 2);
	check_int(decode_columns(true, &two, NULL), -EBADMSG);
	put(&report, 1, "\x0a\1t", 3); /* no columns */
	check_int(decode(&report), -EBADMSG);
}

static void test_report_decode_checks_counts(void)
{
	struct message table = {.size = 0}, report = {.size = 0};
	struct message one = column("a", REPORT_COUNT, NUMBERS, "1", 1);

	put(&table, 1, "t", 1);
	put(&table, 4, one.bytes, one.size);
	put(&report, 1, table.bytes, table.size);
	check_int(decode(&report), 0);
	put(&report, 1, table.bytes, table.size); /* the same name twice */
	check_int(decode(&report), -EBADMSG);
	for (int i = 2; i <= REPORT_TABLES_MAX; i++)
		put(&report, 1, table.bytes, table.size);
	check_int(decode(&report), -E2BIG);
	report.size = 0;
	for (int i = 0; i < REPORT_NOTES_MAX; i++)
		put(&report, 2, "n", 1);
	check_int(decode(&report), 0);
	put(&report, 2, "n", 1);
	check_int(decode(&report), -E2BIG);
	report.size = 0;
	put(&report, 2, "n\0n", 3);
	check_int(decode(&report), -EBADMSG);
}

static void test_report_decode_refuses_bombs(void)
{
	enum { SIZE = 4 << 20 };
	cleanup(free) uint8_t *bytes = calloc(1, SIZE);
	struct report *report;

	check(bytes);
	for (size_t i = 0; i < SIZE; i += 2)
		bytes[i] = 1 << 3 | 2; /* an empty table */
	check_int(report_decode(bytes, SIZE, &report, NULL), -EBADMSG);
	for (size_t i = 0; i < SIZE; i += 2)
		bytes[i] = 2 << 3 | 2; /* an empty note */
	check_int(report_decode(bytes, SIZE, &report, NULL), -EBADMSG);
	check_int(report_decode(bytes, (size_t)REPORT_SIZE_MAX + 1, &report, NULL), -E2BIG);
}

/* Either refused, or a report that stands another round. */
static bool is_handled(const uint8_t *bytes, size_t size)
{
	cleanup(report_free) struct report *report = NULL;
	cleanup(report_free) struct report *again = NULL;

	if (report_decode(bytes, size, &report, NULL) < 0)
		return true;
	again = through_wire(report);
	return again && same_bytes(report, again);
}

static void test_report_decode_handles_damage(void)
{
	cleanup(report_free) struct report *report = sample();
	cleanup(free) uint8_t *bytes = NULL;
	size_t size;

	check_int(report_encode(report, &bytes, &size, NULL), 0);
	for (size_t i = 0; i < size; i++) {
		uint8_t before = bytes[i];

		check(is_handled(bytes, i));
		for (int bit = 0; bit < 8; bit++) {
			bytes[i] = (uint8_t)(before ^ 1u << bit);
			check(is_handled(bytes, size));
		}
		bytes[i] = before;
	}
}

TEST_MAIN(TEST(test_report_round_trip_keeps_all), TEST(test_report_round_trip_keeps_cells),
	  TEST(test_report_without_tables), TEST(test_report_find),
	  TEST(test_report_text_ends_at_nul_or_limit), TEST(test_report_odd_values),
	  TEST(test_report_rows_past_limit_are_cut), TEST(test_report_size_past_limit_is_cut),
	  TEST(test_report_largest_heads_are_decoded), TEST(test_report_tables_past_limit_fail),
	  TEST(test_report_mistakes_are_asserted), TEST(test_report_decode_checks_cells),
	  TEST(test_report_decode_checks_names), TEST(test_report_decode_checks_shape),
	  TEST(test_report_decode_checks_counts), TEST(test_report_decode_refuses_bombs),
	  TEST(test_report_decode_handles_damage))
