/* SPDX-License-Identifier: Apache-2.0 */
/* The plan of a group's maximum errors, with a real monitor and made rows. */
#include "controller/tuner.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/test.h"
#include "controller/fleet.h"
#include "controller/group.h"
#include "controller/settings.h"

enum { COLUMNS = METRIC_PAPER_COUNT };

struct world {
	struct tuner tuner;
	struct group group;
	struct vm vm;
	struct column columns[COLUMNS];
	double std[COLUMNS], row[COLUMNS];
	char name[8];
};

static double normal(void)
{
	double sum = -6;

	for (int i = 0; i < 12; i++)
		sum += (double)random() / RAND_MAX;
	return sum;
}

static int open_world(struct world *world, double mu)
{
	struct monitor_options options;
	struct settings settings = {.alpha = 0.002, .mu = mu, .tune_rows = 10, .window_rows = 120};

	*world = (struct world){.name = "g"};
	log_init("tuner_test", LOG_LEVEL_ERROR);
	srandom(3);
	tuner_init(&world->tuner, &settings);
	tuning_init(&world->tuner, &world->group.tuning);
	world->group.tuning.std = world->std;
	world->group.name = world->name;
	world->group.columns = world->columns;
	world->group.column_count = COLUMNS;
	monitor_options_preset(&options, MONITOR_CALIBRATED);
	options.window_rows = 120;
	if (monitor_new(&options, &world->group.monitor, NULL) < 0)
		return -1;
	for (size_t i = 0; i < COLUMNS; i++) {
		struct series *series = &world->vm.series[i];

		series->exists = true;
		series->planned = NAN;
		tracker_start_epoch(&series->tracker, 3);
		tuner_adopt(&world->tuner, series, (enum metric)i, 3);
		world->columns[i] = (struct column){&world->vm, (enum metric)i};
		if (monitor_add_column(world->group.monitor, 0, NULL) < 0)
			return -1;
	}
	return 0;
}

static void close_world(struct world *world)
{
	monitor_free(world->group.monitor);
}

/* Rows of mean 200 and deviation 20 or so; what is planned is in force at once. */
static int run(struct world *world, int rows, double shift)
{
	for (int i = 0; i < rows; i++) {
		double source = normal();

		for (size_t j = 0; j < COLUMNS; j++) {
			world->row[j] = 200 + 20 * (source + 0.4 * normal()) + (j == 2 ? shift : 0);
			tracker_receive(&world->vm.series[j].tracker, world->row[j], i);
		}
		if (monitor_offer(world->group.monitor, world->row, &world->group.verdict, NULL) <
		    0)
			return -1;
		tuner_row(&world->tuner, &world->group);
		for (size_t j = 0; j < COLUMNS; j++)
			world->vm.series[j].tracker.delta = world->vm.series[j].planned;
	}
	return 0;
}

static double planned(const struct world *world, enum metric metric)
{
	return world->vm.series[metric].planned;
}

static void test_tuner_follows_the_model_when_it_has_verdicts(void)
{
	struct world world;

	check_int(open_world(&world, 0.01), 0);
	check_int(run(&world, 59, 0), 0); /* learning still */
	check_near(planned(&world, METRIC_NETWORK_IN), 3, 0);
	check_int(world.group.tuning.plan.version, 0);
	check_int(run(&world, 600, 0), 0);
	check(planned(&world, METRIC_NETWORK_IN) > 4 && planned(&world, METRIC_NETWORK_IN) < 12);
	check_near(planned(&world, METRIC_NETWORK_IN),
		   world.group.tuning.budget.delta * 20 * sqrt(1.16),
		   0.3 * planned(&world, METRIC_NETWORK_IN));
	check(world.group.tuning.plan.version > 3);
	check(world.group.tuning.power_loss > 0 && world.group.tuning.power_loss < 2);
	close_world(&world);
}

static void test_tuner_grows_nothing_during_an_episode(void)
{
	struct world world;
	double before[COLUMNS];

	check_int(open_world(&world, 0.05), 0);
	check_int(run(&world, 90, 0), 0); /* on its way up */
	check_int(run(&world, 2, 500), 0);
	check(monitor_episode_is_open(world.group.monitor));
	for (size_t j = 0; j < COLUMNS; j++)
		before[j] = planned(&world, (enum metric)j);
	check_int(run(&world, 20, 500), 0);
	for (size_t j = 0; j < COLUMNS; j++)
		check(planned(&world, (enum metric)j) <= before[j]);
	check(monitor_episode_is_open(world.group.monitor));
	close_world(&world);
}

static void test_tuner_keeps_limits_and_what_is_fixed(void)
{
	struct world world;
	struct delta_rule *rules = world.tuner.rules;

	check_int(open_world(&world, 0.01), 0);
	rules[METRIC_NETWORK_IN].limits.cap = 3.5;
	rules[METRIC_NETWORK_OUT].limits.floor = 50;
	rules[METRIC_DISK_READ_OPS].source = DELTA_FIXED;
	rules[METRIC_DISK_WRITE_OPS] = (struct delta_rule){DELTA_OF_MEAN, 0, 0.02, {0, INFINITY}};
	check_int(run(&world, 600, 0), 0);
	check(planned(&world, METRIC_NETWORK_IN) > 3 && planned(&world, METRIC_NETWORK_IN) <= 3.5);
	check_near(planned(&world, METRIC_NETWORK_OUT), 50, 0);
	check_near(planned(&world, METRIC_DISK_READ_OPS), 3, 0);
	check_near(planned(&world, METRIC_DISK_WRITE_OPS), 4, 0.5);
	close_world(&world);
}

/* Without mu nothing moves, and what the errors in force cost is told all the same. */
static void test_tuner_without_mu_tells_the_loss(void)
{
	struct world world;

	check_int(open_world(&world, 0), 0);
	check_int(run(&world, 200, 0), 0);
	for (size_t j = 0; j < COLUMNS; j++)
		check_near(planned(&world, (enum metric)j),
			   metric_info((enum metric)j)->default_delta, 0);
	check_int(world.group.tuning.plan.version, 0);
	check(world.group.tuning.power_loss > 0);
	close_world(&world);
}

static void test_tuner_adopts_what_is_in_force(void)
{
	struct series series = {.planned = NAN};
	struct world world;

	check_int(open_world(&world, 0.01), 0);
	world.tuner.rules[0].limits = (struct delta_limits){1, 10};
	tuner_adopt(&world.tuner, &series, (enum metric)0, 7);
	check_near(series.planned, 7, 0);
	tuner_adopt(&world.tuner, &series, (enum metric)0, 9); /* the plan goes before */
	check_near(series.planned, 7, 0);
	series.planned = NAN;
	tuner_adopt(&world.tuner, &series, (enum metric)0, 1000);
	check_near(series.planned, 10, 0);
	close_world(&world);
}

static void set_number(struct config_numbers *numbers, struct config_number *number,
		       const char *name, double value)
{
	*number = (struct config_number){(char *)name, value};
	*numbers = (struct config_numbers){number, 1};
}

static void test_rules_come_from_settings(void)
{
	struct settings settings = {.mu = 0.01};
	struct delta_rule rules[METRIC_COUNT];
	struct config_number fixed, mean, floor, cap;

	set_number(&settings.deltas, &fixed, "CPUUtilization", 5);
	set_number(&settings.deltas_of_mean, &mean, "NetworkIn", 4);
	set_number(&settings.delta_floors, &floor, "NetworkOut", 100);
	set_number(&settings.delta_caps, &cap, "DiskReadOps", 0.5);
	settings_delta_rules(&settings, rules);
	check_int(rules[METRIC_CPU_UTILIZATION].source, DELTA_FIXED);
	check_near(rules[METRIC_CPU_UTILIZATION].fixed, 5, 0);
	check_int(rules[METRIC_NETWORK_IN].source, DELTA_OF_MEAN);
	check_near(rules[METRIC_NETWORK_IN].share, 0.04, 1e-15);
	check_int(rules[METRIC_NETWORK_OUT].source, DELTA_OF_MU);
	check_near(rules[METRIC_NETWORK_OUT].limits.floor, 100, 0);
	check(isinf(rules[METRIC_NETWORK_OUT].limits.cap));
	check_near(rules[METRIC_DISK_READ_OPS].limits.floor, 0.5, 0); /* not above the cap */
	settings.mu = 0;
	settings_delta_rules(&settings, rules);
	check_int(rules[METRIC_NETWORK_OUT].source, DELTA_FIXED);
}

static void test_settings_that_contradict_are_refused(void)
{
	char url[] = "";
	struct settings settings = {.external_url = url};
	struct config_number one, other;
	struct error err = ERROR_INIT;

	set_number(&settings.deltas, &one, "NetworkIn", 5);
	set_number(&settings.deltas_of_mean, &other, "NetworkIn", 4);
	check_int((settings_table.check)(&settings, &err), -EINVAL);
	check(strstr(err.text, "NetworkIn"));
	settings.deltas.count = settings.deltas_of_mean.count = 0;
	check_int((settings_table.check)(&settings, &err), 0);
	set_number(&settings.delta_floors, &one, "NetworkIn", 5);
	set_number(&settings.delta_caps, &other, "NetworkIn", 4);
	check_int((settings_table.check)(&settings, &err), -EINVAL);
}

TEST_MAIN(TEST(test_tuner_follows_the_model_when_it_has_verdicts),
	  TEST(test_tuner_grows_nothing_during_an_episode),
	  TEST(test_tuner_keeps_limits_and_what_is_fixed),
	  TEST(test_tuner_without_mu_tells_the_loss), TEST(test_tuner_adopts_what_is_in_force),
	  TEST(test_rules_come_from_settings), TEST(test_settings_that_contradict_are_refused))
