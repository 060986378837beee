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

static void test_wire_deltas_round_trip(void)
{
	cleanup(free) uint8_t *data = NULL;
	struct wire_delta items[] = {{0, 0}, {20, 2.5}};
	struct wire_message in = {
		.type = WIRE_DELTAS,
		.deltas = {.epoch = 77, .version = 9, .items = items, .count = 2}};
	struct wire_message out;
	size_t size;

	check_int(wire_encode(&in, &data, &size, NULL), 0);
	check_int(wire_decode(data, size, &out, NULL), 0);
	check_int(out.type, WIRE_DELTAS);
	check_int(out.deltas.epoch, 77);
	check_int(out.deltas.version, 9);
	check_int(out.deltas.count, 2);
	check_int(out.deltas.items[1].series, 20);
	check_near(out.deltas.items[1].delta, 2.5, 0);
	wire_message_deinit(&out);
}

static void test_wire_frame_tells_deltas(void)
{
	cleanup(free) uint8_t *data = NULL;
	uint8_t payload[] = {1, 2, 3};
	struct wire_delta items[] = {{3, 0.125}};
	struct wire_message in = {.type = WIRE_FRAME,
				  .frame = {.epoch = 77,
					    .payload = payload,
					    .payload_size = 3,
					    .delta_version = 9,
					    .deltas = items,
					    .delta_count = 1}};
	struct wire_message out;
	size_t size;

	check_int(wire_encode(&in, &data, &size, NULL), 0);
	check_int(wire_decode(data, size, &out, NULL), 0);
	check_int(out.frame.payload_size, 3);
	check_int(out.frame.delta_version, 9);
	check_int(out.frame.delta_count, 1);
	check_near(out.frame.deltas[0].delta, 0.125, 0);
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

/* Whatever is decoded keeps the order and the limits. */
static void test_wire_deltas_survive_mutations(void)
{
	cleanup(free) uint8_t *data = NULL;
	struct wire_delta items[] = {{1, 0.5}, {2, 8}, {300, 1e9}};
	struct wire_message in = {
		.type = WIRE_DELTAS,
		.deltas = {.epoch = 77, .version = 9, .items = items, .count = 3}};
	struct wire_message out;
	size_t size;

	check_int(wire_encode(&in, &data, &size, NULL), 0);
	for (int round = 0; round < 20000; round++) {
		size_t place = next_random() % size;
		uint8_t was = data[place];

		data[place] = (uint8_t)next_random();
		if (wire_decode(data, size - (round % 3 == 0), &out, NULL) == 0) {
			for (size_t i = 1; out.type == WIRE_DELTAS && i < out.deltas.count; i++)
				check(out.deltas.items[i].series > out.deltas.items[i - 1].series);
			wire_message_deinit(&out);
		}
		data[place] = was;
	}
}

static void test_wire_deltas_are_checked(void)
{
	struct wire_delta items[] = {{4, 1}, {4, 1}};
	struct wire_message message = {
		.type = WIRE_DELTAS,
		.deltas = {.epoch = 1, .version = 1, .items = items, .count = 2}};

	check_refused(&message); /* a series twice */
	items[1] = (struct wire_delta){5, NAN};
	check_refused(&message);
	items[1].delta = -1;
	check_refused(&message);
	items[1] = (struct wire_delta){WIRE_SERIES_MAX, 1};
	check_refused(&message);
	message.deltas.count = 1;
	message.deltas.version = 0;
	check_refused(&message);
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

static void test_wire_text_of_any_bytes(void)
{
	char bytes[WIRE_NAME_MAX + 9], text[WIRE_NAME_MAX + 1];

	wire_make_text("a\0b\n\xc3\xa4 \xe2\x80\xae\xc3", 11, text);
	check_string(text, "a?b?\xc3\xa4 ????");
	wire_make_text("\xc3\xa4", 1, text); /* what follows is not its own */
	check_string(text, "?");
	wire_make_text("", 0, text);
	check_string(text, "");
	for (size_t i = 0; i + 1 < sizeof(bytes); i += 2)
		memcpy(bytes + i, "\xc3\xa4", 2);
	wire_make_text(bytes, sizeof(bytes), text);
	check_int(strlen(text), WIRE_NAME_MAX - 1);
}

static struct wire_message act_message(enum wire_act_kind kind)
{
	return (struct wire_message){.type = WIRE_ACT,
				     .act = {.action = UINT64_MAX - 1,
					     .alarm = 3,
					     .vm = {.bytes = {1, 2, 3}},
					     .kind = kind,
					     .timeout_usec = WIRE_ACT_TIMEOUT_USEC_MAX,
					     .who = "operator anna",
					     .command = "",
					     .peer = "",
					     .address = ""}};
}

static struct wire_message end_message(void)
{
	struct wire_message message = act_message(WIRE_ACT_END_PROCESS);

	message.act.pid = INT32_MAX;
	message.act.start_nsec = UINT64_MAX;
	message.act.command = "-rf \xc3\xa4";
	return message;
}

static struct wire_message contain_message(void)
{
	struct wire_message message = act_message(WIRE_ACT_CONTAIN);

	message.act.peer = "2001:DB8::1";
	message.act.address = "192.0.2.7";
	message.act.rate = UINT32_MAX;
	message.act.expiry_usec = WIRE_ACT_EXPIRY_USEC_MAX;
	return message;
}

/* Encoded and decoded again: 0, and what is to be let go of. */
static int round_trip(const struct wire_message *in, struct wire_message *ret_out)
{
	cleanup(free) uint8_t *data = NULL;
	size_t size;
	int r = wire_encode(in, &data, &size, NULL);

	if (r == 0)
		r = wire_decode(data, size, ret_out, NULL);
	return r;
}

static void test_wire_act_round_trip(void)
{
	struct wire_message in = end_message(), out;

	in.act.dry_run = true;
	check_int(round_trip(&in, &out), 0);
	check_int(out.type, WIRE_ACT);
	check(out.act.action == UINT64_MAX - 1);
	check_int(out.act.alarm, 3);
	check(vm_uuid_equal(&out.act.vm, &in.act.vm));
	check_int(out.act.kind, WIRE_ACT_END_PROCESS);
	check(out.act.dry_run);
	check_int(out.act.timeout_usec, WIRE_ACT_TIMEOUT_USEC_MAX);
	check_string(out.act.who, "operator anna");
	check_int(out.act.pid, INT32_MAX);
	check(out.act.start_nsec == UINT64_MAX);
	check_string(out.act.command, "-rf \xc3\xa4");
	check_string(out.act.peer, "");
	wire_message_deinit(&out);
	in = contain_message();
	check_int(round_trip(&in, &out), 0);
	check(!out.act.dry_run);
	check_string(out.act.peer, "2001:DB8::1");
	check_string(out.act.address, "192.0.2.7");
	check(out.act.rate == UINT32_MAX);
	check_int(out.act.expiry_usec, WIRE_ACT_EXPIRY_USEC_MAX);
	wire_message_deinit(&out);
	in = act_message(WIRE_ACT_RELEASE);
	in.act.undoes = UINT64_MAX;
	check_int(round_trip(&in, &out), 0);
	check_int(out.act.kind, WIRE_ACT_RELEASE);
	check(out.act.undoes == UINT64_MAX);
	wire_message_deinit(&out);
}

static void test_wire_act_limits_are_checked(void)
{
	static const int64_t timeouts[] = {0, -1, WIRE_ACT_TIMEOUT_USEC_MAX + 1, INT64_MAX},
			     expiries[] = {0, -1, WIRE_ACT_EXPIRY_USEC_MIN - 1,
					   WIRE_ACT_EXPIRY_USEC_MAX + 1};
	static char *const addresses[] = {"", "10.0.0.1/8", "fe80::1%eth0", "10.0.0.1 ",
					  "10.0.0.1}; flush ruleset"};
	struct wire_message message;
	char digits[WIRE_ADDRESS_MAX + 2], big[WIRE_NAME_MAX + 2];

	for (size_t i = 0; i < sizeof(timeouts) / sizeof(timeouts[0]); i++) {
		message = end_message();
		message.act.timeout_usec = timeouts[i];
		check_refused(&message);
		message = contain_message();
		message.act.expiry_usec = expiries[i];
		check_refused(&message);
	}
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		message = contain_message();
		message.act.peer = addresses[i];
		check_refused(&message);
	}
	memset(digits, '1', sizeof(digits) - 1);
	digits[sizeof(digits) - 1] = '\0';
	message = contain_message();
	message.act.address = digits;
	check_refused(&message);
	memset(big, 'a', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	message = end_message();
	message.act.command = big;
	check_refused(&message);
	message.act.command = "";
	message.act.who = "anna\nroot";
	check_refused(&message);
}

static void test_wire_act_numbers_are_checked(void)
{
	struct wire_message message = end_message();

	message.act.pid = 0;
	check_refused(&message);
	message.act.pid = (uint32_t)INT32_MAX + 1;
	check_refused(&message);
	message = act_message(WIRE_ACT_PAUSE);
	message.act.alarm = -1;
	check_refused(&message);
	message = act_message(WIRE_ACT_KIND_COUNT);
	check_refused(&message);
	message = act_message((enum wire_act_kind) - 1);
	check_refused(&message);
}

/* The other end may be anything. */
static void test_wire_act_bad_bytes_are_refused(void)
{
	static const uint8_t no_vm[] = {0x42, 0x02, 0x20, 0x03}, /* a pause, nothing else */
		bad_kind[] = {0x42, 0x1a, 0x1a, 0x10, 0,    0,    0,    0,   0, 0,
			      0,    0,    0,    0,    0,    0,    0,    0,   0, 0,
			      0x20, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x30, 0x01},
			     bad_status[] = {0x4a, 0x02, 0x10, 0x05};
	struct error err = ERROR_INIT;
	struct wire_message out;

	check_int(wire_decode(no_vm, sizeof(no_vm), &out, &err), -EBADMSG);
	check(strstr(err.text, "UUID") != NULL);
	check_int(wire_decode(bad_kind, sizeof(bad_kind), &out, &err), -EBADMSG);
	check(strstr(err.text, "kind") != NULL);
	check_int(wire_decode(bad_status, sizeof(bad_status), &out, &err), -EBADMSG);
	check(strstr(err.text, "status") != NULL);
}

static void test_wire_act_kinds_and_statuses_have_names(void)
{
	enum wire_outcome_status status;
	enum wire_act_kind kind;

	for (unsigned i = 0; i < WIRE_ACT_KIND_COUNT; i++) {
		check_int(wire_act_kind_parse(wire_act_kind_name((enum wire_act_kind)i), &kind), 0);
		check_int(kind, i);
	}
	check_string(wire_act_kind_name(WIRE_ACT_END_PROCESS), "end-process");
	for (unsigned i = 0; i <= WIRE_OUTCOME_UNKNOWN; i++) {
		check_int(wire_outcome_status_parse(
				  wire_outcome_status_name((enum wire_outcome_status)i), &status),
			  0);
		check_int(status, i);
	}
	check_int(wire_outcome_status_parse("dead", &status), -EINVAL);
	check_int(wire_act_kind_parse("reboot", &kind), -EINVAL);
	check_int(wire_act_kind_parse("", &kind), -EINVAL);
}

static void test_wire_outcome_round_trip(void)
{
	uint8_t report[] = {0, 1, 2, 255};
	struct wire_message in = {.type = WIRE_OUTCOME,
				  .outcome = {.action = UINT64_MAX,
					      .status = WIRE_OUTCOME_PENDING,
					      .reason = "it sleeps where nothing wakes it",
					      .report = report,
					      .report_size = sizeof(report)}};
	struct wire_message out;

	check_int(round_trip(&in, &out), 0);
	check_int(out.type, WIRE_OUTCOME);
	check(out.outcome.action == UINT64_MAX);
	check_int(out.outcome.status, WIRE_OUTCOME_PENDING);
	check_string(out.outcome.reason, "it sleeps where nothing wakes it");
	check_int(out.outcome.report_size, sizeof(report));
	check(memcmp(out.outcome.report, report, sizeof(report)) == 0);
	wire_message_deinit(&out);
	in.outcome.reason = "";
	in.outcome.report_size = 0;
	check_int(round_trip(&in, &out), 0);
	check_string(out.outcome.reason, "");
	check_int(out.outcome.report_size, 0);
	wire_message_deinit(&out);
	in.outcome.status = (enum wire_outcome_status)5;
	check_refused(&in);
	in.outcome.status = WIRE_OUTCOME_DONE;
	in.outcome.reason = "bell \a";
	check_refused(&in);
}

/* Every byte of an act replaced at random: what is taken is within the limits. */
static void test_wire_act_survives_mutations(void)
{
	cleanup(free) uint8_t *data = NULL;
	struct wire_message in = contain_message(), out;
	size_t size;

	check_int(wire_encode(&in, &data, &size, NULL), 0);
	for (int round = 0; round < 20000; round++) {
		size_t place = next_random() % size;
		uint8_t was = data[place];

		data[place] = (uint8_t)next_random();
		if (wire_decode(data, size - (round % 3 == 0), &out, NULL) == 0) {
			check(out.type != WIRE_ACT || (out.act.kind < WIRE_ACT_KIND_COUNT &&
						       strlen(out.act.peer) <= WIRE_ADDRESS_MAX &&
						       out.act.timeout_usec > 0));
			wire_message_deinit(&out);
		}
		data[place] = was;
	}
}

TEST_MAIN(TEST(test_wire_deltas_round_trip), TEST(test_wire_frame_tells_deltas),
	  TEST(test_wire_deltas_are_checked), TEST(test_wire_deltas_survive_mutations),
	  TEST(test_wire_introspect_round_trip), TEST(test_wire_findings_round_trip),
	  TEST(test_wire_text_of_any_bytes), TEST(test_wire_act_round_trip),
	  TEST(test_wire_act_limits_are_checked), TEST(test_wire_act_numbers_are_checked),
	  TEST(test_wire_act_bad_bytes_are_refused),
	  TEST(test_wire_act_kinds_and_statuses_have_names), TEST(test_wire_outcome_round_trip),
	  TEST(test_wire_act_survives_mutations), TEST(test_wire_epoch_round_trip),
	  TEST(test_wire_hello_and_refused_round_trip), TEST(test_wire_settings_keep_each_delta),
	  TEST(test_wire_limits_are_checked), TEST(test_wire_unknown_type_is_named),
	  TEST(test_wire_survives_mutations))
