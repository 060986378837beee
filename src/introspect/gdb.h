#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call into the guest's kernel through QEMU's gdb stub (Remote Serial Protocol): a hardware
 * breakpoint at a place where the kernel holds no lock (the timer tick), there the registers are
 * kept, a function is called with up to three arguments, and everything is put back. The explicit
 * second choice for ending a process, when a write into memory cannot wake it. Blocking with a
 * deadline; on any failure the stub is told to let the guest go on, and the caller must end the
 * stub ("gdbserver none") and resume the VM whatever this returns.
 */
#include <stdint.h>

#include "base/error.h"

struct gdb_call {
	uint64_t breakpoint; /* where to interrupt: update_process_times */
	uint64_t function;   /* what to call: kill_pid */
	uint64_t return_to;  /* an address that is never executed meanwhile: machine_halt */
	uint64_t arguments[3];
	int64_t timeout_usec; /* at most half of it is spent on waiting for the breakpoint */
};

/* Borrows `fd`, a connected stream socket to the stub. ret_result: what the function returned
 * (rax). Errors: -ETIME, -EPROTO, -ECONNRESET, after which the guest is as before; and
 * -ENOTRECOVERABLE when the call had begun and its end was not seen, or the registers could not be
 * put back: the vCPU may come to `return_to` with nobody there to catch it. */
int gdb_call(int fd, const struct gdb_call *call, uint64_t *ret_result, struct error *err);
