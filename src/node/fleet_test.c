/* SPDX-License-Identifier: Apache-2.0 */
/* The fleet against a receiver as the controller is one: what it decodes is held against the true
 * values at every tick. */
#include "node/fleet.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/test.h"
#include "track/grid.h"
#include "wire/codec.h"

enum { SECOND = 1000000, VMS = 3, SERIES_MAX = VMS * METRIC_PAPER_COUNT, TICKS = 2000 };

/* What the controller has: the epoch, and per series the value or a gap. */
struct receiver {
	uint64_t epoch, sequence, delta_version;
	size_t vms, entries;
	struct codec *codec;
	double deltas[SERIES_MAX], values[SERIES_MAX];
	bool known[SERIES_MAX], gap[SERIES_MAX];
	char first_name[64];
};

struct world {
	struct fleet *fleet;
	struct receiver receiver;
	struct vm_reading vms[VMS];
	struct hypervisor_snapshot snapshot;
};

static void open_world(struct world *world)
{
	struct wire_settings settings = {.interval_usec = SECOND, .metrics = METRIC_SET_PAPER};

	*world = (struct world){.fleet = fleet_new()};
	for (size_t i = 0; i < METRIC_COUNT; i++)
		settings.deltas[i] = (double)i;
	fleet_set_settings(world->fleet, &settings);
	for (size_t i = 0; i < VMS; i++) {
		world->vms[i] = (struct vm_reading){.run_id = 1, .vcpus = 1};
		world->vms[i].uuid.bytes[0] = (uint8_t)(i + 1);
		(void)snprintf(world->vms[i].name, sizeof(world->vms[i].name), "vm%zu", i + 1);
	}
	world->snapshot.count = VMS;
	world->snapshot.vms = world->vms;
	world->snapshot.watermark_usec = SECOND;
	log_init("fleet_test", LOG_LEVEL_ERROR);
}

static void close_world(struct world *world)
{
	codec_free(world->receiver.codec);
	fleet_free(world->fleet);
}

static void set_value(struct world *world, size_t vm, enum metric metric, double value)
{
	world->vms[vm].readings[metric] = (struct reading){.kind = READING_VALUE, .value = value};
}

static void set_all(struct world *world, double value)
{
	for (size_t i = 0; i < VMS; i++)
		for (size_t j = 0; j < METRIC_PAPER_COUNT; j++)
			set_value(world, i, (enum metric)j, value);
}

static int32_t exponent_of(double delta)
{
	int exponent;

	return track_grid_exponent(delta, &exponent) ? exponent : CODEC_NO_GRID;
}

static int receive_epoch(struct receiver *receiver, const struct wire_epoch *epoch)
{
	int32_t exponents[SERIES_MAX];
	size_t count = wire_series_count(epoch);

	if (count > SERIES_MAX || epoch->epoch <= receiver->epoch)
		return -1;
	for (size_t i = 0; i < count; i++) {
		receiver->deltas[i] = epoch->deltas[i];
		exponents[i] = exponent_of(epoch->deltas[i]);
		receiver->known[i] = false;
	}
	receiver->epoch = epoch->epoch;
	receiver->delta_version = epoch->delta_version;
	receiver->vms = epoch->vm_count;
	if (epoch->vm_count > 0)
		(void)snprintf(receiver->first_name, sizeof(receiver->first_name), "%s",
			       epoch->vms[0].name);
	codec_free(receiver->codec);
	return codec_new(exponents, count, &receiver->codec);
}

static void receive_deltas(struct receiver *receiver, const struct wire_frame *frame)
{
	if (frame->delta_version == 0)
		return;
	receiver->delta_version = frame->delta_version;
	for (size_t i = 0; i < frame->delta_count; i++) {
		uint32_t series = frame->deltas[i].series;

		receiver->deltas[series] = frame->deltas[i].delta;
		codec_set_exponent(receiver->codec, series, exponent_of(frame->deltas[i].delta));
	}
}

static int receive_frame(struct receiver *receiver, const struct wire_frame *frame)
{
	struct codec_entry entries[SERIES_MAX];
	struct error err = ERROR_INIT;

	if (frame->epoch != receiver->epoch)
		return -1;
	receive_deltas(receiver, frame);
	if (codec_decode(receiver->codec, frame->payload, frame->payload_size, entries,
			 &receiver->entries, &err) < 0)
		return -1;
	receiver->sequence = frame->sequence;
	for (size_t i = 0; i < receiver->entries; i++) {
		receiver->known[entries[i].series] = true;
		receiver->gap[entries[i].series] = entries[i].gap;
		receiver->values[entries[i].series] = entries[i].value;
	}
	return 0;
}

static int receive(struct receiver *receiver, uint8_t *data, size_t size)
{
	struct wire_message message;
	int r = wire_decode(data, size, &message, NULL);

	free(data);
	if (r < 0)
		return r;
	r = message.type == WIRE_EPOCH ? receive_epoch(receiver, &message.epoch)
				       : receive_frame(receiver, &message.frame);
	wire_message_deinit(&message);
	return r;
}

/* One tick, with an epoch before its frame where one is due, as link.c does it. */
static int send_tick(struct world *world)
{
	uint8_t *data;
	size_t size;

	world->snapshot.watermark_usec += SECOND;
	if (fleet_take(world->fleet, &world->snapshot) < 0)
		return -1;
	if (!fleet_has_epoch(world->fleet)) {
		if (fleet_begin_epoch(world->fleet, world->receiver.epoch + 1, &data, &size, NULL) <
			    0 ||
		    receive(&world->receiver, data, size) < 0)
			return -1;
	}
	if (fleet_make_frame(world->fleet, &data, &size, NULL) < 0)
		return -1;
	return receive(&world->receiver, data, size);
}

/* |f - g| <= delta for each series of the receiver, or both are a gap. */
static bool guarantee_holds(const struct world *world)
{
	const struct receiver *receiver = &world->receiver;

	for (size_t i = 0; i < receiver->vms * METRIC_PAPER_COUNT; i++) {
		const struct vm_reading *vm = &world->snapshot.vms[i / METRIC_PAPER_COUNT];
		const struct reading *reading = &vm->readings[i % METRIC_PAPER_COUNT];
		bool absent = reading->kind == READING_ABSENT;

		if (!receiver->known[i] || receiver->gap[i] != absent)
			return false;
		if (!absent && !(fabs(reading->value - receiver->values[i]) <= receiver->deltas[i]))
			return false;
	}
	return true;
}

/* Other maximum errors for some series, exact ones among them. */
static int send_deltas(struct world *world, uint64_t version)
{
	struct wire_delta items[SERIES_MAX];
	struct wire_deltas deltas = {
		.epoch = world->receiver.epoch, .version = version, .items = items};

	for (uint32_t i = 0; i < world->receiver.vms * METRIC_PAPER_COUNT; i++)
		if (random() % 3 == 0)
			items[deltas.count++] = (struct wire_delta){i, (double)(random() % 40) / 4};
	return fleet_set_deltas(world->fleet, &deltas);
}

static void test_fleet_first_frame_holds_every_series(void)
{
	struct world world;

	open_world(&world);
	check(!fleet_has_tick(world.fleet));
	check(!fleet_is_listed(world.fleet));
	set_all(&world, 12.5);
	set_value(&world, 1, METRIC_NETWORK_IN, NAN);
	world.vms[2].readings[METRIC_NETWORK_OUT].kind = READING_ABSENT;
	world.vms[1].readings[METRIC_NETWORK_IN].kind = READING_ABSENT;
	check_int(send_tick(&world), 0);
	check_int(world.receiver.sequence, 0);
	check_int(world.receiver.entries, SERIES_MAX);
	check(guarantee_holds(&world));
	check_int(send_tick(&world), 0);
	check_int(world.receiver.sequence, 1);
	check_int(world.receiver.entries, 0); /* nothing has changed: a heartbeat */
	close_world(&world);
}

/* Random walks and gaps, what ends an epoch, and other maximum errors, at random: the guarantee
 * holds after every tick, with the errors that the receiver was told. */
static void test_fleet_guarantee_over_epochs(void)
{
	struct world world;
	uint64_t version = 0;
	double value = 0;

	open_world(&world);
	srandom(7);
	for (int tick = 0; tick < TICKS; tick++) {
		for (size_t i = 0; i < SERIES_MAX; i++) {
			size_t vm = i / METRIC_PAPER_COUNT;
			enum metric metric = (enum metric)(i % METRIC_PAPER_COUNT);

			value += (double)(random() % 2001 - 1000) / 100;
			set_value(&world, vm, metric, value);
			if (random() % 50 == 0)
				world.vms[vm].readings[metric].kind = READING_ABSENT;
		}
		if (random() % 20 == 0)
			world.snapshot.count = (size_t)random() % (VMS + 1);
		if (random() % 20 == 0)
			fleet_end_epoch(world.fleet); /* as a lost connection does */
		if (random() % 5 == 0 && send_deltas(&world, version + 1) > 0)
			version++;
		check_int(send_tick(&world), 0);
		check_int(world.receiver.delta_version, version);
		check_int(world.receiver.vms, world.snapshot.count);
		check(guarantee_holds(&world));
	}
	check(world.receiver.epoch > 50);
	check(version > 200);
	close_world(&world);
}

static void test_fleet_change_of_vms_or_names_begins_an_epoch(void)
{
	struct world world;

	open_world(&world);
	set_all(&world, 1);
	check_int(send_tick(&world), 0);
	check_int(world.receiver.epoch, 1);
	world.snapshot.count = 2;
	check_int(send_tick(&world), 0);
	check_int(world.receiver.epoch, 2);
	check_int(world.receiver.vms, 2);
	(void)strcpy(world.vms[0].name, "renamed");
	check_int(send_tick(&world), 0);
	check_int(world.receiver.epoch, 3);
	check_string(world.receiver.first_name, "renamed");
	world.vms[0].vcpus = 4;
	check_int(send_tick(&world), 0);
	check_int(world.receiver.epoch, 4);
	world.snapshot.count = 0;
	check_int(send_tick(&world), 0);
	check_int(world.receiver.vms, 0);
	close_world(&world);
}

/* A VM that comes between others takes its place by UUID, as the snapshot has it. */
static void test_fleet_vm_comes_between_others(void)
{
	struct world world;
	struct vm_reading middle;

	open_world(&world);
	set_all(&world, 1);
	for (size_t i = 0; i < VMS; i++)
		set_value(&world, i, METRIC_NETWORK_IN, 100 * (double)(i + 1));
	middle = world.vms[1];
	world.vms[1] = world.vms[2];
	world.snapshot.count = 2;
	check_int(send_tick(&world), 0);
	check(guarantee_holds(&world));
	world.vms[2] = world.vms[1];
	world.vms[1] = middle;
	world.snapshot.count = 3;
	check_int(send_tick(&world), 0);
	check(guarantee_holds(&world));
	close_world(&world);
}

static void test_fleet_new_settings_begin_an_epoch(void)
{
	struct wire_settings settings = {.interval_usec = SECOND, .metrics = METRIC_SET_PAPER};
	struct world world;

	open_world(&world);
	set_all(&world, 3.25);
	check_int(send_tick(&world), 0);
	for (size_t i = 0; i < METRIC_COUNT; i++)
		settings.deltas[i] = 0;
	fleet_set_settings(world.fleet, &settings);
	check(!fleet_has_epoch(world.fleet));
	check(!fleet_has_tick(world.fleet));
	check(fleet_is_listed(world.fleet)); /* its VMs are known all the same */
	check_int(send_tick(&world), 0);
	check_int(world.receiver.epoch, 2);
	check_near(world.receiver.deltas[METRIC_NETWORK_OUT], 0, 0);
	check(guarantee_holds(&world)); /* exact now */
	close_world(&world);
}

static void test_fleet_deltas_are_in_force_with_the_next_frame(void)
{
	struct wire_delta items[] = {{METRIC_NETWORK_IN, 0.25}, {METRIC_DISK_READ_OPS, 50}};
	struct wire_deltas deltas = {.epoch = 1, .version = 7, .items = items, .count = 2};
	struct world world;

	open_world(&world);
	set_all(&world, 10);
	check_int(send_tick(&world), 0);
	set_all(&world, 10.5);
	check_int(send_tick(&world), 0); /* within all but the first, which is exact */
	check_int(world.receiver.entries, VMS);
	check_int(fleet_set_deltas(world.fleet, &deltas), 1);
	check_int(send_tick(&world), 0);
	check_int(world.receiver.epoch, 1); /* no new one, and one value beside the two errors */
	check_int(world.receiver.entries, 1);
	check_int(world.receiver.delta_version, 7);
	check_near(world.receiver.deltas[METRIC_DISK_READ_OPS], 50, 0);
	check(guarantee_holds(&world));
	check_int(send_tick(&world), 0);
	check_int(world.receiver.entries, 0);
	close_world(&world);
}

static void test_fleet_deltas_that_fit_nothing_change_nothing(void)
{
	struct wire_delta items[] = {{SERIES_MAX, 1}};
	struct wire_deltas deltas = {.epoch = 1, .version = 1, .items = items, .count = 1};
	struct world world;

	open_world(&world);
	set_all(&world, 10);
	check_int(fleet_set_deltas(world.fleet, &deltas), 0);
	check_int(send_tick(&world), 0);
	check_int(fleet_set_deltas(world.fleet, &deltas), -EINVAL);
	items[0].series = 0;
	deltas.epoch = 2;
	check_int(fleet_set_deltas(world.fleet, &deltas), 0);
	check_int(send_tick(&world), 0);
	check_int(world.receiver.delta_version, 0);
	close_world(&world);
}

TEST_MAIN(TEST(test_fleet_first_frame_holds_every_series), TEST(test_fleet_guarantee_over_epochs),
	  TEST(test_fleet_change_of_vms_or_names_begins_an_epoch),
	  TEST(test_fleet_vm_comes_between_others), TEST(test_fleet_new_settings_begin_an_epoch),
	  TEST(test_fleet_deltas_are_in_force_with_the_next_frame),
	  TEST(test_fleet_deltas_that_fit_nothing_change_nothing))
