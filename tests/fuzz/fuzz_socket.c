/* SPDX-License-Identifier: Apache-2.0 */
/* The sockets of a guest whose structures are damaged, and how they are shown. */
#include "fuzz_guest.h"
#include "introspect/socket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz_region region;
	const struct guest *guest = fuzz_world(&region, data, size);
	struct task_list tasks = {0};
	struct socket_list sockets = {0};

	(void)task_list_read(guest, &tasks);
	(void)socket_list_read(guest, &tasks, &sockets);
	assert(sockets.count <= SOCKETS_MAX);
	for (size_t i = 0; i < sockets.count; i++) {
		char text[SOCKET_ADDRESS_SIZE];

		for (int remote = 0; remote < 2; remote++) {
			socket_format(&sockets.sockets[i], remote, text);
			assert(strlen(text) < sizeof(text));
		}
		assert(socket_state_name(&sockets.sockets[i]));
	}
	task_list_deinit(&tasks);
	socket_list_deinit(&sockets);
	return 0;
}
