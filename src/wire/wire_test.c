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

TEST_MAIN(TEST(test_wire_epoch_round_trip), TEST(test_wire_hello_and_refused_round_trip),
	  TEST(test_wire_settings_keep_each_delta), TEST(test_wire_limits_are_checked),
	  TEST(test_wire_unknown_type_is_named), TEST(test_wire_survives_mutations))
