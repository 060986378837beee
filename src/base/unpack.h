#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of a file, unpacked on the way where they are an xz or gzip archive (told by their
 * first bytes, not by the name; several archives one after another are one stream). What comes out
 * is limited, since an archive of a few bytes may hold gigabytes, and so is the memory of the
 * decoders (UNPACK_MEMORY_MAX). One owner, one thread at a time.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

struct unpack;

enum { UNPACK_MEMORY_MAX = 128 << 20 };

/* Opens `path` for reading at most `size_max` unpacked bytes. Returns owned. Errors: the open's
 * errno, -ENOMEM. */
int unpack_open(const char *path, uint64_t size_max, struct unpack **ret_unpack, struct error *err);
struct unpack *unpack_free(struct unpack *unpack);

/* The next bytes, at most `size` >= 1 of them: how many, or 0 at the end. -EBADMSG: the archive is
 * damaged or cut short; -EFBIG: more than size_max come out of it; -ENOMEM; else the read's errno.
 * After an error the stream is of no use. */
ssize_t unpack_read(struct unpack *unpack, void *ret_bytes, size_t size, struct error *err);
