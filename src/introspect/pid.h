#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of pids of the first namespace: an xarray (lib/xarray.c) of struct pid, from which a
 * task is found without the list of tasks.
 */
#include <stdint.h>

#include "introspect/guest.h"

/* Calls `take` with the task_struct of each pid, threads too. What cannot be followed is counted in
 * *ret_unreadable. Errors: what `take` returned, -EFAULT for the root, -ELOOP for more nodes than
 * there can be, -ETIME, -EIO. */
int pid_walk(const struct guest *guest, guest_take *take, void *userdata, uint32_t *ret_unreadable);

/* The task of a pid; -ENOENT, or as memory_read(). */
int pid_find(const struct guest *guest, uint32_t pid, uint64_t *ret_task);
