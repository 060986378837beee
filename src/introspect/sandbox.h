#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The confinement of the process that parses guest memory: no files, no network, no new processes,
 * no signals to others, little memory and time. Called once in the child, after everything that it
 * needs is open and mapped. What is left: reading and writing the descriptors that it holds,
 * anonymous memory, clocks, sleeping, ending.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct sandbox_limits {
	uint64_t memory_bytes; /* address space beyond what is mapped now; 0: no limit */
	unsigned cpu_seconds;  /* 0: no limit */
};

/* Closes every descriptor but the `keep_count` ones (not negative) and 2 (stderr), leaves root's
 * rights where it has them (uid and gid 65534, no capabilities, no new privileges), enters an empty
 * network namespace where it may, forbids the file system by Landlock where the kernel has it, sets
 * rlimits and installs the seccomp filter, of which a violation kills the process with SIGSYS.
 * ret_landlock (may be NULL) tells whether Landlock took hold. Anything but Landlock and the
 * namespace that cannot be had is an error, after which the process has to end.
 * It is killed when its parent ends. Libc is not to open anything later: no local time, no locales.
 * The process ends by _exit(), since the leak check that a sanitizer makes in exit() would start a
 * thread. */
int sandbox_enter(const int *keep, size_t keep_count, const struct sandbox_limits *limits,
		  int *ret_landlock, struct error *err);

/* Whether memory_bytes takes effect: not in a build with a sanitizer. */
bool sandbox_limits_memory(void);
