/* SPDX-License-Identifier: Apache-2.0 */
/* The actor: containments, from the order to the release. */
#include "node/test_world.h"

/* NULL: none. */
static const struct journal_containment *first_of(const struct world *world)
{
	int64_t wait_usec;

	return journal_first_containment(world->journal, &wait_usec);
}

static const char nft[] = "echo \"$@\" >>nft-arguments; cat >>rules";

static void test_actor_contains_by_nft(void)
{
	struct wire_act act = make_act(3, WIRE_ACT_CONTAIN);
	const struct given *given;
	struct world world;

	open_world(&world, "", nft);
	act.dry_run = true;
	given = do_act(&world, &act);
	check_int(given->status, WIRE_OUTCOME_DONE);
	check(strstr(cell_of(given, "rules", 0), "table netdev atom-3") != NULL);
	check_string(read_text(&world, "nft-arguments"), "-c -f -\n");
	check(first_of(&world) == NULL);
	act.dry_run = false;
	given = do_act(&world, &act);
	check_int(given->status, WIRE_OUTCOME_DONE);
	check(*cell_of(given, "rules", 1) != '\0');
	check_string(read_text(&world, "nft-arguments"), "-c -f -\n-f -\n");
	check(strstr(read_text(&world, "rules"), "192.0.2.7") != NULL);
	check(strstr(read_text(&world, "rules"), "vnet0") != NULL);
	check_int(first_of(&world)->action, 3);
	check(close_world(&world));
}

static void test_actor_containment_that_is_not_possible(void)
{
	struct wire_act act = make_act(3, WIRE_ACT_CONTAIN);
	const struct given *given;
	struct world world;

	open_world(&world, "",
		   "printf '/dev/stdin:3:1-9: Error: Could not process rule: No such device\\n"
		   "add chain\\n^^^^^^^^^\\n' >&2; exit 1");
	given = do_act(&world, &act);
	check_int(given->status, WIRE_OUTCOME_FAILED);
	check_string(given->reason, "the rules were not taken, all is as it was: Could not process "
				    "rule: No such device");
	act.action = 4;
	act.address = "2001:db8::1";
	given = do_act(&world, &act);
	check_int(given->status, WIRE_OUTCOME_REFUSED); /* of two families */
	check(given->reason[0] != '\0');
	world.tap_count = 0;
	act.action = 5;
	given = do_act(&world, &act);
	check_int(given->status, WIRE_OUTCOME_FAILED);
	check(strstr(given->reason, "no tap") != NULL);
	(void)unlink(world.nft);
	world.tap_count = 1;
	act = make_act(6, WIRE_ACT_CONTAIN);
	given = do_act(&world, &act);
	check_int(given->status, WIRE_OUTCOME_FAILED);
	check(strstr(given->reason, "nft cannot be started") != NULL);
	check_int(journal_containment_count(world.journal), 0);
	/* but who knows of one that was ended in the middle */
	write_program(&world, "nft", "kill -9 $$", world.nft);
	act.action = 7;
	check_int(do_act(&world, &act)->status, WIRE_OUTCOME_FAILED);
	check_int(journal_containment_count(world.journal), 1);
	check(close_world(&world));
}

static void test_actor_contains_all_cards_or_says_so(void)
{
	struct wire_act act = make_act(3, WIRE_ACT_CONTAIN);
	const struct given *given;
	struct world world;

	open_world(&world, "", "exit 0");
	check_string(do_act(&world, &act)->reason, "");
	world.tap_count = 2;
	act.action = 4;
	given = do_act(&world, &act);
	check_int(given->status, WIRE_OUTCOME_DONE);
	check(strstr(given->reason, "plugged in") != NULL);
	world.card_count = 3;
	act.action = 6;
	given = do_act(&world, &act);
	check_int(given->status, WIRE_OUTCOME_FAILED);
	check(strstr(given->reason, "1 of 3 network cards") != NULL);
	world.tap_count = -E2BIG;
	act.action = 7;
	given = do_act(&world, &act);
	check_int(given->status, WIRE_OUTCOME_FAILED);
	check(strstr(given->reason, "cannot be told") != NULL);
	world.tap_count = 1;
	world.card_count = 1;
	act.action = 8;
	act.dry_run = true;
	act.address = "10.0.0.5";
	given = do_act(&world, &act);
	check_int(given->status, WIRE_OUTCOME_DONE);
	check(strstr(given->reason, "can take another") != NULL);
	check(close_world(&world));
}

static void test_actor_releases_what_it_contained(void)
{
	struct wire_act act = make_act(3, WIRE_ACT_CONTAIN);
	const struct given *given;
	struct world world;

	open_world(&world, "", nft);
	check_int(do_act(&world, &act)->status, WIRE_OUTCOME_DONE);
	act = make_act(4, WIRE_ACT_RELEASE);
	act.undoes = 4;
	given = do_act(&world, &act); /* itself */
	check_int(given->status, WIRE_OUTCOME_DONE);
	check(strstr(given->reason, "this node's journal knows nothing of that containment") !=
	      NULL);
	check(strstr(read_text(&world, "rules"), "delete table netdev atom-4") != NULL);
	act.action = 8;
	given = do_act(&world, &act);
	check_int(given->status, WIRE_OUTCOME_REFUSED);
	check_string(given->reason,
		     "to this node's knowledge action 4 is no containment of VM web1");
	act.action = 5;
	act.undoes = 3;
	act.vm.bytes[0]++;
	check_int(do_act(&world, &act)->status, WIRE_OUTCOME_REFUSED);
	act.action = 6;
	act.vm.bytes[0]--;
	(void)unlink(path_of(&world, "rules"));
	check_int(do_act(&world, &act)->status, WIRE_OUTCOME_DONE);
	check(strstr(read_text(&world, "rules"), "delete table netdev atom-3") != NULL);
	check(first_of(&world) == NULL);
	act.action = 7;
	given = do_act(&world, &act);
	check_int(given->status, WIRE_OUTCOME_DONE);
	check_string(given->reason, "containment 3 was over already");
	check(close_world(&world));
}

/* Those that are under way count. */
static void test_actor_containments_have_a_limit(void)
{
	enum { SOME = JOURNAL_CONTAINMENTS_MAX - 1 };
	struct wire_act act = make_act(1, WIRE_ACT_CONTAIN);
	struct journal_record record = {JOURNAL_BEGUN, &act, "web1", "controller", NULL, false};
	struct world world;

	open_world(&world, "", "while ! test -e go; do sleep 0.02; done; cat >>rules");
	for (act.action = 1; act.action <= SOME; act.action++)
		check_int(journal_append(world.journal, &record, NULL), 0);
	for (; act.action <= SOME + 4; act.action++) {
		act.vm.bytes[0] = (uint8_t)act.action;
		order(&world, &act);
	}
	write_file(&world, "go", "");
	wait_for(&world, 4);
	check_int(journal_containment_count(world.journal), JOURNAL_CONTAINMENTS_MAX);
	for (size_t i = 0; i < 4; i++) {
		bool is_first = world.answers[i].action == SOME + 1;

		check_int(world.answers[i].status,
			  is_first ? WIRE_OUTCOME_DONE : WIRE_OUTCOME_FAILED);
		check(is_first || strstr(world.answers[i].reason, "containments are in force"));
	}
	check(close_world(&world));
}

static void run_until_released(struct world *world)
{
	int64_t end = clock_mono_usec() + 20 * USEC_PER_SEC;

	while (first_of(world) && clock_mono_usec() < end)
		(void)uv_run(&world->loop, UV_RUN_ONCE);
}

static void test_actor_releases_by_itself_when_the_time_is_over(void)
{
	struct wire_act act = make_act(3, WIRE_ACT_CONTAIN);
	struct world world;

	open_world(&world, "", nft);
	act.expiry_usec = 200 * USEC_PER_MSEC;
	check_int(do_act(&world, &act)->status, WIRE_OUTCOME_DONE);
	(void)unlink(path_of(&world, "rules"));
	run_until_released(&world);
	check(first_of(&world) == NULL);
	check(strstr(read_text(&world, "rules"), "delete table netdev atom-3") != NULL);
	check(strstr(read_text(&world, "journal"),
		     "\"event\":\"ended\",\"action\":0,\"alarm\":0,") != NULL);
	check(strstr(read_text(&world, "journal"),
		     "\"arguments\":{\"undoes\":3},\"who\":\"expiry\"") != NULL);
	check_int(world.answered, 1);
	/* one that is over while no node runs */
	act.action = 4;
	act.expiry_usec = 300 * USEC_PER_MSEC;
	check_int(do_act(&world, &act)->status, WIRE_OUTCOME_DONE);
	stop_actor(&world);
	(void)usleep(400000);
	(void)unlink(path_of(&world, "rules"));
	start_actor(&world);
	run_until_released(&world);
	check(first_of(&world) == NULL);
	check(strstr(read_text(&world, "rules"), "delete table netdev atom-4") != NULL);
	/* the order itself is known as before */
	check_int(do_act(&world, &act)->status, WIRE_OUTCOME_DONE);
	check(close_world(&world));
}

static void test_actor_release_that_fails_is_tried_again(void)
{
	struct wire_act act = make_act(3, WIRE_ACT_CONTAIN);
	struct world world;

	open_world(&world, "", "cat >>rules; test -e broken && exit 1; exit 0");
	act.expiry_usec = 200 * USEC_PER_MSEC;
	check_int(do_act(&world, &act)->status, WIRE_OUTCOME_DONE);
	(void)unlink(path_of(&world, "rules"));
	write_file(&world, "broken", "");
	while (!strstr(read_text(&world, "rules"), "delete table netdev atom-3\n"))
		(void)uv_run(&world.loop, UV_RUN_ONCE);
	stop_actor(&world);
	check(!strstr(read_text(&world, "journal"), "expiry\""));
	(void)unlink(path_of(&world, "broken"));
	start_actor(&world);
	check_int(first_of(&world)->action, 3);
	run_until_released(&world);
	check(first_of(&world) == NULL);
	check(close_world(&world));
}

/* And holds up no other. */
static void test_actor_release_that_fails_lets_the_next_one_go_on(void)
{
	struct wire_act act = make_act(3, WIRE_ACT_CONTAIN);
	struct world world;

	open_world(&world, "",
		   "cat >>rules; test -e broken && tail -1 rules | grep -q 3 && exit 1; "
		   "exit 0");
	act.expiry_usec = 200 * USEC_PER_MSEC;
	check_int(do_act(&world, &act)->status, WIRE_OUTCOME_DONE);
	act.action = 4;
	act.expiry_usec = 300 * USEC_PER_MSEC;
	check_int(do_act(&world, &act)->status, WIRE_OUTCOME_DONE);
	write_file(&world, "broken", "");
	while (journal_containment_count(world.journal) > 1)
		(void)uv_run(&world.loop, UV_RUN_ONCE);
	check_int(first_of(&world)->action, 3);
	check(first_of(&world)->delay_usec == 60 * USEC_PER_SEC);
	check(close_world(&world));
}

static void test_actor_releases_what_a_lost_journal_knew(void)
{
	struct wire_act act = make_act(3, WIRE_ACT_CONTAIN);
	static char *const only_pause[] = {"pause"};
	struct world world;

	open_world(&world, "", "cat >>rules");
	check_int(do_act(&world, &act)->status, WIRE_OUTCOME_DONE);
	stop_actor(&world);
	(void)unlink(world.path);
	(void)unlink(path_of(&world, "rules"));
	start_actor(&world);
	act = make_act(4, WIRE_ACT_RELEASE);
	act.undoes = 3;
	world.rule.actions = (struct config_strings){(char **)only_pause, 1};
	check_int(do_act(&world, &act)->status, WIRE_OUTCOME_REFUSED);
	world.rule.actions = (struct config_strings){(char **)all_actions, 4};
	act.action = 5;
	check_int(do_act(&world, &act)->status, WIRE_OUTCOME_DONE);
	check(strstr(read_text(&world, "rules"), "delete table netdev atom-3") != NULL);
	check(close_world(&world));
}

TEST_MAIN(TEST(test_actor_contains_all_cards_or_says_so), TEST(test_actor_contains_by_nft),
	  TEST(test_actor_containment_that_is_not_possible),
	  TEST(test_actor_releases_what_it_contained), TEST(test_actor_containments_have_a_limit),
	  TEST(test_actor_releases_by_itself_when_the_time_is_over),
	  TEST(test_actor_release_that_fails_is_tried_again),
	  TEST(test_actor_release_that_fails_lets_the_next_one_go_on),
	  TEST(test_actor_releases_what_a_lost_journal_knew))
