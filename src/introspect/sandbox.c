/* SPDX-License-Identifier: Apache-2.0 */
#include "introspect/sandbox.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED true
#elif defined(__has_feature)
#define IS_SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define IS_SANITIZED false
#endif

enum { NOBODY = 65534 };

/* Descriptors */

static int compare_ints(const void *a, const void *b)
{
	const int *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Closes what lies between the kept ones. */
static int close_others(const int *keep, size_t keep_count, struct error *err)
{
	cleanup(free) int *kept = malloc((keep_count + 1) * sizeof(*kept));
	unsigned next = 0;

	if (!kept)
		return error_set_errno(err, -ENOMEM, "descriptors");
	for (size_t i = 0; i < keep_count; i++) {
		assert(keep[i] >= 0);
		kept[i] = keep[i];
	}
	kept[keep_count] = STDERR_FILENO;
	qsort(kept, keep_count + 1, sizeof(*kept), compare_ints);
	for (size_t i = 0; i <= keep_count; i++) {
		unsigned fd = (unsigned)kept[i];

		if (fd > next && close_range(next, fd - 1, 0) < 0)
			return error_set_errno(err, -errno, "closing descriptors");
		next = fd + 1;
	}
	if (close_range(next, UINT_MAX, 0) < 0)
		return error_set_errno(err, -errno, "closing descriptors");
	return 0;
}

/* Rights */

static int drop_root(struct error *err)
{
	if (geteuid() != 0 && getuid() != 0)
		return 0;
	if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) < 0)
		return error_set_errno(err, -errno, "becoming nobody");
	return 0;
}

/* Also those that a service manager gave to a user other than root. */
static int drop_capabilities(struct error *err)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
	    syscall(SYS_capset, &header, none) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return error_set_errno(err, -errno, "giving up rights");
	return 0;
}

/* How many of the rights on files each version of Landlock can deny (the first is 1); they are
 * numbered from bit 0 up, and a later version's rights are left alone. */
static uint64_t landlock_rights(int version)
{
	static const int counts[] = {13, 14, 15, 15, 16};
	int last = sizeof(counts) / sizeof(counts[0]);

	return (UINT64_C(1) << counts[(version < last ? version : last) - 1]) - 1;
}

/* A rule set without rules: all of it is denied. */
static bool deny_files(void)
{
	int version =
		(int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct landlock_ruleset_attr rules;
	cleanup(close) int fd = -1;

	if (version < 1)
		return false;
	rules = (struct landlock_ruleset_attr){.handled_access_fs = landlock_rights(version)};
	fd = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules), 0);
	return fd >= 0 && syscall(SYS_landlock_restrict_self, fd, 0) == 0;
}

/* Limits */

static int read_mapped_bytes(uint64_t *ret_bytes, struct error *err)
{
	cleanup(fclose) FILE *file = fopen("/proc/self/statm", "re");
	unsigned long pages;

	if (!file || fscanf(file, "%lu", &pages) != 1)
		return error_set(err, -EIO, "the size of our own memory cannot be read");
	*ret_bytes = (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
	return 0;
}

static int set_limit(__rlimit_resource_t resource, uint64_t value, struct error *err)
{
	struct rlimit limit = {.rlim_cur = value, .rlim_max = value};

	if (setrlimit(resource, &limit) < 0)
		return error_set_errno(err, -errno, "resource limit %d", (int)resource);
	return 0;
}

/* A sanitizer's shadow memory is terabytes large: no limit holds with it. */
bool sandbox_limits_memory(void)
{
	return !IS_SANITIZED;
}

static int set_limits(const struct sandbox_limits *limits, uint64_t mapped_bytes, struct error *err)
{
	int r = set_limit(RLIMIT_CORE, 0, err);

	if (r == 0)
		r = set_limit(RLIMIT_NPROC, 0, err);
	if (r == 0 && limits->cpu_seconds > 0)
		r = set_limit(RLIMIT_CPU, limits->cpu_seconds, err);
	if (r == 0 && limits->memory_bytes > 0 && sandbox_limits_memory())
		r = set_limit(RLIMIT_AS, mapped_bytes + limits->memory_bytes, err);
	return r;
}

/* System calls */

static int allow_calls(scmp_filter_ctx filter, const int *calls, size_t count)
{
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
	return r;
}

/* sysinfo is qsort()'s; newfstatat is how libc says fstat; tgkill to ourselves is abort(). */
static int allow_what_is_needed(scmp_filter_ctx filter)
{
	static const int calls[] = {
		SCMP_SYS(read),           SCMP_SYS(readv),           SCMP_SYS(pread64),
		SCMP_SYS(preadv),         SCMP_SYS(write),           SCMP_SYS(writev),
		SCMP_SYS(pwrite64),       SCMP_SYS(pwritev),         SCMP_SYS(lseek),
		SCMP_SYS(close),          SCMP_SYS(fstat),           SCMP_SYS(brk),
		SCMP_SYS(munmap),         SCMP_SYS(mremap),          SCMP_SYS(futex),
		SCMP_SYS(poll),           SCMP_SYS(ppoll),           SCMP_SYS(nanosleep),
		SCMP_SYS(clock_gettime),  SCMP_SYS(clock_nanosleep), SCMP_SYS(gettimeofday),
		SCMP_SYS(time),           SCMP_SYS(getrandom),       SCMP_SYS(sysinfo),
		SCMP_SYS(getpid),         SCMP_SYS(gettid),          SCMP_SYS(rt_sigaction),
		SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),    SCMP_SYS(restart_syscall),
		SCMP_SYS(exit),           SCMP_SYS(exit_group),
	};
	int r = allow_calls(filter, calls, sizeof(calls) / sizeof(calls[0]));

	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
				     SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS));
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1,
				     SCMP_A3(SCMP_CMP_EQ, AT_EMPTY_PATH));
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 2,
				     SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()),
				     SCMP_A2(SCMP_CMP_EQ, SIGABRT));
	return r;
}

/* The run-time of a sanitizer manages memory by other calls than libc. */
static int allow_sanitizer(scmp_filter_ctx filter)
{
	static const int calls[] = {SCMP_SYS(madvise), SCMP_SYS(sched_yield),
				    SCMP_SYS(sigaltstack)};
	int r = allow_calls(filter, calls, sizeof(calls) / sizeof(calls[0]));

	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
				     SCMP_A0(SCMP_CMP_EQ, PR_SET_VMA));
	return r;
}

static int filter_calls(struct error *err)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = filter ? seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS)
		       : -ENOMEM;

	if (r == 0)
		r = allow_what_is_needed(filter);
	if (r == 0 && IS_SANITIZED)
		r = allow_sanitizer(filter);
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r < 0 ? error_set_errno(err, r, "the filter of system calls") : 0;
}

int sandbox_enter(const int *keep, size_t keep_count, const struct sandbox_limits *limits,
		  int *ret_landlock, struct error *err)
{
	uint64_t mapped_bytes = 0;
	pid_t parent = getppid();
	bool has_landlock;
	int r = read_mapped_bytes(&mapped_bytes, err);

	if (r < 0)
		return r;
	(void)unshare(CLONE_NEWNET); /* where it may; the filter has no sockets anyway */
	r = close_others(keep, keep_count, err);
	if (r == 0)
		r = drop_root(err);
	if (r == 0)
		r = drop_capabilities(err);
	/* not to outlive who waits for us; a change of user takes this back, so it comes after */
	if (r == 0 && (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != parent))
		r = error_set(err, -ESRCH, "the parent is gone");
	if (r < 0)
		return r;
	has_landlock = deny_files();
	r = set_limits(limits, mapped_bytes, err);
	if (r == 0)
		r = filter_calls(err);
	if (r == 0 && ret_landlock)
		*ret_landlock = has_landlock;
	return r;
}
