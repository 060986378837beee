/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/codec.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/test.h"

DEFINE_CLEANUP(struct codec *, codec_free)

enum { SERIES = 10 };

static const int32_t exponents[SERIES] = {-1, -1, 0, 8, 8, 11, CODEC_NO_GRID, -1022, 900, 0};

static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static int new_codec(struct codec **ret_codec)
{
	return codec_new(exponents, SERIES, ret_codec);
}

/* The worked example of docs/protocol.md. */
static void test_codec_worked_example(void)
{
	static const struct codec_entry entries[] = {{.series = 0, .value = 7.5},
						     {.series = 2, .value = -3},
						     {.series = 9, .gap = true}};
	static const uint8_t expected[] = {0x05, 0x02, 0x3c, 0x0a, 0x03};
	cleanup(codec_free) struct codec *codec = NULL;
	uint8_t buffer[64];

	check_int(new_codec(&codec), 0);
	check_int(codec_encode(codec, entries, 3, buffer), sizeof(expected));
	check(memcmp(buffer, expected, sizeof(expected)) == 0);
}

static double random_value(uint64_t choice)
{
	static const double odd[] = {0.0, -0.0, 1e300, -1.7e308, 5e-324, 0.1, 0x1p52, 0x1.8p60};
	double value = (double)(int64_t)(next_random() % 20001) - 10000;

	switch (choice % 4) {
	case 0:
		return odd[next_random() % (sizeof(odd) / sizeof(odd[0]))];
	case 1:
		return value / 2;
	case 2:
		return value * 2048;
	default:
		return value + 0.3;
	}
}

static void test_codec_round_trip_keeps_every_bit(void)
{
	cleanup(codec_free) struct codec *sender = NULL;
	cleanup(codec_free) struct codec *receiver = NULL;

	check_int(new_codec(&sender), 0);
	check_int(new_codec(&receiver), 0);
	for (int round = 0; round < 20000; round++) {
		struct codec_entry in[SERIES], out[SERIES];
		uint8_t buffer[256];
		size_t count = 0, got, size;

		for (uint32_t series = 0; series < SERIES; series++) {
			if (next_random() % 3 == 0)
				continue;
			in[count++] = (struct codec_entry){.series = series,
							   .gap = next_random() % 8 == 0,
							   .value = random_value(next_random())};
		}
		size = codec_encode(sender, in, count, buffer);
		check(size <= codec_size_max(sender, count));
		check_int(codec_decode(receiver, buffer, size, out, &got, NULL), 0);
		check_int(got, count);
		for (size_t i = 0; i < count; i++) {
			check_int(out[i].series, in[i].series);
			check_int(out[i].gap, in[i].gap);
			check(in[i].gap ||
			      memcmp(&in[i].value, &out[i].value, sizeof(double)) == 0);
		}
	}
}

static void test_codec_refuses_every_truncation(void)
{
	static const struct codec_entry entries[] = {{.series = 0, .value = 1e6},
						     {.series = 6, .value = 0.1},
						     {.series = 9, .value = 4}};
	cleanup(codec_free) struct codec *codec = NULL;
	struct codec_entry out[SERIES];
	uint8_t buffer[64];
	size_t size, count;

	check_int(new_codec(&codec), 0);
	size = codec_encode(codec, entries, 3, buffer);
	for (size_t cut = 0; cut < size; cut++)
		check_int(codec_decode(codec, buffer, cut, out, &count, NULL), -EBADMSG);
	buffer[size] = 0;
	check_int(codec_decode(codec, buffer, size + 1, out, &count, NULL), -EBADMSG);
}

static void test_codec_refuses_what_it_would_not_write(void)
{
	static const struct {
		uint8_t bytes[16];
		size_t size;
	} bad[] = {
		{{0x00, 0x04}, 2},                                      /* series 10 of 10 */
		{{0x01, 0x00, 0x05}, 3},                                /* unknown tag */
		{{0x01, 0x00, 0x80, 0x00}, 4},                          /* overlong zero */
		{{0x40, 0x00, 0x02}, 3},                                /* grid value, no grid */
		{{0x01, 0x00, 0x01, 0, 0, 0, 0, 0, 0, 0xf0, 0x7f}, 11}, /* infinity */
		{{0x01, 0x00, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, 12},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cleanup(codec_free) struct codec *codec = NULL;
		struct codec_entry out[SERIES];
		struct error err = ERROR_INIT;
		size_t count;

		check_int(new_codec(&codec), 0);
		check_int(codec_decode(codec, bad[i].bytes, bad[i].size, out, &count, &err),
			  -EBADMSG);
		check(err.text[0]);
	}
}

static void test_codec_survives_random_bytes(void)
{
	for (int round = 0; round < 100000; round++) {
		cleanup(codec_free) struct codec *codec = NULL;
		struct codec_entry out[SERIES];
		size_t size = next_random() % 40, count;
		uint8_t bytes[40];

		for (size_t i = 0; i < size; i++)
			bytes[i] = (uint8_t)next_random();
		check_int(new_codec(&codec), 0);
		if (codec_decode(codec, bytes, size, out, &count, NULL) < 0)
			continue;
		check(count <= SERIES);
		for (size_t i = 0; i < count; i++)
			check(out[i].gap || isfinite(out[i].value));
	}
}

static void test_codec_entry_size_counts_what_is_written(void)
{
	int64_t steps = 0;

	check_int(codec_entry_size(-1, &steps, 7.5), 1);
	check_int(steps, 15);
	check_int(codec_entry_size(-1, &steps, 7.5 + 40), 2);
	check_int(codec_entry_size(CODEC_NO_GRID, &steps, 1), 9);
}

/* Grids that change between payloads, to none and back: both ends keep step. */
static void test_codec_exponents_may_change(void)
{
	static const int32_t grids[] = {-1, 3, CODEC_NO_GRID, -20, 900, CODEC_NO_GRID, 0};
	struct codec *from = NULL, *to = NULL;
	struct codec_entry out[SERIES];
	uint8_t buffer[200];
	size_t count;

	check_int(new_codec(&from), 0);
	check_int(new_codec(&to), 0);
	for (size_t i = 0; i < sizeof(grids) / sizeof(grids[0]); i++) {
		struct codec_entry in = {.series = 1, .value = 8 * (double)(i + 1)};

		codec_set_exponent(from, 1, grids[i]);
		codec_set_exponent(to, 1, grids[i]);
		check_int(codec_decode(to, buffer, codec_encode(from, &in, 1, buffer), out, &count,
				       NULL),
			  0);
		check_int(count, 1);
		check_near(out[0].value, in.value, 0);
	}
	codec_free(from);
	codec_free(to);
}

TEST_MAIN(TEST(test_codec_exponents_may_change), TEST(test_codec_worked_example),
	  TEST(test_codec_round_trip_keeps_every_bit), TEST(test_codec_refuses_every_truncation),
	  TEST(test_codec_refuses_what_it_would_not_write), TEST(test_codec_survives_random_bytes),
	  TEST(test_codec_entry_size_counts_what_is_written))
