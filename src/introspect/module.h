#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loaded kernel modules, by two views: the list `modules` and the objects behind /sys/module; one
 * that only the second knows has taken itself off the list. And the tables of system calls, whose
 * entries must lie within the kernel's own text.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "introspect/guest.h"

enum { MODULES_MAX = 4096, MODULE_NAME_SIZE = 57, SYSCALLS_MAX = 1024 };

struct module {
	uint64_t address, base, size; /* of struct module; of its text */
	uint64_t taints, state;       /* state 0: live, 1: coming, 2: going, 3: unformed */
	char name[MODULE_NAME_SIZE];
	bool in_list, in_sysfs;
};

struct module_list {
	struct module *modules; /* owned */
	size_t count;
	uint32_t broken;
};
/* Errors: -ENOTSUP (built without modules), -EFAULT, -ELOOP, -ETIME, -EIO, -ENOMEM. */
int module_list_read(const struct guest *guest, struct module_list *ret_list);
void module_list_deinit(struct module_list *list);
/* The module whose text holds `va`, or NULL. */
const struct module *module_at(const struct module_list *list, uint64_t va);

struct syscall_entry {
	bool is_ia32;
	uint32_t number;
	uint64_t target;
};
/* Calls `take` with each entry that points outside [_stext, _etext). Returns how many entries were
 * looked at, or a negative errno. */
typedef int syscall_take(void *userdata, const struct syscall_entry *entry);
int syscall_check(const struct guest *guest, syscall_take *take, void *userdata);
