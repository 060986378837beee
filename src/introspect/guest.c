/* SPDX-License-Identifier: Apache-2.0 */
#include "introspect/guest.h"

#include <errno.h>
#include <string.h>

void guest_init(struct guest *guest, struct memory *memory, const struct profile *profile)
{
	guest->memory = memory;
	guest->profile = *profile;
	guest->kernel = (struct paging){
		.memory = memory, .root = profile->root, .levels = (int)profile->levels};
}

int guest_translate(const struct guest *guest, uint64_t va, uint64_t *ret_gpa, uint64_t *ret_left)
{
	const struct profile *profile = &guest->profile;
	uint64_t direct = va - profile->direct_base, image = va - profile->image.va;

	if (image < profile->image.size) {
		*ret_gpa = profile->image.gpa + image;
		if (ret_left)
			*ret_left = profile->image.size - image;
		return 0;
	}
	if (direct < memory_end(guest->memory)) {
		*ret_gpa = direct;
		if (ret_left)
			*ret_left = memory_end(guest->memory) - direct;
		return 0;
	}
	return paging_translate(&guest->kernel, va, ret_gpa, ret_left);
}

int guest_read(const struct guest *guest, uint64_t va, void *buffer, size_t size)
{
	uint64_t gpa, left;

	if (guest_translate(guest, va, &gpa, &left) == 0 && left >= size)
		return memory_read(guest->memory, gpa, buffer, size);
	return paging_read(&guest->kernel, va, buffer, size);
}

int guest_read64(const struct guest *guest, uint64_t va, uint64_t *ret_value)
{
	return guest_read(guest, va, ret_value, sizeof(*ret_value));
}

int guest_pointer(const struct guest *guest, uint64_t va, uint64_t *ret_pointer)
{
	uint64_t pointer;
	int r = guest_read64(guest, va, &pointer);

	if (r < 0)
		return r;
	if (!guest_is_kernel_pointer(pointer) || pointer % 8)
		return -EFAULT;
	*ret_pointer = pointer;
	return 0;
}

int guest_string(const struct guest *guest, uint64_t va, char *buffer, size_t size)
{
	size_t done = 0;

	while (done + 1 < size) {
		uint64_t gpa, left;
		size_t part = size - 1 - done, in_page = 4096 - (va + done) % 4096;
		int r = guest_translate(guest, va + done, &gpa, &left);

		if (r < 0)
			return r;
		part = in_page < part ? in_page : part;
		part = left < part ? (size_t)left : part;
		r = memory_read(guest->memory, gpa, buffer + done, part);
		if (r < 0)
			return r;
		if (memchr(buffer + done, '\0', part))
			return 0;
		done += part;
	}
	buffer[done] = '\0';
	return 0;
}

int guest_write(const struct guest *guest, uint64_t va, uint64_t value, size_t size,
		const char *what)
{
	uint64_t gpa, left;
	uint64_t text = guest_symbol(guest, SYMBOL_STEXT), end = guest_symbol(guest, SYMBOL_ETEXT);
	int r = guest_translate(guest, va, &gpa, &left);

	if (r < 0)
		return r;
	if (left < size || gpa % size)
		return -EFAULT;
	if (gpa - guest->profile.image.gpa - (text - guest->profile.image.va) < end - text)
		return -EPERM;
	return memory_write(guest->memory, gpa, value, size, what);
}

bool guest_has(const struct guest *guest, enum field field)
{
	return guest->profile.fields[field].offset != PROFILE_ABSENT;
}

uint32_t guest_offset(const struct guest *guest, enum field field)
{
	return guest->profile.fields[field].offset;
}

uint64_t guest_symbol(const struct guest *guest, enum symbol symbol)
{
	return guest->profile.symbols[symbol];
}

int guest_field(const struct guest *guest, uint64_t object, enum field field, uint64_t *ret_value)
{
	uint32_t offset = guest->profile.fields[field].offset;
	uint32_t size = guest->profile.fields[field].size;
	uint64_t value = 0;
	int r;

	if (offset == PROFILE_ABSENT)
		return -ENOENT;
	if (size > sizeof(value))
		size = sizeof(value);
	r = guest_read(guest, object + offset, &value, size);
	if (r < 0)
		return r;
	*ret_value = value;
	return 0;
}

int guest_field_pointer(const struct guest *guest, uint64_t object, enum field field,
			uint64_t *ret_pointer)
{
	uint32_t offset = guest->profile.fields[field].offset;

	return offset == PROFILE_ABSENT ? -ENOENT
					: guest_pointer(guest, object + offset, ret_pointer);
}

int guest_walk_list(const struct guest *guest, const struct guest_list *list, guest_take *take,
		    void *userdata, uint32_t *ret_broken)
{
	uint64_t previous = list->head, mark = 0, entry;
	int r = guest_pointer(guest, list->head, &entry);

	*ret_broken = 0;
	for (uint32_t i = 0; r == 0 && entry != list->head; i++) {
		uint64_t next, back;

		if (i == list->limit || entry == mark)
			return -ELOOP;
		if ((i & (i - 1)) == 0)
			mark = entry; /* Brent's way of finding a circle */
		r = guest_pointer(guest, entry, &next);
		if (r == 0)
			r = guest_read64(guest, entry + 8, &back);
		if (r < 0)
			return r;
		*ret_broken += back != previous;
		r = take(userdata, entry - list->member);
		previous = entry;
		entry = next;
	}
	return r;
}
