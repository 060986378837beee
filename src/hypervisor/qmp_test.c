/* SPDX-License-Identifier: Apache-2.0 */
/* The QMP client against a monitor that the test plays on a Unix socket. */
#include "hypervisor/qmp.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/test.h"

struct world {
	uv_loop_t loop;
	struct qmp *qmp;
	int listener, peer;
	char directory[64], path[96];
	int answers;
	uint64_t tag;
	struct device_counters first;
	size_t count;
};

static void on_answer(void *userdata, uint64_t tag, const struct device_counters *devices,
		      size_t count)
{
	struct world *world = userdata;

	world->answers++;
	world->tag = tag;
	world->count = count;
	if (count > 0)
		world->first = devices[0];
}

static int open_world(struct world *world)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	*world = (struct world){.peer = -1};
	(void)strcpy(world->directory, "/tmp/atom-qmp-test-XXXXXX");
	if (!mkdtemp(world->directory))
		return -1;
	(void)snprintf(world->path, sizeof(world->path), "%s/qmp", world->directory);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", world->path);
	world->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(world->listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(world->listener, 4) < 0)
		return -1;
	(void)uv_loop_init(&world->loop);
	world->qmp = qmp_new(&world->loop, getpid(), world->path, on_answer, world);
	return world->qmp ? 0 : -1;
}

static void run_some(struct world *world)
{
	for (int i = 0; i < 20; i++) {
		(void)uv_run(&world->loop, UV_RUN_NOWAIT);
		(void)usleep(1000);
	}
}

static void say(struct world *world, const char *text)
{
	if (write(world->peer, text, strlen(text)) < 0)
		printf("# the client has hung up\n");
	run_some(world);
}

static int hear(struct world *world, const char *expected)
{
	char text[256] = "";
	ssize_t size = recv(world->peer, text, sizeof(text) - 1, MSG_DONTWAIT);

	return size > 0 && strstr(text, expected) ? 0 : -1;
}

/* Asks, and plays QEMU up to the point where the answer is due. */
static int ask(struct world *world, uint64_t tag)
{
	if (qmp_query_block(world->qmp, tag) != 0)
		return -1;
	world->peer = accept(world->listener, NULL, NULL);
	say(world, "{\"QMP\": {\"version\": {}}}\r\n");
	if (hear(world, "qmp_capabilities") < 0)
		return -1;
	say(world, "{\"return\": {}}\r\n");
	return 0;
}

static void hang_up(struct world *world)
{
	(void)close(world->peer);
	world->peer = -1;
	run_some(world);
}

static void close_world(struct world *world)
{
	qmp_free(world->qmp);
	run_some(world);
	if (world->peer >= 0)
		(void)close(world->peer);
	(void)close(world->listener);
	(void)unlink(world->path);
	(void)rmdir(world->directory);
	(void)uv_loop_close(&world->loop);
}

static const char answer[] = "{\"return\": [{\"device\": \"\", \"qdev\": "
			     "\"/machine/peripheral/vda\", \"stats\": {\"rd_bytes\": 10, "
			     "\"wr_bytes\": 20, \"rd_operations\": 3, \"wr_operations\": 4, "
			     "\"flush_operations\": 5}}]}\r\n";

static void test_qmp_answers_a_question(void)
{
	struct world world;

	check_int(open_world(&world), 0);
	check_int(ask(&world, 7), 0);
	check_int(qmp_query_block(world.qmp, 8), -EBUSY);
	say(&world, "{\"timestamp\": {}, \"event\": \"RTC_CHANGE\"}\r\n");
	check_int(world.answers, 0);
	say(&world, answer);
	check_int(world.answers, 1);
	check_int(world.tag, 7);
	check_int(world.first.values[1], 20);
	check_int(world.first.values[4], 5);
	/* the connection is given back, and the next question makes another */
	check_int(hear(&world, "x"), -1);
	hang_up(&world);
	check_int(ask(&world, 9), 0);
	say(&world, answer);
	check_int(world.tag, 9);
	close_world(&world);
}

static void test_qmp_refusal_and_garbage_are_no_answers(void)
{
	static const char *const lines[] = {"hello\n", "{\"error\": {}}\r\n", "\n",
					    "{\"return\": []}\r\n"};
	struct world world;

	check_int(open_world(&world), 0);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		check_int(qmp_query_block(world.qmp, i), 0);
		world.peer = accept(world.listener, NULL, NULL);
		say(&world, lines[i]);
		hang_up(&world);
	}
	check_int(ask(&world, 5), 0);
	say(&world, "{\"return\": {}}\r\n");
	check_int(world.answers, 0);
	close_world(&world);
}

static void test_qmp_silence_and_absence(void)
{
	struct world world;

	check_int(open_world(&world), 0);
	check_int(qmp_query_block(world.qmp, 1), 0);
	run_some(&world);
	check_int(qmp_query_block(world.qmp, 2), -EBUSY);
	world.peer = accept(world.listener, NULL, NULL);
	hang_up(&world);
	(void)unlink(world.path);
	check_int(qmp_query_block(world.qmp, 3), -ENOENT);
	check_int(world.answers, 0);
	close_world(&world);
}

static void test_qmp_line_without_end(void)
{
	static char endless[QMP_LINE_SIZE_MAX / 4];
	struct world world;

	check_int(open_world(&world), 0);
	check_int(qmp_query_block(world.qmp, 1), 0);
	world.peer = accept(world.listener, NULL, NULL);
	memset(endless, 'x', sizeof(endless) - 1);
	for (int i = 0; i < 8; i++) {
		(void)send(world.peer, endless, sizeof(endless) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		run_some(&world);
	}
	/* the client has hung up instead of growing */
	check(send(world.peer, "x", 1, MSG_NOSIGNAL) < 0);
	check_int(world.answers, 0);
	close_world(&world);
}

static void test_qmp_parse_odd_answers(void)
{
	static const char *const odd[] = {"", "{}", "[]", "{\"return\": {}}", "{\"return\": 3"};
	static const char partly[] = "{\"return\": [1, {\"device\": \"a\"}, {\"stats\": {}}, "
				     "{\"device\": \"b\", \"stats\": {\"rd_bytes\": -5}}]}";
	struct device_counters devices[4];

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		check_int(qmp_parse_block(odd[i], strlen(odd[i]), devices, 4), -EPROTO);
	check_int(qmp_parse_block(partly, strlen(partly), devices, 4), 1);
	check_string(devices[0].name, "b");
	check_int(devices[0].values[0], 0);
}

TEST_MAIN(TEST(test_qmp_answers_a_question), TEST(test_qmp_refusal_and_garbage_are_no_answers),
	  TEST(test_qmp_silence_and_absence), TEST(test_qmp_line_without_end),
	  TEST(test_qmp_parse_odd_answers))
