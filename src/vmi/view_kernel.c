/* SPDX-License-Identifier: Apache-2.0 */
/* The views of the kernel itself: info, modules, syscalls. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "introspect/kallsyms.h"
#include "introspect/module.h"
#include "vmi/view.h"

int view_info(struct session *session, struct error *err)
{
	static const struct report_column columns[] = {
		{"name", REPORT_TEXT},         {"kernel", REPORT_TEXT},
		{"booted", REPORT_TIME},       {"uptime", REPORT_NSEC},
		{"vcpus", REPORT_COUNT},       {"memory", REPORT_BYTES},
		{"read_through", REPORT_TEXT}, {"text", REPORT_ADDRESS},
		{"slide", REPORT_ADDRESS},     {"text_physical", REPORT_ADDRESS},
		{"image_size", REPORT_BYTES},  {"direct_map", REPORT_ADDRESS},
		{"page_levels", REPORT_COUNT}, {"symbols", REPORT_COUNT},
		{"symbol_table", REPORT_TEXT}, {"type_information", REPORT_BYTES},
	};
	const struct profile *profile = &session->guest.profile;
	struct report *report = session->report;
	uint64_t boot_usec, uptime_nsec;

	(void)err; /* all of this is known by now */
	report_table(report, "info", columns, sizeof(columns) / sizeof(columns[0]), false);
	report_text(report, session->target->name);
	report_text(report, profile->banner);
	if (session_boot_time(session, &boot_usec, &uptime_nsec) == 0) {
		report_number(report, boot_usec);
		report_number(report, uptime_nsec);
	} else {
		report_unknown(report);
		report_unknown(report);
	}
	if (session->target->vcpu_count)
		report_number(report, session->target->vcpu_count);
	else
		report_unknown(report);
	report_number(report, memory_size(session->guest.memory));
	report_text(report, session->target->way);
	report_number(report, profile->image.va);
	report_number(report, profile->image.va - IMAGE_VA_UNSLID);
	report_number(report, profile->image.gpa);
	report_number(report, profile->image.size);
	report_number(report, profile->direct_base);
	report_number(report, profile->levels);
	report_number(report, profile->symbol_count);
	report_text(report, profile->kallsyms_layout);
	report_number(report, profile->btf_size);
	return 0;
}

static const char *module_state(const struct module *module)
{
	static const char *const names[] = {"live", "coming", "going", "unformed"};

	return module->state < 4 ? names[module->state] : "?";
}

int view_modules(struct session *session, struct error *err)
{
	static const struct report_column columns[] = {
		{"name", REPORT_TEXT},     {"state", REPORT_TEXT},   {"text", REPORT_ADDRESS},
		{"size", REPORT_BYTES},    {"taints", REPORT_COUNT}, {"in_list", REPORT_FLAG},
		{"in_sysfs", REPORT_FLAG},
	};
	struct report *report = session->report;
	struct module_list modules;
	int r = module_list_read(&session->guest, &modules);

	if (r < 0)
		return error_set_errno(err, r, "reading the guest's modules");
	VIEW_TABLE(session, "modules", columns);
	for (size_t i = 0; i < modules.count; i++) {
		const struct module *module = &modules.modules[i];

		report_text(report, module->name);
		report_text(report, module_state(module));
		report_number(report, module->base);
		report_number(report, module->size);
		report_number(report, module->taints);
		report_number(report, module->in_list);
		report_number(report, module->in_sysfs);
		if (!module->in_list)
			report_note(report, "modules: '%s' is not in the kernel's list of modules",
				    module->name);
	}
	module_list_deinit(&modules);
	return 0;
}

/* System calls */

struct strange_calls {
	struct session *session;
	struct module_list modules;
	uint32_t count;
};

static int put_call(void *userdata, const struct syscall_entry *entry)
{
	struct strange_calls *calls = userdata;
	struct report *report = calls->session->report;
	const struct module *module = module_at(&calls->modules, entry->target);

	report_text(report, entry->is_ia32 ? "ia32_sys_call_table" : "sys_call_table");
	report_number(report, entry->number);
	report_number(report, entry->target);
	report_text(report, module ? module->name : NULL);
	calls->count++;
	return 0;
}

int view_syscalls(struct session *session, struct error *err)
{
	static const struct report_column columns[] = {
		{"table", REPORT_TEXT},
		{"number", REPORT_COUNT},
		{"leads_to", REPORT_ADDRESS},
		{"module", REPORT_TEXT},
	};
	struct strange_calls calls = {.session = session};
	int r;

	(void)module_list_read(&session->guest, &calls.modules); /* then no module is named */
	VIEW_TABLE(session, "syscalls", columns);
	r = syscall_check(&session->guest, put_call, &calls);
	module_list_deinit(&calls.modules);
	if (r < 0)
		return error_set_errno(err, r, "reading the tables of system calls");
	report_note(session->report, "syscalls: %u of %d entries lead outside the kernel's text",
		    calls.count, r);
	if (guest_symbol(&session->guest, SYMBOL_X64_SYS_CALL))
		report_note(session->report, "syscalls: this kernel does not call through the "
					     "table any more, but by x64_sys_call()");
	return 0;
}
