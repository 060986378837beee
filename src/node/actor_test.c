/* SPDX-License-Identifier: Apache-2.0 */
/* The actor with shell scripts in the places of atom-vmi and nft. */
#include "node/actor.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/test.h"
#include "wire/report.h"

DEFINE_CLEANUP(struct report *, report_free)

enum { PATH_SIZE = 128, ANSWERS_MAX = 96, TEXT_SIZE = 65536 };

static const char uuid[] = "b9f1a1c2-0000-4000-8000-000000000001";

struct given {
	uint64_t action;
	enum wire_outcome_status status;
	char reason[WIRE_NAME_MAX + 1];
	uint8_t *report;
	size_t report_size;
	bool fits; /* into a message */
};

struct world {
	char folder[40], program[PATH_SIZE], nft[PATH_SIZE], evidence[PATH_SIZE],
		path[PATH_SIZE]; /* of the journal */
	uv_loop_t loop;
	struct policy_rule rule;
	struct policy policy;
	struct journal *journal;
	struct actor *actor;
	size_t tap_count;
	struct given answers[ANSWERS_MAX];
	size_t answered;
};

static char *const all_actions[] = {"end-process", "contain", "pause", "snapshot"};

static void on_answer(void *userdata, const struct wire_outcome *outcome)
{
	struct world *world = userdata;
	struct given *given = &world->answers[world->answered++];
	struct wire_message message = {.type = WIRE_OUTCOME, .outcome = *outcome};
	cleanup(free) uint8_t *data = NULL;
	size_t size;

	*given = (struct given){.action = outcome->action,
				.status = outcome->status,
				.report = malloc(outcome->report_size + 1),
				.report_size = outcome->report_size,
				.fits = wire_encode(&message, &data, &size, NULL) == 0};
	(void)snprintf(given->reason, sizeof(given->reason), "%s", outcome->reason);
	if (outcome->report_size > 0)
		memcpy(given->report, outcome->report, outcome->report_size);
}

static size_t give_taps(void *userdata, const struct vm_uuid *vm,
			char (*ret_names)[HYPERVISOR_TAP_SIZE], size_t capacity)
{
	const struct world *world = userdata;

	for (size_t i = 0; i < world->tap_count; i++)
		(void)snprintf(ret_names[i], HYPERVISOR_TAP_SIZE, "vnet%u", (unsigned)i);
	return world->tap_count;
}

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

/* Empty where there is none. */
static const char *read_text(const struct world *world, const char *name)
{
	static char text[TEXT_SIZE];
	FILE *stream = fopen(path_of(world, name), "re");

	text[stream ? fread(text, 1, sizeof(text) - 1, stream) : 0] = '\0';
	if (stream)
		(void)fclose(stream);
	return text;
}

static void write_program(struct world *world, const char *name, const char *script, char *ret_path)
{
	char text[1024];

	(void)snprintf(text, sizeof(text), "#!/bin/sh\ncd %s\n%s\n", world->folder, script);
	write_file(world, name, text);
	(void)snprintf(ret_path, PATH_SIZE, "%s", path_of(world, name));
	(void)chmod(ret_path, 0700);
}

static void start_actor(struct world *world)
{
	struct actor_options options = {.program = world->program,
					.uri = "test:///default",
					.nft = world->nft,
					.evidence = world->evidence,
					.policy = &world->policy,
					.taps = give_taps,
					.answer = on_answer,
					.userdata = world};

	world->journal = journal_new(world->path);
	options.journal = world->journal;
	world->actor = world->journal ? actor_new(&world->loop, &options) : NULL;
	if (!world->actor)
		abort();
}

static void stop_actor(struct world *world)
{
	world->actor = actor_free(world->actor);
	(void)uv_run(&world->loop, UV_RUN_DEFAULT);
	world->journal = journal_free(world->journal);
}

/* Every action is allowed; the scripts run in the world's folder. */
static void open_world(struct world *world, const char *vmi_script, const char *nft_script)
{
	*world = (struct world){
		.folder = "/tmp/atom-actor-XXXXXX",
		.rule = {.vm = "", .project = "", .actions = {(char **)all_actions, 4}},
		.tap_count = 1};
	world->policy = (struct policy){{&world->rule, 1}};
	if (!mkdtemp(world->folder))
		abort();
	(void)signal(SIGPIPE, SIG_IGN);
	log_init("actor_test", (enum log_level)0);
	write_program(world, "atom-vmi", vmi_script, world->program);
	write_program(world, "nft", nft_script, world->nft);
	(void)snprintf(world->path, sizeof(world->path), "%s", path_of(world, "journal"));
	(void)snprintf(world->evidence, sizeof(world->evidence), "%s", path_of(world, "evidence"));
	(void)uv_loop_init(&world->loop);
	start_actor(world);
}

/* Whether nothing was left open. */
static bool close_world(struct world *world)
{
	char command[128];
	bool is_clean;

	stop_actor(world);
	is_clean = uv_loop_close(&world->loop) == 0;
	for (size_t i = 0; i < world->answered; i++)
		free(world->answers[i].report);
	(void)snprintf(command, sizeof(command), "rm -r %s", world->folder);
	return system(command) == 0 && is_clean;
}

static struct wire_act make_act(uint64_t action, enum wire_act_kind kind)
{
	struct wire_act act = {.action = action,
			       .alarm = 5,
			       .kind = kind,
			       .timeout_usec = 60 * USEC_PER_SEC,
			       .who = "operator anna",
			       .command = "",
			       .peer = "",
			       .address = ""};

	(void)vm_uuid_parse(uuid, &act.vm);
	if (kind == WIRE_ACT_END_PROCESS) {
		act.pid = 114;
		act.start_nsec = 5000000123;
		act.command = "-x";
	}
	if (kind == WIRE_ACT_CONTAIN) {
		act.peer = "192.0.2.7";
		act.expiry_usec = 600 * USEC_PER_SEC;
	}
	return act;
}

static void order(struct world *world, const struct wire_act *act)
{
	const struct policy_case asked = {"controller", "web1", "shop"};

	actor_order(world->actor, act, &asked);
}

static void wait_for(struct world *world, size_t count)
{
	while (world->answered < count && uv_run(&world->loop, UV_RUN_ONCE))
		;
}

/* Orders it and gives the answer to it. */
static const struct given *do_act(struct world *world, const struct wire_act *act)
{
	size_t count = world->answered + 1;

	order(world, act);
	wait_for(world, count);
	return &world->answers[count - 1];
}

/* The cell of the report's only column or first row; "" where there is none. */
static const char *cell_of(const struct given *given, const char *table, size_t row)
{
	static char text[REPORT_TEXT_MAX + 1];
	cleanup(report_free) struct report *report = NULL;
	long found;

	text[0] = '\0';
	if (report_decode(given->report, given->report_size, &report, NULL) < 0)
		return text;
	found = report_find_table(report, table);
	if (found >= 0 && row < report_rows(report, (size_t)found))
		(void)snprintf(text, sizeof(text), "%s",
			       report_cell(report, (size_t)found, row, 0)->text.bytes);
	return text;
}

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
	actor_order(world.actor, &act, NULL);
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
	actor_order(world.actor, &act, NULL);
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
	wait_for_text(&world, "ran", "snapshot\nnft\npause\nresume\nnft\n");
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
	act = make_act(2, WIRE_ACT_CONTAIN);
	order(&world, &act);
	act = make_act(3, WIRE_ACT_RELEASE);
	act.undoes = 2;
	check_int(do_act(&world, &act)->action, 2);
	wait_for(&world, 2);
	check_int(world.answers[1].action, 3);
	check_int(world.answers[1].status, WIRE_OUTCOME_DONE);
	check_string(read_text(&world, "ran"), "");
	write_file(&world, "go", "");
	wait_for(&world, 3);
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

TEST_MAIN(TEST(test_actor_ends_a_process), TEST(test_actor_end_of_a_process_by_exit_status),
	  TEST(test_actor_program_that_is_not_there), TEST(test_actor_ends_what_lasts_too_long),
	  TEST(test_actor_needs_the_identity_of_a_process), TEST(test_actor_policy_is_asked),
	  TEST(test_actor_refuses_what_is_not_its_own),
	  TEST(test_actor_does_nothing_without_a_journal),
	  TEST(test_actor_without_its_memory_does_not_know),
	  TEST(test_actor_full_journal_is_not_forgotten),
	  TEST(test_actor_releases_what_a_lost_journal_knew),
	  TEST(test_actor_does_once_what_is_said_again),
	  TEST(test_actor_interrupted_action_is_unknown), TEST(test_actor_pauses_and_resumes),
	  TEST(test_actor_saves_evidence_and_never_over_some), TEST(test_actor_contains_by_nft),
	  TEST(test_actor_containment_that_is_not_possible),
	  TEST(test_actor_releases_what_it_contained), TEST(test_actor_containments_have_a_limit),
	  TEST(test_actor_releases_by_itself_when_the_time_is_over),
	  TEST(test_actor_release_that_fails_is_tried_again),
	  TEST(test_actor_release_that_fails_lets_the_next_one_go_on),
	  TEST(test_actor_order_is_not_begun_when_its_time_is_over),
	  TEST(test_actor_time_in_the_queue_counts), TEST(test_actor_snapshots_take_one_place),
	  TEST(test_actor_contains_beside_what_has_the_vm),
	  TEST(test_actor_queue_is_short_and_one_per_vm))
