#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host's kernel tells of a QEMU process: that it is one, whose it is, its taps, its CPU
 * time and memory, and the counters of its network interfaces. Nothing here asks QEMU, so nothing
 * here can hang on it. Any thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "hypervisor/counters.h"
#include "metric/metric.h"

enum {
	PROCFS_NAME_SIZE = 256,
	PROCFS_PATH_SIZE = 4096,
	PROCFS_TAPS_MAX = 32,
	PROCFS_TAP_SIZE = 16
};

struct qemu_process {
	pid_t pid;
	uint64_t start_ticks; /* tells a process from a later one with its pid */
	struct vm_uuid uuid;  /* -uuid, else made from the name */
	char name[PROCFS_NAME_SIZE];
	uint32_t vcpus;
	char qmp_path[PROCFS_PATH_SIZE]; /* of a Unix socket where QMP is served, or "" */
	bool has_network;                /* by its command line; hot-plugged taps come beside */
	size_t network_cards;            /* by its command line, of whatever kind */
	uint64_t memory_bytes;           /* of its guest, by its command line */
	bool of_libvirt;                 /* by its command line */
	ino_t network_namespace;
};

/* The processes that run a QEMU system emulator. Returns their number (at most `capacity`), or a
 * negative errno. */
int procfs_list(pid_t *pids, size_t capacity);
bool procfs_is_qemu(const char *program);

/* What the process's command line and folder tell. False when it is no QEMU, has ended or may not
 * be looked at. */
bool procfs_examine(pid_t pid, struct qemu_process *ret_process);

/* From a QEMU's command line as in /proc/PID/cmdline (arguments ended by NUL); the process's
 * numbers stay 0. False when it is none. */
bool procfs_parse_command_line(const char *line, size_t size, struct qemu_process *ret_process);

/* The same process still: alive, no zombie, with that start time. */
bool procfs_is_running(pid_t pid, uint64_t start_ticks);

/* Whether it is in our own network namespace. */
bool procfs_shares_network(const struct qemu_process *process);

/* The names of the tap interfaces whose descriptors the process holds. Returns how many, -E2BIG
 * where there are more than can be told, or another negative errno. */
int procfs_taps(pid_t pid, char taps[PROCFS_TAPS_MAX][PROCFS_TAP_SIZE]);

/* CPU time of all threads, dead ones too, in nanoseconds. */
int procfs_cpu_time(pid_t pid, double *ret_nsec);

/* Time that its threads were runnable but did not run: one device per thread, value 0 in
 * nanoseconds. Returns how many. */
size_t procfs_run_delays(pid_t pid, struct device_counters *threads, size_t capacity);

int procfs_resident_bytes(pid_t pid, double *ret_bytes);

/* Interfaces of the process's network namespace, seen from the VM behind the tap: values are bytes
 * in, bytes out, packets in, packets out, drops. Returns the number, or a negative errno. */
int procfs_interfaces(pid_t pid, struct device_counters *interfaces, size_t capacity);
size_t procfs_parse_interfaces(const char *text, struct device_counters *interfaces,
			       size_t capacity);
