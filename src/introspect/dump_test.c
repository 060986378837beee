/* SPDX-License-Identifier: Apache-2.0 */
/* Dumps as the test writes them, laid out as QEMU 7.2 and LiME do, good and bad. */
#include "introspect/dump.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/test.h"

enum {
	FILE_SIZE = 1 << 18,
	NOTES_OFFSET = 0x400,
	NOTE_SIZE = 12 + 8 + 440,
	RAM_OFFSET = 0x2000 + 0xc8, /* not at a page's beginning, as with QEMU */
	/* within a "QEMU" note's description */
	IDT_BASE_AT = 384,
	CR0_AT = 392,
	CR3_AT = 416,
	CR4_AT = 424,
};

/* An image being made. */
struct image {
	uint8_t bytes[FILE_SIZE];
	size_t size;
};

static void put(struct image *image, size_t at, const void *bytes, size_t size)
{
	memcpy(image->bytes + at, bytes, size);
	if (at + size > image->size)
		image->size = at + size;
}

static int open_image(const struct image *image, struct dump *ret_dump, struct error *err)
{
	int fd = memfd_create("atom-dump-test", MFD_CLOEXEC), r;

	if (fd < 0 || write(fd, image->bytes, image->size) != (ssize_t)image->size)
		return -1;
	*err = ERROR_INIT;
	r = dump_open(fd, ret_dump, err);
	(void)close(fd);
	return r;
}

/* 0 when the image is refused with this code and with words. */
static int refused(const struct image *image, int code)
{
	struct dump dump;
	struct error err;
	int r = open_image(image, &dump, &err);

	if (r == 0)
		dump_deinit(&dump);
	printf("# %d %s\n", r, err.text);
	return r == code && err.text[0] ? 0 : -1;
}

/* ELF */

static Elf64_Ehdr elf_header(void)
{
	Elf64_Ehdr header = {.e_type = ET_CORE,
			     .e_machine = EM_X86_64,
			     .e_version = EV_CURRENT,
			     .e_phoff = sizeof(header),
			     .e_phentsize = sizeof(Elf64_Phdr),
			     .e_phnum = 4};

	memcpy(header.e_ident, ELFMAG, SELFMAG);
	header.e_ident[EI_CLASS] = ELFCLASS64;
	header.e_ident[EI_DATA] = ELFDATA2LSB;
	return header;
}

static void put_number(uint8_t *description, size_t at, uint64_t value)
{
	memcpy(description + at, &value, sizeof(value));
}

static void put_qemu_note(struct image *image, size_t at, uint64_t cr3)
{
	Elf64_Nhdr header = {.n_namesz = 5, .n_descsz = 440};
	uint8_t description[440] = {1, 0, 0, 0, 0xb8, 1};

	put_number(description, IDT_BASE_AT, 0xfffffe0000000000);
	put_number(description, CR0_AT, 0x80050033);
	put_number(description, CR3_AT, cr3);
	put_number(description, CR4_AT, 0x751eb0);
	put(image, at, &header, sizeof(header));
	put(image, at + 12, "QEMU\0\0\0", 8);
	put(image, at + 20, description, sizeof(description));
}

static void put_segments(struct image *image, const Elf64_Phdr *segments, size_t count)
{
	Elf64_Ehdr header = elf_header();

	header.e_phnum = (Elf64_Half)count;
	put(image, 0, &header, sizeof(header));
	put(image, header.e_phoff, segments, count * sizeof(*segments));
}

/* Two vCPUs, a note of another name, two ranges in descending order, one without bytes. */
static void make_elf(struct image *image)
{
	static const Elf64_Phdr segments[] = {
		{.p_type = PT_NOTE, .p_offset = NOTES_OFFSET, .p_filesz = 24 + 2 * NOTE_SIZE},
		{.p_type = PT_LOAD,
		 .p_offset = RAM_OFFSET + 0x3000,
		 .p_paddr = 0x100000000,
		 .p_filesz = 0x2000,
		 .p_memsz = 0x2000},
		{.p_type = PT_LOAD, .p_offset = RAM_OFFSET, .p_filesz = 0x3000, .p_memsz = 0x3000},
		{.p_type = PT_LOAD, .p_paddr = 0xfffc0000, .p_memsz = 0x40000},
	};
	Elf64_Nhdr other = {.n_namesz = 5, .n_descsz = 3, .n_type = NT_PRSTATUS};

	*image = (struct image){.size = RAM_OFFSET + 0x5000};
	put_segments(image, segments, 4);
	put(image, NOTES_OFFSET, &other, sizeof(other));
	put(image, NOTES_OFFSET + 12, "CORE", 5);
	put_qemu_note(image, NOTES_OFFSET + 24, 0x2996000);
	put_qemu_note(image, NOTES_OFFSET + 24 + NOTE_SIZE, 0x105a000);
}

static Elf64_Phdr *segment_of(struct image *image, size_t position)
{
	return (Elf64_Phdr *)(image->bytes + sizeof(Elf64_Ehdr)) + position;
}

static Elf64_Ehdr *header_of(struct image *image)
{
	return (Elf64_Ehdr *)image->bytes;
}

static struct image image;

static void test_dump_elf_of_qemu(void)
{
	struct dump dump;
	struct error err;

	make_elf(&image);
	check_int(open_image(&image, &dump, &err), 0);
	check_int(dump.format, DUMP_ELF);
	check_int(dump.range_count, 2);
	check_int(dump.ranges[0].gpa, 0);
	check_int(dump.ranges[0].size, 0x3000);
	check_int(dump.ranges[0].offset, RAM_OFFSET);
	check_int(dump.ranges[1].gpa, 0x100000000);
	check_int(dump.ranges[1].offset, RAM_OFFSET + 0x3000);
	check_int(dump.vcpu_count, 2);
	check_int(dump.vcpus[0].cr3, 0x2996000);
	check_int(dump.vcpus[1].cr3, 0x105a000);
	check_int(dump.vcpus[1].cr0, 0x80050033);
	check_int(dump.vcpus[1].cr4, 0x751eb0);
	check(dump.vcpus[0].idt_base == 0xfffffe0000000000);
	check(!dump.vcpus[0].has_efer);
	dump_deinit(&dump);
	check(!dump.ranges && !dump.vcpus);
}

static void test_dump_elf_of_another_kind_is_refused(void)
{
	make_elf(&image);
	header_of(&image)->e_ident[EI_CLASS] = ELFCLASS32;
	check_int(refused(&image, -ENOTSUP), 0);
	make_elf(&image);
	header_of(&image)->e_machine = EM_AARCH64;
	check_int(refused(&image, -ENOTSUP), 0);
	make_elf(&image);
	header_of(&image)->e_type = ET_EXEC;
	check_int(refused(&image, -EBADMSG), 0);
	make_elf(&image);
	header_of(&image)->e_ident[EI_DATA] = ELFDATA2MSB;
	check_int(refused(&image, -EBADMSG), 0);
	make_elf(&image);
	segment_of(&image, 2)->p_vaddr = 0xffffffff81000000;
	check_int(refused(&image, -ENOTSUP), 0);
	make_elf(&image);
	image.bytes[NOTES_OFFSET + 24 + 20] = 2; /* the version of the note */
	check_int(refused(&image, -ENOTSUP), 0);
}

static void test_dump_elf_hostile_program_headers(void)
{
	static const uint64_t offsets[] = {FILE_SIZE, UINT64_MAX, UINT64_MAX - 100, INT64_MAX};

	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		make_elf(&image);
		header_of(&image)->e_phoff = offsets[i];
		check_int(refused(&image, -EBADMSG), 0);
		make_elf(&image);
		segment_of(&image, 0)->p_offset = offsets[i]; /* notes */
		check_int(refused(&image, -EBADMSG), 0);
		make_elf(&image);
		segment_of(&image, 1)->p_offset = offsets[i]; /* memory */
		check_int(refused(&image, -EBADMSG), 0);
		make_elf(&image);
		segment_of(&image, 1)->p_filesz = offsets[i];
		check_int(refused(&image, -EBADMSG), 0);
		make_elf(&image);
		segment_of(&image, 1)->p_paddr = offsets[i] | (UINT64_C(1) << 52);
		check_int(refused(&image, -EBADMSG), 0);
	}
	make_elf(&image);
	header_of(&image)->e_phentsize = 32;
	check_int(refused(&image, -EBADMSG), 0);
	make_elf(&image);
	header_of(&image)->e_phnum = 0;
	check_int(refused(&image, -EBADMSG), 0);
	make_elf(&image);
	header_of(&image)->e_phnum = 60000;
	check_int(refused(&image, -E2BIG), 0);
	make_elf(&image);
	segment_of(&image, 0)->p_filesz = UINT64_MAX;
	check_int(refused(&image, -E2BIG), 0);
}

static void test_dump_elf_overlapping_ranges(void)
{
	make_elf(&image);
	segment_of(&image, 1)->p_paddr = 0x2fff;
	check_int(refused(&image, -EBADMSG), 0);
	make_elf(&image);
	segment_of(&image, 1)->p_paddr = 0;
	check_int(refused(&image, -EBADMSG), 0);
}

/* More program headers than their field holds are counted in a section header. */
static void test_dump_elf_many_program_headers(void)
{
	Elf64_Shdr section = {.sh_info = 4};
	struct dump dump;
	struct error err;

	make_elf(&image);
	put(&image, 0x1000, &section, sizeof(section));
	header_of(&image)->e_phnum = PN_XNUM;
	header_of(&image)->e_shoff = 0x1000;
	header_of(&image)->e_shentsize = sizeof(section);
	check_int(open_image(&image, &dump, &err), 0);
	check_int(dump.range_count, 2);
	dump_deinit(&dump);

	header_of(&image)->e_shentsize = 0;
	check_int(refused(&image, -EBADMSG), 0);
	header_of(&image)->e_shentsize = sizeof(section);
	header_of(&image)->e_shoff = UINT64_MAX - 8;
	check_int(refused(&image, -EBADMSG), 0);
	header_of(&image)->e_shoff = 0x1000;
	section.sh_info = UINT32_MAX;
	put(&image, 0x1000, &section, sizeof(section));
	check_int(refused(&image, -E2BIG), 0);
}

static void test_dump_elf_hostile_notes(void)
{
	static const uint32_t sizes[] = {UINT32_MAX, UINT32_MAX - 3, 100000};
	Elf64_Nhdr header = {0};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		make_elf(&image);
		header = (Elf64_Nhdr){.n_namesz = sizes[i], .n_descsz = 8};
		put(&image, NOTES_OFFSET, &header, sizeof(header));
		check_int(refused(&image, -EBADMSG), 0);
		header = (Elf64_Nhdr){.n_namesz = 5, .n_descsz = sizes[i]};
		put(&image, NOTES_OFFSET, &header, sizeof(header));
		check_int(refused(&image, -EBADMSG), 0);
	}
	make_elf(&image);
	header = (Elf64_Nhdr){.n_namesz = 5, .n_descsz = 400};
	put(&image, NOTES_OFFSET + 24, &header, sizeof(header));
	check_int(refused(&image, -EBADMSG), 0);
}

/* LiME */

static void put_lime(struct image *lime, uint64_t gpa, uint64_t size)
{
	uint8_t header[DUMP_LIME_HEADER_SIZE];

	dump_lime_header(gpa, size, header);
	put(lime, lime->size, header, sizeof(header));
	lime->size += size;
}

static void test_dump_lime(void)
{
	static const uint8_t first[DUMP_LIME_HEADER_SIZE] = {'E',  'M', 'i', 'L', 1, 0, 0, 0,
							     0,    16,  0,   0,   0, 0, 0, 0,
							     0xff, 47,  0,   0,   0, 0, 0, 0};
	struct dump dump;
	struct error err;

	image = (struct image){0};
	put_lime(&image, 0x1000, 0x2000);
	put_lime(&image, 0x100000, 0x1000);
	check_int(memcmp(image.bytes, first, sizeof(first)), 0);
	check_int(open_image(&image, &dump, &err), 0);
	check_int(dump.format, DUMP_LIME);
	check_int(dump.range_count, 2);
	check_int(dump.vcpu_count, 0);
	check_int(dump.ranges[0].gpa, 0x1000);
	check_int(dump.ranges[0].offset, 32);
	check_int(dump.ranges[1].gpa, 0x100000);
	check_int(dump.ranges[1].size, 0x1000);
	check_int(dump.ranges[1].offset, 0x2040);
	dump_deinit(&dump);
}

static void make_lime(uint64_t gpa, uint64_t size)
{
	image = (struct image){0};
	put_lime(&image, 0x10000, 0x1000);
	put_lime(&image, 0x1000, 0x1000);
	dump_lime_header(gpa, size, image.bytes + 0x1020);
}

static void test_dump_lime_hostile_headers(void)
{
	make_lime(0x10800, 0x1000); /* overlaps */
	check_int(refused(&image, -EBADMSG), 0);
	make_lime(0x1000, 0x1001); /* ends past the file */
	check_int(refused(&image, -EBADMSG), 0);
	make_lime(0x1000, UINT64_MAX); /* ends before its start */
	check_int(refused(&image, -EBADMSG), 0);
	make_lime(0, UINT64_MAX); /* no address */
	check_int(refused(&image, -EBADMSG), 0);
	make_lime(UINT64_MAX, 1);
	check_int(refused(&image, -EBADMSG), 0);
	make_lime(0x1000, 0xf00); /* no header follows */
	check_int(refused(&image, -EBADMSG), 0);
	make_lime(0x1000, 0x1000);
	image.size -= 0x1000 + 8; /* cut within a header */
	check_int(refused(&image, -EBADMSG), 0);
	make_lime(0x1000, 0x1000);
	image.bytes[4] = 2; /* the version */
	check_int(refused(&image, -EBADMSG), 0);
}

static void test_dump_lime_too_many_ranges(void)
{
	static struct image many;

	many = (struct image){0};
	for (uint64_t i = 0; i <= DUMP_RANGES_MAX; i++)
		put_lime(&many, i, 1);
	check_int(refused(&many, -E2BIG), 0); /* 33 bytes each: FILE_SIZE is enough */
}

static void test_dump_raw(void)
{
	struct dump dump;
	struct error err;

	image = (struct image){.size = 0x8000};
	check_int(open_image(&image, &dump, &err), 0);
	check_int(dump.format, DUMP_RAW);
	check_int(dump.range_count, 1);
	check_int(dump.ranges[0].gpa, 0);
	check_int(dump.ranges[0].size, 0x8000);
	check_int(dump.ranges[0].offset, 0);
	dump_deinit(&dump);
	image.size = 4095;
	check_int(refused(&image, -EBADMSG), 0);
	image.size = 0;
	check_int(refused(&image, -EBADMSG), 0);
	check_int(dump_open(-1, &dump, &err), -EIO);
}

static void test_dump_foreign_formats_are_named(void)
{
	static const char *const magics[] = {
		"makedumpfile\0\0\0\0",
		"KDUMP   \0\0\0\0\0\0\0\0",
		"LibvirtQemudSave",
		"QEVM\0\0\0\3\0\0\0\0\0\0\0\0",
		"\x1f\x8b\x08\0\0\0\0\0\0\0\0\0\0\0\0\0",
	};

	for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++) {
		image = (struct image){.size = 8192};
		put(&image, 0, magics[i], 16);
		check_int(refused(&image, -ENOTSUP), 0);
	}
}

/* Every byte of the headers changed: parsed or refused, whatever it is. */
static void test_dump_damaged_headers(void)
{
	for (size_t at = 0; at < RAM_OFFSET; at += at < 0x150 ? 1 : 7) {
		struct dump dump;
		struct error err;

		make_elf(&image);
		image.bytes[at] ^= 0xff;
		if (open_image(&image, &dump, &err) == 0) {
			check(dump.range_count <= 4 && dump.vcpu_count <= 2);
			dump_deinit(&dump);
		} else {
			check(err.text[0]);
		}
	}
}

TEST_MAIN(TEST(test_dump_elf_of_qemu), TEST(test_dump_elf_of_another_kind_is_refused),
	  TEST(test_dump_elf_hostile_program_headers), TEST(test_dump_elf_overlapping_ranges),
	  TEST(test_dump_elf_many_program_headers), TEST(test_dump_elf_hostile_notes),
	  TEST(test_dump_lime), TEST(test_dump_lime_hostile_headers),
	  TEST(test_dump_lime_too_many_ranges), TEST(test_dump_raw),
	  TEST(test_dump_foreign_formats_are_named), TEST(test_dump_damaged_headers))
