/* SPDX-License-Identifier: Apache-2.0 */
#include "vmi/view.h"

#include <string.h>

const struct view view_table[] = {
	{"info", view_info, "the kernel: banner, uptime, where it lies"},
	{"ps", view_ps, "processes"},
	{"tree", view_tree, "processes by parent"},
	{"net", view_net, "TCP and UDP sockets, with their process; also those of no process"},
	{"files", view_files, "open files"},
	{"exe", view_exe, "what each process executes; deleted and in-memory files"},
	{"hidden", view_hidden, "processes that are not where all others are"},
	{"modules", view_modules, "kernel modules, by two views"},
	{"syscalls", view_syscalls, "system calls that lead outside the kernel's text"},
	{"top", view_top, "two samples: CPU, I/O and connections per process and peer"},
};

const size_t view_count = sizeof(view_table) / sizeof(view_table[0]);

int view_find(const char *name)
{
	for (size_t i = 0; i < view_count; i++)
		if (strcmp(view_table[i].name, name) == 0)
			return (int)i;
	return -1;
}
