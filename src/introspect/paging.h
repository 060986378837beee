#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x86-64 page tables, 4 and 5 levels, 4 KiB, 2 MiB and 1 GiB pages (Intel SDM volume 3, 4.5). The
 * walk takes at most five steps whatever the guest wrote. A struct paging is a value; borrows its
 * memory.
 */
#include <stddef.h>
#include <stdint.h>

#include "introspect/memory.h"

struct paging {
	struct memory *memory;
	uint64_t root; /* guest-physical address of the top table */
	int levels;    /* 4 or 5 */
};

/* The bits of CR3 that name a table; bit 12 tells the halves of page-table isolation apart. */
#define PAGING_ROOT_MASK UINT64_C(0x000ffffffffff000)
#define PAGING_PTI_BIT UINT64_C(0x1000)

/* Where `va` lies, and how many bytes from there on lie in the same page (ret_left may be NULL).
 * Errors: -EFAULT when it is not mapped or not canonical, and memory_read()'s. */
int paging_translate(const struct paging *paging, uint64_t va, uint64_t *ret_gpa,
		     uint64_t *ret_left);
int paging_read(const struct paging *paging, uint64_t va, void *buffer, size_t size);
