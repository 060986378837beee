#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest that is looked into, as the parent holds it before it starts the confined child: its
 * monitor, its process, descriptors of its memory with the guest-physical map, its vCPUs'
 * registers; or a dump file, which has only memory and perhaps registers. One owner, one thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "hypervisor/monitor.h"
#include "introspect/memory.h"
#include "introspect/registers.h"

enum { TARGET_NAME_SIZE = 256, TARGET_DESCRIPTORS_MAX = 64, TARGET_REACH_SIZE = 4096 };

/* One of: a VM's name or UUID; a QMP socket; a process; a dump file. */
struct target_options {
	const char *vm, *qmp, *dump;
	pid_t pid;
	const char *uri; /* of libvirt, for domains */
};

struct target {
	char name[TARGET_NAME_SIZE];
	char key[TARGET_NAME_SIZE]; /* tells this boot of QEMU from others, for the cache; "" none
				     */
	struct monitor *monitor;    /* NULL for a dump */
	pid_t pid;
	char reach[TARGET_REACH_SIZE]; /* the way to the monitor: a socket's path, or a UUID */
	const char *uri;               /* of libvirt; NULL: reach is a socket */
	struct memory *memory;
	const char *way; /* for people: "shared memory", "process memory", "ELF dump", ... */
	int descriptors[TARGET_DESCRIPTORS_MAX];
	size_t descriptor_count;
	struct registers *vcpus; /* owned */
	size_t vcpu_count;
};

/* Errors say what was looked for and where: -ENOENT (no such VM), -EEXIST (several of that name),
 * -EACCES (not root), -ENOTSUP, and those of the parts. */
int target_open(const struct target_options *options, struct target *ret_target, struct error *err);
/* Its monitor and process alone: nothing of the guest is read. Not for a dump; the same errors. */
int target_attach(const struct target_options *options, struct target *ret_target,
		  struct error *err);
/* The registers of the vCPUs as they are now. */
int target_read_registers(struct target *target, struct error *err);
/* A second connection to the same monitor, for one whose first has ended. */
int target_reopen_monitor(const struct target *target, struct monitor **ret_monitor,
			  struct error *err);
/* The same guest's memory once more, writable: for the parent of a child that may not write. Only
 * the memory and its descriptors are set; target_close() closes it. */
int target_open_writable(const struct target *target, struct target *ret_writable,
			 struct error *err);
/* Whether QEMU says that the guest's memory is encrypted (SEV), so that nothing of it can be read.
 */
bool target_is_encrypted(struct target *target);
void target_close(struct target *target);
