/* SPDX-License-Identifier: Apache-2.0 */
#include "node/evidence.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/test.h"

static void make(const char *folder, const char *name)
{
	char path[128];
	FILE *stream;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	stream = fopen(path, "we");
	if (!stream || fclose(stream) != 0)
		abort();
}

static bool is_there(const char *folder, const char *name)
{
	struct stat status;
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	return lstat(path, &status) == 0;
}

static void test_evidence_sweep_takes_only_what_was_left(void)
{
	static const char *const kept[] = {"evidence-web-7.lime", "evidence-web-7.lime.sha256",
					   "evidence-web-7.lime.part-1234567",
					   "web.lime.part-aB3xYz", "notes"};
	char folder[] = "/tmp/atom-evidence-XXXXXX", path[128], command[128];

	log_init("evidence_test", (enum log_level)0);
	check(mkdtemp(folder) != NULL);
	check_int(evidence_sweep("/nowhere/at/all"), 0);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		make(folder, kept[i]);
	make(folder, "evidence-web-7.lime.part-aB3xYz");
	make(folder, "evidence-w_b-8.lime.part-000000");
	(void)snprintf(path, sizeof(path), "%s/evidence-web-9.lime.part-folder", folder);
	check_int(mkdir(path, 0700), 0);
	check_int(evidence_sweep(folder), 2);
	check(!is_there(folder, "evidence-web-7.lime.part-aB3xYz"));
	check(!is_there(folder, "evidence-w_b-8.lime.part-000000"));
	check(is_there(folder, "evidence-web-9.lime.part-folder"));
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		check(is_there(folder, kept[i]));
	(void)snprintf(command, sizeof(command), "rm -r %s", folder);
	check_int(system(command), 0); /* NOLINT(cert-env33-c): a name of the test's own */
}

TEST_MAIN(TEST(test_evidence_sweep_takes_only_what_was_left))
