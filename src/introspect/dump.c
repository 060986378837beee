/* SPDX-License-Identifier: Apache-2.0 */
#include "introspect/dump.h"

#include <assert.h>
#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

#define LIME_MAGIC UINT32_C(0x4c694d45)
#define GPA_END (UINT64_C(1) << 52)

enum {
	MAGIC_SIZE = 16,
	PAGE_SIZE = 4096,
	LIME_VERSION = 1,
	/* as many as ranges, and the notes */
	PROGRAM_HEADERS_MAX = DUMP_RANGES_MAX + 16,
	NOTES_SIZE_MAX = 4 << 20,
};

struct lime_header {
	uint32_t magic, version;
	uint64_t first, last;
	uint8_t reserved[8];
};
static_assert(sizeof(struct lime_header) == DUMP_LIME_HEADER_SIZE, "as LiME writes it");

/* What QEMU's notes of the name "QEMU" hold for a vCPU (QEMU target/i386/arch_dump.c). */
struct qemu_segment {
	uint32_t selector, limit, flags, unused;
	uint64_t base;
};

struct qemu_vcpu {
	uint32_t version, size;
	uint64_t general[18]; /* rax to r15, rip, rflags */
	struct qemu_segment cs, ds, es, fs, gs, ss, ldt, tr, gdt, idt;
	uint64_t cr[5];
	uint64_t kernel_gs_base; /* absent in old versions */
};
enum { QEMU_VCPU_SIZE_MIN = offsetof(struct qemu_vcpu, kernel_gs_base), QEMU_VCPU_VERSION = 1 };

struct source {
	int fd;
	uint64_t size;
	struct dump *dump;
	size_t range_capacity;
};

static int read_at(const struct source *source, uint64_t offset, void *buffer, size_t size,
		   struct error *err)
{
	size_t done = 0;

	if (offset > source->size || size > source->size - offset)
		return error_set(err, -EBADMSG, "the dump ends within its headers");
	while (done < size) {
		ssize_t n = pread(source->fd, (char *)buffer + done, size - done,
				  (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_set_errno(err, -EIO, "reading the dump");
		done += (size_t)n;
	}
	return 0;
}

static int add_range(struct source *source, uint64_t gpa, uint64_t size, uint64_t offset,
		     struct error *err)
{
	struct dump *dump = source->dump;

	if (gpa > GPA_END || size > GPA_END - gpa)
		return error_set(err, -EBADMSG,
				 "a range of memory at %#" PRIx64 " of %#" PRIx64 " bytes", gpa,
				 size);
	if (offset > source->size || size > source->size - offset)
		return error_set(err, -EBADMSG,
				 "the dump is cut off: memory at %#" PRIx64 " lies past its end",
				 gpa);
	if (dump->range_count == DUMP_RANGES_MAX)
		return error_set(err, -E2BIG, "more than %d ranges of memory", DUMP_RANGES_MAX);
	if (dump->range_count == source->range_capacity) {
		size_t wanted = source->range_capacity * 2 + 16;
		struct dump_range *grown = realloc(dump->ranges, wanted * sizeof(*grown));

		if (!grown)
			return error_set_errno(err, -ENOMEM, "ranges of memory");
		dump->ranges = grown;
		source->range_capacity = wanted;
	}
	dump->ranges[dump->range_count++] = (struct dump_range){gpa, size, offset};
	return 0;
}

static int read_raw(struct source *source, struct error *err)
{
	if (source->size < PAGE_SIZE)
		return error_set(err, -EBADMSG, "too short for an image of memory");
	return add_range(source, 0, source->size, 0, err);
}

static int read_lime(struct source *source, struct error *err)
{
	uint64_t offset = 0;

	while (offset < source->size) {
		struct lime_header header;
		int r = read_at(source, offset, &header, sizeof(header), err);

		if (r < 0)
			return r;
		if (header.magic != LIME_MAGIC || header.version != LIME_VERSION)
			return error_set(err, -EBADMSG, "no LiME header at offset %#" PRIx64,
					 offset);
		if (header.last < header.first || header.last >= GPA_END)
			return error_set(err, -EBADMSG, "LiME range %#" PRIx64 " to %#" PRIx64,
					 header.first, header.last);
		offset += sizeof(header);
		r = add_range(source, header.first, header.last - header.first + 1, offset, err);
		if (r < 0)
			return r;
		offset += header.last - header.first + 1;
	}
	return 0;
}

/* ELF */

static int check_elf_header(const Elf64_Ehdr *header, struct error *err)
{
	if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_machine != EM_X86_64)
		return error_set(err, -ENOTSUP,
				 "a dump of a guest that is not in x86-64's 64-bit mode");
	if (header->e_ident[EI_DATA] != ELFDATA2LSB || header->e_type != ET_CORE)
		return error_set(err, -EBADMSG, "an ELF file, but no core dump");
	if (header->e_phentsize != sizeof(Elf64_Phdr))
		return error_set(err, -EBADMSG, "ELF program headers of %u bytes",
				 header->e_phentsize);
	return 0;
}

/* More than 65534 are told in the first section header. */
static int count_program_headers(const struct source *source, const Elf64_Ehdr *header,
				 size_t *ret_count, struct error *err)
{
	Elf64_Shdr section;
	int r;

	if (header->e_phnum != PN_XNUM) {
		*ret_count = header->e_phnum;
		return 0;
	}
	if (header->e_shentsize != sizeof(section))
		return error_set(err, -EBADMSG, "ELF section headers of %u bytes",
				 header->e_shentsize);
	r = read_at(source, header->e_shoff, &section, sizeof(section), err);
	if (r == 0)
		*ret_count = section.sh_info;
	return r;
}

static int add_segment(struct source *source, const Elf64_Phdr *segment, struct error *err)
{
	if (segment->p_vaddr != 0 && segment->p_vaddr != segment->p_paddr)
		return error_set(err, -ENOTSUP,
				 "a dump by virtual addresses (paging): take one without");
	if (segment->p_filesz == 0)
		return 0;
	return add_range(source, segment->p_paddr, segment->p_filesz, segment->p_offset, err);
}

static int add_vcpu(struct dump *dump, const uint8_t *bytes, size_t size, struct error *err)
{
	struct qemu_vcpu vcpu = {0};
	struct registers *grown;

	if (size < QEMU_VCPU_SIZE_MIN)
		return error_set(err, -EBADMSG, "a QEMU note of %zu bytes", size);
	memcpy(&vcpu, bytes, QEMU_VCPU_SIZE_MIN);
	if (vcpu.version != QEMU_VCPU_VERSION)
		return error_set(err, -ENOTSUP, "QEMU notes of version %u", vcpu.version);
	if (dump->vcpu_count == REGISTERS_VCPUS_MAX)
		return error_set(err, -E2BIG, "more than %d vCPUs", REGISTERS_VCPUS_MAX);
	grown = realloc(dump->vcpus, (dump->vcpu_count + 1) * sizeof(*grown));
	if (!grown)
		return error_set_errno(err, -ENOMEM, "registers");
	dump->vcpus = grown;
	grown[dump->vcpu_count++] = (struct registers){
		.cr0 = vcpu.cr[0], .cr3 = vcpu.cr[3], .cr4 = vcpu.cr[4], .idt_base = vcpu.idt.base};
	return 0;
}

/* Name and description are filled up to 4 bytes. */
static uint64_t note_part(uint32_t size)
{
	return ((uint64_t)size + 3) / 4 * 4;
}

static int parse_notes(struct dump *dump, const uint8_t *notes, size_t size, struct error *err)
{
	static const char name[] = "QEMU";

	while (size >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr header;
		uint64_t whole;
		int r = 0;

		memcpy(&header, notes, sizeof(header));
		whole = sizeof(header) + note_part(header.n_namesz) + note_part(header.n_descsz);
		if (whole > size)
			return error_set(err, -EBADMSG, "a note that is longer than the notes");
		if (header.n_namesz == sizeof(name) && header.n_type == 0 &&
		    memcmp(notes + sizeof(header), name, sizeof(name)) == 0)
			r = add_vcpu(dump, notes + sizeof(header) + note_part(header.n_namesz),
				     header.n_descsz, err);
		if (r < 0)
			return r;
		notes += whole;
		size -= (size_t)whole;
	}
	return 0;
}

static int read_notes(const struct source *source, const Elf64_Phdr *segment, struct error *err)
{
	cleanup(free) uint8_t *notes = NULL;
	int r;

	if (segment->p_filesz > NOTES_SIZE_MAX)
		return error_set(err, -E2BIG, "notes of %" PRIu64 " bytes",
				 (uint64_t)segment->p_filesz);
	if (segment->p_filesz == 0)
		return 0;
	notes = malloc(segment->p_filesz);
	if (!notes)
		return error_set_errno(err, -ENOMEM, "notes");
	r = read_at(source, segment->p_offset, notes, segment->p_filesz, err);
	return r < 0 ? r : parse_notes(source->dump, notes, segment->p_filesz, err);
}

static int read_elf(struct source *source, struct error *err)
{
	cleanup(free) Elf64_Phdr *segments = NULL;
	Elf64_Ehdr header;
	size_t count = 0;
	int r = read_at(source, 0, &header, sizeof(header), err);

	if (r == 0)
		r = check_elf_header(&header, err);
	if (r == 0)
		r = count_program_headers(source, &header, &count, err);
	if (r < 0)
		return r;
	if (count > PROGRAM_HEADERS_MAX)
		return error_set(err, -E2BIG, "%zu ELF program headers", count);
	segments = calloc(count + 1, sizeof(*segments));
	if (!segments)
		return error_set_errno(err, -ENOMEM, "ELF program headers");
	r = read_at(source, header.e_phoff, segments, count * sizeof(*segments), err);
	for (size_t i = 0; i < count && r == 0; i++) {
		if (segments[i].p_type == PT_LOAD)
			r = add_segment(source, &segments[i], err);
		else if (segments[i].p_type == PT_NOTE)
			r = read_notes(source, &segments[i], err);
	}
	return r;
}

/* Formats */

static int refuse_foreign(const uint8_t magic[MAGIC_SIZE], struct error *err)
{
	static const struct {
		const char *magic, *what;
	} formats[] = {
		{"makedumpfile", "a compressed dump (kdump): take one in ELF format"},
		{"KDUMP   ", "a compressed dump (kdump): take one in ELF format"},
		{"DISKDUMP", "a compressed dump (kdump): take one in ELF format"},
		{"LibvirtQemudSave", "a saved state: take a dump with --memory-only"},
		{"LibvirtQemudPart", "a saved state: take a dump with --memory-only"},
		{"QEVM", "a saved state: take a dump with dump-guest-memory"},
		{"AVML", "a compressed AVML image: convert it to LiME"},
		{"\x1f\x8b", "compressed by gzip: decompress it"},
		{"\xfd"
		 "7zXZ",
		 "compressed by xz: decompress it"},
		{"\x28\xb5\x2f\xfd", "compressed by zstd: decompress it"},
	};

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (memcmp(magic, formats[i].magic, strlen(formats[i].magic)) == 0)
			return error_set(err, -ENOTSUP, "%s", formats[i].what);
	return 0;
}

static int read_by_format(struct source *source, struct error *err)
{
	const uint32_t lime_magic = LIME_MAGIC;
	uint8_t magic[MAGIC_SIZE];
	int r = read_at(source, 0, magic, sizeof(magic), err);

	if (r == 0)
		r = refuse_foreign(magic, err);
	if (r < 0)
		return r;
	if (memcmp(magic, ELFMAG, SELFMAG) == 0) {
		source->dump->format = DUMP_ELF;
		return read_elf(source, err);
	}
	if (memcmp(magic, &lime_magic, sizeof(lime_magic)) == 0) {
		source->dump->format = DUMP_LIME;
		return read_lime(source, err);
	}
	source->dump->format = DUMP_RAW;
	return read_raw(source, err);
}

static int compare_ranges(const void *a, const void *b)
{
	const struct dump_range *x = a, *y = b;

	return (x->gpa > y->gpa) - (x->gpa < y->gpa);
}

static int sort_ranges(struct dump *dump, struct error *err)
{
	if (dump->range_count == 0)
		return error_set(err, -EBADMSG, "a dump without memory");
	qsort(dump->ranges, dump->range_count, sizeof(*dump->ranges), compare_ranges);
	for (size_t i = 1; i < dump->range_count; i++)
		if (dump->ranges[i - 1].gpa + dump->ranges[i - 1].size > dump->ranges[i].gpa)
			return error_set(err, -EBADMSG, "ranges of memory overlap at %#" PRIx64,
					 dump->ranges[i].gpa);
	return 0;
}

int dump_open(int fd, struct dump *ret_dump, struct error *err)
{
	struct dump dump = {0};
	struct source source = {.fd = fd, .dump = &dump};
	off_t end = lseek(fd, 0, SEEK_END);
	int r;

	if (end < 0)
		return error_set_errno(err, -EIO, "the dump is no file");
	source.size = (uint64_t)end;
	r = read_by_format(&source, err);
	if (r == 0)
		r = sort_ranges(&dump, err);
	if (r < 0) {
		dump_deinit(&dump);
		return r;
	}
	*ret_dump = dump;
	return 0;
}

void dump_deinit(struct dump *dump)
{
	free(dump->ranges);
	free(dump->vcpus);
	*dump = (struct dump){0};
}

void dump_lime_header(uint64_t gpa, uint64_t size, uint8_t header[DUMP_LIME_HEADER_SIZE])
{
	struct lime_header lime = {
		.magic = LIME_MAGIC, .version = LIME_VERSION, .first = gpa, .last = gpa + size - 1};

	assert(size > 0);
	memcpy(header, &lime, sizeof(lime));
}
