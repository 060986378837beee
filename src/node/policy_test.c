/* SPDX-License-Identifier: Apache-2.0 */
#include "node/policy.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/test.h"

enum { PATH_SIZE = 512, PAGE_SIZE = 8192 };

static char folder[] = "/tmp/atom-policy-test-XXXXXX";

static const char *path_of(const char *name)
{
	static char path[PATH_SIZE];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

/* Loads this text. */
static int load(const char *text, struct policy *ret_policy, struct error *err)
{
	FILE *stream;
	int r;

	(void)strcpy(folder + sizeof(folder) - 7, "XXXXXX");
	if (!mkdtemp(folder))
		return -errno;
	stream = fopen(path_of("policy.yaml"), "we");
	if (!stream || fputs(text, stream) < 0 || fclose(stream) != 0)
		return -EIO;
	r = policy_load(path_of("policy.yaml"), ret_policy, err);
	(void)unlink(path_of("policy.yaml"));
	(void)rmdir(folder);
	return r;
}

static bool allows_view(const struct policy *policy, const char *vm, const char *project,
			const char *view)
{
	return policy_allows_view(policy, &(struct policy_case){"controller", vm, project}, view);
}

static bool allows_action(const struct policy *policy, const char *vm, const char *project,
			  const char *action)
{
	return policy_allows_action(policy, &(struct policy_case){"controller", vm, project},
				    action);
}

static bool has_defaults(const struct policy *policy)
{
	return allows_view(policy, "web1", "", "ps") &&
	       allows_view(policy, "db", "shop", "hidden") &&
	       !allows_action(policy, "web1", "", "end-process") &&
	       !allows_action(policy, "web1", "", "none");
}

static void test_policy_without_file_looks_in_and_does_nothing(void)
{
	struct policy policy;

	check_int(policy_load("", &policy, NULL), 1);
	check(has_defaults(&policy));
	policy_deinit(&policy);
	check_int(policy_load("/nowhere/node-policy.yaml", &policy, NULL), 1);
	check(has_defaults(&policy));
	policy_deinit(&policy);
}

static void test_policy_without_rules_is_the_defaults(void)
{
	static const char *const texts[] = {"", "rules: []\n", "rules:\n  - vm: other\n",
					    "rules: [{vm: other, views: [none]}]\n"};
	struct policy policy;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		check_int(load(texts[i], &policy, NULL), 0);
		check(has_defaults(&policy));
		policy_deinit(&policy);
	}
}

static void test_policy_first_rule_that_fits_counts(void)
{
	struct policy policy;

	check_int(load("rules:\n"
		       "  - {vm: 'web-[0-9]*', project: shop, views: [ps, net]}\n"
		       "  - {vm: 'web-*', actions: [end-process, pause]}\n"
		       "  - {project: '?*', views: [none, ps]}\n"
		       "  - {views: [all], actions: [none, pause]}\n",
		       &policy, NULL),
		  0);
	check(allows_view(&policy, "web-12", "shop", "net"));
	check(!allows_view(&policy, "web-12", "shop", "files"));
	check(!allows_action(&policy, "web-12", "shop", "pause"));
	check(allows_view(&policy, "web-x", "shop", "files"));
	check(allows_action(&policy, "web-12", "", "pause"));
	check(!allows_action(&policy, "web-12", "", "snapshot"));
	check(!allows_view(&policy, "db", "shop", "ps"));
	check(allows_view(&policy, "db", "", "ps"));
	check(!allows_action(&policy, "db", "", "pause"));
	policy_deinit(&policy);
}

static void test_policy_controllers_take_part_in_the_fit(void)
{
	static const struct {
		struct policy_case asked;
		bool may_pause, may_look;
	} cases[] = {
		{{"ops-7", "web1", ""}, true, true}, {{"night", "web1", ""}, true, true},
		{{"day", "web1", ""}, false, true},  {{"ops-7", "db1", ""}, false, false},
		{{"", "web1", ""}, false, true},     {{"", "db1", ""}, false, false},
	};
	struct policy policy;

	check_int(load("rules:\n"
		       "  - {vm: 'web*', controllers: ['ops-*', night], actions: [pause]}\n"
		       "  - {vm: 'web*', views: [top]}\n"
		       "  - {controllers: ['*'], views: [none]}\n",
		       &policy, NULL),
		  0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		check(policy_allows_action(&policy, &cases[i].asked, "pause") ==
		      cases[i].may_pause);
		check(policy_allows_view(&policy, &cases[i].asked, "top") == cases[i].may_look);
	}
	policy_deinit(&policy);
}

/* "kill", "isf" and "snapshot" would be commands where a view stands. */
static void test_policy_unknown_words_are_never_allowed(void)
{
	static const char *const words[] = {"kill", "isf",     "snapshot", "help",  "all",  "none",
					    "",     "info|ps", "inf",      "infos", "topp", "|"};
	struct policy policy;

	check_int(load("rules: [{views: [all], actions: [contain]}]\n", &policy, NULL), 0);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		check(!allows_view(&policy, "web1", "", words[i]));
		check(!allows_action(&policy, "web1", "", words[i]));
	}
	check(allows_view(&policy, "web1", "", "info"));
	check(allows_view(&policy, "web1", "", "syscalls"));
	check(allows_view(&policy, "web1", "", "top"));
	check(allows_action(&policy, "web1", "", "contain"));
	policy_deinit(&policy);
}

static void test_policy_bad_file_names_line_and_key(void)
{
	static const struct {
		const char *text, *line, *key;
	} bad[] = {
		{"rules:\n  - vm: a\n    viws: [ps]\n", "policy.yaml:3: ", "'viws'"},
		{"rules:\n  - views: [ps, kill]\n", "policy.yaml:2: ", "'views'"},
		{"rules:\n  - actions: [all]\n", "policy.yaml:2: ", "'actions'"},
		{"\nrule: []\n", "policy.yaml:2: ", "'rule'"},
		{"rules: {vm: a}\n", "policy.yaml:1: ", "'rules'"},
	};
	struct policy policy;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct error err = ERROR_INIT;

		check_int(load(bad[i].text, &policy, &err), -EINVAL);
		check(strstr(err.text, bad[i].line) != NULL);
		check(strstr(err.text, bad[i].key) != NULL);
	}
}

static void test_policy_unreadable_file_is_an_error(void)
{
	struct error err = ERROR_INIT;
	struct policy policy;

	check_int(policy_load("/", &policy, &err), -EIO);
	check(strstr(err.text, "/: ") != NULL);
}

/* What stands in a file of the source tree; false: no tree is named. */
static bool read_source(const char *name, char *ret_text, size_t size)
{
	const char *source = getenv("ATOM_SOURCE");
	char path[PATH_SIZE];
	FILE *stream;

	(void)snprintf(path, sizeof(path), "%s/%s", source ? source : ".", name);
	stream = fopen(path, "re");
	if (!stream)
		return false;
	ret_text[fread(ret_text, 1, size - 1, stream)] = '\0';
	(void)fclose(stream);
	return true;
}

static void test_policy_reference_page_is_that_of_the_table(void)
{
	char page[PAGE_SIZE], *text = NULL;
	size_t size;
	FILE *stream;
	bool same;

	if (!getenv("ATOM_SOURCE"))
		test_skip("ATOM_SOURCE names no source tree");
	stream = open_memstream(&text, &size);
	check(stream != NULL);
	config_print_reference(&policy_table, stream);
	(void)fclose(stream);
	same = read_source("docs/node-policy.yaml.md", page, sizeof(page)) &&
	       strcmp(page, text) == 0;
	if (!same)
		printf("# should be:\n%s", text);
	free(text);
	check(same);
}

/* The file that is shipped is good as it is, and when its example is made to count. */
static void test_policy_example_is_good(void)
{
	char text[PAGE_SIZE], *rest = text, example[PAGE_SIZE] = "";
	struct error err = ERROR_INIT;
	struct policy policy;
	bool is_example = false;

	if (!getenv("ATOM_SOURCE"))
		test_skip("ATOM_SOURCE names no source tree");
	check(read_source("etc/node-policy.yaml", text, sizeof(text)));
	check_int(load(text, &policy, &err), 0);
	check(has_defaults(&policy));
	policy_deinit(&policy);
	for (const char *line; (line = strsep(&rest, "\n"));) {
		is_example |= strcmp(line, "# rules:") == 0;
		if (!is_example || *line != '#')
			continue;
		(void)strcat(example, line + 1 + (line[1] == ' '));
		(void)strcat(example, "\n");
	}
	check_int(load(example, &policy, &err), 0);
	check_int(policy.rules.count, 3);
	check(!allows_view(&policy, "vault-1", "", "ps"));
	check(!allows_view(&policy, "a", "customers", "files"));
	check(allows_action(&policy, "web-1", "", "end-process"));
	check(!policy_allows_action(&policy, &(struct policy_case){"other", "web-1", ""},
				    "end-process"));
	policy_deinit(&policy);
}

TEST_MAIN(TEST(test_policy_without_file_looks_in_and_does_nothing),
	  TEST(test_policy_without_rules_is_the_defaults),
	  TEST(test_policy_first_rule_that_fits_counts),
	  TEST(test_policy_controllers_take_part_in_the_fit),
	  TEST(test_policy_unknown_words_are_never_allowed),
	  TEST(test_policy_bad_file_names_line_and_key),
	  TEST(test_policy_unreadable_file_is_an_error),
	  TEST(test_policy_reference_page_is_that_of_the_table), TEST(test_policy_example_is_good))
