/* SPDX-License-Identifier: Apache-2.0 */
#include "introspect/paging.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/test.h"
#include "introspect/test_guest.h"

enum { PRESENT = 1, HUGE = 0x80, PAGE = MEMORY_PAGE_SIZE };
#define NO_EXECUTE (UINT64_C(1) << 63)
#define KERNEL_VA UINT64_C(0xffffc90000000000)

DEFINE_CLEANUP(struct test_guest *, test_guest_free)

static struct test_guest *make(int levels, struct paging *ret_paging)
{
	struct test_guest *guest = test_guest_new(&(struct test_guest_options){.levels = levels});

	*ret_paging = (struct paging){guest->memory, test_guest_page(guest), levels};
	return guest;
}

static uint64_t *entry_at(const struct test_guest *guest, uint64_t table, uint64_t number)
{
	return (uint64_t *)(void *)(guest->ram + table) + number;
}

/* Each size of page, with both numbers of levels. */
static void test_paging_sizes(void)
{
	static const uint64_t sizes[] = {1 << 12, 1 << 21, 1 << 30};

	for (int levels = 4; levels <= 5; levels++) {
		for (int level = 0; level < 3; level++) {
			struct paging paging;
			cleanup(test_guest_free) struct test_guest *guest = make(levels, &paging);
			uint64_t va = KERNEL_VA + sizes[level] * 3, gpa, left;

			test_guest_map(guest, paging.root, va, sizes[level] * 5, level);
			check_int(paging_translate(&paging, va + 0x123, &gpa, &left), 0);
			check_int(gpa, sizes[level] * 5 + 0x123);
			check_int(left, sizes[level] - 0x123);
			check_int(paging_translate(&paging, va + sizes[level] - 1, &gpa, &left), 0);
			check_int(left, 1);
			check_int(paging_translate(&paging, va + sizes[level], &gpa, NULL),
				  -EFAULT);
			check_int(paging_translate(&paging, va - 1, &gpa, NULL), -EFAULT);
		}
	}
}

static void test_paging_addresses_that_are_not_canonical(void)
{
	for (int levels = 4; levels <= 5; levels++) {
		struct paging paging;
		cleanup(test_guest_free) struct test_guest *guest = make(levels, &paging);
		uint64_t lowest = ~(UINT64_MAX >> 1) >> (64 - (12 + 9 * levels)), gpa;

		/* every address leads to something */
		for (uint64_t i = 0; i < 512; i++)
			*entry_at(guest, paging.root, i) = paging.root | PRESENT;
		check_int(paging_translate(&paging, lowest - 1, &gpa, NULL), 0);
		check_int(paging_translate(&paging, lowest, &gpa, NULL), -EFAULT);
		check_int(paging_translate(&paging, ~lowest, &gpa, NULL), -EFAULT);
		check_int(paging_translate(&paging, ~lowest + 1, &gpa, NULL), 0);
		check_int(paging_translate(&paging, UINT64_MAX, &gpa, NULL), 0);
	}
}

/* A table that holds itself is walked as often as there are levels. */
static void test_paging_table_that_holds_itself(void)
{
	for (int levels = 4; levels <= 5; levels++) {
		struct paging paging;
		cleanup(test_guest_free) struct test_guest *guest = make(levels, &paging);
		uint64_t gpa, left;

		*entry_at(guest, paging.root, 0) = paging.root | PRESENT;
		check_int(paging_translate(&paging, 0x18, &gpa, &left), 0);
		check_int(gpa, paging.root + 0x18);
		check_int(left, PAGE - 0x18);
		check_int(memory_reads(guest->memory), levels);
	}
}

/* Bits that mean nothing here, or are not of the address, do not count. */
static void test_paging_flags(void)
{
	struct paging paging;
	cleanup(test_guest_free) struct test_guest *guest = make(4, &paging);
	uint64_t gpa;

	test_guest_map(guest, paging.root, KERNEL_VA, 0x5000, 0);
	*entry_at(guest, paging.root, KERNEL_VA >> 39 & 511) |= NO_EXECUTE | 0x7ff0000000000000;
	paging.root |= 0xfff | NO_EXECUTE;
	check_int(paging_translate(&paging, KERNEL_VA + 1, &gpa, NULL), 0);
	check_int(gpa, 0x5001);
	/* there are no pages of 512 GiB: the bit is ignored */
	*entry_at(guest, paging.root & PAGING_ROOT_MASK, KERNEL_VA >> 39 & 511) |= HUGE;
	check_int(paging_translate(&paging, KERNEL_VA + 1, &gpa, NULL), 0);
	check_int(gpa, 0x5001);
	/* bit 12 of a large page is its memory type, not its address */
	test_guest_map(guest, paging.root & PAGING_ROOT_MASK, KERNEL_VA + (2 << 20),
		       (4 << 20) | 0x1000, 1);
	check_int(paging_translate(&paging, KERNEL_VA + (2 << 20), &gpa, NULL), 0);
	check_int(gpa, 4 << 20);
}

static void test_paging_tables_outside_memory(void)
{
	struct paging paging;
	cleanup(test_guest_free) struct test_guest *guest = make(4, &paging);
	uint64_t gpa;
	char byte;

	*entry_at(guest, paging.root, 0) = TEST_RAM_SIZE | PRESENT;
	*entry_at(guest, paging.root, 1) = PAGING_ROOT_MASK | PRESENT;
	check_int(paging_translate(&paging, 0, &gpa, NULL), -EFAULT);
	check_int(paging_translate(&paging, UINT64_C(1) << 39, &gpa, NULL), -EFAULT);
	/* a page may lie there: reading it is what fails */
	test_guest_map(guest, paging.root, KERNEL_VA, UINT64_C(1) << 40, 2);
	check_int(paging_translate(&paging, KERNEL_VA, &gpa, NULL), 0);
	check_int(paging_read(&paging, KERNEL_VA, &byte, 1), -EFAULT);
	paging.root = UINT64_MAX;
	check_int(paging_translate(&paging, 0, &gpa, NULL), -EFAULT);
}

/* A huge page that begins in memory and ends outside. */
static void test_paging_read_past_the_end_of_memory(void)
{
	struct paging paging;
	cleanup(test_guest_free) struct test_guest *guest = make(5, &paging);
	uint64_t value;

	test_guest_map(guest, paging.root, KERNEL_VA, 0, 2);
	check_int(paging_read(&paging, KERNEL_VA + TEST_RAM_SIZE - 8, &value, 8), 0);
	check_int(paging_read(&paging, KERNEL_VA + TEST_RAM_SIZE - 7, &value, 8), -EFAULT);
	check_int(paging_read(&paging, KERNEL_VA + TEST_RAM_SIZE, &value, 8), -EFAULT);
}

/* Neighbours in the address space that are none in memory. */
static void test_paging_read_over_pages(void)
{
	struct paging paging;
	cleanup(test_guest_free) struct test_guest *guest = make(4, &paging);
	uint64_t first = test_guest_page(guest), second;
	char text[8];

	(void)test_guest_page(guest);
	second = test_guest_page(guest);
	memcpy(guest->ram + first + PAGE - 4, "over", 4);
	memcpy(guest->ram + second, "page", 4);
	test_guest_map(guest, paging.root, KERNEL_VA, first, 0);
	test_guest_map(guest, paging.root, KERNEL_VA + PAGE, second, 0);
	check_int(paging_read(&paging, KERNEL_VA + PAGE - 4, text, 8), 0);
	check(memcmp(text, "overpage", 8) == 0);
	check_int(paging_read(&paging, KERNEL_VA + 2 * PAGE - 4, text, 8), -EFAULT);
	check_int(paging_read(&paging, KERNEL_VA + PAGE, text, 0), 0);
}

TEST_MAIN(TEST(test_paging_sizes), TEST(test_paging_addresses_that_are_not_canonical),
	  TEST(test_paging_table_that_holds_itself), TEST(test_paging_flags),
	  TEST(test_paging_tables_outside_memory), TEST(test_paging_read_past_the_end_of_memory),
	  TEST(test_paging_read_over_pages))
