#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a reading to a metric value. Counters become the increment since the reading before, scaled
 * from the time that really passed to the nominal interval; CPU time becomes percent of the VM's
 * vCPUs. A counter that goes backwards, another run_id, an absent reading, the first reading, or
 * one that is more than three intervals after the one before give NaN: a gap. Embedded; one a
 * series.
 */
#include <stdbool.h>
#include <stdint.h>

#include "hypervisor/hypervisor.h"
#include "metric/metric.h"

struct rate {
	struct reading previous;
	uint64_t run_id;
};

void rate_init(struct rate *rate);

/* NaN: gap. interval_usec > 0, vcpus >= 1. */
double rate_value(struct rate *rate, enum metric metric, const struct reading *reading,
		  uint64_t run_id, uint32_t vcpus, int64_t interval_usec);
