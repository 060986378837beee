/* SPDX-License-Identifier: Apache-2.0 */
/* Maps as QEMU 7.2 printed them, cut to what matters. */
#include "introspect/mtree.h"

#include <errno.h>
#include <stdlib.h>

#include "base/test.h"

enum { CAPACITY = 16 };

static struct mtree_range ranges[CAPACITY];

/* One check per range: what check_int() says of gpa, size, offset, and the block. */
#define check_range(position, expected_gpa, expected_size, expected_offset, expected_block) \
	do {                                                                                \
		check_int(ranges[position].gpa, expected_gpa);                              \
		check_int(ranges[position].size, expected_size);                            \
		check_int(ranges[position].offset, expected_offset);                        \
		check_string(ranges[position].block, expected_block);                       \
	} while (0)

#define VIEW                                   \
	"FlatView #1\n"                        \
	" AS \"memory\", root: system\n"       \
	" AS \"cpu-memory-0\", root: system\n" \
	" Root memory region: system\n"

/* -machine pc -m 4096M -vga std, before the firmware ran */
static void test_mtree_ram_on_both_sides_of_the_hole(void)
{
	static const char text[] =
		"FlatView #0\n"
		" AS \"I/O\", root: io\n"
		" Root memory region: io\n"
		"  0000000000000000-0000000000000007 (prio 0, i/o): dma-chan\n"
		"  0000000000000010-000000000000001f (prio 0, i/o): io @0000000000000010\n"
		"\n" VIEW "  0000000000000000-000000000009ffff (prio 0, ram): pc.ram\n"
		"  00000000000a0000-00000000000bffff (prio 1, i/o): vga-lowmem\n"
		"  00000000000c0000-00000000000dffff (prio 1, rom): pc.rom\n"
		"  00000000000e0000-00000000000fffff (prio 0, rom): pc.bios @0000000000020000\n"
		"  0000000000100000-00000000bfffffff (prio 0, ram): pc.ram @0000000000100000\n"
		"  00000000fec00000-00000000fec00fff (prio 0, i/o): ioapic\n"
		"  00000000fee00000-00000000feefffff (prio 4096, i/o): apic-msi\n"
		"  00000000fffc0000-00000000ffffffff (prio 0, rom): pc.bios\n"
		"  0000000100000000-000000013fffffff (prio 0, ram): pc.ram @00000000c0000000\n"
		"\n"
		"FlatView #2\n"
		" AS \"i440FX\", root: bus master container\n"
		" Root memory region: (none)\n"
		"  No rendered FlatView\n\n";

	check_int(mtree_parse(text, ranges, CAPACITY, NULL), 3);
	check_range(0, 0, 0xa0000, 0, "pc.ram");
	check_range(1, 0x100000, 0xbff00000, 0x100000, "pc.ram");
	check_range(2, 0x100000000, 0x40000000, 0xc0000000, "pc.ram");
}

/* -m 256M -vga qxl -device ivshmem-plain, after the firmware ran: shadows in the block, one range
 */
static void test_mtree_shadows_belong_and_devices_do_not(void)
{
	static const char text[] = VIEW
		"  0000000000000000-000000000009ffff (prio 0, ram): pc.ram\n"
		"  00000000000a0000-00000000000affff (prio 2, ram): vga.vram\n"
		"  00000000000b0000-00000000000bffff (prio 1, i/o): vga-lowmem @0000000000010000\n"
		"  00000000000c0000-00000000000c9fff (prio 0, rom): pc.ram @00000000000c0000\n"
		"  00000000000ca000-00000000000ccfff (prio 0, ram): pc.ram @00000000000ca000\n"
		"  00000000000cd000-00000000000e7fff (prio 0, rom): pc.ram @00000000000cd000\n"
		"  00000000000e8000-00000000000effff (prio 0, ram): pc.ram @00000000000e8000\n"
		"  00000000000f0000-00000000000fffff (prio 0, rom): pc.ram @00000000000f0000\n"
		"  0000000000100000-000000000fffffff (prio 0, ram): pc.ram @0000000000100000\n"
		"  00000000ec000000-00000000efffffff (prio 1, ram): vga.vram\n"
		"  00000000f0000000-00000000f3ffffff (prio 0, ram): qxl.vram\n"
		"  00000000f4010000-00000000f4011fff (prio 1, rom): qxl.vrom\n"
		"  00000000f4015000-00000000f401503f (prio 0, i/o): virtio-pci-common-virtio-net\n"
		"  00000000f8000000-00000000fbffffff (prio 1, ram): shm\n"
		"  00000000fed40000-00000000fed40f7f (prio 0, ram): tpm-crb-cmd\n"
		"  00000000fffc0000-00000000ffffffff (prio 0, rom): pc.bios\n"
		"  0000004000000000-0000004003ffffff (prio 1, ramd): 0000:01:00.0 BAR 0 "
		"mmaps[0]\n";

	check_int(mtree_parse(text, ranges, CAPACITY, NULL), 2);
	check_range(0, 0, 0xa0000, 0, "pc.ram");
	check_range(1, 0xc0000, 0xff40000, 0xc0000, "pc.ram");
}

/* two NUMA nodes */
static void test_mtree_blocks_of_two_nodes(void)
{
	static const char text[] =
		VIEW "  0000000000000000-00000000000bffff (prio 0, ram): n0\n"
		     "  00000000000c0000-00000000000dffff (prio 1, rom): pc.rom\n"
		     "  0000000000100000-0000000007ffffff (prio 0, ram): n0 @0000000000100000\n"
		     "  0000000008000000-000000000fffffff (prio 0, ram): n1\n";

	check_int(mtree_parse(text, ranges, CAPACITY, NULL), 3);
	check_range(1, 0x100000, 0x7f00000, 0x100000, "n0");
	check_range(2, 0x8000000, 0x8000000, 0, "n1");
}

/* two DIMMs (each its own block, though they touch), an NVDIMM, under KVM */
static void test_mtree_dimms_and_accelerator(void)
{
	static const char text[] =
		VIEW "  0000000000000000-00000000000bffff (prio 0, ram): pc.ram KVM\n"
		     "  0000000000100000-000000000fffffff (prio 0, ram): pc.ram @0000000000100000 "
		     "KVM\n"
		     "  0000000100000000-0000000107ffffff (prio 0, ram): dimm0mem KVM\n"
		     "  0000000108000000-000000010fffffff (prio 0, ram): dimm1mem KVM\n"
		     "  0000000110000000-0000000113ffffff (prio 0, nv-ram): nv0 KVM\n";

	check_int(mtree_parse(text, ranges, CAPACITY, NULL), 4);
	check_range(1, 0x100000, 0xff00000, 0x100000, "pc.ram");
	check_range(2, 0x100000000, 0x8000000, 0, "dimm0mem");
	check_range(3, 0x108000000, 0x8000000, 0, "dimm1mem");
}

/* The name is the user's to choose, and a small piece of a large block belongs to it. */
static void test_mtree_odd_names_and_pieces(void)
{
	static const char text[] = VIEW
		"  0000000000000000-00000000000bffff (prio 0, ram): my.vram\n"
		"  0000000000100000-0000000000ffffff (prio 0, ram): my.vram @0000000000100000\n"
		"  0000000001000000-0000000001000fff (prio 0, ram): m1\n"
		"  0000000001001000-0000000001001fff (prio 0, ram): synic-0-msg-page\n"
		"  0000000001002000-0000000001ffffff (prio 0, ram): m1 @0000000000002000\n"
		"  0000000002000000-0000000002000fff (prio 0, ram): m1 @0000000001100000\n";

	check_int(mtree_parse(text, ranges, CAPACITY, NULL), 5);
	check_range(1, 0x100000, 0xf00000, 0x100000, "my.vram");
	check_range(2, 0x1000000, 0x1000, 0, "m1");
	check_range(3, 0x1002000, 0xffe000, 0x2000, "m1");
	check_range(4, 0x2000000, 0x1000, 0x1100000, "m1");
}

static void test_mtree_what_is_no_map_is_refused(void)
{
	static const char *const texts[] = {
		"",
		"unknown command: 'info mtree -f'\n",
		VIEW,
		VIEW "  No rendered FlatView\n",
		VIEW "  0000000000000000-00000000000bffff (prio 0, ram): pc.ram\n",
		VIEW "  0000000000100000-00000000000bffff (prio 0, ram): pc.ram\n",
		VIEW "  0000000000000000-ffffffffffffffff (prio 0, ram): pc.ram\n",
		VIEW "  0000000000000000-0000000fffffffff (prio 0, ram\n",
		VIEW "  0000000000000000-0000000000ffffff (prio 0, ram): a\n"
		     "  0000000000800000-0000000001ffffff (prio 0, ram): b\n",
		VIEW "  0000000000000000-0000000000ffffff (prio 0, ram): a @ffffffffffffffff\n",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct error err = ERROR_INIT;

		check_int(mtree_parse(texts[i], ranges, CAPACITY, &err), -EBADMSG);
		check(strstr(err.text, "memory map"));
	}
}

static void test_mtree_names_and_numbers_are_bounded(void)
{
	char text[8192];
	size_t length = (size_t)snprintf(text, sizeof(text), VIEW "  0-ffffff (prio 0, ram): a\n");
	char name[MTREE_NAME_SIZE + 1];

	for (unsigned i = 1; i <= CAPACITY; i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length,
					   "  %x-%x (prio 0, ram): a\n", i << 25, (i << 25) + 4095);
	check_int(mtree_parse(text, ranges, CAPACITY, NULL), -E2BIG);

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	(void)snprintf(text, sizeof(text), VIEW "  0-ffffff (prio 0, ram): %s\n", name);
	check_int(mtree_parse(text, ranges, CAPACITY, NULL), -EBADMSG);
}

/* Every beginning of a map, and every byte of it changed, is parsed or refused. */
static void test_mtree_damaged_text(void)
{
	static const char text[] =
		VIEW "  0000000000000000-00000000000bffff (prio 0, ram): pc.ram KVM\n"
		     "  0000000000100000-000000000fffffff (prio 0, ram): pc.ram @0000000000100000 "
		     "KVM\n\n";

	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		for (int byte = 0; byte < 256; byte += 5) {
			char *copy = strdup(text);
			int count;

			check(copy);
			copy[i] = (char)byte;
			count = mtree_parse(copy, ranges, CAPACITY, NULL);
			free(copy);
			check(count == -EBADMSG || (count >= 1 && count <= 2));
		}
	}
}

TEST_MAIN(TEST(test_mtree_ram_on_both_sides_of_the_hole),
	  TEST(test_mtree_shadows_belong_and_devices_do_not), TEST(test_mtree_blocks_of_two_nodes),
	  TEST(test_mtree_dimms_and_accelerator), TEST(test_mtree_odd_names_and_pieces),
	  TEST(test_mtree_what_is_no_map_is_refused),
	  TEST(test_mtree_names_and_numbers_are_bounded), TEST(test_mtree_damaged_text))
