#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packs bytes into an xz archive as they come, and hands the archive on piece by piece: the
 * counterpart of unpack.h. pack_end() must be the last call before pack_free(), or the archive is
 * cut short. One owner, one thread at a time.
 */
#include <stddef.h>

struct pack;

/* Takes a piece of the archive; 0, or a negative errno, which ends the packing. The bytes are
 * borrowed until it returns. */
typedef int pack_sink(void *userdata, const void *bytes, size_t size);

/* Returns owned, or NULL when memory is out. `userdata` is the sink's. */
struct pack *pack_new(pack_sink *sink, void *userdata);
struct pack *pack_free(struct pack *pack);

/* 0, the sink's error, or -ENOMEM; of no use after an error. */
int pack_write(struct pack *pack, const void *bytes, size_t size);
int pack_end(struct pack *pack);
