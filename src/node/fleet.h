#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The series of this node: per VM and metric a rate and an observer, and what of them goes into a
 * frame. Owns the epoch's codec. Knows neither sockets nor clocks. On the loop's thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "hypervisor/hypervisor.h"
#include "wire/wire.h"

struct fleet;

/* Returns owned, or NULL when memory is out. Observes nothing before fleet_set_settings(). */
struct fleet *fleet_new(void);
struct fleet *fleet_free(struct fleet *fleet);

/* Interval, metrics and maximum errors from now on. Ends the epoch. */
void fleet_set_settings(struct fleet *fleet, const struct wire_settings *settings);

/* Other maximum errors for series of the epoch, in force from the next frame on, which tells them;
 * what no longer is good enough goes with it. Positive when they were taken; 0: of another epoch,
 * passed over. -EINVAL: a series that there is not, and nothing is changed. */
int fleet_set_deltas(struct fleet *fleet, const struct wire_deltas *deltas);

/* One tick's readings: VMs come and go by it, rates and observers take their samples. A change of
 * the set of VMs or of what they are called ends the epoch. Returns the number of VMs, or -ENOMEM.
 */
int fleet_take(struct fleet *fleet, const struct hypervisor_snapshot *snapshot);

/* Whether there has been a tick to tell of. */
bool fleet_has_tick(const struct fleet *fleet);

/* Whether it is known which VMs there are: since the first tick, also while new settings have none
 * yet. */
bool fleet_is_listed(const struct fleet *fleet);

bool fleet_has_epoch(const struct fleet *fleet);
void fleet_end_epoch(struct fleet *fleet);

/* Begins an epoch with this number: the message that announces it (owned, wire_encode()d). The next
 * frame holds every series. */
int fleet_begin_epoch(struct fleet *fleet, uint64_t number, uint8_t **ret_data, size_t *ret_size,
		      struct error *err);

/* The frame of the newest tick: what changed since the frame before, everything after
 * fleet_begin_epoch(). */
int fleet_make_frame(struct fleet *fleet, uint8_t **ret_data, size_t *ret_size, struct error *err);

size_t fleet_vms(const struct fleet *fleet);

/* The name and the project ("" when it has none) of a VM of the newest tick, borrowed until the
 * next fleet_take(). -ENOENT. */
int fleet_find_vm(const struct fleet *fleet, const struct vm_uuid *uuid, const char **ret_name,
		  const char **ret_project);
