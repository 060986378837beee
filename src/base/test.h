#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit tests in TAP. A test is `static void test_<what>_<condition>(void)`; main() is
 * TEST_MAIN(TEST(test_a), TEST(test_b)). A failed check prints where and what, fails its test, and
 * returns from it. test_skip(why) ends a test as skipped. Header only: each test program has its
 * own counters.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

struct test_case {
	const char *name;
	void (*run)(void);
};

static struct {
	int failed;
	const char *skipped;
} test_state;

#define TEST(function)              \
	{                           \
#function, function \
	}

#define check(condition)                                                                 \
	do {                                                                             \
		if (!(condition)) {                                                      \
			printf("# %s:%d: failed: %s\n", __FILE__, __LINE__, #condition); \
			test_state.failed = 1;                                           \
			return;                                                          \
		}                                                                        \
	} while (0)

#define check_int(actual, expected)                                                         \
	do {                                                                                \
		long long actual_ = (long long)(actual), expected_ = (long long)(expected); \
		if (actual_ != expected_) {                                                 \
			printf("# %s:%d: %s is %lld, expected %lld\n", __FILE__, __LINE__,  \
			       #actual, actual_, expected_);                                \
			test_state.failed = 1;                                              \
			return;                                                             \
		}                                                                           \
	} while (0)

/* |actual - expected| <= tolerance; a NaN fails. */
#define check_near(actual, expected, tolerance)                                              \
	do {                                                                                 \
		double actual_ = (actual), expected_ = (expected);                           \
		if (!(fabs(actual_ - expected_) <= (tolerance))) {                           \
			printf("# %s:%d: %s is %.17g, expected %.17g\n", __FILE__, __LINE__, \
			       #actual, actual_, expected_);                                 \
			test_state.failed = 1;                                               \
			return;                                                              \
		}                                                                            \
	} while (0)

#define check_string(actual, expected)                                                     \
	do {                                                                               \
		const char *actual_ = (actual), *expected_ = (expected);                   \
		if (!actual_ || strcmp(actual_, expected_) != 0) {                         \
			printf("# %s:%d: %s is '%s', expected '%s'\n", __FILE__, __LINE__, \
			       #actual, actual_ ? actual_ : "(null)", expected_);          \
			test_state.failed = 1;                                             \
			return;                                                            \
		}                                                                          \
	} while (0)

#define test_skip(why)                      \
	do {                                \
		test_state.skipped = (why); \
		return;                     \
	} while (0)

static inline int test_run(const struct test_case *cases, size_t count)
{
	int failures = 0;

	printf("1..%zu\n", count);
	for (size_t i = 0; i < count; i++) {
		test_state.failed = 0;
		test_state.skipped = NULL;
		cases[i].run();
		failures += test_state.failed;
		printf("%sok %zu - %s%s%s\n", test_state.failed ? "not " : "", i + 1, cases[i].name,
		       test_state.skipped ? " # SKIP " : "",
		       test_state.skipped ? test_state.skipped : "");
		(void)fflush(stdout);
	}
	return failures ? 1 : 0;
}

#define TEST_MAIN(...)                                                    \
	int main(void)                                                    \
	{                                                                 \
		static const struct test_case cases[] = {__VA_ARGS__};    \
		return test_run(cases, sizeof(cases) / sizeof(cases[0])); \
	}
