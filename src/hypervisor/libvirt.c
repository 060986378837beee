/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMs under libvirt. Its inventory says which domains run and what they are called; CPU, network
 * and memory come from procfs, by the process that carries the domain's UUID; block counters come
 * through probes, a call per VM. At half the deadline what waits behind a call that hangs is asked
 * by another probe, and what is not in by the deadline is absent.
 */
#include <errno.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "hypervisor/backend.h"
#include "hypervisor/inventory.h"
#include "hypervisor/machines.h"
#include "hypervisor/probes.h"
#include "hypervisor/tick.h"

/* A domain and its process do not come and go in the same instant. */
enum { MISSING_TICKS_MAX = 3 };

struct libvirt {
	struct hypervisor common;
	struct machines machines;
	struct tick tick;
	uv_timer_t hedge;
	uv_async_t wake;
	int open_handles;
	struct inventory *inventory;
	struct inventory_list *list; /* NULL: libvirt has not answered yet */
	struct probes *probes;
	int unanswered; /* questions of this tick */
	int missing_ticks;
	bool probes_hang;
	char problem[600];
};

static const struct inventory_vm *find_listed(const struct libvirt *libvirt,
					      const struct vm_uuid *uuid)
{
	for (size_t i = 0; libvirt->list && i < libvirt->list->count; i++)
		if (vm_uuid_equal(&libvirt->list->vms[i].uuid, uuid))
			return &libvirt->list->vms[i];
	return NULL;
}

/* libvirt knows what runs: a process that it does not list is not its domain (any more). */
static size_t mark_listed(struct libvirt *libvirt)
{
	size_t found = 0;

	for (size_t i = 0; i < libvirt->machines.count; i++) {
		struct machine *machine = libvirt->machines.items[i];
		const struct inventory_vm *vm = find_listed(libvirt, &machine->process.uuid);

		machine->listed = vm != NULL;
		if (!vm)
			continue;
		found++;
		memcpy(machine->instance, vm->instance, sizeof(machine->instance));
		memcpy(machine->project, vm->project, sizeof(machine->project));
	}
	return found;
}

/* Takes over what the inventory has found; true when it is new. */
static bool take_inventory(struct libvirt *libvirt)
{
	struct inventory_list *list = inventory_take(libvirt->inventory);

	if (!list)
		return false;
	free(libvirt->list);
	libvirt->list = list;
	return true;
}

static void ask(struct libvirt *libvirt)
{
	size_t count = 0;
	cleanup(free) struct vm_uuid *uuids = calloc(libvirt->machines.count + 1, sizeof(*uuids));

	for (size_t i = 0; uuids && i < libvirt->machines.count; i++)
		if (libvirt->machines.items[i]->listed)
			uuids[count++] = libvirt->machines.items[i]->process.uuid;
	libvirt->unanswered = probes_ask(libvirt->probes, libvirt->tick.number, uuids, count);
	if (libvirt->unanswered <= 0)
		tick_end(&libvirt->tick);
}

static void begin(struct libvirt *libvirt, bool changed)
{
	size_t found;

	machines_refresh(&libvirt->machines, changed);
	found = mark_listed(libvirt);
	libvirt->missing_ticks = found < libvirt->list->count ? libvirt->missing_ticks + 1 : 0;
	for (size_t i = 0; i < libvirt->machines.count; i++)
		machine_forget_disk(libvirt->machines.items[i]);
	ask(libvirt);
}

static void on_hedge(uv_timer_t *timer)
{
	struct libvirt *libvirt = timer->data;

	if (libvirt->tick.under_way)
		libvirt->probes_hang = !probes_hedge(libvirt->probes);
}

static int collect(struct hypervisor *hypervisor, int64_t deadline_usec)
{
	struct libvirt *libvirt = (struct libvirt *)hypervisor;
	int r = tick_begin(&libvirt->tick, deadline_usec);
	bool changed;

	if (r < 0)
		return r;
	libvirt->probes_hang = false;
	changed = take_inventory(libvirt);
	if (libvirt->list)
		begin(libvirt, changed);
	return uv_timer_start(&libvirt->hedge, on_hedge,
			      (uint64_t)(deadline_usec / 2 / USEC_PER_MSEC), 0);
}

static void take_answer(struct libvirt *libvirt, const struct probe_answer *answer)
{
	struct machine *machine = machines_find(&libvirt->machines, &answer->uuid);

	if (!libvirt->tick.under_way || answer->tag != libvirt->tick.number)
		return; /* too late: its tick has gone out without it */
	if (machine && answer->has_block)
		machine_take_disk(machine, answer->devices, answer->count);
	if (--libvirt->unanswered == 0)
		tick_end(&libvirt->tick);
}

static void on_wake(uv_async_t *async)
{
	struct libvirt *libvirt = async->data;
	struct probe_answer *answer = probes_take(libvirt->probes);

	while (answer) {
		struct probe_answer *next = answer->next;

		take_answer(libvirt, answer);
		free(answer);
		answer = next;
	}
	/* the first list is waited for, a later one is for the next tick */
	if (!libvirt->list && libvirt->tick.under_way && take_inventory(libvirt))
		begin(libvirt, true);
}

static void note_problem(struct libvirt *libvirt)
{
	char text[256];

	inventory_problem(libvirt->inventory, text, sizeof(text));
	if (!text[0] && libvirt->probes_hang)
		(void)snprintf(text, sizeof(text),
			       "%d calls hang: no block counters until one "
			       "returns",
			       PROBES_MAX);
	if (!text[0] && libvirt->missing_ticks > MISSING_TICKS_MAX)
		(void)snprintf(text, sizeof(text),
			       "there are VMs without a QEMU process in this "
			       "/proc: is it another host's, or hidden?");
	if (text[0])
		(void)snprintf(libvirt->problem, sizeof(libvirt->problem), "%s: %s",
			       libvirt->common.name, text);
	else
		libvirt->problem[0] = '\0';
}

static void finish(struct tick *tick)
{
	struct libvirt *libvirt = tick->owner;
	struct hypervisor_snapshot snapshot =
		machines_snapshot(&libvirt->machines, libvirt->common.metrics);

	(void)uv_timer_stop(&libvirt->hedge);
	note_problem(libvirt);
	libvirt->common.ops.tick(libvirt->common.userdata, &snapshot);
}

static int64_t pace_usec(const struct hypervisor *hypervisor, int64_t interval_usec)
{
	return interval_usec;
}

static const char *problem(const struct hypervisor *hypervisor)
{
	const struct libvirt *libvirt = (const struct libvirt *)hypervisor;

	return libvirt->problem[0] ? libvirt->problem : NULL;
}

static const struct machines *machines_of(const struct hypervisor *hypervisor)
{
	return &((const struct libvirt *)hypervisor)->machines;
}

static void free_libvirt(uv_handle_t *handle)
{
	struct libvirt *libvirt = handle->data;

	if (--libvirt->open_handles > 0)
		return;
	free(libvirt->list);
	free(libvirt);
}

static void close_libvirt(struct hypervisor *hypervisor)
{
	struct libvirt *libvirt = (struct libvirt *)hypervisor;

	inventory_free(libvirt->inventory);
	probes_free(libvirt->probes);
	machines_deinit(&libvirt->machines);
	libvirt->tick.timer.data = libvirt;
	libvirt->open_handles = 3;
	uv_close((uv_handle_t *)&libvirt->tick.timer, free_libvirt);
	uv_close((uv_handle_t *)&libvirt->hedge, free_libvirt);
	uv_close((uv_handle_t *)&libvirt->wake, free_libvirt);
}

static const struct backend libvirt_backend = {collect, pace_usec, problem, machines_of,
					       close_libvirt};

/* libvirt prints errors on stderr by itself unless told otherwise; ours travel with the answers. */
static void keep_quiet(void *userdata, virErrorPtr error)
{
}

int libvirt_open(const char *uri, struct hypervisor *common, struct hypervisor **ret_hypervisor,
		 struct error *err)
{
	struct libvirt *libvirt = calloc(1, sizeof(*libvirt));

	if (!libvirt || virInitialize() < 0) {
		free(libvirt);
		return error_set(err, -ENOMEM, "libvirt's client library cannot be used");
	}
	virSetErrorFunc(NULL, keep_quiet);
	libvirt->common = *common;
	libvirt->common.backend = &libvirt_backend;
	tick_init(&libvirt->tick, common->loop, finish, libvirt);
	(void)uv_timer_init(common->loop, &libvirt->hedge);         /* cannot fail */
	(void)uv_async_init(common->loop, &libvirt->wake, on_wake); /* a pipe that the loop has */
	libvirt->hedge.data = libvirt->wake.data = libvirt;
	libvirt->probes = probes_new(uri, &libvirt->wake);
	libvirt->inventory = inventory_new(uri, &libvirt->wake);
	if (!libvirt->probes || !libvirt->inventory) {
		close_libvirt(&libvirt->common);
		return error_set(err, -ENOMEM, "out of memory or threads");
	}
	*ret_hypervisor = &libvirt->common;
	return 0;
}
