/* SPDX-License-Identifier: Apache-2.0 */
#include "hypervisor/probes.h"

#include <assert.h>
#include <errno.h>
#include <libvirt/libvirt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "hypervisor/hypervisor.h"

/* Held by the owner and by each thread; whoever lets go last frees it. */
struct probes {
	pthread_mutex_t lock;
	pthread_cond_t asked;
	uv_async_t *wake; /* NULL: the owner is gone */
	char *uri;
	int holders, threads;
	uint64_t tag;
	struct vm_uuid *queue;
	size_t queue_count, queue_next;
	struct vm_uuid in_flight[PROBES_MAX]; /* per thread; all 0: none */
	struct probe_answer *answers;
};

/* What a thread has for itself. */
struct worker {
	struct probes *probes;
	int number;
	virConnectPtr connection;
	struct map *domains; /* of the connection, by UUID: looking one up costs a call */
	uint64_t failed_tag; /* of the last attempt to connect */
	struct device_counters devices[COUNTERS_DEVICES_MAX];
};

/* Block counters: "block.count", "block.N.name", "block.N.rd.bytes", ... */

static const virTypedParameter *find_field(virDomainStatsRecordPtr record, const char *name)
{
	for (int i = 0; i < record->nparams; i++)
		if (strcmp(record->params[i].field, name) == 0)
			return &record->params[i];
	return NULL;
}

static bool get_block_counter(virDomainStatsRecordPtr record, unsigned device, const char *what,
			      uint64_t *ret_value)
{
	const virTypedParameter *field;
	char name[64];

	(void)snprintf(name, sizeof(name), "block.%u.%s", device, what);
	field = find_field(record, name);
	if (!field || field->type != VIR_TYPED_PARAM_ULLONG)
		return false;
	*ret_value = field->value.ul;
	return true;
}

static bool read_device(virDomainStatsRecordPtr record, unsigned device,
			struct device_counters *counters)
{
	static const char *const counters_of[COUNTERS_PER_DEVICE] = {
		"rd.bytes", "wr.bytes", "rd.reqs", "wr.reqs", "fl.reqs"};
	const virTypedParameter *field;
	char name[64];
	bool any = false;

	(void)snprintf(name, sizeof(name), "block.%u.name", device);
	field = find_field(record, name);
	if (!field || field->type != VIR_TYPED_PARAM_STRING)
		return false;
	*counters = (struct device_counters){0};
	(void)snprintf(counters->name, sizeof(counters->name), "%s", field->value.s);
	for (size_t i = 0; i < COUNTERS_PER_DEVICE; i++)
		any |= get_block_counter(record, device, counters_of[i], &counters->values[i]);
	return any; /* a field that is absent is not a 0: without any the device says nothing */
}

/* Returns the number of devices, -1 when libvirt did not say. */
static int read_record(virDomainStatsRecordPtr record, struct device_counters *devices)
{
	const virTypedParameter *field = find_field(record, "block.count");
	unsigned count;
	int known = 0;

	/* a domain that ended during the call comes with id -1 and half its fields */
	if (!field || field->type != VIR_TYPED_PARAM_UINT ||
	    virDomainGetID(record->dom) == (unsigned)-1)
		return -1;
	count = field->value.ui < COUNTERS_DEVICES_MAX ? field->value.ui : COUNTERS_DEVICES_MAX;
	for (unsigned i = 0; i < count; i++)
		known += read_device(record, i, &devices[known]);
	return known > 0 || count == 0 ? known : -1;
}

/* The call */

static void forget_domains(struct worker *worker)
{
	virDomainPtr domain;

	if (!worker->domains)
		return;
	map_foreach (worker->domains, i, domain)
		(void)virDomainFree(domain);
	worker->domains = map_free(worker->domains);
}

static void disconnect(struct worker *worker)
{
	forget_domains(worker);
	if (worker->connection)
		(void)virConnectClose(worker->connection);
	worker->connection = NULL;
}

static bool is_connected(struct worker *worker, uint64_t tag)
{
	if (worker->connection && virConnectIsAlive(worker->connection) == 1)
		return true;
	disconnect(worker);
	if (worker->failed_tag == tag)
		return false; /* one attempt a tick */
	worker->connection = virConnectOpenReadOnly(worker->probes->uri);
	worker->failed_tag = worker->connection ? 0 : tag;
	return worker->connection != NULL;
}

/* Borrowed until forget_domains(); NULL: there is none. */
static virDomainPtr find_domain(struct worker *worker, const struct vm_uuid *uuid)
{
	char text[VM_UUID_TEXT_SIZE];
	virDomainPtr domain;

	if (worker->domains && map_size(worker->domains) >= HYPERVISOR_VMS_MAX)
		forget_domains(worker); /* most of them have long gone */
	if (!worker->domains && !(worker->domains = map_new()))
		return NULL;
	domain = map_find(worker->domains, vm_uuid_format(uuid, text));
	if (domain)
		return domain;
	domain = virDomainLookupByUUID(worker->connection, uuid->bytes);
	if (domain && map_put(worker->domains, text, domain) < 0) {
		(void)virDomainFree(domain);
		return NULL;
	}
	return domain;
}

/* As read_record(). */
static int call(struct worker *worker, const struct vm_uuid *uuid)
{
	virDomainStatsRecordPtr *records = NULL;
	virDomainPtr domains[] = {find_domain(worker, uuid), NULL};
	int count = -1;

	if (!domains[0])
		return -1;
	if (virDomainListGetStats(domains, VIR_DOMAIN_STATS_BLOCK, &records,
				  VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT) == 1)
		count = read_record(records[0], worker->devices);
	if (records)
		virDomainStatsRecordListFree(records);
	return count;
}

static struct probe_answer *ask_libvirt(struct worker *worker, uint64_t tag,
					const struct vm_uuid *uuid)
{
	int count = is_connected(worker, tag) ? call(worker, uuid) : -1;
	size_t known = count > 0 ? (size_t)count : 0;
	struct probe_answer *answer =
		calloc(1, sizeof(*answer) + known * sizeof(answer->devices[0]));

	if (!answer)
		return NULL;
	answer->tag = tag;
	answer->uuid = *uuid;
	answer->has_block = count >= 0;
	answer->count = known;
	memcpy(answer->devices, worker->devices, known * sizeof(answer->devices[0]));
	return answer;
}

/* Threads */

static void let_go(struct probes *probes)
{
	int left;

	(void)pthread_mutex_lock(&probes->lock);
	left = --probes->holders;
	(void)pthread_mutex_unlock(&probes->lock);
	if (left > 0)
		return;
	while (probes->answers) {
		struct probe_answer *answer = probes->answers;

		probes->answers = answer->next;
		free(answer);
	}
	(void)pthread_cond_destroy(&probes->asked);
	(void)pthread_mutex_destroy(&probes->lock);
	free(probes->queue);
	free(probes->uri);
	free(probes);
}

/* Waits for a question; false when the owner is gone. */
static bool wait_question(struct probes *probes, int number, uint64_t *ret_tag,
			  struct vm_uuid *ret_uuid)
{
	bool owned;

	(void)pthread_mutex_lock(&probes->lock);
	while (probes->wake && probes->queue_next == probes->queue_count)
		(void)pthread_cond_wait(&probes->asked, &probes->lock);
	owned = probes->wake != NULL;
	if (owned) {
		*ret_tag = probes->tag;
		*ret_uuid = probes->queue[probes->queue_next++];
		probes->in_flight[number] = *ret_uuid;
	}
	(void)pthread_mutex_unlock(&probes->lock);
	return owned;
}

static void give_answer(struct probes *probes, int number, struct probe_answer *answer)
{
	(void)pthread_mutex_lock(&probes->lock);
	probes->in_flight[number] = (struct vm_uuid){0};
	if (answer) {
		answer->next = probes->answers;
		probes->answers = answer;
	}
	if (probes->wake)
		(void)uv_async_send(probes->wake);
	(void)pthread_mutex_unlock(&probes->lock);
}

static void *run(void *userdata)
{
	struct worker *worker = userdata;
	struct probes *probes = worker->probes;
	struct vm_uuid uuid;
	uint64_t tag;

	while (wait_question(probes, worker->number, &tag, &uuid))
		give_answer(probes, worker->number, ask_libvirt(worker, tag, &uuid));
	disconnect(worker);
	free(worker);
	let_go(probes);
	return NULL;
}

/* With the lock held. */
static bool start_thread(struct probes *probes)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	pthread_t thread;

	if (!worker)
		return false;
	worker->probes = probes;
	worker->number = probes->threads;
	if (pthread_create(&thread, NULL, run, worker) != 0) {
		free(worker);
		return false;
	}
	(void)pthread_detach(thread);
	probes->threads++;
	probes->holders++;
	return true;
}

struct probes *probes_new(const char *uri, uv_async_t *wake)
{
	struct probes *probes = calloc(1, sizeof(*probes));

	if (!probes)
		return NULL;
	(void)pthread_mutex_init(&probes->lock, NULL);
	(void)pthread_cond_init(&probes->asked, NULL);
	probes->wake = wake;
	probes->holders = 1;
	probes->uri = strdup(uri);
	if (probes->uri)
		return probes;
	let_go(probes);
	return NULL;
}

struct probes *probes_free(struct probes *probes)
{
	if (!probes)
		return NULL;
	(void)pthread_mutex_lock(&probes->lock);
	probes->wake = NULL;
	(void)pthread_cond_broadcast(&probes->asked);
	(void)pthread_mutex_unlock(&probes->lock);
	let_go(probes);
	return NULL;
}

static bool is_in_flight(const struct probes *probes, const struct vm_uuid *uuid)
{
	for (int i = 0; i < probes->threads; i++)
		if (vm_uuid_equal(&probes->in_flight[i], uuid))
			return true;
	return false;
}

int probes_ask(struct probes *probes, uint64_t tag, const struct vm_uuid *uuids, size_t count)
{
	struct vm_uuid *queue = calloc(count + 1, sizeof(*queue));
	size_t asked = 0;

	assert(count <= INT32_MAX);
	if (!queue)
		return -ENOMEM;
	(void)pthread_mutex_lock(&probes->lock);
	for (size_t i = 0; i < count; i++)
		if (!is_in_flight(probes, &uuids[i]))
			queue[asked++] = uuids[i];
	free(probes->queue);
	probes->queue = queue;
	probes->queue_count = asked;
	probes->queue_next = 0;
	probes->tag = tag;
	if (probes->threads == 0 && asked > 0)
		(void)start_thread(probes);
	(void)pthread_cond_broadcast(&probes->asked);
	(void)pthread_mutex_unlock(&probes->lock);
	return (int)asked;
}

bool probes_hedge(struct probes *probes)
{
	bool waiting, good;

	(void)pthread_mutex_lock(&probes->lock);
	waiting = probes->queue_next < probes->queue_count;
	good = !waiting || (probes->threads < PROBES_MAX && start_thread(probes));
	(void)pthread_mutex_unlock(&probes->lock);
	return good;
}

struct probe_answer *probes_take(struct probes *probes)
{
	struct probe_answer *answers;

	(void)pthread_mutex_lock(&probes->lock);
	answers = probes->answers;
	probes->answers = NULL;
	(void)pthread_mutex_unlock(&probes->lock);
	return answers;
}
