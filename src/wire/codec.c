/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/codec.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

enum { TAG_EXACT = 1, TAG_GAP = 3, VARINT_SIZE_MAX = 10 };

/* Steps are below 2^52 in magnitude, so that a difference of two, in zigzag and shifted by the tag,
 * fits. */
#define STEPS_LIMIT 0x1p52

struct codec {
	size_t count;
	int32_t *exponents;
	int64_t *steps;
};

DEFINE_CLEANUP(struct codec *, codec_free)

int codec_new(const int32_t *exponents, size_t count, struct codec **ret_codec)
{
	cleanup(codec_free) struct codec *codec = NULL;

	if (count > CODEC_SERIES_MAX)
		return -E2BIG;
	codec = calloc(1, sizeof(*codec));
	if (!codec)
		return -ENOMEM;
	codec->count = count;
	codec->exponents = calloc(count + 1, sizeof(*codec->exponents));
	codec->steps = calloc(count + 1, sizeof(*codec->steps));
	if (!codec->exponents || !codec->steps)
		return -ENOMEM;
	if (count > 0)
		memcpy(codec->exponents, exponents, count * sizeof(*exponents));
	*ret_codec = keep(codec);
	return 0;
}

struct codec *codec_free(struct codec *codec)
{
	if (!codec)
		return NULL;
	free(codec->exponents);
	free(codec->steps);
	free(codec);
	return NULL;
}

static size_t bitmap_size(const struct codec *codec)
{
	return (codec->count + 7) / 8;
}

size_t codec_size_max(const struct codec *codec, size_t entries)
{
	return bitmap_size(codec) + entries * CODEC_ENTRY_SIZE_MAX;
}

/* The steps nearest to `value`; false when it is out of range. */
static bool nearest_steps(int32_t exponent, double value, int64_t *ret_steps)
{
	double steps;

	if (exponent == CODEC_NO_GRID)
		return false;
	steps = nearbyint(ldexp(value, -exponent));
	if (!(fabs(steps) < STEPS_LIMIT))
		return false;
	*ret_steps = (int64_t)steps;
	return true;
}

static bool on_grid(int32_t exponent, double value, int64_t *ret_steps)
{
	return nearest_steps(exponent, value, ret_steps) &&
	       ldexp((double)*ret_steps, exponent) == value;
}

/* What both ends remember after an exact value. */
static int64_t steps_after_exact(int32_t exponent, double value)
{
	int64_t steps;

	return nearest_steps(exponent, value, &steps) ? steps : 0;
}

static size_t put_varint(uint8_t *out, uint64_t value)
{
	size_t size = 0;

	while (value >= 0x80) {
		out[size++] = (uint8_t)(value | 0x80);
		value >>= 7;
	}
	out[size++] = (uint8_t)value;
	return size;
}

static size_t put_exact(uint8_t *out, double value)
{
	uint64_t bits;
	size_t size = put_varint(out, TAG_EXACT);

	memcpy(&bits, &value, sizeof(bits));
	for (int i = 0; i < 8; i++)
		out[size++] = (uint8_t)(bits >> (8 * i));
	return size;
}

static uint64_t zigzag(int64_t difference)
{
	return (uint64_t)difference << 1 ^ (difference < 0 ? UINT64_MAX : 0);
}

/* One value; out has room for CODEC_ENTRY_SIZE_MAX bytes. */
static size_t put_value(uint8_t *out, int32_t exponent, int64_t *steps, double value)
{
	int64_t now, difference;

	if (!on_grid(exponent, value, &now) || (now == 0 && signbit(value))) {
		*steps = steps_after_exact(exponent, value);
		return put_exact(out, value);
	}
	difference = now - *steps;
	*steps = now;
	return put_varint(out, zigzag(difference) << 1);
}

void codec_set_exponent(struct codec *codec, uint32_t series, int32_t exponent)
{
	int64_t *steps = &codec->steps[series];
	int32_t last = codec->exponents[series];

	assert(series < codec->count);
	*steps = last == CODEC_NO_GRID ? 0
				       : steps_after_exact(exponent, ldexp((double)*steps, last));
	codec->exponents[series] = exponent;
}

size_t codec_entry_size(int32_t exponent, int64_t *steps, double value)
{
	uint8_t scratch[CODEC_ENTRY_SIZE_MAX];

	return put_value(scratch, exponent, steps, value);
}

size_t codec_encode(struct codec *codec, const struct codec_entry *entries, size_t count,
		    uint8_t *buffer)
{
	size_t size = bitmap_size(codec);

	memset(buffer, 0, size);
	for (size_t i = 0; i < count; i++) {
		uint32_t series = entries[i].series;

		assert(series < codec->count && (i == 0 || entries[i - 1].series < series));
		buffer[series / 8] |= (uint8_t)(1u << (series % 8));
		if (entries[i].gap)
			size += put_varint(buffer + size, TAG_GAP);
		else
			size += put_value(buffer + size, codec->exponents[series],
					  &codec->steps[series], entries[i].value);
	}
	return size;
}

struct reader {
	const uint8_t *data;
	size_t size, position;
};

static int get_varint(struct reader *reader, uint64_t *ret_value, struct error *err)
{
	uint64_t value = 0;

	for (int shift = 0; shift < 7 * VARINT_SIZE_MAX; shift += 7) {
		uint8_t byte;

		if (reader->position == reader->size)
			return error_set(err, -EBADMSG, "frame payload ends inside a value");
		byte = reader->data[reader->position++];
		if (shift == 63 && byte > 1)
			break;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte & 0x80)
			continue;
		if (byte == 0 && shift > 0)
			break; /* a shorter form exists: not what codec_encode() writes */
		*ret_value = value;
		return 0;
	}
	return error_set(err, -EBADMSG, "frame payload holds an overlong number");
}

static int get_exact(struct codec *codec, struct reader *reader, struct codec_entry *entry,
		     struct error *err)
{
	uint64_t bits = 0;

	if (reader->size - reader->position < 8)
		return error_set(err, -EBADMSG, "frame payload ends inside a value");
	for (int i = 0; i < 8; i++)
		bits |= (uint64_t)reader->data[reader->position++] << (8 * i);
	memcpy(&entry->value, &bits, sizeof(bits));
	if (!isfinite(entry->value))
		return error_set(err, -EBADMSG, "frame payload holds a value that is not finite");
	codec->steps[entry->series] =
		steps_after_exact(codec->exponents[entry->series], entry->value);
	return 0;
}

static int get_grid(struct codec *codec, uint64_t zigzag, struct codec_entry *entry,
		    struct error *err)
{
	int32_t exponent = codec->exponents[entry->series];
	int64_t difference = (int64_t)(zigzag >> 1) ^ -(int64_t)(zigzag & 1);
	int64_t steps;

	if (exponent == CODEC_NO_GRID)
		return error_set(err, -EBADMSG, "series %u has no grid", entry->series);
	if (__builtin_add_overflow(codec->steps[entry->series], difference, &steps) ||
	    !(fabs((double)steps) < STEPS_LIMIT))
		return error_set(err, -EBADMSG, "value of series %u is out of range",
				 entry->series);
	codec->steps[entry->series] = steps;
	entry->value = ldexp((double)steps, exponent);
	if (!isfinite(entry->value))
		return error_set(err, -EBADMSG, "value of series %u is out of range",
				 entry->series);
	return 0;
}

static int get_entry(struct codec *codec, struct reader *reader, struct codec_entry *entry,
		     struct error *err)
{
	uint64_t tagged = 0;
	int r = get_varint(reader, &tagged, err);

	if (r < 0)
		return r;
	if ((tagged & 1) == 0)
		return get_grid(codec, tagged >> 1, entry, err);
	if (tagged == TAG_EXACT)
		return get_exact(codec, reader, entry, err);
	if (tagged != TAG_GAP)
		return error_set(err, -EBADMSG, "frame payload holds an unknown tag");
	entry->gap = true;
	entry->value = NAN;
	return 0;
}

static bool bit_is_set(const uint8_t *bitmap, size_t bit)
{
	return bitmap[bit / 8] >> (bit % 8) & 1;
}

int codec_decode(struct codec *codec, const uint8_t *data, size_t size,
		 struct codec_entry *ret_entries, size_t *ret_count, struct error *err)
{
	struct reader reader = {.data = data, .size = size, .position = bitmap_size(codec)};
	size_t count = 0;

	if (size < reader.position)
		return error_set(err, -EBADMSG, "frame payload is shorter than its bitmap");
	for (size_t bit = codec->count; bit < 8 * bitmap_size(codec); bit++)
		if (bit_is_set(data, bit))
			return error_set(err, -EBADMSG, "frame names a series that is not there");
	for (size_t bit = 0; bit < codec->count; bit++) {
		struct codec_entry entry = {.series = (uint32_t)bit};
		int r;

		if (!bit_is_set(data, bit))
			continue;
		r = get_entry(codec, &reader, &entry, err);
		if (r < 0)
			return r;
		ret_entries[count++] = entry;
	}
	if (reader.position != size)
		return error_set(err, -EBADMSG, "frame payload has bytes left over");
	*ret_count = count;
	return 0;
}
