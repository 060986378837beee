/* SPDX-License-Identifier: Apache-2.0 */
#include "hypervisor/procfs.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { FILE_SIZE_MAX = 256 << 10, DESCRIPTORS_MAX = 16384 };

#define MEMORY_DEFAULT (UINT64_C(128) << 20)

/* /dev/net/tun */
enum { TUN_MAJOR = 10, TUN_MINOR = 200 };

DEFINE_CLEANUP(DIR *, closedir)
DEFINE_CLEANUP(json_t *, json_decref)

/* Reads /proc/PID/... into text and ends it with NUL; returns the size or a negative errno. */
static ssize_t read_file(char *text, size_t capacity, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static ssize_t read_file(char *text, size_t capacity, const char *format, ...)
{
	cleanup(close) int fd = -1;
	char path[128];
	size_t size = 0;
	va_list args;

	va_start(args, format);
	(void)vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (size < capacity - 1) {
		ssize_t n = read(fd, text + size, capacity - 1 - size);

		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		size += (size_t)n;
	}
	text[size] = '\0';
	return (ssize_t)size;
}

/* Command lines */

bool procfs_is_qemu(const char *program)
{
	const char *slash = strrchr(program, '/');
	const char *name = slash ? slash + 1 : program;

	/* " (deleted)" follows in the link of a program that was upgraded while it runs */
	return strncmp(name, "qemu-system-", 12) == 0 || strncmp(name, "qemu-kvm", 8) == 0;
}

/* The value of `key` in "a=1,key=value,..."; with first, a leading part without '=' counts as it. A
 * doubled comma is a comma of the value. */
static bool get_option(const char *options, const char *key, bool first, char *value,
		       size_t capacity)
{
	size_t length = strlen(key);

	for (const char *part = options; *part;) {
		bool wanted = strncmp(part, key, length) == 0 && part[length] == '=';
		const char *from = wanted ? part + length + 1 : part;
		size_t used = 0;

		if (first && part == options && !memchr(part, '=', strcspn(part, ",")))
			wanted = true;
		for (part = from; *part && (*part != ',' || part[1] == ','); part++) {
			if (*part == ',')
				part++;
			if (wanted && used + 1 < capacity)
				value[used++] = *part;
		}
		if (wanted) {
			value[used] = '\0';
			return true;
		}
		if (*part == ',')
			part++;
	}
	return false;
}

/* "unix:/path,server=on": the socket's path. */
static void take_qmp(struct qemu_process *process, const char *value)
{
	if (strncmp(value, "unix:", 5) == 0 && !process->qmp_path[0])
		(void)get_option(value + 5, "path", true, process->qmp_path,
				 sizeof(process->qmp_path));
}

static const char *next_argument(const char *argument)
{
	return argument + strlen(argument) + 1;
}

/* A monitor of mode control: QMP is served where its character device is a listening Unix socket.
 */
static void take_monitor(struct qemu_process *process, const char *value, const char *line,
			 const char *end)
{
	char wanted[PROCFS_NAME_SIZE], id[PROCFS_NAME_SIZE], mode[16];

	if (process->qmp_path[0] || !get_option(value, "mode", false, mode, sizeof(mode)) ||
	    strcmp(mode, "control") != 0 ||
	    !get_option(value, "chardev", true, wanted, sizeof(wanted)))
		return;
	for (const char *argument = line; argument < end; argument = next_argument(argument))
		if (strncmp(argument, "socket,", 7) == 0 && strstr(argument, ",server") &&
		    !strstr(argument, ",server=off") &&
		    get_option(argument, "id", false, id, sizeof(id)) && strcmp(id, wanted) == 0)
			(void)get_option(argument, "path", false, process->qmp_path,
					 sizeof(process->qmp_path));
}

/* What the command line says of network devices; without a word of them QEMU makes one. */
struct network_words {
	bool any, none;
};

static void take_network(struct network_words *words, const char *name, const char *value)
{
	bool network = strcmp(name, "-netdev") == 0 || strcmp(name, "-nic") == 0 ||
		       strcmp(name, "-net") == 0;

	if (strcmp(name, "-nodefaults") == 0 || (network && strcmp(value, "none") == 0))
		words->none = true;
	else if (network)
		words->any = true;
}

/* Devices of the host that are handed to the VM: whether it is one of the network. */
static bool is_network_device(const char *host)
{
	char text[32];
	const char *domain = strchr(host, ':') == strrchr(host, ':') ? "0000:" : "";

	return *host &&
	       read_file(text, sizeof(text), "/sys/bus/pci/devices/%.8s%.32s/class", domain, host) >
		       0 &&
	       strncmp(text, "0x02", 4) == 0;
}

/* A device's option in either of the two forms, "" where it has none. */
static void get_device_option(const char *value, const json_t *object, const char *key, bool first,
			      char text[PROCFS_NAME_SIZE])
{
	const char *found = json_string_value(json_object_get(object, key));

	text[0] = '\0';
	if (object)
		(void)snprintf(text, PROCFS_NAME_SIZE, "%s", found ? found : "");
	else
		(void)get_option(value, key, first, text, PROCFS_NAME_SIZE);
}

/* Whether it is a network card that is connected to something. */
static bool is_card(const char *name, const char *value)
{
	cleanup(json_decref) json_t *object = NULL;
	char driver[PROCFS_NAME_SIZE], netdev[PROCFS_NAME_SIZE], host[PROCFS_NAME_SIZE];

	if (strcmp(name, "-nic") == 0)
		return strcmp(value, "none") != 0;
	if (strcmp(name, "-net") == 0)
		return strncmp(value, "nic", 3) == 0;
	if (strcmp(name, "-device") != 0)
		return false;
	if (*value == '{')
		object = json_loads(value, 0, NULL);
	get_device_option(value, object, "driver", true, driver);
	get_device_option(value, object, "netdev", false, netdev);
	get_device_option(value, object, "host", false, host);
	return *netdev || (strncmp(driver, "vfio-pci", 8) == 0 && is_network_device(host));
}

/* "512", "2G", "size=1048576k,...": MiB where it does not say. */
static void take_memory(struct qemu_process *process, const char *value)
{
	static const char units[] = "bkmgt";
	char text[PROCFS_NAME_SIZE], *end;
	unsigned long long number;
	const char *unit;

	if (!get_option(value, "size", true, text, sizeof(text)))
		return;
	number = strtoull(text, &end, 10);
	unit = *end ? strchr(units, tolower((unsigned char)*end)) : units + 2;
	if (end > text && unit && number <= UINT64_MAX >> 10 * (unit - units))
		process->memory_bytes = (uint64_t)number << 10 * (unit - units);
}

/* libvirt gives each domain a folder, in which is the key of its secrets. */
static bool is_of_libvirt(const char *argument)
{
	const char *folder = strstr(argument, "/libvirt/qemu/");

	return folder && strstr(folder, "domain-");
}

static void take_argument(struct qemu_process *process, const char *name, const char *value)
{
	char text[PROCFS_NAME_SIZE];

	if (strcmp(name, "-name") == 0) {
		(void)get_option(value, "guest", true, process->name, sizeof(process->name));
	} else if (strcmp(name, "-uuid") == 0) {
		(void)vm_uuid_parse(value, &process->uuid);
	} else if (strcmp(name, "-smp") == 0) {
		if (get_option(value, "cpus", true, text, sizeof(text)) && atoi(text) > 0)
			process->vcpus = (uint32_t)atoi(text);
	} else if (strcmp(name, "-m") == 0) {
		take_memory(process, value);
	} else if (strcmp(name, "-qmp") == 0) {
		take_qmp(process, value);
	}
}

bool procfs_parse_command_line(const char *line, size_t size, struct qemu_process *ret_process)
{
	static const struct vm_uuid none;
	struct network_words network = {0};
	const char *end = line + size;

	*ret_process = (struct qemu_process){.vcpus = 1, .memory_bytes = MEMORY_DEFAULT};
	if (size == 0 || line[size] != '\0')
		return false;
	for (const char *argument = next_argument(line); argument < end;
	     argument = next_argument(argument)) {
		const char *name = strncmp(argument, "--", 2) == 0 ? argument + 1 : argument;
		const char *value = next_argument(argument) < end ? next_argument(argument) : "";

		take_argument(ret_process, name, value);
		ret_process->of_libvirt |= is_of_libvirt(argument);
		take_network(&network, name, value);
		ret_process->network_cards += is_card(name, value);
		if (strcmp(name, "-mon") == 0)
			take_monitor(ret_process, value, line, end);
	}
	ret_process->has_network = network.any || !network.none;
	if (!network.any && !network.none)
		ret_process->network_cards++;
	if (vm_uuid_equal(&ret_process->uuid, &none) && ret_process->name[0])
		ret_process->uuid = vm_uuid_from_name(ret_process->name);
	return true;
}

/* Field 3 and 22 of /proc/PID/stat: state and start time; the name before them may hold anything.
 */
static bool read_start(pid_t pid, uint64_t *ret_start_ticks)
{
	char text[1024];
	const char *rest;
	char state;

	if (read_file(text, sizeof(text), "/proc/%d/stat", (int)pid) <= 0)
		return false;
	rest = strrchr(text, ')');
	if (!rest ||
	    sscanf(rest + 1,
		   " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
		   "%*d %" SCNu64,
		   &state, ret_start_ticks) != 2)
		return false;
	return state != 'Z' && state != 'X';
}

bool procfs_is_running(pid_t pid, uint64_t start_ticks)
{
	uint64_t now;

	return read_start(pid, &now) && now == start_ticks;
}

static void name_by_pid(struct qemu_process *process)
{
	if (process->name[0])
		return;
	(void)snprintf(process->name, sizeof(process->name), "qemu-%d", (int)process->pid);
	process->uuid = vm_uuid_from_name(process->name);
}

bool procfs_shares_network(const struct qemu_process *process)
{
	struct stat info;

	return stat("/proc/thread-self/ns/net", &info) == 0 &&
	       info.st_ino == process->network_namespace;
}

/* The link tells the program without touching the process's memory, on which reading a command
 * line can hang. */
static bool runs_qemu(pid_t pid)
{
	char path[64], program[PATH_MAX];
	ssize_t length;

	(void)snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	length = readlink(path, program, sizeof(program) - 1);
	if (length < 0)
		return false; /* a thread of the kernel, or ended */
	program[length] = '\0';
	return procfs_is_qemu(program);
}

bool procfs_examine(pid_t pid, struct qemu_process *ret_process)
{
	cleanup(free) char *line = malloc(FILE_SIZE_MAX);
	struct stat info;
	char path[64];
	ssize_t size = line && runs_qemu(pid)
			       ? read_file(line, FILE_SIZE_MAX, "/proc/%d/cmdline", (int)pid)
			       : -1;

	if (size <= 0 || !procfs_parse_command_line(line, (size_t)size, ret_process))
		return false;
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	if (stat(path, &info) < 0)
		return false;
	ret_process->network_namespace = info.st_ino;
	ret_process->pid = pid;
	name_by_pid(ret_process);
	return read_start(pid, &ret_process->start_ticks);
}

int procfs_list(pid_t *pids, size_t capacity)
{
	cleanup(closedir) DIR *directory = opendir("/proc");
	const struct dirent *entry;
	size_t count = 0;

	if (!directory)
		return -errno;
	while (count < capacity && (entry = readdir(directory))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10); /* 0: no process */

		if (pid > 0 && runs_qemu(pid))
			pids[count++] = pid;
	}
	return (int)count;
}

/* Taps: a descriptor of /dev/net/tun tells its interface in fdinfo ("iff:\ttap0"). */

static bool tap_of(pid_t pid, const char *descriptor, char tap[PROCFS_TAP_SIZE])
{
	char path[64], text[1024];
	const char *line;
	struct stat info;

	/* by its number: its name is another one where QEMU sees other file systems than we do */
	(void)snprintf(path, sizeof(path), "/proc/%d/fd/%.16s", (int)pid, descriptor);
	if (stat(path, &info) < 0 || !S_ISCHR(info.st_mode) ||
	    info.st_rdev != makedev(TUN_MAJOR, TUN_MINOR))
		return false;
	if (read_file(text, sizeof(text), "/proc/%d/fdinfo/%.16s", (int)pid, descriptor) <= 0)
		return false;
	line = strstr(text, "iff:");
	return line && sscanf(line, "iff: %15s", tap) == 1;
}

static bool is_listed(char taps[PROCFS_TAPS_MAX][PROCFS_TAP_SIZE], size_t count, const char *tap)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(taps[i], tap) == 0)
			return true;
	return false;
}

int procfs_taps(pid_t pid, char taps[PROCFS_TAPS_MAX][PROCFS_TAP_SIZE])
{
	cleanup(closedir) DIR *directory = NULL;
	const struct dirent *entry;
	size_t count = 0, seen = 0;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	directory = opendir(path);
	if (!directory)
		return -errno;
	while ((errno = 0, entry = readdir(directory))) {
		char tap[PROCFS_TAP_SIZE];

		if (seen++ == DESCRIPTORS_MAX)
			return -E2BIG;
		if (!tap_of(pid, entry->d_name, tap) || is_listed(taps, count, tap))
			continue; /* a tap of several queues has several descriptors */
		if (count == PROCFS_TAPS_MAX)
			return -E2BIG;
		memcpy(taps[count++], tap, PROCFS_TAP_SIZE);
	}
	return errno ? -errno : (int)count;
}

/* Counters */

int procfs_cpu_time(pid_t pid, double *ret_nsec)
{
	struct timespec time;
	clockid_t clock;
	int r = clock_getcpuclockid(pid, &clock);

	if (r != 0)
		return -r;
	if (clock_gettime(clock, &time) < 0)
		return -errno;
	*ret_nsec = (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
	return 0;
}

size_t procfs_run_delays(pid_t pid, struct device_counters *threads, size_t capacity)
{
	cleanup(closedir) DIR *directory = NULL;
	const struct dirent *entry;
	char path[64], text[128];
	size_t count = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	directory = opendir(path);
	if (!directory)
		return 0;
	while (count < capacity && (entry = readdir(directory))) {
		struct device_counters *thread = &threads[count];

		if (!isdigit((unsigned char)entry->d_name[0]) ||
		    read_file(text, sizeof(text), "/proc/%d/task/%.16s/schedstat", (int)pid,
			      entry->d_name) <= 0)
			continue;
		*thread = (struct device_counters){0};
		(void)snprintf(thread->name, sizeof(thread->name), "%.16s", entry->d_name);
		count += sscanf(text, "%*u %" SCNu64, &thread->values[0]) == 1;
	}
	return count;
}

int procfs_resident_bytes(pid_t pid, double *ret_bytes)
{
	char text[256];
	uint64_t pages;
	ssize_t size = read_file(text, sizeof(text), "/proc/%d/statm", (int)pid);

	if (size < 0)
		return (int)size;
	if (sscanf(text, "%*u %" SCNu64, &pages) != 1)
		return -EPROTO;
	*ret_bytes = (double)pages * (double)sysconf(_SC_PAGESIZE);
	return 0;
}

/* "  tap0: rx_bytes packets errs drop fifo frame compressed multicast tx_bytes packets errs drop
 * ..." What a tap receives is what its VM sends. */
static bool parse_interface(const char *line, struct device_counters *interface)
{
	uint64_t rx_bytes, rx_packets, rx_drops, tx_bytes, tx_packets, tx_drops;
	char name[32];

	if (sscanf(line,
		   " %31[^: ]: %" SCNu64 " %" SCNu64 " %*u %" SCNu64 " %*u %*u %*u %*u %" SCNu64
		   " %" SCNu64 " %*u %" SCNu64,
		   name, &rx_bytes, &rx_packets, &rx_drops, &tx_bytes, &tx_packets, &tx_drops) != 7)
		return false;
	*interface = (struct device_counters){
		.values = {tx_bytes, rx_bytes, tx_packets, rx_packets, rx_drops + tx_drops}};
	(void)snprintf(interface->name, sizeof(interface->name), "%s", name);
	return true;
}

size_t procfs_parse_interfaces(const char *text, struct device_counters *interfaces,
			       size_t capacity)
{
	size_t count = 0;

	while (*text && count < capacity) {
		count += parse_interface(text, &interfaces[count]);
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	return count;
}

int procfs_interfaces(pid_t pid, struct device_counters *interfaces, size_t capacity)
{
	char text[FILE_SIZE_MAX]; /* only what is filled costs memory */
	ssize_t size = read_file(text, sizeof(text), "/proc/%d/net/dev", (int)pid);

	return size < 0 ? (int)size : (int)procfs_parse_interfaces(text, interfaces, capacity);
}
