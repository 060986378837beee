/* SPDX-License-Identifier: Apache-2.0 */
#include "introspect/task.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "introspect/pid.h"

char task_state_letter(const struct task *task)
{
	enum { ZOMBIE = 0x20, DEAD = 0x10 };

	if (task->exit_state)
		return task->exit_state & ZOMBIE ? 'Z' : task->exit_state & DEAD ? 'X' : '?';
	if (task->state & TASK_STATE_STOPPED)
		return 'T';
	if (task->state & TASK_STATE_TRACED)
		return 't';
	if (task->state & TASK_STATE_UNINTERRUPTIBLE)
		return task->state & TASK_STATE_NOLOAD ? 'I' : 'D';
	return task->state & TASK_STATE_INTERRUPTIBLE ? 'S' : 'R';
}

/* A member into a uint32_t or uint64_t, or 0 where this kernel has none; the first error is kept.
 */
static uint64_t get(const struct guest *guest, uint64_t object, enum field field, int *error)
{
	uint64_t value = 0;
	int r = guest_field(guest, object, field, &value);

	if (r < 0 && r != -ENOENT && *error == 0)
		*error = r;
	return value;
}

/* A pointer that may be NULL. */
static uint64_t get_pointer(const struct guest *guest, uint64_t object, enum field field,
			    int *error)
{
	uint64_t pointer = get(guest, object, field, error);

	if (pointer != 0 && (!guest_is_kernel_pointer(pointer) || pointer % 8) && *error == 0)
		*error = -EFAULT;
	return pointer;
}

static int read_namespace(const struct guest *guest, struct task *task)
{
	uint64_t numbers, inode = 0;
	int r = 0;

	if (!task->struct_pid)
		return 0;
	task->namespace_level = (uint32_t)get(guest, task->struct_pid, FIELD_PID_LEVEL, &r);
	if (r < 0 || task->namespace_level >= TASK_NAMESPACES_MAX)
		return r < 0 ? r : -EFAULT;
	numbers = task->struct_pid + guest_offset(guest, FIELD_PID_NUMBERS) +
		  (uint64_t)task->namespace_level * guest->profile.fields[FIELD_UPID_SIZE].size;
	task->namespace_pid = (uint32_t)get(guest, numbers, FIELD_UPID_NR, &r);
	inode = get_pointer(guest, numbers, FIELD_UPID_NS, &r);
	if (inode)
		task->namespace_inode = (uint32_t)get(guest, inode, FIELD_PIDNS_INUM, &r);
	return r;
}

struct thread_sum {
	const struct guest *guest;
	struct task *task;
	int error;
};

static int add_thread(void *userdata, uint64_t address)
{
	struct thread_sum *sum = userdata;
	const struct guest *guest = sum->guest;
	struct task *task = sum->task;

	task->user_nsec += get(guest, address, FIELD_TASK_UTIME, &sum->error);
	task->system_nsec += get(guest, address, FIELD_TASK_STIME, &sum->error);
	task->runtime_nsec += get(guest, address, FIELD_TASK_RUNTIME, &sum->error);
	task->read_bytes += get(guest, address, FIELD_TASK_READ_BYTES, &sum->error);
	task->write_bytes += get(guest, address, FIELD_TASK_WRITE_BYTES, &sum->error);
	return sum->error;
}

/* The signal structure holds what ended threads have used. */
static int add_threads(const struct guest *guest, struct task *task)
{
	struct thread_sum sum = {guest, task, 0};
	int r = 0;

	task->threads = (uint32_t)get(guest, task->signal, FIELD_SIGNAL_THREADS, &r);
	task->user_nsec = get(guest, task->signal, FIELD_SIGNAL_UTIME, &r);
	task->system_nsec = get(guest, task->signal, FIELD_SIGNAL_STIME, &r);
	task->runtime_nsec = get(guest, task->signal, FIELD_SIGNAL_RUNTIME, &r);
	task->children_nsec = get(guest, task->signal, FIELD_SIGNAL_CHILDREN_UTIME, &r) +
			      get(guest, task->signal, FIELD_SIGNAL_CHILDREN_STIME, &r);
	task->read_bytes = get(guest, task->signal, FIELD_SIGNAL_READ_BYTES, &r);
	task->write_bytes = get(guest, task->signal, FIELD_SIGNAL_WRITE_BYTES, &r);
	return r < 0 ? r : task_threads(guest, task, add_thread, &sum);
}

static int read_identity(const struct guest *guest, struct task *task)
{
	uint64_t parent, cred;
	int r = guest_read(guest, task->address + guest_offset(guest, FIELD_TASK_COMM), task->comm,
			   TASK_COMM_SIZE);

	task->pid = (uint32_t)get(guest, task->address, FIELD_TASK_TGID, &r);
	parent = get_pointer(guest, task->address, FIELD_TASK_REAL_PARENT, &r);
	cred = get_pointer(guest, task->address, FIELD_TASK_CRED, &r);
	if (r < 0 || !parent || !cred)
		return r < 0 ? r : -EFAULT;
	task->parent_pid = (uint32_t)get(guest, parent, FIELD_TASK_TGID, &r);
	task->uid = (uint32_t)get(guest, cred, FIELD_CRED_UID, &r);
	task->euid = (uint32_t)get(guest, cred, FIELD_CRED_EUID, &r);
	return r;
}

int task_read(const struct guest *guest, uint64_t address, struct task *ret_task)
{
	struct task task = {.address = address};
	int r = read_identity(guest, &task);

	task.state = (uint32_t)get(guest, address, FIELD_TASK_STATE, &r);
	task.exit_state = (uint32_t)get(guest, address, FIELD_TASK_EXIT_STATE, &r);
	task.flags = (uint32_t)get(guest, address, FIELD_TASK_FLAGS, &r);
	task.start_nsec = get(guest, address, FIELD_TASK_START, &r);
	task.memory = get_pointer(guest, address, FIELD_TASK_MM, &r);
	task.files = get_pointer(guest, address, FIELD_TASK_FILES, &r);
	task.signal = get_pointer(guest, address, FIELD_TASK_SIGNAL, &r);
	task.struct_pid = get_pointer(guest, address, FIELD_TASK_THREAD_PID, &r);
	if (r == 0 && !task.signal)
		r = -EFAULT;
	if (r == 0)
		r = read_namespace(guest, &task);
	if (r == 0)
		r = add_threads(guest, &task);
	if (r == 0)
		*ret_task = task;
	return r;
}

int task_threads(const struct guest *guest, const struct task *task, guest_take *take,
		 void *userdata)
{
	struct guest_list list = {
		.head = task->signal + guest_offset(guest, FIELD_SIGNAL_THREAD_HEAD),
		.member = guest_offset(guest, FIELD_TASK_THREAD_NODE),
		.limit = TASK_THREADS_MAX,
	};
	uint32_t broken;

	return guest_walk_list(guest, &list, take, userdata, &broken);
}

/* The list */

struct reading {
	const struct guest *guest;
	struct task_list *list;
	size_t capacity;
};

static int take_task(void *userdata, uint64_t address)
{
	struct reading *reading = userdata;
	struct task_list *list = reading->list;
	int r;

	if (list->count == reading->capacity) {
		size_t capacity = reading->capacity ? 2 * reading->capacity : 256;
		struct task *grown = reallocarray(list->tasks, capacity, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		list->tasks = grown;
		reading->capacity = capacity;
	}
	r = task_read(reading->guest, address, &list->tasks[list->count]);
	if (r == 0)
		list->count++;
	return r;
}

int task_list_read(const struct guest *guest, struct task_list *ret_list)
{
	struct task_list list = {0};
	struct reading reading = {guest, &list, 0};
	struct guest_list walk = {
		.head = guest_symbol(guest, SYMBOL_INIT_TASK) +
			guest_offset(guest, FIELD_TASK_TASKS),
		.member = guest_offset(guest, FIELD_TASK_TASKS),
		.limit = TASKS_MAX,
	};
	int r = guest_walk_list(guest, &walk, take_task, &reading, &list.broken);

	if (r == -ELOOP && list.count == TASKS_MAX && list.broken == 0) {
		list.is_cut = true;
		r = 0;
	}
	if (r < 0)
		task_list_deinit(&list);
	else
		*ret_list = list;
	return r;
}

/* Threads are in the table too: only leaders are taken. */
static int take_leader(void *userdata, uint64_t address)
{
	struct reading *reading = userdata;
	uint64_t leader;
	int r = guest_field_pointer(reading->guest, address, FIELD_TASK_GROUP_LEADER, &leader);

	if (r == 0 && leader == address && reading->list->count == TASKS_MAX)
		reading->list->is_cut = true;
	else if (r == 0 && leader == address)
		r = take_task(userdata, address);
	if (r != -EFAULT && r != -ELOOP)
		return r;
	reading->list->broken++;
	return 0;
}

int task_list_read_pids(const struct guest *guest, struct task_list *ret_list)
{
	struct task_list list = {0};
	struct reading reading = {guest, &list, 0};
	uint32_t unreadable;
	int r = pid_walk(guest, take_leader, &reading, &unreadable);

	list.broken += unreadable;
	if (r < 0)
		task_list_deinit(&list);
	else
		*ret_list = list;
	return r;
}

void task_list_deinit(struct task_list *list)
{
	free(list->tasks);
	*list = (struct task_list){0};
}

const struct task *task_list_find(const struct task_list *list, uint32_t pid)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->tasks[i].pid == pid)
			return &list->tasks[i];
	return NULL;
}

/* The command line, in the process's own memory */

size_t task_command_line(const struct guest *guest, const struct task *task,
			 char buffer[TASK_COMMAND_LINE_SIZE])
{
	uint64_t pgd, start, end, size;
	struct paging paging = guest->kernel;
	int r = 0;

	if (!task->memory)
		return 0;
	pgd = get_pointer(guest, task->memory, FIELD_MM_PGD, &r);
	start = get(guest, task->memory, FIELD_MM_ARG_START, &r);
	end = get(guest, task->memory, FIELD_MM_ARG_END, &r);
	if (r < 0 || end <= start || guest_translate(guest, pgd, &paging.root, NULL) < 0)
		return 0;
	size = end - start;
	if (size > TASK_COMMAND_LINE_SIZE)
		size = TASK_COMMAND_LINE_SIZE;
	/* what lies in the first page is better than nothing */
	if (paging_read(&paging, start, buffer, size) == 0)
		return size;
	if (4096 - start % 4096 < size)
		size = 4096 - start % 4096;
	return paging_read(&paging, start, buffer, size) == 0 ? size : 0;
}
