#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guard of a paused VM: a process of its own that sees when the one that paused it dies without
 * having resumed it, and resumes it then. Started before the first pause; ended by guard_stop() or
 * by its parent's death. For main threads.
 */
#include <sys/types.h>

#include "base/error.h"

struct guard {
	pid_t pid; /* 0: none */
	int line;
};

/* `cont` is called in the guard after its parent has died while paused. */
int guard_start(struct guard *guard, int (*cont)(void *userdata), void *userdata,
		struct error *err);
/* Before a pause, and after the VM runs again. */
void guard_paused(const struct guard *guard);
void guard_resumed(const struct guard *guard);
void guard_stop(struct guard *guard);
