/* SPDX-License-Identifier: Apache-2.0 */
/* The parsers of what the kernel and other programs say: command lines, /proc/PID/net/dev,
 * metadata; device sums. */
#include <errno.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/test.h"
#include "hypervisor/counters.h"
#include "hypervisor/metadata.h"
#include "hypervisor/procfs.h"

static void test_command_line_of_a_libvirt_domain(void)
{
	static const char line[] =
		"/usr/bin/qemu-system-x86_64\0-name\0guest=web,,1,debug-threads=on\0"
		"-object\0{\"qom-type\":\"secret\",\"id\":\"masterKey0\",\"format\":\"raw\","
		"\"file\":\"/var/lib/libvirt/qemu/domain-1-web/master-key.aes\"}\0"
		"-smp\0"
		"4,sockets=4,cores=1,threads=1\0-uuid\0"
		"00000000-0000-4000-8000-00000000000a\0-chardev\0"
		"socket,id=charmonitor,fd=22,server=on,wait=off";
	struct qemu_process process;
	char uuid[VM_UUID_TEXT_SIZE];

	check(procfs_parse_command_line(line, sizeof(line) - 1, &process));
	check_string(process.name, "web,1");
	check_int(process.vcpus, 4);
	check_string(vm_uuid_format(&process.uuid, uuid), "00000000-0000-4000-8000-00000000000a");
	check_string(process.qmp_path, ""); /* libvirt's monitor is a descriptor */
	check(process.has_network);
	check(process.of_libvirt);
}

static void test_command_line_tells_cards_and_memory(void)
{
	static const struct {
		const char *line;
		size_t size, cards;
		uint64_t mib;
	} cases[] = {
#define LINE(text) text, sizeof(text) - 1
		{LINE("q"), 1, 128},
		{LINE("q\0-nodefaults\0-m\0002G"), 0, 2048},
		{LINE("q\0-nic\0none\0-m\0size=1048576k,slots=2,maxmem=8g"), 0, 1024},
		{LINE("q\0-nic\0tap\0-nic\0user\0-m\000512"), 2, 512},
		{LINE("q\0-net\0nic\0-net\0user\0-m\000many"), 1, 128},
		{LINE("q\0-netdev\0tap,id=n\0-device\0virtio-net-pci,netdev=n,mac=0"), 1, 128},
		{LINE("q\0-netdev\0{\"type\":\"vhost-user\",\"id\":\"n\"}\0-device\0"
		      "{\"driver\":\"e1000\",\"netdev\":\"n\"}\0-device\0{\"driver\":"),
		 1, 128},
		{LINE("q\0-nodefaults\0-device\0virtio-blk-pci,drive=netdev\0-device\0"
		      "vfio-pci,host=ffff:ff:1f.7"),
		 0, 128},
		{LINE("q\0-nodefaults\0-device\0vfio-pci,host=../../../../../etc/passwd"), 0, 128},
#undef LINE
	};
	struct qemu_process process;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		check(procfs_parse_command_line(cases[i].line, cases[i].size, &process));
		check_int(process.network_cards, cases[i].cards);
		check_int(process.memory_bytes >> 20, cases[i].mib);
	}
}

static void test_command_line_of_a_bare_qemu(void)
{
	static const char line[] = "qemu-system-x86_64\0-name\0vm7\0-smp\0cpus=2,maxcpus=8\0-qmp\0"
				   "unix:/run/vm7.qmp,server=on,wait=off";
	struct qemu_process process;
	struct vm_uuid expected = vm_uuid_from_name("vm7");

	check(procfs_parse_command_line(line, sizeof(line) - 1, &process));
	check_string(process.name, "vm7");
	check_int(process.vcpus, 2);
	check(vm_uuid_equal(&process.uuid, &expected));
	check_string(process.qmp_path, "/run/vm7.qmp");
	check(!process.of_libvirt);
}

/* As Proxmox writes it: the second monitor connects to a server, it is none. */
static void test_command_line_of_a_control_chardev(void)
{
	static const char line[] =
		"/usr/bin/kvm\0-chardev\0"
		"socket,id=events,path=/run/events.sock,reconnect=5\0"
		"-mon\0chardev=events,mode=control\0-mon\0chardev=qmp0,mode=control\0"
		"-chardev\0socket,id=serial,path=/run/s.sock,server=on\0"
		"-chardev\0socket,id=qmp0,path=/run/a.sock,server=on,wait=off\0"
		"-mon\0chardev=serial,mode=readline\0-nodefaults";
	struct qemu_process process;

	check(procfs_parse_command_line(line, sizeof(line) - 1, &process));
	check_string(process.qmp_path, "/run/a.sock");
	check(!process.has_network);
}

static void test_command_line_tells_of_a_network(void)
{
	static const char by_default[] = "qemu-system-x86_64", none[] = "q\0-nic\0none",
			  own[] = "q\0-nodefaults\0-netdev\0user,id=n";
	struct qemu_process process;

	check(procfs_parse_command_line(by_default, sizeof(by_default) - 1, &process));
	check(process.has_network);
	check(procfs_parse_command_line(none, sizeof(none) - 1, &process));
	check(!process.has_network);
	check(procfs_parse_command_line(own, sizeof(own) - 1, &process));
	check(process.has_network);
}

static void test_programs_that_are_qemu(void)
{
	struct qemu_process process;

	check(procfs_is_qemu("/usr/bin/qemu-system-x86_64"));
	check(procfs_is_qemu("/usr/bin/qemu-system-x86_64 (deleted)"));
	check(procfs_is_qemu("/usr/libexec/qemu-kvm"));
	check(!procfs_is_qemu("/bin/sh"));
	check(!procfs_is_qemu("/opt/qemu-system-x86_64/sh"));
	check(!procfs_is_qemu("qemu-img"));
	check(!procfs_parse_command_line("", 0, &process));
}

static void test_interfaces_are_seen_from_the_vm(void)
{
	static const char text[] = "Inter-|   Receive                            |  Transmit\n"
				   " face |bytes packets errs drop fifo frame compressed "
				   "multicast|bytes packets errs drop\n"
				   "    lo: 10 1 0 0 0 0 0 0 10 1 0 0 0 0 0 0\n"
				   "tap-vm1: 700 7 0 2 0 0 0 0 9000 9 0 3 0 0 0 0\n"
				   "garbage: x\n";
	struct device_counters interfaces[4];

	check_int(procfs_parse_interfaces(text, interfaces, 4), 2);
	check_string(interfaces[1].name, "tap-vm1");
	check_int(interfaces[1].values[0], 9000); /* what the tap sends, the VM receives */
	check_int(interfaces[1].values[1], 700);
	check_int(interfaces[1].values[4], 5);
}

static void test_counters_do_not_jump_on_hotplug(void)
{
	struct device_counters one[] = {{"vda", {100}}}, two[] = {{"vda", {110}}, {"vdb", {5000}}};
	struct device_counters later[] = {{"vda", {115}}, {"vdb", {5007}}},
			       gone[] = {{"vdb", {5009}}};
	struct counters counters = {0};

	check_int(counters_update(&counters, one, 1), 0);
	check_near(counters.totals[0], 0, 0);
	check_int(counters_update(&counters, two, 2), 0);
	check_near(counters.totals[0], 10, 0);
	check_int(counters_update(&counters, later, 2), 0);
	check_near(counters.totals[0], 22, 0);
	check_int(counters_update(&counters, gone, 1), 0);
	check_near(counters.totals[0], 24, 0);
	counters_deinit(&counters);
}

static void test_counters_reset_makes_the_sum_go_back(void)
{
	struct device_counters before[] = {{"vda", {100, 7}}, {"vdb", {10, 7}}};
	struct device_counters reset[] = {{"vda", {3, 8}}, {"vdb", {5000, 8}}};
	struct counters counters = {0};

	check_int(counters_update(&counters, before, 2), 0);
	check_int(counters_update(&counters, reset, 2), 0);
	check(counters.totals[0] < 0); /* although the other device grew by more */
	check_near(counters.totals[1], 2, 0);
	reset[0].values[0] += 4;
	check_int(counters_update(&counters, reset, 2), 0);
	check_near(counters.totals[0], -1 + 4, 0);
	counters_deinit(&counters);
}

static void test_metadata_of_nova(void)
{
	static const char xml[] =
		"<nova:instance xmlns:nova=\"http://openstack.org/xmlns/libvirt/nova/1.1\">\n"
		"  <nova:package version=\"25\"/><nova:name> shop &amp; web </nova:name>"
		"<nova:owner><nova:user uuid=\"1\">u</nova:user>"
		"<nova:project uuid=\"2\">retail</nova:project></nova:owner></nova:instance>";
	char text[32];

	check(metadata_element(xml, "name", text, sizeof(text)));
	check_string(text, "shop & web");
	check(metadata_element(xml, "project", text, sizeof(text)));
	check_string(text, "retail");
	check(!metadata_element(xml, "package", text, sizeof(text)));
	check(!metadata_element("<a", "a", text, sizeof(text)));
	check(!metadata_element("", "a", text, sizeof(text)));
}

static void test_cpu_time_of_a_process_grows(void)
{
	double before, after;
	volatile unsigned long work = 0;

	check_int(procfs_cpu_time(getpid(), &before), 0);
	for (clock_t end = clock() + CLOCKS_PER_SEC / 50; clock() < end;)
		work++;
	check_int(procfs_cpu_time(getpid(), &after), 0);
	check(after - before >= 1e9 / 100 && after - before < 10e9);
}

static void test_process_that_ended_is_not_running(void)
{
	struct device_counters interfaces[64];
	double time;
	pid_t child = fork();

	check(child >= 0);
	if (child == 0)
		_exit(0);
	check(waitpid(child, NULL, 0) == child);
	check(!procfs_is_running(child, 0));
	check(procfs_interfaces(child, interfaces, 64) < 0);
	check(procfs_cpu_time(child, &time) < 0);
	check(procfs_interfaces(getpid(), interfaces, 64) >= 1);
}

TEST_MAIN(TEST(test_command_line_of_a_libvirt_domain), TEST(test_command_line_of_a_bare_qemu),
	  TEST(test_command_line_of_a_control_chardev), TEST(test_command_line_tells_of_a_network),
	  TEST(test_command_line_tells_cards_and_memory), TEST(test_programs_that_are_qemu),
	  TEST(test_interfaces_are_seen_from_the_vm), TEST(test_counters_do_not_jump_on_hotplug),
	  TEST(test_counters_reset_makes_the_sum_go_back), TEST(test_metadata_of_nova),
	  TEST(test_cpu_time_of_a_process_grows), TEST(test_process_that_ended_is_not_running))
