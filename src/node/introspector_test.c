/* SPDX-License-Identifier: Apache-2.0 */
/* The introspector with a shell script in the place of atom-vmi. */
#include "node/introspector.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/test.h"

enum {
	PATH_SIZE = 128,
	ANSWERS_MAX = 80,
	PATIENCE_MSEC = 20000,
	SHORT_MSEC = 100,
	REPORT_SIZE = 200000
};

static const char uuid[] = "b9f1a1c2-0000-4000-8000-000000000001";

struct given {
	uint64_t request;
	enum wire_findings_status status;
	char reason[WIRE_NAME_MAX + 1];
	uint8_t *report;
	size_t report_size;
	bool fits; /* into a message */
};

struct world {
	char folder[32], program[PATH_SIZE];
	uv_loop_t loop;
	struct policy policy;
	struct introspector *introspector;
	struct given answers[ANSWERS_MAX];
	size_t answered;
};

static void on_answer(void *userdata, const struct wire_findings *findings)
{
	struct world *world = userdata;
	struct given *given = &world->answers[world->answered++];
	struct wire_message message = {.type = WIRE_FINDINGS, .findings = *findings};
	cleanup(free) uint8_t *data = NULL;
	size_t size;

	*given = (struct given){.request = findings->request,
				.status = findings->status,
				.report = malloc(findings->report_size + 1),
				.report_size = findings->report_size,
				.fits = wire_encode(&message, &data, &size, NULL) == 0};
	(void)snprintf(given->reason, sizeof(given->reason), "%s", findings->reason);
	if (findings->report_size > 0)
		memcpy(given->report, findings->report, findings->report_size);
}

static const char *path_of(const struct world *world, const char *name)
{
	static char path[PATH_SIZE];

	(void)snprintf(path, sizeof(path), "%s/%s", world->folder, name);
	return path;
}

static void write_file(const struct world *world, const char *name, const void *data, size_t size)
{
	FILE *stream = fopen(path_of(world, name), "we");

	if (!stream || fwrite(data, 1, size, stream) != size || fclose(stream) != 0)
		abort();
}

/* Empty where there is none. */
static const char *read_text(const struct world *world, const char *name)
{
	static char text[8192];
	FILE *stream = fopen(path_of(world, name), "re");

	text[stream ? fread(text, 1, sizeof(text) - 1, stream) : 0] = '\0';
	if (stream)
		(void)fclose(stream);
	return text;
}

/* The script runs in the world's folder. */
static void open_world_with(struct world *world, const char *script, unsigned patience_msec)
{
	struct introspector_options options = {.program = world->program,
					       .uri = "test:///default",
					       .patience_msec = patience_msec,
					       .policy = &world->policy,
					       .answer = on_answer,
					       .userdata = world};
	char text[1024];

	*world = (struct world){.folder = "/tmp/atom-look-XXXXXX"};
	if (!mkdtemp(world->folder) || policy_load("", &world->policy, NULL) < 0)
		abort();
	(void)snprintf(text, sizeof(text), "#!/bin/sh\ncd %s\n%s\n", world->folder, script);
	write_file(world, "atom-vmi", text, strlen(text));
	(void)snprintf(world->program, sizeof(world->program), "%s", path_of(world, "atom-vmi"));
	(void)chmod(world->program, 0700);
	(void)uv_loop_init(&world->loop);
	world->introspector = introspector_new(&world->loop, &options);
	log_init("introspector_test", LOG_LEVEL_ERROR);
}

/* A busy machine may take its time. */
static void open_world(struct world *world, const char *script)
{
	open_world_with(world, script, PATIENCE_MSEC);
}

/* Whether nothing was left open. */
static bool close_world(struct world *world)
{
	static const char *const names[] = {"atom-vmi", "report", "arguments", "go"};
	bool is_clean;

	introspector_free(world->introspector);
	(void)uv_run(&world->loop, UV_RUN_DEFAULT);
	is_clean = uv_loop_close(&world->loop) == 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)unlink(path_of(world, names[i]));
	is_clean &= rmdir(world->folder) == 0;
	for (size_t i = 0; i < world->answered; i++)
		free(world->answers[i].report);
	policy_deinit(&world->policy);
	return is_clean;
}

/* One view; the VM is called web1. */
static void ask(struct world *world, uint64_t number, const char *view)
{
	struct wire_introspect request = {.request = number,
					  .views = {"ps", (char *)view},
					  .view_count = 2,
					  .interval_usec = 0.05 * USEC_PER_SEC,
					  .budget_usec = 100 * USEC_PER_MSEC};
	struct policy_case asked = {"controller", "web1", "shop"};

	(void)vm_uuid_parse(uuid, &request.vm);
	introspector_ask(world->introspector, &request, &asked);
}

/* Runs the loop until so many answers are there. */
static void wait_for(struct world *world, size_t count)
{
	while (world->answered < count && uv_run(&world->loop, UV_RUN_ONCE))
		;
}

/* Asks with a script of its own and gives the one answer. */
static const struct given *ask_script(struct world *world, const char *script)
{
	open_world(world, script);
	ask(world, 7, "net");
	wait_for(world, 1);
	return &world->answers[0];
}

static void test_introspector_report_passes_byte_for_byte(void)
{
	static uint8_t report[REPORT_SIZE];
	const struct given *given;
	struct world world;
	char expected[256];

	for (size_t i = 0; i < sizeof(report); i++)
		report[i] = (uint8_t)(i * 7 + i / 256);
	open_world(&world, "cat\necho \"$@\" >arguments\necho a word about it >&2\ncat report");
	write_file(&world, "report", report, sizeof(report));
	ask(&world, 7, "net");
	wait_for(&world, 1);
	given = &world.answers[0];
	check_int(given->status, WIRE_FINDINGS_DONE);
	check_int(given->request, 7);
	check_string(given->reason, "");
	check_int(given->report_size, sizeof(report));
	check(memcmp(given->report, report, sizeof(report)) == 0);
	(void)snprintf(expected, sizeof(expected),
		       "ps,net %s --encoded --budget 100 --interval 0.050000 --connect "
		       "test:///default\n",
		       uuid);
	check_string(read_text(&world, "arguments"), expected);
	check(close_world(&world));
}

static void test_introspector_status_1_with_report_is_done_with_reason(void)
{
	struct world world;
	const struct given *given =
		ask_script(&world, "echo first >&2; echo 'atom-vmi: net: odd' >&2\n"
				   "printf report; exit 1");

	check_int(given->status, WIRE_FINDINGS_DONE);
	check_string(given->reason, "atom-vmi: net: odd");
	check_int(given->report_size, 6);
	check(close_world(&world));
	given = ask_script(&world, "printf report; exit 1");
	check_int(given->status, WIRE_FINDINGS_DONE);
	check_string(given->reason, "not every view could be read");
	check(close_world(&world));
}

static void test_introspector_failure_has_the_last_line(void)
{
	static const struct {
		const char *script, *reason;
	} cases[] = {
		{"echo 'first' >&2; printf 'atom-vmi: no such VM\\n\\n' >&2; exit 1",
		 "atom-vmi: no such VM"},
		{"printf 'a\\033[2Jb\\377\\000c \\342\\200\\256d\\303' >&2; exit 1",
		 "a?[2Jb??c ???d?"},
		{"yes 'nothing of this' | head -c 100000 >&2; echo 'the end' >&2; exit 1",
		 "the end"},
		{"echo usage >&2; printf report; exit 2", "usage"},
		{"exit 3", "atom-vmi gave no report and no reason, exit status 3"},
		{"exit 0", "atom-vmi gave no report and no reason, exit status 0"},
		{"printf report; kill -9 $$", "atom-vmi was ended by signal 9"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world world;
		const struct given *given = ask_script(&world, cases[i].script);

		check_int(given->status, WIRE_FINDINGS_FAILED);
		check_string(given->reason, cases[i].reason);
		check_int(given->report_size, 0);
		check(given->fits);
		check(close_world(&world));
	}
}

/* 300 times a character of two bytes: 127 of them fit into 255. */
static void test_introspector_reason_is_cut_between_characters(void)
{
	struct world world;
	const struct given *given =
		ask_script(&world, "yes '\303\251' | head -n 300 | tr -d '\\n' >&2; exit 1");

	check_int(strlen(given->reason), 254);
	check(given->fits);
	check(close_world(&world));
}

static void test_introspector_report_as_large_as_a_message_takes(void)
{
	struct world world;
	char script[64];
	const struct given *given;

	(void)snprintf(script, sizeof(script), "head -c %d /dev/zero",
		       INTROSPECTOR_REPORT_SIZE_MAX);
	given = ask_script(&world, script);
	check_int(given->status, WIRE_FINDINGS_DONE);
	check_int(given->report_size, INTROSPECTOR_REPORT_SIZE_MAX);
	check(given->fits);
	check(close_world(&world));
	given = ask_script(&world, "exec cat /dev/zero");
	check_int(given->status, WIRE_FINDINGS_FAILED);
	check(strstr(given->reason, "the report is larger than ") != NULL);
	check_int(given->report_size, 0);
	check(close_world(&world));
}

static void test_introspector_ends_what_lasts_too_long(void)
{
	int64_t start = clock_mono_usec();
	struct world world;

	open_world_with(&world, "printf report; exec sleep 20", SHORT_MSEC);
	ask(&world, 7, "net");
	wait_for(&world, 1);
	check_int(world.answers[0].status, WIRE_FINDINGS_FAILED);
	check_string(world.answers[0].reason, "atom-vmi had not ended when its time was over");
	/* timers count whole milliseconds */
	check(clock_mono_usec() - start > (150 + SHORT_MSEC - 2) * USEC_PER_MSEC);
	check(close_world(&world));
	/* one that does not listen */
	open_world_with(&world, "trap '' TERM; while :; do sleep 0.1; done", SHORT_MSEC);
	ask(&world, 7, "net");
	wait_for(&world, 1);
	check_int(world.answers[0].status, WIRE_FINDINGS_FAILED);
	check(clock_mono_usec() - start < 10 * USEC_PER_SEC);
	check(close_world(&world));
}

/* As the guard of a pause does it. */
static void test_introspector_pipe_that_outlives_the_program(void)
{
	int64_t start = clock_mono_usec();
	struct world world;
	const struct given *given = ask_script(&world, "sleep 5 & printf report");

	check_int(given->status, WIRE_FINDINGS_DONE);
	check_int(given->report_size, 6);
	check(clock_mono_usec() - start < 4 * USEC_PER_SEC);
	check(close_world(&world));
}

static void test_introspector_refuses_without_a_program(void)
{
	struct config_strings views = {(char *[]){"ps", "top"}, 2};
	struct policy_rule rule = {.vm = "web*", .project = "", .views = views};
	struct wire_introspect request = {.request = 3, .views = {"ps"}, .view_count = 1};
	struct policy strict = {{&rule, 1}};
	struct world world;

	open_world(&world, "echo >arguments");
	introspector_ask(world.introspector, &request, NULL);
	check_int(world.answered, 1);
	check_int(world.answers[0].request, 3);
	check_int(world.answers[0].status, WIRE_FINDINGS_REFUSED);
	check_string(world.answers[0].reason, "this node has no such VM");
	ask(&world, 4, "kill");
	check_int(world.answered, 2);
	check_int(world.answers[1].status, WIRE_FINDINGS_REFUSED);
	check_string(world.answers[1].reason,
		     "this node knows no view 'kill', asked for of VM web1");
	world.policy = strict;
	ask(&world, 5, "net");
	check_int(world.answered, 3);
	check_int(world.answers[2].status, WIRE_FINDINGS_REFUSED);
	check_string(world.answers[2].reason,
		     "this node's policy does not allow view 'net' of VM web1");
	world.policy = (struct policy){0};
	check_int(uv_run(&world.loop, UV_RUN_NOWAIT), 0);
	check_string(read_text(&world, "arguments"), "");
	check(close_world(&world));
}

static void test_introspector_program_that_is_not_there(void)
{
	struct world world;

	open_world(&world, "");
	(void)unlink(world.program);
	ask(&world, 1, "net");
	ask(&world, 2, "net");
	wait_for(&world, 2);
	check_int(world.answers[0].status, WIRE_FINDINGS_FAILED);
	check_int(world.answers[1].request, 2);
	check_string(world.answers[1].reason,
		     "atom-vmi cannot be started: no such file or directory");
	check(close_world(&world));
}

/* The numbers 1 to `count` are each answered once, and begun in their order: when one is done, no
 * more before it are still to come than may run beside it. */
static bool are_in_order(const struct given *answers, size_t count)
{
	bool answered[ANSWERS_MAX + 1] = {0};

	for (size_t i = 0; i < count; i++) {
		uint64_t number = answers[i].request;
		size_t missing = 0;

		if (number > count || answered[number] || answers[i].status != WIRE_FINDINGS_DONE)
			return false;
		answered[number] = true;
		for (uint64_t earlier = 1; earlier < number; earlier++)
			missing += !answered[earlier];
		if (missing >= INTROSPECTOR_RUNNING_MAX)
			return false;
	}
	return true;
}

static void test_introspector_queue_is_short_and_fair(void)
{
	enum { ALL = INTROSPECTOR_RUNNING_MAX + INTROSPECTOR_WAITING_MAX };
	struct world world;

	/* every run leaves a mark, and they wait for a sign */
	open_world(&world, "echo >>arguments\nwhile ! test -e go; do sleep 0.02; done\nprintf r");
	for (uint64_t number = 1; number <= ALL; number++)
		ask(&world, number, "net");
	check_int(world.answered, 0);
	ask(&world, 1, "net");   /* runs */
	ask(&world, ALL, "net"); /* waits */
	check_int(world.answered, 0);
	ask(&world, ALL + 1, "net");
	check_int(world.answered, 1);
	check_int(world.answers[0].request, ALL + 1);
	check_int(world.answers[0].status, WIRE_FINDINGS_FAILED);
	check_string(world.answers[0].reason, "too many requests");
	while (strlen(read_text(&world, "arguments")) < INTROSPECTOR_RUNNING_MAX)
		(void)uv_run(&world.loop, UV_RUN_NOWAIT);
	check_int(strlen(read_text(&world, "arguments")), INTROSPECTOR_RUNNING_MAX);
	write_file(&world, "go", "", 0);
	wait_for(&world, 1 + ALL);
	check(are_in_order(world.answers + 1, ALL));
	check_int(strlen(read_text(&world, "arguments")), ALL);
	ask(&world, 1, "net"); /* the answer was lost: asked again it is looked at again */
	wait_for(&world, 2 + ALL);
	check_int(world.answers[1 + ALL].status, WIRE_FINDINGS_DONE);
	check(close_world(&world));
}

static void test_introspector_free_ends_what_runs(void)
{
	int64_t start = clock_mono_usec();
	struct world world;

	open_world(&world, "exec sleep 20");
	for (uint64_t number = 1; number < 6; number++)
		ask(&world, number, "net");
	check(close_world(&world));
	check_int(world.answered, 0);
	check(clock_mono_usec() - start < 4 * USEC_PER_SEC);
}

static void test_introspector_name_is_looked_for_in_path(void)
{
	struct introspector_options options = {
		.program = "atom-vmi-of-the-test", .uri = "", .answer = on_answer};
	struct world world;
	char path[2 * PATH_SIZE];

	open_world(&world, "echo $* >arguments; printf r");
	options.userdata = &world;
	options.policy = &world.policy;
	introspector_free(world.introspector);
	world.introspector = introspector_new(&world.loop, &options);
	(void)snprintf(path, sizeof(path), "%s", path_of(&world, "atom-vmi-of-the-test"));
	check_int(rename(world.program, path), 0);
	(void)snprintf(path, sizeof(path), "%s:/usr/bin:/bin", world.folder);
	(void)setenv("PATH", path, 1);
	ask(&world, 1, "net");
	wait_for(&world, 1);
	check_int(world.answers[0].status, WIRE_FINDINGS_DONE);
	check(strstr(read_text(&world, "arguments"), "--connect") == NULL);
	(void)unlink(path_of(&world, "atom-vmi-of-the-test"));
	check(close_world(&world));
}

TEST_MAIN(TEST(test_introspector_report_passes_byte_for_byte),
	  TEST(test_introspector_status_1_with_report_is_done_with_reason),
	  TEST(test_introspector_failure_has_the_last_line),
	  TEST(test_introspector_reason_is_cut_between_characters),
	  TEST(test_introspector_report_as_large_as_a_message_takes),
	  TEST(test_introspector_ends_what_lasts_too_long),
	  TEST(test_introspector_pipe_that_outlives_the_program),
	  TEST(test_introspector_refuses_without_a_program),
	  TEST(test_introspector_program_that_is_not_there),
	  TEST(test_introspector_queue_is_short_and_fair),
	  TEST(test_introspector_free_ends_what_runs),
	  TEST(test_introspector_name_is_looked_for_in_path))
