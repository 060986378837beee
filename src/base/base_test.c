/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/map.h"
#include "base/test.h"

DEFINE_CLEANUP(struct map *, map_free)

static void test_error_prefix_keeps_code_and_order(void)
{
	struct error err = ERROR_INIT;

	check_int(error_set(&err, -EINVAL, "bad key '%s'", "x"), -EINVAL);
	check_int(error_prefix(&err, -EINVAL, "a.yaml:%d", 3), -EINVAL);
	check_string(err.text, "a.yaml:3: bad key 'x'");
	check_int(err.code, -EINVAL);
}

static void test_error_text_is_bounded(void)
{
	struct error err = ERROR_INIT;
	char big[2 * ERROR_TEXT_SIZE];

	memset(big, 'a', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	(void)error_set(&err, -EIO, "%s", big);
	check_int(strlen(err.text), ERROR_TEXT_SIZE - 1);
	check_string(error_text(NULL, -ENOENT), "No such file or directory");
}

static void test_clock_text_round_trip(void)
{
	char text[CLOCK_TEXT_SIZE];
	int64_t usec;

	check_string(clock_format(INT64_C(1795487205567000), text), "2026-11-24T02:26:45.567Z");
	check_int(clock_parse(text, &usec), 0);
	check_int(usec, INT64_C(1795487205567000));
	check_int(clock_parse("1795487205.567", &usec), 0);
	check_int(usec, INT64_C(1795487205567000));
	check_int(clock_parse("yesterday", &usec), -EINVAL);
	check_int(clock_parse("2026-11-24T04:26:45+01:00", &usec), -EINVAL);
	check_int(clock_parse("nan", &usec), -EINVAL);
}

static void test_map_many_keys_in_order(void)
{
	cleanup(map_free) struct map *map = map_new();
	static int values[1000];
	char key[16];

	for (int i = 0; i < 1000; i++) {
		(void)snprintf(key, sizeof(key), "key%d", i);
		check_int(map_put(map, key, &values[i]), 0);
	}
	check_int(map_put(map, "key7", &values[0]), -EEXIST);
	check(map_remove(map, "key500") == &values[500]);
	check(!map_find(map, "key500"));
	check_int(map_size(map), 999);
	check(map_at(map, 499) == &values[499] && map_at(map, 500) == &values[501]);
	check(map_find(map, "key999") == &values[999]);
}

static void test_log_level_names(void)
{
	enum log_level level;

	check_int(log_level_parse("warning", &level), 0);
	check_int(level, LOG_LEVEL_WARNING);
	check_int(log_level_parse("loud", &level), -EINVAL);
}

TEST_MAIN(TEST(test_error_prefix_keeps_code_and_order), TEST(test_error_text_is_bounded),
	  TEST(test_clock_text_round_trip), TEST(test_map_many_keys_in_order),
	  TEST(test_log_level_names))
