/* SPDX-License-Identifier: Apache-2.0 */
/* Which message goes when, by given times; and the outbox with a store, scripts and closed ports.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/test.h"
#include "notify/outbox_internal.h"
#include "store/store.h"

enum { PATH_SIZE = 96, TEXT_SIZE = 4096 };

#define START (INT64_C(1795487205) * USEC_PER_SEC)
#define HOUR (3600 * USEC_PER_SEC)

/* Lanes */

static struct outbox_message *add(struct outbox_lane *lane, int64_t alarm, int64_t now)
{
	struct outbox_message *message = calloc(1, sizeof(*message));

	if (!message)
		abort();
	*message = (struct outbox_message){.alarm = alarm, .made_usec = now, .due_usec = now};
	outbox_lane_add(lane, message);
	return message;
}

static void send_one(struct outbox_lane *lane, int64_t now)
{
	outbox_message_free(outbox_lane_sent(lane, now));
}

static void test_lane_keeps_the_order_of_an_alarm(void)
{
	struct outbox_message *first, *second, *other;
	struct outbox_lane lane;

	check_int(outbox_lane_init(&lane, 0, HOUR), 0);
	first = add(&lane, 7, START);
	second = add(&lane, 7, START);
	other = add(&lane, 8, START);
	check(outbox_lane_next(&lane, START) == first);
	check(!outbox_lane_next(&lane, START)); /* one at a time */
	check(outbox_lane_failed(&lane, START, 0.5) == first);
	/* the receiver is left alone for 5 s; then what was not tried yet goes before */
	check(!outbox_lane_next(&lane, START + 4 * USEC_PER_SEC));
	check(outbox_lane_next(&lane, START + 5 * USEC_PER_SEC) == other);
	send_one(&lane, START);
	check(outbox_lane_next(&lane, START + 5 * USEC_PER_SEC) == first);
	send_one(&lane, START);
	check(outbox_lane_next(&lane, START + 5 * USEC_PER_SEC) == second);
	send_one(&lane, START);
	check(!outbox_lane_next(&lane, START + 5 * USEC_PER_SEC));
	check_int(lane.count, 0);
	outbox_lane_deinit(&lane);
}

/* One message that the receiver cannot take, for whatever is in it. */
static void test_lane_is_not_stopped_by_one_message(void)
{
	struct outbox_lane lane;
	int64_t now = START;
	const struct outbox_message *poison;

	check_int(outbox_lane_init(&lane, 0, HOUR), 0);
	poison = add(&lane, 7, now);
	for (int i = 0; i < 20; i++) {
		now += 6 * USEC_PER_SEC;
		(void)add(&lane, 8, now);
		if (outbox_lane_next(&lane, now) == poison) {
			check(outbox_lane_failed(&lane, now, 0.5) == poison);
			now += 5 * USEC_PER_SEC;
			(void)outbox_lane_next(&lane, now);
		}
		check(lane.sending && lane.sending != poison);
		send_one(&lane, now);
	}
	check(poison->attempts < 6);
	outbox_lane_deinit(&lane);
}

static void test_lane_delays_double_up_to_ten_minutes(void)
{
	static const int expected[] = {5, 10, 20, 40, 80, 160, 320, 600, 600, 600};
	const struct outbox_message *message;
	struct outbox_lane lane;
	int64_t now = START;

	check_int(outbox_lane_init(&lane, 0, HOUR), 0);
	message = add(&lane, 7, now);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		int64_t delay = expected[i] * USEC_PER_SEC;

		check(outbox_lane_next(&lane, now) == message);
		check(outbox_lane_failed(&lane, now, i % 2 ? 0.999999 : 0) == message);
		check_near((double)(message->due_usec - now), (double)delay * (i % 2 ? 1.25 : 0.75),
			   1000.0);
		check(!outbox_lane_next(&lane, message->due_usec - 1));
		now = message->due_usec;
		check_int(message->attempts, i + 1);
	}
	outbox_lane_deinit(&lane);
}

static void test_lane_has_a_share_of_the_hour(void)
{
	struct outbox_lane lane;

	check_int(outbox_lane_init(&lane, 3, HOUR), 0);
	for (int i = 0; i < 5; i++)
		(void)add(&lane, i, START);
	for (int i = 0; i < 3; i++) {
		check(!outbox_lane_is_limited(&lane, START + i * USEC_PER_SEC));
		check(outbox_lane_next(&lane, START + i * USEC_PER_SEC));
		send_one(&lane, START + i * USEC_PER_SEC);
	}
	check(outbox_lane_is_limited(&lane, START + 10 * USEC_PER_SEC));
	check(!outbox_lane_next(&lane, START + HOUR - 1));
	check(outbox_lane_next(&lane, START + HOUR));
	send_one(&lane, START + HOUR);
	check(!outbox_lane_next(&lane, START + HOUR)); /* the second is not an hour ago */
	check(outbox_lane_next(&lane, START + HOUR + USEC_PER_SEC));
	outbox_lane_deinit(&lane);
}

static void test_lane_gives_up_what_was_tried_for_too_long(void)
{
	struct outbox_message *old;
	struct outbox_lane lane;

	check_int(outbox_lane_init(&lane, 0, HOUR), 0);
	old = add(&lane, 7, START);
	check(!outbox_lane_take_expired(&lane, START + 2 * HOUR)); /* it was not tried */
	check(outbox_lane_next(&lane, START) == old);
	check(!outbox_lane_take_expired(&lane, START + 2 * HOUR)); /* on its way */
	check(outbox_lane_failed(&lane, START, 0) == old);
	check(!outbox_lane_take_expired(&lane, START + HOUR));
	check(outbox_lane_take_expired(&lane, START + HOUR + 1) == old);
	check_int(lane.count, 0);
	outbox_message_free(old);
	outbox_lane_deinit(&lane);
}

static void test_lane_gives_what_is_superseded(void)
{
	struct outbox_message *first, *second, *third;
	struct outbox_lane lane;

	check_int(outbox_lane_init(&lane, 0, HOUR), 0);
	first = add(&lane, 7, START);
	second = add(&lane, 7, START);
	(void)add(&lane, 8, START);
	third = add(&lane, 7, START);
	check(outbox_lane_next(&lane, START) == first);
	check(outbox_lane_take_superseded(&lane, 7) == second);
	check(!outbox_lane_take_superseded(&lane, 7)); /* the first is on its way */
	check(!outbox_lane_take_superseded(&lane, 8));
	check(outbox_lane_failed(&lane, START, 0) == first);
	check(outbox_lane_take_superseded(&lane, 7) == first);
	check_int(lane.count, 2);
	check(lane.last == third);
	outbox_message_free(first);
	outbox_message_free(second);
	outbox_lane_deinit(&lane);
}

static void test_lane_lives_with_a_clock_that_is_set_back(void)
{
	struct outbox_lane lane;

	check_int(outbox_lane_init(&lane, 1, HOUR), 0);
	(void)add(&lane, 7, START);
	(void)add(&lane, 8, START);
	check(outbox_lane_next(&lane, START));
	send_one(&lane, START);
	check(outbox_lane_next(&lane, START - 24 * HOUR));
	(void)outbox_lane_failed(&lane, START, 0.5);
	check(outbox_lane_next(&lane, START - 24 * HOUR));
	outbox_lane_deinit(&lane);
}

/* The outbox */

/* What of atomd.yaml concerns it. */
struct settings {
	struct config_records notify;
};

static const struct config_key settings_keys[] = {
	{"notify", CONFIG_RECORDS, 0, "", .record = &settings_notify_table, .help = "Receivers."},
};

static int check_settings(const void *userdata, struct error *err)
{
	return settings_notify_check(&((const struct settings *)userdata)->notify, err);
}

static const struct config_table settings_table = {"atomd.yaml", sizeof(struct settings),
						   settings_keys, 1, check_settings};

struct world {
	char folder[32];
	uv_loop_t loop;
	struct store *store;
	struct settings settings;
	struct outbox *outbox;
};

static const char *path_of(const struct world *world, const char *name)
{
	static char path[PATH_SIZE];

	(void)snprintf(path, sizeof(path), "%s/%s", world->folder, name);
	return path;
}

static void write_file(const struct world *world, const char *name, const char *text)
{
	FILE *stream = fopen(path_of(world, name), "we");

	if (!stream || fputs(text, stream) < 0 || fclose(stream) != 0)
		abort();
}

/* What the scripts have written. */
static const char *read_file(const struct world *world, const char *name)
{
	static char text[TEXT_SIZE];
	FILE *stream = fopen(path_of(world, name), "re");

	text[stream ? fread(text, 1, sizeof(text) - 1, stream) : 0] = '\0';
	if (stream)
		(void)fclose(stream);
	return text;
}

static int start_outbox(struct world *world, const char *receivers)
{
	struct error err = ERROR_INIT;
	int r;

	write_file(world, "atomd.yaml", receivers);
	r = config_load(&settings_table, path_of(world, "atomd.yaml"), &world->settings, &err);
	if (r == 0)
		r = store_open(path_of(world, "atom.db"), &world->store, &err);
	if (r == 0)
		r = outbox_new(&world->loop, world->store,
			       &(struct outbox_options){&world->settings.notify, ""},
			       &world->outbox, &err);
	if (r < 0)
		printf("# %s\n", err.text);
	return r;
}

static void stop_outbox(struct world *world)
{
	world->outbox = outbox_free(world->outbox);
	(void)uv_run(&world->loop, UV_RUN_DEFAULT);
	world->store = store_free(world->store);
	config_deinit(&settings_table, &world->settings);
}

/* In "{}" of the receivers' text stands the folder. */
static void open_world(struct world *world, const char *receivers)
{
	*world = (struct world){.folder = "/tmp/atom-outbox-XXXXXX"};
	(void)signal(SIGPIPE, SIG_IGN);
	log_init("outbox_test", (enum log_level)0);
	if (!mkdtemp(world->folder) || chdir(world->folder) < 0)
		abort();
	(void)uv_loop_init(&world->loop);
	if (start_outbox(world, receivers) < 0)
		abort();
}

static bool close_world(struct world *world)
{
	static const char *const names[] = {"atomd.yaml",   "atom.db", "atom.db-wal", "atom.db-shm",
					    "atom.db.lock", "said",    "good"};

	stop_outbox(world);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)unlink(path_of(world, names[i]));
	return uv_loop_close(&world->loop) == 0 && rmdir(world->folder) == 0;
}

static struct notify_alert alert_of(int64_t alarm, const char *event)
{
	bool is_over = strcmp(event, "cleared") == 0;

	return (struct notify_alert){.alarm = alarm,
				     .group = "web",
				     .state = is_over ? "cleared" : "open",
				     .status = is_over ? NOTIFY_RESOLVED : NOTIFY_FIRING,
				     .opened_usec = START,
				     .closed_usec = is_over ? START + HOUR : 0,
				     .time_usec = START,
				     .level = 5,
				     .summary = "web2: NetworkOut up",
				     .details = "",
				     .project = "shop",
				     .event = event};
}

static void offer(struct world *world, int64_t alarm, const char *event)
{
	struct notify_alert alert = alert_of(alarm, event);

	outbox_offer(world->outbox, &alert);
}

/* Follows and runs until nothing is on its way. */
static void follow(struct world *world)
{
	outbox_follow(world->outbox, NULL, NULL);
	(void)uv_run(&world->loop, UV_RUN_DEFAULT);
}

static size_t stored(struct world *world)
{
	size_t count = 0;

	(void)store_count_messages(world->store, NULL, &count, NULL);
	return count;
}

#define TELL                                                                                 \
	"notify:\n  - {name: tell, kind: command, command: [/bin/sh, -c, 'echo $ATOM_ALARM " \
	"$ATOM_EVENT >>said; test -e good || exit 75']"

static void test_outbox_sends_in_order_and_forgets(void)
{
	struct outbox_counts counts;
	struct world world;

	open_world(&world, TELL "}\n");
	write_file(&world, "good", "");
	offer(&world, 7, "opened");
	offer(&world, 8, "opened");
	offer(&world, 7, "cleared");
	check_int(stored(&world), 3);
	counts = outbox_counts(world.outbox);
	check_int(counts.waiting, 3);
	check_int(counts.sent, 0);
	follow(&world);
	check_string(read_file(&world, "said"), "7 opened\n8 opened\n7 cleared\n");
	counts = outbox_counts(world.outbox);
	check_int(counts.sent, 3);
	check_int(counts.waiting + counts.failed + counts.dropped + counts.merged, 0);
	check_int(stored(&world), 0);
	check(close_world(&world));
}

/* As if the time had passed. */
static int make_due(void *userdata, const struct store_message *message)
{
	struct store_message due = *message;

	due.due_usec = 1;
	return store_put_message(userdata, &due, NULL, NULL);
}

static void test_outbox_goes_on_after_a_restart(void)
{
	struct outbox_receiver receiver;
	struct world world;

	open_world(&world, TELL "}\n");
	offer(&world, 7, "opened");
	offer(&world, 7, "cleared");
	follow(&world);
	receiver = outbox_receiver(world.outbox, 0);
	check_int(receiver.counts.failed, 1);
	check_int(receiver.counts.waiting, 2);
	check_string(receiver.problem, "sh ended with exit status 75");
	check_int(stored(&world), 2);
	stop_outbox(&world);
	check_int(store_open(path_of(&world, "atom.db"), &world.store, NULL), 0);
	check_int(store_each_message(world.store, INT64_MAX, 10, make_due, world.store, NULL), 0);
	store_free(world.store);
	write_file(&world, "good", "");
	check_int(start_outbox(&world, TELL "}\n"), 0);
	check_int(outbox_counts(world.outbox).waiting, 2);
	follow(&world);
	check_string(read_file(&world, "said"), "7 opened\n7 opened\n7 cleared\n");
	check_int(stored(&world), 0);
	check(close_world(&world));
}

/* A message is of no use to a receiver of another kind. */
static void test_outbox_drops_what_nobody_takes_any_more(void)
{
	struct world world;

	open_world(&world, TELL "}\n");
	offer(&world, 7, "opened");
	stop_outbox(&world);
	check_int(start_outbox(&world, "notify: [{name: tell, kind: webhook, url: "
				       "'http://127.0.0.1:1'}]\n"),
		  0);
	check_int(outbox_counts(world.outbox).waiting, 0);
	check_int(stored(&world), 0);
	check(close_world(&world));
}

static void test_outbox_drops_what_is_refused(void)
{
	struct world world;

	open_world(&world, "notify: [{name: tell, kind: command, command: [/bin/false]}]\n");
	offer(&world, 7, "opened");
	follow(&world);
	check_int(outbox_counts(world.outbox).dropped, 1);
	check_int(outbox_counts(world.outbox).failed, 1);
	check_int(stored(&world), 0);
	check(close_world(&world));
}

static void test_outbox_asks_filters(void)
{
	struct notify_alert alert = alert_of(7, "opened");
	struct world world;

	open_world(&world, TELL ", groups: [db, 'w*'], project: 'sh?p', events: [opened, "
				"cleared], min_level: 3}\n");
	alert.group = "other";
	outbox_offer(world.outbox, &alert);
	alert = alert_of(7, "opened");
	alert.project = "";
	outbox_offer(world.outbox, &alert);
	alert = alert_of(7, "opened");
	alert.level = 2;
	outbox_offer(world.outbox, &alert);
	alert = alert_of(9, "named");
	outbox_offer(world.outbox, &alert);
	check_int(outbox_counts(world.outbox).waiting, 0);
	offer(&world, 8, "opened");
	check_int(outbox_counts(world.outbox).waiting, 1);
	check(close_world(&world));
}

static void give_alarm_7(void *userdata, outbox_take *take, void *taker)
{
	const uint32_t *level = userdata;
	struct notify_alert alert = alert_of(7, "open");

	alert.level = *level;
	take(taker, &alert);
}

static void test_outbox_tells_of_an_alarm_that_has_grown(void)
{
	struct notify_alert alert = alert_of(7, "opened");
	struct world world;
	uint32_t level = 2;

	open_world(&world, TELL ", min_level: 10}\n");
	write_file(&world, "good", "");
	alert.level = level;
	outbox_offer(world.outbox, &alert);
	outbox_follow(world.outbox, give_alarm_7, &level);
	(void)uv_run(&world.loop, UV_RUN_DEFAULT);
	check_string(read_file(&world, "said"), "");
	stop_outbox(&world);
	/* a restart does not forget that nobody was told */
	check_int(start_outbox(&world, TELL ", min_level: 10}\n"), 0);
	outbox_follow(world.outbox, give_alarm_7, &level);
	level = 10;
	world.outbox->looked_usec = 0;
	outbox_follow(world.outbox, give_alarm_7, &level);
	(void)uv_run(&world.loop, UV_RUN_DEFAULT);
	world.outbox->looked_usec = 0;
	outbox_follow(world.outbox, give_alarm_7, &level);
	(void)uv_run(&world.loop, UV_RUN_DEFAULT);
	check_string(read_file(&world, "said"), "7 grown\n");
	/* one that never grew is not told of when it ends */
	alert = alert_of(8, "opened");
	outbox_offer(world.outbox, &alert);
	alert = alert_of(8, "cleared");
	outbox_offer(world.outbox, &alert);
	check_int(outbox_counts(world.outbox).waiting, 0);
	check(close_world(&world));
}

#define ALERTMANAGER "notify: [{name: am, kind: alertmanager, url: 'http://127.0.0.1:1'}]\n"

/* The event that comes when it has grown is none that the receiver wants. */
static void test_outbox_tells_of_growth_with_any_event(void)
{
	struct notify_alert alert = alert_of(7, "suspect");
	struct world world;

	open_world(&world, TELL ", min_level: 5, events: [suspect, cleared]}\n");
	write_file(&world, "good", "");
	alert.level = 4;
	outbox_offer(world.outbox, &alert);
	alert = alert_of(8, "opened");
	alert.level = 4;
	outbox_offer(world.outbox, &alert); /* not wanted, so not held either */
	offer(&world, 7, "named");
	offer(&world, 8, "named");
	offer(&world, 7, "named");
	follow(&world);
	check_string(read_file(&world, "said"), "7 grown\n");
	check(close_world(&world));
}

static void test_outbox_keeps_only_the_newest_for_alertmanager(void)
{
	struct outbox_counts counts;
	struct world world;

	open_world(&world, ALERTMANAGER);
	offer(&world, 7, "opened");
	offer(&world, 8, "opened");
	offer(&world, 7, "named");
	check_int(stored(&world), 2);
	outbox_follow(world.outbox, NULL, NULL); /* on its way to nobody */
	offer(&world, 8, "cleared");
	(void)uv_run(&world.loop, UV_RUN_DEFAULT);
	counts = outbox_counts(world.outbox);
	check_int(counts.waiting, 2);
	check_int(counts.merged, 2);
	check_int(counts.failed, 1);
	check_int(stored(&world), 2);
	check(strstr(world.outbox->recipients[0].lane.last->body, "\"cleared\""));
	check(close_world(&world));
}

static void test_outbox_repeats_are_not_stored(void)
{
	struct world world;
	uint32_t level = 5;

	open_world(&world, ALERTMANAGER);
	outbox_follow(world.outbox, give_alarm_7, &level);
	check_int(outbox_counts(world.outbox).waiting, 1);
	outbox_follow(world.outbox, give_alarm_7, &level); /* not again within a minute */
	check_int(outbox_counts(world.outbox).waiting, 1);
	check_int(stored(&world), 0);
	/* what was stored and is out of date now goes */
	offer(&world, 9, "opened");
	check_int(stored(&world), 1);
	(void)uv_run(&world.loop, UV_RUN_DEFAULT);
	check_int(outbox_counts(world.outbox).waiting, 2);
	check(close_world(&world));
}

static void test_outbox_over_the_limit_keeps_the_newest_of_an_alarm(void)
{
	struct outbox_counts counts;
	struct world world;

	open_world(&world, TELL ", per_hour: 2}\n");
	write_file(&world, "good", "");
	offer(&world, 1, "opened");
	offer(&world, 2, "opened");
	offer(&world, 3, "opened");
	follow(&world);
	offer(&world, 3, "named");
	offer(&world, 4, "opened");
	offer(&world, 3, "cleared");
	follow(&world);
	check_string(read_file(&world, "said"), "1 opened\n2 opened\n");
	counts = outbox_counts(world.outbox);
	check_int(counts.waiting, 2);
	check_int(counts.merged, 2);
	check_int(stored(&world), 2);
	check(close_world(&world));
}

static void test_outbox_is_bounded(void)
{
	struct store_message message = {.receiver = "command/tell",
					.made_usec = START,
					.due_usec = INT64_C(1) << 40,
					.attempts = 1,
					.body = "{}"};
	struct world world;

	open_world(&world, TELL "}\n");
	check_int(store_begin(world.store, NULL), 0);
	for (int i = 0; i < OUTBOX_MESSAGES_MAX; i++) {
		message.alarm = i;
		check_int(store_put_message(world.store, &message, NULL, NULL), 0);
	}
	check_int(store_commit(world.store, NULL), 0);
	stop_outbox(&world);
	check_int(start_outbox(&world, TELL "}\n"), 0);
	check_int(outbox_counts(world.outbox).waiting, OUTBOX_MESSAGES_MAX);
	for (int i = 0; i < 3; i++)
		offer(&world, 100000 + i, "opened");
	check_int(outbox_counts(world.outbox).waiting, OUTBOX_MESSAGES_MAX);
	check_int(outbox_counts(world.outbox).dropped, 3);
	check_int(stored(&world), OUTBOX_MESSAGES_MAX);
	check_int(world.outbox->recipients[0].lane.first->alarm, 3);
	check_int(world.outbox->recipients[0].lane.last->alarm, 100002);
	check(close_world(&world));
}

/* Here a transaction of somebody else is what writing fails for. */
static void test_outbox_sends_while_the_store_fails(void)
{
	struct world world;

	open_world(&world, TELL "}\n");
	write_file(&world, "good", "");
	offer(&world, 6, "opened");
	check_int(store_begin(world.store, NULL), 0);
	offer(&world, 7, "opened");
	follow(&world);
	check_string(read_file(&world, "said"), "6 opened\n7 opened\n");
	(void)unlink(path_of(&world, "good"));
	offer(&world, 8, "opened");
	follow(&world);
	check_int(stored(&world), 1);
	check(world.outbox->is_failing);
	store_rollback(world.store);
	follow(&world);
	check_int(stored(&world), 1); /* the sixth went, the eighth came */
	check(!world.outbox->is_failing);
	check_int(world.outbox->forgotten_count, 0);
	check(close_world(&world));
}

/* Settings */

static void test_settings_notify_say_what_is_wrong(void)
{
	static const struct {
		const char *receivers, *expected, *line;
	} cases[] = {
		{"{name: a, kind: webhook}",
		 "notify 'a': kind webhook needs a url that begins with http:// or https://"},
		{"{name: a, kind: alertmanager, url: 'file:///etc/passwd'}",
		 "notify 'a': kind alertmanager needs a url that begins with http:// or https://"},
		{"{name: a, kind: webhook, url: 'http://h', command: [x]}",
		 "notify 'a': kind webhook has no command"},
		{"{name: a, kind: webhook, url: 'http://h', to: [x]}",
		 "notify 'a': kind webhook has neither to nor from"},
		{"{name: a, kind: mail, to: [root]}",
		 "notify 'a': kind mail needs an address as from, as in atom@example.org"},
		{"{name: a, kind: mail, from: atom}",
		 "notify 'a': kind mail needs addresses as to, as in [ops@example.org]"},
		{"{name: a, kind: mail, from: atom, to: [\"x\\nBcc: y\"]}",
		 "notify 'a': 'x\nBcc: y' is no address"},
		{"{name: a, kind: mail, from: atom, to: ['-oQ/tmp']}",
		 "notify 'a': '-oQ/tmp' is no address"},
		{"{name: a, kind: command}",
		 "notify 'a': kind command needs a command, as in [/usr/local/bin/tell, them]"},
		{"{name: a, kind: command, command: [x], url: 'http://h'}",
		 "notify 'a': kind command has neither url nor token_file nor ca_file"},
		{"{name: a, kind: command, command: [x]}, {name: a, kind: command, command: [x]}",
		 "notify: two receivers are called 'a'", ": "},
		{"{name: '', kind: command, command: [x]}",
		 "notify: a name must be 1 to 255 bytes of printable text"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error err = ERROR_INIT;
		struct settings settings;
		char text[512], expected[512], path[] = "/tmp/atom-settings-XXXXXX";
		int fd = mkstemp(path);

		(void)snprintf(text, sizeof(text), "notify: [%s]\n", cases[i].receivers);
		check(fd >= 0 && write(fd, text, strlen(text)) > 0 && close(fd) == 0);
		check_int(config_load(&settings_table, path, &settings, &err), -EINVAL);
		(void)unlink(path);
		(void)snprintf(expected, sizeof(expected), "%s%s%s", path,
			       cases[i].line ? cases[i].line : ":1: ", cases[i].expected);
		check_string(err.text, expected);
	}
}

static void test_settings_notify_kinds_are_those_of_notify(void)
{
	char choices[128] = "";

	for (int i = 0; i < NOTIFY_KIND_COUNT; i++)
		(void)snprintf(choices + strlen(choices), sizeof(choices) - strlen(choices), "%s%s",
			       i ? "|" : "", notify_kind_name((enum notify_kind)i));
	for (size_t i = 0; i < settings_notify_table.count; i++)
		if (strcmp(settings_notify_table.keys[i].name, "kind") == 0)
			check_string(settings_notify_table.keys[i].choices, choices);
}

TEST_MAIN(TEST(test_lane_keeps_the_order_of_an_alarm),
	  TEST(test_lane_is_not_stopped_by_one_message),
	  TEST(test_lane_delays_double_up_to_ten_minutes), TEST(test_lane_has_a_share_of_the_hour),
	  TEST(test_lane_gives_up_what_was_tried_for_too_long),
	  TEST(test_lane_gives_what_is_superseded),
	  TEST(test_lane_lives_with_a_clock_that_is_set_back),
	  TEST(test_outbox_sends_in_order_and_forgets), TEST(test_outbox_goes_on_after_a_restart),
	  TEST(test_outbox_drops_what_nobody_takes_any_more),
	  TEST(test_outbox_drops_what_is_refused), TEST(test_outbox_asks_filters),
	  TEST(test_outbox_tells_of_an_alarm_that_has_grown),
	  TEST(test_outbox_tells_of_growth_with_any_event),
	  TEST(test_outbox_keeps_only_the_newest_for_alertmanager),
	  TEST(test_outbox_repeats_are_not_stored),
	  TEST(test_outbox_over_the_limit_keeps_the_newest_of_an_alarm),
	  TEST(test_outbox_is_bounded), TEST(test_outbox_sends_while_the_store_fails),
	  TEST(test_settings_notify_say_what_is_wrong),
	  TEST(test_settings_notify_kinds_are_those_of_notify))
