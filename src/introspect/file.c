/* SPDX-License-Identifier: Apache-2.0 */
#include "introspect/file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
	PIECE = 512,
	NAME_SIZE = 256,
	MODE_FORMAT = 0170000,
	MODE_SOCKET = 0140000,
	MODE_PIPE = 0010000
};

int file_walk(const struct guest *guest, const struct task *task, file_take *take, void *userdata)
{
	uint64_t table, count, array, pointers[PIECE];
	int r;

	if (!task->files)
		return 0;
	r = guest_field_pointer(guest, task->files, FIELD_FILES_FDT, &table);
	if (r == 0)
		r = guest_field(guest, table, FIELD_FDT_MAX_FDS, &count);
	if (r == 0)
		r = guest_field_pointer(guest, table, FIELD_FDT_FD, &array);
	if (r == 0 && count > FILE_DESCRIPTORS_MAX)
		count = FILE_DESCRIPTORS_MAX;
	for (uint64_t at = 0; r == 0 && at < count; at += PIECE) {
		size_t part = count - at < PIECE ? (size_t)(count - at) : PIECE;

		r = guest_read(guest, array + at * 8, pointers, part * 8);
		for (size_t i = 0; r == 0 && i < part; i++)
			if (guest_is_kernel_pointer(pointers[i]))
				r = take(userdata, (uint32_t)(at + i), pointers[i]);
	}
	return r;
}

/* Paths */

/* Puts text before what is in the buffer, which is filled from its end. */
static int prepend(char *buffer, size_t *start, const char *text, size_t size)
{
	if (size > *start)
		return -ENAMETOOLONG;
	*start -= size;
	memcpy(buffer + *start, text, size);
	return 0;
}

static int prepend_name(const struct guest *guest, uint64_t dentry, char *buffer, size_t *start)
{
	char name[NAME_SIZE] = ""; /* a length of 0 reads nothing */
	uint64_t text, length;
	int r = guest_field(guest, dentry, FIELD_DENTRY_NAME, &text);

	if (r == 0)
		r = guest_field(guest, dentry, FIELD_DENTRY_NAME_LEN, &length);
	if (r == 0 && length >= NAME_SIZE)
		r = -EFAULT;
	if (r == 0)
		r = guest_read(guest, text, name, length);
	if (r == 0)
		r = prepend(buffer, start, name, strnlen(name, length));
	return r == 0 && name[0] != '/' ? prepend(buffer, start, "/", 1) : r;
}

struct place {
	uint64_t dentry, mount; /* mount: of struct mount; 0: unknown */
};

static int parent_mount(const struct guest *guest, struct place *place)
{
	uint64_t parent;
	int r = guest_field_pointer(guest, place->mount, FIELD_MOUNT_PARENT, &parent);

	if (r < 0)
		return r;
	if (parent == place->mount)
		return -ENOENT; /* the root of all */
	r = guest_field_pointer(guest, place->mount, FIELD_MOUNT_POINT, &place->dentry);
	place->mount = parent;
	return r;
}

/* Walks up to the root of the namespace, over mount points. */
static int build_path(const struct guest *guest, struct place place, char *buffer, size_t *start)
{
	for (int depth = 0; depth < FILE_DEPTH_MAX; depth++) {
		uint64_t parent, root;
		int r = guest_field_pointer(guest, place.dentry, FIELD_DENTRY_PARENT, &parent);

		if (r == 0)
			r = guest_field_pointer(guest,
						place.mount + guest_offset(guest, FIELD_MOUNT_MNT),
						FIELD_MNT_ROOT, &root);
		if (r < 0)
			return r;
		if (place.dentry == root) {
			r = parent_mount(guest, &place);
			if (r < 0)
				return r == -ENOENT ? 0 : r;
		} else if (place.dentry == parent) {
			return prepend_name(guest, place.dentry, buffer, start);
		} else {
			r = prepend_name(guest, place.dentry, buffer, start);
			place.dentry = parent;
			if (r < 0)
				return r;
		}
	}
	return -ELOOP;
}

static bool is_text(const char *text, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(text, *list) == 0)
			return true;
	return false;
}

/* Pipes and sockets have no name but their inode's number. */
static bool name_by_inode(struct file *file)
{
	const char *kind = NULL;

	if ((file->mode & MODE_FORMAT) == MODE_SOCKET && strcmp(file->fstype, "sockfs") == 0)
		kind = "socket";
	else if ((file->mode & MODE_FORMAT) == MODE_PIPE && strcmp(file->fstype, "pipefs") == 0)
		kind = "pipe";
	if (kind)
		(void)snprintf(file->path, sizeof(file->path), "%s:[%llu]", kind,
			       (unsigned long long)file->inode);
	return kind != NULL;
}

static void read_path(const struct guest *guest, uint64_t address, struct file *file)
{
	static const char anonymous[] = "anon_inodefs";
	static const char *const pseudo[] = {anonymous, "nsfs", "sockfs", "pipefs", "pidfs", NULL};
	char buffer[FILE_PATH_SIZE];
	const char *before;
	size_t start = sizeof(buffer);
	struct place place = {0};
	uint64_t vfsmount, pprev = 1;
	int r = guest_field_pointer(guest, address, FIELD_FILE_DENTRY, &place.dentry);

	if (r == 0)
		r = guest_field_pointer(guest, address, FIELD_FILE_MNT, &vfsmount);
	if (r < 0)
		return;
	place.mount = vfsmount - guest_offset(guest, FIELD_MOUNT_MNT);
	if (is_text(file->fstype, pseudo))
		r = prepend_name(guest, place.dentry, buffer, &start);
	else
		r = build_path(guest, place, buffer, &start);
	if (r < 0 && start == sizeof(buffer))
		return;
	if (start == sizeof(buffer))
		(void)prepend(buffer, &start, "/", 1); /* there is room */
	before = r < 0 ? "..." : "";
	if (r == 0 && strcmp(file->fstype, anonymous) == 0) {
		start++; /* such a name stands in no tree */
		before = "anon_inode:";
	}
	(void)snprintf(file->path, sizeof(file->path), "%s%.*s", before,
		       (int)(sizeof(buffer) - start), buffer + start);
	(void)guest_field(guest, place.dentry, FIELD_DENTRY_PPREV, &pprev); /* then it has one */
	file->is_deleted =
		!is_text(file->fstype, pseudo) && pprev == 0 && strcmp(file->path, "/") != 0;
}

/* Behind the inode: its file system's type. */
static int read_inode(const struct guest *guest, uint64_t address, struct file *file)
{
	uint64_t inode, superblock, type, name, mode, links;
	int r = guest_field_pointer(guest, address, FIELD_FILE_INODE, &inode);

	if (r == 0)
		r = guest_field(guest, inode, FIELD_INODE_MODE, &mode);
	if (r == 0)
		r = guest_field(guest, inode, FIELD_INODE_NUMBER, &file->inode);
	if (r == 0)
		r = guest_field(guest, inode, FIELD_INODE_SIZE, &file->size);
	if (r == 0)
		r = guest_field(guest, inode, FIELD_INODE_NLINK, &links);
	if (r == 0)
		r = guest_field_pointer(guest, inode, FIELD_INODE_SB, &superblock);
	if (r == 0)
		r = guest_field_pointer(guest, superblock, FIELD_SB_TYPE, &type);
	if (r == 0)
		r = guest_field(guest, type, FIELD_FSTYPE_NAME, &name);
	if (r == 0)
		r = guest_string(guest, name, file->fstype, sizeof(file->fstype));
	if (r < 0)
		return r;
	file->mode = (uint32_t)mode;
	file->is_deleted = links == 0;
	return 0;
}

int file_read(const struct guest *guest, uint64_t address, struct file *ret_file)
{
	uint64_t flags;
	int r = read_inode(guest, address, ret_file);
	bool without_links;

	if (r == 0)
		r = guest_field(guest, address, FIELD_FILE_FLAGS, &flags);
	if (r == 0)
		r = guest_field(guest, address, FIELD_FILE_POS, &ret_file->position);
	if (r < 0)
		return r;
	ret_file->flags = (uint32_t)flags;
	ret_file->path[0] = '\0';
	without_links = ret_file->is_deleted;
	ret_file->is_deleted = false;
	if (!name_by_inode(ret_file))
		read_path(guest, address, ret_file);
	ret_file->is_in_memory = without_links && strncmp(ret_file->path, "/memfd:", 7) == 0;
	ret_file->is_deleted = !ret_file->is_in_memory && ret_file->is_deleted && without_links;
	return 0;
}

int file_of_executable(const struct guest *guest, const struct task *task, struct file *ret_file)
{
	uint64_t file;
	int r;

	if (!task->memory)
		return -ENOENT;
	r = guest_field_pointer(guest, task->memory, FIELD_MM_EXE_FILE, &file);
	return r < 0 ? r : file_read(guest, file, ret_file);
}
