/* SPDX-License-Identifier: Apache-2.0 */
#include "base/unpack.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#include "base/cleanup.h"
#include "base/pack.h"
#include "base/test.h"

enum { TEXT_SIZE = 200000, PACKED_SIZE = 2 * TEXT_SIZE, BOMB_SIZE = 32 << 20 };

DEFINE_CLEANUP(struct pack *, pack_free)
DEFINE_CLEANUP(struct unpack *, unpack_free)

static char text[TEXT_SIZE];
static uint8_t packed[PACKED_SIZE];

static void make_text(void)
{
	for (size_t i = 0; i < TEXT_SIZE; i++)
		text[i] = (char)('a' + (i * i / 7 + i / 300) % 26);
}

/* What pack.h hands on, gathered. */
struct archive {
	uint8_t *bytes;
	size_t size;
};

static int gather(void *userdata, const void *bytes, size_t size)
{
	struct archive *archive = userdata;

	if (archive->size + size > PACKED_SIZE / 2)
		return -ENOSPC;
	memcpy(archive->bytes + archive->size, bytes, size);
	archive->size += size;
	return 0;
}

/* In pieces of growing size. */
static size_t pack_xz(const void *bytes, size_t size, uint8_t *ret_packed)
{
	struct archive archive = {.bytes = ret_packed};
	cleanup(pack_free) struct pack *pack = pack_new(gather, &archive);
	int r = pack ? 0 : -ENOMEM;

	for (size_t at = 0, piece = 0; r == 0 && at < size; at += piece) {
		piece = at / 2 + 1 < size - at ? at / 2 + 1 : size - at;
		r = pack_write(pack, (const char *)bytes + at, piece);
	}
	if (r == 0)
		r = pack_end(pack);
	return r == 0 ? archive.size : 0;
}

static size_t pack_gzip(const void *bytes, size_t size, uint8_t *ret_packed)
{
	z_stream stream = {.next_in = (Bytef *)bytes,
			   .avail_in = (uInt)size,
			   .next_out = ret_packed,
			   .avail_out = PACKED_SIZE / 2};
	int r = deflateInit2(&stream, 1, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);

	if (r == Z_OK)
		r = deflate(&stream, Z_FINISH);
	(void)deflateEnd(&stream);
	return r == Z_STREAM_END ? stream.total_out : 0;
}

typedef size_t pack_function(const void *bytes, size_t size, uint8_t *ret_packed);

static pack_function *const packers[] = {pack_xz, pack_gzip};

/* Reads all that comes out of a file of these bytes, at most `size_max`, and compares it with the
 * text. Returns how much came out, or the error. */
static ssize_t read_back(const void *bytes, size_t size, uint64_t size_max, bool *ret_same,
			 struct error *err)
{
	static char piece[12345];
	char path[] = "/tmp/atom-unpack-test-XXXXXX";
	cleanup(unpack_free) struct unpack *unpack = NULL;
	int fd = mkstemp(path), r;
	ssize_t n, total = 0;

	if (fd < 0 || write(fd, bytes, size) != (ssize_t)size)
		return -EIO;
	(void)close(fd);
	r = unpack_open(path, size_max, &unpack, err);
	(void)unlink(path);
	if (r < 0)
		return r;
	*ret_same = true;
	while ((n = unpack_read(unpack, piece, sizeof(piece), err)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			*ret_same &= piece[i] == text[(total + i) % TEXT_SIZE];
		total += n;
	}
	return n < 0 ? n : total;
}

static void test_unpack_plain_bytes_as_they_are(void)
{
	bool same;

	make_text();
	check_int(read_back(text, TEXT_SIZE, TEXT_SIZE, &same, NULL), TEXT_SIZE);
	check(same);
	check_int(read_back(text, 1, TEXT_SIZE, &same, NULL), 1);
	check(same);
	check_int(read_back(text, 0, TEXT_SIZE, &same, NULL), 0);
	check_int(read_back(text, TEXT_SIZE, TEXT_SIZE - 1, &same, NULL), -EFBIG);
}

static void test_unpack_archives_also_one_after_another(void)
{
	make_text();
	for (size_t i = 0; i < 2; i++) {
		bool same;
		size_t first = packers[i](text, TEXT_SIZE, packed);
		size_t second = packers[i](text, TEXT_SIZE, packed + first);

		check(first > 0 && second > 0);
		check_int(read_back(packed, first, TEXT_SIZE, &same, NULL), TEXT_SIZE);
		check(same);
		check_int(read_back(packed, first + second, 2 * TEXT_SIZE, &same, NULL),
			  2 * TEXT_SIZE);
		check(same);
	}
}

static void test_unpack_archive_cut_short(void)
{
	make_text();
	for (size_t i = 0; i < 2; i++) {
		size_t size = packers[i](text, TEXT_SIZE, packed);
		const size_t cuts[] = {size - 1, size - 9, size / 2, 20, 8};

		for (size_t j = 0; j < sizeof(cuts) / sizeof(cuts[0]); j++) {
			struct error err = ERROR_INIT;
			bool same;

			check_int(read_back(packed, cuts[j], TEXT_SIZE, &same, &err), -EBADMSG);
			check(strstr(err.text, "cut short"));
		}
	}
}

/* No byte may be wrong anywhere and the text still come out; what came out before is right. */
static void test_unpack_archive_damaged(void)
{
	make_text();
	for (size_t i = 0; i < 2; i++) {
		size_t size = packers[i](text, TEXT_SIZE, packed);

		for (size_t at = 10; at < size; at += size / 97) {
			bool same;

			packed[at] ^= 0x55;
			check_int(read_back(packed, size, TEXT_SIZE, &same, NULL), -EBADMSG);
			packed[at] ^= 0x55;
		}
		memset(packed + size, 'x', 16);
		{
			bool same;

			check_int(read_back(packed, size + 16, TEXT_SIZE, &same, NULL), -EBADMSG);
		}
	}
}

static void test_unpack_bomb_stops_at_the_limit(void)
{
	cleanup(free) char *zeros = calloc(1, BOMB_SIZE);

	check(zeros);
	for (size_t i = 0; i < 2; i++) {
		size_t size = packers[i](zeros, BOMB_SIZE, packed);
		struct error err = ERROR_INIT;
		bool same;

		check(size > 0 && size < BOMB_SIZE / 100);
		check_int(read_back(packed, size, 1 << 20, &same, &err), -EFBIG);
		check(strstr(err.text, "more comes out"));
	}
}

static int refuse(void *userdata, const void *bytes, size_t size)
{
	return -EPIPE;
}

static void test_pack_ends_with_the_error_of_its_sink(void)
{
	cleanup(pack_free) struct pack *pack = pack_new(refuse, NULL);

	make_text();
	check(pack);
	(void)pack_write(pack, text, TEXT_SIZE); /* what is small stays in the encoder at first */
	check_int(pack_end(pack), -EPIPE);
}

static void test_unpack_missing_file(void)
{
	struct error err = ERROR_INIT;
	struct unpack *unpack;

	check_int(unpack_open("/nonexistent/x.xz", 1, &unpack, &err), -ENOENT);
	check(strstr(err.text, "/nonexistent/x.xz: No such file"));
}

TEST_MAIN(TEST(test_unpack_plain_bytes_as_they_are),
	  TEST(test_unpack_archives_also_one_after_another), TEST(test_unpack_archive_cut_short),
	  TEST(test_unpack_archive_damaged), TEST(test_unpack_bomb_stops_at_the_limit),
	  TEST(test_pack_ends_with_the_error_of_its_sink), TEST(test_unpack_missing_file))
