/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/horizon.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/test.h"

DEFINE_CLEANUP(struct horizon *, horizon_free)

enum { D = 6, ROWS = 60 };

static const double floors[D] = {0.01, 0.01, 0.01, 0.01, 0.01, 0.01};
static uint64_t state = 21;

static double normal(void)
{
	double sum = -6;

	for (int i = 0; i < 12; i++) {
		state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		sum += (double)(state >> 11) * 0x1p-53;
	}
	return sum;
}

static void make_row(double *row, double shift)
{
	double source = normal();

	for (int j = 0; j < D; j++)
		row[j] = 50 + 4 * source + normal() + (j == 2 ? shift : 0);
}

static struct horizon_options options_of(size_t span)
{
	return (struct horizon_options){
		.rows = ROWS,
		.span = span,
		.min_rows = 30,
		.alpha = 0.002,
		.calibrated = true,
		.memory = 400,
		.t2_weight = 0.2,
		.limit = 10,
		.quarantine_rows = 3,
		.unlock_rows = 20,
		.known_rows = 3,
		.model = {.components = COMPONENTS_CPV, .cpv = 0.9},
	};
}

static struct horizon *make(const struct horizon_options *options)
{
	struct horizon *horizon = NULL;

	if (horizon_new(options, &horizon, NULL) < 0)
		return NULL;
	for (int j = 0; j < D; j++)
		if (horizon_add_column(horizon) < 0)
			return horizon_free(horizon);
	return horizon;
}

/* Offers rows as the monitor does; counts the answers. Returns the last ratio. */
static double offer(struct horizon *horizon, int count, double shift, int *ret_answers)
{
	struct horizon_score score = {0};
	double row[D];

	for (int i = 0; i < count; i++) {
		bool scored = horizon_settle(horizon, floors, NULL) > 0;

		make_row(row, shift);
		scored = scored && horizon_score(horizon, row, &score) > 0;
		ret_answers[horizon_offer(horizon, row, scored ? &score : NULL)]++;
	}
	return score.ratio;
}

static void test_horizon_holds_and_unlocks(void)
{
	struct horizon_options options = options_of(ROWS);
	cleanup(horizon_free) struct horizon *horizon = make(&options);
	int answers[3] = {0};

	(void)offer(horizon, 200, 0, answers);
	check(answers[HORIZON_HELD] <= 4);
	check_int(horizon_rows(horizon), ROWS);
	answers[HORIZON_HELD] = 0;
	check(offer(horizon, 19, 200, answers) > 1);
	check_int(answers[HORIZON_HELD], 19);
	check_int(answers[HORIZON_UNLOCKED], 0);
	(void)offer(horizon, 1, 200, answers);
	check_int(answers[HORIZON_UNLOCKED], 1);
	check(offer(horizon, 60, 200, answers) < 1);
}

/* An excursion that ends is forgotten: the next one is held just as long. */
static void test_horizon_excursions_are_not_learned(void)
{
	struct horizon_options options = options_of(ROWS);
	cleanup(horizon_free) struct horizon *horizon = make(&options);
	int answers[3] = {0};

	(void)offer(horizon, 200, 0, answers);
	for (int i = 0; i < 10; i++) {
		int during[3] = {0};

		(void)offer(horizon, 15, 200, during);
		check_int(during[HORIZON_HELD], 15);
		(void)offer(horizon, 10, 0, during);
		check_int(during[HORIZON_UNLOCKED], 0);
	}
}

/* With `move` the rows that follow are known at once, and the old level is not. */
static void test_horizon_moves(void)
{
	struct horizon_options options = options_of(ROWS);
	cleanup(horizon_free) struct horizon *horizon = NULL;
	int answers[3] = {0}, later[3] = {0};

	options.move = true;
	horizon = make(&options);
	(void)offer(horizon, 200, 0, answers);
	(void)offer(horizon, 20, 200, answers);
	check_int(answers[HORIZON_UNLOCKED], 1);
	check(offer(horizon, 1, 200, later) < 1);
	(void)offer(horizon, 50, 200, later);
	check(later[HORIZON_HELD] <= 2);
}

/* 60 places for 480 rows: what happened 300 rows ago is known still; a plain window has lost it. */
static void test_horizon_reaches_back(void)
{
	for (int reach = 0; reach < 2; reach++) {
		struct horizon_options options = options_of(reach ? 480 : ROWS);
		cleanup(horizon_free) struct horizon *horizon = make(&options);
		int answers[3] = {0}, again[3] = {0};

		(void)offer(horizon, 200, 0, answers);
		(void)offer(horizon, 80, 40, answers);
		(void)offer(horizon, 160, 0, answers);
		check_int(horizon_rows(horizon) <= ROWS, true);
		(void)offer(horizon, 10, 40, again);
		check_int(again[HORIZON_HELD] == 0, reach);
	}
}

/* A value of a million deviations enters as ten of them. */
static void test_horizon_limits_what_enters(void)
{
	struct horizon_options options = options_of(ROWS);
	cleanup(horizon_free) struct horizon *horizon = NULL;
	int answers[3] = {0};
	double row[D], std;

	options.quarantine_rows = 0;
	horizon = make(&options);
	(void)offer(horizon, 100, 0, answers);
	(void)horizon_settle(horizon, floors, NULL);
	std = model_std(horizon_model(horizon), 2);
	make_row(row, 1e6);
	check_int(horizon_offer(horizon, row, NULL), HORIZON_ACCEPTED);
	(void)horizon_settle(horizon, floors, NULL);
	check(model_std(horizon_model(horizon), 2) > std);
	check(model_std(horizon_model(horizon), 2) < 2 * std);
}

static void test_horizon_columns_come_and_go(void)
{
	struct horizon_options options = options_of(480);
	cleanup(horizon_free) struct horizon *horizon = make(&options);
	int answers[3] = {0};

	(void)offer(horizon, 200, 0, answers);
	check(horizon_uses(horizon, 2));
	horizon_remove_column(horizon, 2);
	check_int(horizon_add_column(horizon), 0);
	check_int(horizon_settle(horizon, floors, NULL), 1);
	check(!horizon_uses(horizon, D - 1));
	check_int(model_columns(horizon_model(horizon)), D - 1);
	(void)offer(horizon, 300, 0, answers);
	check(horizon_uses(horizon, D - 1));
}

TEST_MAIN(TEST(test_horizon_holds_and_unlocks), TEST(test_horizon_excursions_are_not_learned),
	  TEST(test_horizon_moves), TEST(test_horizon_reaches_back),
	  TEST(test_horizon_limits_what_enters), TEST(test_horizon_columns_come_and_go))
