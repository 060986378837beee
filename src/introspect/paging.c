/* SPDX-License-Identifier: Apache-2.0 */
#include "introspect/paging.h"

#include <errno.h>
#include <stdbool.h>

enum { ENTRY_PRESENT = 1, ENTRY_HUGE = 1 << 7, TABLE_BITS = 9, PAGE_BITS = 12 };

static bool is_canonical(const struct paging *paging, uint64_t va)
{
	int unused = 64 - (PAGE_BITS + TABLE_BITS * paging->levels);

	return (uint64_t)((int64_t)(va << unused) >> unused) == va;
}

int paging_translate(const struct paging *paging, uint64_t va, uint64_t *ret_gpa,
		     uint64_t *ret_left)
{
	uint64_t table = paging->root & PAGING_ROOT_MASK;

	if (!is_canonical(paging, va))
		return -EFAULT;
	for (int level = paging->levels - 1; level >= 0; level--) {
		int shift = PAGE_BITS + TABLE_BITS * level;
		uint64_t entry, page = UINT64_C(1) << shift;
		int r = memory_read(paging->memory, table + ((va >> shift) & 511) * 8, &entry,
				    sizeof(entry));

		if (r < 0)
			return r;
		if (!(entry & ENTRY_PRESENT))
			return -EFAULT;
		if (level == 0 || (level <= 2 && (entry & ENTRY_HUGE))) {
			*ret_gpa = (entry & PAGING_ROOT_MASK & ~(page - 1)) | (va & (page - 1));
			if (ret_left)
				*ret_left = page - (va & (page - 1));
			return 0;
		}
		table = entry & PAGING_ROOT_MASK;
	}
	return -EFAULT;
}

int paging_read(const struct paging *paging, uint64_t va, void *buffer, size_t size)
{
	while (size > 0) {
		uint64_t gpa, left;
		int r = paging_translate(paging, va, &gpa, &left);

		if (r < 0)
			return r;
		if (left > size)
			left = size;
		r = memory_read(paging->memory, gpa, buffer, left);
		if (r < 0)
			return r;
		va += left;
		buffer = (char *)buffer + left;
		size -= left;
	}
	return 0;
}
