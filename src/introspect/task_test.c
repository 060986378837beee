/* SPDX-License-Identifier: Apache-2.0 */
#include "introspect/task.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/test.h"
#include "introspect/pid.h"
#include "introspect/test_guest.h"

static void cleanup_list(struct task_list *list)
{
	task_list_deinit(list);
}

/* init (1), a shell (70) below it with two threads, and a kernel thread (2). */
struct family {
	struct test_guest *guest;
	uint64_t idle, init, kernel, shell, thread;
};

static void cleanup_family(struct family *family)
{
	family->guest = test_guest_free(family->guest);
}

static bool make(struct family *family)
{
	struct test_guest *guest = test_guest_new(&(struct test_guest_options){0});

	family->guest = guest;
	family->idle = guest->symbols[SYMBOL_INIT_TASK];
	family->init = test_guest_add_process(guest, 1, "init", family->idle);
	family->kernel = test_guest_add_process(guest, 2, "kthreadd", family->idle);
	family->shell = test_guest_add_process(guest, 70, "sixteen_and_more_", family->init);
	family->thread = test_guest_add_thread(guest, 71, family->shell);
	test_guest_set(guest, family->kernel, FIELD_TASK_FLAGS, TASK_FLAG_KERNEL);
	test_guest_add_arguments(guest, family->shell, "sh\0-c\0x", 8);
	return test_guest_open(guest, NULL) == 0;
}

static void test_task_list_of_all(void)
{
	cleanup(list) struct task_list list = {0};
	cleanup(family) struct family family = {0};
	const struct task *shell;

	check(make(&family));
	check_int(task_list_read(&family.guest->guest, &list), 0);
	check(list.count == 3 && list.broken == 0 && !list.is_cut);
	check(list.tasks[0].pid == 1 && list.tasks[1].pid == 2 && list.tasks[2].pid == 70);
	check(task_is_kernel(&list.tasks[1]) && !task_is_kernel(&list.tasks[2]));
	shell = task_list_find(&list, 70);
	check(shell && shell->address == family.shell);
	check(!task_list_find(&list, 71));
	check_string(shell->comm, "sixteen_and_more");
	check_int(shell->parent_pid, 1);
	check_int(shell->uid, 1000);
	check_int(shell->threads, 2);
	check_int(shell->start_nsec, 70000000000);
	check_int(shell->user_nsec, 1000 + 2 * 100);
	check_int(shell->system_nsec, 2 * 10);
	check_int(shell->namespace_pid, 70);
	check_int(shell->namespace_inode, 4026531836);
}

static void test_task_states(void)
{
	static const struct {
		uint32_t state, exit_state;
		char letter;
	} states[] = {
		{0, 0, 'R'},    {1, 0, 'S'},    {2, 0, 'D'},     {0x402, 0, 'I'},
		{4, 0, 'T'},    {8, 0, 't'},    {0, 0x20, 'Z'},  {0, 0x10, 'X'},
		{0, 0x30, 'Z'}, {1, 0x40, '?'}, {0x102, 0, 'D'}, {0x104, 0, 'T'},
	};

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		struct task task = {.state = states[i].state, .exit_state = states[i].exit_state};

		check_int(task_state_letter(&task), states[i].letter);
	}
}

static void test_task_by_pid(void)
{
	cleanup(family) struct family family = {0};
	uint64_t task;

	check(make(&family));
	check_int(pid_find(&family.guest->guest, 70, &task), 0);
	check(task == family.shell);
	check_int(pid_find(&family.guest->guest, 71, &task), 0);
	check(task == family.thread);
	check_int(pid_find(&family.guest->guest, 3, &task), -ENOENT);
	check_int(pid_find(&family.guest->guest, 4095, &task), -ENOENT);
	check_int(pid_find(&family.guest->guest, 4096, &task), -ENOENT);
	check_int(pid_find(&family.guest->guest, UINT32_MAX, &task), -ENOENT);
}

static void test_task_command_line(void)
{
	char text[TASK_COMMAND_LINE_SIZE];
	cleanup(family) struct family family = {0};
	struct task task;
	uint64_t memory, start;

	check(make(&family));
	check_int(task_read(&family.guest->guest, family.kernel, &task), 0);
	check_int(task_command_line(&family.guest->guest, &task, text), 0);
	check_int(task_read(&family.guest->guest, family.shell, &task), 0);
	check_int(task_command_line(&family.guest->guest, &task, text), 8);
	check(memcmp(text, "sh\0-c\0x", 8) == 0);

	/* said to be huge: what is there up to the end of the page */
	memory = task.memory;
	start = test_guest_get(family.guest, memory, FIELD_MM_ARG_START);
	test_guest_set(family.guest, memory, FIELD_MM_ARG_END, UINT64_MAX);
	check_int(task_command_line(&family.guest->guest, &task, text), 8);
	test_guest_set(family.guest, memory, FIELD_MM_ARG_END, start);
	check_int(task_command_line(&family.guest->guest, &task, text), 0);
	test_guest_set(family.guest, memory, FIELD_MM_ARG_END, start - 1);
	check_int(task_command_line(&family.guest->guest, &task, text), 0);
	test_guest_set(family.guest, memory, FIELD_MM_ARG_END, 0);
	check_int(task_command_line(&family.guest->guest, &task, text), 0);
	test_guest_set(family.guest, memory, FIELD_MM_ARG_START, 0x1000);
	test_guest_set(family.guest, memory, FIELD_MM_ARG_END, 0x2000);
	check_int(task_command_line(&family.guest->guest, &task, text), 0);
	test_guest_set(family.guest, memory, FIELD_MM_PGD, 0x1000);
	check_int(task_command_line(&family.guest->guest, &task, text), 0);
}

/* A pointer that is none, or that leads nowhere: no task. */
static void test_task_pointers_that_are_wild(void)
{
	static const struct {
		enum field field;
		int when_nowhere; /* 0: only a view follows it */
	} pointers[] = {{FIELD_TASK_REAL_PARENT, -EFAULT},
			{FIELD_TASK_CRED, -EFAULT},
			{FIELD_TASK_SIGNAL, -EFAULT},
			{FIELD_TASK_THREAD_PID, -EFAULT},
			{FIELD_TASK_MM, 0},
			{FIELD_TASK_FILES, 0}};
	cleanup(family) struct family family = {0};
	struct task task;

	check(make(&family));
	for (size_t i = 0; i < sizeof(pointers) / sizeof(pointers[0]); i++) {
		enum field field = pointers[i].field;
		uint64_t before = test_guest_get(family.guest, family.shell, field);

		test_guest_set(family.guest, family.shell, field, 8);
		check_int(task_read(&family.guest->guest, family.shell, &task), -EFAULT);
		test_guest_set(family.guest, family.shell, field, before + 1);
		check_int(task_read(&family.guest->guest, family.shell, &task), -EFAULT);
		test_guest_set(family.guest, family.shell, field, UINT64_MAX);
		check_int(task_read(&family.guest->guest, family.shell, &task), -EFAULT);
		test_guest_set(family.guest, family.shell, field, 0xffffa00000000000);
		check_int(task_read(&family.guest->guest, family.shell, &task),
			  pointers[i].when_nowhere);
		test_guest_set(family.guest, family.shell, field, before);
	}
	check_int(task_read(&family.guest->guest, family.shell, &task), 0);
	check_int(task_read(&family.guest->guest, 0, &task), -EFAULT);
	check_int(task_read(&family.guest->guest, UINT64_MAX - 100, &task), -EFAULT);
}

static void test_task_namespace_that_is_too_deep(void)
{
	cleanup(family) struct family family = {0};
	struct task task;
	uint64_t pid;

	check(make(&family));
	pid = test_guest_get(family.guest, family.shell, FIELD_TASK_THREAD_PID);
	test_guest_set(family.guest, pid, FIELD_PID_LEVEL, TASK_NAMESPACES_MAX);
	check_int(task_read(&family.guest->guest, family.shell, &task), -EFAULT);
	test_guest_set(family.guest, pid, FIELD_PID_LEVEL, UINT32_MAX);
	check_int(task_read(&family.guest->guest, family.shell, &task), -EFAULT);
}

/* Lists that are no circle through their head. */
static void test_task_list_that_never_ends(void)
{
	cleanup(list) struct task_list list = {0};
	cleanup(family) struct family family = {0};
	uint64_t init, shell, signal, node;

	check(make(&family));
	init = test_guest_member(family.guest, family.init, FIELD_TASK_TASKS);
	shell = test_guest_member(family.guest, family.shell, FIELD_TASK_TASKS);
	test_guest_set64(family.guest, shell, init);
	check_int(task_list_read(&family.guest->guest, &list), -ELOOP);
	check(!list.tasks);
	test_guest_set64(family.guest, shell, shell);
	check_int(task_list_read(&family.guest->guest, &list), -ELOOP);
	test_guest_set64(family.guest, shell, 0);
	check_int(task_list_read(&family.guest->guest, &list), -EFAULT);
	test_guest_set64(family.guest, shell,
			 test_guest_member(family.guest, family.idle, FIELD_TASK_TASKS));
	check_int(task_list_read(&family.guest->guest, &list), 0);
	task_list_deinit(&list);
	/* the same of threads */
	signal = test_guest_get(family.guest, family.shell, FIELD_TASK_SIGNAL);
	node = test_guest_member(family.guest, family.thread, FIELD_TASK_THREAD_NODE);
	test_guest_set64(family.guest, node, node);
	check_int(task_list_read(&family.guest->guest, &list), -ELOOP);
	test_guest_set(family.guest, signal, FIELD_SIGNAL_THREAD_HEAD, 4);
	check_int(task_list_read(&family.guest->guest, &list), -EFAULT);
}

static void test_task_list_that_is_broken(void)
{
	cleanup(list) struct task_list list = {0};
	cleanup(family) struct family family = {0};

	check(make(&family));
	test_guest_set64(family.guest,
			 test_guest_member(family.guest, family.shell, FIELD_TASK_TASKS) + 8, 0);
	check_int(task_list_read(&family.guest->guest, &list), 0);
	check(list.count == 3 && list.broken == 1);
}

static int count_task(void *userdata, uint64_t task)
{
	++*(uint32_t *)userdata;
	return 0;
}

/* Nodes of the table of pids that hold themselves or each other: the shift must fall. */
/* One wild link blinds the list; the table of pids has all the same processes. */
static void test_task_by_pids_when_the_list_is_lost(void)
{
	cleanup(list) struct task_list list = {0};
	cleanup(family) struct family family = {0};
	struct test_guest *guest;

	check(make(&family));
	guest = family.guest;
	test_guest_set64(guest, test_guest_member(guest, family.init, FIELD_TASK_TASKS),
			 UINT64_C(0xdead000000000100));
	check(task_list_read(&guest->guest, &list) < 0);
	check_int(task_list_read_pids(&guest->guest, &list), 0);
	check(list.count == 3 && list.broken == 0);
	check(list.tasks[0].pid == 1 && list.tasks[1].pid == 2 && list.tasks[2].pid == 70);
	task_list_deinit(&list);
	test_guest_set(guest, family.kernel, FIELD_TASK_SIGNAL, 7);
	check_int(task_list_read_pids(&guest->guest, &list), 0);
	check(list.count == 2 && list.broken == 1);
}

static void test_task_pids_in_circles(void)
{
	cleanup(family) struct family family = {0};
	uint64_t space, root, slots, task;
	uint32_t count = 0, unreadable;

	check(make(&family));
	space = family.guest->symbols[SYMBOL_INIT_PID_NS];
	root = test_guest_get(family.guest, space, FIELD_PIDNS_XA_HEAD) - 2;
	slots = test_guest_member(family.guest, root, FIELD_XA_SLOTS);
	check_int(pid_walk(&family.guest->guest, count_task, &count, &unreadable), 0);
	check(count == 4 && unreadable == 0);
	count = 0;
	test_guest_set64(family.guest, slots + 5 * 8, root + 2);
	test_guest_set64(family.guest, slots + 6 * 8, 0xffffa00000000002);
	test_guest_set64(family.guest, slots + 7 * 8, 0xffffa00000000008);
	check_int(pid_walk(&family.guest->guest, count_task, &count, &unreadable), 0);
	check(count == 4 && unreadable == 3);
	check_int(pid_find(&family.guest->guest, 5 * 64, &task), -EFAULT);
	test_guest_set(family.guest, root, FIELD_XA_SHIFT, 200);
	check_int(pid_walk(&family.guest->guest, count_task, &count, &unreadable), -EFAULT);
	test_guest_set(family.guest, space, FIELD_PIDNS_XA_HEAD, 0);
	check_int(pid_walk(&family.guest->guest, count_task, &count, &unreadable), 0);
	check_int(pid_find(&family.guest->guest, 1, &task), -ENOENT);
}

/* Ten nodes, each 64 times in the one above it: their number is bounded, not only their depth. */
static void test_task_pids_without_number(void)
{
	cleanup(family) struct family family = {0};
	uint64_t below = 0;
	uint32_t count = 0, unreadable;

	check(make(&family));
	for (int shift = 0; shift < 60; shift += 6) {
		uint64_t node = test_guest_allocate(family.guest, 576);

		test_guest_set(family.guest, node, FIELD_XA_SHIFT, (uint64_t)shift);
		for (uint64_t i = 0; i < 64; i++)
			test_guest_set64(family.guest,
					 test_guest_member(family.guest, node, FIELD_XA_SLOTS) +
						 i * 8,
					 below);
		below = node + 2;
	}
	test_guest_set(family.guest, family.guest->symbols[SYMBOL_INIT_PID_NS], FIELD_PIDNS_XA_HEAD,
		       below);
	check_int(pid_walk(&family.guest->guest, count_task, &count, &unreadable), -ELOOP);
}

static void test_task_list_past_the_deadline(void)
{
	cleanup(list) struct task_list list = {0};
	cleanup(family) struct family family = {0};
	int r = 0;

	check(make(&family));
	memory_set_deadline(family.guest->memory, clock_mono_usec() - 1);
	for (int i = 0; i < 64 && r == 0; i++)
		r = task_list_read(&family.guest->guest, &list);
	check_int(r, -ETIME);
}

TEST_MAIN(TEST(test_task_list_of_all), TEST(test_task_states), TEST(test_task_by_pid),
	  TEST(test_task_command_line), TEST(test_task_pointers_that_are_wild),
	  TEST(test_task_namespace_that_is_too_deep), TEST(test_task_list_that_never_ends),
	  TEST(test_task_list_that_is_broken), TEST(test_task_by_pids_when_the_list_is_lost),
	  TEST(test_task_pids_in_circles), TEST(test_task_pids_without_number),
	  TEST(test_task_list_past_the_deadline))
