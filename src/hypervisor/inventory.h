#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread that knows which domains libvirt runs and what the cloud calls them: it lists them when
 * libvirt tells of a change (started, stopped, renamed), and once a minute in any case. Connects
 * again by itself. The owner lives on the loop's thread; `wake` is sent when there is something
 * new.
 */
#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "hypervisor/hypervisor.h"

struct inventory;

struct inventory_vm {
	struct vm_uuid uuid;
	char instance[HYPERVISOR_NAME_SIZE], project[HYPERVISOR_NAME_SIZE]; /* "": none */
};

struct inventory_list {
	size_t count;
	struct inventory_vm vms[];
};

/* Returns owned, or NULL when threads or memory are out. */
struct inventory *inventory_new(const char *uri, uv_async_t *wake);
/* Does not wait for the thread, which ends within a second of its last call. */
struct inventory *inventory_free(struct inventory *inventory);

/* The newest list, to free(), or NULL when there is none since the last call. */
struct inventory_list *inventory_take(struct inventory *inventory);

/* Why there is no connection, into text of the size; "" when there is one. */
void inventory_problem(struct inventory *inventory, char *text, size_t size);
