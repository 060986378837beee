/* SPDX-License-Identifier: Apache-2.0 */
/* Runs of the shell, which stands for any program. */
#include "node/program.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/test.h"

enum { OUTPUT_SIZE = 4096, BIG = 4 << 20 };

struct world {
	uv_loop_t loop;
	unsigned ended;
	enum program_trouble trouble;
	int64_t exit_status;
	int signal;
	char output[OUTPUT_SIZE + 1], complaint[WIRE_NAME_MAX + 1];
};

static void on_ended(void *userdata, const struct program_result *result)
{
	struct world *world = userdata;

	world->ended++;
	world->trouble = result->trouble;
	world->exit_status = result->exit_status;
	world->signal = result->signal;
	if (result->output_size > 0 && result->output_size <= OUTPUT_SIZE)
		memcpy(world->output, result->output, result->output_size);
	(void)strcpy(world->complaint, result->complaint);
}

static void open_world(struct world *world)
{
	*world = (struct world){0};
	(void)signal(SIGPIPE, SIG_IGN);
	(void)uv_loop_init(&world->loop);
}

/* Whether nothing was left open. */
static bool close_world(struct world *world)
{
	(void)uv_run(&world->loop, UV_RUN_DEFAULT);
	return uv_loop_close(&world->loop) == 0;
}

static int start(struct world *world, const char *script, const char *input, size_t size,
		 int64_t timeout_usec)
{
	const char *const arguments[] = {"sh", "-c", script, "sh", "-x", "a b", NULL};
	struct program_options options = {.arguments = arguments,
					  .input = input,
					  .input_size = size,
					  .output_max = OUTPUT_SIZE,
					  .timeout_usec = timeout_usec,
					  .ended = on_ended,
					  .userdata = world};
	struct program_run *run;

	return program_run_new(&world->loop, &options, &run);
}

static void test_program_gets_its_input_and_arguments(void)
{
	struct world world;
	char input[] = "table netdev\n";

	open_world(&world);
	check_int(start(&world, "cat; printf '%s|' \"$@\"; echo ' why ' >&2; exit 3", input,
			strlen(input), 60 * USEC_PER_SEC),
		  0);
	memset(input, 'x', sizeof(input)); /* it was copied */
	check(close_world(&world));
	check_int(world.ended, 1);
	check_int(world.trouble, PROGRAM_NO_TROUBLE);
	check_int(world.exit_status, 3);
	check_string(world.output, "table netdev\n-x|a b|");
	check_string(world.complaint, " why");
}

static void test_program_without_input_reads_none(void)
{
	struct world world;

	open_world(&world);
	check_int(start(&world, "cat; echo end", NULL, 0, 60 * USEC_PER_SEC), 0);
	check(close_world(&world));
	check_string(world.output, "end\n");
	check_string(world.complaint, "");
	open_world(&world);
	check_int(start(&world, "cat; echo end", "", 0, 60 * USEC_PER_SEC), 0);
	check(close_world(&world));
	check_string(world.output, "end\n");
}

/* Nor that it reads slowly, or only some of it. */
static void test_program_need_not_read_its_input(void)
{
	cleanup(free) char *input = calloc(1, BIG);
	struct world world;

	open_world(&world);
	check_int(start(&world, "exit 7", input, BIG, 60 * USEC_PER_SEC), 0);
	check(close_world(&world));
	check_int(world.exit_status, 7);
	open_world(&world);
	check_int(
		start(&world, "sleep 0.1; head -c 3000000 | wc -c", input, BIG, 60 * USEC_PER_SEC),
		0);
	check(close_world(&world));
	check_string(world.output, "3000000\n");
}

static void test_program_is_ended_when_its_time_is_over(void)
{
	cleanup(free) char *input = calloc(1, BIG);
	int64_t start_usec = clock_mono_usec();
	struct world world;

	open_world(&world);
	check_int(start(&world, "exec sleep 20", input, BIG, 50 * USEC_PER_MSEC), 0);
	check(close_world(&world));
	check_int(world.ended, 1);
	check_int(world.trouble, PROGRAM_LATE);
	check_int(world.signal, SIGTERM);
	check(clock_mono_usec() - start_usec < 10 * USEC_PER_SEC);
}

static void test_program_output_is_limited(void)
{
	struct world world;

	open_world(&world);
	check_int(start(&world, "head -c 4096 /dev/zero", NULL, 0, 60 * USEC_PER_SEC), 0);
	check(close_world(&world));
	check_int(world.trouble, PROGRAM_NO_TROUBLE);
	open_world(&world);
	check_int(start(&world, "exec cat /dev/zero", NULL, 0, 60 * USEC_PER_SEC), 0);
	check(close_world(&world));
	check_int(world.trouble, PROGRAM_TOO_LARGE);
}

static void test_program_that_is_not_there(void)
{
	const char *const arguments[] = {"/nowhere/program", NULL};
	struct program_options options = {.arguments = arguments, .ended = on_ended};
	struct program_run *run;
	struct world world;

	open_world(&world);
	options.userdata = &world;
	check_int(program_run_new(&world.loop, &options, &run), -ENOENT);
	options.input = "some";
	options.input_size = 4;
	check_int(program_run_new(&world.loop, &options, &run), -ENOENT);
	check(close_world(&world));
	check_int(world.ended, 0);
}

static void test_program_free_ends_it_and_tells_nothing(void)
{
	const char *const arguments[] = {"sleep", "20", NULL};
	struct program_options options = {
		.arguments = arguments, .timeout_usec = 60 * USEC_PER_SEC, .ended = on_ended};
	int64_t start_usec = clock_mono_usec();
	struct program_run *run;
	struct world world;

	open_world(&world);
	options.userdata = &world;
	check_int(program_run_new(&world.loop, &options, &run), 0);
	check(program_run_free(run) == NULL);
	check(close_world(&world));
	check_int(world.ended, 0);
	check(clock_mono_usec() - start_usec < 10 * USEC_PER_SEC);
}

static void test_program_is_found_by_its_path(void)
{
	cleanup(free) char *path = program_find("/somewhere/atom-vmi");
	cleanup(free) char *other = program_find("no-program-of-ours");
	cleanup(free) char *neighbour = program_find("program_test");

	check_string(path, "/somewhere/atom-vmi");
	check_string(program_name(path), "atom-vmi");
	check_string(other, "no-program-of-ours");
	check_string(program_name(other), "no-program-of-ours");
	check(*neighbour == '/');
	check_string(program_name(neighbour), "program_test");
}

TEST_MAIN(TEST(test_program_gets_its_input_and_arguments),
	  TEST(test_program_without_input_reads_none), TEST(test_program_need_not_read_its_input),
	  TEST(test_program_is_ended_when_its_time_is_over), TEST(test_program_output_is_limited),
	  TEST(test_program_that_is_not_there), TEST(test_program_free_ends_it_and_tells_nothing),
	  TEST(test_program_is_found_by_its_path))
