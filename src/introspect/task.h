#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes of a guest: its list of tasks (init_task.tasks, the thread group leaders), and per
 * process what ps tells. Values are as the kernel holds them; times in nanoseconds. Texts are the
 * guest's bytes.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "introspect/guest.h"

enum {
	TASK_COMM_SIZE = 16,
	TASKS_MAX = 65536,
	TASK_THREADS_MAX = 65536, /* of one process */
	TASK_COMMAND_LINE_SIZE = 4096,
	TASK_NAMESPACES_MAX = 32,
};

/* Bits of task_struct.flags and signal_struct.flags (include/linux/sched.h, sched/signal.h). */
enum { TASK_FLAG_EXITING = 0x4, TASK_FLAG_KERNEL = 0x200000, TASK_SIGNAL_UNKILLABLE = 0x40 };
/* Bits of task_struct.__state. */
enum {
	TASK_STATE_INTERRUPTIBLE = 0x1,
	TASK_STATE_UNINTERRUPTIBLE = 0x2,
	TASK_STATE_STOPPED = 0x4,
	TASK_STATE_TRACED = 0x8,
	TASK_STATE_WAKEKILL = 0x100,
	TASK_STATE_NOLOAD = 0x400,
};

struct task {
	uint64_t address; /* of its task_struct */
	uint32_t pid, parent_pid, uid, euid, threads;
	uint32_t state, exit_state, flags;
	uint32_t namespace_pid, namespace_level, namespace_inode;
	char comm[TASK_COMM_SIZE + 1];
	uint64_t start_nsec;                           /* since boot */
	uint64_t user_nsec, system_nsec, runtime_nsec; /* of all threads, ended ones too */
	uint64_t children_nsec; /* of children that have ended, and of theirs */
	/* Storage I/O of all threads; 0 where it is not counted. */
	uint64_t read_bytes, write_bytes;
	uint64_t memory, files, signal, struct_pid; /* mm, files, signal, thread_pid; 0: none */
};

static inline bool task_is_kernel(const struct task *task)
{
	return (task->flags & TASK_FLAG_KERNEL) != 0;
}

/* As ps writes it: R S D T t Z X I. */
char task_state_letter(const struct task *task);

/* One task. Errors: memory_read()'s; -EFAULT when it is not one. */
int task_read(const struct guest *guest, uint64_t address, struct task *ret_task);

struct task_list {
	struct task *tasks; /* owned */
	size_t count;
	uint32_t broken; /* links that did not agree: the guest was changing the list, or forges it
			  */
	bool is_cut;     /* past TASKS_MAX */
};
/* All processes in the list's order, without the idle tasks. Errors: -EFAULT (a link leads nowhere:
 * try again), -ELOOP, -ETIME, -EIO, -ENOMEM. */
int task_list_read(const struct guest *guest, struct task_list *ret_list);
/* The same from the table of pids, for when the list's links lead nowhere: what cannot be read is
 * left out and counted as broken. In the order of pids. Errors: -EFAULT for the table's root,
 * -ELOOP, -ETIME, -EIO, -ENOMEM. */
int task_list_read_pids(const struct guest *guest, struct task_list *ret_list);
void task_list_deinit(struct task_list *list);
const struct task *task_list_find(const struct task_list *list, uint32_t pid);

/* Calls `take` with the address of each thread's task_struct, the leader among them. */
int task_threads(const struct guest *guest, const struct task *task, guest_take *take,
		 void *userdata);

/* The arguments as the process itself holds them now (it can rewrite them), NULs between them.
 * Returns the number of bytes, 0 where there is none or it is not in memory. */
size_t task_command_line(const struct guest *guest, const struct task *task,
			 char buffer[TASK_COMMAND_LINE_SIZE]);
