/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands share: numbers, durations, what an action is called, tokens, the audit's chain.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/test.h"
#include "ctl/act.h"
#include "ctl/action.h"
#include "ctl/audit_chain.h"
#include "ctl/command.h"
#include "ctl/credentials.h"
#include "ctl/sparkline.h"

DEFINE_CLEANUP(json_t *, json_decref)

static void test_numbers_for_people(void)
{
	cleanup(json_decref) json_t *big = json_real(1234567.0);
	cleanup(json_decref) json_t *small = json_real(0.25);
	char text[NUMBER_SIZE];

	check_string(format_number(big, text), "1.235M");
	check_string(format_number(small, text), "0.25");
	check_string(format_number(NULL, text), "-");
	check_string(format_time("2020-01-02T03:04:05.000Z", text), "01-02 03:04");
	check_string(format_time("", text), "-");
}

static void test_sparkline_scales_and_skips_gaps(void)
{
	static const double values[] = {0, NAN, 10, 5};
	cleanup(free) char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);

	sparkline_print(values, 4, stream);
	(void)fclose(stream);
	check_string(text, "▁ █▄");
}

static void test_durations_for_people(void)
{
	char text[NUMBER_SIZE];
	int64_t seconds;

	check_string(action_duration(90, text), "90 s");
	check_string(action_duration(600, text), "10 min");
	check_string(action_duration(7200, text), "2 h");
	check_string(action_duration(604800, text), "7 d");
	check_string(action_duration(0, text), "0 s");
	check(act_duration("2h", &seconds));
	check_int(seconds, 7200);
	check(act_duration("1500ms", &seconds));
	check_int(seconds, 2);
	check(act_duration(NULL, &seconds));
	check_int(seconds, 600);
	check(!act_duration("8d", &seconds) && !act_duration("0", &seconds) &&
	      !act_duration("soon", &seconds));
}

/* Checks what an action of this kind at vm2 is called; takes the arguments. */
static bool is_called(const char *kind, json_t *arguments, const char *expected)
{
	cleanup(json_decref) json_t *owned = arguments;
	cleanup(free) char *text = action_describe(kind, "vm2", owned);

	if (text && strcmp(text, expected) == 0)
		return true;
	printf("# '%s', not '%s'\n", text ? text : "", expected);
	return false;
}

static void test_actions_are_described(void)
{
	check(is_called("end-process", json_pack("{s:i, s:s}", "pid", 214, "command", "ab"),
			"end process 214 (ab) of vm2"));
	check(is_called("end-process", json_pack("{s:i}", "pid", 214), "end process 214 of vm2"));
	check(is_called("end-process", json_pack("{s:i, s:s}", "pid", 1, "command", "%n%s"),
			"end process 1 (%n%s) of vm2"));
	check(is_called(
		"contain",
		json_pack("{s:s, s:i, s:i}", "peer", "10.0.0.9", "rate", 0, "expiry_seconds", 600),
		"contain 10.0.0.9 at vm2, for 10 min"));
	check(is_called("release", json_pack("{s:i}", "undoes", 6),
			"release what action 6 contains at vm2"));
	check(is_called("pause", NULL, "pause vm2"));
	check(is_called("snapshot", json_integer(7), "save the memory of vm2"));
}

static void test_audit_chain_finds_what_is_wrong(void)
{
	struct audit_chain chain = {0};
	char first[DIGEST_TEXT_SIZE], second[DIGEST_TEXT_SIZE];
	struct error err = ERROR_INIT;

	check_int(digest_seal("", "one", first), 0);
	check_int(digest_seal(first, "two", second), 0);
	chain.expected = second;
	check_int(audit_chain_add(&chain, 2, "two", second, &err), -EBADMSG);
	check(strstr(err.text, "record 1 is not there") != NULL);
	check_int(audit_chain_add(&chain, 1, "one", first, NULL), 0);
	check_int(audit_chain_add(&chain, 2, "twO", second, &err), -EBADMSG);
	check(strstr(err.text, "record 2 is not what was sealed") != NULL);
	check_int(audit_chain_add(&chain, 2, "two", first, NULL), -EBADMSG);
	check_int(chain.count, 1);
	check_int(chain.expected_number, 0);
	check_int(audit_chain_add(&chain, 2, "two", second, NULL), 0);
	check_int(chain.expected_number, 2);
	check_string(chain.hash, second);
}

/* What a file with this text holds as a token. */
static int token_in(const char *text, char **ret_token)
{
	char path[] = "/tmp/atom-ctl-test-XXXXXX";
	int fd = mkstemp(path), r;

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return -EIO;
	(void)close(fd);
	r = credentials_find(path, ret_token, NULL);
	(void)unlink(path);
	return r;
}

static void test_credentials_are_one_printable_word(void)
{
	cleanup(free) char *token = NULL;

	check_int(token_in(" \tatom_0123\r\n\n", &token), 0);
	check_string(token, "atom_0123");
	check_int(token_in("", &token), -EINVAL);
	check_int(token_in("a b", &token), -EINVAL);
	check_int(token_in("a\rX-Evil: 1", &token), -EINVAL);
	check_int(token_in("\xc3\xa4", &token), -EINVAL);
	check_int(credentials_find("/nowhere/token", &token, NULL), -ENOENT);
}

TEST_MAIN(TEST(test_numbers_for_people), TEST(test_sparkline_scales_and_skips_gaps),
	  TEST(test_durations_for_people), TEST(test_actions_are_described),
	  TEST(test_audit_chain_finds_what_is_wrong), TEST(test_credentials_are_one_printable_word))
