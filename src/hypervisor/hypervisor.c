/* SPDX-License-Identifier: Apache-2.0 */
#include "hypervisor/hypervisor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hypervisor/backend.h"
#include "hypervisor/machines.h"

int hypervisor_open(uv_loop_t *loop, const struct hypervisor_options *options, metric_set metrics,
		    const struct hypervisor_ops *ops, void *userdata,
		    struct hypervisor **ret_hypervisor, struct error *err)
{
	const char *uri = options->uri;
	struct hypervisor common = {
		.loop = loop,
		.ops = *ops,
		.userdata = userdata,
		.metrics = metrics,
	};

	if (strncmp(uri, "trace:", 6) == 0) {
		(void)snprintf(common.name, sizeof(common.name), "trace (%s)", uri + 6);
		return trace_open(options, uri + 6, &common, ret_hypervisor, err);
	}
	if (strcmp(uri, "qemu:") == 0) {
		(void)snprintf(common.name, sizeof(common.name), "qemu processes");
		return qemu_open(&common, ret_hypervisor, err);
	}
	if (!strstr(uri, "://"))
		return error_set(
			err, -EINVAL,
			"'%s' names no hypervisor: write a libvirt URI such as "
			"qemu:///system, or qemu: for processes without libvirt, or trace:FILE",
			uri);
	(void)snprintf(common.name, sizeof(common.name), "libvirt (%s)", uri);
	return libvirt_open(uri, &common, ret_hypervisor, err);
}

struct hypervisor *hypervisor_free(struct hypervisor *hypervisor)
{
	if (hypervisor)
		hypervisor->backend->free(hypervisor);
	return NULL;
}

void hypervisor_set_metrics(struct hypervisor *hypervisor, metric_set metrics)
{
	hypervisor->metrics = metrics;
}

int hypervisor_collect(struct hypervisor *hypervisor, int64_t deadline_usec)
{
	return hypervisor->backend->collect(hypervisor, deadline_usec);
}

int64_t hypervisor_pace_usec(const struct hypervisor *hypervisor, int64_t interval_usec)
{
	return hypervisor->backend->pace_usec(hypervisor, interval_usec);
}

int hypervisor_taps(struct hypervisor *hypervisor, const struct vm_uuid *uuid,
		    char (*ret_names)[HYPERVISOR_TAP_SIZE], size_t capacity, size_t *ret_cards)
{
	const struct backend *backend = hypervisor->backend;

	return backend->machines ? machines_taps(backend->machines(hypervisor), uuid, ret_names,
						 capacity, ret_cards)
				 : -ENOTSUP;
}

uint64_t hypervisor_memory(struct hypervisor *hypervisor, const struct vm_uuid *uuid)
{
	const struct backend *backend = hypervisor->backend;

	return backend->machines ? machines_memory(backend->machines(hypervisor), uuid) : 0;
}

const char *hypervisor_problem(const struct hypervisor *hypervisor)
{
	return hypervisor->backend->problem(hypervisor);
}

const char *hypervisor_name(const struct hypervisor *hypervisor)
{
	return hypervisor->name;
}
