#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file that is written whole or not at all: under another name beside its own, for its owner
 * only, until outfile_commit(). What was there before stays until then. One owner.
 */
#include "base/error.h"

enum { OUTFILE_PATH_SIZE = 4096 };

struct outfile {
	int fd; /* to write to; -1: none */
	char path[OUTFILE_PATH_SIZE], fresh[OUTFILE_PATH_SIZE + 8];
};

/* Refuses (-EINVAL) what is there and is no regular file. */
int outfile_open(const char *path, struct outfile *ret_file, struct error *err);
int outfile_commit(struct outfile *file, struct error *err);
/* Does nothing after outfile_commit(). */
void outfile_discard(struct outfile *file);
