#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registers of a vCPU that introspection is anchored on. They come from the hypervisor ("info
 * registers -a", or the notes of an ELF dump), never from guest memory.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { REGISTERS_VCPUS_MAX = 1024 };

struct registers {
	uint64_t cr0, cr3, cr4, efer, idt_base;
	bool has_efer; /* ELF notes do not carry it */
};

/* One entry per vCPU. Returns their number; -EBADMSG when there is none. */
int registers_parse(const char *text, struct registers *registers, size_t capacity,
		    struct error *err);
