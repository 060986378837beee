/* SPDX-License-Identifier: Apache-2.0 */
/* Nanoseconds per sample of the observer beside plain send-on-delta, on the same random walk; the
 * ratio is what counts. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "track/compare.h"
#include "track/observer.h"

enum { SAMPLES = 10000000, ROUNDS = 5 };

static double *make_walk(void)
{
	double *samples = calloc(SAMPLES, sizeof(*samples)), value = 0;
	uint64_t state = 1;

	for (size_t i = 0; samples && i < SAMPLES; i++) {
		state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		value += (double)(state >> 11) * 0x1p-53 - 0.5;
		samples[i] = value;
	}
	return samples;
}

static size_t run_observer(const double *samples, double delta)
{
	struct observer observer;
	size_t sent = 0;

	observer_init(&observer, delta, true);
	for (size_t i = 0; i < SAMPLES; i++)
		sent += observer_offer(&observer, samples[i]) == OBSERVER_SEND;
	return sent;
}

int main(void)
{
	double *samples = make_walk();

	if (!samples)
		return 1;
	for (int round = 0; round < ROUNDS; round++) {
		int64_t start = clock_mono_usec(), middle, end;
		size_t ours = run_observer(samples, 2), theirs;

		middle = clock_mono_usec();
		theirs = compare_send_on_delta(samples, SAMPLES, 2);
		end = clock_mono_usec();
		printf("observer %.2f ns/sample, send-on-delta %.2f ns/sample, time ratio %.2f, "
		       "sent ratio "
		       "%.3f\n",
		       1e3 * (double)(middle - start) / SAMPLES,
		       1e3 * (double)(end - middle) / SAMPLES,
		       (double)(middle - start) / (double)(end - middle),
		       (double)ours / (double)theirs);
	}
	free(samples);
	return 0;
}
