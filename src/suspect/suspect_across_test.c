/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns of several VMs. */
#include "suspect/test_report.h"

static json_t *victim_found(void)
{
	struct report *report = report_new();
	json_t *found;

	begin_peers(report);
	peer(report, 80, "in", "10.0.0.3", 80, 390, 2, 10);
	peer(report, 80, "in", "10.0.0.7", 80, 10, 1, 10);
	begin_net(report);
	net(report, 80, "ESTABLISHED", "10.0.0.2:80", "10.0.0.3:40000");
	found = find(report, network_down, 2);
	report_free(report);
	return found;
}

static json_t *attacker_found(void)
{
	struct report *report = report_new();
	json_t *found;

	begin_peers(report);
	peer(report, 9, "out", "10.0.0.2", 80, 388, 2, 10);
	begin_net(report);
	net(report, 9, "ESTABLISHED", "10.0.0.3:40000", "10.0.0.2:80");
	found = find(report, read_up, 3);
	report_free(report);
	return found;
}

static void test_suspects_across_resource_freeing(void)
{
	cleanup(json_decref) json_t *victim = victim_found();
	cleanup(json_decref) json_t *attacker = attacker_found();
	cleanup(json_decref) json_t *across = NULL;
	struct suspect_vm vms[] = {{"vm1", NULL, NULL, 0},
				   {"vm2", victim, network_down, 2},
				   {"vm3", attacker, read_up, 3}};

	across = suspects_across(vms, 3);
	check_int(json_array_size(across), 1);
	check_string(text(json_array_get(across, 0), "name"), "possible resource-freeing attack");
	check_string(text(json_array_get(across, 0), "text"),
		     "390 connections from vm3 to port 80 of vm2 (10.0.0.3), 98 % of all that vm2 "
		     "holds; meanwhile DiskReadOps, DiskReadBytes of vm3 went up; NetworkIn, "
		     "NetworkOut of the other went down");
	check_string(json_string_value(
			     json_array_get(json_object_get(json_array_get(across, 0), "vms"), 0)),
		     "vm3");
	json_decref(across);
	vms[2].metric_count = 1; /* without its disk */
	across = suspects_across(vms, 3);
	check_string(text(json_array_get(across, 0), "name"), "possible denial of service");
	json_decref(across);
	vms[1].found = NULL; /* seen by the other alone: nothing tells whose 10.0.0.2 is */
	across = suspects_across(vms, 3);
	check_int(json_array_size(across), 0);
}

static void test_suspects_across_claimed_address(void)
{
	cleanup(json_decref) json_t *victim = victim_found();
	cleanup(json_decref) json_t *attacker = attacker_found();
	cleanup(json_decref) json_t *liar = json_pack("{s:[s]}", "addresses", "10.0.0.3");
	cleanup(json_decref) json_t *across = NULL;
	struct suspect_vm vms[] = {{"vm2", victim, network_down, 2},
				   {"vm3", attacker, read_up, 3},
				   {"liar", liar, NULL, 0}};

	across = suspects_across(vms, 3);
	check_int(json_array_size(across), 2);
	check(strstr(text(json_array_get(across, 0), "text"),
		     "(10.0.0.3, an address that 2 VMs claim)"));
	json_decref(across);
	/* A victim that claims the attacker's address speaks with itself, as it says. */
	check_int(json_array_append_new(json_object_get(victim, "addresses"),
					json_string("10.0.0.3")),
		  0);
	check_int(json_array_append_new(json_object_get(attacker, "addresses"),
					json_string("10.0.0.2")),
		  0);
	across = suspects_across(vms, 3);
	check_int(json_array_size(across), 0);
}

/* Closed ones, of nobody, are no attack seen from two VMs either, whoever the peer is. */
static void test_suspects_across_time_wait_is_no_denial(void)
{
	cleanup(report_free) struct report *report = report_new();
	cleanup(json_decref) json_t *found = NULL, *across = NULL;
	cleanup(json_decref) json_t *client = json_pack("{s:[s]}", "addresses", "10.0.0.3");
	struct suspect_vm vms[] = {{"vm2", NULL, network_up, 1}, {"vm3", client, network_up, 1}};

	begin_peers(report);
	peer(report, 0, "in", "10.0.0.3", 80, 340, 6, 10);
	peer(report, 80, "in", "10.0.0.3", 80, 2, 2, 10);
	found = find(report, network_up, 1);
	check_int(json_integer_value(json_object_get(at(found, "peers", 0), "connections")), 342);
	check_int(json_integer_value(json_object_get(at(found, "peers", 0), "held")), 2);
	check_near(json_number_value(json_object_get(at(found, "peers", 0), "held_share")), 1,
		   1e-9);
	vms[0].found = found;
	across = suspects_across(vms, 2);
	check_int(json_array_size(across), 0);
}

/* What is an attack within a VM is one across VMs, and the other way round. */
static void test_suspects_denial_is_one_rule(void)
{
	static const unsigned held[] = {19, 20, 78, 80, 1599};
	static const bool is_one[] = {false, true, false, true, false};
	static const unsigned others[] = {0, 0, 22, 20, 400};

	for (size_t i = 0; i < 5; i++) {
		cleanup(report_free) struct report *report = report_new();
		cleanup(json_decref) json_t *client = json_pack("{s:[s]}", "addresses", "10.0.0.3");
		cleanup(json_decref) json_t *found = NULL, *across = NULL;
		struct suspect_vm vms[] = {{"vm2", NULL, network_up, 1},
					   {"vm3", client, network_up, 1}};

		begin_peers(report);
		peer(report, 80, "in", "10.0.0.3", 80, held[i], 0, 10);
		peer(report, 80, "in", "10.0.0.7", 80, others[i], 0, 10);
		peer(report, 0, "in", "10.0.0.8", 80, 5000, 0, 10);
		found = find(report, network_up, 1);
		vms[0].found = found;
		across = suspects_across(vms, 2);
		check_int(size_of(found, "patterns"), is_one[i]);
		check_int(json_array_size(across), is_one[i]);
	}
}

static void test_suspects_across_flood(void)
{
	cleanup(report_free) struct report *report = flood();
	cleanup(json_decref) json_t *found = find(report, network_up, 1);
	cleanup(json_decref) json_t *across = NULL;
	struct suspect_vm vms[20];

	vms[0] = (struct suspect_vm){"vm1", NULL, NULL, 0};
	vms[1] = (struct suspect_vm){"vm2", found, network_up, 1};
	vms[2] = (struct suspect_vm){"vm3", found, network_up, 1};
	across = suspects_across(vms, 3);
	check_int(json_array_size(across), 1);
	check_string(text(json_array_get(across, 0), "text"),
		     "flood towards 10.0.0.9 port 80 from vm2 and vm3");
	json_decref(across);
	across = suspects_across(vms, 2);
	check_int(json_array_size(across), 0);
	json_decref(across);
	for (size_t i = 0; i < 20; i++)
		vms[i] = (struct suspect_vm){"vm", found, network_up, 1};
	across = suspects_across(vms, 20);
	check(strstr(text(json_array_get(across, 0), "text"), "vm, vm and 10 others"));
	check_int(size_of(json_array_get(across, 0), "vms"), 20);
}

static void test_suspects_across_odd_json(void)
{
	cleanup(json_decref) json_t *odd =
		json_pack("{s:[i,n,s], s:[{s:i}, s, {s:s, s:s, s:s}], s:s}", "addresses", 1, "a",
			  "peers", "peer", 5, "x", "peer", "a", "connections", "many", "share",
			  "no", "patterns", "none");
	cleanup(json_decref) json_t *across = NULL;
	const struct suspect_vm vms[] = {{"a", odd, NULL, 0}, {"b", odd, NULL, 0}};

	check(odd);
	across = suspects_across(vms, 2);
	check_int(json_array_size(across), 0);
	json_decref(across);
	across = suspects_across(NULL, 0);
	check_int(json_array_size(across), 0);
}

TEST_MAIN(TEST(test_suspects_across_resource_freeing), TEST(test_suspects_across_claimed_address),
	  TEST(test_suspects_across_time_wait_is_no_denial), TEST(test_suspects_denial_is_one_rule),
	  TEST(test_suspects_across_flood), TEST(test_suspects_across_odd_json))
