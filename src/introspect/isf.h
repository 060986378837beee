#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A symbol file of the running kernel as Volatility 3 reads them (Intermediate Symbol Format,
 * schema 6.2.0), which LibVMI reads too: types from the kernel's BTF, addresses from its kallsyms,
 * both out of the guest's memory. BTF has no types of ordinary variables: those that the tools ask
 * for are typed by a table, per-CPU ones by BTF, and the rest are void.
 */
#include "base/error.h"
#include "introspect/guest.h"

/* Takes the next piece of the JSON text; a negative errno ends the writing. */
typedef int isf_write(void *userdata, const void *bytes, size_t size);

/* Errors: profile_kallsyms()'s and btf_init()'s, what `write` returned, -ENOMEM. */
int isf_make(const struct guest *guest, isf_write *write, void *userdata, struct error *err);
