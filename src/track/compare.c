/* SPDX-License-Identifier: Apache-2.0 */
#include "track/compare.h"

#include <math.h>
#include <stdbool.h>

/* A stretch of samples that one value could serve. */
struct segment {
	bool open;
	double low, high;
};

/* One message for the start of a gap, none for its continuation. */
static size_t gap_cost(bool *in_gap)
{
	size_t cost = *in_gap ? 0 : 1;

	*in_gap = true;
	return cost;
}

size_t compare_send_always(const double *samples, size_t count)
{
	size_t sent = 0;
	bool in_gap = false;

	for (size_t i = 0; i < count; i++) {
		if (!isfinite(samples[i])) {
			sent += gap_cost(&in_gap);
			continue;
		}
		in_gap = false;
		sent++;
	}
	return sent;
}

size_t compare_send_on_delta(const double *samples, size_t count, double delta)
{
	size_t sent = 0;
	bool held = false, in_gap = false;
	double value = 0;

	for (size_t i = 0; i < count; i++) {
		if (!isfinite(samples[i])) {
			sent += gap_cost(&in_gap);
			held = false;
			continue;
		}
		in_gap = false;
		if (held && fabs(samples[i] - value) <= delta)
			continue;
		value = samples[i];
		held = true;
		sent++;
	}
	return sent;
}

size_t compare_offline_optimum(const double *samples, size_t count, double delta)
{
	struct segment segment = {0};
	bool in_gap = false;
	size_t sent = 0;

	for (size_t i = 0; i < count; i++) {
		double low, high;

		if (!isfinite(samples[i])) {
			sent += gap_cost(&in_gap);
			segment.open = false;
			continue;
		}
		in_gap = false;
		low = fmin(segment.low, samples[i]);
		high = fmax(segment.high, samples[i]);
		if (segment.open && high - low <= 2 * delta) {
			segment.low = low;
			segment.high = high;
			continue;
		}
		segment = (struct segment){.open = true, .low = samples[i], .high = samples[i]};
		sent++;
	}
	return sent;
}
