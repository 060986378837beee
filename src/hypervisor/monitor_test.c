/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor's client against a QEMU that a thread of the test plays on a Unix socket. */
#include "hypervisor/monitor.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/test.h"
#include "hypervisor/monitor_link.h"

enum {
	SHORT_USEC = 400000, /* where time-out is what is tested */
	LONG_USEC = 10000000,
	TEXT_SIZE = 1024,
};

/* One exchange: a line that contains `hear` comes (NULL: nothing is waited for), then `say` goes
 * out, where "$" becomes the id of the last command heard. */
struct step {
	const char *hear, *say;
};

struct world {
	const struct step *steps;
	size_t step_count;
	int listener;
	size_t done; /* steps that went as they should */
	bool split;  /* a byte at a time */
	int64_t timeout_usec;
	char directory[64], path[96];
	pthread_t thread;
	struct monitor *monitor;
	struct error err;
};

static int hear(int fd, const char *expected, char *ret_id, size_t size)
{
	char line[TEXT_SIZE];
	const char *id;
	size_t length = 0;

	while (length < sizeof(line) - 1 && read(fd, line + length, 1) == 1 && line[length] != '\n')
		length++;
	line[length] = '\0';
	id = strstr(line, "\"id\":");
	if (id)
		(void)snprintf(ret_id, size, "%d", atoi(id + 5));
	return strstr(line, expected) ? 0 : -1;
}

static int say(int fd, const char *text, const char *id, bool split)
{
	char line[TEXT_SIZE];
	const char *dollar = strchr(text, '$');
	int length = dollar ? snprintf(line, sizeof(line), "%.*s%s%s", (int)(dollar - text), text,
				       id, dollar + 1)
			    : snprintf(line, sizeof(line), "%s", text);

	for (int sent = 0, part = split ? 1 : length; sent < length; sent += part)
		if (send(fd, line + sent, (size_t)part, MSG_NOSIGNAL) != part)
			return -1;
	return 0;
}

static void *play(void *argument)
{
	struct world *world = argument;
	int peer = accept(world->listener, NULL, NULL);
	char id[16] = "0", rest;

	for (size_t i = 0; i < world->step_count; i++) {
		const struct step *step = &world->steps[i];

		if (step->hear && hear(peer, step->hear, id, sizeof(id)) < 0)
			break;
		if (step->say && say(peer, step->say, id, world->split) < 0)
			break;
		world->done++;
	}
	if (world->step_count > 0 && world->steps[world->step_count - 1].say)
		(void)shutdown(peer, SHUT_WR);
	while (read(peer, &rest, 1) == 1)
		; /* until the client hangs up */
	(void)close(peer);
	return NULL;
}

static int start(struct world *world, const struct step *steps, size_t step_count)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	world->steps = steps;
	world->step_count = step_count;
	(void)strcpy(world->directory, "/tmp/atom-monitor-test-XXXXXX");
	if (!mkdtemp(world->directory))
		return -1;
	(void)snprintf(world->path, sizeof(world->path), "%s/qmp", world->directory);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", world->path);
	world->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(world->listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(world->listener, 4) < 0)
		return -1;
	return pthread_create(&world->thread, NULL, play, world);
}

static int open_monitor(struct world *world)
{
	struct monitor_link *link;
	int64_t timeout_usec = world->timeout_usec ? world->timeout_usec : LONG_USEC;
	int r = monitor_link_open_qmp(world->path, 0, timeout_usec, &link, &world->err);

	return r < 0 ? r : monitor_open_link(link, &world->monitor, &world->err);
}

/* Returns how many steps were played. */
static size_t finish(struct world *world)
{
	world->monitor = monitor_free(world->monitor);
	(void)pthread_join(world->thread, NULL);
	(void)close(world->listener);
	(void)unlink(world->path);
	(void)rmdir(world->directory);
	return world->done;
}

#define GREETING                                                                      \
	{                                                                             \
		NULL, "{\"QMP\": {\"version\": {}, \"capabilities\": [\"oob\"]}}\r\n" \
	}
#define READY                                                             \
	{                                                                 \
		"\"qmp_capabilities\"", "{\"return\": {}, \"id\": $}\r\n" \
	}
#define EVENT "{\"timestamp\": {\"seconds\": 1}, \"event\": \"RTC_CHANGE\", \"data\": {}}\r\n"
#define COUNT(steps) (sizeof(steps) / sizeof((steps)[0]))

static const struct step human_steps[] = {
	GREETING,
	READY,
	{"\"command-line\":\"info mtree -f\"",
	 EVENT EVENT "{\"return\": \"one\\r\\ntwo\\r\\n\", \"id\": $}\r\n"},
};

static void test_monitor_human_skips_events(void)
{
	struct world world = {0};
	char *text;

	check_int(start(&world, human_steps, COUNT(human_steps)), 0);
	check_int(open_monitor(&world), 0);
	check_int(monitor_human(world.monitor, "info mtree -f", &text, &world.err), 0);
	check_string(text, "one\ntwo\n");
	free(text);
	check_int(finish(&world), 3);
}

static void test_monitor_lines_in_pieces(void)
{
	struct world world = {.split = true};
	char *text;

	check_int(start(&world, human_steps, COUNT(human_steps)), 0);
	check_int(open_monitor(&world), 0);
	check_int(monitor_human(world.monitor, "info mtree -f", &text, &world.err), 0);
	check_string(text, "one\ntwo\n");
	free(text);
	check_int(finish(&world), 3);
}

static void test_monitor_stop_and_cont(void)
{
	static const struct step steps[] = {
		GREETING,
		READY,
		{"\"query-status\"",
		 "{\"return\": {\"status\": \"running\", \"running\": true}, \"id\": $}\r\n"},
		{"\"stop\"", EVENT "{\"return\": {}, \"id\": $}\r\n"},
		{"\"query-status\"",
		 "{\"return\": {\"status\": \"paused\", \"running\": false}, \"id\": $}\r\n"},
		{"\"cont\"", "{\"return\": {}, \"id\": $}\r\n"},
	};
	struct world world = {0};

	check_int(start(&world, steps, COUNT(steps)), 0);
	check_int(open_monitor(&world), 0);
	check_int(monitor_stop(world.monitor, &world.err), 0);
	check_int(monitor_stop(world.monitor, &world.err), -EALREADY);
	check(strstr(world.err.text, "paused"));
	check_int(monitor_cont(world.monitor, &world.err), 0);
	check_int(finish(&world), 6);
}

/* query-status, query-migrate and query-dump answered with these words. */
static int ask_state(const char *status, const char *migration, const char *dump,
		     struct monitor_state *ret_state)
{
	char texts[3][TEXT_SIZE / 4];
	const struct step steps[] = {GREETING,
				     READY,
				     {"\"query-status\"", texts[0]},
				     {"\"query-migrate\"", texts[1]},
				     {"\"query-dump\"", texts[2]}};
	struct world world = {0};
	int r;

	(void)snprintf(texts[0], sizeof(texts[0]),
		       "{\"return\": {\"status\": \"%s\", \"running\": true}, \"id\": $}\n",
		       status);
	(void)snprintf(texts[1], sizeof(texts[1]), "{\"return\": {%s}, \"id\": $}\n", migration);
	(void)snprintf(texts[2], sizeof(texts[2]),
		       "{\"return\": {\"status\": \"%s\"}, \"id\": $}\n", dump);
	r = start(&world, steps, COUNT(steps));
	if (r == 0)
		r = open_monitor(&world);
	if (r == 0)
		r = monitor_state(world.monitor, ret_state, &world.err);
	return finish(&world) == 5 ? r : -1;
}

static void test_monitor_state_tells_when_memory_moves(void)
{
	static const struct {
		const char *status, *migration, *dump;
		bool migrating;
	} cases[] = {
		{"running", "", "none", false},
		{"paused", "\"status\": \"completed\"", "completed", false},
		{"running", "\"status\": \"active\"", "none", true},
		{"running", "\"status\": \"setup\"", "none", true},
		{"running", "\"status\": \"a later word\"", "none", true},
		{"inmigrate", "", "none", true},
		{"save-vm", "", "none", true},
		{"restore-vm", "", "none", true},
		{"prelaunch", "", "none", true},
		{"running", "\"status\": \"failed\"", "active", true},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct monitor_state state;

		check_int(ask_state(cases[i].status, cases[i].migration, cases[i].dump, &state), 0);
		check_string(state.status, cases[i].status);
		check_int(state.running, 1);
		check_int(state.migrating, cases[i].migrating);
	}
}

static void test_monitor_refusals_carry_qemus_words(void)
{
	static const struct step steps[] = {
		GREETING,
		READY,
		{"\"cont\"", "{\"error\": {\"class\": \"GenericError\", \"desc\": \"Resetting the "
			     "VM is required\"}, \"id\": $}\r\n"},
		{"\"cont\"", "{\"error\": {}, \"id\": $}\r\n"},
		{"\"info x\"", "{\"return\": 5, \"id\": $}\r\n"},
		{"\"query-status\"", "{\"return\": {\"status\": 3}, \"id\": $}\r\n"},
		{"\"cont\"", "{\"id\": $}\r\n"},
	};
	struct world world = {0};
	struct monitor_state state;
	char *text;

	check_int(start(&world, steps, COUNT(steps)), 0);
	check_int(open_monitor(&world), 0);
	check_int(monitor_cont(world.monitor, &world.err), -EIO);
	check_string(world.err.text, "cont: QEMU refuses: Resetting the VM is required");
	check_int(monitor_cont(world.monitor, &world.err), -EIO);
	check_int(monitor_human(world.monitor, "info x", &text, &world.err), -EPROTO);
	check_int(monitor_state(world.monitor, &state, &world.err), -EPROTO);
	check_int(monitor_cont(world.monitor, &world.err), -EPROTO);
	check_int(monitor_human(world.monitor, "\xff", &text, &world.err), -EINVAL);
	check_int(finish(&world), 7);
}

static void test_monitor_garbage_is_no_qemu(void)
{
	static const char *const greetings[] = {
		"QEMU 7.2.2 monitor - type 'help' for more information\r\n",
		"{\"QMP\": ",
		"\n",
		"[1]\n",
		"{\"hello\": 1}\n",
		"{\"QMP\": {}}\n{\"error\": {\"desc\": \"no\"}, \"id\": 1}\n",
	};

	for (size_t i = 0; i < COUNT(greetings); i++) {
		const struct step steps[] = {{NULL, greetings[i]}};
		struct world world = {0};
		int r;

		check_int(start(&world, steps, 1), 0);
		r = open_monitor(&world);
		check(r == -EPROTO || r == -ECONNRESET);
		check(strstr(world.err.text, world.path));
		(void)finish(&world);
	}
}

static void test_monitor_second_client_is_told_why_nothing_comes(void)
{
	struct world world = {.timeout_usec = SHORT_USEC};

	check_int(start(&world, NULL, 0), 0);
	check_int(open_monitor(&world), -ETIME);
	check(strstr(world.err.text, "one client"));
	(void)finish(&world);
}

static void test_monitor_late_answers_are_passed_over(void)
{
	static const struct step steps[] = {
		GREETING,
		READY,
		{"\"cont\"", NULL},
		{"\"cont\"", "{\"return\": {}, \"id\": 2}\n{\"error\": {\"desc\": \"second\"}, "
			     "\"id\": $}\n"},
		{"\"cont\"", NULL},
	};
	struct world world = {.timeout_usec = SHORT_USEC};
	int64_t start_usec;

	check_int(start(&world, steps, COUNT(steps)), 0);
	check_int(open_monitor(&world), 0);
	start_usec = clock_mono_usec();
	check_int(monitor_cont(world.monitor, &world.err), -ETIME);
	check(clock_mono_usec() - start_usec >= SHORT_USEC);
	check_int(monitor_cont(world.monitor, &world.err), -EIO);
	check_string(world.err.text, "cont: QEMU refuses: second");
	check_int(monitor_cont(world.monitor, &world.err), -ETIME);
	check_int(finish(&world), 5);
}

static void *flood(void *argument)
{
	const struct world *world = argument;
	int peer = accept(world->listener, NULL, NULL);
	static char endless[65536];

	memset(endless, 'x', sizeof(endless));
	while (send(peer, endless, sizeof(endless), MSG_NOSIGNAL) > 0)
		;
	(void)close(peer);
	return NULL;
}

static void test_monitor_line_without_end(void)
{
	struct world world = {0};
	struct monitor_link *link;
	pthread_t thread;

	check_int(start(&world, NULL, 0), 0);
	check_int(pthread_create(&thread, NULL, flood, &world), 0);
	/* one of the two threads has each connection: whichever floods, none succeeds */
	for (int i = 0; i < 2; i++) {
		int r = monitor_link_open_qmp(world.path, 0, USEC_PER_SEC, &link, &world.err);

		check(r == -EMSGSIZE || r == -ETIME);
	}
	(void)pthread_join(thread, NULL);
	(void)finish(&world);
}

static void test_monitor_pid_is_the_one_given_or_a_qemu(void)
{
	static const struct step steps[] = {GREETING, READY};
	struct world world = {0};
	struct monitor_link *link;
	pid_t pid = 0;

	check_int(start(&world, steps, COUNT(steps)), 0);
	check_int(open_monitor(&world), 0);
	/* the peer is this test */
	check_int(monitor_pid(world.monitor, &pid, &world.err), -ESRCH);
	check(strstr(world.err.text, "no QEMU"));
	check_int(finish(&world), 2);

	world = (struct world){0};
	check_int(start(&world, steps, COUNT(steps)), 0);
	check_int(monitor_link_open_qmp(world.path, getpid(), LONG_USEC, &link, NULL), 0);
	check_int(monitor_open_link(link, &world.monitor, NULL), 0);
	check_int(monitor_pid(world.monitor, &pid, NULL), 0);
	check_int(pid, getpid());
	check_int(finish(&world), 2);
}

static void test_monitor_absent_socket(void)
{
	struct error err = ERROR_INIT;
	struct monitor *monitor;

	check_int(monitor_open_qmp("/nonexistent/qmp", 0, &monitor, &err), -ENOENT);
	check(strstr(err.text, "/nonexistent/qmp"));
}

/* libvirt's own test driver has no monitor; the calls go all the way through the threads. */
static void test_monitor_libvirt_without_qemu(void)
{
	struct error err = ERROR_INIT;
	struct monitor *monitor;
	struct monitor_state state;
	pid_t pid;

	check_int(monitor_open_libvirt("test:///default", "nobody", &monitor, &err), -ENOENT);
	check_int(monitor_open_libvirt("qemu+unix:///system?socket=/nonexistent", "test", &monitor,
				       &err),
		  -EIO);
	check(strstr(err.text, "connecting to libvirt"));
	check_int(monitor_open_libvirt("test:///default", "6695eb01-f6a4-8304-79aa-97f2502e193f",
				       &monitor, &err),
		  0);
	check_int(monitor_state(monitor, &state, &err), -ENOTSUP);
	check_int(monitor_pid(monitor, &pid, &err), -ESRCH);
	check(!monitor_free(monitor));
	check(!monitor_free(NULL));
}

#define STATUS(running, word)                                                     \
	{                                                                         \
		"\"query-status\"", "{\"return\": {\"status\": \"" word           \
				    "\", \"running\": " running "}, \"id\": $}\n" \
	}

static void test_monitor_suspend_and_resume_by_qmp(void)
{
	static const struct step steps[] = {
		GREETING,
		READY,
		STATUS("true", "running"),
		{"\"stop\"", "{\"return\": {}, \"id\": $}\n"},
		STATUS("false", "paused"),
		{"\"cont\"", "{\"return\": {}, \"id\": $}\n"},
		STATUS("false", "postmigrate"),
	};
	struct world world = {0};
	struct monitor_run run;

	check_int(start(&world, steps, COUNT(steps)), 0);
	check_int(open_monitor(&world), 0);
	check_int(monitor_run(world.monitor, &run, NULL), 0);
	check(run.running && !run.is_busy && !run.is_passing && !run.is_ordered);
	check_int(monitor_suspend(world.monitor, NULL), 0);
	check_int(monitor_run(world.monitor, &run, NULL), 0);
	check(!run.running && !run.is_busy && run.is_passing && run.is_ordered);
	check_string(run.status, "paused");
	check_int(monitor_resume(world.monitor, NULL), 0);
	check_int(monitor_run(world.monitor, &run, NULL), 0);
	check(!run.running && run.is_busy && !run.is_passing && !run.is_ordered);
	check_string(run.status, "postmigrate");
	check_int(finish(&world), 7);
}

static void test_monitor_suspend_and_resume_by_libvirt(void)
{
	struct error err = ERROR_INIT;
	struct monitor_run run;
	struct monitor *monitor;

	check_int(monitor_open_libvirt("test:///default", "test", &monitor, &err), 0);
	check_int(monitor_run(monitor, &run, &err), 0);
	check(run.running && !run.is_busy && !run.is_passing && !run.is_ordered);
	check_int(monitor_suspend(monitor, &err), 0);
	check_int(monitor_run(monitor, &run, &err), 0);
	check(!run.running && !run.is_busy && !run.is_passing); /* libvirt knows whose it is */
	check(run.is_ordered);
	check_string(run.status, "paused");
	check_int(monitor_resume(monitor, &err), 0);
	check_int(monitor_run(monitor, &run, &err), 0);
	check(run.running);
	check_string(run.status, "running");
	check(!monitor_free(monitor));
}

TEST_MAIN(TEST(test_monitor_human_skips_events), TEST(test_monitor_lines_in_pieces),
	  TEST(test_monitor_stop_and_cont), TEST(test_monitor_state_tells_when_memory_moves),
	  TEST(test_monitor_refusals_carry_qemus_words), TEST(test_monitor_garbage_is_no_qemu),
	  TEST(test_monitor_second_client_is_told_why_nothing_comes),
	  TEST(test_monitor_late_answers_are_passed_over), TEST(test_monitor_line_without_end),
	  TEST(test_monitor_pid_is_the_one_given_or_a_qemu), TEST(test_monitor_absent_socket),
	  TEST(test_monitor_libvirt_without_qemu), TEST(test_monitor_suspend_and_resume_by_qmp),
	  TEST(test_monitor_suspend_and_resume_by_libvirt))
