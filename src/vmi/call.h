#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call into the guest's kernel: QEMU is told to open its gdb stub on a socket, the call is made
 * through it, and the stub is closed again and the VM runs, whatever came of it. In the parent,
 * which has the monitor. The socket lies in a folder that only we can enter.
 */
#include "introspect/gdb.h"
#include "vmi/target.h"

int call_into_guest(struct target *target, const struct gdb_call *call, uint64_t *ret_result,
		    struct error *err);
