/* SPDX-License-Identifier: Apache-2.0 */
#include "base/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <lzma.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/cleanup.h"

enum { IN_SIZE = 64 << 10, GZIP_ANY_WINDOW = 16 + MAX_WBITS };

enum unpack_kind { UNPACK_UNKNOWN, UNPACK_PLAIN, UNPACK_XZ, UNPACK_GZIP };

struct unpack {
	enum unpack_kind kind;
	char *path;
	int fd;
	uint64_t left;   /* bytes that may still come out */
	bool at_end;     /* of the file */
	bool is_between; /* gzip: a member is over, another may follow */
	uint8_t in[IN_SIZE];
	size_t begin, end; /* of what is in `in` */
	lzma_stream xz;
	z_stream gzip;
};

DEFINE_CLEANUP(struct unpack *, unpack_free)

int unpack_open(const char *path, uint64_t size_max, struct unpack **ret_unpack, struct error *err)
{
	cleanup(unpack_free) struct unpack *unpack = calloc(1, sizeof(*unpack));

	if (!unpack)
		return error_set(err, -ENOMEM, "out of memory");
	unpack->left = size_max;
	unpack->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (unpack->fd < 0)
		return error_set_errno(err, -errno, "%s", path);
	unpack->path = strdup(path);
	if (!unpack->path)
		return error_set(err, -ENOMEM, "out of memory");
	*ret_unpack = keep(unpack);
	return 0;
}

struct unpack *unpack_free(struct unpack *unpack)
{
	if (!unpack)
		return NULL;
	if (unpack->kind == UNPACK_XZ)
		lzma_end(&unpack->xz);
	if (unpack->kind == UNPACK_GZIP)
		(void)inflateEnd(&unpack->gzip); /* says only whether data was left over */
	cleanup_close(&unpack->fd);
	free(unpack->path);
	free(unpack);
	return NULL;
}

/* Has at least `least` bytes at hand, or all that are left. */
static int fill(struct unpack *unpack, size_t least, struct error *err)
{
	if (unpack->begin == unpack->end)
		unpack->begin = unpack->end = 0;
	while (!unpack->at_end && unpack->end - unpack->begin < least) {
		ssize_t n = read(unpack->fd, unpack->in + unpack->end, IN_SIZE - unpack->end);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set_errno(err, -errno, "%s", unpack->path);
		unpack->at_end = n == 0;
		unpack->end += (size_t)n;
	}
	return 0;
}

/* Looks at the first bytes and makes the decoder ready. */
static int begin(struct unpack *unpack, struct error *err)
{
	static const uint8_t xz_magic[] = {0xfd, '7', 'z', 'X', 'Z', 0},
			     gzip_magic[] = {0x1f, 0x8b};
	int r = fill(unpack, sizeof(xz_magic), err);

	if (r < 0)
		return r;
	if (unpack->end >= sizeof(xz_magic) &&
	    memcmp(unpack->in, xz_magic, sizeof(xz_magic)) == 0) {
		unpack->xz = (lzma_stream)LZMA_STREAM_INIT;
		if (lzma_stream_decoder(&unpack->xz, UNPACK_MEMORY_MAX, LZMA_CONCATENATED) !=
		    LZMA_OK)
			return error_set(err, -ENOMEM, "out of memory");
		unpack->kind = UNPACK_XZ;
	} else if (unpack->end >= sizeof(gzip_magic) &&
		   memcmp(unpack->in, gzip_magic, sizeof(gzip_magic)) == 0) {
		if (inflateInit2(&unpack->gzip, GZIP_ANY_WINDOW) != Z_OK)
			return error_set(err, -ENOMEM, "out of memory");
		unpack->kind = UNPACK_GZIP;
	} else
		unpack->kind = UNPACK_PLAIN;
	return 0;
}

static ssize_t read_plain(struct unpack *unpack, void *bytes, size_t size, struct error *err)
{
	int r = fill(unpack, 1, err);

	if (r < 0)
		return r;
	if (size > unpack->end - unpack->begin)
		size = unpack->end - unpack->begin;
	memcpy(bytes, unpack->in + unpack->begin, size);
	unpack->begin += size;
	return (ssize_t)size;
}

static ssize_t damaged(const struct unpack *unpack, bool is_short, struct error *err)
{
	return error_set(err, -EBADMSG, "%s: the archive is %s", unpack->path,
			 is_short ? "cut short" : "damaged");
}

static ssize_t read_xz(struct unpack *unpack, void *bytes, size_t size, struct error *err)
{
	lzma_stream *xz = &unpack->xz;

	xz->next_out = bytes;
	xz->avail_out = size;
	while (xz->avail_out == size) {
		lzma_ret status;
		int r = fill(unpack, 1, err);

		if (r < 0)
			return r;
		xz->next_in = unpack->in + unpack->begin;
		xz->avail_in = unpack->end - unpack->begin;
		status = lzma_code(xz, unpack->at_end ? LZMA_FINISH : LZMA_RUN);
		unpack->begin = unpack->end - xz->avail_in;
		if (status == LZMA_STREAM_END)
			break;
		if (status == LZMA_MEM_ERROR || status == LZMA_MEMLIMIT_ERROR)
			return error_set(err, -ENOMEM, "%s: unpacking it takes too much memory",
					 unpack->path);
		if (status != LZMA_OK)
			return damaged(unpack, status == LZMA_BUF_ERROR, err);
	}
	return (ssize_t)(size - xz->avail_out);
}

/* Between two members. 1: at the end of the file, 0: at the next member. */
static int next_member(struct unpack *unpack, struct error *err)
{
	int r = fill(unpack, 1, err);

	if (r < 0)
		return r;
	if (unpack->begin == unpack->end)
		return 1;
	unpack->is_between = false;
	return inflateReset(&unpack->gzip) == Z_OK ? 0 : (int)damaged(unpack, false, err);
}

static ssize_t read_gzip(struct unpack *unpack, void *bytes, size_t size, struct error *err)
{
	z_stream *gzip = &unpack->gzip;

	gzip->next_out = bytes;
	gzip->avail_out = (uInt)size;
	while (gzip->avail_out == size) {
		int r = unpack->is_between ? next_member(unpack, err) : fill(unpack, 1, err);

		if (r < 0)
			return r;
		if (r == 1)
			break;
		gzip->next_in = unpack->in + unpack->begin;
		gzip->avail_in = (uInt)(unpack->end - unpack->begin);
		r = inflate(gzip, Z_NO_FLUSH);
		unpack->begin = unpack->end - gzip->avail_in;
		unpack->is_between = r == Z_STREAM_END;
		if (r == Z_MEM_ERROR)
			return error_set(err, -ENOMEM, "out of memory");
		if (r != Z_OK && r != Z_STREAM_END)
			return damaged(unpack, r == Z_BUF_ERROR, err);
	}
	return (ssize_t)(size - gzip->avail_out);
}

ssize_t unpack_read(struct unpack *unpack, void *ret_bytes, size_t size, struct error *err)
{
	ssize_t n = unpack->kind == UNPACK_UNKNOWN ? begin(unpack, err) : 0;

	if (n < 0)
		return n;
	if (size > IN_SIZE)
		size = IN_SIZE; /* fits in what zlib counts with */
	if (unpack->kind == UNPACK_XZ)
		n = read_xz(unpack, ret_bytes, size, err);
	else if (unpack->kind == UNPACK_GZIP)
		n = read_gzip(unpack, ret_bytes, size, err);
	else
		n = read_plain(unpack, ret_bytes, size, err);
	if (n > 0 && (uint64_t)n > unpack->left)
		return error_set(err, -EFBIG, "%s: more comes out of it than is taken",
				 unpack->path);
	if (n > 0)
		unpack->left -= (uint64_t)n;
	return n;
}
