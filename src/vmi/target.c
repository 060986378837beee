/* SPDX-License-Identifier: Apache-2.0 */
#include "vmi/target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "hypervisor/procfs.h"
#include "introspect/dump.h"
#include "introspect/mtree.h"
#include "metric/metric.h"
#include "vmi/backing.h"

enum { PROCESSES_MAX = 8192 };

/* Which process */

static bool is_wanted(const struct qemu_process *process, const char *vm)
{
	char uuid[VM_UUID_TEXT_SIZE];

	return strcmp(process->name, vm) == 0 ||
	       strcasecmp(vm_uuid_format(&process->uuid, uuid), vm) == 0;
}

static int find_process(const char *vm, struct qemu_process *ret_process, struct error *err)
{
	cleanup(free) pid_t *pids = calloc(PROCESSES_MAX, sizeof(*pids));
	int count = pids ? procfs_list(pids, PROCESSES_MAX) : -ENOMEM, found = 0;

	if (count < 0)
		return error_set_errno(err, count, "listing the QEMU processes");
	for (int i = 0; i < count; i++) {
		struct qemu_process process;

		if (!procfs_examine(pids[i], &process) || !is_wanted(&process, vm))
			continue;
		*ret_process = process;
		found++;
	}
	if (found == 0)
		return error_set(err, -ENOENT,
				 "no QEMU process on this host (%d seen) is named '%s' or has that "
				 "UUID%s",
				 count, vm,
				 geteuid() == 0 ? "" : "; only root sees those of others");
	if (found > 1)
		return error_set(err, -EEXIST,
				 "%d QEMU processes are named '%s': give the UUID or --process",
				 found, vm);
	return 0;
}

int target_reopen_monitor(const struct target *target, struct monitor **ret_monitor,
			  struct error *err)
{
	if (target->uri)
		return monitor_open_libvirt(target->uri, target->reach, ret_monitor, err);
	return monitor_open_qmp(target->reach, target->pid, ret_monitor, err);
}

/* How the process's monitor is reached. */
static int find_reach(const struct target_options *options, const struct qemu_process *process,
		      struct target *target, struct error *err)
{
	char uuid[VM_UUID_TEXT_SIZE];

	if (process->of_libvirt) {
		target->uri = options->uri;
		(void)snprintf(target->reach, sizeof(target->reach), "%s",
			       vm_uuid_format(&process->uuid, uuid));
		return 0;
	}
	if (!process->qmp_path[0])
		return error_set(err, -ENOTSUP,
				 "process %d (%s) has no monitor to ask: it belongs to no libvirt "
				 "and was started without -qmp unix:PATH,server=on,wait=off",
				 (int)process->pid, process->name);
	(void)snprintf(target->reach, sizeof(target->reach), "%s", process->qmp_path);
	target->pid = process->pid;
	return 0;
}

/* By its socket alone, whose other end is the process. */
static int attach_socket(const char *path, struct target *target, struct error *err)
{
	int r = monitor_open_qmp(path, 0, &target->monitor, err);

	(void)snprintf(target->reach, sizeof(target->reach), "%s", path);
	return r < 0 ? r : monitor_pid(target->monitor, &target->pid, err);
}

/* Fills the process and the monitor of a live guest. */
static int attach(const struct target_options *options, struct target *target, struct error *err)
{
	struct qemu_process process;
	pid_t pid = options->pid;
	int r = 0;

	if (options->qmp) {
		r = attach_socket(options->qmp, target, err);
		pid = target->pid;
	} else if (options->vm) {
		r = find_process(options->vm, &process, err);
		pid = r < 0 ? 0 : process.pid;
	}
	if (r < 0)
		return r;
	if (!procfs_examine(pid, &process))
		return error_set(err, geteuid() == 0 ? -ENOENT : -EACCES, "process %d is no QEMU%s",
				 (int)pid, geteuid() == 0 ? "" : ", or only root may look at it");
	if (!options->qmp) {
		r = find_reach(options, &process, target, err);
		if (r == 0)
			r = target_reopen_monitor(target, &target->monitor, err);
	}
	if (r == 0)
		target->pid = process.pid;
	(void)snprintf(target->name, sizeof(target->name), "%s", process.name);
	(void)snprintf(target->key, sizeof(target->key), "%d-%llu", (int)process.pid,
		       (unsigned long long)process.start_ticks);
	return r;
}

/* Memory */

static int keep_descriptor(struct target *target, int fd)
{
	for (size_t i = 0; i < target->descriptor_count; i++)
		if (target->descriptors[i] == fd)
			return 0;
	if (target->descriptor_count == TARGET_DESCRIPTORS_MAX)
		return -E2BIG;
	target->descriptors[target->descriptor_count++] = fd;
	return 0;
}

static const char *describe_way(const char *before, bool is_shared)
{
	const char *way = is_shared ? "shared memory" : "process memory";

	return before && strcmp(before, way) != 0 ? "shared and process memory" : way;
}

/* What the blocks' memory lies in: the range is one stretch of it. */
static int add_range(struct target *target, const struct mtree_range *range,
		     const struct backing_place *place, bool writable, struct error *err)
{
	int r = keep_descriptor(target, place->fd);

	if (r < 0)
		return error_set(err, r, "more than %d memory files", TARGET_DESCRIPTORS_MAX);
	target->way = describe_way(target->way, place->is_shared);
	return memory_add(target->memory, range->gpa, range->size, place->fd, place->offset,
			  place->is_shared ? MEMORY_MAPPED : MEMORY_PAGED, writable, err);
}

static int map_memory(struct target *target, struct monitor *monitor, bool writable,
		      struct error *err)
{
	cleanup(free) struct mtree_range *ranges = calloc(MTREE_RANGES_MAX, sizeof(*ranges));
	cleanup(free) char *text = NULL;
	struct backing backing;
	int count, r = monitor_human(monitor, "info mtree -f", &text, err);

	if (r < 0)
		return r;
	if (!ranges)
		return error_set_errno(err, -ENOMEM, "memory map");
	count = mtree_parse(text, ranges, MTREE_RANGES_MAX, err);
	if (count < 0)
		return error_prefix(err, count, "the guest's memory map");
	r = backing_init(&backing, target->pid, err);
	for (int i = 0; r == 0 && i < count; i++) {
		struct backing_place place;

		r = backing_find(&backing, monitor, &ranges[i], writable, &place, err);
		if (r == 0)
			r = add_range(target, &ranges[i], &place, writable, err);
		if (r < 0)
			(void)error_prefix(err, r, "memory block '%s'", ranges[i].block);
	}
	backing_deinit(&backing);
	return r;
}

int target_read_registers(struct target *target, struct error *err)
{
	cleanup(free) char *text = NULL;
	int count, r = monitor_human(target->monitor, "info registers -a", &text, err);

	if (r < 0)
		return r;
	if (!target->vcpus)
		target->vcpus = calloc(REGISTERS_VCPUS_MAX, sizeof(*target->vcpus));
	if (!target->vcpus)
		return error_set_errno(err, -ENOMEM, "registers");
	count = registers_parse(text, target->vcpus, REGISTERS_VCPUS_MAX, err);
	if (count < 0)
		return error_prefix(err, count, "the vCPUs' registers");
	target->vcpu_count = (size_t)count;
	return 0;
}

/* Dumps */

static const char *format_name(enum dump_format format)
{
	switch (format) {
	case DUMP_LIME:
		return "LiME dump";
	case DUMP_ELF:
		return "ELF dump";
	case DUMP_RAW:
		break;
	}
	return "raw dump";
}

static int open_dump(const char *path, struct target *target, struct error *err)
{
	struct dump dump;
	int fd = open(path, O_RDONLY | O_CLOEXEC), r;

	if (fd < 0)
		return error_set_errno(err, -errno, "%s", path);
	target->descriptors[target->descriptor_count++] = fd;
	r = dump_open(fd, &dump, err);
	if (r < 0)
		return error_prefix(err, r, "%s", path);
	for (size_t i = 0; r == 0 && i < dump.range_count; i++)
		r = memory_add(target->memory, dump.ranges[i].gpa, dump.ranges[i].size, fd,
			       dump.ranges[i].offset, MEMORY_PAGED, false, err);
	if (r < 0)
		(void)error_prefix(err, r, "%s", path);
	target->way = format_name(dump.format);
	(void)snprintf(target->name, sizeof(target->name), "%s", path);
	target->vcpus = keep(dump.vcpus);
	target->vcpu_count = dump.vcpu_count;
	dump_deinit(&dump);
	return r;
}

int target_open(const struct target_options *options, struct target *ret_target, struct error *err)
{
	struct target target = {.memory = memory_new()};
	int r;

	if (!target.memory)
		return error_set_errno(err, -ENOMEM, "memory map");
	if (options->dump) {
		r = open_dump(options->dump, &target, err);
	} else {
		r = attach(options, &target, err);
		if (r == 0)
			r = map_memory(&target, target.monitor, false, err);
		if (r == 0)
			r = target_read_registers(&target, err);
	}
	if (r < 0)
		target_close(&target);
	else
		*ret_target = target;
	return r;
}

int target_attach(const struct target_options *options, struct target *ret_target,
		  struct error *err)
{
	struct target target = {0};
	int r = attach(options, &target, err);

	if (r < 0)
		target_close(&target);
	else
		*ret_target = target;
	return r;
}

int target_open_writable(const struct target *target, struct target *ret_writable,
			 struct error *err)
{
	struct target writable = {.pid = target->pid, .memory = memory_new()};
	int r;

	if (!writable.memory)
		return error_set_errno(err, -ENOMEM, "memory map");
	r = map_memory(&writable, target->monitor, true, err);
	if (r < 0) {
		target_close(&writable);
		return r;
	}
	memory_allow_writes(writable.memory, MEMORY_WRITES_REAL);
	*ret_writable = writable;
	return 0;
}

/* "info sev" lists the guest's handle, policy and state where it is on. */
bool target_is_encrypted(struct target *target)
{
	cleanup(free) char *text = NULL;

	return target->monitor && monitor_human(target->monitor, "info sev", &text, NULL) == 0 &&
	       strstr(text, "policy");
}

void target_close(struct target *target)
{
	memory_free(target->memory);
	monitor_free(target->monitor);
	free(target->vcpus);
	for (size_t i = 0; i < target->descriptor_count; i++)
		(void)close(target->descriptors[i]); /* only read */
	*target = (struct target){0};
}
