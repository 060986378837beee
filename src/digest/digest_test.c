/* SPDX-License-Identifier: Apache-2.0 */
#include "digest/digest.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/test.h"

/* The examples of NIST for SHA-256 (FIPS 180-2, appendix B), and that of no bytes at all. */
static void test_digest_known_answers(void)
{
	static const struct {
		const char *text, *hex;
	} known[] = {
		{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
	};
	char hex[DIGEST_TEXT_SIZE];

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		check_int(digest_text(known[i].text, strlen(known[i].text), hex), 0);
		check_string(hex, known[i].hex);
	}
	check_int(digest_text(NULL, 0, hex), 0);
	check_string(hex, known[0].hex);
}

static void test_digest_a_million_bytes(void)
{
	enum { MILLION = 1000000 };
	cleanup(free) char *data = malloc(MILLION);
	char hex[DIGEST_TEXT_SIZE];

	check(data);
	memset(data, 'a', MILLION);
	check_int(digest_text(data, MILLION, hex), 0);
	check_string(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* Expected: printf '\nfirst' | sha256sum, and so on with the seal before the newline. */
static void test_digest_seal_chains(void)
{
	char hex[DIGEST_TEXT_SIZE];

	check_int(digest_seal("", "first", hex), 0);
	check_string(hex, "d4e15b7eb0a7ebdbd7c27fcca9da6d381d40c78da29d464ddae51c75cc54d21a");
	check_int(digest_seal(hex, "second", hex), 0);
	check_string(hex, "22d27e0dd8fb3178892c23bed688cd742dc60afbc432c5f480a07c0b69af7112");
}

static void test_digest_seal_depends_on_both(void)
{
	char seal[DIGEST_TEXT_SIZE], other[DIGEST_TEXT_SIZE];

	check_int(digest_seal("", "{\"pid\":1}", seal), 0);
	check_int(digest_seal("", "{\"pid\":2}", other), 0);
	check(strcmp(seal, other) != 0);
	check_int(digest_seal(other, "{\"pid\":1}", other), 0);
	check(strcmp(seal, other) != 0);
}

TEST_MAIN(TEST(test_digest_known_answers), TEST(test_digest_a_million_bytes),
	  TEST(test_digest_seal_chains), TEST(test_digest_seal_depends_on_both))
