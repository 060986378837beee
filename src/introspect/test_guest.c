/* SPDX-License-Identifier: Apache-2.0 */
#include "introspect/test_guest.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "introspect/test_image.h"

enum {
	PAGES_START = 1 << 20, /* guest-physical, up to the image */
	SLOTS = 64,
	DESCRIPTORS = 16,
	BUCKETS = 4,
	NODE_TAG = 2,
	PAGE_FLAGS = 0x63,
	PAGE_HUGE = 0x80,
	STREAM = 1,
	DATAGRAM = 2,
};

#define IDT_VA UINT64_C(0xfffffe0000000000)
#define USER_VA UINT64_C(0x00007ffd00000000)
#define TABLE_MASK UINT64_C(0x000ffffffffff000)

/* Memory */

void *test_guest_at(const struct test_guest *guest, uint64_t va)
{
	uint64_t image = va - guest->image_va, direct = va - guest->direct_base;

	if (image < TEST_IMAGE_SIZE)
		return guest->ram + TEST_IMAGE_GPA + image;
	assert(direct < TEST_RAM_SIZE);
	return guest->ram + direct;
}

uint64_t test_guest_allocate(struct test_guest *guest, size_t size)
{
	uint64_t gpa = guest->next_object;

	guest->next_object += (size + 63) & ~(size_t)63;
	assert(guest->next_object <= TEST_IMAGE_GPA + TEST_IMAGE_SIZE);
	return guest->direct_base + gpa;
}

uint64_t test_guest_page(struct test_guest *guest)
{
	uint64_t gpa = guest->next_page;

	guest->next_page += MEMORY_PAGE_SIZE;
	assert(guest->next_page <= TEST_IMAGE_GPA);
	return gpa;
}

void test_guest_map(struct test_guest *guest, uint64_t root, uint64_t va, uint64_t gpa, int level)
{
	uint64_t table = root, *entry;

	for (int at = guest->options.levels - 1; at > level; at--) {
		entry = (uint64_t *)(void *)(guest->ram + table) + (va >> (12 + 9 * at) & 511);
		if (!*entry)
			*entry = test_guest_page(guest) | PAGE_FLAGS;
		table = *entry & TABLE_MASK;
	}
	entry = (uint64_t *)(void *)(guest->ram + table) + (va >> (12 + 9 * level) & 511);
	*entry = gpa | PAGE_FLAGS | (level > 0 ? PAGE_HUGE : 0);
}

void test_guest_set64(struct test_guest *guest, uint64_t va, uint64_t value)
{
	memcpy(test_guest_at(guest, va), &value, sizeof(value));
}

static uint64_t get64(const struct test_guest *guest, uint64_t va)
{
	uint64_t value;

	memcpy(&value, test_guest_at(guest, va), sizeof(value));
	return value;
}

uint64_t test_guest_member(const struct test_guest *guest, uint64_t object, enum field field)
{
	return object + guest->offsets[field];
}

uint64_t test_guest_get(const struct test_guest *guest, uint64_t object, enum field field)
{
	uint64_t value = 0;
	uint32_t size = guest->sizes[field];

	memcpy(&value, test_guest_at(guest, test_guest_member(guest, object, field)),
	       size < sizeof(value) ? size : sizeof(value));
	return value;
}

void test_guest_set(struct test_guest *guest, uint64_t object, enum field field, uint64_t value)
{
	uint32_t size = guest->sizes[field];

	memcpy(test_guest_at(guest, test_guest_member(guest, object, field)), &value,
	       size < sizeof(value) ? size : sizeof(value));
}

static void copy_in(struct test_guest *guest, uint64_t object, enum field field, const void *bytes,
		    size_t size)
{
	assert(size <= guest->sizes[field]);
	memcpy(test_guest_at(guest, test_guest_member(guest, object, field)), bytes, size);
}

/* Lists */

static void make_list(struct test_guest *guest, uint64_t head)
{
	test_guest_set64(guest, head, head);
	test_guest_set64(guest, head + 8, head);
}

void test_guest_link(struct test_guest *guest, uint64_t head, uint64_t node)
{
	uint64_t last = get64(guest, head + 8);

	test_guest_set64(guest, node, head);
	test_guest_set64(guest, node + 8, last);
	test_guest_set64(guest, last, node);
	test_guest_set64(guest, head + 8, node);
}

void test_guest_unlink(struct test_guest *guest, uint64_t node)
{
	uint64_t next = get64(guest, node), previous = get64(guest, node + 8);

	test_guest_set64(guest, previous, next);
	test_guest_set64(guest, next + 8, previous);
}

/* Page tables, gates, and variables of the image */

static void write_gate(uint8_t *gate, uint64_t handler)
{
	uint16_t words[8] = {(uint16_t)handler,
			     0x10,
			     0x8e00,
			     (uint16_t)(handler >> 16),
			     (uint16_t)(handler >> 32),
			     (uint16_t)(handler >> 48)};

	memcpy(gate, words, sizeof(words));
}

static void write_tables(struct test_guest *guest)
{
	uint64_t idt = test_guest_page(guest), user = guest->root + MEMORY_PAGE_SIZE;

	for (int i = 0; i < 32; i++)
		write_gate(guest->ram + idt + (size_t)i * 16,
			   guest->image_va + (i == 14 ? TEST_PAGE_FAULT : TEST_DOUBLE_FAULT));
	test_guest_map(guest, guest->root, guest->image_va, TEST_IMAGE_GPA, 1);
	test_guest_map(guest, guest->root, IDT_VA, idt, 0);
	for (uint64_t gpa = 0; gpa < TEST_RAM_SIZE; gpa += 2 << 20)
		test_guest_map(guest, guest->root, guest->direct_base + gpa, gpa, 1);
	if (guest->options.has_isolation) {
		test_guest_map(guest, user, IDT_VA, idt, 0);
		test_guest_map(guest, user, guest->image_va + TEST_STEXT,
			       TEST_IMAGE_GPA + TEST_STEXT, 0);
	}
	for (size_t i = 0; i < TEST_VCPUS; i++)
		guest->vcpus[i] = (struct registers){
			.cr0 = 0x80050033,
			.cr3 = guest->options.has_isolation ? user | 0x006 : guest->root,
			.cr4 = guest->options.levels == 5 ? 0x751ef0 : 0x750ef0,
			.efer = 0xd01,
			.has_efer = true,
			.idt_base = IDT_VA,
		};
}

static void write_variables(struct test_guest *guest)
{
	static const char banner[] = "Linux version 6.1.0-test (nobody@nowhere) #1 SMP\n";

	memcpy(test_guest_at(guest, guest->image_va + TEST_BANNER), banner, sizeof(banner));
	test_guest_set64(guest, guest->symbols[SYMBOL_PAGE_OFFSET_BASE], guest->direct_base);
	test_guest_set64(guest, guest->symbols[SYMBOL_NR_CPU_IDS], 1);
	test_guest_set64(guest, guest->symbols[SYMBOL_CPU_ONLINE_MASK], 1);
	for (uint64_t at = guest->symbols[SYMBOL_SYS_CALL_TABLE];
	     at < guest->symbols[SYMBOL_INIT_SIGNALS]; at += 8)
		test_guest_set64(guest, at, guest->image_va + TEST_OTHER_TEXT);
}

/* Tasks */

uint64_t test_guest_pid_slot(struct test_guest *guest, uint32_t pid)
{
	uint64_t root =
		test_guest_get(guest, guest->symbols[SYMBOL_INIT_PID_NS], FIELD_PIDNS_XA_HEAD) -
		NODE_TAG;
	uint64_t slot = test_guest_member(guest, root, FIELD_XA_SLOTS) + (uint64_t)(pid >> 6) * 8;
	uint64_t leaf = get64(guest, slot);

	assert(pid < SLOTS * SLOTS);
	if (!leaf) {
		leaf = test_guest_allocate(guest, 576) + NODE_TAG;
		test_guest_set64(guest, slot, leaf);
	}
	return test_guest_member(guest, leaf - NODE_TAG, FIELD_XA_SLOTS) +
	       (uint64_t)(pid & (SLOTS - 1)) * 8;
}

static void add_pid(struct test_guest *guest, uint64_t task, uint32_t number)
{
	uint64_t pid = test_guest_allocate(guest, 128);
	uint64_t upid = test_guest_member(guest, pid, FIELD_PID_NUMBERS);

	test_guest_set(guest, pid, FIELD_PID_COUNT, 1);
	test_guest_set(guest, pid, FIELD_PID_TASKS,
		       test_guest_member(guest, task, FIELD_TASK_PID_LINKS));
	test_guest_set(guest, upid, FIELD_UPID_NR, number);
	test_guest_set(guest, upid, FIELD_UPID_NS, guest->symbols[SYMBOL_INIT_PID_NS]);
	test_guest_set(guest, task, FIELD_TASK_THREAD_PID, pid);
	if (number > 0)
		test_guest_set64(guest, test_guest_pid_slot(guest, number), pid);
}

/* What every thread has of its own. */
static void fill_task(struct test_guest *guest, uint64_t task, uint32_t pid, const char *comm)
{
	test_guest_set(guest, task, FIELD_TASK_PID, pid);
	copy_in(guest, task, FIELD_TASK_COMM, comm, strnlen(comm, 16));
	make_list(guest, test_guest_member(guest, task, FIELD_TASK_CHILDREN));
	test_guest_set(guest, task, FIELD_TASK_STATE, pid ? 1 : 0);
	test_guest_set(guest, task, FIELD_TASK_START, pid * UINT64_C(1000000000));
	test_guest_set(guest, task, FIELD_TASK_UTIME, 100);
	test_guest_set(guest, task, FIELD_TASK_STIME, 10);
	test_guest_set(guest, task, FIELD_TASK_USAGE, 2);
	add_pid(guest, task, pid);
}

static void fill_process(struct test_guest *guest, uint64_t task, uint32_t pid, const char *comm)
{
	uint64_t signal = test_guest_allocate(guest, 256), cred = test_guest_allocate(guest, 64);
	uint64_t head = test_guest_member(guest, signal, FIELD_SIGNAL_THREAD_HEAD);

	test_guest_set(guest, task, FIELD_TASK_TGID, pid);
	test_guest_set(guest, task, FIELD_TASK_GROUP_LEADER, task);
	test_guest_set(guest, task, FIELD_TASK_CRED, cred);
	test_guest_set(guest, task, FIELD_TASK_SIGNAL, signal);
	test_guest_set(guest, cred, FIELD_CRED_UID, 1000);
	test_guest_set(guest, signal, FIELD_SIGNAL_THREADS, 1);
	test_guest_set(guest, signal, FIELD_SIGNAL_UTIME, 1000);
	make_list(guest, head);
	test_guest_link(guest, head, test_guest_member(guest, task, FIELD_TASK_THREAD_NODE));
	fill_task(guest, task, pid, comm);
}

static void add_files(struct test_guest *guest, uint64_t task)
{
	uint64_t files = test_guest_allocate(guest, 64), table = test_guest_allocate(guest, 64);

	test_guest_set(guest, table, FIELD_FDT_MAX_FDS, DESCRIPTORS);
	test_guest_set(guest, table, FIELD_FDT_FD, test_guest_allocate(guest, 8 * DESCRIPTORS));
	test_guest_set(guest, files, FIELD_FILES_FDT, table);
	test_guest_set(guest, task, FIELD_TASK_FILES, files);
}

uint64_t test_guest_add_process(struct test_guest *guest, uint32_t pid, const char *comm,
				uint64_t parent)
{
	uint64_t task = test_guest_allocate(guest, 768);
	uint64_t list =
		test_guest_member(guest, guest->symbols[SYMBOL_INIT_TASK], FIELD_TASK_TASKS);

	fill_process(guest, task, pid, comm);
	add_files(guest, task);
	test_guest_set(guest, task, FIELD_TASK_REAL_PARENT, parent);
	test_guest_link(guest, test_guest_member(guest, parent, FIELD_TASK_CHILDREN),
			test_guest_member(guest, task, FIELD_TASK_SIBLING));
	test_guest_link(guest, list, test_guest_member(guest, task, FIELD_TASK_TASKS));
	return task;
}

uint64_t test_guest_add_thread(struct test_guest *guest, uint32_t pid, uint64_t leader)
{
	static const enum field shared[] = {FIELD_TASK_TGID,  FIELD_TASK_GROUP_LEADER,
					    FIELD_TASK_CRED,  FIELD_TASK_SIGNAL,
					    FIELD_TASK_FILES, FIELD_TASK_REAL_PARENT};
	uint64_t task = test_guest_allocate(guest, 768);
	uint64_t signal = test_guest_get(guest, leader, FIELD_TASK_SIGNAL);

	for (size_t i = 0; i < sizeof(shared) / sizeof(shared[0]); i++)
		test_guest_set(guest, task, shared[i], test_guest_get(guest, leader, shared[i]));
	fill_task(guest, task, pid, "thread");
	test_guest_set(guest, signal, FIELD_SIGNAL_THREADS,
		       test_guest_get(guest, signal, FIELD_SIGNAL_THREADS) + 1);
	test_guest_link(guest, test_guest_member(guest, signal, FIELD_SIGNAL_THREAD_HEAD),
			test_guest_member(guest, task, FIELD_TASK_THREAD_NODE));
	return task;
}

void test_guest_add_arguments(struct test_guest *guest, uint64_t task, const char *text,
			      size_t size)
{
	uint64_t memory = test_guest_allocate(guest, 64), root = test_guest_page(guest);
	uint64_t page = test_guest_page(guest), start = USER_VA + MEMORY_PAGE_SIZE - size;

	assert(size <= MEMORY_PAGE_SIZE);
	memcpy(guest->ram + page + MEMORY_PAGE_SIZE - size, text, size);
	test_guest_map(guest, root, USER_VA, page, 0);
	test_guest_set(guest, memory, FIELD_MM_PGD, guest->direct_base + root);
	test_guest_set(guest, memory, FIELD_MM_ARG_START, start);
	test_guest_set(guest, memory, FIELD_MM_ARG_END, start + size);
	test_guest_set(guest, task, FIELD_TASK_MM, memory);
}

static void write_init_task(struct test_guest *guest)
{
	uint64_t init = guest->symbols[SYMBOL_INIT_TASK],
		 space = guest->symbols[SYMBOL_INIT_PID_NS];
	uint64_t queue = test_guest_allocate(guest, 64), root = test_guest_allocate(guest, 576);

	test_guest_set(guest, root, FIELD_XA_SHIFT, 6);
	test_guest_set(guest, space, FIELD_PIDNS_XA_HEAD, root + NODE_TAG);
	test_guest_set(guest, space, FIELD_PIDNS_INUM, 4026531836);
	fill_process(guest, init, 0, "swapper/0");
	test_guest_set(guest, init, FIELD_TASK_REAL_PARENT, init);
	make_list(guest, test_guest_member(guest, init, FIELD_TASK_TASKS));
	test_guest_set64(guest, guest->symbols[SYMBOL_PER_CPU_OFFSET],
			 queue - guest->symbols[SYMBOL_RUNQUEUES]);
	test_guest_set(guest, queue, FIELD_RQ_CURR, init);
	make_list(guest, test_guest_member(guest, queue, FIELD_RQ_CFS_TASKS));
}

/* Files */

uint64_t test_guest_add_dentry(struct test_guest *guest, uint64_t parent, const char *name)
{
	uint64_t dentry = test_guest_allocate(guest, 64);
	size_t length = strlen(name);
	uint64_t text = test_guest_allocate(guest, length + 1);

	memcpy(test_guest_at(guest, text), name, length);
	test_guest_set(guest, dentry, FIELD_DENTRY_PARENT, parent ? parent : dentry);
	test_guest_set(guest, dentry, FIELD_DENTRY_NAME, text);
	test_guest_set(guest, dentry, FIELD_DENTRY_NAME_LEN, length);
	test_guest_set(guest, dentry, FIELD_DENTRY_PPREV, text);
	return dentry;
}

uint64_t test_guest_add_mount(struct test_guest *guest, uint64_t point, uint64_t root)
{
	uint64_t mount = test_guest_allocate(guest, 128);

	test_guest_set(guest, test_guest_member(guest, mount, FIELD_MOUNT_MNT), FIELD_MNT_ROOT,
		       root);
	test_guest_set(guest, mount, FIELD_MOUNT_PARENT, point ? guest->root_mount : mount);
	test_guest_set(guest, mount, FIELD_MOUNT_POINT, point ? point : root);
	return mount;
}

uint64_t test_guest_add_file(struct test_guest *guest, const struct test_file *file)
{
	uint64_t address = test_guest_allocate(guest, 128), inode = test_guest_allocate(guest, 64);
	uint64_t superblock = test_guest_allocate(guest, 64), type = test_guest_allocate(guest, 64);
	uint64_t name = test_guest_allocate(guest, strlen(file->fstype) + 1);

	memcpy(test_guest_at(guest, name), file->fstype, strlen(file->fstype));
	test_guest_set(guest, type, FIELD_FSTYPE_NAME, name);
	test_guest_set(guest, superblock, FIELD_SB_TYPE, type);
	test_guest_set(guest, inode, FIELD_INODE_SB, superblock);
	test_guest_set(guest, inode, FIELD_INODE_MODE, file->mode);
	test_guest_set(guest, inode, FIELD_INODE_NUMBER, file->inode);
	test_guest_set(guest, inode, FIELD_INODE_NLINK, 1);
	test_guest_set(guest, address, FIELD_FILE_INODE, inode);
	test_guest_set(guest, address, FIELD_FILE_DENTRY, file->dentry);
	test_guest_set(guest, address, FIELD_FILE_MNT,
		       test_guest_member(guest, file->mount, FIELD_MOUNT_MNT));
	return address;
}

void test_guest_set_descriptor(struct test_guest *guest, uint64_t task, uint32_t number,
			       uint64_t file)
{
	uint64_t files = test_guest_get(guest, task, FIELD_TASK_FILES);
	uint64_t table = test_guest_get(guest, files, FIELD_FILES_FDT);

	assert(number < DESCRIPTORS);
	test_guest_set64(guest, test_guest_get(guest, table, FIELD_FDT_FD) + (uint64_t)number * 8,
			 file);
}

/* Sockets */

enum { TABLE_TCP, TABLE_TCP_LISTEN, TABLE_UDP, TABLES };
static const struct {
	enum symbol symbol;
	enum field buckets, mask, stride, head, node;
	bool has_nulls; /* a chain ends with an odd number */
} hash_tables[TABLES] = {
	{SYMBOL_TCP_HASHINFO, FIELD_HASHINFO_EHASH, FIELD_HASHINFO_EHASH_MASK, FIELD_EHASH_SIZE,
	 FIELD_EHASH_CHAIN, FIELD_SK_NULLS_NODE, true},
	{SYMBOL_TCP_HASHINFO, FIELD_HASHINFO_LHASH2, FIELD_HASHINFO_LHASH2_MASK, FIELD_LHASH2_SIZE,
	 FIELD_LHASH2_HEAD, FIELD_SK_NULLS_NODE, true},
	{SYMBOL_UDP_TABLE, FIELD_UDP_HASH, FIELD_UDP_MASK, FIELD_UDP_SLOT_SIZE, FIELD_UDP_SLOT_HEAD,
	 FIELD_SK_NODE, false},
};

static uint64_t bucket(struct test_guest *guest, int table, uint64_t number)
{
	uint64_t buckets = test_guest_get(guest, guest->symbols[hash_tables[table].symbol],
					  hash_tables[table].buckets);

	return buckets + number % BUCKETS * guest->sizes[hash_tables[table].stride] +
	       guest->offsets[hash_tables[table].head];
}

static void write_hash_tables(struct test_guest *guest)
{
	for (int table = 0; table < TABLES; table++) {
		uint64_t owner = guest->symbols[hash_tables[table].symbol];

		test_guest_set(guest, owner, hash_tables[table].buckets,
			       test_guest_allocate(guest, 64 * BUCKETS));
		test_guest_set(guest, owner, hash_tables[table].mask, BUCKETS - 1);
		for (uint64_t i = 0; i < BUCKETS && hash_tables[table].has_nulls; i++)
			test_guest_set64(guest, bucket(guest, table, i), i << 1 | 1);
	}
}

uint64_t test_guest_add_socket(struct test_guest *guest, const struct test_socket *socket)
{
	uint64_t sk = test_guest_allocate(guest, 512), first;
	int table = socket->protocol == 17 ? TABLE_UDP
		    : socket->state == 10  ? TABLE_TCP_LISTEN
					   : TABLE_TCP;
	bool is_wide = socket->family == 10;

	test_guest_set(guest, sk, FIELD_SK_FAMILY, socket->family);
	test_guest_set(guest, sk, FIELD_SK_STATE, socket->state);
	test_guest_set(guest, sk, FIELD_SK_NUM, socket->local_port);
	test_guest_set(guest, sk, FIELD_SK_DPORT, htons(socket->remote_port));
	copy_in(guest, sk, is_wide ? FIELD_SK_LOCAL6 : FIELD_SK_LOCAL4, socket->local,
		is_wide ? 16 : 4);
	copy_in(guest, sk, is_wide ? FIELD_SK_REMOTE6 : FIELD_SK_REMOTE4, socket->remote,
		is_wide ? 16 : 4);
	test_guest_set(guest, sk, FIELD_SK_PROTOCOL, socket->protocol);
	test_guest_set(guest, sk, FIELD_SK_TYPE, table == TABLE_UDP ? DATAGRAM : STREAM);
	test_guest_set(guest, sk, FIELD_SK_BACKLOG, 3);
	test_guest_set(guest, sk, FIELD_SK_BACKLOG_MAX, 128);
	test_guest_set(guest, sk, FIELD_TCP_RECEIVED, 5000000000);
	test_guest_set(guest, sk, FIELD_TCP_SENT, 77);
	first = bucket(guest, table, socket->local_port);
	test_guest_set(guest, sk, hash_tables[table].node, get64(guest, first));
	test_guest_set64(guest, first, test_guest_member(guest, sk, hash_tables[table].node));
	return sk;
}

uint64_t test_guest_add_socket_file(struct test_guest *guest, uint64_t sk)
{
	struct test_file file = {.dentry = guest->root_dentry,
				 .mount = guest->root_mount,
				 .fstype = "sockfs",
				 .mode = 0140777,
				 .inode = 4242};
	uint64_t address = test_guest_add_file(guest, &file);
	uint64_t socket = test_guest_allocate(guest, 64);

	test_guest_set(guest, socket, FIELD_SOCKET_SK, sk);
	test_guest_set(guest, address, FIELD_FILE_OP, guest->symbols[SYMBOL_SOCKET_FILE_OPS]);
	test_guest_set(guest, address, FIELD_FILE_PRIVATE, socket);
	return address;
}

/* Modules */

static void write_module_lists(struct test_guest *guest)
{
	uint64_t set = test_guest_allocate(guest, 64);

	make_list(guest, guest->symbols[SYMBOL_MODULES]);
	test_guest_set64(guest, guest->symbols[SYMBOL_MODULE_KSET], set);
	make_list(guest, test_guest_member(guest, set, FIELD_KSET_LIST));
}

uint64_t test_guest_add_module(struct test_guest *guest, const char *name)
{
	uint64_t module = test_guest_allocate(guest, 320), object = test_guest_allocate(guest, 128);
	uint64_t set = get64(guest, guest->symbols[SYMBOL_MODULE_KSET]), piece;
	uint64_t text = guest->direct_base + test_guest_page(guest);
	uint64_t kobject = test_guest_member(guest, object, FIELD_MKOBJ_KOBJ);

	copy_in(guest, module, FIELD_MODULE_NAME, name, strlen(name));
	/* as until 6.3 and as since then */
	test_guest_set(guest, module, FIELD_MODULE_CORE_BASE, text);
	test_guest_set(guest, module, FIELD_MODULE_CORE_SIZE, MEMORY_PAGE_SIZE);
	piece = test_guest_member(guest, module, FIELD_MODULE_MEM);
	test_guest_set(guest, piece, FIELD_MODMEM_BASE, text);
	test_guest_set(guest, piece, FIELD_MODMEM_SIZE, MEMORY_PAGE_SIZE);
	test_guest_set(guest, object, FIELD_MKOBJ_MOD, module);
	test_guest_link(guest, guest->symbols[SYMBOL_MODULES],
			test_guest_member(guest, module, FIELD_MODULE_LIST));
	test_guest_link(guest, test_guest_member(guest, set, FIELD_KSET_LIST),
			test_guest_member(guest, kobject, FIELD_KOBJECT_ENTRY));
	return module;
}

/* The whole */

static void make_memory(struct test_guest *guest)
{
	guest->fd = memfd_create("guest", MFD_CLOEXEC);
	guest->memory = memory_new();
	assert(guest->fd >= 0 && guest->memory && ftruncate(guest->fd, TEST_RAM_SIZE) == 0);
	guest->ram = mmap(NULL, TEST_RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, guest->fd, 0);
	assert(guest->ram != MAP_FAILED);
	assert(memory_add(guest->memory, 0, TEST_RAM_SIZE, guest->fd, 0, MEMORY_MAPPED, true,
			  NULL) == 0);
}

struct test_guest *test_guest_new(const struct test_guest_options *options)
{
	struct test_guest *guest = calloc(1, sizeof(*guest));

	assert(guest);
	guest->options = *options;
	guest->options.levels = options->levels ? options->levels : 4;
	guest->image_va = UINT64_C(0xffffffff9a000000);
	guest->direct_base = guest->options.levels == 5 ? UINT64_C(0xff11000040000000)
							: UINT64_C(0xffff888040000000);
	guest->root = TEST_IMAGE_GPA + TEST_TOP_TABLE;
	guest->next_page = PAGES_START;
	guest->next_object = TEST_IMAGE_GPA + TEST_DATA_START;
	make_memory(guest);
	test_image_write_types(guest);
	test_image_place_symbols(guest);
	write_tables(guest);
	write_variables(guest);
	write_init_task(guest);
	guest->root_dentry = test_guest_add_dentry(guest, 0, "/");
	guest->root_mount = test_guest_add_mount(guest, 0, guest->root_dentry);
	write_hash_tables(guest);
	write_module_lists(guest);
	test_image_write_symbols(guest);
	guest->source = (struct profile_source){guest->memory, guest->vcpus, TEST_VCPUS};
	return guest;
}

struct test_guest *test_guest_free(struct test_guest *guest)
{
	if (!guest)
		return NULL;
	(void)memory_free(guest->memory);
	(void)munmap(guest->ram, TEST_RAM_SIZE);
	(void)close(guest->fd);
	free(guest);
	return NULL;
}

int test_guest_open(struct test_guest *guest, struct error *err)
{
	struct profile profile;
	int r = profile_make(&guest->source, &profile, err);

	if (r == 0)
		guest_init(&guest->guest, guest->memory, &profile);
	return r;
}
