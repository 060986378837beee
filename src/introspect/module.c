/* SPDX-License-Identifier: Apache-2.0 */
#include "introspect/module.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct reading {
	const struct guest *guest;
	struct module_list *list;
};

static struct module *find(struct module_list *list, uint64_t address)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->modules[i].address == address)
			return &list->modules[i];
	return NULL;
}

/* Until 6.3 the text lies in core_layout, since then in the first of several pieces. */
static int read_layout(const struct guest *guest, struct module *module)
{
	uint64_t piece;
	int r;

	if (guest_has(guest, FIELD_MODULE_CORE_BASE)) {
		r = guest_field(guest, module->address, FIELD_MODULE_CORE_BASE, &module->base);
		return r < 0 ? r
			     : guest_field(guest, module->address, FIELD_MODULE_CORE_SIZE,
					   &module->size);
	}
	if (!guest_has(guest, FIELD_MODULE_MEM))
		return 0;
	piece = module->address + guest_offset(guest, FIELD_MODULE_MEM);
	r = guest_field(guest, piece, FIELD_MODMEM_BASE, &module->base);
	if (r == 0)
		r = guest_field(guest, piece, FIELD_MODMEM_SIZE, &module->size);
	module->size &= UINT32_MAX;
	return r;
}

static int read_module(const struct guest *guest, struct module *module)
{
	int r = guest_string(guest, module->address + guest_offset(guest, FIELD_MODULE_NAME),
			     module->name, sizeof(module->name));

	if (r == 0)
		r = guest_field(guest, module->address, FIELD_MODULE_STATE, &module->state);
	if (r == 0)
		r = guest_field(guest, module->address, FIELD_MODULE_TAINTS, &module->taints);
	module->size = 0;
	return r < 0 ? r : read_layout(guest, module);
}

static int add_module(struct reading *reading, uint64_t address, struct module **ret_module)
{
	struct module_list *list = reading->list;
	struct module *module = find(list, address);
	int r;

	if (module) {
		*ret_module = module;
		return 0;
	}
	if (list->count == MODULES_MAX)
		return -ELOOP;
	module = &list->modules[list->count];
	*module = (struct module){.address = address};
	r = read_module(reading->guest, module);
	if (r < 0)
		return r;
	list->count++;
	*ret_module = module;
	return 0;
}

static int take_listed(void *userdata, uint64_t address)
{
	struct module *module;
	int r = add_module(userdata, address, &module);

	if (r == 0)
		module->in_list = true;
	return r;
}

/* An object of /sys/module: built-in parts have one too, but no module behind it. */
static int take_object(void *userdata, uint64_t object)
{
	struct reading *reading = userdata;
	struct module *module;
	uint64_t address, outer = object - guest_offset(reading->guest, FIELD_MKOBJ_KOBJ);
	int r = guest_field(reading->guest, outer, FIELD_MKOBJ_MOD, &address);

	if (r < 0 || address == 0)
		return r;
	if (!guest_is_kernel_pointer(address) || address % 8)
		return -EFAULT;
	r = add_module(reading, address, &module);
	if (r == 0)
		module->in_sysfs = true;
	return r;
}

static int walk_sysfs(struct reading *reading, uint32_t *ret_broken)
{
	const struct guest *guest = reading->guest;
	struct guest_list walk = {.member = guest_offset(guest, FIELD_KOBJECT_ENTRY),
				  .limit = MODULES_MAX};
	uint64_t set;
	int r;

	*ret_broken = 0;
	if (!guest_symbol(guest, SYMBOL_MODULE_KSET) || !guest_has(guest, FIELD_MKOBJ_MOD) ||
	    !guest_has(guest, FIELD_KSET_LIST) || !guest_has(guest, FIELD_KOBJECT_ENTRY))
		return 0;
	r = guest_pointer(guest, guest_symbol(guest, SYMBOL_MODULE_KSET), &set);
	walk.head = set + guest_offset(guest, FIELD_KSET_LIST);
	return r < 0 ? r : guest_walk_list(guest, &walk, take_object, reading, ret_broken);
}

int module_list_read(const struct guest *guest, struct module_list *ret_list)
{
	struct module_list list = {.modules = calloc(MODULES_MAX, sizeof(*list.modules))};
	struct reading reading = {guest, &list};
	struct guest_list walk = {.head = guest_symbol(guest, SYMBOL_MODULES),
				  .limit = MODULES_MAX};
	uint32_t broken = 0;
	int r = -ENOTSUP;

	if (!list.modules)
		return -ENOMEM;
	if (walk.head && guest_has(guest, FIELD_MODULE_LIST)) {
		walk.member = guest_offset(guest, FIELD_MODULE_LIST);
		r = guest_walk_list(guest, &walk, take_listed, &reading, &list.broken);
	}
	if (r == 0)
		r = walk_sysfs(&reading, &broken);
	list.broken += broken;
	if (r < 0)
		module_list_deinit(&list);
	else
		*ret_list = list;
	return r;
}

void module_list_deinit(struct module_list *list)
{
	free(list->modules);
	*list = (struct module_list){0};
}

const struct module *module_at(const struct module_list *list, uint64_t va)
{
	for (size_t i = 0; i < list->count; i++)
		if (va - list->modules[i].base < list->modules[i].size)
			return &list->modules[i];
	return NULL;
}

/* System calls */

static int check_table(const struct guest *guest, enum symbol symbol, syscall_take *take,
		       void *userdata)
{
	uint64_t start = guest_symbol(guest, SYMBOL_STEXT), end = guest_symbol(guest, SYMBOL_ETEXT);
	uint64_t table = guest_symbol(guest, symbol);
	uint64_t size = (guest->profile.symbol_ends[symbol] - table) / 8;

	if (!table)
		return 0;
	if (size > SYSCALLS_MAX)
		size = SYSCALLS_MAX;
	for (uint32_t number = 0; number < size; number++) {
		struct syscall_entry entry = {.is_ia32 = symbol == SYMBOL_IA32_SYS_CALL_TABLE,
					      .number = number};
		int r = guest_read64(guest, table + (uint64_t)number * 8, &entry.target);

		if (r == 0 && entry.target && entry.target - start >= end - start)
			r = take(userdata, &entry);
		if (r != 0)
			return r;
	}
	return (int)size;
}

int syscall_check(const struct guest *guest, syscall_take *take, void *userdata)
{
	int wide = check_table(guest, SYMBOL_SYS_CALL_TABLE, take, userdata);
	int narrow = wide < 0 ? 0 : check_table(guest, SYMBOL_IA32_SYS_CALL_TABLE, take, userdata);

	return wide < 0 ? wide : narrow < 0 ? narrow : wide + narrow;
}
