/* SPDX-License-Identifier: Apache-2.0 */
#include "introspect/pid.h"

#include <errno.h>
#include <stdbool.h>

/* So many nodes hold 4 Mi pids, which is the most that Linux can have. */
enum { SLOTS = 64, SHIFT_MAX = 60, NODES_MAX = 65536 + 1024 + 16 + 1 };

/* An entry is a node with the bits 10 at its end, or a pointer to a struct pid. */
static bool is_node(uint64_t entry)
{
	return (entry & 3) == 2 && guest_is_kernel_pointer(entry);
}

static bool is_pid(uint64_t entry)
{
	return entry % 8 == 0 && guest_is_kernel_pointer(entry);
}

/* The first task that bears it; -ENOENT for a pid that only a session or group still needs. */
static int task_of(const struct guest *guest, uint64_t pid, uint64_t *ret_task)
{
	uint64_t node;
	int r = guest_field(guest, pid, FIELD_PID_TASKS, &node);

	if (r < 0)
		return r;
	if (node == 0)
		return -ENOENT;
	if (!guest_is_kernel_pointer(node) || node % 8)
		return -EFAULT;
	*ret_task = node - guest_offset(guest, FIELD_TASK_PID_LINKS);
	return 0;
}

/* A node's slots; its shift must be lower than its parent's, so that no descent is endless. */
static int read_node(const struct guest *guest, uint64_t entry, int shift_below, uint64_t *slots,
		     int *ret_shift)
{
	uint64_t node = entry - 2, shift;
	int r = guest_field(guest, node, FIELD_XA_SHIFT, &shift);

	if (r == 0)
		r = guest_read(guest, node + guest_offset(guest, FIELD_XA_SLOTS), slots,
			       SLOTS * sizeof(*slots));
	*ret_shift = (int)(shift & 0xff);
	return r == 0 && *ret_shift >= shift_below ? -EFAULT : r;
}

struct walk {
	const struct guest *guest;
	guest_take *take;
	void *userdata;
	uint32_t unreadable, nodes;
};

static int visit(struct walk *walk, uint64_t entry)
{
	uint64_t task;
	int r = is_pid(entry) ? task_of(walk->guest, entry, &task) : -ENOENT;

	if (r == 0)
		return walk->take(walk->userdata, task);
	return r == -ENOENT ? 0 : r;
}

static int descend(struct walk *walk, uint64_t entry, int shift_below)
{
	uint64_t slots[SLOTS];
	int shift, r;

	if (!is_node(entry))
		return visit(walk, entry);
	if (walk->nodes++ == NODES_MAX)
		return -ELOOP;
	r = read_node(walk->guest, entry, shift_below, slots, &shift);
	for (int i = 0; r == 0 && i < SLOTS; i++) {
		r = slots[i] ? descend(walk, slots[i], shift) : 0;
		if (r == -EFAULT) {
			walk->unreadable++;
			r = 0;
		}
	}
	return r;
}

static int read_head(const struct guest *guest, uint64_t *ret_head)
{
	return guest_field(guest, guest_symbol(guest, SYMBOL_INIT_PID_NS), FIELD_PIDNS_XA_HEAD,
			   ret_head);
}

int pid_walk(const struct guest *guest, guest_take *take, void *userdata, uint32_t *ret_unreadable)
{
	struct walk walk = {.guest = guest, .take = take, .userdata = userdata};
	uint64_t head;
	int r = read_head(guest, &head);

	if (r == 0)
		r = descend(&walk, head, SHIFT_MAX);
	*ret_unreadable = walk.unreadable;
	return r;
}

int pid_find(const struct guest *guest, uint32_t pid, uint64_t *ret_task)
{
	uint64_t slots[SLOTS], entry;
	bool is_root = true;
	int shift = SHIFT_MAX, r = read_head(guest, &entry);

	if (r < 0)
		return r;
	while (is_node(entry)) {
		r = read_node(guest, entry, shift, slots, &shift);
		if (r < 0)
			return r;
		if (is_root && (uint64_t)pid >> shift >= SLOTS)
			return -ENOENT;
		is_root = false;
		entry = slots[(uint64_t)pid >> shift & (SLOTS - 1)];
	}
	return is_pid(entry) && !is_root ? task_of(guest, entry, ret_task) : -ENOENT;
}
