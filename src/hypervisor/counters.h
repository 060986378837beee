#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sum of a VM's devices' counters, made so that it does not jump when a device is plugged or
 * unplugged: it grows by the increments of each device that was there before, and a device that
 * appears starts at its present count. Where a device's counter goes backwards the sum does too (by
 * 1): whoever makes rates of it then sees a reset, and no increment of which a part is lost.
 * Embedded; owns its list.
 */
#include <stddef.h>
#include <stdint.h>

enum { COUNTERS_PER_DEVICE = 5, COUNTERS_DEVICES_MAX = 256, COUNTERS_NAME_SIZE = 64 };

struct device_counters {
	char name[COUNTERS_NAME_SIZE];
	uint64_t values[COUNTERS_PER_DEVICE];
};

struct counters {
	struct device_counters *devices;
	size_t count;
	double totals[COUNTERS_PER_DEVICE];
};

/* The devices as they are now (at most COUNTERS_DEVICES_MAX are kept). -ENOMEM leaves everything as
 * it was. */
int counters_update(struct counters *counters, const struct device_counters *devices, size_t count);
void counters_deinit(struct counters *counters);
