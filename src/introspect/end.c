/* SPDX-License-Identifier: Apache-2.0 */
#include "introspect/end.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "introspect/pid.h"
#include "introspect/wheel.h"

enum {
	SIGKILL_BIT = 1 << 8, /* signal 9 */
	TIF_SIGPENDING = 2,   /* arch/x86/include/asm/thread_info.h, 2.6 to 6.12 */
	JOBCTL_STOPPED = 1 << 26,
	CODE_SIZE = 64,
	POLL_USEC = 500,
	BUSY_TRIES = 50,
	WAKE_USEC_MIN = 3 * 1000 * 1000, /* an idle CPU looks at its timers within some 2 s */
};

struct thread {
	uint64_t address, state, on_rq;
};

struct ending {
	const struct guest *guest;
	const struct end_order *order;
	const struct end_host *host;
	struct end_result *result;
	uint32_t signal_bit;
	struct thread threads[END_THREADS_MAX];
	uint32_t thread_count;
	bool has_too_many;
};

static int refuse(struct ending *ending, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static int refuse(struct ending *ending, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(ending->result->reason, sizeof(ending->result->reason), format, args);
	va_end(args);
	ending->result->outcome = END_REFUSED;
	return -EPERM;
}

static void wait_a_moment(int64_t usec)
{
	struct timespec gap = {.tv_nsec = usec * 1000};

	(void)nanosleep(&gap, NULL); /* shorter is no harm */
}

/* "lock orb $mask, displacement(%reg)", or with the lock prefix patched to %ds on one CPU. */
static bool is_or_byte(const uint8_t *code, int8_t *ret_displacement, uint8_t *ret_mask)
{
	uint8_t mod = code[2] >> 6, base = code[2] & 7;

	if ((code[0] != 0xf0 && code[0] != 0x3e) || code[1] != 0x80 || (code[2] >> 3 & 7) != 1 ||
	    base == 4 || (mod == 0 && base == 5) || mod > 1)
		return false;
	*ret_displacement = mod == 1 ? (int8_t)code[3] : 0;
	*ret_mask = mod == 1 ? code[4] : code[3];
	return true;
}

int end_decode_signal_bit(const struct guest *guest, uint32_t *ret_bit)
{
	uint64_t function = guest_symbol(guest, SYMBOL_SIGNAL_WAKE_UP_STATE);
	uint8_t code[CODE_SIZE + 8];
	int found = 0;

	if (!function || guest_read(guest, function, code, sizeof(code)) < 0)
		return -ENOTSUP;
	for (int i = 0; i < CODE_SIZE; i++) {
		int64_t byte;
		int8_t displacement;
		uint8_t mask;

		if (!is_or_byte(code + i, &displacement, &mask))
			continue;
		byte = displacement - (int64_t)guest_offset(guest, FIELD_TASK_INFO_FLAGS);
		if (byte < 0 || byte > 3 || __builtin_popcount(mask) != 1)
			return -ENOTSUP;
		*ret_bit = (uint32_t)(byte * 8 + __builtin_ctz(mask));
		found++;
	}
	return found == 1 && *ret_bit == TIF_SIGPENDING ? 0 : -ENOTSUP;
}

/* Who it is */

struct membership {
	uint64_t wanted;
	bool found;
};

static int compare_address(void *userdata, uint64_t address)
{
	struct membership *membership = userdata;

	membership->found |= address == membership->wanted;
	return membership->found;
}

static bool is_in_list(const struct guest *guest, const struct guest_list *list, uint64_t address)
{
	struct membership membership = {.wanted = address};
	uint32_t broken;

	(void)guest_walk_list(guest, list, compare_address, &membership,
			      &broken); /* or not found */
	return membership.found;
}

/* A forged task that only the table of pids leads to is not believed: its parent, or the list of
 * tasks, must know it too. */
static bool is_confirmed(const struct guest *guest, const struct task *task)
{
	struct guest_list tasks = {
		.head = guest_symbol(guest, SYMBOL_INIT_TASK) +
			guest_offset(guest, FIELD_TASK_TASKS),
		.member = guest_offset(guest, FIELD_TASK_TASKS),
		.limit = TASKS_MAX,
	};
	struct guest_list children = {.member = guest_offset(guest, FIELD_TASK_SIBLING),
				      .limit = TASKS_MAX};
	uint64_t parent;

	if (is_in_list(guest, &tasks, task->address))
		return true;
	if (guest_field_pointer(guest, task->address, FIELD_TASK_REAL_PARENT, &parent) < 0)
		return false;
	children.head = parent + guest_offset(guest, FIELD_TASK_CHILDREN);
	return is_in_list(guest, &children, task->address);
}

static int find(struct ending *ending, struct task *task, struct error *err)
{
	uint64_t address, leader;
	int r = pid_find(ending->guest, ending->order->pid, &address);

	if (r == 0)
		r = guest_field_pointer(ending->guest, address, FIELD_TASK_GROUP_LEADER, &leader);
	if (r == 0)
		r = task_read(ending->guest, address, task);
	if (r == -ENOENT)
		return refuse(ending, "there is no process %u", ending->order->pid);
	if (r < 0)
		return error_set_errno(err, r, "reading process %u", ending->order->pid);
	if (leader != address)
		return refuse(ending, "%u is a thread of process %u", ending->order->pid,
			      task->pid);
	return 0;
}

static int check_identity(struct ending *ending, const struct task *task, uint64_t start_nsec,
			  const char *comm)
{
	if (start_nsec && task->start_nsec != start_nsec)
		return refuse(ending,
			      "process %u is another one by now: it started %llu ns after boot, "
			      "not %llu",
			      task->pid, (unsigned long long)task->start_nsec,
			      (unsigned long long)start_nsec);
	if (*comm && strncmp(task->comm, comm, TASK_COMM_SIZE) != 0)
		return refuse(ending, "the command of process %u is not the expected one",
			      task->pid);
	return 0;
}

static int check_kind(struct ending *ending, const struct task *task, struct error *err)
{
	uint64_t flags;
	int r = guest_field(ending->guest, task->signal, FIELD_SIGNAL_FLAGS, &flags);

	if (r < 0)
		return error_set_errno(err, r, "reading process %u", task->pid);
	if (task->pid <= 1)
		return refuse(ending, "process %u is the guest's first: its end is the guest's",
			      task->pid);
	if (task_is_kernel(task))
		return refuse(ending, "process %u is a thread of the kernel", task->pid);
	if (task->exit_state)
		return refuse(ending, "process %u has ended already (%c)", task->pid,
			      task_state_letter(task));
	if (task->flags & TASK_FLAG_EXITING)
		return refuse(ending, "process %u is just ending", task->pid);
	if ((flags & TASK_SIGNAL_UNKILLABLE) &&
	    (task->namespace_level == 0 || !ending->order->container_init))
		return refuse(ending,
			      "process %u is the first of a namespace: all processes in it would "
			      "end with it (--container-init allows that)",
			      task->pid);
	if (!is_confirmed(ending->guest, task))
		return refuse(ending,
			      "only the table of pids leads to process %u, neither its parent nor "
			      "the list of processes: it may be forged",
			      task->pid);
	return 0;
}

static int take_thread(void *userdata, uint64_t address)
{
	struct ending *ending = userdata;
	struct thread *thread = &ending->threads[ending->thread_count];
	int r;

	if (ending->thread_count == END_THREADS_MAX) {
		ending->has_too_many = true;
		return -ELOOP;
	}
	thread->address = address;
	r = guest_field(ending->guest, address, FIELD_TASK_STATE, &thread->state);
	if (r == 0)
		r = guest_field(ending->guest, address, FIELD_TASK_ON_RQ, &thread->on_rq);
	ending->thread_count += r == 0;
	return r;
}

/* All checks on the guest as it is now. */
static int examine(struct ending *ending, struct task *task, struct error *err)
{
	int r = find(ending, task, err);

	if (r == 0)
		r = check_identity(ending, task, ending->order->start_nsec, ending->order->comm);
	if (r == 0)
		r = check_kind(ending, task, err);
	if (r == 0 && end_decode_signal_bit(ending->guest, &ending->signal_bit) < 0)
		r = refuse(ending, "the layout of this kernel's thread flags is not known: "
				   "signal_wake_up_state() does not set the bit that is expected");
	if (r < 0)
		return r;
	ending->thread_count = 0;
	r = task_threads(ending->guest, task, take_thread, ending);
	if (ending->has_too_many)
		return refuse(ending, "process %u has more than %d threads", task->pid,
			      END_THREADS_MAX);
	if (r < 0 || ending->thread_count == 0)
		return error_set_errno(err, r < 0 ? r : -EFAULT, "reading the threads of %u",
				       task->pid);
	return 0;
}

/* Writing */

static int set_bits(const struct guest *guest, uint64_t va, uint64_t bits, const char *what)
{
	uint64_t word;
	int r = guest_read64(guest, va, &word);

	return r < 0 ? r : guest_write(guest, va, word | bits, 8, what);
}

static int arm_threads(struct ending *ending)
{
	const struct guest *guest = ending->guest;

	for (uint32_t i = 0; i < ending->thread_count; i++) {
		uint64_t thread = ending->threads[i].address;
		int r = set_bits(guest, thread + guest_offset(guest, FIELD_TASK_PENDING),
				 SIGKILL_BIT, "thread: pending signals");

		if (r == 0)
			r = set_bits(guest, thread + guest_offset(guest, FIELD_TASK_INFO_FLAGS),
				     UINT64_C(1) << ending->signal_bit, "thread: flags");
		if (r < 0)
			return r;
	}
	return 0;
}

static bool is_wakeable(const struct thread *thread)
{
	return (thread->state & (TASK_STATE_INTERRUPTIBLE | TASK_STATE_WAKEKILL)) &&
	       !(thread->state & TASK_STATE_TRACED);
}

/* Of threads that all sleep, one that may be woken; the one that acts on the signal wakes the
 * others. -EALREADY: one runs, so that nothing is needed. -EBUSY: one is just going to sleep.
 * -ENOENT: none may be woken. */
static int choose_sleeper(const struct ending *ending, const struct thread **ret_thread)
{
	int r = -ENOENT;

	for (uint32_t i = 0; i < ending->thread_count; i++) {
		const struct thread *thread = &ending->threads[i];

		if (thread->state == 0)
			return -EALREADY;
		if (!is_wakeable(thread) || r == 0)
			continue;
		*ret_thread = thread;
		r = thread->on_rq ? -EBUSY : 0;
	}
	return r;
}

/* A stopped thread is not woken by a timer: it is made to look like an ordinary sleeper first. */
static int end_stop(const struct guest *guest, const struct thread *thread)
{
	uint64_t jobctl = thread->address + guest_offset(guest, FIELD_TASK_JOBCTL), word;
	int r;

	if (!(thread->state & TASK_STATE_STOPPED))
		return 0;
	r = guest_read64(guest, jobctl, &word);
	if (r == 0 && (word & JOBCTL_STOPPED))
		r = guest_write(guest, jobctl, word & ~(uint64_t)JOBCTL_STOPPED, 8,
				"thread: job control, no longer stopped");
	if (r == 0)
		r = guest_write(guest, thread->address + guest_offset(guest, FIELD_TASK_STATE),
				TASK_STATE_INTERRUPTIBLE, 4, "thread: state, an ordinary sleep");
	return r;
}

/* Changes a reference count of the kernel's (a positive 32-bit number) by 1 or -1. -EALREADY: it is
 * the last one, which the guest itself would have to give back. */
static int add_reference(const struct guest *guest, uint64_t object, enum field field, int by,
			 const char *what)
{
	uint64_t count;
	int r = guest_field(guest, object, field, &count);

	if (r < 0)
		return r;
	count = (count & UINT32_MAX) + (uint64_t)(int64_t)by;
	if (count == 0)
		return -EALREADY;
	if (count > INT32_MAX)
		return -EFAULT;
	return guest_write(guest, object + guest_offset(guest, field), count, 4, what);
}

/* What is under way after the first pause. */
struct wakeup {
	struct wheel_timer timer;
	uint64_t task;
	bool is_armed;
};

static const char task_references[] = "task: references";

static int wake(struct ending *ending, struct wakeup *wakeup)
{
	const struct guest *guest = ending->guest;
	const struct thread *sleeper = NULL;
	int r = choose_sleeper(ending, &sleeper);

	if (r == 0)
		r = add_reference(guest, sleeper->address, FIELD_TASK_USAGE, 1, task_references);
	if (r < 0)
		return r;
	r = wheel_arm(guest, sleeper->address, &wakeup->timer);
	if (r < 0) {
		int back = add_reference(guest, sleeper->address, FIELD_TASK_USAGE, -1,
					 task_references);

		return back < 0 ? back : r;
	}
	wakeup->task = sleeper->address;
	wakeup->is_armed = true;
	ending->result->wakeups++;
	return end_stop(guest, sleeper);
}

/* Takes the timer away and gives the task back, in a pause of its own. */
static int clean_up(struct ending *ending, struct wakeup *wakeup, struct error *err)
{
	struct memory *memory = ending->guest->memory;
	int64_t deadline_usec;
	int r = -EBUSY;

	for (int i = 0; r == -EBUSY && i < BUSY_TRIES; i++) {
		int resumed;

		r = ending->host->pause(ending->host->userdata, err);
		if (r < 0)
			return r;
		deadline_usec = memory_set_deadline(memory, 0);
		r = wheel_disarm(ending->guest, &wakeup->timer);
		if (r == 0) {
			wakeup->is_armed = false;
			r = add_reference(ending->guest, wakeup->task, FIELD_TASK_USAGE, -1,
					  task_references);
			ending->result->keeps_reference = r == -EALREADY;
			r = r == -EALREADY ? 0 : r;
		}
		(void)memory_set_deadline(memory, deadline_usec);
		resumed = ending->host->resume(ending->host->userdata, err);
		if (resumed < 0)
			return resumed;
		if (r == -EBUSY)
			wait_a_moment(POLL_USEC);
	}
	return r < 0 ? error_set_errno(err, r, "taking the wake-up timer away") : 0;
}

/* Death */

/* What cannot be read is no death: the guest changes while it is looked at. */
static bool is_dead(const struct ending *ending)
{
	const struct task *task = &ending->result->task;
	uint64_t address, start, flags, exit_state;
	int r;

	memory_forget(ending->guest->memory);
	r = pid_find(ending->guest, task->pid, &address);
	if (r < 0 || address != task->address)
		return r == -ENOENT || r == 0;
	if (guest_field(ending->guest, address, FIELD_TASK_START, &start) < 0 ||
	    guest_field(ending->guest, address, FIELD_TASK_FLAGS, &flags) < 0 ||
	    guest_field(ending->guest, address, FIELD_TASK_EXIT_STATE, &exit_state) < 0)
		return false;
	return start != task->start_nsec || ((flags & TASK_FLAG_EXITING) && exit_state != 0);
}

static int watch(struct ending *ending, struct wakeup *wakeup, int64_t started_usec,
		 struct error *err)
{
	int64_t deadline_usec = started_usec + ending->order->wait_usec;
	bool dead = is_dead(ending);

	/* a timer is left in the wheel for a while, however short the patience of who ordered it */
	if (wakeup->is_armed && deadline_usec < started_usec + WAKE_USEC_MIN)
		deadline_usec = started_usec + WAKE_USEC_MIN;
	while (!dead && clock_mono_usec() < deadline_usec) {
		bool has_fired = false;

		if (wakeup->is_armed &&
		    wheel_has_fired(ending->guest, &wakeup->timer, &has_fired) == 0 && has_fired) {
			int r = clean_up(ending, wakeup, err);

			if (r < 0)
				return r;
		}
		wait_a_moment(POLL_USEC);
		dead = is_dead(ending);
	}
	ending->result->took_usec = clock_mono_usec() - started_usec;
	if (dead) {
		ending->result->outcome = END_DEAD;
		ending->result->reason[0] = '\0';
	} else if (!ending->result->reason[0]) {
		(void)snprintf(
			ending->result->reason, sizeof(ending->result->reason),
			wakeup->is_armed
				? "the signal is pending, but its CPU has not looked at its "
				  "timers in time, so it was not woken: it ends when it next "
				  "runs"
				: "the signal is pending, but it has not run since");
	}
	ending->result->wakeups -= !dead && wakeup->is_armed;
	return wakeup->is_armed ? clean_up(ending, wakeup, err) : 0;
}

static const char *why_not_woken(int r)
{
	switch (r) {
	case -ENOENT:
		return "it sleeps where no signal wakes it (D), or is traced: it ends when it next "
		       "runs";
	case -ENOTSUP:
		return "this kernel's timers are not known: it ends when it next runs (or try "
		       "--method call)";
	case -EFAULT:
		return "the timer wheel does not fit together, so it was left alone: it ends when "
		       "it next runs";
	case -EBUSY:
		return "no CPU's timers could be had, or another one wakes something: it ends when "
		       "it next runs";
	default:
		return "it could not be woken, for memory could not be read or written: it ends "
		       "when it next runs";
	}
}

/* The writing itself, which no deadline may end half way: it is short. */
static int arm_and_wake(struct ending *ending, struct wakeup *wakeup, bool is_armed,
			struct error *err)
{
	struct memory *memory = ending->guest->memory;
	int64_t deadline_usec = memory_set_deadline(memory, 0);
	int r = is_armed ? 0 : arm_threads(ending);

	if (r < 0) {
		(void)error_set_errno(err, r, "making the signal pending");
	} else {
		ending->result->outcome = END_ARMED;
		r = ending->order->no_wake ? -EALREADY : wake(ending, wakeup);
		if (r != 0 && r != -EALREADY && r != -EBUSY) {
			(void)snprintf(ending->result->reason, sizeof(ending->result->reason), "%s",
				       why_not_woken(r));
			r = 0;
		}
	}
	(void)memory_set_deadline(memory, deadline_usec);
	return r == -EALREADY ? 0 : r;
}

/* One pause: look again, then write. -EBUSY: let the guest go on and come again. */
static int strike(struct ending *ending, struct wakeup *wakeup, bool is_armed, struct error *err)
{
	struct task *task = &ending->result->task;
	struct task before = *task;
	int r = examine(ending, task, err);

	if (r == 0)
		r = check_identity(ending, task, before.start_nsec, before.comm);
	if (r < 0) {
		*task = before;
		if (!is_armed)
			return r;
		ending->result->outcome = END_ARMED; /* it is ending by itself now */
		ending->result->reason[0] = '\0';
		return 0;
	}
	ending->result->threads = ending->thread_count;
	return arm_and_wake(ending, wakeup, is_armed, err);
}

static int end_by_memory(struct ending *ending, struct error *err)
{
	struct wakeup wakeup = {0};
	int64_t started_usec = clock_mono_usec();
	int r = -EBUSY;

	for (int i = 0; r == -EBUSY && i < BUSY_TRIES; i++) {
		int resumed;

		if (i > 0)
			wait_a_moment(POLL_USEC);
		if (i > 0 && is_dead(ending))
			break;
		r = ending->host->pause(ending->host->userdata, err);
		if (r < 0)
			return r;
		r = strike(ending, &wakeup, i > 0, err);
		resumed = ending->host->resume(ending->host->userdata, err);
		if (resumed < 0)
			return resumed;
	}
	if (r < 0 && r != -EBUSY && ending->result->outcome != END_ARMED)
		return r;
	if (r == -EBUSY)
		(void)snprintf(ending->result->reason, sizeof(ending->result->reason), "%s",
			       why_not_woken(r));
	return watch(ending, &wakeup, started_usec, err);
}

/* The same, noted instead of done. */
static int rehearse(struct ending *ending)
{
	struct wakeup wakeup = {0};
	int r = arm_threads(ending);

	ending->result->threads = ending->thread_count;
	if (r == 0 && !ending->order->no_wake)
		r = wake(ending, &wakeup);
	if (r < 0 && r != -EALREADY)
		(void)snprintf(ending->result->reason, sizeof(ending->result->reason), "%s",
			       why_not_woken(r));
	ending->result->outcome = END_DRY;
	return 0;
}

/* By a call. The struct pid has to stay until the call is made, so it gets a reference, which also
 * makes sure that the call meets this process and no later one of its number. */

static int hold_pid(struct ending *ending, int by, struct error *err)
{
	struct task *task = &ending->result->task, before = *task;
	int resumed, r = ending->host->pause(ending->host->userdata, err);

	if (r < 0)
		return r;
	if (by > 0) {
		r = examine(ending, task, err);
		if (r == 0)
			r = check_identity(ending, task, before.start_nsec, before.comm);
	}
	if (r == 0) {
		/* as in arm_and_wake(): a call may have taken longer than all reading may */
		int64_t deadline_usec = memory_set_deadline(ending->guest->memory, 0);

		r = add_reference(ending->guest, before.struct_pid, FIELD_PID_COUNT, by,
				  "pid: references");
		(void)memory_set_deadline(ending->guest->memory, deadline_usec);
		ending->result->keeps_reference = r == -EALREADY;
		if (r < 0 && r != -EALREADY)
			(void)error_set_errno(err, r, "holding the pid");
	}
	*task = before;
	resumed = ending->host->resume(ending->host->userdata, err);
	return resumed < 0 ? resumed : r == -EALREADY ? 0 : r;
}

static int end_by_call(struct ending *ending, struct error *err)
{
	const struct guest *guest = ending->guest;
	struct end_result *result = ending->result;
	struct end_call call = {
		.breakpoint = guest_symbol(guest, SYMBOL_UPDATE_PROCESS_TIMES),
		.function = guest_symbol(guest, SYMBOL_KILL_PID),
		.return_to = guest_symbol(guest, SYMBOL_MACHINE_HALT),
		.arguments = {result->task.struct_pid, 9, 1},
	};
	struct wakeup none = {0};
	int64_t started_usec = clock_mono_usec();
	uint64_t answer = 0;
	int r, released;

	if (!call.breakpoint || !call.function || !call.return_to || !result->task.struct_pid)
		return refuse(ending, "this kernel has not the functions that a call needs");
	if (ending->order->dry_run) {
		result->outcome = END_DRY;
		(void)snprintf(result->reason, sizeof(result->reason),
			       "would call kill_pid(0x%llx, 9, 1) at the next timer tick",
			       (unsigned long long)result->task.struct_pid);
		return 0;
	}
	r = hold_pid(ending, 1, err);
	if (r < 0)
		return r;
	r = ending->host->call(ending->host->userdata, &call, &answer, err);
	released = hold_pid(ending, -1, r < 0 ? NULL : err);
	if (r < 0 || released < 0)
		return r < 0 ? r : released;
	result->outcome = END_ARMED;
	result->threads = ending->thread_count;
	if ((int32_t)answer != 0)
		(void)snprintf(result->reason, sizeof(result->reason), "kill_pid() returned %d",
			       (int32_t)answer);
	return watch(ending, &none, started_usec, err);
}

int end_process(const struct guest *guest, const struct end_order *order,
		const struct end_host *host, struct end_result *ret_result, struct error *err)
{
	struct ending ending = {.guest = guest, .order = order, .host = host, .result = ret_result};
	int r;

	*ret_result = (struct end_result){.outcome = END_REFUSED};
	r = examine(&ending, &ret_result->task, err);
	if (r == 0) {
		if (order->method == END_BY_CALL)
			r = end_by_call(&ending, err);
		else if (order->dry_run)
			r = rehearse(&ending);
		else
			r = end_by_memory(&ending, err);
	}
	/* a refusal is an answer */
	return r == -EPERM && ret_result->reason[0] && ret_result->outcome == END_REFUSED ? 0 : r;
}
