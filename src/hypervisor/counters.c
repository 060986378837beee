/* SPDX-License-Identifier: Apache-2.0 */
#include "hypervisor/counters.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const struct device_counters *find(const struct counters *counters, const char *name)
{
	for (size_t i = 0; i < counters->count; i++)
		if (strcmp(counters->devices[i].name, name) == 0)
			return &counters->devices[i];
	return NULL;
}

/* Adds a device's increments; a counter of it that went backwards is marked. */
static void add_increments(double totals[COUNTERS_PER_DEVICE], bool went_back[COUNTERS_PER_DEVICE],
			   const struct device_counters *before, const struct device_counters *now)
{
	for (size_t i = 0; i < COUNTERS_PER_DEVICE; i++) {
		if (now->values[i] < before->values[i])
			went_back[i] = true;
		else
			totals[i] += (double)(now->values[i] - before->values[i]);
	}
}

int counters_update(struct counters *counters, const struct device_counters *devices, size_t count)
{
	double totals[COUNTERS_PER_DEVICE];
	bool went_back[COUNTERS_PER_DEVICE] = {false};
	struct device_counters *kept;

	if (count > COUNTERS_DEVICES_MAX)
		count = COUNTERS_DEVICES_MAX;
	kept = calloc(count + 1, sizeof(*kept));
	if (!kept)
		return -ENOMEM;
	memcpy(totals, counters->totals, sizeof(totals));
	for (size_t i = 0; i < count; i++) {
		const struct device_counters *before = find(counters, devices[i].name);

		if (before)
			add_increments(totals, went_back, before, &devices[i]);
		kept[i] = devices[i];
	}
	for (size_t i = 0; i < COUNTERS_PER_DEVICE; i++)
		counters->totals[i] = went_back[i] ? counters->totals[i] - 1 : totals[i];
	free(counters->devices);
	counters->devices = kept;
	counters->count = count;
	return 0;
}

void counters_deinit(struct counters *counters)
{
	free(counters->devices);
	*counters = (struct counters){0};
}
