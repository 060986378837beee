/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest's own kernel says. See witness.h. */
#include "witness.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

enum {
	TEXT_STEP = 65536,
	LOG_READ_ALL = 3, /* of klogctl(2) */
	LOG_SIZE = 10,
	LOG_LINES_SHOWN = 20,
};

ssize_t slurp(const char *path, char **ret_text)
{
	static char *text;
	static size_t room;
	size_t size = 0;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	do {
		if (room < size + TEXT_STEP) {
			room = (size + TEXT_STEP) * 2;
			text = realloc(text, room);
			if (!text)
				abort();
		}
		n = read(fd, text + size, room - size - 1);
		if (n > 0)
			size += (size_t)n;
	} while (n > 0);
	close(fd);
	text[size] = 0;
	*ret_text = text;
	return n < 0 ? -1 : (ssize_t)size;
}

/* The fields of /proc/PID/stat that are told. */
struct stat_line {
	char comm[64];
	char state;
	int parent, threads;
	unsigned long flags, utime, stime;
	long long start;
};

static bool read_stat(pid_t pid, struct stat_line *ret_line)
{
	struct stat_line s = {.state = 0};
	char path[64], *text, *first, *last;
	size_t size;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (slurp(path, &text) <= 0)
		return false;
	first = strchr(text, '(');
	last = strrchr(text, ')'); /* a command may hold brackets */
	if (!first || !last)
		return false;
	size = (size_t)(last - first - 1);
	if (size >= sizeof(s.comm))
		size = sizeof(s.comm) - 1;
	memcpy(s.comm, first + 1, size);
	if (sscanf(last + 1,
		   " %c %d %*d %*d %*d %*d %lu %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %d %*d %lld",
		   &s.state, &s.parent, &s.flags, &s.utime, &s.stime, &s.threads, &s.start) != 7)
		return false;
	*ret_line = s;
	return true;
}

bool process_stat(pid_t pid, char *ret_state, char *ret_comm, long long *ret_start)
{
	struct stat_line s;

	if (pid <= 0 || !read_stat(pid, &s))
		return false;
	*ret_state = s.state;
	memcpy(ret_comm, s.comm, sizeof(s.comm));
	*ret_start = s.start;
	return true;
}

/* The numbers behind "KEY:" in a file of such lines, as one array or, where there is one, as a
 * number. */
static void tell_numbers(struct json *j, const char *text, const char *key, const char *name,
			 bool array)
{
	const char *at = text;
	size_t size = strlen(key);
	char *end;

	while (at && strncmp(at, key, size) != 0) {
		at = strchr(at, '\n');
		at = at ? at + 1 : NULL;
	}
	if (!at)
		return;
	at += size;
	if (!array) {
		json_number(j, name, strtoll(at, NULL, 10));
		return;
	}
	json_open(j, name, '[');
	for (;;) {
		while (*at == ' ' || *at == '\t')
			at++;
		if (!isdigit((unsigned char)*at))
			break;
		json_number(j, NULL, strtoll(at, &end, 10));
		at = end;
	}
	json_close(j, ']');
}

static void tell_status(struct json *j, pid_t pid)
{
	char path[64], *text;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if (slurp(path, &text) > 0) {
		tell_numbers(j, text, "Uid:", "uids", true);
		tell_numbers(j, text, "NSpid:", "nspid", true);
	}
	snprintf(path, sizeof(path), "/proc/%d/io", pid);
	if (slurp(path, &text) > 0) {
		tell_numbers(j, text, "rchar:", "rchar", false);
		tell_numbers(j, text, "wchar:", "wchar", false);
		tell_numbers(j, text, "read_bytes:", "read_bytes", false);
		tell_numbers(j, text, "write_bytes:", "write_bytes", false);
	}
}

/* The arguments as they lie in memory, with a NUL behind each. */
static void tell_cmdline(struct json *j, pid_t pid)
{
	char path[64], *text;
	ssize_t size;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	size = slurp(path, &text);
	json_bytes(j, "cmdline", text, size > 0 ? (size_t)size : 0);
}

static void tell_link(struct json *j, const char *key, const char *path)
{
	char target[4096];
	ssize_t size = readlink(path, target, sizeof(target));

	if (size >= 0)
		json_bytes(j, key, target, (size_t)size);
}

static void tell_descriptors(struct json *j, pid_t pid)
{
	char path[320];
	const struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	json_open(j, "fds", '{');
	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/fd/%s", pid, entry->d_name);
		tell_link(j, entry->d_name, path);
	}
	json_close(j, '}');
	if (dir)
		closedir(dir);
}

static void tell_process(struct json *j, pid_t pid)
{
	char path[64];
	struct stat_line s;

	if (!read_stat(pid, &s))
		return;
	json_open(j, NULL, '{');
	json_number(j, "pid", pid);
	json_number(j, "ppid", s.parent);
	json_text(j, "comm", s.comm);
	json_bytes(j, "state", &s.state, 1);
	json_number(j, "flags", (long long)s.flags);
	json_number(j, "utime", (long long)s.utime);
	json_number(j, "stime", (long long)s.stime);
	json_number(j, "threads", s.threads);
	json_number(j, "start", s.start);
	tell_status(j, pid);
	tell_cmdline(j, pid);
	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	tell_link(j, "exe", path);
	snprintf(path, sizeof(path), "/proc/%d/ns/pid", pid);
	tell_link(j, "pid_namespace", path);
	tell_descriptors(j, pid);
	json_close(j, '}');
}

static void tell_processes(struct json *j, pid_t only)
{
	const struct dirent *entry;
	DIR *proc = opendir("/proc");

	json_open(j, "processes", '[');
	while (proc && (entry = readdir(proc)))
		if (isdigit((unsigned char)entry->d_name[0]) &&
		    (!only || atoi(entry->d_name) == only))
			tell_process(j, atoi(entry->d_name));
	json_close(j, ']');
	if (proc)
		closedir(proc);
}

/* An address of /proc/net: words of 32 bits, in hexadecimal, each in the host's byte order. */
static void tell_address(struct json *j, const char *key, const char *hex)
{
	unsigned int words[4] = {0};
	char text[INET6_ADDRSTRLEN] = "?";

	if (sscanf(hex, "%8x%8x%8x%8x", &words[0], &words[1], &words[2], &words[3]) >= 1)
		inet_ntop(strlen(hex) > 8 ? AF_INET6 : AF_INET, words, text, sizeof(text));
	json_text(j, key, text);
}

static const char *socket_state(unsigned int number)
{
	static const char *const names[] = {
		"?",         "ESTABLISHED", "SYN_SENT",     "SYN_RECV",   "FIN_WAIT1",
		"FIN_WAIT2", "TIME_WAIT",   "CLOSE",        "CLOSE_WAIT", "LAST_ACK",
		"LISTEN",    "CLOSING",     "NEW_SYN_RECV",
	};

	return number < sizeof(names) / sizeof(names[0]) ? names[number] : "?";
}

static void tell_sockets(struct json *j, const char *protocol)
{
	char path[32], *line, *rest = NULL, *text;

	snprintf(path, sizeof(path), "/proc/net/%s", protocol);
	if (slurp(path, &text) <= 0)
		return;
	strtok_r(text, "\n", &rest); /* the heading */
	while ((line = strtok_r(NULL, "\n", &rest))) {
		char local[33], remote[33];
		unsigned int local_port, remote_port, state, uid;
		unsigned long inode;

		if (sscanf(line, " %*[^:]: %32[0-9A-F]:%x %32[0-9A-F]:%x %x %*s %*s %*s %u %*s %lu",
			   local, &local_port, remote, &remote_port, &state, &uid, &inode) != 7)
			continue;
		json_open(j, NULL, '{');
		json_text(j, "protocol", protocol);
		tell_address(j, "local", local);
		json_number(j, "local_port", local_port);
		tell_address(j, "remote", remote);
		json_number(j, "remote_port", remote_port);
		json_text(j, "state", socket_state(state));
		json_number(j, "uid", uid);
		json_number(j, "inode", (long long)inode);
		json_close(j, '}');
	}
}

static void tell_modules(struct json *j)
{
	char *line, *rest = NULL, *text;

	json_open(j, "modules", '[');
	if (slurp("/proc/modules", &text) > 0)
		for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
			char name[64], state[16];
			long long size;
			unsigned long long address;

			if (sscanf(line, "%63s %lld %*s %*s %15s %llx", name, &size, state,
				   &address) != 4)
				continue;
			json_open(j, NULL, '{');
			json_text(j, "name", name);
			json_number(j, "size", size);
			json_text(j, "state", state);
			json_unsigned(j, "address", address);
			json_close(j, '}');
		}
	json_close(j, ']');
}

static bool is_bad(const char *line)
{
	return strstr(line, "WARNING:") || strstr(line, "BUG:") || strstr(line, "Oops") ||
	       strstr(line, "general protection");
}

static void tell_log(struct json *j)
{
	int size = klogctl(LOG_SIZE, NULL, 0), bad = 0;
	char *text = calloc(1, (size_t)(size > 0 ? size : 0) + 1), *line, *rest = NULL;

	if (!text)
		abort();
	if (size > 0)
		klogctl(LOG_READ_ALL, text, size);
	json_open(j, "log_bad_lines", '[');
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		if (is_bad(line) && bad++ < LOG_LINES_SHOWN)
			json_text(j, NULL, line);
	json_close(j, ']');
	json_number(j, "log_bad", bad);
	free(text);
}

static void tell_file(struct json *j, const char *key, const char *path)
{
	char *text;

	if (slurp(path, &text) >= 0) {
		text[strcspn(text, "\n")] = 0;
		json_text(j, key, text);
	}
}

static void tell_machine(struct json *j)
{
	struct timespec up, now;
	char *text;

	clock_gettime(CLOCK_BOOTTIME, &up);
	clock_gettime(CLOCK_REALTIME, &now);
	json_number(j, "uptime_usec", up.tv_sec * 1000000LL + up.tv_nsec / 1000);
	json_number(j, "time_usec", now.tv_sec * 1000000LL + now.tv_nsec / 1000);
	json_number(j, "ticks_per_second", sysconf(_SC_CLK_TCK));
	json_number(j, "cpus", sysconf(_SC_NPROCESSORS_ONLN));
	tell_file(j, "version", "/proc/version");
	if (slurp("/proc/sys/kernel/tainted", &text) > 0)
		json_number(j, "tainted", strtoll(text, NULL, 10));
	if (slurp("/proc/cpuinfo", &text) > 0) {
		json_number(j, "levels", strstr(text, " la57") ? 5 : 4);
		json_bool(j, "pti", strstr(text, " pti ") != NULL);
	}
}

void facts_write(struct json *j, pid_t only)
{
	tell_machine(j);
	tell_processes(j, only);
	if (only)
		return;
	json_open(j, "sockets", '[');
	tell_sockets(j, "tcp");
	tell_sockets(j, "tcp6");
	tell_sockets(j, "udp");
	tell_sockets(j, "udp6");
	json_close(j, ']');
	tell_modules(j);
	tell_log(j);
}

void facts_symbols(struct json *j, char **names, int count)
{
	FILE *file = fopen("/proc/kallsyms", "re");
	unsigned long long address;
	char line[1024], name[512];

	json_open(j, "symbols", '{');
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%llx %*c %511s", &address, name) != 2)
			continue;
		for (int i = 0; i < count; i++)
			if (strcmp(names[i], name) == 0)
				json_unsigned(j, name, address);
	}
	json_close(j, '}');
	if (file)
		fclose(file);
}
