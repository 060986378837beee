/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/map.h"
#include "base/test.h"
#include "base/utf8.h"

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

static void test_error_text_is_utf8_wherever_it_is_cut(void)
{
	struct error err = ERROR_INIT;
	char big[2 * ERROR_TEXT_SIZE];

	for (size_t i = 0; i + 2 < sizeof(big); i += 2)
		memcpy(big + i, "\u00e9", 3);
	(void)error_set(&err, -EIO, "%s", big);
	check_int(strlen(err.text), ERROR_TEXT_SIZE - 2);
	(void)error_prefix(&err, -EIO, "a");
	check_int(strlen(err.text), ERROR_TEXT_SIZE - 1);
	(void)error_prefix(&err, -EIO, "a");
	check_int(strlen(err.text), ERROR_TEXT_SIZE - 2);
	(void)error_set_errno(&err, -EIO, "%s", big);
	check_int(strlen(err.text), ERROR_TEXT_SIZE - 2);
	(void)error_set(&err, -EINVAL, "'%.4s' is no time", "abc\u00e9");
	check_string(err.text, "'abc?' is no time");
}

/* Of what is cut at each place nothing is left but whole characters. */
static void test_utf8_print_cuts_between_characters(void)
{
	static const char text[] = "a\u00e9\u20ac\U0001f40bz"; /* of 1, 2, 3, 4 and 1 bytes */
	static const size_t lengths[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11};
	char cut[sizeof(text)];

	for (size_t size = 1; size <= sizeof(text); size++) {
		check(utf8_print(cut, size, "%s", text) == cut);
		check_int(strlen(cut), lengths[size - 1]);
		check(strncmp(cut, text, strlen(cut)) == 0);
	}
}

static void test_utf8_mend(void)
{
	static const struct {
		const char *text, *mended;
	} cases[] = {
		{"", ""},
		{"vm2", "vm2"},
		{"\u00e9\u20ac\U0001f40b", "\u00e9\u20ac\U0001f40b"},
		{"caf\xe9", "caf"},                  /* as if cut */
		{"caf\xe9 au lait", "caf? au lait"}, /* another character set */
		{"a\xe2\x82' b", "a?' b"},           /* cut, and more put after it */
		{"a\x82\xac", "a?"},                 /* the end of one */
		{"a\xc0\xafz\xff", "a?z?"},          /* an overlong one; no byte of any */
		{"\xed\xa0\x80", "?"},               /* half a pair of UTF-16 */
		{"\xf4\x90\x80\x80", "?"},           /* past the last */
		{"\x80\x80\xf0\x9f\x90", "?"},       /* one run, then one that is cut */
		{"a\nb\x1b", "a\nb\x1b"},            /* not what is shown is asked */
	};
	char text[32];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		(void)snprintf(text, sizeof(text), "%s", cases[i].text);
		check_string(utf8_mend(text), cases[i].mended);
	}
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

static void test_hex_both_ways(void)
{
	const uint8_t bytes[] = {0x00, 0x9a, 0xff};
	uint8_t read[3];
	char text[7];

	check_string(hex_write(bytes, 3, text), "009aff");
	check_int(hex_read(text, 3, read), 0);
	check(memcmp(read, bytes, 3) == 0);
	check_string(hex_write(bytes, 0, text), "");
	check_int(hex_read("", 0, read), 0);
	check_int(hex_read("0g", 1, read), -EINVAL);
	check_int(hex_read("A0", 1, read), -EINVAL);
	check_int(hex_read("0", 1, read), -EINVAL); /* the end of the text is no digit */
}

static void test_log_level_names(void)
{
	enum log_level level;

	check_int(log_level_parse("warning", &level), 0);
	check_int(level, LOG_LEVEL_WARNING);
	check_int(log_level_parse("loud", &level), -EINVAL);
}

TEST_MAIN(TEST(test_error_prefix_keeps_code_and_order), TEST(test_error_text_is_bounded),
	  TEST(test_error_text_is_utf8_wherever_it_is_cut),
	  TEST(test_utf8_print_cuts_between_characters), TEST(test_utf8_mend),
	  TEST(test_clock_text_round_trip), TEST(test_map_many_keys_in_order),
	  TEST(test_hex_both_ways), TEST(test_log_level_names))
