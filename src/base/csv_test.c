/* SPDX-License-Identifier: Apache-2.0 */
#include "base/csv.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/test.h"

DEFINE_CLEANUP(struct csv *, csv_free)

static int read_text(const char *text, size_t size, struct csv **ret_csv, struct error *err)
{
	char path[] = "/tmp/atom-csv-test-XXXXXX";
	int fd = mkstemp(path), r;

	if (fd < 0 || write(fd, text, size) != (ssize_t)size)
		return -EIO;
	(void)close(fd);
	r = csv_read(path, ret_csv, err);
	(void)unlink(path);
	return r;
}

static void test_csv_times_gaps_and_values(void)
{
	static const char text[] = "t,vm1.CPUUtilization,b\n1795487205.5,1.5,\n"
				   "2026-11-24T02:26:46Z,nan,-2e3\r\n";
	cleanup(csv_free) struct csv *csv = NULL;

	check_int(read_text(text, sizeof(text) - 1, &csv, NULL), 0);
	check_int(csv->columns, 2);
	check_int(csv->rows, 2);
	check_int(csv->time_usec[0], INT64_C(1795487205500000));
	check_int(csv->time_usec[1], INT64_C(1795487206000000));
	check_int(csv_find(csv, "b"), 1);
	check_int(csv_find(csv, "c"), -1);
	check_near(csv->values[0][0], 1.5, 0);
	check(isnan(csv->values[0][1]) && isnan(csv->values[1][0]));
	check_near(csv->values[1][1], -2000, 0);
}

static void test_csv_no_time_column(void)
{
	static const char text[] = "a\n1\n2";
	cleanup(csv_free) struct csv *csv = NULL;

	check_int(read_text(text, sizeof(text) - 1, &csv, NULL), 0);
	check(!csv->time_usec);
	check_int(csv->rows, 2);
}

static void test_csv_errors_name_line_and_column(void)
{
	static const struct {
		const char *text;
		size_t size;
		const char *says;
	} bad[] = {
		{"", 0, "empty"},
		{"1,2\n3,4\n", 8, ":1: '1' is a number"},
		{"a,a\n", 4, ":1: column 'a' is there twice"},
		{"a,,b\n", 5, ":1: column 2 has no name"},
		{"a,b\n1,2\n1\n", 10, ":3: 1 cells where the header has 2"},
		{"a,b\n1,2,3\n", 10, ":2: more cells"},
		{"a,b\n1,x7\n", 9, ":2: column 'b': 'x7' is no number"},
		{"t,b\nlater,1\n", 12, ":2: 'later' is no time"},
		{"a\n1\0002\n", 6, ":2: NUL byte"},
		{"t\n", 2, "no columns"},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cleanup(csv_free) struct csv *csv = NULL;
		struct error err = ERROR_INIT;

		check_int(read_text(bad[i].text, bad[i].size, &csv, &err), -EINVAL);
		check(strstr(err.text, bad[i].says));
	}
}

static void test_csv_row_numbers_are_times_too(void)
{
	static const char text[] = "t,a\n0,1\n1,2\n";
	cleanup(csv_free) struct csv *csv = NULL;

	check_int(read_text(text, sizeof(text) - 1, &csv, NULL), 0);
	check_int(csv->columns, 1);
	check_int(csv->time_usec[1], 1000000);
}

static void test_csv_packed_by_gzip(void)
{
	/* "t,a\n5,1.5\n" */
	static const char packed[] =
		"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x2b\xd1\x49\xe4\x32\xd5\x31\xd4\x33\xe5"
		"\x02\x00\xd5\x48\xfa\xa8\x0a\x00\x00\x00";
	cleanup(csv_free) struct csv *csv = NULL;
	struct error err = ERROR_INIT;

	check_int(read_text(packed, sizeof(packed) - 1, &csv, &err), 0);
	check_int(csv->rows, 1);
	check_near(csv->values[0][0], 1.5, 0);
	check_int(read_text(packed, sizeof(packed) - 6, &csv, &err), -EBADMSG);
	check(strstr(err.text, "cut short"));
}

/* A line longer than the limit is not gathered to its end. */
static void test_csv_endless_line(void)
{
	enum { SIZE = CSV_LINE_SIZE_MAX + 100 };
	cleanup(free) char *text = malloc(SIZE);
	cleanup(csv_free) struct csv *csv = NULL;
	struct error err = ERROR_INIT;

	check(text);
	memset(text, 'a', SIZE);
	check_int(read_text(text, SIZE, &csv, &err), -E2BIG);
	check(strstr(err.text, ":1: line is longer"));
}

static void test_csv_missing_file(void)
{
	struct error err = ERROR_INIT;
	struct csv *csv;

	check_int(csv_read("/nonexistent/x.csv", &csv, &err), -ENOENT);
	check(strstr(err.text, "/nonexistent/x.csv: No such file"));
}

TEST_MAIN(TEST(test_csv_times_gaps_and_values), TEST(test_csv_no_time_column),
	  TEST(test_csv_errors_name_line_and_column), TEST(test_csv_row_numbers_are_times_too),
	  TEST(test_csv_packed_by_gzip), TEST(test_csv_endless_line), TEST(test_csv_missing_file))
