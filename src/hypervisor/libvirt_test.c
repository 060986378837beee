/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The libvirt back end without a daemon: libvirt's own test driver, whose domain has no process,
 * and a libvirt that is not there. Real domains are the business of tests/guest/.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/test.h"
#include "hypervisor/hypervisor.h"
#include "hypervisor/inventory.h"

enum { DEADLINE_USEC = 200000, TICKS = 6 };

struct world {
	uv_loop_t loop;
	struct hypervisor *hypervisor;
	int ticks;
	size_t vms;
	char problem[256];
};

static void on_tick(void *userdata, const struct hypervisor_snapshot *snapshot)
{
	struct world *world = userdata;
	const char *problem = hypervisor_problem(world->hypervisor);

	uv_stop(&world->loop);
	world->ticks++;
	world->vms += snapshot->count;
	(void)snprintf(world->problem, sizeof(world->problem), "%s", problem ? problem : "");
}

/* Some ticks of a hypervisor, and its end. */
static int observe(struct world *world, const char *uri)
{
	static const struct hypervisor_ops ops = {.tick = on_tick};
	struct hypervisor_options options = {.uri = uri, .speed = 1, .start = "now"};

	*world = (struct world){0};
	(void)uv_loop_init(&world->loop);
	if (hypervisor_open(&world->loop, &options, METRIC_SET_PAPER, &ops, world,
			    &world->hypervisor, NULL) < 0)
		return -1;
	for (int i = 0; i < TICKS; i++) {
		if (hypervisor_collect(world->hypervisor, DEADLINE_USEC) < 0)
			return -1;
		(void)uv_run(&world->loop, UV_RUN_DEFAULT); /* until the tick stops it */
	}
	world->hypervisor = hypervisor_free(world->hypervisor);
	(void)uv_run(&world->loop, UV_RUN_DEFAULT);
	return uv_loop_close(&world->loop);
}

static void test_libvirt_that_is_not_there_is_a_problem_and_no_failure(void)
{
	struct world world;

	check_int(observe(&world, "qemu+unix:///system?socket=/nonexistent/socket"), 0);
	check_int(world.ticks, TICKS);
	check_int(world.vms, 0);
	check(strstr(world.problem, "/nonexistent/socket"));
}

static void test_libvirt_domain_without_a_process_is_told(void)
{
	struct world world;

	check_int(observe(&world, "test:///default"), 0);
	check_int(world.ticks, TICKS);
	check_int(world.vms, 0);
	check(strstr(world.problem, "without a QEMU process"));
}

static void on_wake(uv_async_t *async)
{
	uv_close((uv_handle_t *)async, NULL);
}

static void test_inventory_lists_the_domains(void)
{
	struct inventory *inventory;
	struct inventory_list *list = NULL;
	char problem[64];
	uv_async_t wake;
	uv_loop_t loop;

	(void)uv_loop_init(&loop);
	(void)uv_async_init(&loop, &wake, on_wake);
	inventory = inventory_new("test:///default", &wake);
	check(inventory);
	for (int i = 0; i < 500 && !list; i++) {
		list = inventory_take(inventory);
		(void)usleep(10000);
	}
	check(list);
	check_int(list->count, 1);
	check_string(list->vms[0].instance, ""); /* it has neither metadata nor a title */
	check(!inventory_take(inventory));
	inventory_problem(inventory, problem, sizeof(problem));
	check_string(problem, "");
	inventory_free(inventory);
	free(list);
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	check_int(uv_loop_close(&loop), 0);
}

TEST_MAIN(TEST(test_libvirt_that_is_not_there_is_a_problem_and_no_failure),
	  TEST(test_libvirt_domain_without_a_process_is_told),
	  TEST(test_inventory_lists_the_domains))
