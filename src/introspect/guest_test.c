/* SPDX-License-Identifier: Apache-2.0 */
#include "introspect/guest.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/test.h"
#include "introspect/test_image.h"

enum { PAGE = MEMORY_PAGE_SIZE, NODES = 40 };
#define VMALLOC_VA UINT64_C(0xffffc90000000000)

DEFINE_CLEANUP(struct test_guest *, test_guest_free)

static struct test_guest *make(void)
{
	struct test_guest *guest = test_guest_new(&(struct test_guest_options){0});

	if (test_guest_open(guest, NULL) < 0)
		return test_guest_free(guest);
	return guest;
}

static void test_guest_addresses(void)
{
	cleanup(test_guest_free) struct test_guest *guest = make();
	uint64_t page, gpa, left;

	check(guest);
	page = test_guest_page(guest);
	test_guest_map(guest, guest->root, VMALLOC_VA, page, 0);
	check_int(guest_translate(&guest->guest, guest->image_va + 5, &gpa, &left), 0);
	check(gpa == TEST_IMAGE_GPA + 5 && left == TEST_IMAGE_SIZE - 5);
	check_int(guest_translate(&guest->guest, guest->direct_base + 5, &gpa, &left), 0);
	check(gpa == 5 && left == TEST_RAM_SIZE - 5);
	check_int(guest_translate(&guest->guest, VMALLOC_VA + 5, &gpa, &left), 0);
	check(gpa == page + 5 && left == PAGE - 5);
	check_int(guest_translate(&guest->guest, VMALLOC_VA + PAGE, &gpa, NULL), -EFAULT);
	check_int(guest_translate(&guest->guest, 0x1000, &gpa, NULL), -EFAULT);
	check_int(guest_translate(&guest->guest, UINT64_MAX, &gpa, NULL), -EFAULT);
}

/* What begins in the image, the direct map or a page and goes on behind. */
static void test_guest_read_past_an_end(void)
{
	cleanup(test_guest_free) struct test_guest *guest = make();
	uint64_t value;

	check(guest);
	check_int(guest_read64(&guest->guest, guest->image_va + TEST_IMAGE_SIZE - 8, &value), 0);
	check_int(guest_read64(&guest->guest, guest->image_va + TEST_IMAGE_SIZE - 4, &value),
		  -EFAULT);
	check_int(guest_read64(&guest->guest, guest->direct_base + TEST_RAM_SIZE - 8, &value), 0);
	check_int(guest_read64(&guest->guest, guest->direct_base + TEST_RAM_SIZE - 4, &value),
		  -EFAULT);
	check_int(guest_read64(&guest->guest, guest->direct_base - 4, &value), -EFAULT);
	check_int(guest_read64(&guest->guest, UINT64_MAX - 3, &value), -EFAULT);
}

static void test_guest_strings(void)
{
	cleanup(test_guest_free) struct test_guest *guest = make();
	uint64_t pages[2];
	char text[16];

	check(guest);
	for (int i = 1; i >= 0; i--) { /* neighbours the other way round */
		pages[i] = test_guest_page(guest);
		test_guest_map(guest, guest->root, VMALLOC_VA + (uint64_t)i * PAGE, pages[i], 0);
	}
	memcpy(guest->ram + pages[0] + PAGE - 3, "abc", 3);
	memcpy(guest->ram + pages[1], "def", 4);
	memset(guest->ram + pages[1] + PAGE - 4, 'x', 4);
	check_int(guest_string(&guest->guest, VMALLOC_VA + PAGE - 3, text, sizeof(text)), 0);
	check_string(text, "abcdef");
	check_int(guest_string(&guest->guest, VMALLOC_VA + PAGE - 3, text, 5), 0);
	check_string(text, "abcd");
	check_int(guest_string(&guest->guest, VMALLOC_VA + PAGE - 3, text, 1), 0);
	check_string(text, "");
	/* ends with the page before its NUL */
	check_int(guest_string(&guest->guest, VMALLOC_VA + 2 * PAGE - 4, text, sizeof(text)),
		  -EFAULT);
	check_int(guest_string(&guest->guest, VMALLOC_VA + 2 * PAGE - 4, text, 5), 0);
	check_string(text, "xxxx");
	check_int(guest_string(&guest->guest, 0, text, sizeof(text)), -EFAULT);
}

static void test_guest_pointers_that_are_wild(void)
{
	static const uint64_t values[] = {0,
					  1,
					  0x7fffffffffff,
					  UINT64_MAX,
					  UINT64_MAX - 7,
					  0xfffffffffffff000,
					  0xffff888000000001,
					  0x1122334455667788};
	cleanup(test_guest_free) struct test_guest *guest = make();
	uint64_t object, pointer;

	check(guest);
	object = test_guest_allocate(guest, 64);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		test_guest_set64(guest, object, values[i]);
		check_int(guest_pointer(&guest->guest, object, &pointer), -EFAULT);
	}
	/* a pointer as such, that leads nowhere */
	test_guest_set64(guest, object, 0xffffa00000000000);
	check_int(guest_pointer(&guest->guest, object, &pointer), 0);
	check_int(guest_pointer(&guest->guest, pointer, &pointer), -EFAULT);
}

static void test_guest_members(void)
{
	cleanup(test_guest_free) struct test_guest *guest = make();
	uint64_t object, value;

	check(guest);
	object = test_guest_allocate(guest, 1024);
	memset(test_guest_at(guest, object), 0xff, 1024);
	check_int(guest_field(&guest->guest, object, FIELD_SK_STATE, &value), 0);
	check_int(value, 0xff);
	check_int(guest_field(&guest->guest, object, FIELD_INODE_MODE, &value), 0);
	check_int(value, 0xffff);
	check_int(guest_field(&guest->guest, object, FIELD_TASK_PID, &value), 0);
	check_int(value, 0xffffffff);
	/* of a larger one what fits */
	check_int(guest_field(&guest->guest, object, FIELD_SK_LOCAL6, &value), 0);
	check(value == UINT64_MAX);
	check_int(guest_field_pointer(&guest->guest, object, FIELD_TASK_MM, &value), -EFAULT);
}

/* Lists */

struct ring {
	struct test_guest *guest;
	struct guest_list list;
	uint64_t nodes[NODES];
};

static bool make_ring(struct ring *ring, struct test_guest *guest)
{
	if (!guest)
		return false;
	*ring = (struct ring){.guest = guest};
	ring->list = (struct guest_list){test_guest_allocate(guest, 64), 24, 1000};
	test_guest_set64(guest, ring->list.head, ring->list.head);
	test_guest_set64(guest, ring->list.head + 8, ring->list.head);
	for (int i = 0; i < NODES; i++) {
		ring->nodes[i] = test_guest_allocate(guest, 64) + ring->list.member;
		test_guest_link(guest, ring->list.head, ring->nodes[i]);
	}
	return true;
}

struct visits {
	const struct ring *ring;
	int count, wrong, stop_at;
};

static int visit(void *userdata, uint64_t object)
{
	struct visits *visits = userdata;
	const struct ring *ring = visits->ring;

	visits->wrong += object + ring->list.member != ring->nodes[visits->count % NODES];
	visits->count++;
	return visits->count == visits->stop_at ? -EINTR : 0;
}

static int walk(const struct ring *ring, struct visits *visits, uint32_t *ret_broken)
{
	visits->ring = ring;
	return guest_walk_list(&ring->guest->guest, &ring->list, visit, visits, ret_broken);
}

static void test_guest_list_whole(void)
{
	cleanup(test_guest_free) struct test_guest *guest = make();
	struct visits visits = {0};
	struct ring ring;
	uint32_t broken;

	check(make_ring(&ring, guest));
	check_int(walk(&ring, &visits, &broken), 0);
	check(visits.count == NODES && visits.wrong == 0 && broken == 0);
	visits = (struct visits){.stop_at = 7};
	check_int(walk(&ring, &visits, &broken), -EINTR);
	check_int(visits.count, 7);
	ring.list.limit = NODES;
	visits = (struct visits){0};
	check_int(walk(&ring, &visits, &broken), 0);
	ring.list.limit = NODES - 1;
	visits = (struct visits){0};
	check_int(walk(&ring, &visits, &broken), -ELOOP);
	check_int(visits.count, NODES - 1);
}

static void test_guest_list_empty(void)
{
	cleanup(test_guest_free) struct test_guest *guest = make();
	struct visits visits = {0};
	struct ring ring;
	uint32_t broken;

	check(make_ring(&ring, guest));
	test_guest_set64(guest, ring.list.head, ring.list.head);
	check_int(walk(&ring, &visits, &broken), 0);
	check_int(visits.count, 0);
	test_guest_set64(guest, ring.list.head, 0);
	check_int(walk(&ring, &visits, &broken), -EFAULT);
	ring.list.head = 0;
	check_int(walk(&ring, &visits, &broken), -EFAULT);
}

/* A circle that leaves out the head ends long before the limit. */
static void test_guest_list_circle(void)
{
	cleanup(test_guest_free) struct test_guest *guest = make();
	struct ring ring;
	uint32_t broken;

	check(make_ring(&ring, guest));
	for (int back = 0; back < NODES; back++) {
		struct visits visits = {0};

		test_guest_set64(guest, ring.nodes[NODES - 1], ring.nodes[back]);
		check_int(walk(&ring, &visits, &broken), -ELOOP);
		check(visits.count < 4 * NODES);
	}
}

static void test_guest_list_broken_links(void)
{
	cleanup(test_guest_free) struct test_guest *guest = make();
	struct visits visits = {0};
	struct ring ring;
	uint32_t broken;

	check(make_ring(&ring, guest));
	/* the way back of one, and of another to nowhere */
	test_guest_set64(guest, ring.nodes[3] + 8, ring.nodes[1]);
	test_guest_set64(guest, ring.nodes[9] + 8, 0x1234);
	check_int(walk(&ring, &visits, &broken), 0);
	check(visits.count == NODES && visits.wrong == 0);
	check_int(broken, 2);
	/* unlinked one way only */
	visits = (struct visits){0};
	test_guest_set64(guest, ring.nodes[NODES - 3], ring.nodes[NODES - 1]);
	check_int(walk(&ring, &visits, &broken), 0);
	check_int(visits.count, NODES - 1);
	check_int(broken, 3);
}

static void test_guest_list_wild_links(void)
{
	static const uint64_t links[] = {
		0, 1, 0x1000, 0xffffa00000000000, UINT64_MAX - 15, 0xdead000000000100};
	cleanup(test_guest_free) struct test_guest *guest = make();
	struct ring ring;
	uint32_t broken;

	check(make_ring(&ring, guest));
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		struct visits visits = {0};

		test_guest_set64(guest, ring.nodes[5], links[i]);
		check_int(walk(&ring, &visits, &broken), -EFAULT);
		check(visits.count <= 6);
	}
	/* the last word of memory: there is a way there, but no way back */
	test_guest_set64(guest, ring.nodes[5], guest->direct_base + TEST_RAM_SIZE - 8);
	test_guest_set64(guest, guest->direct_base + TEST_RAM_SIZE - 8, ring.list.head);
	check_int(walk(&ring, &(struct visits){0}, &broken), -EFAULT);
}

static void test_guest_write_in_bounds(void)
{
	cleanup(test_guest_free) struct test_guest *guest = make();
	uint64_t object, text, value;

	check(guest);
	object = test_guest_allocate(guest, 64);
	text = guest->symbols[SYMBOL_STEXT];
	check_int(guest_write(&guest->guest, object, 1, 8, "not allowed"), -EPERM);
	memory_allow_writes(guest->memory, MEMORY_WRITES_REAL);
	check_int(guest_write(&guest->guest, object, 77, 8, "word"), 0);
	check_int(guest_read64(&guest->guest, object, &value), 0);
	check_int(value, 77);
	check_int(guest_write(&guest->guest, object + 4, 1, 8, "not aligned"), -EFAULT);
	check_int(guest_write(&guest->guest, 0x1000, 1, 8, "nowhere"), -EFAULT);
	/* the kernel's text, by each of its addresses */
	check_int(guest_write(&guest->guest, text, 1, 8, "text"), -EPERM);
	check_int(guest_write(&guest->guest,
			      text - guest->image_va + TEST_IMAGE_GPA + guest->direct_base, 1, 8,
			      "text"),
		  -EPERM);
	check_int(guest_write(&guest->guest, guest->symbols[SYMBOL_ETEXT] - 8, 1, 8, "text"),
		  -EPERM);
}

TEST_MAIN(TEST(test_guest_addresses), TEST(test_guest_read_past_an_end), TEST(test_guest_strings),
	  TEST(test_guest_pointers_that_are_wild), TEST(test_guest_members),
	  TEST(test_guest_list_whole), TEST(test_guest_list_empty), TEST(test_guest_list_circle),
	  TEST(test_guest_list_broken_links), TEST(test_guest_list_wild_links),
	  TEST(test_guest_write_in_bounds))
