/* SPDX-License-Identifier: Apache-2.0 */
/* The taps of running VMs: a shell under QEMU's name that holds real ones, in a network namespace
 * of the test's own. */
#include "hypervisor/machines.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test.h"

enum { NAMES_MAX = 4, PATH_SIZE = 128 };

struct world {
	char folder[32], program[PATH_SIZE];
	struct machines machines;
	pid_t pid; /* of what plays QEMU */
	int line;  /* it lives until this is closed */
};

/* A network namespace of our own, in which we may make taps. */
static bool enter_namespace(void)
{
	return unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
}

/* One queue of a tap, as a descriptor that a program inherits; negative: it cannot be had. */
static int open_tap(const char *name)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE};
	int fd = open("/dev/net/tun", O_RDWR); /* NOLINT(android-cloexec-open): to be inherited */

	(void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (fd >= 0 && ioctl(fd, TUNSETIFF, &request) < 0) {
		(void)close(fd);
		return -errno;
	}
	return fd;
}

static bool copy_program(const char *from, const char *to)
{
	char command[2 * PATH_SIZE];

	(void)snprintf(command, sizeof(command), "cp -L %s %s", from, to);
	return system(command) == 0; /* NOLINT(cert-env33-c): names of the test's own */
}

/* Starts it with these descriptors and with those of the taps. */
static bool start(struct world *world, bool elsewhere)
{
	int line[2], ready[2];
	char byte;

	if (pipe2(line, O_CLOEXEC) < 0 || pipe2(ready, O_CLOEXEC) < 0)
		return false;
	world->pid = fork();
	if (world->pid == 0) {
		if (elsewhere && unshare(CLONE_NEWNET) < 0)
			_exit(1);
		(void)dup2(line[0], STDIN_FILENO);
		(void)execl(world->program, world->program, "-c", "read line", "-name",
			    "atom-machines-test", "-m", "size=1048576k", "-netdev",
			    "tap,id=n0,fd=30", "-device", "virtio-net-pci,netdev=n0", "-netdev",
			    "{\"type\":\"tap\",\"id\":\"n1\"}", "-device",
			    "{\"driver\":\"virtio-net-pci\",\"netdev\":\"n1\"}", "-nic", "user",
			    "-device", "virtio-blk", NULL);
		_exit(1);
	}
	(void)close(line[0]);
	(void)close(ready[1]);
	(void)read(ready[0], &byte, 1); /* ends when the program has been entered */
	(void)close(ready[0]);
	world->line = line[1];
	return world->pid > 0;
}

static void stop(struct world *world)
{
	(void)close(world->line);
	(void)waitpid(world->pid, NULL, 0);
}

/* False: not possible here. */
static bool set_up(struct world *world)
{
	*world = (struct world){.folder = "/tmp/atom-machines-XXXXXX"};
	if (!mkdtemp(world->folder))
		return false;
	(void)snprintf(world->program, sizeof(world->program), "%s/qemu-system-test",
		       world->folder);
	return copy_program("/bin/sh", world->program) && enter_namespace();
}

static void tear_down(struct world *world)
{
	machines_deinit(&world->machines);
	(void)unlink(world->program);
	(void)rmdir(world->folder);
}

static struct machine *find(struct world *world)
{
	struct vm_uuid uuid = vm_uuid_from_name("atom-machines-test");

	machines_refresh(&world->machines, true);
	return machines_find(&world->machines, &uuid);
}

static bool has(char (*names)[HYPERVISOR_TAP_SIZE], size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

/* As the child of a test: its namespace is not to be that of the tests to come. Says what failed.
 */
static const char *look_at_taps(struct world *world)
{
	struct vm_uuid uuid = vm_uuid_from_name("atom-machines-test"), other = {{1}};
	char names[NAMES_MAX][HYPERVISOR_TAP_SIZE];
	struct machine *machine;
	size_t cards = 99;

	if (open_tap("atomtap0") < 0)
		return "SKIP taps cannot be made here";
	if (open_tap("atomtap0") < 0 || open_tap("a-name.15-bytes") < 0)
		return "a second queue, a second tap";
	if (!start(world, false) || !(machine = find(world)))
		return "the process is found";
	if (machines_taps(&world->machines, &uuid, names, NAMES_MAX, &cards) != -EAGAIN)
		return "a VM that is not listed has none";
	machine->listed = true;
	if (machines_taps(&world->machines, &uuid, names, NAMES_MAX, &cards) != 2 ||
	    !has(names, 2, "atomtap0") || !has(names, 2, "a-name.15-bytes"))
		return "both taps, once each";
	if (cards != 3)
		return "three cards, of which one is no tap";
	if (machines_memory(&world->machines, &uuid) != UINT64_C(1) << 30)
		return "1 GiB of memory";
	if (machines_taps(&world->machines, &uuid, names, 2, &cards) != 2)
		return "just enough room";
	if (machines_taps(&world->machines, &uuid, names, 1, &cards) != -E2BIG)
		return "a part of them is none";
	if (machines_taps(&world->machines, &other, names, NAMES_MAX, &cards) != -ENOENT)
		return "an unknown VM has none";
	stop(world);
	if (machines_taps(&world->machines, &uuid, names, NAMES_MAX, &cards) != -ENOENT)
		return "a VM that ended has none";
	if (!start(world, true) || !(machine = find(world)))
		return "the process elsewhere is found";
	machine->listed = true;
	if (machines_taps(&world->machines, &uuid, names, NAMES_MAX, &cards) != -EXDEV)
		return "names of another network namespace are none";
	stop(world);
	return "";
}

static void test_machines_taps_are_those_of_now(void)
{
	static char failure[128];
	int line[2];
	pid_t child;

	check_int(pipe2(line, O_CLOEXEC), 0);
	child = fork();
	check(child >= 0);
	if (child == 0) {
		struct world world;
		const char *text = set_up(&world) ? look_at_taps(&world)
						  : "SKIP network namespaces cannot be made here";

		tear_down(&world);
		_exit(write(line[1], text, strlen(text)) < 0);
	}
	(void)close(line[1]);
	check(read(line[0], failure, sizeof(failure) - 1) >= 0);
	(void)close(line[0]);
	(void)waitpid(child, NULL, 0);
	if (strncmp(failure, "SKIP ", 5) == 0)
		test_skip(failure + 5);
	check_string(failure, "");
}

TEST_MAIN(TEST(test_machines_taps_are_those_of_now))
