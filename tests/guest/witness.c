/* SPDX-License-Identifier: Apache-2.0 */
/* The witness's protocol: a line "ID COMMAND ARGUMENTS", an answer of one line of JSON with that
 * id. See witness.h. */
#include "witness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum {
	LINE_MAX_BYTES = 1024,
	CHILDREN_MAX = 4096, /* remembered; the oldest is forgotten first */
	ARGUMENTS_MAX = 64,
	STORM_LOOPS = 4,
	SETTLE_MSEC = 5000,
};

struct child {
	pid_t pid;
	int status;
	bool dead;
};

struct witness {
	int serial;
	int signals;
	struct child children[CHILDREN_MAX];
	unsigned int births;
	pid_t storm[STORM_LOOPS];
	char line[LINE_MAX_BYTES];
	size_t line_size;
};

static void json_key(struct json *j, const char *key)
{
	if (j->comma)
		fputc(',', j->out);
	j->comma = true;
	if (key)
		fprintf(j->out, "\"%s\":", key);
}

void json_open(struct json *j, const char *key, char bracket)
{
	json_key(j, key);
	fputc(bracket, j->out);
	j->comma = false;
}

void json_close(struct json *j, char bracket)
{
	fputc(bracket, j->out);
	j->comma = true;
}

void json_number(struct json *j, const char *key, long long value)
{
	json_key(j, key);
	fprintf(j->out, "%lld", value);
}

void json_unsigned(struct json *j, const char *key, unsigned long long value)
{
	json_key(j, key);
	fprintf(j->out, "%llu", value);
}

void json_bool(struct json *j, const char *key, bool value)
{
	json_key(j, key);
	fputs(value ? "true" : "false", j->out);
}

void json_bytes(struct json *j, const char *key, const char *bytes, size_t size)
{
	json_key(j, key);
	fputc('"', j->out);
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)bytes[i];

		if (c == '"' || c == '\\')
			fprintf(j->out, "\\%c", c);
		else if (c < 0x20 || c > 0x7e)
			fprintf(j->out, "\\u%04x", c);
		else
			fputc(c, j->out);
	}
	fputc('"', j->out);
}

void json_text(struct json *j, const char *key, const char *text)
{
	json_bytes(j, key, text, strlen(text));
}

static void answer_error(struct json *j, const char *text)
{
	json_bool(j, "ok", false);
	json_text(j, "error", text);
}

static struct child *child_find(struct witness *w, pid_t pid)
{
	unsigned int kept = w->births < CHILDREN_MAX ? w->births : CHILDREN_MAX;

	for (unsigned int back = 1; back <= kept; back++) {
		struct child *c = &w->children[(w->births - back) % CHILDREN_MAX];

		if (c->pid == pid)
			return c;
	}
	return NULL;
}

static void reap(struct witness *w)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct child *c = child_find(w, pid);

		if (!c)
			continue; /* an orphan that came to us */
		c->dead = true;
		c->status = status;
	}
}

static void sleep_msec(long msec)
{
	nanosleep(&(struct timespec){.tv_sec = msec / 1000, .tv_nsec = msec % 1000 * 1000000},
		  NULL);
}

/* In the newborn process: only the report pipe goes with it, and no signal stays blocked. */
static _Noreturn void become_victim(const struct victim_kind *kind, int report, char **arguments)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (report == VICTIM_REPORT)
		fcntl(report, F_SETFD, 0);
	else
		dup2(report, VICTIM_REPORT);
	if (kind->enter)
		kind->enter(arguments);
	execv("/proc/self/exe", arguments);
	_exit(127);
}

/* What the victim wrote before it closed its end. */
static size_t read_report(int fd, char *text, size_t size)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	size_t have = 0;

	while (have < size && poll(&p, 1, SETTLE_MSEC) == 1) {
		ssize_t n = read(fd, text + have, size - have);

		if (n <= 0)
			break;
		have += (size_t)n;
	}
	return have;
}

static char settle(pid_t pid, char wanted)
{
	char comm[64], state = 0;
	long long start;

	for (int tries = 0; tries < SETTLE_MSEC / 5; tries++) {
		if (!process_stat(pid, &state, comm, &start) || !wanted || state == wanted)
			break;
		sleep_msec(5);
	}
	return state;
}

static pid_t spawn(struct witness *w, const struct victim_kind *kind, char **arguments,
		   char *report, size_t report_size)
{
	char name[32];
	int ends[2];
	pid_t pid;

	snprintf(name, sizeof(name), "v-%s", kind->name);
	arguments[0] = name;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	pid = (pid_t)syscall(SYS_clone, kind->clone_flags | SIGCHLD, 0, 0, 0, 0);
	if (pid == 0)
		become_victim(kind, ends[1], arguments);
	close(ends[1]);
	if (pid > 0) {
		w->children[w->births++ % CHILDREN_MAX] = (struct child){.pid = pid};
		memset(report, 0, report_size);
		read_report(ends[0], report, report_size - 1);
	}
	close(ends[0]);
	return pid;
}

/* arguments[0] is the kind; spawn() puts the victim's name in its place. */
static void do_spawn(struct witness *w, struct json *j, char **arguments)
{
	const struct victim_kind *kind = arguments[0] ? victim_find(arguments[0]) : NULL;
	char report[4096], comm[64], state;
	long long start = 0;
	pid_t pid;

	if (!kind) {
		answer_error(j, "no such kind of victim");
		return;
	}
	pid = spawn(w, kind, arguments, report, sizeof(report));
	if (pid < 0 || !report[0]) {
		answer_error(j, pid < 0 ? strerror(errno) : "the victim did not report");
		return;
	}
	settle(pid, kind->state);
	if (!process_stat(pid, &state, comm, &start)) {
		answer_error(j, "the victim ended at once");
		return;
	}
	json_bool(j, "ok", true);
	json_number(j, "pid", pid);
	json_bytes(j, "state", &state, 1);
	json_text(j, "comm", comm);
	json_number(j, "start", start);
	fputs(report, j->out); /* begins with a comma */
}

static void do_alive(struct witness *w, struct json *j, char **arguments)
{
	pid_t pid = arguments[0] ? atoi(arguments[0]) : 0;
	const struct child *c = child_find(w, pid);
	char comm[64], state;
	long long start;

	json_bool(j, "ok", true);
	if (process_stat(pid, &state, comm, &start)) {
		json_bool(j, "exists", true);
		json_bytes(j, "state", &state, 1);
		json_text(j, "comm", comm);
		json_number(j, "start", start);
	} else {
		json_bool(j, "exists", false);
	}
	json_bool(j, "child", c != NULL);
	if (c && c->dead && WIFSIGNALED(c->status))
		json_number(j, "signal", WTERMSIG(c->status));
	if (c && c->dead && WIFEXITED(c->status))
		json_number(j, "exited", WEXITSTATUS(c->status));
}

static void end_child(struct witness *w, struct child *c)
{
	if (c->dead)
		return;
	kill(c->pid, SIGKILL);
	for (int tries = 0; tries < SETTLE_MSEC / 5 && !c->dead; tries++) {
		reap(w);
		if (!c->dead)
			sleep_msec(5);
	}
}

static void do_end(struct witness *w, struct json *j, char **arguments)
{
	bool all = arguments[0] && strcmp(arguments[0], "all") == 0;
	struct child *one = !all && arguments[0] ? child_find(w, atoi(arguments[0])) : NULL;

	if (!all && !one) {
		answer_error(j, "end PID of a victim, or end all");
		return;
	}
	for (unsigned int i = 0; all && i < CHILDREN_MAX && i < w->births; i++)
		end_child(w, &w->children[i]);
	if (one)
		end_child(w, one);
	json_bool(j, "ok", true);
}

static void do_storm(struct witness *w, struct json *j, char **arguments)
{
	bool on = arguments[0] && strcmp(arguments[0], "on") == 0;
	char report[64];

	for (int i = 0; i < STORM_LOOPS; i++) {
		struct child *c = w->storm[i] ? child_find(w, w->storm[i]) : NULL;

		if (on && (!c || c->dead)) {
			char *victim[] = {NULL, NULL};

			w->storm[i] =
				spawn(w, victim_find("storm"), victim, report, sizeof(report));
		} else if (!on && c) {
			end_child(w, c);
			w->storm[i] = 0;
		}
	}
	json_bool(j, "ok", true);
	json_open(j, "pids", '[');
	for (int i = 0; i < STORM_LOOPS && w->storm[i]; i++)
		json_number(j, NULL, w->storm[i]);
	json_close(j, ']');
}

static void do_facts(struct witness *w, struct json *j, char **arguments)
{
	json_bool(j, "ok", true);
	facts_write(j, arguments[0] ? atoi(arguments[0]) : 0);
}

static void do_symbols(struct witness *w, struct json *j, char **arguments)
{
	int count = 0;

	while (arguments[count])
		count++;
	json_bool(j, "ok", true);
	facts_symbols(j, arguments, count);
}

static void do_timewait(struct witness *w, struct json *j, char **arguments)
{
	json_bool(j, "ok", true);
	victim_leave_timewait(j, arguments[0] ? atoi(arguments[0]) : 4);
}

/* Ends what the victim "dstate" began. */
static void do_thaw(struct witness *w, struct json *j, char **arguments)
{
	int fd = open("/mnt", O_RDONLY | O_CLOEXEC);

	json_bool(j, "ok", fd >= 0 && ioctl(fd, FITHAW, 0) == 0);
	if (fd >= 0)
		close(fd);
}

static void do_quit(struct witness *w, struct json *j, char **arguments)
{
	json_bool(j, "ok", true);
}

static const struct command {
	const char *name;
	void (*run)(struct witness *w, struct json *j, char **arguments);
} commands[] = {
	{"facts", do_facts},     {"spawn", do_spawn}, {"alive", do_alive},
	{"end", do_end},         {"storm", do_storm}, {"timewait", do_timewait},
	{"symbols", do_symbols}, {"thaw", do_thaw},   {"quit", do_quit},
};

static const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static void write_all(int fd, const char *text, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, text, size);

		if (n < 0 && errno != EINTR)
			return;
		if (n > 0) {
			text += n;
			size -= (size_t)n;
		}
	}
}

/* Returns whether to go on. */
static bool obey(struct witness *w, char *line)
{
	char *words[ARGUMENTS_MAX + 1] = {NULL}, *text = NULL, *rest = NULL;
	size_t size = 0, count = 0;
	struct json j = {.out = open_memstream(&text, &size)};
	const struct command *command;

	for (char *word = strtok_r(line, " \r\n", &rest); word && count < ARGUMENTS_MAX;
	     word = strtok_r(NULL, " \r\n", &rest))
		words[count++] = word;
	if (!j.out)
		abort();
	reap(w);
	command = count >= 2 ? command_find(words[1]) : NULL;
	json_open(&j, NULL, '{');
	json_number(&j, "id", count > 0 ? atoll(words[0]) : 0);
	if (command)
		command->run(w, &j, words + 2);
	else
		answer_error(&j, "no such command");
	json_close(&j, '}');
	fputc('\n', j.out);
	fclose(j.out);
	write_all(w->serial, text, size);
	free(text);
	return !command || command->run != do_quit;
}

static bool read_serial(struct witness *w)
{
	char c;

	while (read(w->serial, &c, 1) == 1) {
		if (c != '\n') {
			if (w->line_size < sizeof(w->line) - 1)
				w->line[w->line_size++] = c;
			continue;
		}
		w->line[w->line_size] = 0;
		w->line_size = 0;
		return obey(w, w->line);
	}
	return true;
}

static int open_serial(const char *path)
{
	int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct termios t;

	if (fd < 0 || tcgetattr(fd, &t) < 0) {
		perror(path);
		exit(1);
	}
	cfmakeraw(&t);
	cfsetspeed(&t, B115200);
	t.c_cflag |= CLOCAL;
	tcsetattr(fd, TCSANOW, &t);
	return fd;
}

static void run_victim(char **arguments)
{
	const struct victim_kind *kind = victim_find(arguments[0] + 2);

	prctl(PR_SET_NAME, arguments[0]);
	if (kind)
		kind->run(arguments + 1);
}

int main(int argc, char **argv)
{
	static struct witness w;
	struct signalfd_siginfo info;
	sigset_t child;

	if (argc > 0 && strncmp(argv[0], "v-", 2) == 0) {
		run_victim(argv);
		return 0;
	}
	if (argc != 2)
		return 2;
	w.serial = open_serial(argv[1]);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){8192, 8192});
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	w.signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	puts("WITNESS-READY");
	fflush(stdout);
	for (;;) {
		struct pollfd p[] = {{.fd = w.serial, .events = POLLIN},
				     {.fd = w.signals, .events = POLLIN}};

		if (poll(p, 2, -1) < 0)
			continue;
		while (read(w.signals, &info, sizeof(info)) > 0)
			;
		reap(&w);
		if ((p[0].revents & POLLIN) && !read_serial(&w))
			return 0;
	}
}
