/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands share: numbers. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/test.h"
#include "ctl/command.h"
#include "ctl/sparkline.h"

DEFINE_CLEANUP(json_t *, json_decref)

static void test_numbers_for_people(void)
{
	cleanup(json_decref) json_t *big = json_real(1234567.0);
	cleanup(json_decref) json_t *small = json_real(0.25);
	char text[NUMBER_SIZE];

	check_string(format_number(big, text), "1.235M");
	check_string(format_number(small, text), "0.25");
	check_string(format_number(NULL, text), "-");
	check_string(format_time("2020-01-02T03:04:05.000Z", text), "01-02 03:04");
	check_string(format_time("", text), "-");
}

static void test_sparkline_scales_and_skips_gaps(void)
{
	static const double values[] = {0, NAN, 10, 5};
	cleanup(free) char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);

	sparkline_print(values, 4, stream);
	(void)fclose(stream);
	check_string(text, "▁ █▄");
}

TEST_MAIN(TEST(test_numbers_for_people), TEST(test_sparkline_scales_and_skips_gaps))
