#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a block of guest RAM lies in the QEMU process: QEMU's monitor tells the address in the
 * process, /proc/PID/maps what is mapped there. A shared mapping of a file or memfd is opened
 * through the process's descriptor of it; anything else is read through /proc/PID/mem, which needs
 * the right to trace the process only at the moment of opening, so that the descriptor can be
 * handed to a confined child. Borrows nothing; the descriptors are the caller's.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "hypervisor/monitor.h"
#include "introspect/mtree.h"

struct backing {
	pid_t pid;
	char *maps;  /* owned: /proc/PID/maps */
	int process; /* descriptor of /proc/PID/mem once it was needed, or -1 */
	struct {
		uint64_t device, inode;
		int fd;
	} files[16]; /* opened so far */
	size_t file_count;
};

struct backing_place {
	int fd;
	uint64_t offset;
	bool is_shared;
};

int backing_init(struct backing *backing, pid_t pid, struct error *err);
void backing_deinit(struct backing *backing);
/* Errors: -EPROTO (the monitor's answer), -EACCES, -ENOENT. */
int backing_find(struct backing *backing, struct monitor *monitor, const struct mtree_range *range,
		 bool writable, struct backing_place *ret_place, struct error *err);
