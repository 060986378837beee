#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the kernel's image lies in a dump that has no registers: by searching its memory for a
 * symbol table. Only for dumps: a guest can leave forged or stale tables in its memory, and a live
 * guest's registers are better evidence. The first table that fits together and whose kernel passes
 * the profile's checks counts.
 */
#include "introspect/image.h"
#include "introspect/memory.h"

/* Errors: -ENODATA, memory_read()'s, -ENOMEM. */
int search_image(struct memory *memory, struct image *ret_image, struct error *err);
