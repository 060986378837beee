/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "base/test.h"
#include "far_exact.h"
#include "far_family.h"

enum { COLUMNS = 5, ROWS = 60000 };

/* Second moments of the drawn rows, at lag 0 and 1. Tolerance: five standard errors, (1 + rho) /
 * (1 - rho) being the price of the correlation. */
static void check_moments(double rho)
{
	const struct family family = {.columns = COLUMNS, .noise = 0.4, .rho = rho};
	double s[COLUMNS * COLUMNS], sums[COLUMNS * COLUMNS] = {0}, lagged = 0, trace = 0;
	double before[COLUMNS], tolerance = 5 * sqrt(2 * (1 + rho) / (1 - rho) / ROWS);
	struct source source;

	check_int(source_init(&source, &family, 7), 0);
	source_covariance(&source, s);
	for (int n = 0; n < ROWS; n++) {
		memcpy(before, source.row, sizeof(before));
		source_next(&source);
		for (int i = 0; i < COLUMNS * COLUMNS; i++)
			sums[i] += source.row[i / COLUMNS] * source.row[i % COLUMNS] / ROWS;
		for (int i = 0; i < COLUMNS; i++)
			lagged += source.row[i] * before[i] / ROWS;
	}
	source_deinit(&source);
	for (int i = 0; i < COLUMNS; i++)
		trace += s[i * COLUMNS + i];
	check_near(trace, COLUMNS * (1 + 0.4 * 0.4), 1e-9);
	check_near(lagged, rho * trace, trace * tolerance);
	for (int i = 0; i < COLUMNS * COLUMNS; i++) {
		double scale =
			sqrt(s[i / COLUMNS * (COLUMNS + 1)] * s[i % COLUMNS * (COLUMNS + 1)]);

		check_near(sums[i], s[i], scale * tolerance);
	}
}

static void test_family_white(void)
{
	check_moments(0);
}

static void test_family_correlated(void)
{
	check_moments(0.9);
}

struct hits {
	double next, fresh; /* shares of drawn rows beyond Q */
};

static bool passes(struct exact *exact, const double *row, const struct row_verdict *verdict)
{
	struct exact_tails tails;

	return exact_tails(exact, row, row, verdict, &tails) == 0 && tails.spe > verdict->q;
}

/* The exact tails against drawn rows: the next one continues from the last row of the window, the
 * fresh one is of another series of the same law. Tolerance: five standard errors. */
static void test_exact_tails_are_those_of_drawn_rows(void)
{
	enum { WINDOW = 60, DRAWS = 2000 };
	const struct family family = {.columns = COLUMNS, .noise = 0.5, .rho = 0.8};
	struct row_verdict verdict = {
		.state = ROW_NORMAL, .q = 1.2, .components = 2, .window_rows = WINDOW};
	double s[COLUMNS * COLUMNS], last[COLUMNS], row[COLUMNS], fresh = sqrt(1 - 0.8 * 0.8);
	struct source source, other;
	struct exact_tails tails;
	struct exact *exact;
	struct hits hits = {0};

	check_int(source_init(&source, &family, 3), 0);
	check_int(source_init(&other, &family, 3), 0); /* the same loadings */
	source_covariance(&source, s);
	exact = exact_new(COLUMNS, WINDOW, s, family.rho);
	check(exact != NULL);
	for (int i = 0; i < WINDOW; i++) {
		source_next(&source);
		exact_follow(exact, source.row, &verdict);
	}
	memcpy(last, source.row, sizeof(last));
	check_int(exact_tails(exact, last, last, &verdict, &tails), 0);
	other.family.rho = 0; /* independent draws of N(0, S) */
	for (int n = 0; n < DRAWS; n++) {
		source_next(&other);
		hits.fresh += passes(exact, other.row, &verdict);
		for (int j = 0; j < COLUMNS; j++)
			row[j] = family.rho * last[j] + fresh * other.row[j];
		hits.next += passes(exact, row, &verdict);
	}
	check(tails.fresh > 0.01 && tails.next > 0.001);
	check_near(hits.fresh / DRAWS, tails.fresh,
		   5 * sqrt(tails.fresh * (1 - tails.fresh) / DRAWS));
	check_near(hits.next / DRAWS, tails.next, 5 * sqrt(tails.next * (1 - tails.next) / DRAWS));
	(void)exact_free(exact);
	source_deinit(&source);
	source_deinit(&other);
}

TEST_MAIN(TEST(test_family_white), TEST(test_family_correlated),
	  TEST(test_exact_tails_are_those_of_drawn_rows))
