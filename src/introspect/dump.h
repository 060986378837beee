#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory images on disk: raw (file offset = guest-physical address), LiME (headers before each
 * range), and ELF cores of "virsh dump --memory-only" and dump-guest-memory, whose QEMU notes hold
 * the vCPUs' registers. Headers are hostile: bounded and checked against the file's size.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "introspect/registers.h"

enum dump_format { DUMP_RAW, DUMP_LIME, DUMP_ELF };

enum { DUMP_RANGES_MAX = 4096 };

struct dump_range {
	uint64_t gpa, size, offset;
};

struct dump {
	enum dump_format format;
	struct dump_range *ranges;
	size_t range_count;
	struct registers *vcpus; /* of ELF dumps; else none */
	size_t vcpu_count;
};

/* Recognises the format by content. Borrows fd for the call. Refuses with a reason what is
 * compressed (kdump), 32-bit, not x86-64, or a paging dump (dump-guest-memory -p). Errors:
 * -EBADMSG, -ENOTSUP, -E2BIG, -EIO, -ENOMEM. dump_deinit() frees what ret_dump holds. */
int dump_open(int fd, struct dump *ret_dump, struct error *err);
void dump_deinit(struct dump *dump);

/* Writing, for snapshots: the header of a LiME range, for guest-physical [gpa, gpa + size). */
enum { DUMP_LIME_HEADER_SIZE = 32 };
void dump_lime_header(uint64_t gpa, uint64_t size, uint8_t header[DUMP_LIME_HEADER_SIZE]);
