/* SPDX-License-Identifier: Apache-2.0 */
#include "introspect/registers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "introspect/lines.h"

enum { LINE_SIZE = 256 };

struct reader {
	struct registers *registers;
	size_t count, capacity;
	bool has_control, has_idt; /* of the vCPU being read */
};

static int finish_vcpu(const struct reader *reader, struct error *err)
{
	if (reader->has_control && reader->has_idt)
		return 0;
	return error_set(err, -EBADMSG, "vCPU %zu: no x86 control registers in QEMU's text",
			 reader->count - 1);
}

static int begin_vcpu(struct reader *reader, struct error *err)
{
	int r = reader->count > 0 ? finish_vcpu(reader, err) : 0;

	if (r < 0)
		return r;
	if (reader->count == reader->capacity)
		return error_set(err, -E2BIG, "more than %zu vCPUs", reader->capacity);
	reader->registers[reader->count++] = (struct registers){0};
	reader->has_control = reader->has_idt = false;
	return 0;
}

/* The "CR" and "IDT" lines are there for every vCPU, "EFER" too except in old versions; "CPU#"
 * lines are missing where there is one vCPU only, in old versions. */
static int take_line(struct reader *reader, const char *line, struct error *err)
{
	uint64_t cr0, cr3, cr4, value;
	struct registers *registers;

	if (strncmp(line, "CPU#", 4) == 0)
		return begin_vcpu(reader, err);
	if (reader->count == 0 && strstr(line, "=")) {
		int r = begin_vcpu(reader, err);

		if (r < 0)
			return r;
	}
	if (reader->count == 0)
		return 0;
	registers = &reader->registers[reader->count - 1];
	if (sscanf(line, "CR0=%16" SCNx64 " CR2=%*x CR3=%16" SCNx64 " CR4=%16" SCNx64, &cr0, &cr3,
		   &cr4) == 3) {
		registers->cr0 = cr0;
		registers->cr3 = cr3;
		registers->cr4 = cr4;
		reader->has_control = true;
	} else if (sscanf(line, "IDT= %16" SCNx64, &value) == 1) {
		registers->idt_base = value;
		reader->has_idt = true;
	} else if (sscanf(line, "EFER=%16" SCNx64, &value) == 1) {
		registers->efer = value;
		registers->has_efer = true;
	}
	return 0;
}

int registers_parse(const char *text, struct registers *registers, size_t capacity,
		    struct error *err)
{
	struct reader reader = {.registers = registers, .capacity = capacity};
	char line[LINE_SIZE];
	int r = 0;

	while (r == 0 && lines_next(&text, line, sizeof(line)))
		r = take_line(&reader, line, err);
	if (r == 0 && reader.count == 0)
		r = error_set(err, -EBADMSG, "no vCPU in QEMU's text");
	if (r == 0)
		r = finish_vcpu(&reader, err);
	return r < 0 ? r : (int)reader.count;
}
