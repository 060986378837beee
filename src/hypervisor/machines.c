/* SPDX-License-Identifier: Apache-2.0 */
#include "hypervisor/machines.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define SCAN_INTERVAL_USEC (5 * USEC_PER_SEC)

enum { INTERFACES_MAX = 4096, THREADS_MAX = COUNTERS_DEVICES_MAX };

static const enum metric network_metrics[COUNTERS_PER_DEVICE] = {
	METRIC_NETWORK_IN, METRIC_NETWORK_OUT, METRIC_NETWORK_PACKETS_IN,
	METRIC_NETWORK_PACKETS_OUT, METRIC_NETWORK_DROPS};
static const enum metric disk_metrics[COUNTERS_PER_DEVICE] = {
	METRIC_DISK_READ_BYTES, METRIC_DISK_WRITE_BYTES, METRIC_DISK_READ_OPS,
	METRIC_DISK_WRITE_OPS, METRIC_DISK_FLUSH_OPS};

static struct reading counter_now(double value)
{
	return (struct reading){
		.kind = READING_COUNTER, .value = value, .time_usec = clock_mono_usec()};
}

static void free_machine(struct machines *machines, struct machine *machine)
{
	if (machines->leaving)
		machines->leaving(machine);
	counters_deinit(&machine->network);
	counters_deinit(&machine->disk);
	counters_deinit(&machine->delay);
	free(machine);
}

void machines_deinit(struct machines *machines)
{
	for (size_t i = 0; i < machines->count; i++)
		free_machine(machines, machines->items[i]);
	free(machines->items);
	free(machines->readings);
	free(machines->interfaces.items);
	*machines = (struct machines){0};
}

struct machine *machines_find(const struct machines *machines, const struct vm_uuid *uuid)
{
	for (size_t i = 0; i < machines->count; i++)
		if (vm_uuid_equal(&machines->items[i]->process.uuid, uuid))
			return machines->items[i];
	return NULL;
}

static bool is_alive(const struct machine *machine)
{
	return procfs_is_running(machine->process.pid, machine->process.start_ticks);
}

/* Read anew: cards are plugged in and out while a VM runs. */
int machines_taps(const struct machines *machines, const struct vm_uuid *uuid,
		  char (*ret_names)[HYPERVISOR_TAP_SIZE], size_t capacity, size_t *ret_cards)
{
	const struct machine *machine = machines_find(machines, uuid);
	char taps[PROCFS_TAPS_MAX][PROCFS_TAP_SIZE];
	int count;

	static_assert((int)HYPERVISOR_TAP_SIZE == (int)PROCFS_TAP_SIZE, "names of one size");
	if (!machine || !is_alive(machine))
		return -ENOENT;
	if (!machine->listed)
		return -EAGAIN;
	if (!procfs_shares_network(&machine->process))
		return -EXDEV;
	count = procfs_taps(machine->process.pid, taps);
	if (!is_alive(machine)) /* the number may be another process's by now */
		return -ENOENT;
	if (count < 0 || (size_t)count > capacity)
		return count < 0 ? count : -E2BIG;
	memcpy(ret_names, taps, (size_t)count * sizeof(taps[0]));
	*ret_cards = machine->process.network_cards;
	return count;
}

uint64_t machines_memory(const struct machines *machines, const struct vm_uuid *uuid)
{
	const struct machine *machine = machines_find(machines, uuid);
	double resident;

	if (!machine)
		return 0;
	/* memory that was plugged in later is in no command line */
	if (procfs_resident_bytes(machine->process.pid, &resident) == 0 &&
	    (uint64_t)resident > machine->process.memory_bytes)
		return (uint64_t)resident;
	return machine->process.memory_bytes;
}

/* Where they cannot be told there are none: the network's counters are absent then. */
static void list_taps(struct machine *machine)
{
	int count = procfs_taps(machine->process.pid, machine->taps);

	machine->tap_count = count > 0 ? (size_t)count : 0;
}

static bool drop_dead(struct machines *machines)
{
	size_t kept = 0;

	for (size_t i = 0; i < machines->count; i++) {
		struct machine *machine = machines->items[i];

		if (is_alive(machine))
			machines->items[kept++] = machine;
		else
			free_machine(machines, machine);
	}
	if (kept == machines->count)
		return false;
	machines->count = kept;
	return true;
}

static int compare_machines(const void *a, const void *b)
{
	const struct machine *const *left = a, *const *right = b;

	return memcmp((*left)->process.uuid.bytes, (*right)->process.uuid.bytes,
		      sizeof((*left)->process.uuid.bytes));
}

static bool is_known(const struct machines *machines, pid_t pid)
{
	for (size_t i = 0; i < machines->count; i++)
		if (machines->items[i]->process.pid == pid)
			return true;
	return false;
}

/* Two processes of one UUID are the two ends of a migration on one host: the one that is known
 * stays. */
static void add_process(struct machines *machines, pid_t pid)
{
	struct machine *machine = calloc(1, sizeof(*machine));
	struct machine **items;

	if (!machine || !procfs_examine(pid, &machine->process) ||
	    machines_find(machines, &machine->process.uuid)) {
		free(machine);
		return;
	}
	items = reallocarray(machines->items, machines->count + 1, sizeof(struct machine *));
	if (!items) {
		free(machine);
		return;
	}
	machines->items = items;
	machine->run_id = machine->process.start_ticks << 22 ^ (uint64_t)pid;
	items[machines->count++] = machine;
}

static void scan(struct machines *machines)
{
	pid_t pids[HYPERVISOR_VMS_MAX];
	int count = procfs_list(pids, HYPERVISOR_VMS_MAX);

	for (int i = 0; i < count && machines->count < HYPERVISOR_VMS_MAX; i++)
		if (!is_known(machines, pids[i]))
			add_process(machines, pids[i]);
	if (machines->count > 0)
		qsort(machines->items, machines->count, sizeof(struct machine *), compare_machines);
	for (size_t i = 0; i < machines->count; i++)
		list_taps(machines->items[i]);
	machines->scanned_usec = clock_mono_usec();
}

void machines_refresh(struct machines *machines, bool force)
{
	bool changed = drop_dead(machines);

	if (force || changed || machines->scanned_usec == 0 ||
	    clock_mono_usec() - machines->scanned_usec >= SCAN_INTERVAL_USEC)
		scan(machines);
}

/* Readings */

/* The interfaces of a network namespace, read once for all machines in it. */
static const struct interfaces *look(struct interfaces *interfaces, const struct machine *machine)
{
	int count;

	if (interfaces->good && interfaces->namespace == machine->process.network_namespace)
		return interfaces;
	count = procfs_interfaces(machine->process.pid, interfaces->items, INTERFACES_MAX);
	interfaces->good = count >= 0;
	interfaces->count = count >= 0 ? (size_t)count : 0;
	interfaces->namespace = machine->process.network_namespace;
	interfaces->time_usec = clock_mono_usec();
	return interfaces->good ? interfaces : NULL;
}

static size_t pick_taps(const struct machine *machine, const struct interfaces *interfaces,
			struct device_counters *taps)
{
	size_t found = 0;

	for (size_t i = 0; i < machine->tap_count; i++)
		for (size_t j = 0; j < interfaces->count; j++)
			if (strcmp(machine->taps[i], interfaces->items[j].name) == 0)
				taps[found++] = interfaces->items[j];
	return found;
}

/* Only taps can be seen from outside: the network of a VM that has another one is unknown, not 0.
 */
static void read_network(struct machine *machine, struct interfaces *view,
			 struct vm_reading *reading)
{
	struct device_counters taps[PROCFS_TAPS_MAX];
	const struct interfaces *interfaces;

	if (machine->tap_count == 0 && machine->process.has_network)
		return;
	interfaces = look(view, machine);
	if (!interfaces)
		return;
	if (pick_taps(machine, interfaces, taps) < machine->tap_count) {
		/* one has gone: nothing is known of this tick */
		list_taps(machine);
		return;
	}
	if (counters_update(&machine->network, taps, machine->tap_count) < 0)
		return;
	for (size_t i = 0; i < COUNTERS_PER_DEVICE; i++)
		reading->readings[network_metrics[i]] = (struct reading){
			READING_COUNTER, machine->network.totals[i], interfaces->time_usec};
}

static void read_delay(struct machine *machine, struct vm_reading *reading)
{
	struct device_counters threads[THREADS_MAX];
	size_t count = procfs_run_delays(machine->process.pid, threads, THREADS_MAX);

	if (count > 0 && counters_update(&machine->delay, threads, count) == 0)
		reading->readings[METRIC_CPU_WAIT] = counter_now(machine->delay.totals[0]);
}

static void read_process(struct machine *machine, metric_set metrics, struct vm_reading *reading)
{
	double value;

	if (procfs_cpu_time(machine->process.pid, &value) == 0)
		reading->readings[METRIC_CPU_UTILIZATION] = counter_now(value);
	if (metrics & 1u << METRIC_CPU_WAIT)
		read_delay(machine, reading);
	if (metrics & 1u << METRIC_MEMORY_RESIDENT &&
	    procfs_resident_bytes(machine->process.pid, &value) == 0)
		reading->readings[METRIC_MEMORY_RESIDENT] =
			(struct reading){.kind = READING_VALUE, .value = value};
}

static void start_reading(const struct machine *machine, struct vm_reading *reading)
{
	*reading = (struct vm_reading){
		.uuid = machine->process.uuid,
		.run_id = machine->run_id,
		.vcpus = machine->process.vcpus,
	};
	memcpy(reading->name, machine->process.name, sizeof(reading->name));
	memcpy(reading->instance, machine->instance, sizeof(reading->instance));
	memcpy(reading->project, machine->project, sizeof(reading->project));
	for (size_t i = 0; i < COUNTERS_PER_DEVICE; i++)
		reading->readings[disk_metrics[i]] = machine->disk_readings[disk_metrics[i]];
}

static void read_machine(struct machine *machine, metric_set metrics, struct interfaces *interfaces,
			 struct vm_reading *reading)
{
	start_reading(machine, reading);
	read_process(machine, metrics, reading);
	read_network(machine, interfaces, reading);
}

static bool reserve_interfaces(struct interfaces *interfaces)
{
	if (!interfaces->items)
		interfaces->items = calloc(INTERFACES_MAX, sizeof(*interfaces->items));
	interfaces->good = false;
	return interfaces->items != NULL;
}

static bool reserve_readings(struct machines *machines)
{
	struct vm_reading *readings;

	if (machines->count <= machines->readings_capacity)
		return true;
	readings = reallocarray(machines->readings, machines->count, sizeof(*readings));
	if (!readings)
		return false;
	machines->readings = readings;
	machines->readings_capacity = machines->count;
	return true;
}

struct hypervisor_snapshot machines_snapshot(struct machines *machines, metric_set metrics)
{
	struct hypervisor_snapshot snapshot = {.watermark_usec = clock_wall_usec()};

	if (!reserve_interfaces(&machines->interfaces) || !reserve_readings(machines))
		return snapshot;
	for (size_t i = 0; i < machines->count; i++)
		if (machines->items[i]->listed)
			read_machine(machines->items[i], metrics, &machines->interfaces,
				     &machines->readings[snapshot.count++]);
	snapshot.vms = machines->readings;
	return snapshot;
}

void machine_take_disk(struct machine *machine, const struct device_counters *devices, size_t count)
{
	if (counters_update(&machine->disk, devices, count) < 0)
		return;
	for (size_t i = 0; i < COUNTERS_PER_DEVICE; i++)
		machine->disk_readings[disk_metrics[i]] = counter_now(machine->disk.totals[i]);
}

void machine_forget_disk(struct machine *machine)
{
	memset(machine->disk_readings, 0, sizeof(machine->disk_readings));
}
