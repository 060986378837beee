/* SPDX-License-Identifier: Apache-2.0 */
/* Bare QEMU processes, without libvirt: block counters by QMP where a process serves it on a Unix
 * socket. */
#include <errno.h>
#include <stdlib.h>

#include "hypervisor/backend.h"
#include "hypervisor/machines.h"
#include "hypervisor/qmp.h"
#include "hypervisor/tick.h"

struct qemu {
	struct hypervisor common;
	struct machines machines;
	struct tick tick;
	size_t unanswered;
};

static void close_source(struct machine *machine)
{
	machine->source = qmp_free(machine->source);
}

static void on_answer(void *userdata, uint64_t tag, const struct device_counters *devices,
		      size_t count)
{
	struct machine *machine = userdata;
	struct qemu *qemu = machine->owner;

	machine_take_disk(machine, devices, count);
	if (tag == qemu->tick.number && qemu->unanswered > 0 && --qemu->unanswered == 0)
		tick_end(&qemu->tick);
}

static void ask(struct qemu *qemu, struct machine *machine)
{
	if (machine->process.of_libvirt)
		return; /* its monitor is libvirt's */
	machine_forget_disk(machine);
	machine->listed = true;
	if (!machine->source && machine->process.qmp_path[0]) {
		machine->owner = qemu;
		machine->source = qmp_new(qemu->common.loop, machine->process.pid,
					  machine->process.qmp_path, on_answer, machine);
	}
	if (machine->source && qmp_query_block(machine->source, qemu->tick.number) == 0)
		qemu->unanswered++;
}

static int collect(struct hypervisor *hypervisor, int64_t deadline_usec)
{
	struct qemu *qemu = (struct qemu *)hypervisor;
	int r = tick_begin(&qemu->tick, deadline_usec);

	if (r < 0)
		return r;
	machines_refresh(&qemu->machines, false);
	qemu->unanswered = 0;
	for (size_t i = 0; i < qemu->machines.count; i++)
		ask(qemu, qemu->machines.items[i]);
	if (qemu->unanswered == 0)
		tick_end(&qemu->tick);
	return 0;
}

static void finish(struct tick *tick)
{
	struct qemu *qemu = tick->owner;
	struct hypervisor_snapshot snapshot =
		machines_snapshot(&qemu->machines, qemu->common.metrics);

	qemu->common.ops.tick(qemu->common.userdata, &snapshot);
}

static int64_t pace_usec(const struct hypervisor *hypervisor, int64_t interval_usec)
{
	return interval_usec;
}

static const char *problem(const struct hypervisor *hypervisor)
{
	return NULL;
}

static const struct machines *machines_of(const struct hypervisor *hypervisor)
{
	return &((const struct qemu *)hypervisor)->machines;
}

static void free_qemu(uv_handle_t *handle)
{
	struct tick *tick = handle->data;
	struct qemu *qemu = tick->owner;

	free(qemu);
}

static void close_qemu(struct hypervisor *hypervisor)
{
	struct qemu *qemu = (struct qemu *)hypervisor;

	machines_deinit(&qemu->machines);
	uv_close((uv_handle_t *)&qemu->tick.timer, free_qemu);
}

static const struct backend qemu_backend = {collect, pace_usec, problem, machines_of, close_qemu};

int qemu_open(struct hypervisor *common, struct hypervisor **ret_hypervisor, struct error *err)
{
	struct qemu *qemu = calloc(1, sizeof(*qemu));

	if (!qemu)
		return error_set(err, -ENOMEM, "out of memory");
	qemu->common = *common;
	qemu->common.backend = &qemu_backend;
	qemu->machines.leaving = close_source;
	tick_init(&qemu->tick, common->loop, finish, qemu);
	*ret_hypervisor = &qemu->common;
	return 0;
}
