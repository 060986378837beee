#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/* Reaching the Unix sockets that another process serves. Any thread; never blocks. */
#include <sys/types.h>

/* Connects to the stream socket that process `pid` (0: ours) calls `path`: its root and working
 * directory count, and the length does not. Returns a descriptor, owned, non-blocking and closed on
 * exec. Errors: -ENAMETOOLONG, -EAGAIN when too many clients wait already, those of open() and
 * connect(). */
int unix_socket_connect(const char *path, pid_t pid);
