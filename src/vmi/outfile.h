#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file that is written whole or not at all: without a name, for its owner only, until
 * outfile_commit(), so that nothing is left of it when we are killed. Where the file system has no
 * files without a name it is PATH.part-?????? beside its own. What was there before stays until
 * then. One owner.
 */
#include "base/error.h"

enum { OUTFILE_PATH_SIZE = 4096 };

struct outfile {
	int fd; /* to write to; -1: none */
	char path[OUTFILE_PATH_SIZE];
	char fresh[OUTFILE_PATH_SIZE + 16]; /* the name until then; "": none */
};

/* Refuses (-EINVAL) what is there and is no regular file. */
int outfile_open(const char *path, struct outfile *ret_file, struct error *err);
int outfile_commit(struct outfile *file, struct error *err);
/* Does nothing after outfile_commit(). */
void outfile_discard(struct outfile *file);
