#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a guest's kernel by virtual address and by the names of members, with its profile. A
 * value is copied once and then used: what the guest changes meanwhile cannot be seen twice.
 * Pointers come from the guest and are checked on each use. One owner, one thread.
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "introspect/memory.h"
#include "introspect/paging.h"
#include "introspect/profile.h"

struct guest {
	struct memory *memory;
	struct profile profile;
	struct paging kernel; /* init_top_pgt */
};

void guest_init(struct guest *guest, struct memory *memory, const struct profile *profile);

/* Where a kernel address lies: by arithmetic in the image and the direct map, else by the page
 * table. -EFAULT; `ret_left` (may be NULL) as paging_translate(). */
int guest_translate(const struct guest *guest, uint64_t va, uint64_t *ret_gpa, uint64_t *ret_left);

/* All or nothing; errors as memory_read()'s. */
int guest_read(const struct guest *guest, uint64_t va, void *buffer, size_t size);
int guest_read64(const struct guest *guest, uint64_t va, uint64_t *ret_value);
/* A pointer into the kernel half that is a multiple of 8; -EFAULT for any other value. */
int guest_pointer(const struct guest *guest, uint64_t va, uint64_t *ret_pointer);
/* A text up to NUL or `size` - 1 bytes, terminated. */
int guest_string(const struct guest *guest, uint64_t va, char *buffer, size_t size);

bool guest_has(const struct guest *guest, enum field field);
uint32_t guest_offset(const struct guest *guest, enum field field);
uint64_t guest_symbol(const struct guest *guest, enum symbol symbol);
/* A member of 1 to 8 bytes of the structure at `object`, without sign; -ENOENT when this kernel has
 * no such member. */
int guest_field(const struct guest *guest, uint64_t object, enum field field, uint64_t *ret_value);
int guest_field_pointer(const struct guest *guest, uint64_t object, enum field field,
			uint64_t *ret_pointer);

/* Writes up to 8 bytes within a page; as memory_write(). -EPERM for the kernel's text. */
int guest_write(const struct guest *guest, uint64_t va, uint64_t value, size_t size,
		const char *what);

static inline bool guest_is_kernel_pointer(uint64_t va)
{
	return va >= UINT64_C(0xff00000000000000) && va < UINT64_C(0xfffffffffffff000);
}

/* Whether an error ends the whole look; others are of one object, which the guest may just be
 * changing or have forged. */
static inline bool guest_is_final(int r)
{
	return r == -ETIME || r == -EIO || r == -ENOMEM;
}

/* A walk over the entries of a list_head, each a `member` of an object, at most `limit`: takes each
 * object once. The way back is compared with the way there; a difference is counted in
 * *ret_broken (the guest was changing it, or it is forged) and does not end the walk. Ends with 0
 * at the head; errors: what `take` returned, -EFAULT, -ETIME, and -ELOOP past the limit or, soon,
 * in a circle without the head, some objects of which are taken more than once. */
typedef int guest_take(void *userdata, uint64_t object);
struct guest_list {
	uint64_t head;   /* address of the head's list_head */
	uint32_t member; /* offset of the list_head in an object */
	uint32_t limit;
};
int guest_walk_list(const struct guest *guest, const struct guest_list *list, guest_take *take,
		    void *userdata, uint32_t *ret_broken);
