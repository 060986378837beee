/* SPDX-License-Identifier: Apache-2.0 */
/* The controller's parts that can be tested alone: selectors, look-ups, settings, the summary line.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/test.h"
#include "controller/alarm.h"
#include "controller/fleet.h"
#include "controller/group.h"
#include "controller/settings.h"

DEFINE_CLEANUP(json_t *, json_decref)

static char empty[] = "";

static void test_group_selector_patterns(void)
{
	struct node node = {.name = "host-a"};
	struct vm vm = {.node = &node, .name = "web-1", .instance = "shop-7", .project = "retail"};
	struct group_settings selector = {empty, empty, empty, empty};

	check(group_selects(&selector, &vm));
	selector.vm = "web-*";
	check(group_selects(&selector, &vm));
	selector.vm = "shop-?";
	check(group_selects(&selector, &vm));
	selector.vm = "db-*";
	check(!group_selects(&selector, &vm));
	selector.vm = empty;
	selector.project = "retail";
	selector.node = "host-b";
	check(!group_selects(&selector, &vm));
}

static void test_fleet_finds_by_any_name(void)
{
	struct vm_uuid a = {{1}}, b = {{2}};
	struct error err = ERROR_INIT;
	struct vm *first, *second, *found;
	struct fleet fleet;
	struct node *node;

	check_int(fleet_init(&fleet), 0);
	node = fleet_node(&fleet, "n");
	first = fleet_vm(node, &a);
	second = fleet_vm(node, &b);
	check(fleet_vm(node, &a) == first);
	check_int(fleet_name_vm(first, "vm1", "shop", "", 1), 0);
	check_int(fleet_name_vm(second, "vm1", "", "", 1), 0);
	check_int(fleet_find_vm(&fleet, "shop", &found, &err), 0);
	check(found == first);
	check_int(fleet_find_vm(&fleet, second->uuid_text, &found, &err), 0);
	check(found == second);
	check_int(fleet_find_vm(&fleet, "vm1", &found, &err), -EINVAL);
	check(strstr(err.text, "use the UUID"));
	second->gone = true;
	check_int(fleet_find_vm(&fleet, "vm1", &found, &err), 0);
	check(found == first);
	check_int(fleet_find_vm(&fleet, "vm9", &found, &err), -ENOENT);
	fleet_forget(&fleet, INT64_MAX);
	check_int(map_size(node->vms), 1);
	fleet_deinit(&fleet);
}

/* A VM of that UUID at the node, called that. */
static struct vm *add(struct fleet *fleet, const char *node, uint8_t uuid, const char *name)
{
	struct vm *vm = fleet_vm(fleet_node(fleet, node), &(struct vm_uuid){{uuid}});

	(void)fleet_name_vm(vm, name, "", "", 1); /* what it is called is checked later */
	vm->node->in_epoch = true;
	vm->node->state = NODE_CONNECTED;
	return vm;
}

static void test_fleet_knows_a_vm_that_moved(void)
{
	struct error err = ERROR_INIT;
	struct vm *old, *new, *found;
	struct fleet fleet;

	check_int(fleet_init(&fleet), 0);
	old = add(&fleet, "host-a", 1, "vm1");
	new = add(&fleet, "host-b", 1, "vm1");
	check_int(fleet_find_vm(&fleet, "vm1", &found, &err), -EINVAL);
	check(strstr(err.text, "both host-a and host-b"));
	check_int(fleet_find_vm(&fleet, old->uuid_text, &found, &err), -EINVAL);
	check(fleet_vm_at(&fleet, old->uuid_text, "host-a") == old);
	check(fleet_vm_at(&fleet, old->uuid_text, "host-b") == new);
	check(fleet_runs_elsewhere(&fleet, old));

	old->node->state = NODE_DISCONNECTED;
	old->node->watermark_usec = 2;
	check_int(fleet_find_vm(&fleet, "vm1", &found, &err), 0);
	check(found == new);
	check(fleet_vm_by_uuid(&fleet, old->uuid_text) == new);
	check(fleet_vm_at(&fleet, old->uuid_text, "host-a") == new);
	check(!fleet_runs_elsewhere(&fleet, new));

	new->node->state = NODE_STALE;
	check(fleet_vm_by_uuid(&fleet, old->uuid_text) == old);
	old->gone = true;
	check(fleet_vm_by_uuid(&fleet, old->uuid_text) == new);
	check(!fleet_vm_by_uuid(&fleet, "vm1"));
	fleet_deinit(&fleet);
}

static void test_fleet_out_of_the_store_makes_no_name_ambiguous(void)
{
	struct error err = ERROR_INIT;
	struct vm *old, *new, *found;
	struct fleet fleet;

	check_int(fleet_init(&fleet), 0);
	old = add(&fleet, "host-a", 1, "vm1");
	new = add(&fleet, "host-b", 2, "vm1");
	old->stored = new->stored = true;
	new->series[0] = (struct series){.exists = true, .tracker.since_usec = 7};
	check_int(fleet_find_vm(&fleet, "vm1", &found, &err), 0);
	check(found == new);
	old->stored = false;
	check_int(fleet_find_vm(&fleet, "vm1", &found, &err), 0);
	check(found == old);
	new->stored = false;
	check_int(fleet_find_vm(&fleet, "vm1", &found, &err), -EINVAL);
	fleet_deinit(&fleet);
}

static void test_fleet_takes_a_uuid_before_a_name(void)
{
	struct error err = ERROR_INIT;
	struct vm *victim, *liar, *found;
	struct fleet fleet;

	check_int(fleet_init(&fleet), 0);
	victim = add(&fleet, "host-a", 1, "vm1");
	liar = add(&fleet, "host-b", 2, victim->uuid_text);
	check_int(fleet_find_vm(&fleet, victim->uuid_text, &found, &err), 0);
	check(found == victim);
	victim->gone = true;
	check_int(fleet_find_vm(&fleet, victim->uuid_text, &found, &err), 0);
	check(found == victim);
	check(fleet_vm_by_uuid(&fleet, victim->uuid_text) == victim);
	check_int(fleet_find_vm(&fleet, liar->uuid_text, &found, &err), 0);
	check(found == liar);
	fleet_deinit(&fleet);
}

static json_t *column(const char *vm, const char *metric, double deviations, const char *direction,
		      bool abnormal)
{
	return json_pack("{s:s, s:s, s:s, s:f, s:s, s:b, s:b}", "vm", vm, "uuid", vm, "metric",
			 metric, "stddev", deviations, "direction", direction, "abnormal", abnormal,
			 "from_zero", 0);
}

static void test_alarm_summary_names_vms_metrics_direction_evidence(void)
{
	cleanup(json_decref) json_t *evidence =
		json_pack("{s:f, s:f, s:[o, o, o, o]}", "spe_peak", 431.0, "q", 22.125, "columns",
			  column("web2", "NetworkOut", 8.34, "up", true),
			  column("web3", "NetworkOut", 7.0, "up", true),
			  column("web2", "CPUUtilization", 6.5, "down", true),
			  column("web1", "NetworkIn", 1.0, "up", false));
	cleanup(free) char *summary = alarm_summarise(evidence);

	check_string(summary, "web2: NetworkOut up (8.3 sd), CPUUtilization down (6.5 sd); "
			      "web3: NetworkOut up (7.0 sd); SPE 431 > Q 22.12");
}

static void test_alarm_summary_without_a_culprit(void)
{
	cleanup(json_decref) json_t *evidence =
		json_pack("{s:f, s:f, s:[]}", "spe_peak", 50.0, "q", 20.0, "columns");
	cleanup(free) char *summary = alarm_summarise(evidence);

	check_string(summary, "no single column stands out; SPE 50 > Q 20");
}

static void check_figures(double peak, double q, bool is_drift, const char *expected)
{
	cleanup(json_decref) json_t *evidence =
		json_pack("{s:f, s:f, s:b, s:[o]}", "spe_peak", peak, "q", q, "drift", is_drift,
			  "columns", column("web2", "NetworkOut", 8.34, "up", true));
	cleanup(free) char *summary = alarm_summarise(evidence);

	check_string(summary, expected);
}

/* Never that SPE is over Q where it is not. */
static void test_alarm_summary_says_what_the_verdict_came_from(void)
{
	check_figures(50, 20, false, "web2: NetworkOut up (8.3 sd); SPE 50 > Q 20");
	check_figures(12.5, 20, false,
		      "web2: NetworkOut up (8.3 sd); over the limit with T2, SPE 12.5, Q 20");
	check_figures(
		12.5, 20, true,
		"web2: NetworkOut up (8.3 sd); a slow drift that M has followed, SPE 12.5, Q 20");
}

static void test_settings_names_every_metric(void)
{
	for (unsigned i = 0; i < METRIC_COUNT; i++) {
		const char *name = metric_info((enum metric)i)->name;
		bool found = false;

		for (size_t j = 0; j < settings_table.count; j++)
			if (strcmp(settings_table.keys[j].name, "track.delta") == 0)
				found = strstr(settings_table.keys[j].choices, name) != NULL;
		check(found);
	}
}

static void test_settings_become_observation(void)
{
	struct wire_settings observation;
	struct settings settings;

	check_int(config_load(&settings_table, NULL, &settings, NULL), 0);
	check_int(settings_observation(&settings, &observation, NULL), 0);
	check_int(observation.metrics, METRIC_SET_PAPER);
	check_int(observation.interval_usec, 10000000);
	check_near(observation.deltas[METRIC_CPU_UTILIZATION],
		   metric_info(METRIC_CPU_UTILIZATION)->default_delta, 0);
	settings.min_rows = settings.window_rows + 1;
	check_int(settings_observation(&settings, &observation, NULL), -EINVAL);
	config_deinit(&settings_table, &settings);
}

TEST_MAIN(TEST(test_group_selector_patterns), TEST(test_fleet_finds_by_any_name),
	  TEST(test_fleet_knows_a_vm_that_moved),
	  TEST(test_fleet_out_of_the_store_makes_no_name_ambiguous),
	  TEST(test_fleet_takes_a_uuid_before_a_name),
	  TEST(test_alarm_summary_names_vms_metrics_direction_evidence),
	  TEST(test_alarm_summary_without_a_culprit),
	  TEST(test_alarm_summary_says_what_the_verdict_came_from),
	  TEST(test_settings_names_every_metric), TEST(test_settings_become_observation))
