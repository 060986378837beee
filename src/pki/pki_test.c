/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/pki.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/test.h"

static char directory[64];

static const char *in(const char *name)
{
	static char paths[4][128];
	static unsigned next;
	char *path = paths[next++ % 4];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
	return path;
}

static int start(void)
{
	(void)strcpy(directory, "/tmp/atom-pki-test-XXXXXX");
	return mkdtemp(directory) ? pki_create_authority(directory, NULL) : -1;
}

static void finish(void)
{
	static const char *const names[] = {"ca.key",     "ca.crt",         "node-a.key",
					    "node-a.crt", "controller.key", "controller.crt"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)unlink(in(names[i]));
	(void)rmdir(directory);
}

static void test_pki_node_certificate_is_good(void)
{
	char name[PKI_NAME_MAX + 1];
	int64_t expires;
	struct stat info;

	check_int(start(), 0);
	check_int(pki_issue_node(directory, "node-a", directory, NULL), 0);
	check_int(pki_check_files(in("ca.crt"), in("node-a.crt"), in("node-a.key"), name, &expires,
				  NULL),
		  0);
	check_string(name, "node-a");
	check(expires > time(NULL) + 700 * 86400);
	check_int(stat(in("node-a.key"), &info), 0);
	check_int(info.st_mode & 0777, 0600);
	finish();
}

static void test_pki_never_overwrites(void)
{
	struct error err = ERROR_INIT;

	check_int(start(), 0);
	check_int(pki_create_authority(directory, &err), -EEXIST);
	check_int(pki_issue_node(directory, "node-a", directory, NULL), 0);
	check_int(pki_issue_node(directory, "node-a", directory, &err), -EEXIST);
	check(strstr(err.text, "remove it first"));
	finish();
}

static void test_pki_controller_names(void)
{
	static const char *const good[] = {"localhost", "127.0.0.1", "::1"};
	static const char *const bad[] = {"a,DNS:b"};
	struct error err = ERROR_INIT;

	check_int(start(), 0);
	check_int(pki_issue_controller(directory, bad, 1, directory, &err), -EINVAL);
	check_int(pki_issue_controller(directory, NULL, 0, directory, &err), -EINVAL);
	check_int(pki_issue_controller(directory, good, 3, directory, NULL), 0);
	check_int(pki_check_files(in("ca.crt"), in("controller.crt"), in("controller.key"), NULL,
				  NULL, NULL),
		  0);
	finish();
}

static void test_pki_mismatches_are_named(void)
{
	struct error err = ERROR_INIT;

	check_int(start(), 0);
	check_int(pki_issue_node(directory, "node-a", directory, NULL), 0);
	check_int(pki_check_files(in("ca.crt"), in("node-a.crt"), in("ca.key"), NULL, NULL, &err),
		  -EINVAL);
	check(strstr(err.text, "is not the key of"));
	check_int(
		pki_check_files(in("ca.crt"), in("node-a.key"), in("node-a.key"), NULL, NULL, &err),
		-EINVAL);
	check(strstr(err.text, "no certificate in PEM form"));
	check_int(pki_check_files(in("none.crt"), in("node-a.crt"), in("node-a.key"), NULL, NULL,
				  &err),
		  -ENOENT);
	finish();
}

static void test_pki_node_names(void)
{
	static const char *const bad[] = {"",    ".a", "-a",         "a/b",
					  "a b", "ca", "controller", "\xc3\xa4"};

	check_int(pki_check_name("host-1.example", NULL), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		check_int(pki_check_name(bad[i], NULL), -EINVAL);
}

TEST_MAIN(TEST(test_pki_node_certificate_is_good), TEST(test_pki_never_overwrites),
	  TEST(test_pki_controller_names), TEST(test_pki_mismatches_are_named),
	  TEST(test_pki_node_names))
