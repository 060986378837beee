/* SPDX-License-Identifier: Apache-2.0 */
#include "introspect/image.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/test.h"
#include "introspect/test_image.h"

enum { GATE_SIZE = 16, PAGE = MEMORY_PAGE_SIZE, PRESENT = 1 };

DEFINE_CLEANUP(struct test_guest *, test_guest_free)

static struct test_guest *make(int levels, bool has_isolation)
{
	return test_guest_new(
		&(struct test_guest_options){.levels = levels, .has_isolation = has_isolation});
}

static int locate(struct test_guest *guest, struct image *ret_image, struct error *err)
{
	struct paging paging;

	*err = ERROR_INIT;
	return image_locate(guest->memory, guest->vcpus, TEST_VCPUS, ret_image, &paging, err);
}

/* A second vCPU with a page table of its own, in which the kernel's text lies elsewhere. */
static void split_vcpus(struct test_guest *guest)
{
	uint64_t root = test_guest_page(guest), idt = test_guest_page(guest);

	memcpy(guest->ram + root, guest->ram + guest->root, PAGE);
	memset(guest->ram + root + PAGE / 2, 0, PAGE / 2);
	memcpy(guest->ram + idt, guest->ram + (1 << 20), PAGE);
	test_guest_map(guest, root, guest->vcpus[0].idt_base, idt, 0);
	test_guest_map(guest, root, guest->image_va, 0, 1);
	guest->vcpus[1].cr3 = root;
}

static void test_image_found(void)
{
	for (int levels = 4; levels <= 5; levels++) {
		for (int isolation = 0; isolation <= 1; isolation++) {
			cleanup(test_guest_free) struct test_guest *guest = make(levels, isolation);
			struct image image;
			struct error err;

			check_int(locate(guest, &image, &err), 0);
			check(image.va == guest->image_va);
			check(image.gpa == TEST_IMAGE_GPA && image.size == TEST_IMAGE_SIZE);
			check_int(
				image_check(guest->memory, guest->vcpus, TEST_VCPUS, &image, &err),
				0);
		}
	}
}

/* With 4 KiB pages, holes where the kernel freed its init sections, and an end. */
static void test_image_of_small_pages(void)
{
	cleanup(test_guest_free) struct test_guest *guest = make(4, false);
	uint64_t root = test_guest_page(guest);
	struct image image;
	struct error err;

	memcpy(guest->ram + root, guest->ram + guest->root, PAGE - 8);
	for (uint64_t at = 0; at < 0x100000; at += PAGE)
		if (at < 0x40000 || at >= 0x80000)
			test_guest_map(guest, root, guest->image_va + at, TEST_IMAGE_GPA + at, 0);
	guest->vcpus[0].cr3 = guest->vcpus[1].cr3 = root;
	check_int(locate(guest, &image, &err), 0);
	check(image.va == guest->image_va && image.size == 0x100000);
	/* what follows on in the address space but not in memory is no part of it */
	for (uint64_t at = 0; at < 0x10000; at += PAGE)
		test_guest_map(guest, root, guest->image_va + 0x100000 + at, at, 0);
	check_int(locate(guest, &image, &err), 0);
	check_int(image.size, 0x100000);
}

/* Only the half that user mode has can be read: its one page of text is not an image. */
static void test_image_of_the_user_half(void)
{
	cleanup(test_guest_free) struct test_guest *guest = make(4, true);
	struct image image;
	struct error err;

	memset(guest->ram + guest->root, 0, PAGE);
	if (locate(guest, &image, &err) == 0)
		check(image.size < TEST_IMAGE_SIZE);
}

static void test_image_without_long_mode(void)
{
	cleanup(test_guest_free) struct test_guest *guest = make(4, false);
	struct image image;
	struct error err;

	guest->vcpus[0].cr0 = 0x11;
	guest->vcpus[1].efer = 0x100;
	check_int(locate(guest, &image, &err), -ENOTSUP);
	check(strstr(err.text, "64-bit"));
	check_int(image_locate(guest->memory, guest->vcpus, 0, &image, &(struct paging){0}, &err),
		  -ENOTSUP);
	/* a vCPU that has not been started says nothing against the other; ELF notes have no EFER
	 */
	guest->vcpus[1].has_efer = false;
	check_int(locate(guest, &image, &err), 0);
	check(image.va == guest->image_va);
}

static void test_image_without_gates(void)
{
	cleanup(test_guest_free) struct test_guest *guest = make(4, false);
	struct image image;
	struct error err;

	memset(guest->ram + (1 << 20), 0, PAGE); /* the table of gates */
	check_int(locate(guest, &image, &err), -ENODATA);
	check(strstr(err.text, "encrypted"));
	guest->vcpus[0].idt_base = guest->vcpus[1].idt_base = UINT64_MAX - 8;
	check_int(locate(guest, &image, &err), -ENODATA);
	guest->vcpus[0].cr3 = guest->vcpus[1].cr3 = UINT64_C(1) << 50;
	check_int(locate(guest, &image, &err), -ENODATA);
}

/* Gates whose handlers lie at different distances from where they lie in memory. */
static void test_image_gates_that_disagree(void)
{
	cleanup(test_guest_free) struct test_guest *guest = make(4, false);
	uint8_t *gate = guest->ram + (1 << 20) + (size_t)8 * GATE_SIZE;
	struct image image;
	struct error err;

	test_guest_map(guest, guest->root, guest->image_va + (4 << 20), 0, 1);
	gate[6] = 0x40; /* bits 16 to 23 of the double fault's handler */
	check_int(locate(guest, &image, &err), -EUCLEAN);
	check(err.text[0]);
}

static void test_image_vcpus_that_disagree(void)
{
	cleanup(test_guest_free) struct test_guest *guest = make(4, false);
	struct image image, before;
	struct error err;

	check_int(locate(guest, &before, &err), 0);
	split_vcpus(guest);
	check_int(locate(guest, &image, &err), -EUCLEAN);
	check(strstr(err.text, "different"));
	check_int(image_check(guest->memory, guest->vcpus, TEST_VCPUS, &before, &err), -EUCLEAN);
	check_int(image_check(guest->memory, guest->vcpus + 1, 1, &before, &err), -ESTALE);
	check_int(image_check(guest->memory, guest->vcpus, 1, &before, &err), 0);
}

/* The whole range mapped, over and over: the size is bounded, and the copy too. */
static void test_image_that_is_too_large(void)
{
	cleanup(test_guest_free) struct test_guest *guest = make(4, false);
	cleanup(free) uint8_t *bytes = NULL;
	struct image image;
	struct error err;

	for (uint64_t at = 0; at < 512 << 20; at += 2 << 20)
		test_guest_map(guest, guest->root, guest->image_va + at, TEST_IMAGE_GPA + at, 1);
	check_int(locate(guest, &image, &err), 0);
	check_int(image.size, IMAGE_SIZE_MAX);
	check_int(image_copy(guest->memory, &image, &bytes, &err), 0);
	check(memcmp(bytes, guest->ram + TEST_IMAGE_GPA, TEST_IMAGE_SIZE) == 0);
	check(bytes[TEST_IMAGE_SIZE] == 0 && bytes[IMAGE_SIZE_MAX - 1] == 0);
}

/* A page of 1 GiB that ends past the memory; its part that is there is copied. */
static void test_image_in_a_huge_page(void)
{
	cleanup(test_guest_free) struct test_guest *guest = make(5, false);
	cleanup(free) uint8_t *bytes = NULL;
	uint64_t root = test_guest_page(guest), idt = UINT64_C(1) << 20;
	struct image image;
	struct error err;

	test_guest_map(guest, root, guest->vcpus[0].idt_base, idt, 0);
	test_guest_map(guest, root, IMAGE_VA_FIRST, 0, 2);
	for (int i = 0; i < 15; i++) { /* a slid address that fits the page */
		guest->ram[idt + (size_t)i * GATE_SIZE + 6] = 0x20;
		guest->ram[idt + (size_t)i * GATE_SIZE + 7] = 0x80;
	}
	guest->vcpus[0].cr3 = guest->vcpus[1].cr3 = root;
	check_int(locate(guest, &image, &err), 0);
	check(image.va == IMAGE_VA_FIRST && image.gpa == 0);
	check_int(image.size, IMAGE_SIZE_MAX);
	check_int(image_copy(guest->memory, &image, &bytes, &err), 0);
	check(memcmp(bytes, guest->ram, TEST_RAM_SIZE) == 0);
}

static void test_image_past_the_deadline(void)
{
	cleanup(test_guest_free) struct test_guest *guest = make(4, false);
	cleanup(free) uint8_t *bytes = NULL;
	struct image image;
	struct error err;
	int r = 0;

	check_int(locate(guest, &image, &err), 0);
	memory_set_deadline(guest->memory, clock_mono_usec() - 1);
	for (int i = 0; i < 64 && r == 0; i++)
		r = memory_read(guest->memory, 0, &(char){0}, 1);
	check_int(locate(guest, &image, &err), -ETIME);
	check_int(image_copy(guest->memory, &image, &bytes, &err), -ETIME);
	check(!bytes && err.text[0]);
}

TEST_MAIN(TEST(test_image_found), TEST(test_image_of_small_pages),
	  TEST(test_image_of_the_user_half), TEST(test_image_without_long_mode),
	  TEST(test_image_without_gates), TEST(test_image_gates_that_disagree),
	  TEST(test_image_vcpus_that_disagree), TEST(test_image_that_is_too_large),
	  TEST(test_image_in_a_huge_page), TEST(test_image_past_the_deadline))
