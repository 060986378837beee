#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that ask libvirt for the block counters of one VM at a time, each over a connection of
 * its own. A call that hangs keeps its thread and its VM's counters and nothing else: what waits
 * behind it is asked by another thread. The owner lives on the loop's thread; `wake` is sent when
 * answers are ready.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "hypervisor/counters.h"
#include "metric/metric.h"

struct probes;

enum { PROBES_MAX = 8 };

struct probe_answer {
	struct probe_answer *next;
	uint64_t tag; /* of the question */
	struct vm_uuid uuid;
	bool has_block; /* false: libvirt did not say; absent, not 0 */
	size_t count;
	struct device_counters devices[]; /* bytes read, written, reads, writes, flushes */
};

/* Returns owned, or NULL when memory is out. */
struct probes *probes_new(const char *uri, uv_async_t *wake);

/* Never waits: a thread that hangs ends by itself when its call returns. */
struct probes *probes_free(struct probes *probes);

/* Asks about these VMs, but those whose call of an earlier tick still hangs; what of earlier
 * questions was not begun is forgotten. Returns how many answers will come, or -ENOMEM. */
int probes_ask(struct probes *probes, uint64_t tag, const struct vm_uuid *uuids, size_t count);

/* Another thread, where questions wait. False when PROBES_MAX hang already. */
bool probes_hedge(struct probes *probes);

/* The answers since the last call, a list to free() one by one, or NULL. */
struct probe_answer *probes_take(struct probes *probes);
