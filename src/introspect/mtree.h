#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest-physical map as QEMU prints it ("info mtree -f"): which stretch of which memory block
 * lies at which guest-physical address. It is parsed, never computed. Only the flat view of the
 * address space "memory" counts, of it the ranges of type ram and rom that lie in blocks of guest
 * RAM. The text is QEMU's, so it is bounded but not hostile; the parser holds for any bytes all the
 * same.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { MTREE_RANGES_MAX = 1024, MTREE_NAME_SIZE = 128 };

struct mtree_range {
	uint64_t gpa, size;
	uint64_t offset; /* into the block */
	char block[MTREE_NAME_SIZE];
};

/* The ranges of RAM, by ascending address, neighbours that continue each other joined. Which blocks
 * are guest RAM: the one that holds guest-physical 0x100000, with the BIOS's read-only shadows in
 * it, and all others of type ram and priority 0 that bear the id of a memory backend and are at
 * least 1 MiB large (DIMMs, NUMA nodes, virtio-mem); so neither video memory nor what devices share
 * (PCI BARs have priority 1) nor ROMs. Returns their number, or -EBADMSG (with the line), -E2BIG.
 */
int mtree_parse(const char *text, struct mtree_range *ranges, size_t capacity, struct error *err);
