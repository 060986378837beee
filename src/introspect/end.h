#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ending a process of a guest (paper V, StackDB's way): SIGKILL is made pending on each of its
 * threads, as the kernel's own send_signal() does in the end, and the kernel acts on it when a
 * thread next returns to user mode. A thread that sleeps is woken by the timer wheel (wheel.h), or
 * the kernel's own kill_pid() is called through QEMU's gdb stub. Everything is checked again with
 * the guest paused, and whatever is not as expected is refused rather than tried.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "introspect/guest.h"
#include "introspect/task.h"

enum { END_THREADS_MAX = 1500, END_REASON_SIZE = 256 };

enum end_method { END_BY_MEMORY, END_BY_CALL };

struct end_order {
	uint32_t pid;
	/* Identity, as an earlier look gave it; 0 or "": as it is at the start of this one. */
	uint64_t start_nsec;
	char comm[TASK_COMM_SIZE + 1];
	enum end_method method;
	bool dry_run;
	bool container_init; /* also the first process of a namespace within the guest */
	bool no_wake;        /* leave a sleeper with the signal pending */
	int64_t wait_usec;   /* how long its death is waited for */
};

/* A call of a kernel function that the host's monitor makes: kill_pid(pid, SIGKILL, 1). */
struct end_call {
	uint64_t breakpoint, function, return_to, arguments[3];
};

/* What only the one who holds the monitor can do. Each returns 0 or a negative errno with err set.
 */
struct end_host {
	int (*pause)(void *userdata, struct error *err);
	int (*resume)(void *userdata, struct error *err);
	int (*call)(void *userdata, const struct end_call *call, uint64_t *ret_result,
		    struct error *err);
	void *userdata;
};

enum end_outcome {
	END_REFUSED, /* nothing was written */
	END_DRY,     /* this is what would be written */
	END_DEAD,    /* seen to be gone, a zombie, or exiting */
	END_ARMED,   /* the signal is pending; it dies when it next runs */
};

struct end_result {
	enum end_outcome outcome;
	char reason[END_REASON_SIZE]; /* of a refusal, or why it is only armed */
	struct task task;             /* as it was */
	uint32_t threads, wakeups;
	int64_t took_usec;    /* from the first write to its death */
	bool keeps_reference; /* its task_struct or struct pid is not freed by the guest: it ended
			       * too fast for us */
};

/* The words written (or, dry, to be written) are in memory_changes(). Errors are those of reading
 * and of the host: then ret_result tells what had been done. */
int end_process(const struct guest *guest, const struct end_order *order,
		const struct end_host *host, struct end_result *ret_result, struct error *err);

/* The bit of thread_info.flags that says "a signal is pending", from the guest's own code: the
 * instruction that sets it in signal_wake_up_state(). -ENOTSUP when that is not found, or is not
 * the bit that all known kernels have. */
int end_decode_signal_bit(const struct guest *guest, uint32_t *ret_bit);
