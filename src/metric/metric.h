#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vocabulary of measurements: which metrics exist, their units, and how a VM and a series are
 * named. A series is (VM, metric). The first seven metrics are those of the paper (VI) and are
 * always collected; the others are switched on by configuration and treated alike. Values are
 * doubles "per interval": counters become increments scaled to the nominal interval, gauges are
 * taken as they are. Constant data; any thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum metric {
	METRIC_CPU_UTILIZATION, /* percent of the VM's vCPUs, 0 .. about 100 */
	METRIC_NETWORK_IN,
	METRIC_NETWORK_OUT,
	METRIC_DISK_READ_OPS,
	METRIC_DISK_WRITE_OPS,
	METRIC_DISK_READ_BYTES,
	METRIC_DISK_WRITE_BYTES,
	METRIC_PAPER_COUNT, /* the seven above are always on */

	METRIC_NETWORK_PACKETS_IN = METRIC_PAPER_COUNT,
	METRIC_NETWORK_PACKETS_OUT,
	METRIC_NETWORK_DROPS,   /* receive and transmit drops of all taps together */
	METRIC_CPU_WAIT,        /* percent: runnable but not running on the host ("steal") */
	METRIC_MEMORY_RESIDENT, /* bytes of the QEMU process, a gauge */
	METRIC_DISK_FLUSH_OPS,
	METRIC_COUNT
};

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE };

struct metric_info {
	const char *name;   /* CloudWatch's name where it has one: "CPUUtilization" */
	const char *unit;   /* "Percent", "Bytes", "Count" */
	const char *symbol; /* for people: "%", "B", "" */
	enum metric_kind kind;
	double resolution;    /* gamma: the finest step that means something, in metric units */
	double default_delta; /* the default maximum tracking error, in metric units per interval */
	const char *help;
};

/* All names with | between them, in the table's order, as a key of configuration has its choices.
 */
#define METRIC_NAMES                                                                             \
	"CPUUtilization|NetworkIn|NetworkOut|DiskReadOps|DiskWriteOps|DiskReadBytes|"            \
	"DiskWriteBytes|NetworkPacketsIn|NetworkPacketsOut|NetworkDrops|CPUWait|MemoryResident|" \
	"DiskFlushOps"

/* Never NULL for metric < METRIC_COUNT. */
const struct metric_info *metric_info(enum metric metric);

/* By its exact name; -ENOENT when there is none. */
int metric_parse(const char *name, enum metric *ret_metric);

/* A set of metrics, one bit each; the paper's seven are bits 0..6. */
typedef uint32_t metric_set;
#define METRIC_SET_PAPER ((metric_set)((1u << METRIC_PAPER_COUNT) - 1))

/* A VM's identity: the hypervisor's UUID. */
struct vm_uuid {
	uint8_t bytes[16];
};

enum { VM_UUID_TEXT_SIZE = 37 };

/* Canonical lower-case text into text of VM_UUID_TEXT_SIZE bytes; returns text. */
char *vm_uuid_format(const struct vm_uuid *uuid, char *text);

/* 8-4-4-4-12 hex digits, either case; -EINVAL for anything else. */
int vm_uuid_parse(const char *text, struct vm_uuid *ret_uuid);

bool vm_uuid_equal(const struct vm_uuid *a, const struct vm_uuid *b);

/* A UUID made from a name (for VMs that have none), the same for the same name on every run. */
struct vm_uuid vm_uuid_from_name(const char *name);
