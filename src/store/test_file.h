#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The database of one test: start() makes a folder for it and names it in `path`, finish() removes
 * both. For the tests of this folder; each test program has its own.
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/test.h"
#include "store/store.h"

DEFINE_CLEANUP(struct store *, store_free)

static char directory[64], path[96];

static inline int start(void)
{
	(void)strcpy(directory, "/tmp/atom-store-test-XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/atom.db", directory);
	return 0;
}

static inline void finish(void)
{
	static const char *const suffixes[] = {"", "-wal", "-shm", ".lock"};
	char name[128];

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		(void)snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
		(void)unlink(name);
	}
	(void)rmdir(directory);
}
