/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/fleet.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static void free_vm(struct vm *vm)
{
	free(vm->name);
	free(vm->instance);
	free(vm->project);
	free(vm);
}

static void free_node(struct node *node)
{
	struct vm *vm;

	if (node->vms)
		map_foreach (node->vms, i, vm)
			free_vm(vm);
	map_free(node->vms);
	codec_free(node->codec);
	free(node->order);
	free(node->entries);
	free(node->host);
	free(node->software);
	free(node->hypervisor);
	free(node);
}

int fleet_init(struct fleet *fleet)
{
	fleet->nodes = map_new();
	return fleet->nodes ? 0 : -ENOMEM;
}

void fleet_deinit(struct fleet *fleet)
{
	struct node *node;

	if (!fleet->nodes)
		return;
	map_foreach (fleet->nodes, i, node)
		free_node(node);
	fleet->nodes = map_free(fleet->nodes);
}

struct node *fleet_node(struct fleet *fleet, const char *name)
{
	struct node *node = map_find(fleet->nodes, name);

	if (node)
		return node;
	node = calloc(1, sizeof(*node));
	if (!node)
		return NULL;
	(void)snprintf(node->name, sizeof(node->name), "%s", name);
	node->vms = map_new();
	node->host = strdup("");
	node->software = strdup("");
	node->hypervisor = strdup("");
	if (!node->vms || !node->host || !node->software || !node->hypervisor ||
	    map_put(fleet->nodes, name, node) < 0) {
		free_node(node);
		return NULL;
	}
	return node;
}

struct vm *fleet_vm(struct node *node, const struct vm_uuid *uuid)
{
	char text[VM_UUID_TEXT_SIZE];
	struct vm *vm = map_find(node->vms, vm_uuid_format(uuid, text));

	if (vm)
		return vm;
	vm = calloc(1, sizeof(*vm));
	if (!vm)
		return NULL;
	vm->node = node;
	vm->uuid = *uuid;
	memcpy(vm->uuid_text, text, sizeof(vm->uuid_text));
	for (size_t i = 0; i < METRIC_COUNT; i++) {
		vm->series[i].column = NO_COLUMN;
		vm->series[i].planned = NAN;
	}
	if (fleet_name_vm(vm, text, "", "", 1) < 0 || map_put(node->vms, text, vm) < 0) {
		free_vm(vm);
		return NULL;
	}
	return vm;
}

static int replace(char **text, const char *with)
{
	char *copy;

	if (*text && strcmp(*text, with) == 0)
		return 0;
	copy = strdup(with);
	if (!copy)
		return -ENOMEM;
	free(*text);
	*text = copy;
	return 0;
}

int fleet_name_vm(struct vm *vm, const char *name, const char *instance, const char *project,
		  uint32_t vcpus)
{
	vm->vcpus = vcpus;
	if (replace(&vm->name, name) < 0 || replace(&vm->instance, instance) < 0 ||
	    replace(&vm->project, project) < 0)
		return -ENOMEM;
	return 0;
}

static void forget_of_node(struct node *node, int64_t before_usec)
{
	size_t gone = 0;
	struct vm *vm;

	map_foreach (node->vms, i, vm)
		gone += vm->gone;
	for (size_t i = 0; i < map_size(node->vms);) {
		vm = map_at(node->vms, i);
		if (!vm->gone || (vm->gone_usec >= before_usec && gone <= FLEET_GONE_VMS_MAX)) {
			i++;
			continue;
		}
		gone--;
		(void)map_remove(node->vms, vm->uuid_text);
		free_vm(vm);
	}
}

void fleet_forget(struct fleet *fleet, int64_t before_usec)
{
	struct node *node;

	map_foreach (fleet->nodes, i, node)
		forget_of_node(node, before_usec);
}

/* How sure it is that a VM runs on that node; the last is the surest. */
enum standing { STANDING_GONE, STANDING_STORED, STANDING_AWAY, STANDING_RUNS };

static enum standing standing_of(const struct vm *vm)
{
	if (vm->gone)
		return STANDING_GONE;
	if (vm->stored)
		return STANDING_STORED;
	return vm->node->state == NODE_CONNECTED ? STANDING_RUNS : STANDING_AWAY;
}

/* Up to when anything is known of it: by its node, or out of the store. */
static int64_t known_until(const struct vm *vm)
{
	int64_t usec = vm->node->watermark_usec;

	for (size_t i = 0; i < METRIC_COUNT; i++)
		if (vm->series[i].exists && vm->series[i].tracker.since_usec > usec)
			usec = vm->series[i].tracker.since_usec;
	return usec;
}

static bool is_better(const struct vm *vm, const struct vm *found)
{
	if (!found || standing_of(vm) != standing_of(found))
		return !found || standing_of(vm) > standing_of(found);
	return known_until(vm) > known_until(found);
}

struct vm *fleet_vm_by_uuid(const struct fleet *fleet, const char *uuid)
{
	struct vm *found = NULL;
	struct node *node;

	map_foreach (fleet->nodes, i, node) {
		struct vm *vm = map_find(node->vms, uuid);

		if (vm && is_better(vm, found))
			found = vm;
	}
	return found;
}

struct vm *fleet_vm_at(const struct fleet *fleet, const char *uuid, const char *node)
{
	const struct node *own = map_find(fleet->nodes, node);
	struct vm *vm = own ? map_find(own->vms, uuid) : NULL;

	return vm && standing_of(vm) == STANDING_RUNS ? vm : fleet_vm_by_uuid(fleet, uuid);
}

bool fleet_runs_elsewhere(const struct fleet *fleet, const struct vm *vm)
{
	struct node *node;

	map_foreach (fleet->nodes, i, node) {
		const struct vm *other = map_find(node->vms, vm->uuid_text);

		if (other && other != vm && node->in_epoch && standing_of(other) == STANDING_RUNS)
			return true;
	}
	return false;
}

static bool is_of(const struct vm *vm, const char *project)
{
	return !*project || strcmp(project, vm->project) == 0;
}

/* What a person's text is compared with. */
struct search {
	const char *wanted, *project;
	bool is_uuid;
};

static bool is_meant(const struct search *search, const struct vm *vm)
{
	if (!is_of(vm, search->project))
		return false;
	if (search->is_uuid)
		return strcmp(vm->uuid_text, search->wanted) == 0;
	return strcmp(vm->name, search->wanted) == 0 ||
	       (*search->wanted && strcmp(vm->instance, search->wanted) == 0);
}

static int several(const struct vm *a, const struct vm *b, const char *wanted, struct error *err)
{
	if (vm_uuid_equal(&a->uuid, &b->uuid))
		return error_set(err, -EINVAL, "both %s and %s say that they run the VM %s",
				 a->node->name, b->node->name, a->uuid_text);
	return error_set(err, -EINVAL,
			 "several VMs are called '%.100s': %s on %s, %s on %s; use the UUID",
			 wanted, a->uuid_text, a->node->name, b->uuid_text, b->node->name);
}

/* Two VMs that may run, or one that two nodes claim. */
static bool are_several(const struct vm *a, const struct vm *b)
{
	enum standing least = vm_uuid_equal(&a->uuid, &b->uuid) ? STANDING_RUNS : STANDING_AWAY;

	return standing_of(a) >= least && standing_of(b) >= least;
}

static int search_all(const struct fleet *fleet, const struct search *search, struct vm **ret_vm,
		      struct error *err)
{
	struct vm *found = NULL, *vm;
	struct node *node;

	map_foreach (fleet->nodes, i, node) {
		map_foreach (node->vms, j, vm) {
			if (!is_meant(search, vm))
				continue;
			if (found && are_several(found, vm))
				return several(found, vm, search->wanted, err);
			if (is_better(vm, found))
				found = vm;
		}
	}
	if (!found)
		return error_set(err, -ENOENT, "no VM is called '%.100s'", search->wanted);
	*ret_vm = found;
	return 0;
}

int fleet_find_vm(const struct fleet *fleet, const char *wanted, struct vm **ret_vm,
		  struct error *err)
{
	return fleet_find_vm_of(fleet, "", wanted, ret_vm, err);
}

int fleet_find_vm_of(const struct fleet *fleet, const char *project, const char *wanted,
		     struct vm **ret_vm, struct error *err)
{
	struct search search = {.wanted = wanted, .project = project, .is_uuid = true};
	int r = search_all(fleet, &search, ret_vm, err);

	if (r != -ENOENT)
		return r;
	search.is_uuid = false;
	return search_all(fleet, &search, ret_vm, err);
}

size_t fleet_series_count(const struct node *node)
{
	return node->order_count * wire_metric_count(node->metrics);
}

struct series *fleet_series(const struct node *node, size_t position, struct vm **ret_vm,
			    enum metric *ret_metric)
{
	size_t metrics = wire_metric_count(node->metrics);
	struct vm *vm = node->order[position / metrics];
	enum metric metric = wire_metric_at(node->metrics, position % metrics);

	*ret_vm = vm;
	*ret_metric = metric;
	return &vm->series[metric];
}

struct bus_peer *fleet_peer(const struct node *node)
{
	return node && node->state == NODE_CONNECTED && node->in_epoch ? node->peer : NULL;
}

const char *fleet_node_state_name(enum node_state state)
{
	static const char *const names[] = {
		[NODE_DISCONNECTED] = "disconnected",
		[NODE_CONNECTED] = "connected",
		[NODE_STALE] = "stale",
	};

	return names[state];
}
