#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom the controller knows: nodes, their VMs, and a tracker per series. Plain data with look-ups;
 * what happens to it is in link.c (frames), group.c (rows), history.c (disk). A VM belongs to the
 * node that reported it: a node speaks only for its own. On the loop's thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/map.h"
#include "bus/bus.h"
#include "track/tracker.h"
#include "wire/codec.h"
#include "wire/wire.h"

struct group;
struct node;

enum { NO_COLUMN = -1, FLEET_GONE_VMS_MAX = WIRE_VMS_MAX };

struct series {
	bool exists;
	struct tracker tracker;
	int64_t number; /* of the store, 0: not asked for yet */
	long column;    /* in the group's monitor, or NO_COLUMN */
	double planned; /* the maximum error that it shall have (tuner.h); NAN: not said yet */
	double mean;    /* of so many rows, where the plan goes by it */
	size_t mean_rows;
};

struct vm {
	struct node *node;
	struct vm_uuid uuid;
	char uuid_text[VM_UUID_TEXT_SIZE];
	char *name, *instance, *project;
	uint32_t vcpus;
	bool stored;         /* out of the store: its node has not told of it in this life */
	bool gone;           /* not in the node's newest epoch, or gone over to another node */
	int64_t gone_usec;   /* wall clock */
	int64_t number;      /* of the store, 0: not asked for yet */
	int64_t looked_usec; /* of the last look into it, wall clock; 0: none that is known */
	struct group *group;
	struct series series[METRIC_COUNT];
};

enum node_state { NODE_DISCONNECTED, NODE_CONNECTED, NODE_STALE };

struct node {
	char name[BUS_NAME_MAX + 1];
	char *host, *software, *hypervisor;
	char address[64];
	enum node_state state;
	int64_t since_usec; /* of the state, wall clock */
	int64_t heard_usec; /* last frame, monotonic */
	int64_t watermark_usec;
	int64_t interval_usec;
	struct bus_peer *peer; /* NULL: disconnected */
	uint64_t instance;
	uint64_t epoch, sequence;
	bool in_epoch;
	metric_set metrics;
	uint64_t delta_version; /* of the maximum errors in force, as the node tells it */
	uint64_t delta_last;    /* of the newest that was sent or told */
	bool delta_awaited;     /* sent in this epoch, and not answered yet */
	struct codec *codec;
	struct vm **order; /* of the epoch */
	size_t order_count;
	struct codec_entry *entries; /* workspace: one per series of the epoch */
	struct map *vms;             /* UUID text -> struct vm */
	uint64_t frames, bytes;
};

struct fleet {
	struct map *nodes; /* name -> struct node */
};

int fleet_init(struct fleet *fleet);
void fleet_deinit(struct fleet *fleet);

/* Finds or adds; NULL when memory is out. */
struct node *fleet_node(struct fleet *fleet, const char *name);
struct vm *fleet_vm(struct node *node, const struct vm_uuid *uuid);

/* New names; -ENOMEM. */
int fleet_name_vm(struct vm *vm, const char *name, const char *instance, const char *project,
		  uint32_t vcpus);

/* Frees VMs that are gone since before that time (wall clock), and the oldest beyond
 * FLEET_GONE_VMS_MAX per node. */
void fleet_forget(struct fleet *fleet, int64_t before_usec);

/* The VM of that UUID; NULL: none. One that moved is known on several nodes: of those the one that
 * is not gone, of a node that is connected, of which the newest is known. */
struct vm *fleet_vm_by_uuid(const struct fleet *fleet, const char *uuid);
/* The same, but where several nodes claim to run it the one of that node. */
struct vm *fleet_vm_at(const struct fleet *fleet, const char *uuid, const char *node);
/* Whether a connected node other than the VM's own tells that it runs it. */
bool fleet_runs_elsewhere(const struct fleet *fleet, const struct vm *vm);

/* What a person calls a VM: its UUID, which goes before a name that looks like one, its name or
 * instance name. -ENOENT, or -EINVAL where several that may run have it, or several nodes claim to
 * run it (the text lists them). */
int fleet_find_vm(const struct fleet *fleet, const char *wanted, struct vm **ret_vm,
		  struct error *err);
/* The same among the VMs of a project, as if there were no others. "": among all. */
int fleet_find_vm_of(const struct fleet *fleet, const char *project, const char *wanted,
		     struct vm **ret_vm, struct error *err);

/* The epoch's series number `position`. */
struct series *fleet_series(const struct node *node, size_t position, struct vm **ret_vm,
			    enum metric *ret_metric);
size_t fleet_series_count(const struct node *node);

/* Whom to ask about the node's VMs. NULL: it is away, silent, or has not told yet which it has; one
 * that has just begun would know none. `node` may be NULL. */
struct bus_peer *fleet_peer(const struct node *node);

const char *fleet_node_state_name(enum node_state state);
