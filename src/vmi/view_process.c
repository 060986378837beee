/* SPDX-License-Identifier: Apache-2.0 */
/* The views of processes: ps, tree, exe, files. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "introspect/file.h"
#include "vmi/view.h"

/* Arguments are parted by NUL in memory, and by spaces here. */
static void put_command_line(struct session *session, const struct task *task)
{
	char text[TASK_COMMAND_LINE_SIZE];
	size_t size = task_command_line(&session->guest, task, text);

	while (size > 0 && text[size - 1] == '\0')
		size--;
	for (size_t i = 0; i < size; i++)
		if (text[i] == '\0')
			text[i] = ' ';
	if (size > 0)
		report_bytes(session->report, text, size);
	else
		report_unknown(session->report);
}

static void put_start(struct session *session, const struct task *task, uint64_t boot_usec)
{
	if (boot_usec)
		report_number(session->report, boot_usec + task->start_nsec / 1000);
	else
		report_unknown(session->report);
}

/* User and system time are sampled by the kernel at its ticks, and only their sum is known
 * precisely: as /proc does, the parts are scaled to it (cputime_adjust() of
 * kernel/sched/cputime.c). */
static void put_cpu_times(struct report *report, const struct task *task)
{
	uint64_t sampled = task->user_nsec + task->system_nsec, whole = task->runtime_nsec;
	uint64_t system = task->system_nsec;

	if (sampled > 0 && sampled >= system)
		system = (uint64_t)((unsigned __int128)system * whole / sampled);
	if (system > whole)
		system = whole;
	report_number(report, whole - system);
	report_number(report, system);
}

int view_ps(struct session *session, struct error *err)
{
	static const struct report_column columns[] = {
		{"pid", REPORT_COUNT},        {"ppid", REPORT_COUNT},
		{"uid", REPORT_COUNT},        {"euid", REPORT_COUNT},
		{"state", REPORT_TEXT},       {"start", REPORT_TIME},
		{"cpu_user", REPORT_NSEC},    {"cpu_system", REPORT_NSEC},
		{"read", REPORT_BYTES},       {"write", REPORT_BYTES},
		{"threads", REPORT_COUNT},    {"kernel", REPORT_FLAG},
		{"namespace", REPORT_COUNT},  {"namespace_pid", REPORT_COUNT},
		{"command", REPORT_TEXT},     {"command_line", REPORT_TEXT},
		{"start_nsec", REPORT_COUNT}, {"task", REPORT_ADDRESS},
	};
	struct report *report = session->report;
	const struct task_list *tasks;
	uint64_t boot_usec = 0;
	int r = session_tasks(session, &tasks, err);

	if (r < 0)
		return r;
	(void)session_boot_time(session, &boot_usec, NULL); /* then start is unknown */
	VIEW_TABLE(session, "ps", columns);
	for (size_t i = 0; i < tasks->count; i++) {
		const struct task *task = &tasks->tasks[i];
		char state[2] = {task_state_letter(task)};

		if (!view_wants(session, task->pid))
			continue;
		report_number(report, task->pid);
		report_number(report, task->parent_pid);
		report_number(report, task->uid);
		report_number(report, task->euid);
		report_text(report, state);
		put_start(session, task, boot_usec);
		put_cpu_times(report, task);
		report_number(report, task->read_bytes);
		report_number(report, task->write_bytes);
		report_number(report, task->threads);
		report_number(report, task_is_kernel(task));
		report_number(report, task->namespace_inode);
		report_number(report, task->namespace_pid);
		report_text(report, task->comm);
		put_command_line(session, task);
		report_number(report, task->start_nsec);
		report_number(report, task->address);
	}
	if (tasks->is_cut)
		report_note(report, "only the first %d processes were read", TASKS_MAX);
	return 0;
}

/* By parent: an order in which each process follows its parent, and how deep it stands. */

struct tree {
	const struct task_list *tasks;
	bool *done;
	struct session *session;
};

enum { DEPTH_MAX = 128 };

static void put_branch(struct tree *tree, size_t number, unsigned depth);

static void put_children(struct tree *tree, uint32_t pid, unsigned depth)
{
	for (size_t i = 0; depth < DEPTH_MAX && i < tree->tasks->count; i++)
		if (!tree->done[i] && tree->tasks->tasks[i].parent_pid == pid)
			put_branch(tree, i, depth);
}

static void put_branch(struct tree *tree, size_t number, unsigned depth)
{
	const struct task *task = &tree->tasks->tasks[number];
	char name[2 * DEPTH_MAX + TASK_COMM_SIZE + 1];

	tree->done[number] = true; /* so that a forged circle of parents ends */
	memset(name, ' ', sizeof(name));
	memcpy(name + 2 * depth, task->comm, sizeof(task->comm));
	report_number(tree->session->report, task->pid);
	report_number(tree->session->report, task->parent_pid);
	report_number(tree->session->report, task->uid);
	report_number(tree->session->report, depth);
	report_text(tree->session->report, task->comm);
	report_text(tree->session->report, name);
	put_command_line(tree->session, task);
	put_children(tree, task->pid, depth + 1);
}

int view_tree(struct session *session, struct error *err)
{
	static const struct report_column columns[] = {
		{"pid", REPORT_COUNT},         {"ppid", REPORT_COUNT},   {"uid", REPORT_COUNT},
		{"depth", REPORT_COUNT},       {"command", REPORT_TEXT}, {"tree", REPORT_TEXT},
		{"command_line", REPORT_TEXT},
	};
	struct tree tree = {.session = session};
	cleanup(free) bool *done = NULL;
	int r = session_tasks(session, &tree.tasks, err);

	if (r < 0)
		return r;
	done = calloc(tree.tasks->count + 1, sizeof(*done));
	if (!done)
		return error_set_errno(err, -ENOMEM, "process tree");
	tree.done = done;
	VIEW_TABLE(session, "tree", columns);
	for (size_t i = 0; session->order->pid && i < tree.tasks->count; i++)
		if (tree.tasks->tasks[i].pid == session->order->pid)
			put_branch(&tree, i, 0);
	if (session->order->pid == 0)
		put_children(&tree, 0, 0);
	for (size_t i = 0; session->order->pid == 0 && i < tree.tasks->count; i++)
		if (!done[i]) /* its parent is in no list, or it stands too deep */
			put_branch(&tree, i, 0);
	return 0;
}

static void put_file(struct report *report, const struct file *file, bool is_known)
{
	if (is_known && file->path[0])
		report_text(report, file->path);
	else
		report_unknown(report);
}

int view_exe(struct session *session, struct error *err)
{
	static const struct report_column columns[] = {
		{"pid", REPORT_COUNT},       {"uid", REPORT_COUNT},       {"command", REPORT_TEXT},
		{"executable", REPORT_TEXT}, {"filesystem", REPORT_TEXT}, {"inode", REPORT_COUNT},
		{"deleted", REPORT_FLAG},    {"in_memory", REPORT_FLAG},
	};
	struct report *report = session->report;
	const struct task_list *tasks;
	struct file file;
	int r = session_tasks(session, &tasks, err);

	if (r < 0)
		return r;
	VIEW_TABLE(session, "exe", columns);
	for (size_t i = 0; i < tasks->count; i++) {
		const struct task *task = &tasks->tasks[i];

		if (!task->memory || task_is_kernel(task) || !view_wants(session, task->pid))
			continue;
		r = file_of_executable(&session->guest, task, &file);
		if (r == -ETIME)
			return error_set(err, r, "the time budget ended while reading executables");
		report_number(report, task->pid);
		report_number(report, task->uid);
		report_text(report, task->comm);
		put_file(report, &file, r == 0);
		report_text(report, r == 0 ? file.fstype : NULL);
		if (r < 0) {
			report_unknown(report);
			report_unknown(report);
			report_unknown(report);
			continue;
		}
		report_number(report, file.inode);
		report_number(report, file.is_deleted);
		report_number(report, file.is_in_memory);
	}
	return 0;
}

struct open_files {
	struct session *session;
	const struct task *task;
	uint32_t unreadable;
};

/* As in lsof: whether it is open for reading, writing, or both. */
static const char *access_mode(uint32_t flags)
{
	static const char *const modes[] = {"r", "w", "rw", NULL};

	return modes[flags & 3];
}

static int put_open_file(void *userdata, uint32_t descriptor, uint64_t address)
{
	struct open_files *files = userdata;
	struct report *report = files->session->report;
	struct file file;
	int r = file_read(&files->session->guest, address, &file);

	if (r == -ETIME || r == -EIO)
		return r;
	if (r < 0) {
		files->unreadable++;
		return 0;
	}
	report_number(report, files->task->pid);
	report_text(report, files->task->comm);
	report_number(report, descriptor);
	report_text(report, access_mode(file.flags));
	report_text(report, file.fstype);
	report_number(report, file.inode);
	report_number(report, file.position);
	report_number(report, file.is_deleted);
	put_file(report, &file, true);
	return 0;
}

int view_files(struct session *session, struct error *err)
{
	static const struct report_column columns[] = {
		{"pid", REPORT_COUNT},      {"command", REPORT_TEXT},    {"fd", REPORT_COUNT},
		{"mode", REPORT_TEXT},      {"filesystem", REPORT_TEXT}, {"inode", REPORT_COUNT},
		{"position", REPORT_COUNT}, {"deleted", REPORT_FLAG},    {"path", REPORT_TEXT},
	};
	struct open_files files = {.session = session};
	const struct task_list *tasks;
	int r = session_tasks(session, &tasks, err);

	if (r < 0)
		return r;
	VIEW_TABLE(session, "files", columns);
	for (size_t i = 0; i < tasks->count; i++) {
		files.task = &tasks->tasks[i];
		if (!view_wants(session, files.task->pid))
			continue;
		r = file_walk(&session->guest, files.task, put_open_file, &files);
		if (r == -ETIME)
			return error_set(err, r, "the time budget ended while reading open files");
		files.unreadable += r < 0;
	}
	if (files.unreadable)
		report_note(session->report, "files: %u could not be followed", files.unreadable);
	return 0;
}
