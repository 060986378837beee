/* SPDX-License-Identifier: Apache-2.0 */
#include "hypervisor/rate.h"

#include <math.h>

/* A baseline older than this many intervals says too little about the one that just ended. */
enum { BASELINE_INTERVALS_MAX = 3 };

void rate_init(struct rate *rate)
{
	*rate = (struct rate){.previous = {.kind = READING_ABSENT}};
}

static bool is_percentage(enum metric metric)
{
	return metric == METRIC_CPU_UTILIZATION || metric == METRIC_CPU_WAIT;
}

/* Counter units per interval; for CPU time in ns, percent of the vCPUs. */
static double scale(enum metric metric, double increment, double elapsed_usec, uint32_t vcpus,
		    int64_t interval_usec)
{
	if (is_percentage(metric))
		return 100 * increment / (1000 * elapsed_usec * vcpus);
	return increment * ((double)interval_usec / elapsed_usec);
}

double rate_value(struct rate *rate, enum metric metric, const struct reading *reading,
		  uint64_t run_id, uint32_t vcpus, int64_t interval_usec)
{
	struct reading previous = rate->previous;
	bool same_run = rate->run_id == run_id;
	double increment, elapsed;

	if (reading->kind == READING_ABSENT)
		return NAN;
	rate->previous = *reading;
	rate->run_id = run_id;
	if (reading->kind == READING_VALUE)
		return reading->value;
	if (previous.kind != READING_COUNTER || !same_run)
		return NAN;
	increment = reading->value - previous.value;
	elapsed = (double)(reading->time_usec - previous.time_usec);
	if (increment < 0 || elapsed <= 0 ||
	    elapsed > BASELINE_INTERVALS_MAX * (double)interval_usec)
		return NAN;
	return scale(metric, increment, elapsed, vcpus, interval_usec);
}
