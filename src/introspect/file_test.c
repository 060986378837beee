/* SPDX-License-Identifier: Apache-2.0 */
#include "introspect/file.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/test.h"
#include "introspect/test_guest.h"

enum { REGULAR = 0100644, PIPE = 0010600, DESCRIPTORS = 16 };

/* / (ext4) with etc/passwd, and tmp on which a tmpfs is mounted with "inner". */
struct tree {
	struct test_guest *guest;
	uint64_t etc, passwd, tmp, inner, inner_root, inner_mount;
	uint64_t task, file;
};

static void cleanup_tree(struct tree *tree)
{
	tree->guest = test_guest_free(tree->guest);
}

static bool make(struct tree *tree)
{
	struct test_guest *guest = test_guest_new(&(struct test_guest_options){0});

	tree->guest = guest;
	tree->etc = test_guest_add_dentry(guest, guest->root_dentry, "etc");
	tree->passwd = test_guest_add_dentry(guest, tree->etc, "passwd");
	tree->tmp = test_guest_add_dentry(guest, guest->root_dentry, "tmp");
	tree->inner_root = test_guest_add_dentry(guest, 0, "/");
	tree->inner_mount = test_guest_add_mount(guest, tree->tmp, tree->inner_root);
	tree->inner = test_guest_add_dentry(guest, tree->inner_root, "inner");
	tree->task = test_guest_add_process(guest, 1, "init", guest->symbols[SYMBOL_INIT_TASK]);
	tree->file = test_guest_add_file(guest, &(struct test_file){.dentry = tree->passwd,
								    .mount = guest->root_mount,
								    .fstype = "ext4",
								    .mode = REGULAR,
								    .inode = 77});
	test_guest_set_descriptor(guest, tree->task, 3, tree->file);
	return test_guest_open(guest, NULL) == 0;
}

static int read_new(struct tree *tree, uint64_t dentry, uint64_t mount, const char *fstype,
		    uint32_t mode, struct file *ret_file)
{
	struct test_file file = {
		.dentry = dentry, .mount = mount, .fstype = fstype, .mode = mode, .inode = 9};

	return file_read(&tree->guest->guest, test_guest_add_file(tree->guest, &file), ret_file);
}

static void test_file_of_a_disk(void)
{
	cleanup(tree) struct tree tree = {0};
	struct file file;

	check(make(&tree));
	test_guest_set(tree.guest, tree.file, FIELD_FILE_POS, 12);
	test_guest_set(tree.guest, tree.file, FIELD_FILE_FLAGS, 0x8002);
	check_int(file_read(&tree.guest->guest, tree.file, &file), 0);
	check_string(file.path, "/etc/passwd");
	check_string(file.fstype, "ext4");
	check(file.mode == REGULAR && file.inode == 77 && file.position == 12);
	check(file.flags == 0x8002 && !file.is_deleted && !file.is_in_memory);
}

static void test_file_paths(void)
{
	cleanup(tree) struct tree tree = {0};
	struct file file;
	uint64_t root;

	check(make(&tree));
	root = tree.guest->root_mount;
	check_int(read_new(&tree, tree.inner, tree.inner_mount, "tmpfs", REGULAR, &file), 0);
	check_string(file.path, "/tmp/inner");
	check_int(read_new(&tree, tree.inner_root, tree.inner_mount, "tmpfs", 0040755, &file), 0);
	check_string(file.path, "/tmp");
	check_int(read_new(&tree, tree.guest->root_dentry, root, "ext4", 0040755, &file), 0);
	check_string(file.path, "/");
	check_int(read_new(&tree, tree.passwd, root, "pipefs", PIPE, &file), 0);
	check_string(file.path, "pipe:[9]");
	check_int(read_new(&tree, tree.passwd, root, "sockfs", 0140777, &file), 0);
	check_string(file.path, "socket:[9]");
	check_int(read_new(&tree, tree.passwd, root, "ext4", PIPE, &file), 0);
	check_string(file.path, "/etc/passwd");
	check_int(read_new(&tree, test_guest_add_dentry(tree.guest, 0, "[eventfd]"), root,
			   "anon_inodefs", REGULAR, &file),
		  0);
	check_string(file.path, "anon_inode:[eventfd]");
}

/* A memfd never had a name; a file that is called like one has a link. */
static void test_file_in_memory(void)
{
	cleanup(tree) struct tree tree = {0};
	struct test_file memfd = {.fstype = "tmpfs", .mode = REGULAR};
	struct file file;
	uint64_t address;

	check(make(&tree));
	memfd.dentry = test_guest_add_dentry(tree.guest, 0, "memfd:x");
	memfd.mount = tree.guest->root_mount;
	address = test_guest_add_file(tree.guest, &memfd);
	check_int(file_read(&tree.guest->guest, address, &file), 0);
	check_string(file.path, "/memfd:x");
	check(!file.is_in_memory);
	test_guest_set(tree.guest, test_guest_get(tree.guest, address, FIELD_FILE_INODE),
		       FIELD_INODE_NLINK, 0);
	check_int(file_read(&tree.guest->guest, address, &file), 0);
	check(file.is_in_memory && !file.is_deleted);
}

/* No name and no link leads to it: both must be so. */
static void test_file_deleted(void)
{
	cleanup(tree) struct tree tree = {0};
	struct file file;
	uint64_t inode;

	check(make(&tree));
	inode = test_guest_get(tree.guest, tree.file, FIELD_FILE_INODE);
	test_guest_set(tree.guest, inode, FIELD_INODE_NLINK, 0);
	check_int(file_read(&tree.guest->guest, tree.file, &file), 0);
	check(!file.is_deleted);
	test_guest_set(tree.guest, tree.passwd, FIELD_DENTRY_PPREV, 0);
	check_int(file_read(&tree.guest->guest, tree.file, &file), 0);
	check(file.is_deleted);
	test_guest_set(tree.guest, inode, FIELD_INODE_NLINK, 1);
	check_int(file_read(&tree.guest->guest, tree.file, &file), 0);
	check(!file.is_deleted);
}

static void test_file_of_an_executable(void)
{
	cleanup(tree) struct tree tree = {0};
	struct file file;
	struct task task;
	uint64_t memory;

	check(make(&tree));
	check_int(task_read(&tree.guest->guest, tree.task, &task), 0);
	check_int(file_of_executable(&tree.guest->guest, &task, &file), -ENOENT);
	test_guest_add_arguments(tree.guest, tree.task, "x", 1);
	memory = test_guest_get(tree.guest, tree.task, FIELD_TASK_MM);
	check_int(task_read(&tree.guest->guest, tree.task, &task), 0);
	check_int(file_of_executable(&tree.guest->guest, &task, &file), -EFAULT);
	test_guest_set(tree.guest, memory, FIELD_MM_EXE_FILE, tree.file);
	check_int(file_of_executable(&tree.guest->guest, &task, &file), 0);
	check_string(file.path, "/etc/passwd");
}

/* Parents in a circle, a mount on itself, names without end or place: a beginning at most. */
static void test_file_paths_that_lead_nowhere(void)
{
	cleanup(tree) struct tree tree = {0};
	struct file file;

	check(make(&tree));
	test_guest_set(tree.guest, tree.etc, FIELD_DENTRY_PARENT, tree.passwd);
	check_int(file_read(&tree.guest->guest, tree.file, &file), 0);
	check(strncmp(file.path, ".../", 4) == 0);
	check(strlen(file.path) < FILE_PATH_SIZE);
	test_guest_set(tree.guest, tree.etc, FIELD_DENTRY_PARENT, 8);
	check_int(file_read(&tree.guest->guest, tree.file, &file), 0);
	check_string(file.path, ".../passwd");
	test_guest_set(tree.guest, tree.passwd, FIELD_DENTRY_NAME_LEN, UINT32_MAX);
	check_int(file_read(&tree.guest->guest, tree.file, &file), 0);
	check_string(file.path, "");
	test_guest_set(tree.guest, tree.passwd, FIELD_DENTRY_NAME_LEN, 6);
	test_guest_set(tree.guest, tree.passwd, FIELD_DENTRY_NAME, 0x1000);
	check_int(file_read(&tree.guest->guest, tree.file, &file), 0);
	check_string(file.path, "");
	test_guest_set(tree.guest, tree.inner_mount, FIELD_MOUNT_POINT, tree.inner_root);
	check_int(read_new(&tree, tree.inner, tree.inner_mount, "tmpfs", REGULAR, &file), 0);
	test_guest_set(tree.guest, tree.file, FIELD_FILE_DENTRY, 0);
	check_int(file_read(&tree.guest->guest, tree.file, &file), 0);
	check_string(file.path, "");
	test_guest_set(tree.guest, tree.file, FIELD_FILE_INODE, 0);
	check_int(file_read(&tree.guest->guest, tree.file, &file), -EFAULT);
}

/* A name of no bytes, and one with NULs in it. */
static void test_file_names_that_are_odd(void)
{
	cleanup(tree) struct tree tree = {0};
	struct file file;

	check(make(&tree));
	test_guest_set(tree.guest, tree.passwd, FIELD_DENTRY_NAME_LEN, 0);
	check_int(file_read(&tree.guest->guest, tree.file, &file), 0);
	check_string(file.path, "/etc/");
	test_guest_set(tree.guest, tree.passwd, FIELD_DENTRY_NAME_LEN, 20);
	check_int(file_read(&tree.guest->guest, tree.file, &file), 0);
	check_string(file.path, "/etc/passwd");
}

struct seen {
	uint32_t count, last;
	uint64_t file;
	int result;
};

static int take(void *userdata, uint32_t descriptor, uint64_t file)
{
	struct seen *seen = userdata;

	seen->count++;
	seen->last = descriptor;
	seen->file = file;
	return seen->result;
}

static void test_file_descriptors(void)
{
	cleanup(tree) struct tree tree = {0};
	struct seen seen = {0};
	struct task task;

	check(make(&tree));
	test_guest_set_descriptor(tree.guest, tree.task, 5, 0x1234); /* no pointer */
	check_int(task_read(&tree.guest->guest, tree.task, &task), 0);
	check_int(file_walk(&tree.guest->guest, &task, take, &seen), 0);
	check(seen.count == 1 && seen.last == 3 && seen.file == tree.file);
	seen.result = -EINTR;
	check_int(file_walk(&tree.guest->guest, &task, take, &seen), -EINTR);
	task.files = 0;
	check_int(file_walk(&tree.guest->guest, &task, take, &seen), 0);
	check_int(seen.count, 2);
}

/* As many as 31 bits can say: read as far as there is memory, and not farther than the limit. */
static void test_file_descriptors_without_number(void)
{
	cleanup(tree) struct tree tree = {0};
	struct seen seen = {0};
	struct task task;
	uint64_t table;

	check(make(&tree));
	check_int(task_read(&tree.guest->guest, tree.task, &task), 0);
	table = test_guest_get(tree.guest, task.files, FIELD_FILES_FDT);
	test_guest_set(tree.guest, table, FIELD_FDT_MAX_FDS, UINT32_C(1) << 31);
	check_int(file_walk(&tree.guest->guest, &task, take, &seen), -EFAULT);
	check(seen.count >= 1 && seen.count < TEST_RAM_SIZE / 8);
	test_guest_set(tree.guest, table, FIELD_FDT_FD, UINT64_C(0xffffffffffffefff) & ~7ULL);
	check_int(file_walk(&tree.guest->guest, &task, take, &seen), -EFAULT);
	test_guest_set(tree.guest, table, FIELD_FDT_FD, 0);
	check_int(file_walk(&tree.guest->guest, &task, take, &seen), -EFAULT);
	/* the same page again and again, so that there is memory for all */
	for (uint64_t i = 0; i < 8 * FILE_DESCRIPTORS_MAX / MEMORY_PAGE_SIZE + 8; i++)
		test_guest_map(tree.guest, tree.guest->root,
			       UINT64_C(0xffffc90000000000) + i * MEMORY_PAGE_SIZE,
			       UINT64_C(0x180000), 0);
	test_guest_set(tree.guest, table, FIELD_FDT_FD, 0xffffc90000000000);
	test_guest_set64(tree.guest, tree.guest->direct_base + 0x180000, tree.file);
	seen.count = 0;
	check_int(file_walk(&tree.guest->guest, &task, take, &seen), 0);
	check_int(seen.count, 8 * FILE_DESCRIPTORS_MAX / MEMORY_PAGE_SIZE);
}

TEST_MAIN(TEST(test_file_of_a_disk), TEST(test_file_paths), TEST(test_file_in_memory),
	  TEST(test_file_deleted), TEST(test_file_of_an_executable),
	  TEST(test_file_paths_that_lead_nowhere), TEST(test_file_names_that_are_odd),
	  TEST(test_file_descriptors), TEST(test_file_descriptors_without_number))
