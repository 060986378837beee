#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where counters come from, behind one interface with three back ends: libvirt, bare QEMU
 * processes, a recorded trace. A back end lists the VMs that run now and, once a tick, reads their
 * counters from the cheapest source that is right: CPU, memory and network from
 * procfs, disks by QMP or libvirt. Each source has its own deadline and stamps its own readings,
 * so that a VM that does not answer costs only its own values. Lives on one libuv loop; blocking
 * calls run in threads that only pass messages back.
 */
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/error.h"
#include "metric/metric.h"

struct hypervisor;

enum { HYPERVISOR_VMS_MAX = 4096, HYPERVISOR_NAME_SIZE = 256, HYPERVISOR_TAP_SIZE = 16 };

enum reading_kind {
	READING_ABSENT,  /* not read: a gap, never 0 */
	READING_COUNTER, /* a counter since the run began; `value` in its own units (ns, bytes,
			    requests) */
	READING_VALUE,   /* already a metric value per interval (trace), or a gauge */
};

struct reading {
	enum reading_kind kind;
	double value;      /* counters are exact up to 2^53 */
	int64_t time_usec; /* of this very reading: monotonic clock; trace: its own time */
};

struct vm_reading {
	struct vm_uuid uuid;
	uint64_t run_id; /* changes when counters start anew: a new process, a new libvirt id */
	char name[HYPERVISOR_NAME_SIZE];
	char instance[HYPERVISOR_NAME_SIZE]; /* the cloud's name, "" */
	char project[HYPERVISOR_NAME_SIZE];  /* "" */
	uint32_t vcpus;
	struct reading readings[METRIC_COUNT];
};

/* One tick's readings, VMs in a stable order (by UUID). */
struct hypervisor_snapshot {
	int64_t watermark_usec; /* wall clock (trace: its own time) of the tick */
	const struct vm_reading *vms;
	size_t count;
};

struct hypervisor_options {
	const char *uri; /* "qemu:///system" or any libvirt URI; "qemu:" bare QEMU processes;
			    "trace:FILE" */
	double speed;    /* trace only: times faster than recorded, > 0 */
	const char
		*start; /* trace only: "recorded" keeps its times, "now" shifts them to begin now */
};

/* `tick` is called once for each hypervisor_collect(), when all sources have answered or their
 * deadlines have passed; the snapshot is borrowed during the call. `ended`: the trace is over;
 * never by the others. */
struct hypervisor_ops {
	void (*tick)(void *userdata, const struct hypervisor_snapshot *snapshot);
	void (*ended)(void *userdata);
};

/* Opens the back end that the URI names. A libvirt that is not there is no error at this point: VMs
 * are absent until it comes, it is retried, and hypervisor_problem() says so. -EINVAL for a bad
 * URI, -ENOENT or -EINVAL with FILE:LINE for a bad trace. */
int hypervisor_open(uv_loop_t *loop, const struct hypervisor_options *options, metric_set metrics,
		    const struct hypervisor_ops *ops, void *userdata,
		    struct hypervisor **ret_hypervisor, struct error *err);

/* Closes its handles; a worker thread that hangs in a blocked call is left behind and ends by
 * itself. The loop must run on until no handle is left. */
struct hypervisor *hypervisor_free(struct hypervisor *hypervisor);

/* Which metrics are wanted from now on: sources that serve none of them are not read. */
void hypervisor_set_metrics(struct hypervisor *hypervisor, metric_set metrics);

/* Starts the readings of one tick; the tick callback follows within deadline_usec. -EBUSY while one
 * is under way. A trace gives its next row. */
int hypervisor_collect(struct hypervisor *hypervisor, int64_t deadline_usec);

/* How long to wait from tick to tick: interval_usec, or for a trace the recorded distance / speed.
 */
int64_t hypervisor_pace_usec(const struct hypervisor *hypervisor, int64_t interval_usec);

/* The names of the tap devices of a running VM as they are now: of those in our own network
 * namespace, where alone a name means anything to us. Returns how many. Network cards of another
 * kind (user mode, macvtap, a device passed through) are not among them: *ret_cards is how many
 * cards of any kind the VM was started with, which does not know of those that were plugged in or
 * out since. -ENOENT: no process of this VM runs here. -EAGAIN: one does, but the back end does not
 * know it now. -E2BIG: there are more than `capacity`, or than can be listed. -EXDEV: in another
 * namespace. -ENOTSUP: a trace. Others of reading /proc. */
int hypervisor_taps(struct hypervisor *hypervisor, const struct vm_uuid *uuid,
		    char (*ret_names)[HYPERVISOR_TAP_SIZE], size_t capacity, size_t *ret_cards);

/* Bytes of memory of a running VM; 0: not known. */
uint64_t hypervisor_memory(struct hypervisor *hypervisor, const struct vm_uuid *uuid);

/* What does not work just now, as a sentence for the operator; NULL when all is well. Borrowed
 * until the next call into the back end. */
const char *hypervisor_problem(const struct hypervisor *hypervisor);

/* "libvirt (qemu:///system)". Borrowed. */
const char *hypervisor_name(const struct hypervisor *hypervisor);
