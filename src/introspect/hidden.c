/* SPDX-License-Identifier: Apache-2.0 */
#include "introspect/hidden.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "introspect/address_set.h"
#include "introspect/pid.h"

enum { ENTRIES_MAX = 4 * TASKS_MAX };

/* The set of processes that some view has */
struct set {
	const struct guest *guest;
	struct hidden_sample *sample;
	struct address_set seen; /* numbers are places in the sample */
	size_t capacity;
	uint32_t view; /* that is being read */
};

static int append(struct set *set, const struct hidden_entry *entry)
{
	struct hidden_sample *sample = set->sample;

	if (sample->count == set->capacity) {
		size_t capacity = set->capacity ? 2 * set->capacity : 256;
		struct hidden_entry *grown =
			reallocarray(sample->entries, capacity, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		sample->entries = grown;
		set->capacity = capacity;
	}
	sample->entries[sample->count++] = *entry;
	return 0;
}

/* Notes that the view has this process. */
static int add_process(struct set *set, uint64_t address)
{
	struct hidden_entry entry = {.address = address, .views = set->view};
	uint32_t number;
	int r = guest_field(set->guest, address, FIELD_TASK_START, &entry.start_nsec);

	if (r < 0)
		return r;
	r = address_set_add(&set->seen, address, &number);
	if (r == 1)
		return append(set, &entry);
	if (r == 0)
		set->sample->entries[number].views |= set->view;
	return r;
}

/* A thread counts as its process; idle tasks (pid 0) are in no view. */
static int add_thread(struct set *set, uint64_t address)
{
	uint64_t leader, pid;
	int r = guest_field_pointer(set->guest, address, FIELD_TASK_GROUP_LEADER, &leader);

	if (r == 0)
		r = guest_field(set->guest, leader, FIELD_TASK_PID, &pid);
	return r < 0 || pid == 0 ? r : add_process(set, leader);
}

static int take_task(void *userdata, uint64_t address)
{
	return add_thread(userdata, address);
}

static int walk_pids(struct set *set)
{
	uint32_t unreadable;
	int r = pid_walk(set->guest, take_task, set, &unreadable);

	set->sample->unreadable += unreadable;
	return r;
}

/* Parents' lists: each thread has one */

static int take_parent_thread(void *userdata, uint64_t address)
{
	struct set *set = userdata;
	struct guest_list list = {
		.head = address + guest_offset(set->guest, FIELD_TASK_CHILDREN),
		.member = guest_offset(set->guest, FIELD_TASK_SIBLING),
		.limit = TASKS_MAX,
	};
	uint32_t broken;

	return guest_walk_list(set->guest, &list, take_task, set, &broken);
}

static int walk_children(struct set *set)
{
	int r = take_parent_thread(set, guest_symbol(set->guest, SYMBOL_INIT_TASK));

	if (r < 0)
		set->sample->unreadable++;
	for (size_t i = 0; !guest_is_final(r) && i < set->sample->count; i++) {
		struct task task = {.address = set->sample->entries[i].address};

		r = guest_field_pointer(set->guest, task.address, FIELD_TASK_SIGNAL, &task.signal);
		if (r == 0)
			r = task_threads(set->guest, &task, take_parent_thread, set);
		if (r < 0)
			set->sample->unreadable++;
	}
	return guest_is_final(r) ? r : 0;
}

/* Run queues */

static int walk_queue(struct set *set, uint64_t queue)
{
	struct guest_list list = {
		.head = queue + guest_offset(set->guest, FIELD_RQ_CFS_TASKS),
		.member = guest_offset(set->guest, FIELD_TASK_GROUP_NODE),
		.limit = TASKS_MAX,
	};
	uint64_t current;
	uint32_t broken;
	int r = guest_field_pointer(set->guest, queue, FIELD_RQ_CURR, &current);

	if (r == 0)
		r = add_thread(set, current);
	if (r == 0 && guest_has(set->guest, FIELD_RQ_CFS_TASKS) &&
	    guest_has(set->guest, FIELD_TASK_GROUP_NODE))
		r = guest_walk_list(set->guest, &list, take_task, set, &broken);
	return r;
}

static int walk_queues(struct set *set)
{
	const struct guest *guest = set->guest;
	uint64_t count = 0, mask[HIDDEN_CPUS_MAX / 64] = {0};
	int r;

	if (!guest_symbol(guest, SYMBOL_RUNQUEUES) || !guest_has(guest, FIELD_RQ_CURR))
		return 0;
	r = guest_read(guest, guest_symbol(guest, SYMBOL_NR_CPU_IDS), &count, 4);
	if (count > HIDDEN_CPUS_MAX)
		count = HIDDEN_CPUS_MAX;
	if (r == 0)
		r = guest_read(guest, guest_symbol(guest, SYMBOL_CPU_ONLINE_MASK), mask,
			       (count + 63) / 64 * 8);
	for (uint64_t cpu = 0; r == 0 && cpu < count; cpu++) {
		uint64_t offset;

		if (!(mask[cpu / 64] >> (cpu % 64) & 1))
			continue;
		r = guest_read64(guest, guest_symbol(guest, SYMBOL_PER_CPU_OFFSET) + cpu * 8,
				 &offset);
		if (r == 0)
			r = walk_queue(set, guest_symbol(guest, SYMBOL_RUNQUEUES) + offset);
		if (r < 0 && !guest_is_final(r)) {
			set->sample->unreadable++;
			r = 0;
		}
	}
	return r;
}

/* Sampling */

static int add_list(struct set *set, const struct task_list *tasks)
{
	int r = 0;

	set->view = HIDDEN_VIEW_LIST;
	for (size_t i = 0; r == 0 && i < tasks->count; i++)
		r = add_process(set, tasks->tasks[i].address);
	return r;
}

int hidden_sample_read(const struct guest *guest, const struct task_list *tasks,
		       struct hidden_sample *ret_sample)
{
	static const struct {
		uint32_t view;
		int (*walk)(struct set *set);
	} views[] = {{HIDDEN_VIEW_PIDS, walk_pids},
		     {HIDDEN_VIEW_RUNNING, walk_queues},
		     {HIDDEN_VIEW_CHILDREN, walk_children}};
	struct hidden_sample sample = {0};
	struct set set = {.guest = guest, .sample = &sample};
	int r;

	address_set_init(&set.seen, ENTRIES_MAX);
	r = add_list(&set, tasks);

	for (size_t i = 0; r == 0 && i < sizeof(views) / sizeof(views[0]); i++) {
		set.view = views[i].view;
		r = views[i].walk(&set);
		if (r < 0 && !guest_is_final(r)) {
			sample.unreadable++;
			r = 0;
		}
	}
	address_set_deinit(&set.seen);
	if (r < 0) {
		hidden_sample_deinit(&sample);
		return r;
	}
	for (size_t i = 0; i < sample.count; i++)
		sample.odd += hidden_is_odd(&sample.entries[i]);
	*ret_sample = sample;
	return 0;
}

void hidden_sample_deinit(struct hidden_sample *sample)
{
	free(sample->entries);
	*sample = (struct hidden_sample){0};
}

bool hidden_is_odd(const struct hidden_entry *entry)
{
	return (entry->views & (HIDDEN_VIEW_LIST | HIDDEN_VIEW_PIDS)) !=
	       (HIDDEN_VIEW_LIST | HIDDEN_VIEW_PIDS);
}

static bool agrees(const struct hidden_entry *entry, const struct hidden_sample *other)
{
	uint32_t mask = HIDDEN_VIEW_LIST | HIDDEN_VIEW_PIDS;

	for (size_t i = 0; i < other->count; i++)
		if (other->entries[i].address == entry->address &&
		    other->entries[i].start_nsec == entry->start_nsec)
			return (other->entries[i].views & mask) == (entry->views & mask);
	return false;
}

void hidden_sample_intersect(struct hidden_sample *sample, const struct hidden_sample *other)
{
	size_t kept = 0;

	for (size_t i = 0; i < sample->count; i++)
		if (hidden_is_odd(&sample->entries[i]) && agrees(&sample->entries[i], other))
			sample->entries[kept++] = sample->entries[i];
	sample->count = kept;
	sample->odd = (uint32_t)kept;
}
