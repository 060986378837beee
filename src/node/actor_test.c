/* SPDX-License-Identifier: Apache-2.0 */
/* The actor: what it does and does not, and in which order. */
#include "node/test_world.h"

static void test_actor_ends_a_process(void)
{
	struct wire_act act = make_act(7, WIRE_ACT_END_PROCESS);
	const struct given *given;
	struct world world;
	char expected[256];

	open_world(&world, "printf '%s|' \"$@\" >arguments; printf 're\\0port'", "exit 1");
	given = do_act(&world, &act);
	check_int(given->action, 7);
	check_int(given->status, WIRE_OUTCOME_DONE);
	check_string(given->reason, "");
	check_int(given->report_size, 7);
	check(memcmp(given->report, "re\0port", 7) == 0);
	(void)snprintf(expected, sizeof(expected),
		       "kill|%s|--pid=114|--start=5000000123|--command=-x|--encoded|--connect|"
		       "test:///default|",
		       uuid);
	check_string(read_text(&world, "arguments"), expected);
	check(strstr(read_text(&world, "journal"), "\"event\":\"begun\",\"action\":7") != NULL);
	check(strstr(read_text(&world, "journal"), "\"report\":\"726500706f7274\"") != NULL);
	check(strstr(read_text(&world, "journal"), "\"controller\":\"controller\"") != NULL);
	check(close_world(&world));
}

static void test_actor_end_of_a_process_by_exit_status(void)
{
	static const struct {
		const char *script;
		enum wire_outcome_status status;
		const char *reason;
		size_t report_size;
	} cases[] = {
		{"printf r; exit 3", WIRE_OUTCOME_REFUSED, "refused; the report says why", 1},
		{"printf r; echo 'another process' >&2; exit 3", WIRE_OUTCOME_REFUSED,
		 "another process", 1},
		{"printf r; exit 4", WIRE_OUTCOME_PENDING,
		 "SIGKILL is pending; it has not died: the report says where it sleeps", 1},
		{"echo 'atom-vmi: no such VM' >&2; exit 1", WIRE_OUTCOME_FAILED,
		 "atom-vmi: no such VM", 0},
		{"exit 2", WIRE_OUTCOME_FAILED, "it could not be ended", 0},
		{"kill -9 $$", WIRE_OUTCOME_FAILED,
		 "atom-vmi was ended by signal 9; what it did before is not known: look again", 0},
		{"exec cat /dev/zero", WIRE_OUTCOME_FAILED,
		 "the report of atom-vmi could not be taken; it has perhaps done its work: look "
		 "again",
		 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct wire_act act = make_act(7, WIRE_ACT_END_PROCESS);
		const struct given *given;
		struct world world;

		open_world(&world, cases[i].script, "");
		given = do_act(&world, &act);
		check_int(given->status, cases[i].status);
		check_string(given->reason, cases[i].reason);
		check_int(given->report_size, cases[i].report_size);
		check(given->fits);
		check(close_world(&world));
	}
}

static void test_actor_program_that_is_not_there(void)
{
	struct wire_act act = make_act(1, WIRE_ACT_END_PROCESS);
	const struct given *given;
	struct world world;

	open_world(&world, "", "");
	(void)unlink(world.program);
	given = do_act(&world, &act);
	check_int(given->status, WIRE_OUTCOME_FAILED);
	check_string(given->reason, "atom-vmi cannot be started: no such file or directory");
	check(close_world(&world));
}

static void test_actor_ends_what_lasts_too_long(void)
{
	struct wire_act act = make_act(1, WIRE_ACT_PAUSE);
	const struct given *given;
	struct world world;

	open_world(&world, "exec sleep 20", "");
	act.timeout_usec = 100 * USEC_PER_MSEC;
	given = do_act(&world, &act);
	check_int(given->status, WIRE_OUTCOME_FAILED);
	check_string(given->reason, "atom-vmi had not ended when its time was over; what it did "
				    "before is not known: look again");
	check(close_world(&world));
}

static void test_actor_needs_the_identity_of_a_process(void)
{
	struct wire_act act = make_act(1, WIRE_ACT_END_PROCESS);
	struct world world;

	open_world(&world, "echo \"$@\" >>arguments", "");
	act.start_nsec = 0;
	check_int(do_act(&world, &act)->status, WIRE_OUTCOME_REFUSED);
	check_string(read_text(&world, "arguments"), "");
	act.action = 2;
	act.dry_run = true;
	check_int(do_act(&world, &act)->status, WIRE_OUTCOME_DONE);
	check(strstr(read_text(&world, "arguments"), "--pid=114 --command=-x --encoded --dry-run "
						     "--connect") != NULL);
	act = make_act(3, WIRE_ACT_END_PROCESS);
	act.command = "sixteen--letters";
	check_int(do_act(&world, &act)->status, WIRE_OUTCOME_REFUSED);
	check(close_world(&world));
}

/* A dry run is asked of the policy like any other, and leaves nothing in the journal. */
static void test_actor_policy_is_asked(void)
{
	static char *const only_pause[] = {"pause"};
	struct wire_act act = make_act(1, WIRE_ACT_END_PROCESS);
	const struct given *given;
	struct world world;

	open_world(&world, "echo >>arguments", "");
	world.rule.actions = (struct config_strings){(char **)only_pause, 1};
	given = do_act(&world, &act);
	check_int(given->status, WIRE_OUTCOME_REFUSED);
	check_string(given->reason, "this node's policy does not allow 'end-process' of VM web1");
	check(strstr(read_text(&world, "journal"), "\"event\":\"refused\"") != NULL);
	act = make_act(2, WIRE_ACT_RELEASE);
	act.dry_run = true;
	given = do_act(&world, &act);
	check_int(given->status, WIRE_OUTCOME_REFUSED);
	check_string(given->reason, "this node's policy does not allow 'contain' of VM web1");
	act = make_act(3, WIRE_ACT_RESUME);
	check_int(do_act(&world, &act)->status, WIRE_OUTCOME_DONE);
	check_string(read_text(&world, "arguments"), "\n");
	/* what was refused stays refused, whatever is allowed since */
	world.rule.actions = (struct config_strings){(char **)all_actions, 4};
	act = make_act(1, WIRE_ACT_END_PROCESS);
	check_int(do_act(&world, &act)->status, WIRE_OUTCOME_REFUSED);
	check(!strstr(read_text(&world, "journal"), "\"action\":2,"));
	check(close_world(&world));
}

static void test_actor_refuses_what_is_not_its_own(void)
{
	struct wire_act act = make_act(1, WIRE_ACT_PAUSE);
	struct world world;

	open_world(&world, "echo >>arguments", "");
	actor_order(world.actor, &act, &nowhere);
	check_int(world.answers[0].status, WIRE_OUTCOME_REFUSED);
	check_string(world.answers[0].reason, "this node has no such VM");
	act.action = 0;
	check_int(do_act(&world, &act)->status, WIRE_OUTCOME_REFUSED);
	act.action = UINT64_MAX;
	check_int(do_act(&world, &act)->status, WIRE_OUTCOME_REFUSED);
	check_string(read_text(&world, "arguments"), "");
	check(close_world(&world));
}

static void test_actor_does_nothing_without_a_journal(void)
{
	struct wire_act act = make_act(1, WIRE_ACT_PAUSE);
	const struct given *given;
	struct world world;

	open_world(&world, "echo >>arguments", "");
	stop_actor(&world);
	(void)snprintf(world.path, sizeof(world.path), "/proc/none/journal");
	start_actor(&world);
	given = do_act(&world, &act);
	check_int(given->status, WIRE_OUTCOME_REFUSED);
	check(strstr(given->reason, "what cannot be recorded is not done: /proc/none/journal") !=
	      NULL);
	check_string(read_text(&world, "arguments"), "");
	act.dry_run = true;
	check_int(do_act(&world, &act)->status, WIRE_OUTCOME_DONE);
	check(close_world(&world));
}

/* It may have done it, and have it in a journal that it cannot read. */
static void test_actor_without_its_memory_does_not_know(void)
{
	struct wire_act act = make_act(1, WIRE_ACT_PAUSE);
	struct journal *other;
	const struct given *given;
	struct world world;

	open_world(&world, "echo >>arguments", "");
	check_int(do_act(&world, &act)->status, WIRE_OUTCOME_DONE);
	stop_actor(&world);
	other = journal_new(world.path); /* another atom-node's */
	start_actor(&world);
	given = do_act(&world, &act);
	check_int(given->status, WIRE_OUTCOME_UNKNOWN);
	check(strstr(given->reason, "whether it was done before cannot be read; it is not done "
				    "now: ") != NULL);
	check(strstr(given->reason, "is another atom-node's") != NULL);
	check_string(read_text(&world, "arguments"), "\n");
	journal_free(other);
	check(close_world(&world));
}

/* Lines that are none, of which there are too many. */
static void fill_journal(const struct world *world)
{
	enum { PIECE = 1 << 20 };
	FILE *stream = fopen(world->path, "r+e");

	if (!stream)
		abort();
	for (long at = PIECE; at <= JOURNAL_SIZE_MAX + PIECE; at += PIECE)
		if (fseek(stream, at, SEEK_SET) < 0 || fputc('\n', stream) == EOF)
			abort();
	if (fclose(stream) != 0)
		abort();
}

static void test_actor_full_journal_is_not_forgotten(void)
{
	struct wire_act act = make_act(1, WIRE_ACT_PAUSE), contain = make_act(2, WIRE_ACT_CONTAIN);
	const struct given *given;
	struct world world;

	open_world(&world, "echo >>arguments", "cat >>rules");
	check_int(do_act(&world, &act)->status, WIRE_OUTCOME_DONE);
	contain.expiry_usec = USEC_PER_SEC;
	check_int(do_act(&world, &contain)->status, WIRE_OUTCOME_DONE);
	stop_actor(&world);
	fill_journal(&world);
	start_actor(&world);
	check_int(journal_containment_count(world.journal), 1);
	check_int(do_act(&world, &act)->status, WIRE_OUTCOME_DONE);
	check_string(read_text(&world, "arguments"), "\n");
	act.action = 3;
	given = do_act(&world, &act);
	check_int(given->status, WIRE_OUTCOME_REFUSED);
	check(strstr(given->reason, "is full") != NULL);
	/* released once, whether or not that can be recorded */
	while (journal_containment_count(world.journal) > 0)
		(void)uv_run(&world.loop, UV_RUN_ONCE);
	check(strstr(read_text(&world, "rules"), "delete table netdev atom-2") != NULL);
	check(close_world(&world));
}

static void test_actor_does_once_what_is_said_again(void)
{
	struct wire_act act = make_act(7, WIRE_ACT_END_PROCESS);
	const struct given *given;
	struct world world;

	open_world(&world,
		   "echo >>arguments; while ! test -e go; do sleep 0.02; done; printf r; exit 4",
		   "");
	order(&world, &act);
	order(&world, &act);
	while (!*read_text(&world, "arguments"))
		(void)uv_run(&world.loop, UV_RUN_NOWAIT);
	order(&world, &act);
	write_file(&world, "go", "");
	wait_for(&world, 1);
	check_int(world.answered, 1);
	for (int round = 0; round < 3; round++) {
		given = do_act(&world, &act);
		check_int(given->action, 7);
		check_int(given->status, WIRE_OUTCOME_PENDING);
		check_int(given->report_size, 1);
		stop_actor(&world);
		start_actor(&world);
	}
	check_string(read_text(&world, "arguments"), "\n");
	/* also when the VM is gone since */
	actor_order(world.actor, &act, &nowhere);
	check_int(world.answers[world.answered - 1].status, WIRE_OUTCOME_PENDING);
	/* but not for another order */
	act.pid = 115;
	given = do_act(&world, &act);
	check_int(given->status, WIRE_OUTCOME_REFUSED);
	check_string(given->reason, "this node's journal has another order under this number");
	check(close_world(&world));
}

static void test_actor_interrupted_action_is_unknown(void)
{
	struct wire_act act = make_act(7, WIRE_ACT_SNAPSHOT);
	int64_t start = clock_mono_usec();
	const struct given *given;
	struct world world;

	open_world(&world, "echo >>arguments; exec sleep 20", "");
	order(&world, &act);
	while (!*read_text(&world, "arguments"))
		(void)uv_run(&world.loop, UV_RUN_NOWAIT);
	stop_actor(&world);
	check_int(world.answered, 0);
	check(clock_mono_usec() - start < 10 * USEC_PER_SEC);
	start_actor(&world);
	given = do_act(&world, &act);
	check_int(given->status, WIRE_OUTCOME_UNKNOWN);
	check_string(given->reason, "atom-node was ended in the middle of it; look again before "
				    "ordering anew");
	check_string(read_text(&world, "arguments"), "\n");
	check(close_world(&world));
}

static void test_actor_pauses_and_resumes(void)
{
	static const struct {
		enum wire_act_kind kind;
		int exit_status;
		enum wire_outcome_status status;
		const char *reason;
	} cases[] = {
		{WIRE_ACT_PAUSE, 0, WIRE_OUTCOME_DONE, ""},
		{WIRE_ACT_PAUSE, 3, WIRE_OUTCOME_DONE, "VM web1 was paused already"},
		{WIRE_ACT_RESUME, 0, WIRE_OUTCOME_DONE, ""},
		{WIRE_ACT_RESUME, 3, WIRE_OUTCOME_DONE, "VM web1 ran already"},
		{WIRE_ACT_RESUME, 1, WIRE_OUTCOME_FAILED, "atom-vmi: it crashed"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct wire_act act = make_act(7, cases[i].kind);
		const struct given *given;
		struct world world;
		char script[128], expected[128];

		(void)snprintf(script, sizeof(script),
			       "echo \"$@\" >>arguments; test %d = 1 && echo 'atom-vmi: it "
			       "crashed' >&2; exit %d",
			       cases[i].exit_status, cases[i].exit_status);
		open_world(&world, script, "");
		act.dry_run = true;
		given = do_act(&world, &act);
		check_int(given->status, WIRE_OUTCOME_DONE);
		check(strstr(given->reason, "VM web1 would be ") != NULL);
		act.dry_run = false;
		act.action = 8;
		given = do_act(&world, &act);
		check_int(given->status, cases[i].status);
		check_string(given->reason, cases[i].reason);
		(void)snprintf(expected, sizeof(expected), "%s %s --connect test:///default\n",
			       wire_act_kind_name(cases[i].kind), uuid);
		check_string(read_text(&world, "arguments"), expected);
		check(close_world(&world));
	}
}

static void test_actor_saves_evidence_and_never_over_some(void)
{
	struct wire_act act = make_act(12, WIRE_ACT_SNAPSHOT);
	const struct policy_case asked = {"controller", "we b/../1", ""};
	const struct given *given;
	struct world world;
	struct stat status;
	char path[PATH_SIZE + 64];

	open_world(&world, "test \"$3\" = --output && printf memory >\"$4\"", "");
	act.dry_run = true;
	actor_order(world.actor, &act, &asked);
	given = &world.answers[0];
	(void)snprintf(path, sizeof(path), "%s/evidence-we_b_.._1-12.lime", world.evidence);
	check_int(given->status, WIRE_OUTCOME_DONE);
	check(strstr(given->reason, path) != NULL);
	check(strstr(given->reason, " MiB are free there") != NULL);
	check_int(stat(world.evidence, &status), -1); /* nothing has changed */
	act.dry_run = false;
	actor_order(world.actor, &act, &asked);
	wait_for(&world, 2);
	given = &world.answers[1];
	check_int(given->status, WIRE_OUTCOME_DONE);
	check_string(given->reason, path);
	check_string(cell_of(given, "file", 0), path);
	check_int(stat(world.evidence, &status), 0);
	check_int(status.st_mode & 0777, 0700);
	check_int(stat(path, &status), 0);
	check_int(status.st_size, 6);
	(void)unlink(world.path); /* a journal that forgot */
	stop_actor(&world);
	start_actor(&world);
	actor_order(world.actor, &act, &asked);
	wait_for(&world, 3);
	check_int(world.answers[2].status, WIRE_OUTCOME_FAILED);
	check(strstr(world.answers[2].reason, "is there already") != NULL);
	check(close_world(&world));
}

/* A snapshot lasts as long as it lasts; what its VM waits for has its own time. */
static const char slow_snapshot[] =
	"echo $1 >>ran; test $1 = snapshot || exit 0; while ! test -e go; do sleep 0.02; done";

static void wait_for_text(struct world *world, const char *name, const char *text)
{
	while (strcmp(read_text(world, name), text) != 0)
		(void)uv_run(&world->loop, UV_RUN_NOWAIT);
}

static void test_actor_order_is_not_begun_when_its_time_is_over(void)
{
	struct wire_act act = make_act(1, WIRE_ACT_SNAPSHOT);
	int64_t start_usec = clock_mono_usec();
	struct world world;

	open_world(&world, slow_snapshot, "");
	order(&world, &act);
	act = make_act(2, WIRE_ACT_END_PROCESS);
	act.timeout_usec = 200 * USEC_PER_MSEC;
	order(&world, &act);
	wait_for(&world, 1);
	check(clock_mono_usec() - start_usec < 20 * USEC_PER_SEC);
	check_int(world.answers[0].action, 2);
	check_int(world.answers[0].status, WIRE_OUTCOME_FAILED);
	check_string(world.answers[0].reason, "not begun in time, nothing was done");
	write_file(&world, "go", "");
	wait_for(&world, 2);
	check_string(read_text(&world, "ran"), "snapshot\n");
	/* and it stays so */
	check_int(do_act(&world, &act)->status, WIRE_OUTCOME_FAILED);
	check(strstr(read_text(&world, "journal"), "\"event\":\"ended\",\"action\":2,") != NULL);
	check(!strstr(read_text(&world, "journal"), "\"event\":\"begun\",\"action\":2,"));
	check(close_world(&world));
}

/* The order has so long from its arrival on, not from when it gets its turn. */
static void test_actor_time_in_the_queue_counts(void)
{
	struct wire_act act = make_act(1, WIRE_ACT_PAUSE);
	int64_t start_usec = clock_mono_usec();
	struct world world;

	open_world(&world, "test $1 = pause && exec sleep 1; exec sleep 20", "");
	order(&world, &act);
	act = make_act(2, WIRE_ACT_RESUME);
	act.timeout_usec = 2 * USEC_PER_SEC;
	order(&world, &act);
	wait_for(&world, 2);
	check_int(world.answers[1].status, WIRE_OUTCOME_FAILED);
	check(strstr(world.answers[1].reason, "had not ended when its time was over") != NULL);
	check_near((double)(clock_mono_usec() - start_usec), 2e6, 9e5);
	check(close_world(&world));
}

static void test_actor_snapshots_take_one_place(void)
{
	struct world world;
	struct wire_act act;

	open_world(&world, slow_snapshot, "echo nft >>ran");
	for (uint64_t action = 1; action <= 3; action++) {
		act = make_act(action, WIRE_ACT_SNAPSHOT);
		act.vm.bytes[0] = (uint8_t)action;
		order(&world, &act);
	}
	wait_for_text(&world, "ran", "snapshot\n");
	/* of a VM that is being saved, and of one whose turn has not come */
	act = make_act(4, WIRE_ACT_CONTAIN);
	act.vm.bytes[0] = 1;
	check_int(do_act(&world, &act)->status, WIRE_OUTCOME_DONE);
	act = make_act(5, WIRE_ACT_PAUSE);
	act.vm.bytes[0] = 1;
	check_int(do_act(&world, &act)->status, WIRE_OUTCOME_DONE);
	act = make_act(6, WIRE_ACT_RESUME);
	act.vm.bytes[0] = 2;
	check_int(do_act(&world, &act)->status, WIRE_OUTCOME_DONE);
	act = make_act(7, WIRE_ACT_RELEASE);
	act.vm.bytes[0] = 1;
	act.undoes = 4;
	check_int(do_act(&world, &act)->status, WIRE_OUTCOME_DONE);
	check_string(read_text(&world, "ran"), "snapshot\nnft\npause\nresume\nnft\n");
	write_file(&world, "go", "");
	wait_for(&world, 7);
	check_int(world.answered, 7);
	check(close_world(&world));
}

/* Also beside a program that has the VM, but those at its taps one after the other. */
static void test_actor_contains_beside_what_has_the_vm(void)
{
	struct wire_act act = make_act(1, WIRE_ACT_END_PROCESS);
	struct world world;

	open_world(&world, "while ! test -e go; do sleep 0.02; done",
		   "cat >/dev/null; mkdir net || echo two >>ran; sleep 0.2; rmdir net");
	order(&world, &act);
	act.action = 4;
	act.vm.bytes[0]++;
	order(&world, &act);
	act = make_act(2, WIRE_ACT_CONTAIN);
	order(&world, &act);
	act = make_act(3, WIRE_ACT_RELEASE);
	act.undoes = 2;
	check_int(do_act(&world, &act)->action, 2); /* with the two places taken */
	wait_for(&world, 2);
	check_int(world.answers[1].action, 3);
	check_int(world.answers[1].status, WIRE_OUTCOME_DONE);
	check_string(read_text(&world, "ran"), "");
	write_file(&world, "go", "");
	wait_for(&world, 4);
	check(close_world(&world));
}

/* Two at once, of different VMs; those of one VM in their order; no more than so many wait. */
static void test_actor_queue_is_short_and_one_per_vm(void)
{
	enum { ALL = ACTOR_RUNNING_MAX + ACTOR_WAITING_MAX };
	struct world world;
	struct wire_act act;

	open_world(&world,
		   "mkdir $2 || echo two >>arguments; echo >>runs\n"
		   "while ! test -e go; do sleep 0.02; done; rmdir $2",
		   "");
	for (uint64_t action = 1; action <= ALL; action++) {
		act = make_act(action, WIRE_ACT_PAUSE);
		act.vm.bytes[0] = action < 4 ? 1 : 2; /* the third waits for the first two */
		order(&world, &act);
	}
	check_int(world.answered, 0);
	act.action = ALL + 1;
	order(&world, &act);
	check_int(world.answered, 1);
	check_int(world.answers[0].status, WIRE_OUTCOME_FAILED);
	check_string(world.answers[0].reason, "too many actions wait");
	while (strlen(read_text(&world, "runs")) < ACTOR_RUNNING_MAX)
		(void)uv_run(&world.loop, UV_RUN_NOWAIT);
	write_file(&world, "go", "");
	wait_for(&world, 1 + ALL);
	check_int(world.answered, 1 + ALL);
	check_string(read_text(&world, "arguments"), "");
	for (size_t i = 1, last = 3; i <= ALL; i++) {
		check_int(world.answers[i].status, WIRE_OUTCOME_DONE);
		if (world.answers[i].action < 4)
			continue;
		check_int(world.answers[i].action, last + 1);
		last++;
	}
	check(close_world(&world));
}

static void test_actor_snapshot_needs_room_for_the_whole_memory(void)
{
	struct wire_act act = make_act(12, WIRE_ACT_SNAPSHOT);
	const struct given *given;
	struct world world;

	open_world(&world, "printf memory >\"$4\"", "");
	world.memory = UINT64_C(1) << 60;
	given = do_act(&world, &act);
	check_int(given->status, WIRE_OUTCOME_FAILED);
	check(strstr(given->reason, "make it 1099511628800 or more") != NULL);
	world.memory = 1 << 20;
	act.action = 13;
	check_int(do_act(&world, &act)->status, WIRE_OUTCOME_DONE);
	check(close_world(&world));
}

TEST_MAIN(TEST(test_actor_snapshot_needs_room_for_the_whole_memory),
	  TEST(test_actor_ends_a_process), TEST(test_actor_end_of_a_process_by_exit_status),
	  TEST(test_actor_program_that_is_not_there), TEST(test_actor_ends_what_lasts_too_long),
	  TEST(test_actor_needs_the_identity_of_a_process), TEST(test_actor_policy_is_asked),
	  TEST(test_actor_refuses_what_is_not_its_own),
	  TEST(test_actor_does_nothing_without_a_journal),
	  TEST(test_actor_without_its_memory_does_not_know),
	  TEST(test_actor_full_journal_is_not_forgotten),
	  TEST(test_actor_does_once_what_is_said_again),
	  TEST(test_actor_interrupted_action_is_unknown), TEST(test_actor_pauses_and_resumes),
	  TEST(test_actor_saves_evidence_and_never_over_some),
	  TEST(test_actor_order_is_not_begun_when_its_time_is_over),
	  TEST(test_actor_time_in_the_queue_counts), TEST(test_actor_snapshots_take_one_place),
	  TEST(test_actor_contains_beside_what_has_the_vm),
	  TEST(test_actor_queue_is_short_and_one_per_vm))
