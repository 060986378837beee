/* SPDX-License-Identifier: Apache-2.0 */
#include "introspect/wheel.h"

#include <errno.h>
#include <string.h>

enum {
	CPUS_MAX = 1024,
	SLOTS_MASK = 63,  /* of the wheel's first level */
	INDEX_SHIFT = 22, /* of a timer's flags: TIMER_ARRAYSHIFT */
	NODE_NEXT = 0,    /* of an hlist_node */
	NODE_PPREV = 8,
};

/* Slots and index are as in include/linux/timer.h; a wheel of another size is none that we know. */
static bool is_known(const struct guest *guest)
{
	return guest_symbol(guest, SYMBOL_TIMER_BASES) &&
	       guest_symbol(guest, SYMBOL_PROCESS_TIMEOUT) &&
	       guest_symbol(guest, SYMBOL_INIT_SIGNALS) && guest_has(guest, FIELD_TB_LOCK) &&
	       guest_has(guest, FIELD_TB_CLK) && guest_has(guest, FIELD_TB_NEXT_EXPIRY) &&
	       guest_has(guest, FIELD_TB_PENDING_MAP) && guest_has(guest, FIELD_TB_VECTORS) &&
	       guest_has(guest, FIELD_TB_RUNNING) && guest_has(guest, FIELD_TB_IS_IDLE) &&
	       guest_offset(guest, FIELD_TIMER_ENTRY) == 0 &&
	       guest_has(guest, FIELD_TIMER_EXPIRES) && guest_has(guest, FIELD_TIMER_FUNCTION) &&
	       guest_has(guest, FIELD_TIMER_FLAGS) &&
	       guest->profile.fields[FIELD_TB_LOCK].size == 4 &&
	       guest_offset(guest, FIELD_TIMER_FUNCTION) % 8 == 0 &&
	       guest_offset(guest, FIELD_TIMER_FUNCTION) < WHEEL_PLACE_SIZE &&
	       guest->profile.fields[FIELD_TIMER_SIZE].size + 8 <= WHEEL_PLACE_SIZE;
}

struct base {
	uint64_t address, clock, next_expiry;
	uint32_t cpu;
	bool is_idle, is_locked;
};

static int read_base(const struct guest *guest, uint32_t cpu, struct base *base)
{
	uint64_t offset, lock, running, idle;
	int r = guest_read64(guest, guest_symbol(guest, SYMBOL_PER_CPU_OFFSET) + 8 * (uint64_t)cpu,
			     &offset);

	*base = (struct base){.cpu = cpu,
			      .address = guest_symbol(guest, SYMBOL_TIMER_BASES) + offset};
	if (r == 0)
		r = guest_field(guest, base->address, FIELD_TB_LOCK, &lock);
	if (r == 0)
		r = guest_field(guest, base->address, FIELD_TB_RUNNING, &running);
	if (r == 0)
		r = guest_field(guest, base->address, FIELD_TB_IS_IDLE, &idle);
	if (r == 0)
		r = guest_field(guest, base->address, FIELD_TB_CLK, &base->clock);
	if (r == 0)
		r = guest_field(guest, base->address, FIELD_TB_NEXT_EXPIRY, &base->next_expiry);
	if (r < 0)
		return r;
	base->is_locked = lock != 0 || running != 0;
	base->is_idle = idle != 0;
	return 0;
}

/* A CPU that is online and not within its wheel, rather one that does not sleep. */
static int choose_base(const struct guest *guest, struct base *ret_base)
{
	uint64_t count = 0, mask[CPUS_MAX / 64] = {0};
	int r = guest_read(guest, guest_symbol(guest, SYMBOL_NR_CPU_IDS), &count, 4),
	    found = -EBUSY;

	if (count > CPUS_MAX)
		return -ENOTSUP;
	if (r == 0)
		r = guest_read(guest, guest_symbol(guest, SYMBOL_CPU_ONLINE_MASK), mask,
			       (count + 63) / 64 * 8);
	for (uint32_t cpu = 0; r == 0 && cpu < count; cpu++) {
		struct base base;

		if (!(mask[cpu / 64] >> (cpu % 64) & 1))
			continue;
		r = read_base(guest, cpu, &base);
		if (r < 0 || base.is_locked || (found == 0 && base.is_idle))
			continue;
		*ret_base = base;
		found = 0;
		if (!base.is_idle)
			break;
	}
	return r < 0 ? r : found;
}

/* The place must be unused: an hrtimer that is not armed, and no timer of ours that is still
 * linked. One that has fired may have been left there by somebody who could not come back for it.
 */
static int save_place(const struct guest *guest, struct wheel_timer *timer)
{
	uint64_t state, back;
	int r;

	timer->place = guest_symbol(guest, SYMBOL_INIT_SIGNALS) +
		       guest_offset(guest, FIELD_SIGNAL_REAL_TIMER);
	r = guest_field(guest, timer->place, FIELD_HRTIMER_STATE, &state);
	if (r == 0)
		r = guest_read(guest, timer->place, timer->saved, sizeof(timer->saved));
	if (r < 0)
		return r;
	back = timer->saved[NODE_PPREV / 8];
	if (state != 0 || back != 0)
		return -EBUSY;
	if (timer->saved[guest_offset(guest, FIELD_TIMER_FUNCTION) / 8] ==
	    guest_symbol(guest, SYMBOL_PROCESS_TIMEOUT))
		memset(timer->saved, 0, sizeof(timer->saved)); /* as the kernel had it */
	return 0;
}

/* The first timer of the slot, if there is one, must point back at the slot. */
static int read_slot(const struct guest *guest, uint64_t slot, uint64_t *ret_first)
{
	uint64_t back;
	int r = guest_read64(guest, slot, ret_first);

	if (r < 0 || *ret_first == 0)
		return r;
	if (!guest_is_kernel_pointer(*ret_first) || *ret_first % 8)
		return -EFAULT;
	r = guest_read64(guest, *ret_first + NODE_PPREV, &back);
	return r == 0 && back != slot ? -EFAULT : r;
}

static int write_timer(const struct guest *guest, const struct wheel_timer *timer, uint64_t task,
		       uint64_t first, uint64_t expires)
{
	uint32_t index = (uint32_t)expires & SLOTS_MASK;
	const struct {
		uint64_t offset, value;
		size_t size;
		const char *what;
	} words[] = {
		{NODE_NEXT, first, 8, "wake-up timer: next"},
		{NODE_PPREV, timer->slot, 8, "wake-up timer: back"},
		{guest_offset(guest, FIELD_TIMER_EXPIRES), expires, 8, "wake-up timer: expires"},
		{guest_offset(guest, FIELD_TIMER_FUNCTION),
		 guest_symbol(guest, SYMBOL_PROCESS_TIMEOUT), 8, "wake-up timer: function"},
		{guest_offset(guest, FIELD_TIMER_FLAGS), timer->cpu | index << INDEX_SHIFT, 4,
		 "wake-up timer: flags"},
		{guest->profile.fields[FIELD_TIMER_SIZE].size, task, 8, "wake-up timer: task"},
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		int r = guest_write(guest, timer->place + words[i].offset, words[i].value,
				    words[i].size, words[i].what);

		if (r < 0)
			return r;
	}
	return 0;
}

/* The wheel last: what it points to is whole by then. */
static int link_timer(const struct guest *guest, const struct base *base,
		      const struct wheel_timer *timer, uint64_t first, uint64_t expires)
{
	uint64_t map = base->address + guest_offset(guest, FIELD_TB_PENDING_MAP);
	uint64_t bit = expires & SLOTS_MASK, word;
	int r = guest_read64(guest, map, &word);

	if (r == 0 && first)
		r = guest_write(guest, first + NODE_PPREV, timer->place + NODE_NEXT, 8,
				"timer wheel: back link of the next timer");
	if (r == 0)
		r = guest_write(guest, timer->slot, timer->place, 8, "timer wheel: slot");
	if (r == 0)
		r = guest_write(guest, map, word | UINT64_C(1) << bit, 8,
				"timer wheel: map of slots in use");
	if (r == 0 && guest_has(guest, FIELD_TB_TIMERS_PENDING))
		r = guest_write(guest, base->address + guest_offset(guest, FIELD_TB_TIMERS_PENDING),
				1, 1, "timer wheel: timers are pending");
	if (r == 0 && (int64_t)(expires - base->next_expiry) < 0)
		r = guest_write(guest, base->address + guest_offset(guest, FIELD_TB_NEXT_EXPIRY),
				expires, 8, "timer wheel: next expiry");
	return r;
}

int wheel_arm(const struct guest *guest, uint64_t task, struct wheel_timer *ret_timer)
{
	struct wheel_timer timer = {0};
	struct base base;
	uint64_t expires, first;
	int r;

	if (!is_known(guest))
		return -ENOTSUP;
	r = choose_base(guest, &base);
	if (r == 0)
		r = save_place(guest, &timer);
	if (r < 0)
		return r;
	expires = base.clock + 1;
	timer.cpu = base.cpu;
	timer.slot =
		base.address + guest_offset(guest, FIELD_TB_VECTORS) + (expires & SLOTS_MASK) * 8;
	r = read_slot(guest, timer.slot, &first);
	if (r == 0)
		r = write_timer(guest, &timer, task, first, expires);
	if (r == 0)
		r = link_timer(guest, &base, &timer, first, expires);
	if (r == 0)
		*ret_timer = timer;
	return r;
}

int wheel_has_fired(const struct guest *guest, const struct wheel_timer *timer, bool *ret_fired)
{
	uint64_t back;
	int r = guest_read64(guest, timer->place + NODE_PPREV, &back);

	if (r == 0)
		*ret_fired = back == 0; /* detach_timer() */
	return r;
}

/* As hlist_del() does. */
static int unlink_timer(const struct guest *guest, const struct wheel_timer *timer)
{
	uint64_t next, back, there;
	struct base base;
	int r = read_base(guest, timer->cpu, &base);

	if (r == 0 && base.is_locked)
		r = -EBUSY;
	if (r == 0)
		r = guest_read64(guest, timer->place + NODE_NEXT, &next);
	if (r == 0)
		r = guest_pointer(guest, timer->place + NODE_PPREV, &back);
	if (r == 0)
		r = guest_read64(guest, back, &there);
	if (r == 0 &&
	    (there != timer->place || (next && (!guest_is_kernel_pointer(next) || next % 8))))
		r = -EFAULT;
	if (r == 0)
		r = guest_write(guest, back, next, 8, "timer wheel: slot, without our timer");
	if (r == 0 && next)
		r = guest_write(guest, next + NODE_PPREV, back, 8,
				"timer wheel: back link, without our timer");
	return r;
}

int wheel_disarm(const struct guest *guest, const struct wheel_timer *timer)
{
	bool has_fired;
	int r = wheel_has_fired(guest, timer, &has_fired);

	if (r == 0 && !has_fired)
		r = unlink_timer(guest, timer);
	for (size_t i = 0; r == 0 && i < WHEEL_PLACE_SIZE / 8; i++)
		r = guest_write(guest, timer->place + 8 * i, timer->saved[i], 8,
				"wake-up timer: what was in its place");
	return r;
}
