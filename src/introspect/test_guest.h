#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests only: a guest that never ran. A memfd holds what a kernel would have in its memory:
 * page tables, an image with symbol table and type information, an interrupt descriptor table, and
 * as many tasks, files, sockets and modules as a test adds. Which structures there are and where
 * their members lie follows fields.h. Nothing is random: the same calls give the same bytes. A
 * mistake in its use ends the test program.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "introspect/guest.h"
#include "introspect/profile.h"

enum test_kallsyms { TEST_OLD, TEST_OLD_SEQUENCE, TEST_NEW, TEST_SLOT_RELATIVE };

enum {
	TEST_VCPUS = 2,
	TEST_RAM_SIZE = 4 << 20, /* from guest-physical 0 */
	TEST_IMAGE_GPA = 2 << 20,
	TEST_IMAGE_SIZE = 2 << 20,
	TEST_KALLSYMS_START = 0x10000, /* offsets in the image */
	TEST_KALLSYMS_END = 0x28000,
	TEST_BTF_START = 0x28000,
	TEST_DATA_START = 0x40000, /* what is allocated, up from here */
};

struct test_guest_options {
	int levels; /* of paging: 4 or 5; 0: 4 */
	enum test_kallsyms kallsyms;
	bool has_isolation;  /* page-table isolation: CR3 names the user half */
	bool has_old_names;  /* members by the names of the table's ALIAS lines */
	const char *without; /* a symbol, a structure, or "structure.member" that is not there */
};

struct test_guest {
	struct test_guest_options options;
	int fd;
	uint8_t *ram;
	struct memory *memory;
	struct registers vcpus[TEST_VCPUS];
	struct profile_source source;
	uint64_t image_va, direct_base, root; /* root: guest-physical, the kernel's */
	uint32_t offsets[FIELD_COUNT], sizes[FIELD_COUNT];
	uint64_t symbols[SYMBOL_COUNT];
	uint32_t btf_size;
	uint64_t next_page, next_object; /* guest-physical: what is not given out yet */
	uint64_t root_dentry, root_mount;
	struct guest guest; /* after test_guest_open() */
};

/* With the idle task alone. Returns owned. */
struct test_guest *test_guest_new(const struct test_guest_options *options);
struct test_guest *test_guest_free(struct test_guest *guest);
/* As a program does it: makes the profile from the registers, and `guest` on it. */
int test_guest_open(struct test_guest *guest, struct error *err);

/* Where an address of the image or of the direct map lies in `ram`. */
void *test_guest_at(const struct test_guest *guest, uint64_t va);
/* Zeroed, 64-byte aligned; its address in the direct map. */
uint64_t test_guest_allocate(struct test_guest *guest, size_t size);
/* A zeroed page of its own: guest-physical. */
uint64_t test_guest_page(struct test_guest *guest);
/* A page of level 0 (4 KiB), 1 (2 MiB) or 2 (1 GiB); tables are added as needed. */
void test_guest_map(struct test_guest *guest, uint64_t root, uint64_t va, uint64_t gpa, int level);

uint64_t test_guest_get(const struct test_guest *guest, uint64_t object, enum field field);
void test_guest_set(struct test_guest *guest, uint64_t object, enum field field, uint64_t value);
/* The address of a member. */
uint64_t test_guest_member(const struct test_guest *guest, uint64_t object, enum field field);
void test_guest_set64(struct test_guest *guest, uint64_t va, uint64_t value);
/* A list_head before the list's head, or out of it. */
void test_guest_link(struct test_guest *guest, uint64_t head, uint64_t node);
void test_guest_unlink(struct test_guest *guest, uint64_t node);

/* Each returns the address of its structure. A process is in the list of tasks, its parent's
 * children and the table of pids; it has a table of 16 descriptors. Pids are below 4096. */
uint64_t test_guest_add_process(struct test_guest *guest, uint32_t pid, const char *comm,
				uint64_t parent);
uint64_t test_guest_add_thread(struct test_guest *guest, uint32_t pid, uint64_t leader);
/* Its own page table, and its arguments at the end of a page. */
void test_guest_add_arguments(struct test_guest *guest, uint64_t task, const char *text,
			      size_t size);
/* Where the table of pids has this pid's entry. */
uint64_t test_guest_pid_slot(struct test_guest *guest, uint32_t pid);

uint64_t test_guest_add_dentry(struct test_guest *guest, uint64_t parent, const char *name);
uint64_t test_guest_add_mount(struct test_guest *guest, uint64_t point, uint64_t root);
struct test_file {
	uint64_t dentry, mount;
	const char *fstype;
	uint32_t mode;
	uint64_t inode;
};
uint64_t test_guest_add_file(struct test_guest *guest, const struct test_file *file);
void test_guest_set_descriptor(struct test_guest *guest, uint64_t task, uint32_t number,
			       uint64_t file);

struct test_socket {
	uint32_t family, protocol, state;
	uint16_t local_port, remote_port;
	uint8_t local[16], remote[16];
};
/* In the hash table that it belongs to. */
uint64_t test_guest_add_socket(struct test_guest *guest, const struct test_socket *socket);
/* The struct file of a struct sock. */
uint64_t test_guest_add_socket_file(struct test_guest *guest, uint64_t sk);

/* In the list and in sysfs, with a page of text. */
uint64_t test_guest_add_module(struct test_guest *guest, const char *name);
