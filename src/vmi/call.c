/* SPDX-License-Identifier: Apache-2.0 */
#include "vmi/call.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"

/* What the human monitor answers to a command that did its work is nothing, or a line of its own.
 */
static int tell(struct target *target, const char *command, struct error *err)
{
	cleanup(free) char *text = NULL;
	int r = monitor_human(target->monitor, command, &text, err);

	if (r < 0)
		return r;
	if (strstr(text, "rror") || strstr(text, "ould not"))
		return error_set(err, -EIO, "QEMU says of '%s': %.200s", command, text);
	return 0;
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int r = -errno;

		(void)close(fd);
		return r;
	}
	return fd;
}

static int call_through(struct target *target, const char *path, const struct gdb_call *call,
			uint64_t *ret_result, struct error *err)
{
	cleanup(close) int fd = -1;
	char command[256];
	int r;

	(void)snprintf(command, sizeof(command), "gdbserver unix:%s,server=on,wait=off", path);
	r = tell(target, command, err);
	if (r < 0)
		return r;
	fd = connect_to(path);
	if (fd < 0)
		return error_set_errno(err, fd, "QEMU's gdb stub at %s", path);
	return gdb_call(fd, call, ret_result, err);
}

/* A stub that lost its client leaves the VM paused. */
static int restore(struct target *target, struct error *err)
{
	struct monitor_state state;
	int r = tell(target, "gdbserver none", err);

	if (monitor_state(target->monitor, &state, err) == 0 && state.running)
		return r;
	r = monitor_cont(target->monitor, err);
	return r < 0 ? error_prefix(err, r, "the VM is left paused") : r;
}

/* QEMU makes its socket in it, and may run as another user. */
static void give_to_process(const char *folder, pid_t pid)
{
	struct stat status;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	if (stat(path, &status) == 0)
		(void)!chown(folder, status.st_uid, status.st_gid); /* or QEMU says why not */
}

int call_into_guest(struct target *target, const struct gdb_call *call, uint64_t *ret_result,
		    struct error *err)
{
	char folder[] = "/run/atom-vmi-XXXXXX", path[sizeof(folder) + 8];
	struct error restore_err = ERROR_INIT;
	sigset_t all, before;
	int r, restored;

	if (!mkdtemp(folder))
		return error_set_errno(err, -errno, "%s", folder);
	give_to_process(folder, target->pid);
	(void)snprintf(path, sizeof(path), "%s/gdb", folder);
	/* one that was left by a client that died would be in the way */
	(void)tell(target, "gdbserver none", NULL);
	/* ended in the middle of it, the guest would stand at a breakpoint that nobody takes away
	 */
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &before);
	r = call_through(target, path, call, ret_result, err);
	restored = restore(target, &restore_err);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	(void)unlink(path); /* QEMU may have done so */
	(void)rmdir(folder);
	if (restored < 0)
		return error_set(err, restored, "%s", restore_err.text);
	return r;
}
