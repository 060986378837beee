/* SPDX-License-Identifier: Apache-2.0 */
#include "vmi/job.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "hypervisor/procfs.h"
#include "introspect/profile.h"
#include "vmi/call.h"
#include "vmi/child.h"
#include "vmi/frame.h"
#include "vmi/pause.h"

/* A pause for an action is to be short: past this the VM goes on, whatever the child does. */
enum {
	ACTION_PAUSE_USEC_MAX = 1000 * 1000,
	GRACE_USEC = 1000 * 1000,
	ACTION_GRACE_USEC = 10 * 1000 * 1000, /* what an action has begun is to be ended in order */
	CALL_USEC_MAX = 4 * 1000 * 1000,
	ANCHOR_TRIES = 4,
	ANCHOR_USEC = 1000 * 1000,
};

DEFINE_CLEANUP(DIR *, closedir)

struct running {
	const struct job *job;
	struct target *target;
	pid_t child;
	int line;
	int64_t deadline_usec;
	struct report *report;
	bool has_profile; /* handed on already */
	struct pause pause;
	struct target writable; /* of an action; no memory: none was ordered */
	bool done;
};

static int64_t deadline_of(const struct running *running)
{
	int64_t longest = running->job->kind == JOB_VIEWS ? running->job->order.pause_usec
							  : ACTION_PAUSE_USEC_MAX;
	int64_t since = running->pause.since_usec, end = since + longest;

	return since && end < running->deadline_usec ? end : running->deadline_usec;
}

/* Profiles that were kept: one file per boot of a QEMU process. */

static int profile_path(const struct job *job, const struct target *target, char *path, size_t size)
{
	if (!job->cache || !target->key[0])
		return -ENOENT;
	return snprintf(path, size, "%s/%s.profile", job->cache, target->key) < (int)size
		       ? 0
		       : -ENAMETOOLONG;
}

static size_t load_profile(const struct job *job, const struct target *target,
			   struct profile *profile)
{
	cleanup(close) int fd = -1;
	char path[4096];
	ssize_t size;

	if (profile_path(job, target, path, sizeof(path)) < 0)
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	size = fd < 0 ? 0 : read(fd, profile, sizeof(*profile));
	return size == sizeof(*profile) ? sizeof(*profile) : 0;
}

/* As mkdir -p. What cannot be made shows when a file is put there. */
static void make_folder(const char *folder)
{
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s", folder);
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(path, 0755);
		*slash = '/';
	}
	(void)mkdir(path, 0700);
}

/* Profiles of QEMU processes that have ended. */
static void forget_ended(const char *folder)
{
	cleanup(closedir) DIR *stream = opendir(folder);
	const struct dirent *entry;
	unsigned long long start;
	int pid, length;

	while (stream && (entry = readdir(stream))) {
		length = 0;
		if (sscanf(entry->d_name, "%d-%llu.profile%n", &pid, &start, &length) == 2 &&
		    length > 0 && !entry->d_name[length] && !procfs_is_running(pid, start))
			(void)unlinkat(dirfd(stream), entry->d_name, 0); /* or next time */
	}
}

/* What cannot be kept is made anew next time. */
static void save_profile(const struct job *job, const struct target *target,
			 const struct frame *frame)
{
	char path[4096], fresh[4096 + 8];
	int fd;
	bool is_written;

	if (frame->size != sizeof(struct profile) ||
	    profile_path(job, target, path, sizeof(path)) < 0)
		return;
	make_folder(job->cache);
	forget_ended(job->cache);
	(void)snprintf(fresh, sizeof(fresh), "%s.XXXXXX", path);
	fd = mkostemp(fresh, O_CLOEXEC);
	if (fd < 0)
		return;
	is_written = write(fd, frame->payload, frame->size) == (ssize_t)frame->size;
	if (close(fd) < 0 || !is_written || rename(fresh, path) < 0)
		(void)unlink(fresh);
}

/* What the child asks for */

static int answer(const struct running *running, int r, const struct error *err)
{
	int64_t deadline = clock_mono_usec() + GRACE_USEC;

	return r < 0 ? frame_send_error(running->line, deadline, err)
		     : frame_send(running->line, deadline, FRAME_OK, NULL, 0);
}

/* A write during a migration may be lost, or meet the copy of a word. */
static int check_state(const struct running *running, struct error *err)
{
	struct monitor_state state;
	int r = monitor_state(running->target->monitor, &state, err);

	if (r < 0 || running->job->kind != JOB_END_PROCESS || !state.migrating)
		return r;
	return error_set(err, -EBUSY, "the VM is being migrated or saved (%s): nothing is written",
			 state.status);
}

static int stop(struct running *running)
{
	struct error err = ERROR_INIT;
	int r = running->target->monitor ? check_state(running, &err) : 0;

	if (r == 0 && running->job->kind == JOB_VIEWS && running->job->order.pause_usec == 0)
		r = error_set(&err, -EPERM, "no pause was ordered");

	if (r == 0)
		r = pause_begin(&running->pause, &err);
	return answer(running, r, &err);
}

static int cont(struct running *running)
{
	struct error err = ERROR_INIT;
	int r = pause_end(&running->pause, &err);

	return answer(running, r, &err);
}

/* A word of guest memory, while the VM stands still, if it is there what the child found. */
static int write_word(struct running *running, const struct frame *frame, struct error *err)
{
	struct memory *memory = running->writable.memory;
	uint64_t numbers[4], now = 0; /* address, before, after, size */
	int r;

	memcpy(numbers, frame->payload, sizeof(numbers));
	if (!memory || !running->pause.since_usec)
		return error_set(err, -EPERM, "no write was ordered");
	if ((numbers[3] != 1 && numbers[3] != 4 && numbers[3] != 8) || numbers[0] % numbers[3])
		return error_set(err, -EINVAL, "no word of memory");
	memory_forget(memory);
	r = memory_read(memory, numbers[0], &now, numbers[3]);
	if (r == 0 && now != numbers[1])
		r = -ESTALE;
	if (r == 0)
		r = memory_write(memory, numbers[0], numbers[2], numbers[3], "ordered");
	return r < 0 ? error_set_errno(err, r, "writing guest memory") : 0;
}

static int write_for_child(struct running *running, const struct frame *frame)
{
	struct error err = ERROR_INIT;
	int r = write_word(running, frame, &err);

	return answer(running, r, &err);
}

/* Only where it was ordered: a parser that fell to its guest is not to call what it likes. */
static int call(struct running *running, const struct frame *frame)
{
	const struct job *job = running->job;
	struct error err = ERROR_INIT;
	struct gdb_call wanted = {.timeout_usec = CALL_USEC_MAX};
	uint64_t result = 0;
	int r = 0;

	memcpy(&wanted.breakpoint, frame->payload, 8);
	memcpy(&wanted.function, frame->payload + 8, 8);
	memcpy(&wanted.return_to, frame->payload + 16, 8);
	memcpy(wanted.arguments, frame->payload + 24, sizeof(wanted.arguments));
	if (job->kind != JOB_END_PROCESS || job->end.method != END_BY_CALL || job->end.dry_run ||
	    running->pause.since_usec)
		r = error_set(&err, -EPERM, "no call was ordered");
	if (r == 0)
		r = check_state(running, &err);
	if (r == 0)
		r = pause_check(&running->pause, &err);
	if (r == 0)
		r = pause_guard(&running->pause, &err);
	if (r == 0) {
		r = call_into_guest(running->target, &wanted, &result, &err);
		if (r == 0 || pause_check(&running->pause, NULL) == 0)
			pause_unguard(&running->pause);
	}
	return r < 0 ? answer(running, r, &err)
		     : frame_send(running->line, clock_mono_usec() + GRACE_USEC, FRAME_OK, &result,
				  sizeof(result));
}

static int take_report(struct running *running, const struct frame *frame, struct error *err)
{
	int r;

	report_free(running->report);
	running->report = NULL;
	r = report_decode(frame->payload, frame->size, &running->report, err);
	return r < 0 ? error_prefix(err, r, "the report of the confined process") : 0;
}

static int take_frame(struct running *running, const struct frame *frame, struct error *err)
{
	const struct job *job = running->job;

	switch (frame->type) {
	case FRAME_STOP:
		return stop(running);
	case FRAME_CONT:
		return cont(running);
	case FRAME_PROFILE:
		if (!running->has_profile)
			save_profile(job, running->target, frame);
		running->has_profile = true;
		return 0;
	case FRAME_REPORT:
		return take_report(running, frame, err);
	case FRAME_DATA:
		return job->take_data ? job->take_data(job->userdata, frame->payload, frame->size)
				      : error_set(err, -EPROTO, "data that nobody asked for");
	case FRAME_DONE:
		running->done = true;
		return running->report ? 0 : error_set(err, -EPROTO, "no report came");
	case FRAME_FAILED:
		return frame_error(frame, err);
	case FRAME_WRITE:
		return write_for_child(running, frame);
	case FRAME_CALL:
		return call(running, frame);
	case FRAME_OK:
		break;
	}
	return error_set(err, -EPROTO, "the confined process speaks out of turn");
}

/* A child that died says nothing: its status does. */
static int explain_end(int r, int status, struct error *err)
{
	if (r != -EPIPE)
		return r;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		return error_set(err, r,
				 "the confined process was ended by its sandbox: it called what it "
				 "may not");
	if (WIFSIGNALED(status))
		return error_set(err, r, "the confined process was ended by signal %d (%s)",
				 WTERMSIG(status), strsignal(WTERMSIG(status)));
	return error_set(err, r, "the confined process ended without an answer");
}

static int listen_to(struct running *running, struct error *err)
{
	int r = 0;

	while (r == 0 && !running->done) {
		struct frame frame;

		r = frame_receive(running->line, deadline_of(running), &frame, err);
		if (r < 0)
			break;
		r = take_frame(running, &frame, err);
		frame_deinit(&frame);
	}
	if (r == -ETIME && (!err || err->code == 0 || err->code == -ETIME))
		r = error_set(err, r,
			      running->pause.since_usec
				      ? "the confined process kept the VM paused for too long"
				      : "the time budget ended");
	return r;
}

/* Our own child, not yet waited for: it ends by itself once the line is closed, or is ended. */
static int end_child(struct running *running)
{
	const struct timespec moment = {.tv_nsec = 1000 * 1000};
	int64_t patience_usec = clock_mono_usec() + (running->done ? GRACE_USEC : 0);
	int status = 0;

	(void)close(running->line);
	while (waitpid(running->child, &status, WNOHANG) == 0) {
		if (clock_mono_usec() >= patience_usec) {
			(void)kill(running->child, SIGKILL);
			(void)waitpid(running->child, &status, 0);
			break;
		}
		(void)nanosleep(&moment, NULL); /* shorter is no harm */
	}
	return status;
}

/* What was written, by the one who wrote it: the report of a child is only its word, and there is
 * none when it failed. */
static void tell_writes(const struct running *running)
{
	size_t count;
	const struct memory_change *changes = memory_changes(running->writable.memory, &count);

	if (count > 0)
		(void)fprintf(stderr, "%zu words were written into guest memory:\n", count);
	for (size_t i = 0; i < count; i++)
		(void)fprintf(stderr, "  0x%llx size %u: 0x%llx -> 0x%llx\n",
			      (unsigned long long)changes[i].gpa, changes[i].size,
			      (unsigned long long)changes[i].before,
			      (unsigned long long)changes[i].after);
}

/* Whether the report names just the words that were written. */
static bool tells_truth(const struct running *running)
{
	size_t count;
	const struct memory_change *changes = memory_changes(running->writable.memory, &count);
	const struct report *report = running->report;
	long table = report_find_table(report, "writes"), column;

	column = table < 0 ? -1 : report_find_column(report, (size_t)table, "address");
	if (column < 0 || report_rows(report, (size_t)table) != count)
		return false;
	for (size_t i = 0; i < count; i++)
		if (report_cell(report, (size_t)table, i, (size_t)column)->number != changes[i].gpa)
			return false;
	return true;
}

static int finish(struct running *running, int r, struct error *err)
{
	struct error cont_err = ERROR_INIT;
	int status;

	if (pause_end(&running->pause, &cont_err) < 0)
		r = error_set(err, cont_err.code, "the VM is left paused: %s", cont_err.text);
	status = end_child(running);
	pause_deinit(&running->pause);
	r = explain_end(r, status, err);
	if (r == 0 && running->writable.memory && !tells_truth(running))
		r = error_set(err, -EBADMSG,
			      "the report does not name the words that were written");
	if (r < 0 && running->writable.memory)
		tell_writes(running);
	return r;
}

static int start(struct running *running, struct error *err)
{
	struct profile *profile = malloc(sizeof(*profile));
	int ends[2], r = profile ? frame_pair(ends) : -ENOMEM;
	size_t size;

	if (r < 0) {
		free(profile);
		return error_set_errno(err, r, "starting the confined process");
	}
	size = load_profile(running->job, running->target, profile);
	(void)fflush(NULL); /* so that nothing is written twice */
	running->child = fork();
	if (running->child == 0) {
		(void)close(ends[0]);
		_exit(child_run(running->job, running->target, ends[1], size ? profile : NULL,
				size));
	}
	free(profile);
	(void)close(ends[1]);
	running->line = ends[0];
	if (running->child < 0) {
		r = -errno;
		(void)close(ends[0]);
		return error_set_errno(err, r, "starting the confined process");
	}
	return 0;
}

static int run_once(const struct job *job, struct target *target, struct report **ret_report,
		    struct error *err)
{
	struct running running = {
		.job = job,
		.target = target,
		.pause = {.target = target},
		.deadline_usec = clock_mono_usec() + job->order.budget_usec +
				 (job->kind == JOB_END_PROCESS ? ACTION_GRACE_USEC : 0) +
				 job->order.interval_usec + job->end.wait_usec + GRACE_USEC};
	int r = start(&running, err);

	if (r < 0)
		return r;
	if (job->kind == JOB_END_PROCESS && !job->end.dry_run)
		r = target_open_writable(target, &running.writable, err);
	if (r == 0)
		r = listen_to(&running, err);
	if (r == -ENODATA && target_is_encrypted(target))
		r = error_set(err, -ENOTSUP,
			      "the guest's memory is encrypted (SEV): it cannot be "
			      "looked into from outside");
	r = finish(&running, r, err);
	target_close(&running.writable);
	if (r < 0)
		report_free(running.report);
	else
		*ret_report = running.report;
	return r;
}

/* The process that a vCPU ran may end between the reading of the registers and that of its page
 * table, through which then no kernel is found: the registers of now lead further. */
int job_run(const struct job *job, struct target *target, struct report **ret_report,
	    struct error *err)
{
	int64_t begin_usec = clock_mono_usec();
	int r = run_once(job, target, ret_report, err);

	for (int i = 1; r == -ENODATA && target->monitor && i < ANCHOR_TRIES &&
			clock_mono_usec() - begin_usec < ANCHOR_USEC;
	     i++) {
		r = target_read_registers(target, err);
		if (r == 0)
			r = run_once(job, target, ret_report, err);
	}
	return r;
}
