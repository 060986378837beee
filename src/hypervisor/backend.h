#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a hypervisor: what each back end provides, and what all share. A back end's struct
 * begins with struct hypervisor.
 */
#include "hypervisor/hypervisor.h"

struct machines;

struct backend {
	int (*collect)(struct hypervisor *hypervisor, int64_t deadline_usec);
	int64_t (*pace_usec)(const struct hypervisor *hypervisor, int64_t interval_usec);
	const char *(*problem)(const struct hypervisor *hypervisor);
	/* The VMs as processes, borrowed; no function where they are none. */
	const struct machines *(*machines)(const struct hypervisor *hypervisor);
	void (*free)(struct hypervisor *hypervisor);
};

struct hypervisor {
	const struct backend *backend;
	uv_loop_t *loop;
	struct hypervisor_ops ops;
	void *userdata;
	metric_set metrics;
	char name[HYPERVISOR_NAME_SIZE];
};

int trace_open(const struct hypervisor_options *options, const char *path,
	       struct hypervisor *common, struct hypervisor **ret_hypervisor, struct error *err);
int qemu_open(struct hypervisor *common, struct hypervisor **ret_hypervisor, struct error *err);
int libvirt_open(const char *uri, struct hypervisor *common, struct hypervisor **ret_hypervisor,
		 struct error *err);
