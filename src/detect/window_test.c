/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/window.h"

#include <math.h>

#include "base/cleanup.h"
#include "base/test.h"

DEFINE_CLEANUP(struct window *, window_free)

/* Rows (i, 10 i), the second place missing in every third. */
static struct window *filled(size_t capacity, int rows)
{
	struct window *window = window_new(capacity);

	if (!window || window_add_column(window) < 0 || window_add_column(window) < 0)
		return window_free(window);
	for (int i = 0; i < rows; i++) {
		double row[2] = {i, i % 3 == 0 ? NAN : 10.0 * i};

		window_push(window, row);
	}
	return window;
}

static void test_window_keeps_the_newest(void)
{
	cleanup(window_free) struct window *window = filled(5, 12);

	check_int(window_rows(window), 5);
	check_near(window_row(window, 0)[0], 7, 0);
	check_near(window_row(window, 4)[0], 11, 0);
	check_int(window_present(window, 0), 5);
	check_int(window_present(window, 1), 4);
}

static void test_window_thin_keeps_every_second_and_the_newest(void)
{
	for (int rows = 4; rows <= 9; rows++) {
		cleanup(window_free) struct window *window = filled(5, rows);
		size_t before = window_rows(window), present = 0;

		window_thin(window);
		check_int(window_rows(window), (before + 1) / 2);
		for (size_t i = 0; i < window_rows(window); i++) {
			size_t back = 2 * (window_rows(window) - 1 - i);

			check_near(window_row(window, i)[0], (double)(rows - 1) - (double)back, 0);
			present += !isnan(window_row(window, i)[1]);
		}
		check_int(window_present(window, 1), present);
	}
}

static void test_window_goes_on_after_thinning(void)
{
	cleanup(window_free) struct window *window = filled(4, 7);
	const double row[2] = {100, 1000};

	window_thin(window);
	for (int i = 0; i < 3; i++)
		window_push(window, row);
	check_int(window_rows(window), 4);
	check_near(window_row(window, 0)[0], 6, 0);
	check_near(window_row(window, 3)[0], 100, 0);
}

static void test_window_move_column(void)
{
	cleanup(window_free) struct window *window = filled(5, 8);

	window_move_column(window, 0, 0.5);
	check_near(window_row(window, 0)[0], 3.5, 0);
	check_near(window_row(window, 1)[1], 40, 0);
}

TEST_MAIN(TEST(test_window_keeps_the_newest),
	  TEST(test_window_thin_keeps_every_second_and_the_newest),
	  TEST(test_window_goes_on_after_thinning), TEST(test_window_move_column))
