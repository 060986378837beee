/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/account.h"

#include <math.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/test.h"
#include "controller/fleet.h"
#include "wire/report.h"

DEFINE_CLEANUP(struct report *, report_free)

#define TABLE(report, name, columns) \
	report_table(report, name, columns, sizeof(columns) / sizeof((columns)[0]), true)
#define WATERMARK (INT64_C(1800000000) * USEC_PER_SEC)

/* A VM of two vCPUs, seen every 10 s. */

struct world {
	struct node node;
	struct vm vm;
	char name[8];
};

static void set(struct world *world, enum metric metric, double value, double delta)
{
	world->vm.series[metric] = (struct series){
		.exists = true, .tracker = {.state = TRACKER_GOOD, .value = value, .delta = delta}};
}

static void begin(struct world *world, double cpu)
{
	*world = (struct world){.node = {.name = "host-a",
					 .watermark_usec = WATERMARK,
					 .interval_usec = 10 * USEC_PER_SEC},
				.name = "web2"};
	world->vm.node = &world->node;
	world->vm.name = world->name;
	world->vm.vcpus = 2;
	set(world, METRIC_CPU_UTILIZATION, cpu, 3);
	set(world, METRIC_NETWORK_IN, 0, 1024);
	set(world, METRIC_NETWORK_OUT, 0, 1024);
	set(world, METRIC_DISK_READ_OPS, 0, 2);
	set(world, METRIC_DISK_WRITE_OPS, 0, 2);
	set(world, METRIC_DISK_READ_BYTES, 0, 8192);
	set(world, METRIC_DISK_WRITE_BYTES, 0, 8192);
}

static void pass(struct world *world)
{
	world->node.watermark_usec += world->node.interval_usec;
}

/* What the guest shows: one process. */

struct usage {
	double cpu, children;
	uint64_t read, written, received, sent;
};

static void begin_top(struct report *report)
{
	static const struct report_column columns[] = {
		{"pid", REPORT_COUNT},
		{"cpu_percent", REPORT_REAL},
		{"children_cpu_percent", REPORT_REAL},
		{"read_per_sec", REPORT_BYTES},
		{"write_per_sec", REPORT_BYTES},
		{"received_per_sec", REPORT_BYTES},
		{"sent_per_sec", REPORT_BYTES},
	};

	TABLE(report, "top", columns);
}

static void top(struct report *report, unsigned pid, struct usage usage)
{
	report_number(report, pid);
	report_real(report, usage.cpu);
	report_real(report, usage.children);
	report_number(report, usage.read);
	report_number(report, usage.written);
	report_number(report, usage.received);
	report_number(report, usage.sent);
}

static void begin_peers(struct report *report)
{
	static const struct report_column columns[] = {
		{"pid", REPORT_COUNT},
		{"direction", REPORT_TEXT},
		{"peer", REPORT_TEXT},
		{"port", REPORT_COUNT},
		{"connections", REPORT_COUNT},
		{"opened", REPORT_COUNT},
		{"received_per_sec", REPORT_BYTES},
		{"sent_per_sec", REPORT_BYTES},
	};

	TABLE(report, "peers", columns);
}

static void peer(struct report *report, unsigned pid, const char *address, unsigned connections,
		 unsigned opened, uint64_t sent)
{
	if (pid)
		report_number(report, pid);
	else
		report_unknown(report);
	report_text(report, "out");
	report_text(report, address);
	report_number(report, 443);
	report_number(report, connections);
	report_number(report, opened);
	report_number(report, 0);
	report_number(report, sent);
}

static struct report *show(struct usage usage)
{
	struct report *report = report_new();

	begin_top(report);
	top(report, 101, usage);
	return report;
}

/* An entry as inquiry.c makes it; NULL: no account. */
static json_t *open_account(const struct world *world, const struct report *report)
{
	json_t *account = account_open(report, &world->vm);

	if (account)
		(void)json_object_set_new(account, "node", json_string("host-a"));
	return account;
}

static const json_t *line(const json_t *entry, const char *metric)
{
	const json_t *found;
	size_t i;

	json_array_foreach(json_object_get(entry, "account"), i, found)
	{
		if (strcmp(text_of(found, "metric"), metric) == 0)
			return found;
	}
	return NULL;
}

/* 1 agrees, 0 does not, -1 is not known. */
static int agrees(const json_t *entry, const char *metric)
{
	const json_t *value = json_object_get(line(entry, metric), "agrees");

	return json_is_boolean(value) ? json_is_true(value) : -1;
}

/* An account of a VM that goes on as it does; returns whether it agrees, or -2. */
static int settle(struct world *world, struct usage usage, const char *metric)
{
	cleanup(report_free) struct report *report = show(usage);
	cleanup(json_decref) json_t *entry = open_account(world, report);
	cleanup(json_decref) json_t *patterns = NULL;

	pass(world);
	patterns = account_settle(entry, &world->vm);
	return patterns ? agrees(entry, metric) : -2;
}

static void test_account_of_a_hidden_process(void)
{
	cleanup(report_free) struct report *report = show((struct usage){.cpu = 2, .children = 1});
	cleanup(json_decref) json_t *entry = NULL, *patterns = NULL;
	const char *told =
		"the hypervisor counts 97 % of a CPU for web2, the processes that its "
		"kernel shows account for 3 %: something in it is hidden from the process "
		"table, or works in the kernel";
	struct world world;

	begin(&world, 48.5);
	entry = open_account(&world, report);
	check_int(json_array_size(json_object_get(entry, "account")), 5);
	check_int(agrees(entry, "CPUUtilization"), -1);
	check(!account_settle(entry, &world.vm)); /* before the look's interval is over */
	check(json_object_get(entry, "account_due"));
	pass(&world);
	patterns = account_settle(entry, &world.vm);
	check_int(json_array_size(patterns), 1);
	check_string(text_of(json_array_get(patterns, 0), "name"), "possible hidden process");
	check_string(text_of(json_array_get(patterns, 0), "text"), told);
	check_int(agrees(entry, "CPUUtilization"), 0);
	check_string(text_of(line(entry, "CPUUtilization"), "text"), told);
	check_string(text_of(line(entry, "CPUUtilization"), "unit"), "% of a CPU");
	check_near(number_of(line(entry, "CPUUtilization"), "hypervisor"), 97, 1e-9);
	check_near(number_of(line(entry, "CPUUtilization"), "within"), 6, 1e-9);
	check_near(number_of(line(entry, "CPUUtilization"), "guest"), 3, 1e-9);
	check_int(agrees(entry, "NetworkOut"), 1);
	check(!json_object_get(entry, "account_due"));
}

static void test_account_agrees(void)
{
	struct world world;

	begin(&world, 48.5);
	check_int(settle(&world, (struct usage){.cpu = 60, .children = 30}, "CPUUtilization"), 1);
	/* more than three times as much, but little */
	begin(&world, 20);
	check_int(settle(&world, (struct usage){.cpu = 1}, "CPUUtilization"), 1);
	/* much more, but less than three times as much */
	begin(&world, 95);
	check_int(settle(&world, (struct usage){.cpu = 80}, "CPUUtilization"), 1);
	/* the guest boasts */
	begin(&world, 5);
	check_int(settle(&world, (struct usage){.cpu = 900}, "CPUUtilization"), 1);
}

static void test_account_at_its_limits(void)
{
	struct world world;

	begin(&world, 0);
	set(&world, METRIC_NETWORK_IN, 0, 0);
	set(&world, METRIC_NETWORK_OUT, 0, 0);
	set(&world, METRIC_DISK_READ_OPS, 0, 0);
	set(&world, METRIC_DISK_WRITE_OPS, 0, 0);
	set(&world, METRIC_CPU_UTILIZATION, 35, 5); /* at least 30 % of two CPUs: 60 */
	check_int(settle(&world, (struct usage){.cpu = 10}, "CPUUtilization"), 0);
	check_int(settle(&world, (struct usage){.cpu = 10.2}, "CPUUtilization"), 1);
}

/* Whoever is busy with one interval only was not seen by the look that lay in the other. */
static void test_account_of_a_load_that_ended(void)
{
	cleanup(report_free) struct report *report = show((struct usage){.cpu = 1});
	cleanup(json_decref) json_t *entry = NULL, *patterns = NULL;
	struct world world;

	begin(&world, 97);
	entry = open_account(&world, report);
	pass(&world);
	set(&world, METRIC_CPU_UTILIZATION, 2, 3);
	patterns = account_settle(entry, &world.vm);
	check(patterns);
	check_int(json_array_size(patterns), 0);
	check_int(agrees(entry, "CPUUtilization"), 1);
	check_near(number_of(line(entry, "CPUUtilization"), "hypervisor"), 4, 1e-9);
}

/* Interrupts of a VM under traffic, and QEMU's work for it, are of no process. */
static void test_account_of_cpu_under_traffic(void)
{
	struct usage usage = {.cpu = 3, .received = 8000000};
	struct world world;

	begin(&world, 48.5);
	set(&world, METRIC_NETWORK_IN, 80e6, 1024); /* in 10 s */
	check_int(settle(&world, usage, "CPUUtilization"), 1);
	begin(&world, 48.5);
	set(&world, METRIC_DISK_READ_OPS, 100000, 2);
	check_int(settle(&world, usage, "CPUUtilization"), 1);
	begin(&world, 48.5);
	world.vm.series[METRIC_NETWORK_IN].tracker.state = TRACKER_GAP; /* then the guest's */
	check_int(settle(&world, usage, "CPUUtilization"), 1);
	begin(&world, 48.5);
	usage.received = 1000000;
	set(&world, METRIC_NETWORK_IN, 10e6, 1024);
	check_int(settle(&world, usage, "CPUUtilization"), 0);
}

static void test_account_of_traffic(void)
{
	struct usage usage = {.sent = 100000};
	struct world world;

	begin(&world, 1);
	set(&world, METRIC_NETWORK_OUT, 20e6, 1024);
	check_int(settle(&world, usage, "NetworkOut"), 0);
	set(&world, METRIC_NETWORK_OUT, 9e6, 1024);
	check_int(settle(&world, usage, "NetworkOut"), 1);
	/* acknowledgements of what is received */
	set(&world, METRIC_NETWORK_OUT, 20e6, 1024);
	set(&world, METRIC_NETWORK_IN, 1e9, 1024);
	usage.received = 100000000;
	check_int(settle(&world, usage, "NetworkOut"), 1);
}

/* Loopback is not on the taps; what comes and goes is in no sample. */
static void test_account_of_peers(void)
{
	static const char told[] =
		"the hypervisor counts 1.9 MiB/s sent by web2, the TCP "
		"connections that its kernel shows account for 97.7 KiB/s: what "
		"else it sends is hidden from its table of sockets, or is no TCP, "
		"or is forwarded";
	cleanup(report_free) struct report *report = show((struct usage){.sent = 5000000});
	cleanup(json_decref) json_t *entry = NULL, *patterns = NULL;
	struct world world;

	begin(&world, 1);
	set(&world, METRIC_NETWORK_OUT, 20e6, 1024);
	begin_peers(report);
	peer(report, 101, "127.0.0.1", 1, 0, 4900000);
	peer(report, 101, "10.0.0.9", 1, 0, 50000);
	peer(report, 0, "10.0.0.8", 1, 0, 50000);
	entry = open_account(&world, report);
	pass(&world);
	patterns = account_settle(entry, &world.vm);
	check_string(text_of(json_array_get(patterns, 0), "name"), "possible hidden traffic");
	check_string(text_of(json_array_get(patterns, 0), "text"), told);
	json_decref(patterns);
	json_decref(entry);
	peer(report, 0, "10.0.0.8", 50, 0, 0);
	entry = open_account(&world, report);
	pass(&world);
	patterns = account_settle(entry, &world.vm);
	check_int(json_array_size(patterns), 0);
	check_int(agrees(entry, "NetworkOut"), -1);
	check(json_is_null(json_object_get(line(entry, "NetworkOut"), "guest")));
	check(strstr(text_of(line(entry, "NetworkOut"), "text"), "come and go"));
	check_int(agrees(entry, "CPUUtilization"), 1);
}

static void test_account_of_disks(void)
{
	cleanup(report_free) struct report *report = show((struct usage){.read = 4096});
	cleanup(json_decref) json_t *entry = NULL, *patterns = NULL;
	struct world world;

	begin(&world, 1);
	set(&world, METRIC_DISK_READ_BYTES, 500e6, 8192);
	set(&world, METRIC_DISK_WRITE_BYTES, 500e6, 8192);
	entry = open_account(&world, report);
	pass(&world);
	patterns = account_settle(entry, &world.vm);
	check_int(json_array_size(patterns), 1); /* a cache is written out late */
	check(strstr(text_of(json_array_get(patterns, 0), "text"), "read from disk by web2"));
	check_int(agrees(entry, "DiskReadBytes"), 0);
	check_int(agrees(entry, "DiskWriteBytes"), 0);
}

static void test_account_where_the_hypervisor_knows_nothing(void)
{
	struct world world;

	for (int i = 0; i < 3; i++) {
		static const enum tracker_state states[] = {TRACKER_GAP, TRACKER_STALE,
							    TRACKER_UNKNOWN};

		begin(&world, 97);
		world.vm.series[METRIC_CPU_UTILIZATION].tracker.state = states[i];
		check_int(settle(&world, (struct usage){.cpu = 1}, "CPUUtilization"), -1);
	}
	begin(&world, 97);
	world.vm.series[METRIC_CPU_UTILIZATION].exists = false;
	check_int(settle(&world, (struct usage){.cpu = 1}, "CPUUtilization"), -1);
}

/* The interval of the look is never seen: the node was silent, the VM moved or went. */
static void test_account_is_given_up(void)
{
	for (int i = 0; i < 3; i++) {
		cleanup(report_free) struct report *report = show((struct usage){.cpu = 1});
		cleanup(json_decref) json_t *entry = NULL, *patterns = NULL;
		struct world world;

		begin(&world, 97);
		entry = open_account(&world, report);
		if (i == 0)
			world.node.watermark_usec += 3 * world.node.interval_usec;
		if (i == 1)
			(void)snprintf(world.node.name, sizeof(world.node.name), "host-b");
		patterns = account_settle(entry, i == 2 ? NULL : &world.vm);
		check(patterns);
		check_int(json_array_size(patterns), 0);
		check_int(agrees(entry, "CPUUtilization"), -1);
		check_string(text_of(line(entry, "CPUUtilization"), "text"),
			     "the interval of the look was not observed");
		check(!json_object_get(entry, "account_due"));
	}
}

static void test_account_needs_top(void)
{
	static const struct report_column columns[] = {{"pid", REPORT_COUNT},
						       {"cpu_percent", REPORT_TEXT}};
	cleanup(report_free) struct report *none = report_new(), *odd = report_new(), *empty = NULL;
	cleanup(json_decref) json_t *entry = NULL;
	struct world world;

	begin(&world, 97);
	begin_peers(none);
	check(!open_account(&world, none));
	TABLE(odd, "top", columns);
	report_number(odd, 7);
	report_text(odd, "0");
	entry = open_account(&world, odd);
	check(json_is_null(json_object_get(line(entry, "CPUUtilization"), "guest")));
	json_decref(entry);
	empty = report_new(); /* no process at all is an account: of nothing */
	begin_top(empty);
	entry = open_account(&world, empty);
	check_near(number_of(line(entry, "CPUUtilization"), "guest"), 0, 0);
	check(json_is_number(json_object_get(line(entry, "CPUUtilization"), "guest")));
}

static void test_account_of_a_cut_table(void)
{
	cleanup(report_free) struct report *report = report_new();
	struct world world;

	begin(&world, 97);
	begin_top(report);
	for (unsigned i = 0; i <= REPORT_ROWS_MAX; i++)
		top(report, 1 + i, (struct usage){.cpu = 0});
	check(!open_account(&world, report));
}

/* What no process can use is taken for unknown, not for an excuse. */
static void test_account_hostile_numbers(void)
{
	struct world world;

	begin(&world, 97);
	check_int(settle(&world, (struct usage){.cpu = -1e308}, "CPUUtilization"), 0);
	check_int(settle(&world, (struct usage){.cpu = 1e308}, "CPUUtilization"), 0);
	check_int(settle(&world, (struct usage){.cpu = HUGE_VAL}, "CPUUtilization"), 0);
	check_int(settle(&world, (struct usage){.sent = UINT64_MAX}, "CPUUtilization"), 0);
}

TEST_MAIN(TEST(test_account_of_a_hidden_process), TEST(test_account_agrees),
	  TEST(test_account_at_its_limits), TEST(test_account_of_a_load_that_ended),
	  TEST(test_account_of_cpu_under_traffic), TEST(test_account_of_traffic),
	  TEST(test_account_of_peers), TEST(test_account_of_disks),
	  TEST(test_account_where_the_hypervisor_knows_nothing), TEST(test_account_is_given_up),
	  TEST(test_account_needs_top), TEST(test_account_of_a_cut_table),
	  TEST(test_account_hostile_numbers))
