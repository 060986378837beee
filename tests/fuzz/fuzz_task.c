/* SPDX-License-Identifier: Apache-2.0 */
/* Every view of the tasks of a guest whose structures are damaged: processes, arguments, files,
 * modules, and what hides. Within its time, whatever the input says. */
#include <errno.h>

#include "fuzz_guest.h"
#include "introspect/file.h"
#include "introspect/hidden.h"
#include "introspect/module.h"

static int take_file(void *userdata, uint32_t descriptor, uint64_t address)
{
	static struct file file;

	return file_read(userdata, address, &file) == -ETIME ? -ETIME : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz_region region;
	static char arguments[TASK_COMMAND_LINE_SIZE];
	const struct guest *guest = fuzz_world(&region, data, size);
	struct task_list tasks = {0};
	struct hidden_sample sample = {0};
	struct module_list modules = {0};

	(void)task_list_read(guest, &tasks);
	for (size_t i = 0; i < tasks.count; i++) {
		assert(task_command_line(guest, &tasks.tasks[i], arguments) <= sizeof(arguments));
		(void)file_walk(guest, &tasks.tasks[i], take_file, &region.guest->guest);
	}
	(void)hidden_sample_read(guest, &tasks, &sample);
	(void)module_list_read(guest, &modules);
	task_list_deinit(&tasks);
	hidden_sample_deinit(&sample);
	module_list_deinit(&modules);
	return 0;
}
