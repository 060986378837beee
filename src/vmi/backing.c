/* SPDX-License-Identifier: Apache-2.0 */
#include "vmi/backing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { MAPS_SIZE_MAX = 16 << 20, FILES_MAX = 16 };

DEFINE_CLEANUP(DIR *, closedir)

struct mapping {
	uint64_t start, end, offset, device, inode;
	bool is_shared;
};

int backing_init(struct backing *backing, pid_t pid, struct error *err)
{
	cleanup(fclose) FILE *stream = NULL;
	char path[64];
	size_t size;

	*backing = (struct backing){.pid = pid, .process = -1};
	(void)snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	stream = fopen(path, "re");
	backing->maps = malloc(MAPS_SIZE_MAX);
	if (!stream || !backing->maps) {
		int r = stream ? -ENOMEM : -errno;

		backing_deinit(backing);
		return error_set_errno(err, r, "%s", path);
	}
	size = fread(backing->maps, 1, MAPS_SIZE_MAX - 1, stream);
	backing->maps[size] = '\0';
	return 0;
}

void backing_deinit(struct backing *backing)
{
	free(backing->maps);
	backing->maps = NULL;
}

/* The address of a guest-physical one in the process: "Host virtual address for 0x... (m) is
 * 0x...". */
static int ask_address(struct monitor *monitor, uint64_t gpa, uint64_t *ret_address,
		       struct error *err)
{
	cleanup(free) char *text = NULL;
	const char *is;
	char command[64];
	int r;

	(void)snprintf(command, sizeof(command), "gpa2hva 0x%" PRIx64, gpa);
	r = monitor_human(monitor, command, &text, err);
	if (r < 0)
		return r;
	is = strstr(text, " is 0x");
	if (!is || strncmp(text, "Host virtual address", 20) != 0)
		return error_set(err, -EPROTO, "QEMU says of '%s': %.100s", command, text);
	*ret_address = strtoull(is + 4, NULL, 16);
	return 0;
}

/* "7f0000000000-7f0010000000 rw-s 00000000 00:01 1234 /memfd:m (deleted)" */
static bool parse_mapping(const char *line, struct mapping *mapping)
{
	unsigned major, minor;
	char flags[5];

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64, &mapping->start,
		   &mapping->end, flags, &mapping->offset, &major, &minor, &mapping->inode) != 7)
		return false;
	mapping->device = makedev(major, minor);
	mapping->is_shared = flags[3] == 's' && mapping->inode != 0;
	return true;
}

static bool find_mapping(const char *maps, uint64_t address, struct mapping *ret_mapping)
{
	for (const char *line = maps; line && *line;) {
		if (parse_mapping(line, ret_mapping) && address >= ret_mapping->start &&
		    address < ret_mapping->end)
			return true;
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	return false;
}

/* The process's own descriptor of that file, opened anew. */
static int open_file(struct backing *backing, const struct mapping *mapping, bool writable)
{
	cleanup(closedir) DIR *folder = NULL;
	const struct dirent *entry;
	char path[64 + 256];

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)backing->pid);
	folder = opendir(path);
	while (folder && (entry = readdir(folder))) {
		struct stat status;
		int fd;

		(void)snprintf(path, sizeof(path), "/proc/%d/fd/%s", (int)backing->pid,
			       entry->d_name);
		if (entry->d_name[0] == '.' || stat(path, &status) < 0 ||
		    status.st_dev != mapping->device || status.st_ino != mapping->inode)
			continue;
		fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
		if (fd >= 0)
			return fd;
	}
	return -ENOENT;
}

static int use_file(struct backing *backing, const struct mapping *mapping, bool writable)
{
	int fd;

	for (size_t i = 0; i < backing->file_count; i++)
		if (backing->files[i].device == mapping->device &&
		    backing->files[i].inode == mapping->inode)
			return backing->files[i].fd;
	if (backing->file_count == FILES_MAX)
		return -E2BIG;
	fd = open_file(backing, mapping, writable);
	if (fd < 0)
		return fd;
	backing->files[backing->file_count].device = mapping->device;
	backing->files[backing->file_count].inode = mapping->inode;
	backing->files[backing->file_count++].fd = fd;
	return fd;
}

static int use_process(struct backing *backing, bool writable, struct error *err)
{
	char path[64];

	if (backing->process >= 0)
		return backing->process;
	(void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)backing->pid);
	backing->process = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	if (backing->process < 0)
		return error_set_errno(err, -errno,
				       "%s (root, or the right to trace it, is needed)", path);
	return backing->process;
}

/* A mapping may be split where QEMU advises the kernel differently, but is one stretch of the file:
 * that the file reaches far enough is what counts. */
static bool reaches(int fd, uint64_t offset, uint64_t size)
{
	struct stat status;

	return fstat(fd, &status) == 0 && (uint64_t)status.st_size >= offset + size;
}

int backing_find(struct backing *backing, struct monitor *monitor, const struct mtree_range *range,
		 bool writable, struct backing_place *ret_place, struct error *err)
{
	struct mapping mapping;
	uint64_t address = 0;
	int fd, r = ask_address(monitor, range->gpa, &address, err);

	if (r < 0)
		return r;
	if (!find_mapping(backing->maps, address, &mapping))
		return error_set(err, -ENOENT, "process %d maps nothing at 0x%" PRIx64,
				 (int)backing->pid, address);
	if (mapping.is_shared) {
		uint64_t offset = mapping.offset + (address - mapping.start);

		fd = use_file(backing, &mapping, writable);
		if (fd >= 0 && reaches(fd, offset, range->size)) {
			*ret_place = (struct backing_place){fd, offset, true};
			return 0;
		}
	}
	fd = use_process(backing, writable, err);
	if (fd < 0)
		return fd;
	*ret_place = (struct backing_place){fd, address, false};
	return 0;
}
