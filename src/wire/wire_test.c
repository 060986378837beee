/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/wire.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/test.h"

/* protobuf allocates what bytes say: message limits bound it, and so the mutations stay small. */
static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

enum { VMS = 3 };

static struct wire_vm vms[VMS] = {
	{.uuid = {{1}}, .name = "vm1", .instance = "", .project = "shop", .vcpus = 1},
	{.uuid = {{2}}, .name = "vm\xc3\xa4", .instance = "i-2", .project = "", .vcpus = 4},
	{.uuid = {{3}}, .name = "vm3", .instance = "", .project = "", .vcpus = 2},
};
static double deltas[VMS * METRIC_PAPER_COUNT];

static struct wire_message epoch_message(void)
{
	return (struct wire_message){.type = WIRE_EPOCH,
				     .epoch = {.epoch = 77,
					       .interval_usec = 1000000,
					       .metrics = METRIC_SET_PAPER,
					       .vms = vms,
					       .vm_count = VMS,
					       .deltas = deltas}};
}

static void test_wire_epoch_round_trip(void)
{
	cleanup(free) uint8_t *data = NULL;
	struct wire_message in = epoch_message(), out;
	size_t size;

	deltas[20] = 2.5;
	check_int(wire_encode(&in, &data, &size, NULL), 0);
	check_int(wire_decode(data, size, &out, NULL), 0);
	check_int(out.type, WIRE_EPOCH);
	check_int(out.epoch.vm_count, VMS);
	check_string(out.epoch.vms[1].name, "vm\xc3\xa4");
	check_string(out.epoch.vms[0].instance, "");
	check(vm_uuid_equal(&out.epoch.vms[2].uuid, &vms[2].uuid));
	check_near(out.epoch.deltas[20], 2.5, 0);
	wire_message_deinit(&out);
}

static void test_wire_hello_and_refused_round_trip(void)
{
	cleanup(free) uint8_t *data = NULL;
	struct wire_message in = {.type = WIRE_HELLO,
				  .hello = {.version = WIRE_VERSION,
					    .node = "host-a",
					    .host = "",
					    .instance = 0xfedcba9876543210u,
					    .software = "0.1.0",
					    .hypervisor = "qemu"}};
	struct wire_message out;
	size_t size;

	check_int(wire_encode(&in, &data, &size, NULL), 0);
	check_int(wire_decode(data, size, &out, NULL), 0);
	check(out.hello.instance == in.hello.instance);
	check_string(out.hello.host, "");
	wire_message_deinit(&out);
	free(keep(data));
	in = (struct wire_message){.type = WIRE_REFUSED,
				   .refused = {.reason = "choose another name"}};
	check_int(wire_encode(&in, &data, &size, NULL), 0);
	check_int(wire_decode(data, size, &out, NULL), 0);
	check_string(out.refused.reason, "choose another name");
	wire_message_deinit(&out);
}

static void test_wire_settings_keep_each_delta(void)
{
	cleanup(free) uint8_t *data = NULL;
	struct wire_message in = {
		.type = WIRE_SETTINGS,
		.settings = {.interval_usec = 10000000,
			     .metrics = METRIC_SET_PAPER | 1u << METRIC_MEMORY_RESIDENT}};
	struct wire_message out;
	size_t size;

	in.settings.deltas[METRIC_NETWORK_OUT] = 3;
	in.settings.deltas[METRIC_MEMORY_RESIDENT] = 4096;
	check_int(wire_encode(&in, &data, &size, NULL), 0);
	check_int(wire_decode(data, size, &out, NULL), 0);
	check_near(out.settings.deltas[METRIC_NETWORK_OUT], 3, 0);
	check_near(out.settings.deltas[METRIC_MEMORY_RESIDENT], 4096, 0);
	wire_message_deinit(&out);
}

static void check_refused(const struct wire_message *message)
{
	cleanup(free) uint8_t *data = NULL;
	struct error err = ERROR_INIT;
	size_t size;

	check_int(wire_encode(message, &data, &size, &err), -EINVAL);
	check(err.text[0]);
}

static void test_wire_limits_are_checked(void)
{
	struct wire_message message = epoch_message();
	struct wire_vm twice[2] = {vms[0], vms[0]};
	char big[WIRE_NAME_MAX + 2];

	memset(big, 'a', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	message.epoch.interval_usec = 1;
	check_refused(&message);
	message = epoch_message();
	message.epoch.metrics = 1;
	check_refused(&message);
	message = epoch_message();
	message.epoch.vms = twice;
	message.epoch.vm_count = 2;
	check_refused(&message);
	message = (struct wire_message){.type = WIRE_REFUSED, .refused = {.reason = big}};
	check_refused(&message);
	message.refused.reason = "bell \a";
	check_refused(&message);
	message.refused.reason = "\xc0\xaf";
	check_refused(&message);
	message.refused.reason = "\xed\xa0\x80";
	check_refused(&message);
}

static void test_wire_unknown_type_is_named(void)
{
	static const uint8_t unknown[] = {0xfa, 0x01, 0x00}; /* field 31, an empty message */
	struct wire_message out;

	check_int(wire_decode(unknown, sizeof(unknown), &out, NULL), -ENOTSUP);
}

/* Every truncation and many mutations of a real message: refused, or within the limits; nothing
 * leaks. */
static void test_wire_survives_mutations(void)
{
	cleanup(free) uint8_t *data = NULL;
	struct wire_message in = epoch_message(), out;
	size_t size;

	check_int(wire_encode(&in, &data, &size, NULL), 0);
	for (size_t cut = 0; cut < size; cut++)
		if (wire_decode(data, cut, &out, NULL) == 0)
			wire_message_deinit(&out);
	for (int round = 0; round < 100000; round++) {
		size_t place = next_random() % size;
		uint8_t was = data[place];

		data[place] = (uint8_t)next_random();
		if (wire_decode(data, size, &out, NULL) == 0) {
			check(out.type != WIRE_EPOCH ||
			      wire_series_count(&out.epoch) <= WIRE_SERIES_MAX);
			wire_message_deinit(&out);
		}
		data[place] = was;
	}
}

static void test_wire_introspect_round_trip(void)
{
	cleanup(free) uint8_t *data = NULL;
	struct wire_message in = {.type = WIRE_INTROSPECT,
				  .introspect = {.request = 7,
						 .alarm = 3,
						 .vm = {.bytes = {1, 2, 3}},
						 .views = {"top", "net"},
						 .view_count = 2,
						 .interval_usec = 500000,
						 .budget_usec = 2000000,
						 .metrics = {{METRIC_NETWORK_OUT, 9.5, -0.25}},
						 .metric_count = 1}};
	struct wire_message out;
	size_t size;

	check_int(wire_encode(&in, &data, &size, NULL), 0);
	check_int(wire_decode(data, size, &out, NULL), 0);
	check_int(out.type, WIRE_INTROSPECT);
	check_int((int64_t)out.introspect.request, 7);
	check_int(out.introspect.alarm, 3);
	check(vm_uuid_equal(&out.introspect.vm, &in.introspect.vm));
	check_int(out.introspect.view_count, 2);
	check_string(out.introspect.views[1], "net");
	check_int(out.introspect.budget_usec, 2000000);
	check_int(out.introspect.metrics[0].metric, METRIC_NETWORK_OUT);
	check_near(out.introspect.metrics[0].change, -0.25, 0);
	wire_message_deinit(&out);
	in.introspect.views[1] = "net;rm";
	check_refused(&in);
	in.introspect.views[1] = "net";
	in.introspect.budget_usec = 0;
	check_refused(&in);
}

static void test_wire_findings_round_trip(void)
{
	cleanup(free) uint8_t *data = NULL;
	uint8_t report[] = {0, 1, 2, 255};
	struct wire_message in = {.type = WIRE_FINDINGS,
				  .findings = {.request = UINT64_MAX,
					       .status = WIRE_FINDINGS_REFUSED,
					       .reason = "the node's policy allows no looking in",
					       .report = report,
					       .report_size = sizeof(report)}};
	struct wire_message out;
	size_t size;

	check_int(wire_encode(&in, &data, &size, NULL), 0);
	check_int(wire_decode(data, size, &out, NULL), 0);
	check_int(out.type, WIRE_FINDINGS);
	check(out.findings.request == UINT64_MAX);
	check_int(out.findings.status, WIRE_FINDINGS_REFUSED);
	check_int(out.findings.report_size, sizeof(report));
	check(memcmp(out.findings.report, report, sizeof(report)) == 0);
	wire_message_deinit(&out);
	in.findings.status = (enum wire_findings_status)9;
	check_refused(&in);
}

TEST_MAIN(TEST(test_wire_introspect_round_trip), TEST(test_wire_findings_round_trip),
	  TEST(test_wire_epoch_round_trip), TEST(test_wire_hello_and_refused_round_trip),
	  TEST(test_wire_settings_keep_each_delta), TEST(test_wire_limits_are_checked),
	  TEST(test_wire_unknown_type_is_named), TEST(test_wire_survives_mutations))
