#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open files of a guest's processes, their paths (through dentries and mounts), and the file that a
 * process executes. Paths are built as the kernel's d_path() does, and are the guest's bytes.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "introspect/guest.h"
#include "introspect/task.h"

enum {
	FILE_PATH_SIZE = 4096,
	FILE_DESCRIPTORS_MAX = 1 << 20, /* of one process */
	FILE_DEPTH_MAX = 1024,          /* of a path */
	FILE_FSTYPE_SIZE = 32,
};

/* Calls `take` with each open descriptor and the address of its struct file. */
typedef int file_take(void *userdata, uint32_t descriptor, uint64_t file);
int file_walk(const struct guest *guest, const struct task *task, file_take *take, void *userdata);

struct file {
	char path[FILE_PATH_SIZE]; /* "/etc/passwd", "pipe:[123]", "" where it cannot be read */
	char fstype[FILE_FSTYPE_SIZE];
	uint32_t mode, flags;
	uint64_t inode, position, size;
	bool is_deleted;   /* no name leads to it any more */
	bool is_in_memory; /* a memfd: it never had a name in a file system */
};
int file_read(const struct guest *guest, uint64_t address, struct file *ret_file);

/* The file that the process executes; -ENOENT for a kernel thread. */
int file_of_executable(const struct guest *guest, const struct task *task, struct file *ret_file);
