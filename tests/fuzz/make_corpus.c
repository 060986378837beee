/* SPDX-License-Identifier: Apache-2.0 */
/*
 * make_corpus FOLDER: writes the seeds of the targets that read what a kernel or QEMU lays out, as
 * FOLDER/TARGET/NAME. Those that are texts were written by hand and lie there already.
 */
#include <elf.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "fuzz_guest.h"
#include "introspect/btf.h"
#include "introspect/dump.h"
#include "introspect/pid.h"
#include "wire/report.h"

DEFINE_CLEANUP(struct report *, report_free)
DEFINE_CLEANUP(struct test_guest *, test_guest_free)

static const char *folder;

static void save(const char *target, const char *name, const void *bytes, size_t size)
{
	char path[4096];
	cleanup(fclose) FILE *file = NULL;

	(void)mkdir(folder, 0777); /* it may be there */
	(void)snprintf(path, sizeof(path), "%s/%s", folder, target);
	(void)mkdir(path, 0777);
	(void)snprintf(path, sizeof(path), "%s/%s/%s", folder, target, name);
	file = fopen(path, "wbe");
	if (!file || fwrite(bytes, 1, size, file) != size) {
		perror(path);
		exit(1);
	}
}

static void save_types(void)
{
	static const struct {
		const char *name;
		bool has_old_names;
	} kernels[] = {{"kernel", false}, {"kernel-before-5.14", true}};

	for (size_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++) {
		struct test_guest_options options = {.has_old_names = kernels[i].has_old_names};
		cleanup(test_guest_free) struct test_guest *guest = test_guest_new(&options);

		save("btf", kernels[i].name, guest->ram + TEST_IMAGE_GPA + TEST_BTF_START,
		     guest->btf_size);
	}
}

/* One type of each kind. */
static void save_kinds(void)
{
	static const uint8_t tails[BTF_KINDS] = {
		[BTF_INT] = 1,      [BTF_ARRAY] = 3,      [BTF_STRUCT] = 3, [BTF_UNION] = 3,
		[BTF_ENUM] = 2,     [BTF_FUNC_PROTO] = 2, [BTF_VAR] = 1,    [BTF_DATASEC] = 3,
		[BTF_DECL_TAG] = 1, [BTF_ENUM64] = 3};
	uint32_t words[6 + BTF_KINDS * 6 + 1] = {0x0001eb9f, 24};
	size_t at = 6;

	for (uint32_t kind = BTF_INT; kind < BTF_KINDS; kind++) {
		bool has_members = tails[kind] > 1 && kind != BTF_ARRAY;

		words[at] = 1;
		words[at + 1] = kind << 24 | (has_members ? 1 : 0);
		words[at + 2] = kind == BTF_INT ? 4 : 1;
		words[at + 3] = words[at + 4] = tails[kind] ? 1 : 0;
		at += 3 + tails[kind];
	}
	words[3] = words[4] = (uint32_t)(at - 6) * 4;
	words[5] = 4;
	memcpy(&words[at], "\0a\0", 4);
	save("btf", "kinds", words, (at + 1) * 4);
}

/* Records for fuzz_edit() behind the first byte. */
static void save_records(const char *target, const char *name, uint8_t how,
			 const struct fuzz_record *records, size_t count)
{
	uint8_t bytes[1 + 16 * sizeof(struct fuzz_record)] = {how};

	assert(count <= 16);
	memcpy(bytes + 1, records, count * sizeof(*records));
	save(target, name, bytes, 1 + count * sizeof(*records));
}

static struct fuzz_region world;

static uint32_t place_of(uint64_t va)
{
	uint64_t image = va - world.guest->image_va;

	if (image < TEST_IMAGE_SIZE)
		va = world.guest->direct_base + TEST_IMAGE_GPA + image;
	return (uint32_t)(va - world.base);
}

static struct fuzz_record pointer(uint64_t at, uint64_t to)
{
	return (struct fuzz_record){
		.word = (uint16_t)(place_of(at) / 8), .how = 1, .value = place_of(to)};
}

static struct fuzz_record number(uint64_t at, uint32_t value)
{
	return (struct fuzz_record){.word = (uint16_t)(place_of(at) / 8), .how = 2, .value = value};
}

/* A whole guest as it is, and links and numbers of it that are wrong. */
static void save_world(void)
{
	static uint8_t raw[64 << 10] = {1};
	const struct guest *view = fuzz_world(&world, NULL, 0);
	struct test_guest *guest = world.guest;
	uint64_t task = 0, pids, files, memory, node, tcp = guest->symbols[SYMBOL_TCP_HASHINFO];
	struct fuzz_record one, two[2];

	assert(pid_find(view, 70, &task) == 0 && world.size < sizeof(raw));
	memcpy(raw + 1, world.bytes, world.size);
	save("task", "whole", raw, 1 + world.size);
	save("socket", "whole", raw, 1 + world.size);

	node = test_guest_member(guest, task, FIELD_TASK_TASKS);
	one = pointer(node, node);
	save_records("task", "task-after-itself", 0, &one, 1);
	node = test_guest_member(guest, task, FIELD_TASK_SIBLING);
	one = pointer(node, node);
	save_records("task", "child-after-itself", 0, &one, 1);
	pids = test_guest_get(guest, guest->symbols[SYMBOL_INIT_PID_NS], FIELD_PIDNS_XA_HEAD);
	one = pointer(test_guest_member(guest, pids - 2, FIELD_XA_SLOTS), pids);
	save_records("task", "pids-in-pids", 0, &one, 1);
	files = test_guest_get(guest, task, FIELD_TASK_FILES);
	files = test_guest_get(guest, files, FIELD_FILES_FDT);
	one = number(test_guest_member(guest, files, FIELD_FDT_MAX_FDS), UINT32_C(1) << 31);
	save_records("task", "descriptors-without-number", 0, &one, 1);
	memory = test_guest_get(guest, task, FIELD_TASK_MM);
	two[0] = number(test_guest_member(guest, memory, FIELD_MM_ARG_END), UINT32_MAX);
	two[1] = pointer(test_guest_member(guest, guest->root_dentry, FIELD_DENTRY_PARENT), task);
	save_records("task", "arguments-and-names-without-end", 0, two, 2);

	node = test_guest_get(guest, tcp, FIELD_HASHINFO_EHASH);
	one = pointer(node, node + 8);
	save_records("socket", "chain-of-buckets", 0, &one, 1);
	one = number(test_guest_member(guest, tcp, FIELD_HASHINFO_EHASH_MASK), UINT32_MAX);
	save_records("socket", "buckets-without-number", 0, &one, 1);
	one = pointer(test_guest_member(guest, tcp, FIELD_HASHINFO_LHASH2), task);
	save_records("socket", "buckets-in-a-task", 0, &one, 1);
}

/* Of each number of levels and each layout the intact one, and a few words that are wrong. */
static void save_tables(void)
{
	static const struct fuzz_record records[] = {
		{.word = 512, .how = 1, .value = 0x1000}, /* the second table, in itself */
		{.word = 28, .how = 3, .bit = 16},        /* the page fault's gate */
		{.word = 700, .how = 2, .value = 0xe3, .bit = 12},
	};
	static const char *const layouts[] = {"before-6.4", "before-6.4-with-sequence", "since-6.4",
					      "relative"};
	char name[64];

	for (uint8_t levels = 4; levels <= 5; levels++) {
		(void)snprintf(name, sizeof(name), "levels-%u", levels);
		save_records("paging", name, levels == 5 ? 2 : 0, NULL, 0);
		(void)snprintf(name, sizeof(name), "levels-%u-wrong", levels);
		save_records("paging", name, levels == 5 ? 2 : 0, records, 3);
	}
	for (uint8_t i = 0; i < 4; i++) {
		save_records("kallsyms", layouts[i], (uint8_t)(i << 1), NULL, 0);
		(void)snprintf(name, sizeof(name), "%s-alone", layouts[i]);
		save_records("kallsyms", name, (uint8_t)(i << 1 | 8), NULL, 0);
		(void)snprintf(name, sizeof(name), "%s-wrong", layouts[i]);
		save_records("kallsyms", name, (uint8_t)(i << 1), records, 3);
	}
}

static void save_lime(void)
{
	uint8_t bytes[2 * (DUMP_LIME_HEADER_SIZE + 64)] = {0};

	dump_lime_header(0x100000, 64, bytes);
	dump_lime_header(0, 64, bytes + DUMP_LIME_HEADER_SIZE + 64);
	save("dump", "lime", bytes, sizeof(bytes));
	save("dump", "raw", (uint8_t[4096]){0}, 4096);
}

/* As QEMU writes it: one vCPU's note and one segment. */
static void save_elf(void)
{
	enum { NOTE_SIZE = 432 };
	struct {
		Elf64_Ehdr head;
		Elf64_Phdr segments[2];
		Elf64_Nhdr note;
		char name[8];
		uint32_t version, size;
		uint8_t vcpu[NOTE_SIZE];
		uint8_t memory[64];
	} core = {
		.head = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
				     1},
			 .e_type = ET_CORE,
			 .e_machine = EM_X86_64,
			 .e_phoff = sizeof(Elf64_Ehdr),
			 .e_phentsize = sizeof(Elf64_Phdr),
			 .e_phnum = 2},
		.note = {.n_namesz = 5, .n_descsz = NOTE_SIZE + 8},
		.name = "QEMU",
		.version = 1,
		.size = NOTE_SIZE + 8,
	};
	uint64_t notes = (uint64_t)((uint8_t *)&core.note - (uint8_t *)&core);
	uint64_t memory = (uint64_t)(core.memory - (uint8_t *)&core);

	core.segments[0] =
		(Elf64_Phdr){.p_type = PT_NOTE, .p_offset = notes, .p_filesz = memory - notes};
	core.segments[1] = (Elf64_Phdr){
		.p_type = PT_LOAD, .p_offset = memory, .p_filesz = 64, .p_paddr = 0x1000};
	save("dump", "elf", &core, sizeof(core));
}

static void save_report(void)
{
	static const struct report_column columns[] = {
		{"text", REPORT_TEXT}, {"count", REPORT_COUNT}, {"real", REPORT_REAL}};
	cleanup(report_free) struct report *report = report_new();
	cleanup(free) uint8_t *bytes = NULL;
	size_t size;

	assert(report);
	report_table(report, "things", columns, 3, true);
	for (int i = 0; i < 3; i++) {
		report_text(report, i ? "some" : NULL);
		report_number(report, UINT64_MAX >> i);
		report_real(report, i * 0.5);
	}
	report_note(report, "a note");
	assert(report_encode(report, &bytes, &size, NULL) == 0);
	save("report", "small", bytes, size);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		(void)fprintf(stderr, "usage: make_corpus FOLDER\n");
		return 2;
	}
	folder = argv[1];
	save_types();
	save_kinds();
	save_world();
	save_tables();
	save_lime();
	save_elf();
	save_report();
	return 0;
}
