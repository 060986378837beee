/* SPDX-License-Identifier: Apache-2.0 */
#include "introspect/module.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/test.h"
#include "introspect/test_guest.h"

enum { SYSCALLS = 16, SYSCALLS_IA32 = 8 };

struct loaded {
	struct test_guest *guest;
	uint64_t first, second;
	struct module_list list;
};

static void cleanup_loaded(struct loaded *loaded)
{
	module_list_deinit(&loaded->list);
	loaded->guest = test_guest_free(loaded->guest);
}

static bool make(struct loaded *loaded, const char *without)
{
	loaded->guest = test_guest_new(&(struct test_guest_options){.without = without});
	loaded->first = test_guest_add_module(loaded->guest, "first");
	loaded->second = test_guest_add_module(loaded->guest, "second");
	return test_guest_open(loaded->guest, NULL) == 0;
}

static int read_all(struct loaded *loaded)
{
	module_list_deinit(&loaded->list);
	return module_list_read(&loaded->guest->guest, &loaded->list);
}

/* By both ways that a module has told where its text lies. */
static void test_module_list_of_all(void)
{
	static const char *const without[] = {NULL, "module.core_layout"};

	for (size_t i = 0; i < sizeof(without) / sizeof(without[0]); i++) {
		cleanup(loaded) struct loaded loaded = {0};
		const struct module *module;

		check(make(&loaded, without[i]));
		check_int(read_all(&loaded), 0);
		check(loaded.list.count == 2 && loaded.list.broken == 0);
		module = &loaded.list.modules[1];
		check_string(module->name, "second");
		check(module->address == loaded.second && module->size == MEMORY_PAGE_SIZE);
		check(module->in_list && module->in_sysfs);
		check(module_at(&loaded.list, module->base + 5) == module);
		check(!module_at(&loaded.list, module->base - MEMORY_PAGE_SIZE * 3));
	}
}

/* What hides takes itself off the list: sysfs still has it. */
static void test_module_hidden(void)
{
	cleanup(loaded) struct loaded loaded = {0};

	check(make(&loaded, NULL));
	test_guest_unlink(loaded.guest,
			  test_guest_member(loaded.guest, loaded.first, FIELD_MODULE_LIST));
	check_int(read_all(&loaded), 0);
	check_int(loaded.list.count, 2);
	check_string(loaded.list.modules[1].name, "first");
	check(!loaded.list.modules[1].in_list && loaded.list.modules[1].in_sysfs);
	check(loaded.list.modules[0].in_list && loaded.list.modules[0].in_sysfs);
}

static void test_module_lists_that_lie(void)
{
	cleanup(loaded) struct loaded loaded = {0};
	uint64_t node, set;

	check(make(&loaded, NULL));
	node = test_guest_member(loaded.guest, loaded.second, FIELD_MODULE_LIST);
	test_guest_set64(loaded.guest, node, node);
	check_int(read_all(&loaded), -ELOOP);
	test_guest_set64(loaded.guest, node, 0);
	check_int(read_all(&loaded), -EFAULT);
	test_guest_set64(loaded.guest, node, loaded.guest->symbols[SYMBOL_MODULES]);
	test_guest_set64(loaded.guest, node + 8, 0);
	check_int(read_all(&loaded), 0);
	check_int(loaded.list.broken, 1);
	set = loaded.guest->symbols[SYMBOL_MODULE_KSET];
	test_guest_set64(loaded.guest, set, 3);
	check_int(read_all(&loaded), -EFAULT);
}

static void test_module_name_without_end(void)
{
	cleanup(loaded) struct loaded loaded = {0};

	check(make(&loaded, NULL));
	memset(test_guest_at(loaded.guest,
			     test_guest_member(loaded.guest, loaded.first, FIELD_MODULE_NAME)),
	       'x', 56);
	check_int(read_all(&loaded), 0);
	check_int(strlen(loaded.list.modules[0].name), MODULE_NAME_SIZE - 1);
}

static void test_module_of_a_kernel_without(void)
{
	static const char *const without[] = {"modules", "module.list", "module"};

	for (size_t i = 0; i < sizeof(without) / sizeof(without[0]); i++) {
		cleanup(loaded) struct loaded loaded = {0};

		check(make(&loaded, without[i]));
		check_int(read_all(&loaded), -ENOTSUP);
	}
}

static void test_module_without_sysfs(void)
{
	static const char *const without[] = {"module_kset", "module_kobject.mod", "kset",
					      "kobject.entry"};

	for (size_t i = 0; i < sizeof(without) / sizeof(without[0]); i++) {
		cleanup(loaded) struct loaded loaded = {0};

		check(make(&loaded, without[i]));
		check_int(read_all(&loaded), 0);
		check(loaded.list.count == 2 && !loaded.list.modules[0].in_sysfs);
	}
}

/* System calls */

struct odd {
	int count, result;
	struct syscall_entry last;
};

static int take(void *userdata, const struct syscall_entry *entry)
{
	struct odd *odd = userdata;

	odd->count++;
	odd->last = *entry;
	return odd->result;
}

static void test_module_syscalls(void)
{
	cleanup(loaded) struct loaded loaded = {0};
	struct odd odd = {0};
	uint64_t wide, narrow;

	check(make(&loaded, NULL));
	wide = loaded.guest->symbols[SYMBOL_SYS_CALL_TABLE];
	narrow = loaded.guest->symbols[SYMBOL_IA32_SYS_CALL_TABLE];
	check_int(syscall_check(&loaded.guest->guest, take, &odd), SYSCALLS + SYSCALLS_IA32);
	check_int(odd.count, 0);
	test_guest_set64(loaded.guest, wide + 3 * 8, 0xffffffffc0001000);
	test_guest_set64(loaded.guest, narrow + 5 * 8, loaded.guest->image_va);
	check_int(syscall_check(&loaded.guest->guest, take, &odd), SYSCALLS + SYSCALLS_IA32);
	check_int(odd.count, 2);
	check(odd.last.is_ia32 && odd.last.number == 5);
	check(odd.last.target == loaded.guest->image_va);
	odd.result = -EINTR;
	check_int(syscall_check(&loaded.guest->guest, take, &odd), -EINTR);
	check(!odd.last.is_ia32 && odd.last.number == 3);
}

/* Tables that end before they begin, or past memory. */
static void test_module_syscalls_that_lie(void)
{
	cleanup(loaded) struct loaded loaded = {0};
	struct profile *profile;
	struct odd odd = {0};

	check(make(&loaded, NULL));
	profile = &loaded.guest->guest.profile;
	profile->symbol_ends[SYMBOL_SYS_CALL_TABLE] = 0;
	check_int(syscall_check(&loaded.guest->guest, take, &odd), SYSCALLS_MAX + SYSCALLS_IA32);
	profile->symbols[SYMBOL_SYS_CALL_TABLE] = UINT64_MAX - 16;
	check_int(syscall_check(&loaded.guest->guest, take, &odd), -EFAULT);
	profile->symbols[SYMBOL_SYS_CALL_TABLE] = 0;
	profile->symbols[SYMBOL_IA32_SYS_CALL_TABLE] = 0;
	check_int(syscall_check(&loaded.guest->guest, take, &odd), 0);
}

TEST_MAIN(TEST(test_module_list_of_all), TEST(test_module_hidden), TEST(test_module_lists_that_lie),
	  TEST(test_module_name_without_end), TEST(test_module_of_a_kernel_without),
	  TEST(test_module_without_sysfs), TEST(test_module_syscalls),
	  TEST(test_module_syscalls_that_lie))
