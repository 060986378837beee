/* SPDX-License-Identifier: Apache-2.0 */
#include "hypervisor/inventory.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "hypervisor/metadata.h"

enum { POLL_MSEC = 500, RECONNECT_TENTHS = 20, LIST_INTERVAL_SEC = 60 };

/* Held by the owner and by the thread; whoever lets go last frees it. */
struct inventory {
	pthread_mutex_t lock;
	uv_async_t *wake; /* NULL: the owner is gone */
	char *uri;
	int holders;
	struct inventory_list *list;
	char problem[256];
	bool changed; /* the thread's own: its event callbacks run in it */
};

static void let_go(struct inventory *inventory)
{
	int left;

	(void)pthread_mutex_lock(&inventory->lock);
	left = --inventory->holders;
	(void)pthread_mutex_unlock(&inventory->lock);
	if (left > 0)
		return;
	(void)pthread_mutex_destroy(&inventory->lock);
	free(inventory->list);
	free(inventory->uri);
	free(inventory);
}

static bool is_owned(struct inventory *inventory)
{
	bool owned;

	(void)pthread_mutex_lock(&inventory->lock);
	owned = inventory->wake != NULL;
	(void)pthread_mutex_unlock(&inventory->lock);
	return owned;
}

/* A new list, or a problem. */
static void publish(struct inventory *inventory, struct inventory_list *list, const char *problem)
{
	(void)pthread_mutex_lock(&inventory->lock);
	if (list) {
		free(inventory->list);
		inventory->list = list;
	}
	(void)snprintf(inventory->problem, sizeof(inventory->problem), "%s", problem);
	if (inventory->wake)
		(void)uv_async_send(inventory->wake);
	(void)pthread_mutex_unlock(&inventory->lock);
}

static void publish_error(struct inventory *inventory)
{
	const char *text = virGetLastErrorMessage();

	publish(inventory, NULL, text ? text : "unknown error");
}

/* Names */

static const struct naming {
	const char *namespace, *instance, *project;
} namings[] = {
	{"http://openstack.org/xmlns/libvirt/nova/1.1", "name", "project"},
	{"http://openstack.org/xmlns/libvirt/nova/1.0", "name", "project"},
	{"http://opennebula.org/xmlns/libvirt/1.0", "name", "gname"},
	{"urn:atom:vm:1", "instance", "project"},
};

static void read_names(virDomainPtr domain, struct inventory_vm *vm)
{
	char *text;

	for (size_t i = 0; i < sizeof(namings) / sizeof(namings[0]); i++) {
		text = virDomainGetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT,
					    namings[i].namespace, VIR_DOMAIN_AFFECT_CURRENT);
		if (!text)
			continue;
		(void)metadata_element(text, namings[i].instance, vm->instance,
				       sizeof(vm->instance));
		(void)metadata_element(text, namings[i].project, vm->project, sizeof(vm->project));
		free(text);
		return;
	}
	text = virDomainGetMetadata(domain, VIR_DOMAIN_METADATA_TITLE, NULL,
				    VIR_DOMAIN_AFFECT_CURRENT);
	if (text)
		(void)snprintf(vm->instance, sizeof(vm->instance), "%s", text);
	free(text);
}

/* Lists */

static struct inventory_list *make_list(virDomainPtr *domains, int count)
{
	size_t capacity = count < HYPERVISOR_VMS_MAX ? (size_t)count : HYPERVISOR_VMS_MAX;
	struct inventory_list *list = calloc(1, sizeof(*list) + capacity * sizeof(list->vms[0]));

	for (size_t i = 0; list && i < capacity; i++) {
		struct inventory_vm *vm = &list->vms[list->count];

		/* one that has just ended has the id -1 */
		if (virDomainGetID(domains[i]) == (unsigned)-1 ||
		    virDomainGetUUID(domains[i], vm->uuid.bytes) < 0)
			continue;
		read_names(domains[i], vm);
		list->count++;
	}
	return list;
}

static void list_domains(struct inventory *inventory, virConnectPtr connection)
{
	virDomainPtr *domains = NULL;
	int count = virConnectListAllDomains(connection, &domains, VIR_CONNECT_LIST_DOMAINS_ACTIVE);

	if (count < 0) {
		publish_error(inventory);
		return;
	}
	publish(inventory, make_list(domains, count), "");
	for (int i = 0; i < count; i++)
		(void)virDomainFree(domains[i]);
	free(domains);
}

/* Events */

static int on_lifecycle(virConnectPtr connection, virDomainPtr domain, int event, int detail,
			void *userdata)
{
	struct inventory *inventory = userdata;

	inventory->changed = true;
	return 0;
}

static void on_metadata(virConnectPtr connection, virDomainPtr domain, int type,
			const char *namespace, void *userdata)
{
	struct inventory *inventory = userdata;

	inventory->changed = true;
}

static void on_timeout(int timer, void *userdata)
{
	/* only there so that the thread looks whether it is still wanted */
}

static bool subscribe(struct inventory *inventory, virConnectPtr connection)
{
	(void)virConnectSetKeepAlive(connection, 5, 3);
	(void)virConnectDomainEventRegisterAny(
		connection, NULL, VIR_DOMAIN_EVENT_ID_METADATA_CHANGE,
		VIR_DOMAIN_EVENT_CALLBACK(on_metadata), inventory, NULL);
	return virConnectDomainEventRegisterAny(connection, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
						VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle), inventory,
						NULL) >= 0;
}

/* Until the connection ends; closing it takes the subscriptions with it. */
static void follow(struct inventory *inventory, virConnectPtr connection)
{
	int64_t listed_usec = 0;

	if (!subscribe(inventory, connection)) {
		publish_error(inventory);
		return;
	}
	inventory->changed = true;
	while (is_owned(inventory) && virConnectIsAlive(connection) == 1) {
		int64_t now = clock_mono_usec();

		if (inventory->changed || now - listed_usec >= LIST_INTERVAL_SEC * USEC_PER_SEC) {
			inventory->changed = false;
			list_domains(inventory, connection);
			listed_usec = now;
		}
		if (virEventRunDefaultImpl() < 0)
			break;
	}
	publish(inventory, NULL, "the connection was lost");
}

static void *run(void *userdata)
{
	struct inventory *inventory = userdata;
	int timer = virEventAddTimeout(POLL_MSEC, on_timeout, NULL, NULL);

	while (is_owned(inventory)) {
		virConnectPtr connection = virConnectOpenReadOnly(inventory->uri);

		if (connection) {
			follow(inventory, connection);
			(void)virConnectClose(connection);
		} else {
			publish_error(inventory);
		}
		for (int i = 0; i < RECONNECT_TENTHS && is_owned(inventory); i++)
			(void)usleep(100000);
	}
	if (timer >= 0)
		(void)virEventRemoveTimeout(timer);
	let_go(inventory);
	return NULL;
}

struct inventory *inventory_new(const char *uri, uv_async_t *wake)
{
	struct inventory *inventory = calloc(1, sizeof(*inventory));
	pthread_t thread;

	if (!inventory)
		return NULL;
	(void)pthread_mutex_init(&inventory->lock, NULL);
	inventory->wake = wake;
	inventory->holders = 2;
	inventory->uri = strdup(uri);
	if (!inventory->uri || virEventRegisterDefaultImpl() < 0 ||
	    pthread_create(&thread, NULL, run, inventory) != 0) {
		inventory->holders = 1;
		let_go(inventory);
		return NULL;
	}
	(void)pthread_detach(thread);
	return inventory;
}

struct inventory *inventory_free(struct inventory *inventory)
{
	if (!inventory)
		return NULL;
	(void)pthread_mutex_lock(&inventory->lock);
	inventory->wake = NULL;
	(void)pthread_mutex_unlock(&inventory->lock);
	let_go(inventory);
	return NULL;
}

struct inventory_list *inventory_take(struct inventory *inventory)
{
	struct inventory_list *list;

	(void)pthread_mutex_lock(&inventory->lock);
	list = inventory->list;
	inventory->list = NULL;
	(void)pthread_mutex_unlock(&inventory->lock);
	return list;
}

void inventory_problem(struct inventory *inventory, char *text, size_t size)
{
	(void)pthread_mutex_lock(&inventory->lock);
	(void)snprintf(text, size, "%s", inventory->problem);
	(void)pthread_mutex_unlock(&inventory->lock);
}
