#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of guest structures, each numbered 0, 1, 2 ... as it is seen first, so that nothing is
 * taken twice however often a walk comes by it. Embedded; one owner. The guest chooses the
 * addresses: a bad spread costs time, of which there is a budget.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct address_set {
	uint64_t *addresses; /* by number */
	uint32_t *slots;     /* number + 1; 0: empty */
	size_t count, capacity, limit;
};

/* At most `limit` addresses. */
void address_set_init(struct address_set *set, size_t limit);
void address_set_deinit(struct address_set *set);

/* The number of an address; adds it when it is new. Returns 1 when it was, 0 when it was there,
 * -ELOOP past the limit, -ENOMEM. */
int address_set_add(struct address_set *set, uint64_t address, uint32_t *ret_number);
