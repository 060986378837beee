/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Properties over a million random and adversarial streams (seeded): the guarantee |f - g| <= Delta
 * after every sample, and on integer grids the competitive bound (1 + floor(log2 N)) OPT, N = 2
 * Delta + 1. The paper's Algorithm 1 as printed is run by the same checks, which must catch its two
 * failures.
 */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/test.h"
#include "track/compare.h"
#include "track/observer.h"

enum { STREAMS = 500000, LENGTH = 24 };

static uint64_t state = 20260101;

static uint64_t next_random(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* One method under test: offers a sample, says whether it sent, and what the tracker holds (NaN:
 * nothing). */
struct method {
	bool (*offer)(void *self, double sample);
	double (*held)(const void *self);
};

static bool observer_sends(void *self, double sample)
{
	return observer_offer(self, sample) == OBSERVER_SEND;
}

static double observer_holds(const void *self)
{
	return observer_held(self) ? observer_value(self) : NAN;
}

static const struct method corrected = {observer_sends, observer_holds};

/* Algorithm 1 as printed: a round lasts while S is wider than gamma; a new one starts at the same
 * sample. */
struct printed {
	double low, high, held, delta, gamma;
	bool in_round;
};

static bool printed_sends_middle(struct printed *printed)
{
	printed->in_round = printed->high - printed->low > printed->gamma;
	if (!printed->in_round)
		return false;
	printed->held = (printed->high + printed->low) / 2;
	return true;
}

static bool printed_starts(struct printed *printed, double sample)
{
	printed->low = sample - printed->delta;
	printed->high = sample + printed->delta;
	return printed_sends_middle(printed);
}

static bool printed_sends(void *self, double sample)
{
	struct printed *printed = self;

	if (!printed->in_round)
		return printed_starts(printed, sample);
	if (!(fabs(sample - printed->held) > printed->delta))
		return false;
	printed->high = fmin(printed->high, sample + printed->delta);
	printed->low = fmax(printed->low, sample - printed->delta);
	return printed_sends_middle(printed) || printed_starts(printed, sample);
}

static double printed_holds(const void *self)
{
	return ((const struct printed *)self)->held;
}

static const struct method as_printed = {printed_sends, printed_holds};

struct outcome {
	size_t sent, violations;
};

static struct outcome run(const struct method *method, void *self, const double *samples,
			  size_t count, double delta)
{
	struct outcome outcome = {0};

	for (size_t i = 0; i < count; i++) {
		outcome.sent += method->offer(self, samples[i]);
		outcome.violations += !(fabs(samples[i] - method->held(self)) <= delta);
	}
	return outcome;
}

static size_t bound(double delta, size_t optimum)
{
	return (1 + (size_t)floor(log2(2 * delta + 1))) * optimum;
}

/* Random integers with runs, jumps and oscillations. */
static void fill_integers(double *samples, double delta)
{
	double value = 0;

	for (int i = 0; i < LENGTH; i++) {
		switch (next_random() % 4) {
		case 0:
			value += (double)(int64_t)(next_random() % 5) - 2;
			break;
		case 1:
			value = (double)(int64_t)(next_random() % (uint64_t)(4 * delta + 2)) -
				2 * delta;
			break;
		case 2:
			value = i >= 2 ? samples[i - 2] : 0;
			break;
		default:
			break;
		}
		samples[i] = value;
	}
}

static void test_property_guarantee_and_bound_on_integers(void)
{
	for (int stream = 0; stream < STREAMS; stream++) {
		double delta = (double)(next_random() % 40);
		struct observer observer;
		struct outcome outcome;
		double samples[LENGTH];

		fill_integers(samples, delta);
		observer_init(&observer, delta, false);
		outcome = run(&corrected, &observer, samples, LENGTH, delta);
		check_int(outcome.violations, 0);
		check(outcome.sent <=
		      bound(delta, compare_offline_optimum(samples, LENGTH, delta)));
	}
}

/* A double of any kind: bits at random, small walks, extremes. */
static double any_double(double previous)
{
	static const double extremes[] = {0,        5e-324,   -5e-324, 1e300, -1e300, 1.7e308,
					  -1.7e308, 2.2e-308, 0.1,     1e15,  -0.0,   1};
	uint64_t bits = next_random();
	double value;

	switch (next_random() % 4) {
	case 0:
		return extremes[next_random() % (sizeof(extremes) / sizeof(extremes[0]))];
	case 1:
		return previous + ((double)(next_random() % 1000) - 500) * 0.01;
	case 2:
		return previous;
	default:
		memcpy(&value, &bits, sizeof(value));
		return value; /* NaN and infinities among them */
	}
}

static double any_delta(void)
{
	static const double deltas[] = {0, 5e-324, 1e-300, 0.01, 1, 3, 1e9, 1e300, 1e308};

	return deltas[next_random() % (sizeof(deltas) / sizeof(deltas[0]))];
}

/* After each step: within Delta of the newest finite sample, or in a gap exactly when it is not
 * finite. */
static bool is_right(const struct observer *observer, double sample, double delta)
{
	if (!isfinite(sample))
		return !observer_held(observer);
	return observer_held(observer) && fabs(sample - observer_value(observer)) <= delta;
}

static void test_property_guarantee_on_any_double(void)
{
	for (int stream = 0; stream < STREAMS; stream++) {
		double sample = 0, delta = any_delta();
		struct observer observer;

		observer_init(&observer, delta, next_random() & 1);
		for (int i = 0; i < LENGTH; i++) {
			sample = any_double(isfinite(sample) ? sample : 1);
			(void)observer_offer(&observer, sample);
			check(is_right(&observer, sample, delta));
			if (next_random() % 8 == 0) {
				delta = any_delta();
				(void)observer_set_delta(&observer, delta);
				check(is_right(&observer, sample, delta));
			}
			if (next_random() % 16 == 0) {
				(void)observer_restart(&observer);
				check(is_right(&observer, sample, delta));
			}
		}
	}
}

/* The adversary keeps the larger half of what is left valid and so forces 1 + floor(log2 N) sends,
 * while one value would have served: the bound is attained. */
static void test_property_binary_search_attains_the_bound(void)
{
	for (double delta = 4; delta <= 4e6; delta *= 10) {
		double low = -delta,
		       high = delta; /* valid values for all samples so far, round 0 */
		struct observer observer;
		size_t sent = 1, wanted = 1 + (size_t)floor(log2(2 * delta + 1));

		observer_init(&observer, delta, false);
		(void)observer_offer(&observer, 0);
		while (high > low) {
			double g = observer_value(&observer);
			bool right = high - g >= g - low;
			double sample = right ? floor(g) + 1 + delta : ceil(g) - 1 - delta;

			if (right)
				low = sample - delta;
			else
				high = sample + delta;
			if (low > high)
				break;
			sent += observer_offer(&observer, sample) == OBSERVER_SEND;
		}
		check(sent <= wanted && sent + 1 >= wanted);
	}
}

static void fill_oscillation(double *samples, size_t count, double delta)
{
	for (size_t i = 0; i < count; i++)
		samples[i] = i % 2 ? 10 + delta : 10 - delta;
}

/* Failure 1 of the printed algorithm: a message per sample on an oscillation that one value serves.
 */
static void test_printed_algorithm_is_unbounded_on_an_oscillation(void)
{
	enum { COUNT = 10000 };
	static double samples[COUNT];
	struct printed printed = {.delta = 4, .gamma = 1, .held = NAN};
	struct observer observer;
	size_t limit;

	fill_oscillation(samples, COUNT, 4);
	limit = bound(4, compare_offline_optimum(samples, COUNT, 4));
	check(run(&as_printed, &printed, samples, COUNT, 4).sent > limit);
	observer_init(&observer, 4, false);
	check_int(run(&corrected, &observer, samples, COUNT, 4).sent, 2);
}

/* Failure 2: nothing is ever sent at Delta = 0, or where 2 Delta <= gamma. */
static void test_printed_algorithm_is_silent_at_delta_zero(void)
{
	static const double samples[] = {1, 2, 2, 3};
	struct printed printed = {.delta = 0, .gamma = 0.01, .held = NAN};
	struct observer observer;
	struct outcome outcome = run(&as_printed, &printed, samples, 4, 0);

	check_int(outcome.sent, 0);
	check_int(outcome.violations, 4);
	observer_init(&observer, 0, false);
	outcome = run(&corrected, &observer, samples, 4, 0);
	check_int(outcome.sent, 3);
	check_int(outcome.violations, 0);
}

TEST_MAIN(TEST(test_property_guarantee_and_bound_on_integers),
	  TEST(test_property_guarantee_on_any_double),
	  TEST(test_property_binary_search_attains_the_bound),
	  TEST(test_printed_algorithm_is_unbounded_on_an_oscillation),
	  TEST(test_printed_algorithm_is_silent_at_delta_zero))
