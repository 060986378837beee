/* SPDX-License-Identifier: Apache-2.0 */
#include "node/fleet.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "hypervisor/rate.h"
#include "track/grid.h"
#include "track/observer.h"
#include "wire/codec.h"

struct series {
	struct rate rate;
	struct observer observer;
	bool changed;       /* since the last frame */
	bool delta_changed; /* the same, of the maximum error */
};

struct vm {
	struct vm_uuid uuid;
	char name[HYPERVISOR_NAME_SIZE], instance[HYPERVISOR_NAME_SIZE],
		project[HYPERVISOR_NAME_SIZE];
	uint32_t vcpus;
	struct series series[METRIC_COUNT];
	bool seen;
};

struct fleet {
	struct wire_settings settings;
	struct vm **vms; /* by UUID, as in the snapshots */
	size_t count;
	struct codec *codec; /* NULL: no epoch */
	uint64_t epoch, sequence;
	uint64_t delta_version; /* of the newest that the controller sent; 0: as the settings say */
	uint64_t deltas_told;   /* the one that a frame or an epoch has told */
	int64_t watermark_usec;
	bool is_listed; /* there has been a tick, whatever the settings were */
};

DEFINE_CLEANUP(struct codec *, codec_free)

struct fleet *fleet_new(void)
{
	return calloc(1, sizeof(struct fleet));
}

struct fleet *fleet_free(struct fleet *fleet)
{
	if (!fleet)
		return NULL;
	for (size_t i = 0; i < fleet->count; i++)
		free(fleet->vms[i]);
	free(fleet->vms);
	codec_free(fleet->codec);
	free(fleet);
	return NULL;
}

bool fleet_has_tick(const struct fleet *fleet)
{
	return fleet->watermark_usec != 0;
}

bool fleet_is_listed(const struct fleet *fleet)
{
	return fleet->is_listed;
}

bool fleet_has_epoch(const struct fleet *fleet)
{
	return fleet->codec != NULL;
}

void fleet_end_epoch(struct fleet *fleet)
{
	fleet->codec = codec_free(fleet->codec);
}

size_t fleet_vms(const struct fleet *fleet)
{
	return fleet->count;
}

void fleet_set_settings(struct fleet *fleet, const struct wire_settings *settings)
{
	fleet->settings = *settings;
	fleet->watermark_usec = 0;
	fleet->delta_version = 0;
	fleet_end_epoch(fleet);
	for (size_t i = 0; i < fleet->count; i++)
		for (size_t j = 0; j < METRIC_COUNT; j++)
			(void)observer_set_delta(&fleet->vms[i]->series[j].observer,
						 settings->deltas[j]); /* the epoch sends all */
}

/* VMs */

static int compare_vms(const void *a, const void *b)
{
	const struct vm *const *left = a, *const *right = b;

	return memcmp(&(*left)->uuid, &(*right)->uuid, sizeof((*left)->uuid));
}

/* Among the first `count`, which are in order. */
static struct vm *find_vm(const struct fleet *fleet, size_t count, const struct vm_uuid *uuid)
{
	const struct vm key = {.uuid = *uuid}, *wanted = &key;
	struct vm **found =
		count > 0 ? bsearch(&wanted, fleet->vms, count, sizeof(struct vm *), compare_vms)
			  : NULL;

	return found ? *found : NULL;
}

int fleet_find_vm(const struct fleet *fleet, const struct vm_uuid *uuid, const char **ret_name,
		  const char **ret_project)
{
	const struct vm *vm = find_vm(fleet, fleet->count, uuid);

	if (!vm)
		return -ENOENT;
	*ret_name = vm->name;
	*ret_project = vm->project;
	return 0;
}

static struct vm *add_vm(struct fleet *fleet, const struct vm_reading *reading)
{
	struct vm **vms = reallocarray(fleet->vms, fleet->count + 1, sizeof(struct vm *));
	struct vm *vm;

	if (!vms)
		return NULL;
	fleet->vms = vms;
	vm = calloc(1, sizeof(*vm));
	if (!vm)
		return NULL;
	vm->uuid = reading->uuid;
	for (size_t i = 0; i < METRIC_COUNT; i++) {
		rate_init(&vm->series[i].rate);
		observer_init(&vm->series[i].observer, fleet->settings.deltas[i], true);
	}
	vms[fleet->count++] = vm;
	log_info("VM %s is observed", reading->name);
	return vm;
}

static bool copy_name(char *to, const char *from)
{
	if (strncmp(to, from, HYPERVISOR_NAME_SIZE) == 0)
		return false;
	(void)snprintf(to, HYPERVISOR_NAME_SIZE, "%s", from);
	return true;
}

/* Whether anything that an epoch tells has changed. */
static bool take_identity(struct vm *vm, const struct vm_reading *reading)
{
	bool changed = copy_name(vm->name, reading->name);

	changed |= copy_name(vm->instance, reading->instance);
	changed |= copy_name(vm->project, reading->project);
	changed |= vm->vcpus != reading->vcpus;
	vm->vcpus = reading->vcpus;
	return changed;
}

static void take_readings(struct fleet *fleet, struct vm *vm, const struct vm_reading *reading)
{
	for (size_t i = 0; i < METRIC_COUNT; i++) {
		struct series *series = &vm->series[i];
		double value;

		if (!(fleet->settings.metrics & 1u << i))
			continue;
		value = rate_value(&series->rate, (enum metric)i, &reading->readings[i],
				   reading->run_id, reading->vcpus, fleet->settings.interval_usec);
		if (observer_offer(&series->observer, value) != OBSERVER_SILENT)
			series->changed = true;
	}
}

static bool drop_unseen(struct fleet *fleet)
{
	size_t kept = 0;
	bool any;

	for (size_t i = 0; i < fleet->count; i++) {
		struct vm *vm = fleet->vms[i];

		if (vm->seen) {
			fleet->vms[kept++] = vm;
			continue;
		}
		log_info("VM %s is gone", vm->name);
		free(vm);
	}
	any = kept < fleet->count;
	fleet->count = kept;
	return any;
}

int fleet_take(struct fleet *fleet, const struct hypervisor_snapshot *snapshot)
{
	size_t known = fleet->count;
	bool changed = false, out_of_memory = false;

	for (size_t i = 0; i < known; i++)
		fleet->vms[i]->seen = false;
	for (size_t i = 0; i < snapshot->count; i++) {
		const struct vm_reading *reading = &snapshot->vms[i];
		struct vm *vm = find_vm(fleet, known, &reading->uuid);

		if (!vm)
			vm = add_vm(fleet, reading);
		if (!vm) {
			changed = out_of_memory = true;
			continue;
		}
		vm->seen = true;
		changed |= take_identity(vm, reading);
		take_readings(fleet, vm, reading);
	}
	changed |= drop_unseen(fleet);
	if (changed) {
		if (fleet->count > 0)
			qsort(fleet->vms, fleet->count, sizeof(struct vm *), compare_vms);
		fleet_end_epoch(fleet);
	}
	fleet->watermark_usec = snapshot->watermark_usec;
	fleet->is_listed = true;
	return out_of_memory ? -ENOMEM : (int)fleet->count;
}

/* Epochs */

static size_t series_count(const struct fleet *fleet)
{
	return fleet->count * wire_metric_count(fleet->settings.metrics);
}

/* Series number `position` of the epoch. */
static struct series *series_at(const struct fleet *fleet, size_t position)
{
	size_t metrics = wire_metric_count(fleet->settings.metrics);

	return &fleet->vms[position / metrics]
			->series[wire_metric_at(fleet->settings.metrics, position % metrics)];
}

static int32_t exponent_of(double delta)
{
	int exponent;

	return track_grid_exponent(delta, &exponent) ? exponent : CODEC_NO_GRID;
}

int fleet_set_deltas(struct fleet *fleet, const struct wire_deltas *deltas)
{
	if (!fleet->codec || deltas->epoch != fleet->epoch)
		return 0;
	if (deltas->count > 0 && deltas->items[deltas->count - 1].series >= series_count(fleet))
		return -EINVAL;
	for (size_t i = 0; i < deltas->count; i++) {
		struct series *series = series_at(fleet, deltas->items[i].series);

		series->delta_changed = true;
		if (observer_set_delta(&series->observer, deltas->items[i].delta) == OBSERVER_SEND)
			series->changed = true;
	}
	fleet->delta_version = deltas->version;
	return 1;
}

static int start_codec(struct fleet *fleet, const double *deltas, size_t count)
{
	cleanup(free) int32_t *exponents = calloc(count + 1, sizeof(*exponents));

	if (!exponents)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		exponents[i] = exponent_of(deltas[i]);
	fleet->codec = codec_free(fleet->codec);
	return codec_new(exponents, count, &fleet->codec);
}

static void describe_vm(struct vm *vm, struct wire_vm *ret_vm)
{
	*ret_vm = (struct wire_vm){
		.uuid = vm->uuid,
		.name = vm->name,
		.instance = vm->instance,
		.project = vm->project,
		.vcpus = vm->vcpus,
	};
}

int fleet_begin_epoch(struct fleet *fleet, uint64_t number, uint8_t **ret_data, size_t *ret_size,
		      struct error *err)
{
	size_t count = series_count(fleet);
	cleanup(free) struct wire_vm *vms = calloc(fleet->count + 1, sizeof(*vms));
	cleanup(free) double *deltas = calloc(count + 1, sizeof(*deltas));
	struct wire_message message = {
		.type = WIRE_EPOCH,
		.epoch = {.epoch = number,
			  .interval_usec = fleet->settings.interval_usec,
			  .metrics = fleet->settings.metrics,
			  .vms = vms,
			  .vm_count = fleet->count,
			  .deltas = deltas,
			  .delta_version = fleet->delta_version},
	};
	int r;

	if (!vms || !deltas)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < fleet->count; i++)
		describe_vm(fleet->vms[i], &vms[i]);
	for (size_t i = 0; i < count; i++)
		deltas[i] = series_at(fleet, i)->observer.delta;
	r = wire_encode(&message, ret_data, ret_size, err);
	if (r < 0)
		return r;
	if (start_codec(fleet, deltas, count) < 0) {
		free(*ret_data);
		return error_set(err, -ENOMEM, "out of memory");
	}
	fleet->epoch = number;
	fleet->sequence = 0;
	fleet->deltas_told = fleet->delta_version;
	for (size_t i = 0; i < count; i++) {
		struct series *series = series_at(fleet, i);

		(void)observer_restart(&series->observer);
		series->changed = true;
		series->delta_changed = false;
	}
	return 0;
}

/* The maximum errors that are in force from this frame on; its values are on their grids. */
static size_t collect_deltas(struct fleet *fleet, struct wire_delta *deltas)
{
	size_t changes = 0;

	for (size_t i = 0; i < series_count(fleet); i++) {
		struct series *series = series_at(fleet, i);
		double delta = series->observer.delta;

		if (!series->delta_changed)
			continue;
		series->delta_changed = false;
		codec_set_exponent(fleet->codec, (uint32_t)i, exponent_of(delta));
		deltas[changes++] = (struct wire_delta){(uint32_t)i, delta};
	}
	return changes;
}

static size_t collect_changes(struct fleet *fleet, struct codec_entry *entries)
{
	size_t changes = 0;

	for (size_t i = 0; i < series_count(fleet); i++) {
		struct series *series = series_at(fleet, i);
		bool held = observer_held(&series->observer);

		if (!series->changed)
			continue;
		series->changed = false;
		entries[changes++] = (struct codec_entry){
			.series = (uint32_t)i,
			.gap = !held,
			.value = held ? observer_value(&series->observer) : NAN,
		};
	}
	return changes;
}

int fleet_make_frame(struct fleet *fleet, uint8_t **ret_data, size_t *ret_size, struct error *err)
{
	size_t count = series_count(fleet);
	cleanup(free) struct codec_entry *entries = calloc(count + 1, sizeof(*entries));
	cleanup(free) struct wire_delta *deltas = calloc(count + 1, sizeof(*deltas));
	cleanup(free) uint8_t *payload = malloc(codec_size_max(fleet->codec, count) + 1);
	struct wire_message message = {
		.type = WIRE_FRAME,
		.frame = {.epoch = fleet->epoch,
			  .sequence = fleet->sequence,
			  .watermark_usec = fleet->watermark_usec,
			  .payload = payload,
			  .deltas = deltas},
	};

	if (!entries || !deltas || !payload)
		return error_set(err, -ENOMEM, "out of memory");
	if (fleet->deltas_told != fleet->delta_version) {
		message.frame.delta_version = fleet->delta_version;
		message.frame.delta_count = collect_deltas(fleet, deltas);
		fleet->deltas_told = fleet->delta_version;
	}
	message.frame.payload_size =
		codec_encode(fleet->codec, entries, collect_changes(fleet, entries), payload);
	fleet->sequence++;
	return wire_encode(&message, ret_data, ret_size, err);
}
