/* SPDX-License-Identifier: Apache-2.0 */
#include "vmi/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORD_PAUSED = 'p', WORD_RESUMED = 'r' };

/* Listens until the line ends; what was said last counts. Signals for the parent's whole group do
 * not end the guard, which has its own. */
static void keep_guard(int line, int (*cont)(void *userdata), void *userdata)
{
	bool is_paused = false;
	char word;
	ssize_t n;

	/* the parent's connections must end with it: QEMU serves one client at a time */
	(void)dup2(line, STDIN_FILENO);
	(void)close_range(STDERR_FILENO + 1, ~0U, 0);
	(void)setsid(); /* fails only for a leader, which a fresh process is not */
	while ((n = read(STDIN_FILENO, &word, 1)) != 0)
		if (n == 1)
			is_paused = word == WORD_PAUSED;
		else if (errno != EINTR)
			break;
	_exit(is_paused && cont(userdata) < 0);
}

int guard_start(struct guard *guard, int (*cont)(void *userdata), void *userdata, struct error *err)
{
	int ends[2];

	sigset_t all, before;

	*guard = (struct guard){0};
	(void)sigfillset(&all);
	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_set_errno(err, -errno, "starting the guard of the pause");
	/* what ends the parent is not to end its guard: a signal to all of a name, or of a service
	 */
	(void)sigprocmask(SIG_SETMASK, &all, &before);
	guard->pid = fork();
	if (guard->pid != 0)
		(void)sigprocmask(SIG_SETMASK, &before, NULL);
	if (guard->pid == 0) {
		(void)prctl(PR_SET_NAME, "atom-vmi-guard");
		(void)close(ends[1]);
		keep_guard(ends[0], cont, userdata);
	}
	(void)close(ends[0]);
	if (guard->pid < 0) {
		int r = -errno;

		(void)close(ends[1]);
		guard->pid = 0;
		return error_set_errno(err, r, "starting the guard of the pause");
	}
	guard->line = ends[1];
	return 0;
}

static void say(const struct guard *guard, char word)
{
	if (guard->pid)
		(void)!write(guard->line, &word, 1); /* a guard that is gone can do nothing more */
}

void guard_paused(const struct guard *guard)
{
	say(guard, WORD_PAUSED);
}

void guard_resumed(const struct guard *guard)
{
	say(guard, WORD_RESUMED);
}

void guard_stop(struct guard *guard)
{
	if (!guard->pid)
		return;
	(void)close(guard->line);
	(void)waitpid(guard->pid, NULL, 0);
	*guard = (struct guard){0};
}
