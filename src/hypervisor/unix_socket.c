/* SPDX-License-Identifier: Apache-2.0 */
#include "hypervisor/unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"

/* A socket path may be longer than sockaddr_un holds, and is to be seen from the process's root:
 * both are met by connecting to it through a descriptor. */
int unix_socket_connect(const char *path, pid_t pid)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	cleanup(close) int node = -1;
	char full[PATH_MAX];
	int fd;

	if (snprintf(full, sizeof(full), "/proc/%d/%s/%s", (int)(pid ? pid : getpid()),
		     path[0] == '/' ? "root" : "cwd", path) >= (int)sizeof(full))
		return -ENAMETOOLONG;
	node = open(full, O_PATH | O_CLOEXEC);
	if (node < 0)
		return -errno;
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d", node);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int r = -errno;

		(void)close(fd);
		return r;
	}
	return fd;
}
