/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/test.h"
#include "hypervisor/hypervisor.h"

struct world {
	uv_loop_t loop;
	struct hypervisor *hypervisor;
	int ticks, ended;
	size_t counts[8];
	struct vm_reading last[2];
	int64_t watermark;
};

static void on_tick(void *userdata, const struct hypervisor_snapshot *snapshot)
{
	struct world *world = userdata;

	world->counts[world->ticks++] = snapshot->count;
	for (size_t i = 0; i < snapshot->count; i++)
		world->last[i] = snapshot->vms[i];
	world->watermark = snapshot->watermark_usec;
}

static void on_ended(void *userdata)
{
	((struct world *)userdata)->ended++;
}

static const struct hypervisor_ops ops = {on_tick, on_ended};

static int open_text(struct world *world, const char *text, struct error *err)
{
	char path[] = "/tmp/atom-trace-test-XXXXXX", uri[64];
	struct hypervisor_options options = {.uri = uri, .speed = 10, .start = "recorded"};
	int fd = mkstemp(path), r;

	*world = (struct world){0};
	(void)uv_loop_init(&world->loop);
	(void)snprintf(uri, sizeof(uri), "trace:%s", path);
	if (write(fd, text, strlen(text)) < 0)
		return -EIO;
	(void)close(fd);
	r = hypervisor_open(&world->loop, &options, METRIC_SET_PAPER, &ops, world,
			    &world->hypervisor, err);
	(void)unlink(path);
	return r;
}

static void close_world(struct world *world)
{
	world->hypervisor = hypervisor_free(world->hypervisor);
	(void)uv_run(&world->loop, UV_RUN_DEFAULT);
	(void)uv_loop_close(&world->loop);
}

static void step(struct world *world)
{
	(void)hypervisor_collect(world->hypervisor, 1000);
	(void)uv_run(&world->loop, UV_RUN_DEFAULT);
}

static void test_trace_rows_and_life_cycle(void)
{
	static const char text[] = "t,a.CPUUtilization,a.NetworkIn,b.CPUUtilization,attack\n"
				   "100,1,2,,0\n102,3,,4,0\n103,,,5,1\n105,6,7,,1\n";
	struct world world;
	uint64_t run;

	check_int(open_text(&world, text, NULL), 0);
	step(&world);
	check_int(world.counts[0], 1);
	check_string(world.last[0].name, "a");
	check_int(world.watermark, 100000000);
	run = world.last[0].run_id;
	check_int(hypervisor_pace_usec(world.hypervisor, 1000000), 200000);
	step(&world);
	check_int(world.counts[1], 2);
	step(&world);
	check_int(world.counts[2], 1);
	check_string(world.last[0].name, "b");
	step(&world);
	check_int(world.counts[3], 1);
	check_string(world.last[0].name, "a");
	check(world.last[0].run_id != run); /* it was away: another run */
	check_near(world.last[0].readings[METRIC_NETWORK_IN].value, 7, 0);
	check_int(world.last[0].readings[METRIC_DISK_READ_OPS].kind, READING_ABSENT);
	check_int(world.ended, 0);
	step(&world);
	check_int(world.ended, 1);
	close_world(&world);
}

static void test_trace_bad_files(void)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{"a.CPUUtilization\n1\n", "the first column must be the time"},
		{"t,a\n1,2\n", "no column is called VM.Metric"},
		{"t,a.CPUUtilization\n2,1\n1,1\n", ":3: the time does not grow"},
		{"t,a.CPUUtilization\n", "there are no rows"},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct error err = ERROR_INIT;
		struct world world;

		check_int(open_text(&world, bad[i].text, &err), -EINVAL);
		check(strstr(err.text, bad[i].says));
		close_world(&world);
	}
}

static void test_trace_has_no_taps(void)
{
	char names[1][HYPERVISOR_TAP_SIZE];
	size_t cards;
	struct vm_uuid uuid = vm_uuid_from_name("a");
	struct world world;

	check_int(open_text(&world, "t,a.CPUUtilization\n1,1\n", NULL), 0);
	step(&world);
	check_int(world.ticks, 1);
	check_int(hypervisor_taps(world.hypervisor, &uuid, names, 1, &cards), -ENOTSUP);
	check_int(hypervisor_memory(world.hypervisor, &uuid), 0);
	close_world(&world);
}

static void test_hypervisor_bad_uri(void)
{
	struct hypervisor_options options = {.uri = "xen", .speed = 1, .start = "now"};
	struct error err = ERROR_INIT;
	struct hypervisor *hypervisor;
	uv_loop_t loop;

	(void)uv_loop_init(&loop);
	check_int(hypervisor_open(&loop, &options, METRIC_SET_PAPER, &ops, NULL, &hypervisor, &err),
		  -EINVAL);
	check(strstr(err.text, "qemu:///system"));
	(void)uv_loop_close(&loop);
}

TEST_MAIN(TEST(test_trace_rows_and_life_cycle), TEST(test_trace_bad_files),
	  TEST(test_trace_has_no_taps), TEST(test_hypervisor_bad_uri))
