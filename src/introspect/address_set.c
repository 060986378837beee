/* SPDX-License-Identifier: Apache-2.0 */
#include "introspect/address_set.h"

#include <errno.h>
#include <stdlib.h>

enum { CAPACITY_FIRST = 512 };

void address_set_init(struct address_set *set, size_t limit)
{
	*set = (struct address_set){.limit = limit};
}

void address_set_deinit(struct address_set *set)
{
	free(set->addresses);
	free(set->slots);
	*set = (struct address_set){0};
}

/* There are twice as many slots as addresses can be, so that a search ends. */
static uint32_t *find_slot(const struct address_set *set, uint64_t address)
{
	size_t at = (size_t)((address >> 6) * UINT64_C(0x9e3779b97f4a7c15) >> 20);

	for (;; at++) {
		uint32_t *slot = &set->slots[at & (2 * set->capacity - 1)];

		if (*slot == 0 || set->addresses[*slot - 1] == address)
			return slot;
	}
}

static int grow(struct address_set *set)
{
	size_t capacity = set->capacity ? 2 * set->capacity : CAPACITY_FIRST;
	uint64_t *addresses = reallocarray(set->addresses, capacity, sizeof(*addresses));
	uint32_t *slots;

	if (!addresses)
		return -ENOMEM;
	set->addresses = addresses;
	slots = calloc(2 * capacity, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	free(set->slots);
	set->slots = slots;
	set->capacity = capacity;
	for (size_t i = 0; i < set->count; i++)
		*find_slot(set, addresses[i]) = (uint32_t)i + 1;
	return 0;
}

int address_set_add(struct address_set *set, uint64_t address, uint32_t *ret_number)
{
	uint32_t *slot;

	if (set->count == set->capacity) {
		int r = grow(set);

		if (r < 0)
			return r;
	}
	slot = find_slot(set, address);
	if (*slot) {
		*ret_number = *slot - 1;
		return 0;
	}
	if (set->count == set->limit)
		return -ELOOP;
	*ret_number = (uint32_t)set->count;
	set->addresses[set->count++] = address;
	*slot = (uint32_t)set->count;
	return 1;
}
