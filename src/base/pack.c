/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pack.h"

#include <errno.h>
#include <lzma.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/cleanup.h"

enum { LEVEL = 3, OUT_SIZE = 64 << 10 }; /* 3: a quick level */

struct pack {
	pack_sink *sink;
	void *userdata;
	lzma_stream stream;
	uint8_t out[OUT_SIZE];
};

DEFINE_CLEANUP(struct pack *, pack_free)

struct pack *pack_new(pack_sink *sink, void *userdata)
{
	cleanup(pack_free) struct pack *pack = calloc(1, sizeof(*pack));

	if (!pack)
		return NULL;
	pack->sink = sink;
	pack->userdata = userdata;
	pack->stream = (lzma_stream)LZMA_STREAM_INIT;
	if (lzma_easy_encoder(&pack->stream, LEVEL, LZMA_CHECK_CRC64) != LZMA_OK)
		return NULL;
	return keep(pack);
}

struct pack *pack_free(struct pack *pack)
{
	if (pack)
		lzma_end(&pack->stream);
	free(pack);
	return NULL;
}

/* Until the encoder has taken all of its input, or at the end has given all of its output. */
static int run(struct pack *pack, lzma_action action)
{
	lzma_ret status;

	do {
		size_t size;
		int r = 0;

		pack->stream.next_out = pack->out;
		pack->stream.avail_out = OUT_SIZE;
		status = lzma_code(&pack->stream, action);
		if (status != LZMA_OK && status != LZMA_STREAM_END)
			return -ENOMEM;
		size = OUT_SIZE - pack->stream.avail_out;
		if (size > 0)
			r = pack->sink(pack->userdata, pack->out, size);
		if (r < 0)
			return r;
	} while (action == LZMA_FINISH ? status != LZMA_STREAM_END : pack->stream.avail_in > 0);
	return 0;
}

int pack_write(struct pack *pack, const void *bytes, size_t size)
{
	pack->stream.next_in = bytes;
	pack->stream.avail_in = size;
	return size > 0 ? run(pack, LZMA_RUN) : 0;
}

int pack_end(struct pack *pack)
{
	return run(pack, LZMA_FINISH);
}
