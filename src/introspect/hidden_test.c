/* SPDX-License-Identifier: Apache-2.0 */
#include "introspect/hidden.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/test.h"
#include "introspect/file.h"
#include "introspect/module.h"
#include "introspect/socket.h"
#include "introspect/test_guest.h"

enum { ALL = HIDDEN_VIEW_LIST | HIDDEN_VIEW_PIDS | HIDDEN_VIEW_CHILDREN };

struct world {
	struct test_guest *guest;
	uint64_t idle, init, daemon, worker, queue;
	struct task_list tasks;
	struct hidden_sample sample;
};

static void cleanup_world(struct world *world)
{
	hidden_sample_deinit(&world->sample);
	task_list_deinit(&world->tasks);
	world->guest = test_guest_free(world->guest);
}

static bool make(struct world *world)
{
	struct test_guest *guest = test_guest_new(&(struct test_guest_options){0});

	world->guest = guest;
	world->idle = guest->symbols[SYMBOL_INIT_TASK];
	world->init = test_guest_add_process(guest, 1, "init", world->idle);
	world->daemon = test_guest_add_process(guest, 400, "daemon", world->init);
	world->worker = test_guest_add_thread(guest, 401, world->daemon);
	world->queue = guest->symbols[SYMBOL_RUNQUEUES];
	if (test_guest_open(guest, NULL) < 0 ||
	    guest_read64(&guest->guest, guest->symbols[SYMBOL_PER_CPU_OFFSET], &world->queue) < 0)
		return false;
	world->queue += guest->symbols[SYMBOL_RUNQUEUES];
	return true;
}

static int sample(struct world *world)
{
	int r;

	task_list_deinit(&world->tasks);
	hidden_sample_deinit(&world->sample);
	r = task_list_read(&world->guest->guest, &world->tasks);
	return r < 0 ? r : hidden_sample_read(&world->guest->guest, &world->tasks, &world->sample);
}

static uint32_t views_of(const struct world *world, uint64_t address)
{
	for (size_t i = 0; i < world->sample.count; i++)
		if (world->sample.entries[i].address == address)
			return world->sample.entries[i].views;
	return 0;
}

static void unlink_from_list(struct world *world, uint64_t task)
{
	test_guest_unlink(world->guest, test_guest_member(world->guest, task, FIELD_TASK_TASKS));
}

static void test_hidden_nothing(void)
{
	cleanup(world) struct world world = {0};

	check(make(&world));
	check_int(sample(&world), 0);
	check(world.sample.count == 2 && world.sample.odd == 0 && world.sample.unreadable == 0);
	check_int(views_of(&world, world.init), ALL);
	check_int(views_of(&world, world.daemon), ALL);
}

static void test_hidden_from_the_list(void)
{
	cleanup(world) struct world world = {0};

	check(make(&world));
	unlink_from_list(&world, world.daemon);
	check_int(sample(&world), 0);
	check(world.sample.count == 2 && world.sample.odd == 1);
	check_int(views_of(&world, world.daemon), ALL & ~HIDDEN_VIEW_LIST);
	check(hidden_is_odd(&world.sample.entries[1]));
}

static void test_hidden_from_the_pids(void)
{
	cleanup(world) struct world world = {0};

	check(make(&world));
	test_guest_set64(world.guest, test_guest_pid_slot(world.guest, 400), 0);
	check_int(sample(&world), 0);
	check_int(views_of(&world, world.daemon), ALL); /* by its thread */
	test_guest_set64(world.guest, test_guest_pid_slot(world.guest, 401), 0);
	check_int(sample(&world), 0);
	check_int(views_of(&world, world.daemon), ALL & ~HIDDEN_VIEW_PIDS);
	check_int(world.sample.odd, 1);
}

/* In no list at all, but on a CPU, or waiting for one. */
static void test_hidden_but_running(void)
{
	cleanup(world) struct world world = {0};
	uint64_t ghost;

	check(make(&world));
	ghost = test_guest_add_process(world.guest, 500, "ghost", world.init);
	unlink_from_list(&world, ghost);
	test_guest_unlink(world.guest, test_guest_member(world.guest, ghost, FIELD_TASK_SIBLING));
	test_guest_set64(world.guest, test_guest_pid_slot(world.guest, 500), 0);
	check_int(sample(&world), 0);
	check_int(views_of(&world, ghost), 0);
	test_guest_set(world.guest, world.queue, FIELD_RQ_CURR, ghost);
	check_int(sample(&world), 0);
	check_int(views_of(&world, ghost), HIDDEN_VIEW_RUNNING);
	test_guest_set(world.guest, world.queue, FIELD_RQ_CURR, world.idle);
	test_guest_link(world.guest,
			test_guest_member(world.guest, world.queue, FIELD_RQ_CFS_TASKS),
			test_guest_member(world.guest, ghost, FIELD_TASK_GROUP_NODE));
	check_int(sample(&world), 0);
	check_int(views_of(&world, ghost), HIDDEN_VIEW_RUNNING);
}

static void test_hidden_samples_that_agree(void)
{
	cleanup(world) struct world world = {0};
	struct hidden_sample first;

	check(make(&world));
	unlink_from_list(&world, world.daemon);
	check_int(sample(&world), 0);
	first = world.sample;
	world.sample = (struct hidden_sample){0};
	check_int(sample(&world), 0);
	hidden_sample_intersect(&first, &world.sample);
	check(first.count == 1 && first.odd == 1 && first.entries[0].address == world.daemon);
	/* another process by then */
	test_guest_set(world.guest, world.daemon, FIELD_TASK_START, 5);
	check_int(sample(&world), 0);
	hidden_sample_intersect(&first, &world.sample);
	check(first.count == 0 && first.odd == 0);
	hidden_sample_deinit(&first);
}

/* Damaged views are counted, and the others are read all the same. */
static void test_hidden_views_that_lie(void)
{
	cleanup(world) struct world world = {0};
	uint64_t node;

	check(make(&world));
	node = test_guest_member(world.guest, world.daemon, FIELD_TASK_SIBLING);
	test_guest_set64(world.guest, node, node);
	test_guest_set(world.guest, world.queue, FIELD_RQ_CURR, 8);
	test_guest_set(world.guest, world.guest->symbols[SYMBOL_INIT_PID_NS], FIELD_PIDNS_XA_HEAD,
		       0xffffa00000000002);
	check_int(sample(&world), 0);
	check_int(world.sample.count, 2);
	check_int(world.sample.unreadable, 3);
	check_int(views_of(&world, world.init), HIDDEN_VIEW_LIST | HIDDEN_VIEW_CHILDREN);
	test_guest_set64(world.guest, world.guest->symbols[SYMBOL_NR_CPU_IDS], UINT32_MAX);
	test_guest_set64(world.guest, world.guest->symbols[SYMBOL_CPU_ONLINE_MASK], UINT64_MAX);
	check_int(sample(&world), 0);
	check(world.sample.unreadable > 3);
}

static void test_hidden_past_the_deadline(void)
{
	cleanup(world) struct world world = {0};
	int r = 0;

	check(make(&world));
	memory_set_deadline(world.guest->memory, clock_mono_usec() - 1);
	for (int i = 0; i < 64 && r == 0; i++)
		r = sample(&world);
	check_int(r, -ETIME);
}

/* Every view of a guest whose memory is damaged. */

static int take_file(void *userdata, uint32_t descriptor, uint64_t address)
{
	static struct file file;
	int r = file_read(userdata, address, &file);

	return r == -ETIME ? r : 0;
}

static int take_syscall(void *userdata, const struct syscall_entry *entry)
{
	return 0;
}

static void look_at_everything(const struct guest *guest)
{
	struct task_list tasks = {0};
	struct hidden_sample hidden = {0};
	struct socket_list sockets = {0};
	struct module_list modules = {0};
	char arguments[TASK_COMMAND_LINE_SIZE];
	struct file file;

	memory_set_deadline(guest->memory, clock_mono_usec() + 20000);
	if (task_list_read(guest, &tasks) < 0)
		tasks = (struct task_list){0};
	for (size_t i = 0; i < tasks.count; i++) {
		(void)task_command_line(guest, &tasks.tasks[i], arguments);
		(void)file_of_executable(guest, &tasks.tasks[i], &file);
		(void)file_walk(guest, &tasks.tasks[i], take_file, (void *)(uintptr_t)guest);
	}
	(void)hidden_sample_read(guest, &tasks, &hidden);
	(void)socket_list_read(guest, &tasks, &sockets);
	(void)module_list_read(guest, &modules);
	(void)syscall_check(guest, take_syscall, NULL);
	task_list_deinit(&tasks);
	hidden_sample_deinit(&hidden);
	socket_list_deinit(&sockets);
	module_list_deinit(&modules);
	memory_set_deadline(guest->memory, 0);
}

/* Words of the structures changed: bits turned over, or what points elsewhere. */
static void test_hidden_damaged_guest(void)
{
	cleanup(world) struct world world = {0};
	uint64_t state = 3, start = TEST_IMAGE_GPA + TEST_DATA_START, size;
	cleanup(free) uint8_t *whole = NULL;

	check(make(&world));
	test_guest_add_arguments(world.guest, world.daemon, "daemon", 7);
	(void)test_guest_add_module(world.guest, "module");
	test_guest_set_descriptor(
		world.guest, world.daemon, 0,
		test_guest_add_socket_file(
			world.guest,
			test_guest_add_socket(
				world.guest,
				&(struct test_socket){
					.family = 2, .protocol = 6, .state = 1, .local_port = 1})));
	size = world.guest->next_object - start;
	whole = malloc(size);
	check(whole);
	memcpy(whole, world.guest->ram + start, size);
	for (int i = 0; i < 400; i++) {
		for (int j = 0; j <= i % 4; j++) {
			uint64_t value;
			uint8_t *word;

			state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
			word = world.guest->ram + start + (state >> 33) % (size / 8) * 8;
			memcpy(&value, word, 8);
			if (state >> 20 & 1)
				value = world.guest->direct_base + start +
					(state >> 24) % (size / 8) * 8;
			else
				value ^= UINT64_C(1) << (state >> 24 & 63);
			memcpy(word, &value, 8);
		}
		look_at_everything(&world.guest->guest);
		memcpy(world.guest->ram + start, whole, size);
	}
	check_int(sample(&world), 0);
	check_int(world.sample.odd, 0);
}

TEST_MAIN(TEST(test_hidden_nothing), TEST(test_hidden_from_the_list),
	  TEST(test_hidden_from_the_pids), TEST(test_hidden_but_running),
	  TEST(test_hidden_samples_that_agree), TEST(test_hidden_views_that_lie),
	  TEST(test_hidden_past_the_deadline), TEST(test_hidden_damaged_guest))
