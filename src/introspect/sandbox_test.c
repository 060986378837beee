/* SPDX-License-Identifier: Apache-2.0 */
/* Each act is tried by a child of its own inside the sandbox, as root (where the test is root) and
 * as a normal user. */
#include "introspect/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/test.h"

enum {
	SOME_USER = 12345,
	MEBIBYTE = 1 << 20,
	NUMBERS = 1 << 14,
	ENTERING_FAILED = 99, /* exit status */
	KEPT_FD = 20,
	OTHER_FD = 21,
};

static struct {
	pid_t parent;
	int *shared;   /* of parent and children */
	uint64_t word; /* at the same address in all children */
} world;

static const struct sandbox_limits no_limits;

/* Runs act() in the sandbox; returns its exit status, or 1000 + the signal that killed it. */
static int confine(int (*act)(void), bool as_user, const struct sandbox_limits *limits)
{
	static const int keep[] = {KEPT_FD, KEPT_FD, STDOUT_FILENO};
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct error err = ERROR_INIT;

		if (as_user && geteuid() == 0 && setresuid(SOME_USER, SOME_USER, SOME_USER) < 0)
			_exit(ENTERING_FAILED);
		if (sandbox_enter(keep, 3, limits, NULL, &err) == 0)
			_exit(act());
		printf("# %s\n", err.text);
		(void)fflush(stdout);
		_exit(ENTERING_FAILED);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return -1;
	return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

#define check_both_users(act, limits, expected)                   \
	do {                                                      \
		check_int(confine(act, false, limits), expected); \
		check_int(confine(act, true, limits), expected);  \
	} while (0)

#define FORBIDDEN (1000 + SIGSYS)

/* What is forbidden; a status is reached only when it was not. */

static int try_open(void)
{
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0;
}

static int try_create(void)
{
	return (int)syscall(SYS_creat, "/tmp/atom-sandbox-test", 0600) < 0;
}

static int try_socket(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0;
}

static int try_socketpair(void)
{
	int pair[2];

	return socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0;
}

static int try_fork(void)
{
	return fork() < 0;
}

static int try_vfork(void)
{
	return (int)syscall(SYS_vfork) < 0;
}

static int try_execve(void)
{
	char *const arguments[] = {"/bin/true", NULL};

	return execve(arguments[0], arguments, NULL) < 0;
}

static int try_kill_parent(void)
{
	return kill(world.parent, SIGTERM) < 0;
}

static int try_tgkill_parent(void)
{
	return (int)syscall(SYS_tgkill, world.parent, world.parent, SIGABRT) < 0;
}

static int try_ptrace(void)
{
	return ptrace(PTRACE_ATTACH, world.parent, NULL, NULL) < 0;
}

static int try_process_vm_readv(void)
{
	uint64_t word;
	struct iovec ours = {&word, sizeof(word)}, theirs = {&world.word, sizeof(word)};

	return process_vm_readv(world.parent, &ours, 1, &theirs, 1, 0) < 0;
}

static int try_executable_memory(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	       MAP_FAILED;
}

static int try_making_memory_executable(void)
{
	return mprotect(world.shared, 4096, PROT_READ | PROT_EXEC) < 0;
}

static int try_mapping_a_file(void)
{
	return mmap(NULL, 4096, PROT_READ, MAP_SHARED, KEPT_FD, 0) == MAP_FAILED;
}

static int try_stat(void)
{
	return access("/etc/passwd", R_OK) < 0;
}

static int try_ioctl(void)
{
	return isatty(KEPT_FD);
}

static int try_raising_a_limit(void)
{
	return (int)syscall(SYS_prlimit64, 0, 0, NULL, NULL) < 0;
}

static void test_sandbox_forbids(void)
{
	static const struct {
		const char *name;
		int (*act)(void);
	} acts[] = {
		{"open", try_open},
		{"creat", try_create},
		{"socket", try_socket},
		{"socketpair", try_socketpair},
		{"fork", try_fork},
		{"vfork", try_vfork},
		{"execve", try_execve},
		{"kill", try_kill_parent},
		{"tgkill", try_tgkill_parent},
		{"ptrace", try_ptrace},
		{"process_vm_readv", try_process_vm_readv},
		{"mmap PROT_EXEC", try_executable_memory},
		{"mprotect PROT_EXEC", try_making_memory_executable},
		{"mmap of a file", try_mapping_a_file},
		{"access", try_stat},
		{"ioctl", try_ioctl},
		{"prlimit64", try_raising_a_limit},
	};

	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		printf("# %s\n", acts[i].name);
		(void)fflush(stdout);
		check_both_users(acts[i].act, &no_limits, FORBIDDEN);
	}
}

/* What is left; 0 where all of it works, else the number of what does not. */

static int use_descriptors(void)
{
	char text[8] = "";
	struct pollfd item = {.fd = KEPT_FD, .events = POLLIN};

	if (pwrite(KEPT_FD, "abcd", 4, 4) != 4)
		return 1;
	if (pread(KEPT_FD, text, 4, 4) != 4 || memcmp(text, "abcd", 4) != 0)
		return 2;
	if (lseek(KEPT_FD, 4, SEEK_SET) != 4 || read(KEPT_FD, text, 2) != 2)
		return 3;
	if (write(KEPT_FD, "xy", 2) != 2 || pread(KEPT_FD, text, 4, 4) != 4 ||
	    memcmp(text, "abxy", 4) != 0)
		return 4;
	if (poll(&item, 1, 100) != 1)
		return 5;
	if (close(KEPT_FD) < 0 || write(STDERR_FILENO, "", 0) < 0)
		return 6;
	return 0;
}

static int find_others_closed(void)
{
	char byte;

	if (read(OTHER_FD, &byte, 1) >= 0 || errno != EBADF)
		return 1;
	return read(STDIN_FILENO, &byte, 1) >= 0 || errno != EBADF;
}

static int compare_longs(const void *a, const void *b)
{
	const long *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int use_memory(void)
{
	char *bytes = malloc(MEBIBYTE), *grown;
	long *numbers = calloc(NUMBERS, sizeof(*numbers));

	if (!bytes || !numbers)
		return 1;
	memset(bytes, 1, MEBIBYTE);
	grown = realloc(bytes, 8 * (size_t)MEBIBYTE);
	if (!grown || grown[MEBIBYTE - 1] != 1)
		return 2;
	for (long i = 0; i < NUMBERS; i++)
		numbers[i] = -i;
	qsort(numbers, NUMBERS, sizeof(*numbers), compare_longs);
	if (numbers[0] != -(NUMBERS - 1))
		return 3;
	for (int i = 0; i < 1000; i++) {
		char *piece = malloc(1 + (size_t)i * 100);

		if (!piece)
			return 4;
		piece[0] = 1;
		free(piece);
	}
	free(grown);
	free(numbers);
	(*world.shared)++; /* mapped before */
	return 0;
}

static int use_clocks(void)
{
	struct timespec now, nap = {.tv_nsec = 1000000};

	if (clock_gettime(CLOCK_MONOTONIC, &now) < 0 || time(NULL) <= 0)
		return 1;
	if (syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now) < 0) /* where there is no vDSO */
		return 2;
	return nanosleep(&nap, NULL) < 0 || poll(NULL, 0, 1) < 0 ? 3 : 0;
}

static int use_stdio(void)
{
	char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);
	bool is_good = stream && fprintf(stream, "%d", 5) == 1 && fclose(stream) == 0;

	free(text);
	return !is_good || printf("# from inside\n") < 0 || fflush(stdout) < 0;
}

static void test_sandbox_leaves_what_parsing_needs(void)
{
	int before = *world.shared;

	check_both_users(use_descriptors, &no_limits, 0);
	check_both_users(find_others_closed, &no_limits, 0);
	check_both_users(use_memory, &no_limits, 0);
	check_int(*world.shared, before + 2);
	check_both_users(use_clocks, &no_limits, 0);
	check_both_users(use_stdio, &no_limits, 0);
}

static int fail_an_assertion(void)
{
	abort();
}

static void test_sandbox_failed_assertion_is_told_apart(void)
{
	check_both_users(fail_an_assertion, &no_limits, 1000 + SIGABRT);
}

static int exhaust_memory(void)
{
	for (int i = 0; i < 64; i++)
		if (!malloc(MEBIBYTE))
			return i; /* how many there were */
	return 64;
}

static void test_sandbox_limits_memory(void)
{
	static const struct sandbox_limits limits = {.memory_bytes = 16 * MEBIBYTE};
	int count;

	if (!sandbox_limits_memory())
		test_skip("a sanitizer's memory has no limit");
	count = confine(exhaust_memory, true, &limits);
	check(count >= 12 && count <= 16);
	check_int(confine(exhaust_memory, true, &no_limits), 64);
}

static int loop(void)
{
	for (volatile int i = 0; i >= 0; i ^= 1)
		;
	return 0;
}

static void test_sandbox_limits_time(void)
{
	static const struct sandbox_limits limits = {.cpu_seconds = 1};
	int end = confine(loop, true, &limits);

	check(end == 1000 + SIGXCPU || end == 1000 + SIGKILL);
}

/* The memory of a process that root may open stays readable and writable after root's rights are
 * gone: the kernel looks at them when it is opened only. */
static int change_the_word(void)
{
	uint64_t word = 0;
	off_t place = (off_t)(uintptr_t)&world.word;

	if (pread(KEPT_FD, &word, sizeof(word), place) != sizeof(word) || word != 0x1122334455)
		return 1;
	word++;
	return pwrite(KEPT_FD, &word, sizeof(word), place) != sizeof(word);
}

static int open_memory(pid_t pid)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	(void)dup2(fd, KEPT_FD);
	(void)close(fd);
	return 0;
}

static void test_sandbox_memory_of_a_process_stays_open(void)
{
	uint64_t word = 0;
	pid_t victim;
	int saved = dup(KEPT_FD), r, end = -1;

	world.word = 0x1122334455;
	victim = fork();
	if (victim == 0) {
		(void)pause();
		_exit(0);
	}
	r = open_memory(victim);
	if (r == 0)
		end = confine(change_the_word, false, &no_limits);
	if (end == 0 && pread(KEPT_FD, &word, sizeof(word), (off_t)(uintptr_t)&world.word) < 0)
		r = -errno;
	(void)kill(victim, SIGKILL);
	(void)waitpid(victim, NULL, 0);
	(void)dup2(saved, KEPT_FD);
	(void)close(saved);
	if (r == -EACCES || r == -EPERM)
		test_skip("this user may not open a child's memory");
	check_int(r, 0);
	check_int(end, 0);
	check(word == 0x1122334456);
}

static void test_sandbox_tells_of_landlock(void)
{
	int *told = world.shared;
	pid_t child = fork();

	if (child == 0) {
		struct error err = ERROR_INIT;

		_exit(sandbox_enter(NULL, 0, &no_limits, told, &err) < 0);
	}
	check_int(waitpid(child, NULL, 0), child);
	printf("# Landlock: %d\n", *told);
	check(*told == 0 || *told == 1);
}

static int prepare(void)
{
	int file = memfd_create("atom-sandbox-test", MFD_CLOEXEC);

	world.parent = getpid();
	world.shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (file < 0 || world.shared == MAP_FAILED || ftruncate(file, 4096) < 0 ||
	    dup2(file, KEPT_FD) < 0 || dup2(file, OTHER_FD) < 0)
		return -1;
	return close(file);
}

static void test_sandbox_can_be_tried(void)
{
	check_int(prepare(), 0);
}

TEST_MAIN(TEST(test_sandbox_can_be_tried), TEST(test_sandbox_forbids),
	  TEST(test_sandbox_leaves_what_parsing_needs),
	  TEST(test_sandbox_failed_assertion_is_told_apart), TEST(test_sandbox_limits_memory),
	  TEST(test_sandbox_limits_time), TEST(test_sandbox_memory_of_a_process_stays_open),
	  TEST(test_sandbox_tells_of_landlock))
