#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VMs of this host as QEMU processes, with what is read of them without asking QEMU (procfs),
 * and the sums of their devices' counters. Shared by the back ends for libvirt and for bare
 * processes, which add block counters and names. Embedded; on the loop's thread.
 */
#include <stdbool.h>

#include "hypervisor/hypervisor.h"
#include "hypervisor/procfs.h"

struct machine {
	struct qemu_process process;
	char instance[HYPERVISOR_NAME_SIZE], project[HYPERVISOR_NAME_SIZE];
	uint64_t run_id;
	char taps[PROCFS_TAPS_MAX][PROCFS_TAP_SIZE];
	size_t tap_count;
	struct counters network, disk, delay;
	struct reading disk_readings[METRIC_COUNT];
	void *owner, *source; /* the back end and its own part, e.g. a QMP client */
	bool listed;          /* a VM that the back end answers for */
};

/* The network interfaces of one namespace, as seen at a time. */
struct interfaces {
	struct device_counters *items;
	size_t count;
	ino_t namespace;
	int64_t time_usec; /* monotonic */
	bool good;
};

struct machines {
	struct machine **items; /* by UUID */
	size_t count;
	void (*leaving)(struct machine *machine); /* called before one is freed; may be NULL */
	int64_t scanned_usec;                     /* monotonic; 0: never */
	struct vm_reading *readings;
	size_t readings_capacity;
	struct interfaces interfaces;
};

/* Looks for processes that came and went. Cheap unless `force`, a process has ended, or five
 * seconds have passed. */
void machines_refresh(struct machines *machines, bool force);
void machines_deinit(struct machines *machines);

struct machine *machines_find(const struct machines *machines, const struct vm_uuid *uuid);

/* As hypervisor_taps(), of the listed machines. */
int machines_taps(const struct machines *machines, const struct vm_uuid *uuid,
		  char (*ret_names)[HYPERVISOR_TAP_SIZE], size_t capacity, size_t *ret_cards);
/* As hypervisor_memory(). */
uint64_t machines_memory(const struct machines *machines, const struct vm_uuid *uuid);

/* Reads CPU, network and memory of every listed machine; block counters are as last given by
 * machine_take_disk(). The snapshot is borrowed until the next one. */
struct hypervisor_snapshot machines_snapshot(struct machines *machines, metric_set metrics);

/* Block counters read just now: per device bytes read, bytes written, reads, writes, flushes. */
void machine_take_disk(struct machine *machine, const struct device_counters *devices,
		       size_t count);
/* Before a new tick: what is not read again is absent. */
void machine_forget_disk(struct machine *machine);
