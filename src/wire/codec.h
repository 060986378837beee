#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The payload of a frame: which series of an epoch changed, and their new values. A bitmap with one
 * bit per series (least significant bit first), then, per set bit, one entry: varint u:  u even:
 * grid value, u >> 1 is the zigzag difference, in steps of 2^exponent, to the last one u == 1: the
 * eight bytes of a little-endian IEEE double follow (no grid, or off it) u == 3: gap: the value is
 * unknown from now on Both ends keep, per series, the last value in grid steps (0 at the start of
 * an epoch, and after an exact value the nearest step where that is below 2^52, else 0). Exponents
 * come from the Delta of the series (track's grid rule: the largest e with 2^e <= Delta / 4; the
 * sender passes them). One owner, one thread. A decoder may be fed anything.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct codec;

enum { CODEC_SERIES_MAX = 65536, CODEC_ENTRY_SIZE_MAX = 10 };
#define CODEC_NO_GRID INT32_MIN /* an exponent: values of this series are sent exactly */

struct codec_entry {
	uint32_t series;
	bool gap;
	double value; /* finite unless gap */
};

/* State for one epoch of `count` series; exponents are copied. Returns owned. */
int codec_new(const int32_t *exponents, size_t count, struct codec **ret_codec);
struct codec *codec_free(struct codec *codec);

/* Entries in rising order of series (assert). Writes at most codec_size_max() bytes; updates the
 * state. */
size_t codec_size_max(const struct codec *codec, size_t entries);
size_t codec_encode(struct codec *codec, const struct codec_entry *entries, size_t count,
		    uint8_t *buffer);

/* Another exponent for a series, at both ends between the same two payloads: its last value is
 * taken to the nearest step of the new grid. */
void codec_set_exponent(struct codec *codec, uint32_t series, int32_t exponent);

/* `ret_entries` has room for one per series. -EBADMSG with the reason for anything that
 * codec_encode() does not make (short, long, unknown tag, overlong varint, non-finite value); the
 * state is then unusable. */
int codec_decode(struct codec *codec, const uint8_t *data, size_t size,
		 struct codec_entry *ret_entries, size_t *ret_count, struct error *err);

/* Bytes of one entry without the bitmap, and the update of the state of a single series: for
 * counting what a column costs (`atom track`). `steps` is the state, 0 at first. */
size_t codec_entry_size(int32_t exponent, int64_t *steps, double value);
