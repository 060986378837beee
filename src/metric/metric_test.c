/* SPDX-License-Identifier: Apache-2.0 */
#include "metric/metric.h"

#include <errno.h>

#include "base/test.h"

static void test_metric_names_round_trip(void)
{
	for (unsigned i = 0; i < METRIC_COUNT; i++) {
		enum metric metric;

		check_int(metric_parse(metric_info((enum metric)i)->name, &metric), 0);
		check_int(metric, i);
		check(metric_info(metric)->default_delta >= 0);
	}
}

static void test_metric_unknown_name(void)
{
	enum metric metric;

	check_int(metric_parse("cpuutilization", &metric), -ENOENT);
}

static void test_metric_names_are_the_tables(void)
{
	char names[sizeof(METRIC_NAMES) + METRIC_COUNT * 64] = "";

	for (int i = 0; i < METRIC_COUNT; i++) {
		size_t used = strlen(names);

		(void)snprintf(names + used, sizeof(names) - used, "%s%s", i ? "|" : "",
			       metric_info((enum metric)i)->name);
	}
	check_string(METRIC_NAMES, names);
}

static void test_vm_uuid_round_trip(void)
{
	char text[VM_UUID_TEXT_SIZE];
	struct vm_uuid uuid;

	check_int(vm_uuid_parse("00000000-0000-4000-8000-0000000000AB", &uuid), 0);
	check_string(vm_uuid_format(&uuid, text), "00000000-0000-4000-8000-0000000000ab");
}

static void test_vm_uuid_bad_text(void)
{
	struct vm_uuid uuid;

	check_int(vm_uuid_parse("", &uuid), -EINVAL);
	check_int(vm_uuid_parse("00000000-0000-4000-8000-0000000000a", &uuid), -EINVAL);
	check_int(vm_uuid_parse("00000000x0000-4000-8000-0000000000ab", &uuid), -EINVAL);
	check_int(vm_uuid_parse("0000000g-0000-4000-8000-0000000000ab", &uuid), -EINVAL);
}

static void test_vm_uuid_from_name_is_stable_and_distinct(void)
{
	struct vm_uuid a = vm_uuid_from_name("vm1"), b = vm_uuid_from_name("vm2");
	struct vm_uuid again = vm_uuid_from_name("vm1");

	check(vm_uuid_equal(&a, &again));
	check(!vm_uuid_equal(&a, &b));
}

TEST_MAIN(TEST(test_metric_names_round_trip), TEST(test_metric_unknown_name),
	  TEST(test_metric_names_are_the_tables), TEST(test_vm_uuid_round_trip),
	  TEST(test_vm_uuid_bad_text), TEST(test_vm_uuid_from_name_is_stable_and_distinct))
