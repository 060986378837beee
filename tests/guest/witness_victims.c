/* SPDX-License-Identifier: Apache-2.0 */
/* The shapes of processes that tests look at and end. See witness.h. */
#include "witness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	MANY_DESCRIPTORS = 3000,
	SENT4_BYTES = 100000, /* by the connection over IPv4, from client to server */
	SENT6_BYTES = 50000,
	ANSWERED4_BYTES = 20000, /* and back */
	DISK_WRITE_BYTES = 1 << 20,
	DISK_READ_BYTES = 2 << 20,
	OTHER_UID = 1234,
};

static const char disk_path[] = "/dev/ram0";

static void must(bool good, const char *what)
{
	if (!good) {
		perror(what);
		_exit(126);
	}
}

/* Members of JSON, each with a comma in front; ends the report. */
__attribute__((format(printf, 1, 2))) static void report(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vdprintf(VICTIM_REPORT, format, list);
	va_end(list);
	close(VICTIM_REPORT);
}

static void report_nothing(void)
{
	report(",\"ready\":true");
}

static void spin(void)
{
	for (volatile unsigned long turns = 0;; turns++)
		;
}

static void rest_forever(void)
{
	for (;;)
		pause();
}

static int number(char **arguments, int otherwise)
{
	return arguments[0] ? atoi(arguments[0]) : otherwise;
}

static void run_busy(char **arguments)
{
	report_nothing();
	spin();
}

static void run_nanosleep(char **arguments)
{
	report_nothing();
	nanosleep(&(struct timespec){.tv_sec = 1000000}, NULL);
}

static void run_pause(char **arguments)
{
	report_nothing();
	rest_forever();
}

static void run_poll(char **arguments)
{
	report_nothing();
	poll(NULL, 0, -1);
}

static void run_epoll(char **arguments)
{
	struct epoll_event event;
	int fd = epoll_create1(0);

	must(fd >= 0, "epoll");
	report_nothing();
	epoll_wait(fd, &event, 1, -1);
}

static void run_futex(char **arguments)
{
	int word = 0;

	report_nothing();
	syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL);
}

static void run_pipe(char **arguments)
{
	int ends[2];
	char c;

	must(pipe(ends) == 0, "pipe");
	report_nothing();
	must(read(ends[0], &c, 1) == 1, "read");
}

/* A bound socket of 127.0.0.1 or ::1 at a port of the kernel's choice. */
static int bound_socket(int family, int type, int *ret_port)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr_in four = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr *address =
		family == AF_INET ? (struct sockaddr *)&four : (struct sockaddr *)&six;
	socklen_t size = family == AF_INET ? sizeof(four) : sizeof(six);
	int fd = socket(family, type, 0);

	must(fd >= 0 && bind(fd, address, size) == 0 && getsockname(fd, address, &size) == 0,
	     "bind");
	if (type == SOCK_STREAM)
		must(listen(fd, SOMAXCONN) == 0, "listen");
	*ret_port = ntohs(family == AF_INET ? four.sin_port : six.sin6_port);
	return fd;
}

static int connected_socket(int family, int type, int port)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6,
				   .sin6_addr = IN6ADDR_LOOPBACK_INIT,
				   .sin6_port = htons((uint16_t)port)};
	struct sockaddr_in four = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				   .sin_port = htons((uint16_t)port)};
	int fd = socket(family, type, 0);

	must(fd >= 0, "socket");
	if (family == AF_INET)
		must(connect(fd, (struct sockaddr *)&four, sizeof(four)) == 0, "connect");
	else
		must(connect(fd, (struct sockaddr *)&six, sizeof(six)) == 0, "connect");
	return fd;
}

static int local_port(int fd)
{
	struct sockaddr_in6 address = {0};
	socklen_t size = sizeof(address);

	must(getsockname(fd, (struct sockaddr *)&address, &size) == 0, "getsockname");
	return ntohs(address.sin6_port); /* it lies where sin_port lies */
}

static void transfer(int from, int to, int bytes)
{
	static char block[4096];

	while (bytes > 0) {
		int step = bytes < (int)sizeof(block) ? bytes : (int)sizeof(block);

		must(write(from, block, (size_t)step) == step, "write");
		must(recv(to, block, (size_t)step, MSG_WAITALL) == step, "recv");
		bytes -= step;
	}
}

static void run_recv(char **arguments)
{
	int port, fd = bound_socket(AF_INET, SOCK_DGRAM, &port);
	char c;

	report(",\"port\":%d", port);
	must(recv(fd, &c, 1, 0) >= 0, "recv");
}

static void run_recv_tcp(char **arguments)
{
	int port, listener = bound_socket(AF_INET, SOCK_STREAM, &port);
	int client = connected_socket(AF_INET, SOCK_STREAM, port);
	char c;

	must(accept(listener, NULL, NULL) >= 0, "accept");
	report(",\"port\":%d", port);
	must(recv(client, &c, 1, 0) >= 0, "recv");
}

static void *thread_pause(void *nothing)
{
	rest_forever();
	return nothing;
}

static void *thread_nanosleep(void *nothing)
{
	nanosleep(&(struct timespec){.tv_sec = 1000000}, NULL);
	return nothing;
}

static void *thread_spin(void *nothing)
{
	spin();
	return nothing;
}

static void start_thread(void *(*run)(void *nothing))
{
	pthread_t thread;

	must(pthread_create(&thread, NULL, run, NULL) == 0, "thread");
}

/* Four threads, all asleep. */
static void run_mt_sleep(char **arguments)
{
	start_thread(thread_pause);
	start_thread(thread_nanosleep);
	start_thread(thread_nanosleep);
	nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
	report_nothing();
	rest_forever();
}

static void run_mt_busy(char **arguments)
{
	start_thread(thread_spin);
	report_nothing();
	rest_forever();
}

static void run_stopped(char **arguments)
{
	report_nothing();
	raise(SIGSTOP);
	rest_forever();
}

/* The parent sleeps deeply, but may be killed. The child dies with it. */
static void run_vfork(char **arguments)
{
	report_nothing();
	if (vfork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pause();
		_exit(0);
	}
}

/* Asleep where not even SIGKILL reaches: writing to a file system that it froze itself. "thaw" ends
 * that. */
static void run_dstate(char **arguments)
{
	int dir = open("/mnt", O_RDONLY), file = open("/mnt/frozen", O_RDWR | O_CREAT, 0600);

	must(dir >= 0 && file >= 0, "/mnt");
	must(ioctl(dir, FIFREEZE, 0) == 0, "freeze");
	report_nothing();
	must(write(file, "x", 1) == 1, "write");
	rest_forever();
}

/* Listeners on both loopback addresses, a connection to each with both ends here, UDP sockets. */
static void run_sockets(char **arguments)
{
	int port4, port6, udp4, udp6;
	int listener4 = bound_socket(AF_INET, SOCK_STREAM, &port4);
	int listener6 = bound_socket(AF_INET6, SOCK_STREAM, &port6);
	int client4 = connected_socket(AF_INET, SOCK_STREAM, port4);
	int server4 = accept(listener4, NULL, NULL);
	int client6 = connected_socket(AF_INET6, SOCK_STREAM, port6);
	int server6 = accept(listener6, NULL, NULL);
	int client_udp, unbound;

	must(server4 >= 0 && server6 >= 0, "accept");
	(void)bound_socket(AF_INET, SOCK_DGRAM, &udp4);
	(void)bound_socket(AF_INET6, SOCK_DGRAM, &udp6);
	client_udp = connected_socket(AF_INET, SOCK_DGRAM, udp4);
	unbound = socket(AF_UNIX, SOCK_STREAM, 0); /* for whoever counts all sockets as TCP */
	must(unbound >= 0, "socket");
	transfer(client4, server4, SENT4_BYTES);
	transfer(server4, client4, ANSWERED4_BYTES);
	transfer(client6, server6, SENT6_BYTES);
	report(",\"listen4\":%d,\"listen6\":%d,\"client4\":%d,\"client6\":%d,\"udp4\":%d,\"udp6\":%"
	       "d,"
	       "\"udp_client\":%d,\"sent4\":%d,\"answered4\":%d,\"sent6\":%d",
	       port4, port6, local_port(client4), local_port(client6), udp4, udp6,
	       local_port(client_udp), SENT4_BYTES, ANSWERED4_BYTES, SENT6_BYTES);
	rest_forever();
}

/* connect N [PORT]: N connections to that listener, by default one of its own. */
static void run_connect(char **arguments)
{
	int count = number(arguments, 10), port = 0, listener = -1;

	if (arguments[0] && arguments[1])
		port = atoi(arguments[1]);
	else
		listener = bound_socket(AF_INET, SOCK_STREAM, &port);
	for (int i = 0; i < count; i++) {
		(void)connected_socket(AF_INET, SOCK_STREAM, port);
		if (listener >= 0)
			must(accept(listener, NULL, NULL) >= 0, "accept");
	}
	report(",\"connections\":%d,\"port\":%d", count, port);
	rest_forever();
}

/* Accepts and keeps whatever comes. */
static void run_listener(char **arguments)
{
	int port, fd = bound_socket(AF_INET, SOCK_STREAM, &port);

	report(",\"port\":%d", port);
	while (accept(fd, NULL, NULL) >= 0 || errno == EINTR)
		;
}

static void run_files(char **arguments)
{
	int count = number(arguments, 20);
	char path[64];

	for (int i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "/tmp/v-files-%d-%d", getpid(), i);
		must(open(path, O_RDWR | O_CREAT, 0600) >= 0, path);
	}
	report(",\"files\":%d,\"prefix\":\"/tmp/v-files-%d-\"", count, getpid());
	rest_forever();
}

static void run_fds(char **arguments)
{
	int count = number(arguments, MANY_DESCRIPTORS);

	for (int i = 0; i < count; i++)
		must(open("/dev/null", O_RDONLY) >= 0, "/dev/null");
	report(",\"opened\":%d", count);
	rest_forever();
}

static void copy_self(int to)
{
	static char block[65536];
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	must(from >= 0 && to >= 0, "copy");
	while ((n = read(from, block, sizeof(block))) > 0)
		must(write(to, block, (size_t)n) == n, "copy");
	close(from);
}

static void enter_memfd(char **arguments)
{
	int fd = memfd_create("payload", MFD_CLOEXEC);

	copy_self(fd);
	fexecve(fd, arguments, environ);
}

static void enter_deleted(char **arguments)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/tmp/v-deleted-%d", getpid());
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
	copy_self(fd);
	close(fd);
	execv(path, arguments);
}

static void run_deleted(char **arguments)
{
	char path[64];

	snprintf(path, sizeof(path), "/tmp/v-deleted-%d", getpid());
	must(unlink(path) == 0, path);
	report(",\"path\":\"%s\"", path);
	rest_forever();
}

/* The first process of a namespace, with one child. */
static void run_ns(char **arguments)
{
	pid_t child = fork();

	if (child == 0) {
		close(VICTIM_REPORT);
		prctl(PR_SET_NAME, "v-ns-child");
		rest_forever();
	}
	report(",\"inner_pid\":%d,\"inner_child\":%d", getpid(), child);
	rest_forever();
}

/* An argument that would colour a terminal, and more of them than fit into a line. */
static void enter_uid(char **arguments)
{
	static char colours[] = "\033[31mred\033[0m\r\nforged line", invalid[] = "\xff\xfe\x80",
		    unicode[] = "\xc3\xbc", longish[301];
	char *long_arguments[] = {arguments[0], colours, invalid, unicode, longish, NULL};

	memset(longish, 'x', sizeof(longish) - 1);
	must(setresgid(OTHER_UID, OTHER_UID, OTHER_UID) == 0, "gid");
	must(setresuid(OTHER_UID, OTHER_UID, OTHER_UID) == 0, "uid");
	execv("/bin/witness", long_arguments);
}

static void run_uid(char **arguments)
{
	report(",\"uid\":%d", OTHER_UID);
	rest_forever();
}

static void disk_write(size_t bytes)
{
	int fd = open(disk_path, O_WRONLY);
	char *block = calloc(1, bytes);

	must(fd >= 0 && block && write(fd, block, bytes) == (ssize_t)bytes && fsync(fd) == 0,
	     disk_path);
	close(fd);
	free(block);
}

/* Past the page cache, so that each byte is read from the disk. */
static void disk_read(size_t bytes)
{
	int fd = open(disk_path, O_RDONLY | O_DIRECT);
	char *block = aligned_alloc(4096, bytes);

	must(fd >= 0 && block && read(fd, block, bytes) == (ssize_t)bytes, disk_path);
	close(fd);
	free(block);
}

static void run_io(char **arguments)
{
	disk_write(DISK_WRITE_BYTES);
	disk_read(DISK_READ_BYTES);
	report(",\"written\":%d,\"read\":%d", DISK_WRITE_BYTES, DISK_READ_BYTES);
	rest_forever();
}

static void connect_once(int listener, int port, bool client_closes_first)
{
	int client = connected_socket(AF_INET, SOCK_STREAM, port);
	int server = accept(listener, NULL, NULL);

	must(server >= 0, "accept");
	transfer(client, server, 1000);
	close(client_closes_first ? client : server);
	close(client_closes_first ? server : client);
}

/* Ten times a second: a connection of 1000 bytes, 4 KiB written to the disk, 8 KiB read. */
static void run_rate(char **arguments)
{
	int port, listener = bound_socket(AF_INET, SOCK_STREAM, &port);

	report(",\"port\":%d,\"connections_per_second\":10,\"written_per_second\":40960,"
	       "\"read_per_second\":81920,\"sent_per_second\":10000",
	       port);
	for (;;) {
		connect_once(listener, port, false);
		disk_write(4096);
		disk_read(8192);
		nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
	}
}

/* Fork, socket, exit: at most 200 times a second. */
static void run_storm(char **arguments)
{
	report_nothing();
	for (;;) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(socket(AF_INET, SOCK_STREAM, 0) < 0);
		if (pid > 0)
			waitpid(pid, NULL, 0);
		nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
	}
}

void victim_leave_timewait(struct json *j, int count)
{
	int port, listener = bound_socket(AF_INET, SOCK_STREAM, &port);

	for (int i = 0; i < count; i++)
		connect_once(listener, port, true);
	close(listener);
	json_number(j, "port", port);
	json_number(j, "count", count);
}

static const struct victim_kind kinds[] = {
	{"busy", 'R', 0, NULL, run_busy},
	{"nanosleep", 'S', 0, NULL, run_nanosleep},
	{"pause", 'S', 0, NULL, run_pause},
	{"poll", 'S', 0, NULL, run_poll},
	{"epoll", 'S', 0, NULL, run_epoll},
	{"futex", 'S', 0, NULL, run_futex},
	{"pipe", 'S', 0, NULL, run_pipe},
	{"recv", 'S', 0, NULL, run_recv},
	{"recv-tcp", 'S', 0, NULL, run_recv_tcp},
	{"mt-sleep", 'S', 0, NULL, run_mt_sleep},
	{"mt-busy", 'S', 0, NULL, run_mt_busy},
	{"stopped", 'T', 0, NULL, run_stopped},
	{"vfork", 'D', 0, NULL, run_vfork},
	{"dstate", 'D', 0, NULL, run_dstate},
	{"sockets", 'S', 0, NULL, run_sockets},
	{"connect", 'S', 0, NULL, run_connect},
	{"listener", 'S', 0, NULL, run_listener},
	{"files", 'S', 0, NULL, run_files},
	{"fds", 'S', 0, NULL, run_fds},
	{"memfd", 'S', 0, enter_memfd, run_pause},
	{"deleted", 'S', 0, enter_deleted, run_deleted},
	{"ns", 'S', CLONE_NEWPID, NULL, run_ns},
	{"uid", 'S', 0, enter_uid, run_uid},
	{"io", 'S', 0, NULL, run_io},
	{"rate", 0, 0, NULL, run_rate},
	{"storm", 0, 0, NULL, run_storm},
};

const struct victim_kind *victim_find(const char *name)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	return NULL;
}
