/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `atom up`: atomd and atom-node on this machine as children of this command, with keys and
 * configuration made once. If one of them ends, the other is ended too.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "ctl/command.h"
#include "ctl/up_files.h"
#include "http/client.h"
#include "terminal/options.h"

enum {
	LINE_SIZE = 4096,
	PATIENCE_SEC = 20,
	POLL_MSEC = 300,
	END_PATIENCE_SEC = 10,
	TOKEN_SIZE = 128
};

static const char help[] =
	"Usage: atom up [--dir DIR] [--hypervisor URI] [--interval DURATION] [--window ROWS]\n"
	"               [--http-port PORT] [--bus-port PORT] [--log-file FILE]\n"
	"               [--set atomd.KEY=VALUE]... [--set node.KEY=VALUE]...\n"
	"Runs atomd and atom-node on this machine until it is ended with Ctrl-C. DIR keeps\n"
	"keys, a token of the API, configuration and history (default: /var/lib/atom for root,\n"
	"else ~/.local/state/atom); what is there is used as it is, so the other options only\n"
	"count the first time. The hypervisor is qemu:///system unless --hypervisor names\n"
	"another libvirt URI, or qemu: for processes without libvirt, or trace:FILE.csv.\n"
	"atomd --help-config and atom-node --help-config list the keys.\n";

/* One program that runs for us; its log comes through a pipe. */
struct child {
	const char *name;
	pid_t pid; /* 0: does not run */
	int log_fd;
	char line[LINE_SIZE];
	size_t used;
};

struct up {
	struct child atomd, node;
	FILE *log;
	int signal_fd;
	char server[128]; /* from atomd's log; "" until it listens */
	char token[TOKEN_SIZE];
	bool stop;
	int status;
};

/* Logs */

static void take_line(struct up *up, const struct child *child, const char *line)
{
	static const char mark[] = "the API is at ";
	const char *found = strstr(line, mark);

	(void)fprintf(up->log, "%s\n", line);
	(void)fflush(up->log);
	if (child == &up->atomd && found)
		(void)snprintf(up->server, sizeof(up->server), "%.*s",
			       (int)strcspn(found + sizeof(mark) - 1, "; \n"),
			       found + sizeof(mark) - 1);
}

static void take_lines(struct up *up, struct child *child)
{
	char *end;

	while ((end = memchr(child->line, '\n', child->used))) {
		size_t length = (size_t)(end - child->line) + 1;

		*end = '\0';
		take_line(up, child, child->line);
		memmove(child->line, child->line + length, child->used - length);
		child->used -= length;
	}
	if (child->used < LINE_SIZE - 1)
		return;
	child->line[child->used] = '\0';
	take_line(up, child, child->line);
	child->used = 0;
}

static void read_log(struct up *up, struct child *child)
{
	ssize_t size = read(child->log_fd, child->line + child->used, LINE_SIZE - 1 - child->used);

	if (size <= 0)
		return;
	child->used += (size_t)size;
	take_lines(up, child);
}

/* Children */

/* Beside this program, as installed or as built; else found in PATH by its name. */
static void find_program(const char *name, const char *folder, char path[PATH_MAX])
{
	char here[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", here, sizeof(here) - 1);
	char *slash;

	if (length > 0) {
		here[length] = '\0';
		slash = strrchr(here, '/');
		*slash = '\0';
		(void)snprintf(path, PATH_MAX, "%.2000s/%s", here, name);
		if (access(path, X_OK) == 0)
			return;
		(void)snprintf(path, PATH_MAX, "%.2000s/../%s/%s", here, folder, name);
		if (access(path, X_OK) == 0)
			return;
	}
	(void)snprintf(path, PATH_MAX, "%s", name);
}

static void become(const char *program, const char *config, int log_fd)
{
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)prctl(PR_SET_PDEATHSIG,
		    SIGTERM); /* nothing stays behind when this command is killed */
	(void)dup2(log_fd, STDERR_FILENO);
	(void)dup2(log_fd, STDOUT_FILENO);
	(void)execlp(program, program, "--config", config, (char *)NULL);
	(void)fprintf(stderr, "atom: cannot run %s: %s\n", program, strerror(errno));
	_exit(127);
}

static int start_child(struct child *child, const char *name, const char *folder,
		       const char *config)
{
	char program[PATH_MAX];
	int pipe_fds[2];

	find_program(name, folder, program);
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -errno;
	child->name = name;
	child->pid = fork();
	if (child->pid == 0)
		become(program, config, pipe_fds[1]);
	(void)close(pipe_fds[1]);
	child->log_fd = pipe_fds[0];
	if (child->pid > 0)
		return 0;
	child->pid = 0;
	return -errno;
}

static void note_end(struct up *up, struct child *child, int status)
{
	child->pid = 0;
	if (up->stop)
		return;
	up->stop = true;
	up->status = EXIT_FAILED;
	if (WIFSIGNALED(status))
		(void)terminal_fail(0, "%s was ended by signal %d; see its log above", child->name,
				    WTERMSIG(status));
	else
		(void)terminal_fail(0, "%s ended with status %d; see its log", child->name,
				    WEXITSTATUS(status));
}

/* A trace ends, and that is no failure. */
static void reap(struct up *up)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == up->atomd.pid) {
			note_end(up, &up->atomd, status);
		} else if (pid == up->node.pid && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
			up->node.pid = 0;
			(void)fprintf(up->log, "atom-node has ended; atomd goes on\n");
		} else if (pid == up->node.pid) {
			note_end(up, &up->node, status);
		}
	}
}

static void read_signal(struct up *up)
{
	struct signalfd_siginfo info;

	while (read(up->signal_fd, &info, sizeof(info)) == sizeof(info))
		if (info.ssi_signo != SIGCHLD)
			up->stop = true;
	reap(up);
}

/* Logs and signals for at most timeout_msec. */
static void turn(struct up *up, int timeout_msec)
{
	struct pollfd fds[] = {
		{.fd = up->signal_fd, .events = POLLIN},
		{.fd = up->atomd.log_fd, .events = POLLIN},
		{.fd = up->node.log_fd, .events = POLLIN},
	};

	if (poll(fds, 3, timeout_msec) <= 0)
		return;
	if (fds[1].revents & POLLIN)
		read_log(up, &up->atomd);
	if (fds[2].revents & POLLIN)
		read_log(up, &up->node);
	if (fds[0].revents & POLLIN)
		read_signal(up);
	/* a pipe whose writer is gone would be ready for ever */
	if ((fds[1].revents & (POLLIN | POLLHUP)) == POLLHUP)
		up->atomd.log_fd = -1;
	if ((fds[2].revents & (POLLIN | POLLHUP)) == POLLHUP)
		up->node.log_fd = -1;
}

static bool wait_for_server(struct up *up)
{
	int64_t end = clock_mono_usec() + PATIENCE_SEC * USEC_PER_SEC;

	while (!up->stop && !up->server[0] && clock_mono_usec() < end)
		turn(up, POLL_MSEC);
	if (!up->server[0] && !up->stop)
		up->status = terminal_fail(EXIT_FAILED, "atomd does not listen after %d s",
					   PATIENCE_SEC);
	return up->server[0] && !up->stop;
}

/* The word in the file; "" where there is none. */
static void read_token(const char *path, char token[TOKEN_SIZE])
{
	FILE *stream = fopen(path, "re");

	if (!stream || !fgets(token, TOKEN_SIZE, stream))
		token[0] = '\0';
	token[strcspn(token, "\n")] = '\0';
	if (stream)
		(void)fclose(stream);
}

static bool node_is_connected(const struct up *up)
{
	const struct http_client_options options = {.token = up->token};
	char url[256];
	json_t *status = NULL;
	bool connected;

	(void)snprintf(url, sizeof(url), "%s/api/v1/status", up->server);
	if (http_client_request("GET", url, &options, NULL, &status, NULL) < 0)
		return false;
	connected = json_whole(status, "nodes_connected") > 0;
	json_decref(status);
	return connected;
}

static bool wait_for_node(struct up *up)
{
	int64_t end = clock_mono_usec() + PATIENCE_SEC * USEC_PER_SEC;

	while (!up->stop && clock_mono_usec() < end) {
		if (node_is_connected(up))
			return true;
		turn(up, POLL_MSEC);
	}
	if (!up->stop)
		up->status = terminal_fail(EXIT_FAILED, "the node has not connected after %d s",
					   PATIENCE_SEC);
	return false;
}

static void end_children(struct up *up)
{
	struct child *children[] = {&up->node, &up->atomd};
	int64_t end;

	up->stop = true;
	for (size_t i = 0; i < 2; i++) {
		end = clock_mono_usec() + END_PATIENCE_SEC * USEC_PER_SEC;
		if (children[i]->pid > 0)
			(void)kill(children[i]->pid, SIGTERM);
		while (children[i]->pid > 0 && clock_mono_usec() < end)
			turn(up, POLL_MSEC);
		if (children[i]->pid > 0)
			(void)kill(children[i]->pid, SIGKILL);
	}
	for (int i = 0; i < 2; i++) /* the last lines */
		turn(up, 0);
}

static void print_guide(const struct up *up, const struct up_files *files)
{
	const char *option = strcmp(up->server, "http://127.0.0.1:7480") == 0 ? "" : " --server ";

	printf("ATOM runs. API: %s/api/v1/status, Prometheus: %s/metrics; keys, configuration and\n"
	       "history are in %s. In another terminal:\n"
	       "  atom%s%s status      what is known, and what tracking saves\n"
	       "  atom%s%s vm list     the VMs\n"
	       "  atom%s%s alarm list  alarms\n",
	       up->server, up->server, files->directory, option, *option ? up->server : "", option,
	       *option ? up->server : "", option, *option ? up->server : "");
	if (up->token[0])
		printf("Looking needs no more than that. Verdicts and actions need a token:\n"
		       "  export ATOM_TOKEN=$(cat '%s')\n",
		       files->token);
	puts("Ctrl-C ends it.");
	(void)fflush(stdout);
}

static int open_signals(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int run(struct up *up, const struct up_files *files)
{
	int r = start_child(&up->atomd, "atomd", "controller", files->atomd_config);

	if (r < 0)
		return terminal_fail(EXIT_FAILED, "cannot start atomd: %s", strerror(-r));
	if (wait_for_server(up)) {
		r = start_child(&up->node, "atom-node", "node", files->node_config);
		if (r < 0)
			up->status = terminal_fail(EXIT_FAILED, "cannot start atom-node: %s",
						   strerror(-r));
		else if (wait_for_node(up))
			print_guide(up, files);
		while (r == 0 && up->status == EXIT_OK && !up->stop)
			turn(up, -1);
	}
	end_children(up);
	return up->status;
}

int command_up(int argc, char **argv)
{
	struct up_choices choices = {.hypervisor = "qemu:///system"};
	struct up up = {.atomd = {.log_fd = -1}, .node = {.log_fd = -1}, .log = stderr};
	const char *log_file = NULL;
	const struct command_option options[] = {
		{"dir", OPTION_VALUE, &choices.directory},
		{"hypervisor", OPTION_VALUE, &choices.hypervisor},
		{"interval", OPTION_VALUE, &choices.interval},
		{"window", OPTION_VALUE, &choices.window},
		{"http-port", OPTION_VALUE, &choices.http_port},
		{"bus-port", OPTION_VALUE, &choices.bus_port},
		{"log-file", OPTION_VALUE, &log_file},
		{"set", OPTION_LIST, &choices.settings},
	};
	struct up_files files;
	struct error err = ERROR_INIT;
	int end, status;

	status = options_parse(argc, argv, options, sizeof(options) / sizeof(options[0]), help,
			       &end);
	if (status < 0)
		return end;
	if (status > 0) {
		fputs(help, stderr);
		return EXIT_USAGE;
	}
	if (up_files_prepare(&choices, &files, &err) < 0)
		return terminal_fail(EXIT_FAILED, "%s", err.text);
	if (log_file && !(up.log = fopen(log_file, "ae")))
		return terminal_fail(EXIT_FAILED, "%s: %s", log_file, strerror(errno));
	read_token(files.token, up.token);
	up.signal_fd = open_signals();
	status = run(&up, &files);
	if (log_file)
		(void)fclose(up.log);
	return status;
}
