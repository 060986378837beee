/* SPDX-License-Identifier: Apache-2.0 */
/* The upkeep with a shell script in the place of nft. */
#include "node/upkeep.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/test.h"

enum { PATH_SIZE = 128, TEXT_SIZE = 65536 };

struct world {
	char folder[40], nft[PATH_SIZE], rules[PATH_SIZE], path[PATH_SIZE]; /* of the journal */
	uv_loop_t loop;
	struct journal *journal;
	struct upkeep *upkeep;
	const char *taps[3];
	int tap_count; /* negative: an errno */
};

static int give_taps(void *userdata, const struct vm_uuid *vm,
		     char (*ret_names)[HYPERVISOR_TAP_SIZE], size_t capacity, size_t *ret_cards)
{
	const struct world *world = userdata;

	*ret_cards = 1;
	for (int i = 0; i < world->tap_count; i++)
		(void)snprintf(ret_names[i], HYPERVISOR_TAP_SIZE, "%s", world->taps[i]);
	return world->tap_count;
}

/* Empty where there is none. */
static const char *read_text(const char *path)
{
	static char text[TEXT_SIZE];
	FILE *stream = fopen(path, "re");

	text[stream ? fread(text, 1, sizeof(text) - 1, stream) : 0] = '\0';
	if (stream)
		(void)fclose(stream);
	return text;
}

static void start_upkeep(struct world *world)
{
	struct upkeep_options options = {.nft = world->nft,
					 .interval_usec = USEC_PER_MSEC,
					 .taps = give_taps,
					 .userdata = world};

	world->journal = options.journal = journal_new(world->path);
	world->upkeep = world->journal ? upkeep_new(&world->loop, &options) : NULL;
	if (!world->upkeep)
		abort();
}

static void stop_upkeep(struct world *world)
{
	world->upkeep = upkeep_free(world->upkeep);
	(void)uv_run(&world->loop, UV_RUN_DEFAULT);
	world->journal = journal_free(world->journal);
}

static void open_world(struct world *world)
{
	FILE *stream;

	*world = (struct world){.folder = "/tmp/atom-upkeep-XXXXXX",
				.taps = {"vnet0", "vnet1", "vnet2"},
				.tap_count = 1};
	if (!mkdtemp(world->folder))
		abort();
	(void)signal(SIGPIPE, SIG_IGN);
	log_init("upkeep_test", (enum log_level)0);
	(void)snprintf(world->nft, PATH_SIZE, "%s/nft", world->folder);
	(void)snprintf(world->rules, PATH_SIZE, "%s/rules", world->folder);
	(void)snprintf(world->path, PATH_SIZE, "%s/journal", world->folder);
	stream = fopen(world->nft, "we");
	if (!stream ||
	    fprintf(stream, "#!/bin/sh\ncd %s\ncat >>rules; ! test -e broken\n", world->folder) < 0)
		abort();
	if (fclose(stream) != 0 || chmod(world->nft, 0700) != 0)
		abort();
	(void)uv_loop_init(&world->loop);
	start_upkeep(world);
}

/* Whether nothing was left open. */
static bool close_world(struct world *world)
{
	char command[PATH_SIZE];
	bool is_clean;

	stop_upkeep(world);
	is_clean = uv_loop_close(&world->loop) == 0;
	(void)snprintf(command, sizeof(command), "rm -r %s", world->folder);
	return system(command) == 0 && is_clean; /* NOLINT(cert-env33-c): the test's own */
}

static struct wire_act make_act(uint64_t action, enum wire_act_kind kind)
{
	struct wire_act act = {.action = action,
			       .kind = kind,
			       .vm = vm_uuid_from_name("web"),
			       .timeout_usec = USEC_PER_SEC,
			       .who = "operator anna",
			       .command = "",
			       .peer = "",
			       .address = ""};

	if (kind == WIRE_ACT_CONTAIN) {
		act.peer = "192.0.2.7";
		act.address = "10.0.0.5";
		act.rate = 3;
		act.expiry_usec = 600 * USEC_PER_SEC;
	}
	return act;
}

static void record(struct world *world, const struct wire_act *act, enum journal_event event,
		   enum wire_outcome_status status)
{
	struct wire_outcome outcome = {.action = act->action, .status = status, .reason = ""};
	const struct journal_record line = {
		.event = event, .act = act, .name = "web", .controller = "c", .outcome = &outcome};

	check_int(journal_append(world->journal, &line, NULL), 0);
}

static void contain(struct world *world, enum wire_outcome_status status)
{
	struct wire_act act = make_act(7, WIRE_ACT_CONTAIN);
	char names[1][HYPERVISOR_TAP_SIZE] = {"vnet0"};

	upkeep_note(world->upkeep, &act.vm, names, 1);
	record(world, &act, JOURNAL_BEGUN, WIRE_OUTCOME_DONE);
	record(world, &act, JOURNAL_ENDED, status);
}

/* What nft is given in a few ticks, "" nothing. */
static const char *look(struct world *world)
{
	(void)unlink(world->rules);
	for (int i = 0; i < 3; i++) {
		(void)usleep(2000);
		upkeep_check(world->upkeep);
		(void)uv_run(&world->loop, UV_RUN_DEFAULT);
	}
	return read_text(world->rules);
}

static void test_upkeep_follows_a_vm_to_other_taps(void)
{
	struct world world;
	const char *rules;

	open_world(&world);
	contain(&world, WIRE_OUTCOME_DONE);
	check_string(look(&world), ""); /* its action has seen to it */
	world.taps[0] = "vnet9";
	rules = look(&world);
	check(strstr(rules, "table netdev atom-7 {") && strstr(rules, "\"vnet9\""));
	check(strstr(rules, "192.0.2.7 timeout 59"));
	check(strstr(rules, "ip saddr 10.0.0.5") && strstr(rules, "limit rate 3/second"));
	check(!strstr(rules, "vnet0"));
	check(strstr(read_text(world.path), "\"action\":0,"));
	check(strstr(read_text(world.path), "containment 7 is made again at vnet9"));
	check_string(look(&world), "");
	world.tap_count = -EAGAIN; /* nothing is known: nothing is done */
	check_string(look(&world), "");
	check_int(journal_containment_count(world.journal), 1);
	check(close_world(&world));
}

static void test_upkeep_deletes_the_table_while_the_vm_is_gone(void)
{
	struct world world;

	open_world(&world);
	contain(&world, WIRE_OUTCOME_DONE);
	check_string(look(&world), "");
	world.tap_count = -ENOENT;
	check_string(look(&world), "table netdev atom-7\ndelete table netdev atom-7\n");
	check_string(look(&world), "");
	check_int(journal_containment_count(world.journal), 1);
	world.tap_count = 2;
	check(strstr(look(&world), "\"vnet0\", \"vnet1\""));
	check(close_world(&world));
}

/* Before anybody has looked. */
static void test_upkeep_vm_that_ends_at_once(void)
{
	struct world world;

	open_world(&world);
	contain(&world, WIRE_OUTCOME_DONE);
	world.tap_count = -ENOENT;
	check_string(look(&world), "table netdev atom-7\ndelete table netdev atom-7\n");
	check(close_world(&world));
}

static void test_upkeep_makes_it_again_after_a_restart_of_the_node(void)
{
	struct world world;

	open_world(&world);
	contain(&world, WIRE_OUTCOME_DONE);
	stop_upkeep(&world);
	start_upkeep(&world);
	check(strstr(look(&world), "\"vnet0\""));
	check_string(look(&world), "");
	check(close_world(&world));
}

static void test_upkeep_leaves_alone_what_was_not_done(void)
{
	struct world world;

	open_world(&world);
	contain(&world, WIRE_OUTCOME_FAILED);
	stop_upkeep(&world);
	start_upkeep(&world);
	check_string(look(&world), "");
	world.taps[0] = "vnet9";
	check_string(look(&world), "");
	check(close_world(&world));
}

/* A release may have come between. */
static void test_upkeep_deletes_what_it_made_of_one_that_is_over(void)
{
	struct wire_act act = make_act(8, WIRE_ACT_RELEASE);
	struct world world;

	open_world(&world);
	contain(&world, WIRE_OUTCOME_DONE);
	check_string(look(&world), "");
	world.taps[0] = "vnet9";
	check(strstr(look(&world), "vnet9"));
	act.undoes = 7;
	record(&world, &act, JOURNAL_BEGUN, WIRE_OUTCOME_DONE);
	record(&world, &act, JOURNAL_ENDED, WIRE_OUTCOME_DONE);
	check_string(look(&world), "table netdev atom-7\ndelete table netdev atom-7\n");
	check_string(look(&world), "");
	check(close_world(&world));
}

TEST_MAIN(TEST(test_upkeep_follows_a_vm_to_other_taps),
	  TEST(test_upkeep_deletes_the_table_while_the_vm_is_gone),
	  TEST(test_upkeep_vm_that_ends_at_once),
	  TEST(test_upkeep_makes_it_again_after_a_restart_of_the_node),
	  TEST(test_upkeep_leaves_alone_what_was_not_done),
	  TEST(test_upkeep_deletes_what_it_made_of_one_that_is_over))
