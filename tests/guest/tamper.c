/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a rootkit does to its kernel, done from outside while the VM is paused, so that a test can
 * look whether it is seen. Each word that was changed is told as "ADDRESS BEFORE AFTER SIZE", and
 * "undo" takes such lines, the last change first.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "introspect/guest.h"
#include "introspect/module.h"
#include "introspect/task.h"
#include "vmi/target.h"

static const char usage[] = "Usage: tamper SOCKET hide PID [list] [children] [pids]\n"
			    "       tamper SOCKET module NAME\n"
			    "       tamper SOCKET syscall NUMBER ADDRESS\n"
			    "       tamper SOCKET undo <CHANGES\n";

static int put(const struct guest *guest, uint64_t va, uint64_t value)
{
	uint64_t gpa;
	int r = guest_translate(guest, va, &gpa, NULL);

	return r < 0 ? r : memory_write(guest->memory, gpa, value, sizeof(value), "tamper");
}

/* As __list_del() of the kernel: the entry itself still points into the list. */
static int unlink_entry(const struct guest *guest, uint64_t entry)
{
	uint64_t next, previous;
	int r = guest_pointer(guest, entry, &next);

	if (r == 0)
		r = guest_pointer(guest, entry + 8, &previous);
	if (r == 0)
		r = put(guest, previous, next);
	return r < 0 ? r : put(guest, next + 8, previous);
}

/* Empties the slot of a pid in the xarray of the first namespace. */
static int forget_pid(const struct guest *guest, uint32_t pid)
{
	uint64_t slot =
		guest_symbol(guest, SYMBOL_INIT_PID_NS) + guest_offset(guest, FIELD_PIDNS_XA_HEAD);
	uint64_t entry, shift;
	int r;

	for (;;) {
		r = guest_read64(guest, slot, &entry);
		if (r < 0 || (entry & 3) != 2)
			return r < 0 ? r : put(guest, slot, 0);
		entry -= 2;
		r = guest_field(guest, entry, FIELD_XA_SHIFT, &shift);
		if (r < 0)
			return r;
		slot = entry + guest_offset(guest, FIELD_XA_SLOTS) + (pid >> shift & 63) * 8;
	}
}

static int hide(const struct guest *guest, char **arguments)
{
	uint32_t pid = arguments[0] ? (uint32_t)atoi(arguments[0]) : 0;
	struct task_list tasks;
	const struct task *task;
	int r = task_list_read(guest, &tasks);

	if (r < 0)
		return r;
	task = task_list_find(&tasks, pid);
	r = task ? 0 : -ESRCH;
	for (int i = 1; r == 0 && arguments[i]; i++) {
		if (strcmp(arguments[i], "list") == 0)
			r = unlink_entry(guest,
					 task->address + guest_offset(guest, FIELD_TASK_TASKS));
		else if (strcmp(arguments[i], "children") == 0)
			r = unlink_entry(guest,
					 task->address + guest_offset(guest, FIELD_TASK_SIBLING));
		else
			r = strcmp(arguments[i], "pids") == 0 ? forget_pid(guest, pid) : -EINVAL;
	}
	task_list_deinit(&tasks);
	return r;
}

static int hide_module(const struct guest *guest, char **arguments)
{
	struct module_list modules;
	int r = arguments[0] ? module_list_read(guest, &modules) : -EINVAL;

	if (r < 0)
		return r;
	r = -ENOENT;
	for (size_t i = 0; i < modules.count; i++)
		if (strcmp(modules.modules[i].name, arguments[0]) == 0)
			r = unlink_entry(guest, modules.modules[i].address +
							guest_offset(guest, FIELD_MODULE_LIST));
	module_list_deinit(&modules);
	return r;
}

static int redirect_call(const struct guest *guest, char **arguments)
{
	if (!arguments[0] || !arguments[1])
		return -EINVAL;
	return put(guest,
		   guest_symbol(guest, SYMBOL_SYS_CALL_TABLE) +
			   8 * strtoull(arguments[0], NULL, 10),
		   strtoull(arguments[1], NULL, 0));
}

/* What has changed since is left alone, and is an error. */
static int undo(const struct guest *guest, char **arguments)
{
	uint64_t gpa, before, after;
	uint32_t size;
	int r = 0;

	(void)arguments;
	while (r == 0 && scanf("%" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNu32, &gpa, &before,
			       &after, &size) == 4) {
		uint64_t now = 0;

		if (size != 1 && size != 2 && size != 4 && size != 8)
			return -EINVAL;
		r = memory_read(guest->memory, gpa, &now, size);
		if (r == 0)
			r = now == after ? memory_write(guest->memory, gpa, before, size, "tamper")
					 : -ESTALE;
	}
	return r;
}

static const struct deed {
	const char *name;
	int (*run)(const struct guest *guest, char **arguments);
} deeds[] = {{"hide", hide}, {"module", hide_module}, {"syscall", redirect_call}, {"undo", undo}};

static const struct deed *find_deed(const char *name)
{
	for (size_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++)
		if (strcmp(deeds[i].name, name) == 0)
			return &deeds[i];
	return NULL;
}

static int do_deed(const struct deed *deed, const struct target *target, struct memory *memory,
		   char **arguments, struct error *err)
{
	struct profile_source source = {target->memory, target->vcpus, target->vcpu_count};
	const struct memory_change *changes;
	struct profile profile;
	struct guest guest;
	size_t count;
	int r = profile_make(&source, &profile, err);

	if (r < 0)
		return r;
	guest_init(&guest, memory, &profile);
	r = deed->run(&guest, arguments);
	changes = memory_changes(memory, &count);
	for (size_t i = 0; i < count; i++)
		printf("%" PRIx64 " %" PRIx64 " %" PRIx64 " %" PRIu32 "\n", changes[i].gpa,
		       changes[i].before, changes[i].after, changes[i].size);
	return r < 0 ? error_set_errno(err, r, "%s", deed->name) : 0;
}

/* With the VM paused; if somebody else has paused it, it is left so. */
static int tamper(const char *socket, const struct deed *deed, char **arguments, struct error *err)
{
	struct target_options options = {.qmp = socket};
	struct target target, writable;
	int r = target_open(&options, &target, err), stopped;

	if (r < 0)
		return r;
	r = target_open_writable(&target, &writable, err);
	if (r < 0) {
		target_close(&target);
		return r;
	}
	stopped = monitor_stop(target.monitor, err);
	r = stopped == -EALREADY ? 0 : stopped;
	if (r == 0)
		r = do_deed(deed, &target, writable.memory, arguments, err);
	if (stopped == 0 && monitor_cont(target.monitor, r < 0 ? NULL : err) < 0 && r == 0)
		r = -EIO;
	target_close(&writable);
	target_close(&target);
	return r;
}

int main(int argc, char **argv)
{
	const struct deed *deed = argc > 2 ? find_deed(argv[2]) : NULL;
	struct error err = ERROR_INIT;
	int r;

	if (!deed) {
		fputs(usage, stderr);
		return 2;
	}
	r = tamper(argv[1], deed, argv + 3, &err);
	if (r < 0)
		fprintf(stderr, "tamper: %s\n", error_text(&err, r));
	return r < 0;
}
