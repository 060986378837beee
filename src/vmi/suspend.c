/* SPDX-License-Identifier: Apache-2.0 */
/*
 * atom-vmi pause VM, atom-vmi resume VM: for good, as an operator's order. Not to be confused with
 * the pauses of looks (pause.c), which end by themselves. A bare QEMU's monitor has one client at a
 * time, so that none is under way while we hold it. Under libvirt several may be at work: a pause
 * of which libvirt does not know the reason may be a look's, and is waited for. A VM that stands
 * for any other reason than an order (a dump, a migration, its start, its own sleep) may run on at
 * any time, so that it is not taken for paused.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "terminal/terminal.h"
#include "vmi/command.h"
#include "vmi/pause.h"

enum { POLL_MSEC = 100 };

/* A look's pauses take no longer together, but for a snapshot's. Other states get as long. */
#define PASSING_USEC (PAUSE_TOTAL_USEC_MAX + USEC_PER_SEC)
/* Of a bare QEMU only the guard of a look that died can be waiting for its turn. */
#define TURN_USEC (USEC_PER_SEC / 2)
/* A look that was about to pause the VM when we did lets it run again by then. */
#define WATCH_USEC (USEC_PER_SEC * 6 / 5)

DEFINE_CLEANUP(struct report *, report_free)

static const char pause_help[] =
	"Usage: atom-vmi pause VM [--dry-run] [--json] [--connect URI]\n"
	"Pauses a VM until 'atom-vmi resume' or its manager resumes it: by libvirt, so that it "
	"knows of it,\n"
	"or by QEMU's monitor. Nothing of the guest is read or written. --dry-run says in which "
	"state the VM\n"
	"is and what would be done. A VM that stands for another reason is waited for some "
	"seconds.\n"
	"Exit status: 0 done (or dry run), 1 failed (also: it does not run, and not by an order), "
	"2 bad\n"
	"usage, 3 it was paused by an order already.\n";

static const char resume_help[] =
	"Usage: atom-vmi resume VM [--dry-run] [--json] [--connect URI]\n"
	"Lets a paused VM run, whoever has paused it. --dry-run says in which state the VM is and "
	"what would\n"
	"be done.\n"
	"Exit status: 0 done (or dry run), 1 failed, 2 bad usage, 3 it runs already.\n";

struct outcome {
	const char *word;
	struct monitor_run before, after;
};

/* Gives others their turn at the monitor. */
static int let_others(struct target *target, struct error *err)
{
	const struct timespec moment = {.tv_nsec = POLL_MSEC * USEC_PER_MSEC * 1000};

	target->monitor = monitor_free(target->monitor);
	(void)nanosleep(&moment, NULL); /* shorter is no harm */
	return target_reopen_monitor(target, &target->monitor, err);
}

/* How long such a state is waited out. */
static int64_t patience_usec(const struct target *target, const struct monitor_run *run, bool pause)
{
	if (run->is_passing)
		return target->uri ? PASSING_USEC : TURN_USEC;
	return pause && !run->running && !run->is_ordered ? PASSING_USEC : 0;
}

/* The state that does not pass by itself. */
static int settle(struct target *target, bool pause, struct monitor_run *ret_run, struct error *err)
{
	int64_t started_usec = clock_mono_usec();
	int r = monitor_run(target->monitor, ret_run, err);

	while (r == 0 && clock_mono_usec() - started_usec < patience_usec(target, ret_run, pause)) {
		r = let_others(target, err);
		if (r == 0)
			r = monitor_run(target->monitor, ret_run, err);
	}
	return r;
}

/* Whether the VM stays paused; a look may have been about to pause it too, and then resumes it. */
static int watch(struct target *target, struct monitor_run *ret_run, struct error *err)
{
	const struct timespec moment = {.tv_nsec = POLL_MSEC * USEC_PER_MSEC * 1000};
	int64_t deadline_usec = clock_mono_usec() + (target->uri ? WATCH_USEC : 0);
	bool is_ours;
	int r;

	do {
		r = monitor_run(target->monitor, ret_run, err);
		is_ours = ret_run->is_ordered;
		if (r == 0 && is_ours && target->uri)
			(void)nanosleep(&moment, NULL); /* shorter is no harm */
	} while (r == 0 && is_ours && clock_mono_usec() < deadline_usec);
	if (r == 0 && !is_ours)
		return error_set(err, -EAGAIN,
				 "the VM was paused and somebody, perhaps a look into it, has let "
				 "it run again or is about to: try once more");
	return r;
}

static int refuse_pause(const struct monitor_run *before, struct error *err)
{
	return error_set(err, -EBUSY, "the VM is not running: %s%s", before->status,
			 before->is_passing
				 ? ", but by no order: whoever has stopped it, perhaps a "
				   "snapshot, may let it run again"
				 : "");
}

static int pause_vm(struct target *target, struct monitor_run *ret_run, struct error *err)
{
	int r = monitor_suspend(target->monitor, err);

	return r == 0 ? watch(target, ret_run, err) : r;
}

static int resume_vm(struct target *target, const struct monitor_run *before,
		     struct monitor_run *ret_run, struct error *err)
{
	int r;

	if (before->is_busy)
		return error_set(err, -EBUSY, "the VM is not paused, but in the state '%s'",
				 before->status);
	r = monitor_resume(target->monitor, err);
	if (r == 0)
		r = monitor_run(target->monitor, ret_run, err);
	if (r == 0 && !ret_run->running)
		return error_set(err, -EIO, "the VM was told to run and does not (%s)",
				 ret_run->status);
	return r;
}

static int carry_out(struct target *target, bool pause, bool dry_run, struct outcome *ret_outcome,
		     struct error *err)
{
	struct monitor_run before, after;
	const char *word = pause ? "paused" : "resumed";
	int r = settle(target, pause, &before, err);

	if (r == 0 && pause && !before.running && !before.is_ordered)
		r = refuse_pause(&before, err);
	if (r < 0)
		return r;
	after = before;
	if (before.running != pause)
		word = "already";
	else if (dry_run)
		word = "dry run";
	else
		r = pause ? pause_vm(target, &after, err) : resume_vm(target, &before, &after, err);
	*ret_outcome = (struct outcome){word, before, after};
	return r == -ETIME ? error_prefix(err, r, "it may still happen") : r;
}

static struct report *make_report(const struct outcome *outcome, bool pause)
{
	static const struct report_column columns[] = {
		{"outcome", REPORT_TEXT}, {"before", REPORT_TEXT}, {"after", REPORT_TEXT}};
	struct report *report = report_new();

	if (!report)
		return NULL;
	report_table(report, "suspend", columns, sizeof(columns) / sizeof(columns[0]), false);
	report_text(report, outcome->word);
	report_text(report, outcome->before.status);
	report_text(report, outcome->after.status);
	if (strcmp(outcome->word, "dry run") != 0)
		return report;
	if (outcome->before.is_busy && !pause)
		report_note(report, "it would be refused: the VM is not just paused");
	else
		report_note(report, "the VM would be %s", pause ? "paused" : "resumed");
	return report;
}

static int run(const struct command *command, bool pause, bool dry_run)
{
	cleanup(report_free) struct report *report = NULL;
	struct error err = ERROR_INIT;
	struct outcome outcome;
	struct target target;
	int r = target_attach(&command->target, &target, &err);

	if (r == 0) {
		r = carry_out(&target, pause, dry_run, &outcome, &err);
		target_close(&target);
	}
	if (r < 0)
		return terminal_fail(EXIT_FAILED, "%s", error_text(&err, r));
	report = make_report(&outcome, pause);
	r = report ? command_print(command, report) : -ENOMEM;
	if (r < 0) /* what was done counts, and is said by the status alone */
		(void)terminal_fail(EXIT_FAILED, "the output cannot be written: %s", strerror(-r));
	return strcmp(outcome.word, "already") == 0 ? EXIT_NOTHING : EXIT_OK;
}

static int parse_and_run(int argc, char **argv, bool pause)
{
	bool dry_run = false;
	const struct command_option own[] = {{"dry-run", OPTION_FLAG, &dry_run}};
	struct command command = {.help = pause ? pause_help : resume_help,
				  .takes = COMMAND_TAKES_REPORT,
				  .own = own,
				  .own_count = 1};
	int status;

	if (!command_parse(&command, argc, argv, &status))
		return status;
	if (command.target.dump)
		return terminal_fail(EXIT_USAGE, "a dump does not run");
	return run(&command, pause, dry_run);
}

int command_pause(int argc, char **argv)
{
	return parse_and_run(argc, argv, true);
}

int command_resume(int argc, char **argv)
{
	return parse_and_run(argc, argv, false);
}
