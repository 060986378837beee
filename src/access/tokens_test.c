/* SPDX-License-Identifier: Apache-2.0 */
#include "access/tokens.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/test.h"

/* printf secret | sha256sum */
#define SECRET "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"
#define OTHER "0000000000000000000000000000000000000000000000000000000000000001"

static char folder[] = "/tmp/atom-tokens-test-XXXXXX";
static char path[64];

/* Loads a file of this text and mode. */
static int load(const char *text, mode_t mode, struct tokens *tokens, struct error *err)
{
	cleanup(fclose) FILE *stream = fopen(path, "we");

	if (!stream || fputs(text, stream) < 0 || fflush(stream) != 0 || chmod(path, mode) < 0)
		return -EIO;
	return tokens_load(path, tokens, err);
}

static void test_tokens_are_found_by_their_text(void)
{
	struct tokens tokens;
	const struct token *found;

	check_int(load("tokens:\n"
		       "  - {name: anna, role: operator, project: web, sha256: " SECRET "}\n"
		       "  - {name: grafana, sha256: " OTHER "}\n",
		       0600, &tokens, NULL),
		  0);
	found = tokens_find(&tokens, "secret");
	check(found != NULL);
	check_string(found->name, "anna");
	check_int(found->role, ACCESS_OPERATOR);
	check_string(found->project, "web");
	check(tokens_find(&tokens, "secre") == NULL);
	check(tokens_find(&tokens, "") == NULL);
	check(tokens_find(&tokens, SECRET) == NULL);
	tokens_deinit(&tokens);
}

static void test_tokens_bad_files_are_named(void)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"tokens:\n  - {name: a, sha256: abc}\n", "token 'a': sha256: must be 64"},
		{"tokens:\n  - {name: 'a b', sha256: " SECRET "}\n", "token 'a b': a name has"},
		{"tokens:\n  - {name: a, role: king, sha256: " SECRET "}\n", "'king' is not one"},
		{"tokens:\n  - {name: a}\n", "key 'sha256' is missing"},
		{"tokens:\n  - {name: a, sha256: " SECRET "}\n  - {name: a, sha256: " OTHER "}\n",
		 "token 'a': the name is there twice"},
		{"tokens:\n  - {name: a, sha256: " SECRET "}\n  - {name: b, sha256: " SECRET "}\n",
		 "token 'b': has the same token as 'a'"},
		{"tokens:\n  - {name: a, project: \"x\\ey\", sha256: " SECRET "}\n",
		 "token 'a': project: may not"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tokens tokens;
		struct error err = ERROR_INIT;

		check_int(load(cases[i].text, 0600, &tokens, &err), -EINVAL);
		check(strstr(err.text, path) == err.text);
		check(strstr(err.text, cases[i].message) != NULL);
	}
}

static void test_tokens_that_others_may_write_are_refused(void)
{
	struct tokens tokens;
	struct error err = ERROR_INIT;

	check_int(load("tokens: []\n", 0620, &tokens, &err), -EPERM);
	check(strstr(err.text, "chmod go-w") != NULL);
	check_int(unlink(path), 0);
	check_int(tokens_load(path, &tokens, NULL), -ENOENT);
}

static void test_tokens_made_added_saved_and_removed(void)
{
	char made[TOKENS_TEXT_SIZE], again[TOKENS_TEXT_SIZE];
	struct tokens tokens;
	struct stat info;

	check_int(tokens_make(made, NULL), 0);
	check_int(tokens_make(again, NULL), 0);
	check_int(strlen(made), TOKENS_TEXT_SIZE - 1);
	check(strncmp(made, "atom_", 5) == 0 && strcmp(made, again) != 0);
	check_int(load("", 0640, &tokens, NULL), 0);
	check_int(tokens_add(&tokens, "anna", ACCESS_ADMIN, "a \"b\" \\c: #d", made, NULL), 0);
	check_int(tokens_add(&tokens, "bot", ACCESS_VIEWER, "", again, NULL), 0);
	check_int(tokens_add(&tokens, "bot", ACCESS_VIEWER, "", "x", NULL), -EEXIST);
	check_int(tokens_add(&tokens, "a\nb", ACCESS_VIEWER, "", "x", NULL), -EINVAL);
	check_int(tokens_add(&tokens, "-x", ACCESS_VIEWER, "", "x", NULL), -EINVAL);
	check_int(tokens_save(&tokens, path, NULL), 0);
	tokens_deinit(&tokens);

	check_int(stat(path, &info), 0);
	check_int(info.st_mode & 0777, 0640);
	check_int(tokens_load(path, &tokens, NULL), 0);
	check_int(tokens.list.count, 2);
	check_string(tokens_find(&tokens, made)->project, "a \"b\" \\c: #d");
	check_int(tokens_find(&tokens, made)->role, ACCESS_ADMIN);
	check_int(tokens_remove(&tokens, "nobody", NULL), -ENOENT);
	check_int(tokens_remove(&tokens, "anna", NULL), 0);
	check(tokens_find(&tokens, made) == NULL);
	check_string(tokens_find(&tokens, again)->name, "bot");
	check_int(tokens_remove(&tokens, "bot", NULL), 0);
	check_int(unlink(path), 0);
	check_int(tokens_save(&tokens, path, NULL), 0);
	tokens_deinit(&tokens);

	check_int(stat(path, &info), 0);
	check_int(info.st_mode & 0777, 0600);
	check_int(tokens_load(path, &tokens, NULL), 0);
	check_int(tokens.list.count, 0);
	tokens_deinit(&tokens);
}

static void test_tokens_save_follows_a_link(void)
{
	struct tokens tokens = {0};
	char link[80];
	struct stat info;

	(void)snprintf(link, sizeof(link), "%s/link.yaml", folder);
	check_int(load("tokens: []\n", 0600, &tokens, NULL), 0);
	check_int(symlink(path, link), 0);
	check_int(tokens_add(&tokens, "a", ACCESS_VIEWER, "", "x", NULL), 0);
	check_int(tokens_save(&tokens, link, NULL), 0);
	tokens_deinit(&tokens);
	check_int(lstat(link, &info), 0);
	check(S_ISLNK(info.st_mode));
	check_int(tokens_load(path, &tokens, NULL), 0);
	check_int(tokens.list.count, 1);
	tokens_deinit(&tokens);
	check_int(unlink(link), 0);
}

static void test_tokens_lock_names_a_folder_that_is_not_there(void)
{
	struct error err = ERROR_INIT;
	int fd = tokens_lock(path, NULL);

	check(fd >= 0);
	check_int(close(fd), 0);
	check_int(tokens_lock("/nowhere/tokens.yaml", &err), -ENOENT);
	check(strstr(err.text, "/nowhere") != NULL);
}

static void test_roles(void)
{
	enum access_role role = ACCESS_NONE;

	check_int(access_role_parse("operator", &role), 0);
	check_int(role, ACCESS_OPERATOR);
	check_string(access_role_name(ACCESS_ADMIN), "admin");
	check_int(access_role_parse("root", &role), -EINVAL);
}

static const struct test_case cases[] = {
	TEST(test_tokens_are_found_by_their_text),
	TEST(test_tokens_bad_files_are_named),
	TEST(test_tokens_that_others_may_write_are_refused),
	TEST(test_tokens_made_added_saved_and_removed),
	TEST(test_tokens_save_follows_a_link),
	TEST(test_tokens_lock_names_a_folder_that_is_not_there),
	TEST(test_roles),
};

int main(void)
{
	int status;

	if (!mkdtemp(folder))
		return 1;
	(void)snprintf(path, sizeof(path), "%s/tokens.yaml", folder);
	status = test_run(cases, sizeof(cases) / sizeof(cases[0]));
	(void)unlink(path);
	return rmdir(folder) == 0 ? status : 1;
}
