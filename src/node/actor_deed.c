/* SPDX-License-Identifier: Apache-2.0 */
#include "node/actor_deed.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "node/containment.h"
#include "wire/report.h"
#include "wire/vmi_exit.h"

enum {
	COMMAND_MAX = 15,   /* bytes of a process' name in a kernel */
	NAME_LETTERS = 64,  /* of a VM's name in the name of a file */
	ARGUMENTS_MAX = 12, /* with the NULL */
	WORD_SIZE = 64,
};

/* An order that the wire lets pass is none that the rules turn away. */
static_assert(CONTAINMENT_EXPIRY_USEC_MAX == WIRE_ACT_EXPIRY_USEC_MAX, "a week");

DEFINE_CLEANUP(struct report *, report_free)

void deed_end_set(struct deed_end *ret_end, enum wire_outcome_status status, const char *format,
		  ...)
{
	char text[1024];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	*ret_end = (struct deed_end){.status = status};
	wire_make_text(text, strlen(text), ret_end->reason);
}

int deed_init(struct deed *deed, const struct wire_act *act, const char *name,
	      const char *controller)
{
	*deed = (struct deed){.act = *act};
	deed->act.who = strdup(act->who);
	deed->act.command = strdup(act->command);
	deed->act.peer = strdup(act->peer);
	deed->act.address = strdup(act->address);
	wire_make_text(name, strlen(name), deed->name);
	wire_make_text(controller, strlen(controller), deed->controller);
	(void)vm_uuid_format(&act->vm, deed->vm);
	return deed->act.who && deed->act.command && deed->act.peer && deed->act.address ? 0
											 : -ENOMEM;
}

void deed_deinit(struct deed *deed)
{
	free(deed->act.who);
	free(deed->act.command);
	free(deed->act.peer);
	free(deed->act.address);
	free(deed->script);
	free(deed->report);
}

const char *deed_policy_word(enum wire_act_kind kind)
{
	switch (kind) {
	case WIRE_ACT_END_PROCESS:
		return "end-process";
	case WIRE_ACT_CONTAIN:
	case WIRE_ACT_RELEASE:
		return "contain";
	case WIRE_ACT_PAUSE:
	case WIRE_ACT_RESUME:
		return "pause";
	case WIRE_ACT_SNAPSHOT:
	case WIRE_ACT_KIND_COUNT:
		break;
	}
	return "snapshot";
}

/* Checks */

static bool check_process(const struct wire_act *act, struct deed_end *ret_end)
{
	if (act->start_nsec == 0 && !act->dry_run)
		deed_end_set(ret_end, WIRE_OUTCOME_REFUSED,
			     "the order does not say when process %" PRIu32 " was started: its "
			     "number may be another's by now",
			     act->pid);
	else if (strlen(act->command) > COMMAND_MAX)
		deed_end_set(ret_end, WIRE_OUTCOME_REFUSED,
			     "a process has no name of more than %d bytes", COMMAND_MAX);
	else
		return true;
	return false;
}

/* Where the journal was lost, the controller still knows what it has ordered. A table that is not
 * there is deleted as well as one that is. */
static bool check_release(struct deed *deed, const struct journal *journal,
			  struct deed_end *ret_end)
{
	unsigned long long undoes = deed->act.undoes;

	switch (journal_find_containment(journal, deed->act.undoes, &deed->act.vm)) {
	case JOURNAL_CONTAINMENT_IN_FORCE:
		return true;
	case JOURNAL_CONTAINMENT_UNKNOWN:
		deed->is_blind = true;
		return true;
	case JOURNAL_CONTAINMENT_OVER:
		deed_end_set(ret_end, WIRE_OUTCOME_DONE, "containment %llu was over already",
			     undoes);
		return false;
	case JOURNAL_CONTAINMENT_NONE:
		break;
	}
	deed_end_set(ret_end, WIRE_OUTCOME_REFUSED,
		     "to this node's knowledge action %llu is no containment of VM %s", undoes,
		     deed->name);
	return false;
}

bool deed_check(struct deed *deed, const struct journal *journal, struct deed_end *ret_end)
{
	const struct wire_act *act = &deed->act;

	if (act->kind == WIRE_ACT_END_PROCESS)
		return check_process(act, ret_end);
	if (act->kind == WIRE_ACT_RELEASE)
		return check_release(deed, journal, ret_end);
	return true;
}

bool deed_may_begin(const struct deed *deed, const struct journal *journal,
		    struct deed_end *ret_end)
{
	if (deed->act.kind != WIRE_ACT_CONTAIN ||
	    journal_containment_count(journal) < JOURNAL_CONTAINMENTS_MAX)
		return true;
	deed_end_set(ret_end, WIRE_OUTCOME_FAILED, "%d containments are in force: release some",
		     JOURNAL_CONTAINMENTS_MAX);
	return false;
}

/* Containment */

/* The rules as a report: a row per line. NULL when memory is out. */
static int make_rules(struct deed *deed)
{
	static const struct report_column columns[] = {{"rule", REPORT_TEXT}};
	cleanup(report_free) struct report *report = report_new();
	cleanup(free) char *copy = strdup(deed->script);
	char *rest = copy;

	if (!report || !copy)
		return -ENOMEM;
	report_table(report, "rules", columns, 1, true);
	for (char *line; (line = strsep(&rest, "\n"));)
		if (*line)
			report_text(report, line);
	return report_encode(report, &deed->report, &deed->report_size, NULL);
}

/* Half a VM is not contained. False: the end says so. */
static bool check_cards(struct deed *deed, int taps, size_t cards, struct deed_end *ret_end)
{
	deed->has_later_cards = taps > 0 && (size_t)taps > cards;
	if (taps < 0 && taps != -ENOTSUP)
		deed_end_set(ret_end, WIRE_OUTCOME_FAILED,
			     "the taps of VM %s cannot be told, so that it is not contained: %s",
			     deed->name, strerror(-taps));
	else if (taps <= 0)
		deed_end_set(ret_end, WIRE_OUTCOME_FAILED,
			     "VM %s has no network card that this node can contain: no tap",
			     deed->name);
	else if ((size_t)taps < cards)
		deed_end_set(ret_end, WIRE_OUTCOME_FAILED,
			     "%zu of %zu network cards that VM %s was started with are no taps, "
			     "so that nothing is contained",
			     cards - (size_t)taps, cards, deed->name);
	else
		return true;
	return false;
}

static bool prepare_contain(struct deed *deed, const struct actor_options *options,
			    struct deed_end *ret_end)
{
	const struct wire_act *act = &deed->act;
	struct containment containment = {.action = act->action,
					  .peer = act->peer,
					  .address = act->address,
					  .rate = act->rate,
					  .expiry_usec = act->expiry_usec};
	char taps[CONTAINMENT_TAPS_MAX][HYPERVISOR_TAP_SIZE];
	struct error err = ERROR_INIT;
	size_t cards = 0;
	int r = options->taps(options->userdata, &act->vm, taps, CONTAINMENT_TAPS_MAX, &cards);

	if (!check_cards(deed, r, cards, ret_end))
		return false;
	containment.tap_count = (size_t)r;
	for (size_t i = 0; i < containment.tap_count; i++)
		containment.taps[i] = taps[i];
	r = containment_script(&containment, &deed->script, &err);
	if (r == 0)
		r = make_rules(deed);
	if (r == 0)
		return true;
	deed_end_set(ret_end, r == -EINVAL ? WIRE_OUTCOME_REFUSED : WIRE_OUTCOME_FAILED, "%s",
		     error_text(&err, r));
	return false;
}

static bool prepare_release(struct deed *deed, struct deed_end *ret_end)
{
	deed->script = containment_release_script(deed->act.undoes);
	if (deed->script)
		return true;
	deed_end_set(ret_end, WIRE_OUTCOME_FAILED, "out of memory");
	return false;
}

/* Snapshots */

static void choose_path(struct deed *deed, const char *folder)
{
	char name[NAME_LETTERS + 1];
	size_t length = 0;

	for (const char *c = deed->name; *c && length < NAME_LETTERS; c++)
		name[length++] = (char)(strspn(c, "abcdefghijklmnopqrstuvwxyz"
						  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
						? *c
						: '_');
	name[length] = '\0';
	(void)snprintf(deed->path, sizeof(deed->path), "%.3000s/evidence-%s-%" PRIu64 ".lime",
		       folder, name, deed->act.action);
}

/* Bytes free for us in the folder, or where it would be made. */
static int free_space(const char *folder, uint64_t *ret_bytes)
{
	char copy[PATH_MAX];
	struct statvfs space;
	int r;

	(void)snprintf(copy, sizeof(copy), "%s", folder);
	while ((r = statvfs(copy, &space)) < 0 && errno == ENOENT && strlen(copy) > 1) {
		const char *up = dirname(copy);

		memmove(copy, up, strlen(up) + 1);
	}
	if (r < 0)
		return -errno;
	*ret_bytes = (uint64_t)space.f_bavail * space.f_frsize;
	return 0;
}

static bool prepare_snapshot(struct deed *deed, const struct actor_options *options,
			     struct deed_end *ret_end)
{
	const char *folder = options->evidence;
	uint64_t bytes = 0;
	int r = free_space(folder, &bytes);
	unsigned long long mib = bytes >> 20,
			   wanted = ACTOR_EVIDENCE_MIB_FREE +
				    (options->memory(options->userdata, &deed->act.vm) >> 20);

	choose_path(deed, folder);
	if (r < 0)
		deed_end_set(ret_end, WIRE_OUTCOME_FAILED, "%s: %s", folder, strerror(-r));
	else if (access(deed->path, F_OK) == 0)
		deed_end_set(ret_end, WIRE_OUTCOME_FAILED, "%s is there already", deed->path);
	else if (mib < wanted)
		deed_end_set(
			ret_end, WIRE_OUTCOME_FAILED,
			"only %llu MiB are free in %s: make it %llu or more, which is the VM's "
			"memory and %d MiB",
			mib, folder, wanted, ACTOR_EVIDENCE_MIB_FREE);
	else if (deed->act.dry_run)
		deed_end_set(ret_end, WIRE_OUTCOME_DONE,
			     "VM %s's memory would be saved as %s; %llu MiB are free there",
			     deed->name, deed->path, mib);
	else if (mkdir(folder, 0700) < 0 && errno != EEXIST)
		deed_end_set(ret_end, WIRE_OUTCOME_FAILED, "%s: %s", folder, strerror(errno));
	else
		return true;
	return false;
}

static int make_file_report(struct deed *deed, uint64_t size)
{
	static const struct report_column columns[] = {{"path", REPORT_TEXT},
						       {"size", REPORT_BYTES}};
	cleanup(report_free) struct report *report = report_new();

	if (!report)
		return -ENOMEM;
	report_table(report, "file", columns, 2, false);
	report_text(report, deed->path);
	report_number(report, size);
	return report_encode(report, &deed->report, &deed->report_size, NULL);
}

/* Starting */

bool deed_prepare(struct deed *deed, const struct actor_options *options, struct deed_end *ret_end)
{
	switch (deed->act.kind) {
	case WIRE_ACT_CONTAIN:
		return prepare_contain(deed, options, ret_end);
	case WIRE_ACT_RELEASE:
		return prepare_release(deed, ret_end);
	case WIRE_ACT_SNAPSHOT:
		return prepare_snapshot(deed, options, ret_end);
	case WIRE_ACT_PAUSE:
	case WIRE_ACT_RESUME:
		if (!deed->act.dry_run)
			return true;
		deed_end_set(ret_end, WIRE_OUTCOME_DONE, "VM %s would be %s", deed->name,
			     deed->act.kind == WIRE_ACT_PAUSE ? "paused" : "resumed");
		return false;
	case WIRE_ACT_END_PROCESS:
	case WIRE_ACT_KIND_COUNT:
		break;
	}
	return true;
}

/* A program's arguments: words that we know, numbers, a UUID, and one text in the form that makes
 * it no option whatever it begins with. */
struct words {
	const char *arguments[ARGUMENTS_MAX];
	size_t count;
	char pid[WORD_SIZE], start[WORD_SIZE], command[WORD_SIZE];
};

static void add(struct words *words, const char *word)
{
	words->arguments[words->count++] = word;
}

static void add_process(struct words *words, const struct wire_act *act)
{
	(void)snprintf(words->pid, sizeof(words->pid), "--pid=%" PRIu32, act->pid);
	add(words, words->pid);
	if (act->start_nsec > 0) {
		(void)snprintf(words->start, sizeof(words->start), "--start=%" PRIu64,
			       act->start_nsec);
		add(words, words->start);
	}
	if (*act->command) {
		(void)snprintf(words->command, sizeof(words->command), "--command=%s",
			       act->command);
		add(words, words->command);
	}
	add(words, "--encoded");
	if (act->dry_run)
		add(words, "--dry-run");
}

static void add_vmi_words(struct words *words, const struct deed *deed,
			  const struct actor_options *options)
{
	const char *command = deed->act.kind == WIRE_ACT_END_PROCESS
				      ? "kill"
				      : wire_act_kind_name(deed->act.kind);

	add(words, options->program);
	add(words, command);
	add(words, deed->vm);
	if (deed->act.kind == WIRE_ACT_END_PROCESS)
		add_process(words, &deed->act);
	if (deed->act.kind == WIRE_ACT_SNAPSHOT) {
		add(words, "--output");
		add(words, deed->path);
	}
	if (*options->uri) {
		add(words, "--connect");
		add(words, options->uri);
	}
}

static void add_nft_words(struct words *words, const struct deed *deed,
			  const struct actor_options *options)
{
	add(words, options->nft);
	if (deed->act.dry_run)
		add(words, "-c");
	add(words, "-f");
	add(words, "-");
}

int deed_start(struct deed *deed, uv_loop_t *loop, const struct actor_options *options,
	       int64_t timeout_usec, program_run_ended *ended, void *userdata)
{
	struct words words = {.count = 0};
	struct program_options run = {.arguments = words.arguments,
				      .input = deed->script,
				      .input_size = deed->script ? strlen(deed->script) : 0,
				      .output_max = ACTOR_REPORT_SIZE_MAX,
				      .timeout_usec = timeout_usec,
				      .ended = ended,
				      .userdata = userdata};

	if (deed->script)
		add_nft_words(&words, deed, options);
	else
		add_vmi_words(&words, deed, options);
	return program_run_new(loop, &run, &deed->run);
}

const char *deed_program(const struct deed *deed, const struct actor_options *options)
{
	return program_name(deed->script ? options->nft : options->program);
}

/* Ends */

static void judge_process(const struct program_result *result, struct deed_end *ret_end)
{
	const char *complaint = result->complaint;

	if (result->exit_status == 0)
		deed_end_set(ret_end, WIRE_OUTCOME_DONE, "%s", "");
	else if (result->exit_status == EXIT_REFUSED)
		deed_end_set(ret_end, WIRE_OUTCOME_REFUSED, "%s",
			     *complaint ? complaint : "refused; the report says why");
	else if (result->exit_status == EXIT_ARMED)
		deed_end_set(ret_end, WIRE_OUTCOME_PENDING, "%s",
			     *complaint ? complaint
					: "SIGKILL is pending; it has not died: the report says "
					  "where it sleeps");
	else
		deed_end_set(ret_end, WIRE_OUTCOME_FAILED, "%s",
			     *complaint ? complaint : "it could not be ended");
	ret_end->report = result->output;
	ret_end->report_size = result->output_size;
}

/* nft says what is wrong, then shows the line and marks the place. */
static void take_nft_error(const struct program_result *result, char *ret_text)
{
	static const char mark[] = "Error: ";
	const char *found = result->errors_size > 0 ? strstr(result->errors, mark) : NULL;

	if (found)
		wire_make_text(found + strlen(mark), strcspn(found + strlen(mark), "\n"), ret_text);
	else
		(void)snprintf(ret_text, WIRE_NAME_MAX + 1, "%s", result->complaint);
}

static const char *what_stays_open(const struct deed *deed)
{
	if (deed->is_blind)
		return "this node's journal knows nothing of that containment; if it was in force, "
		       "it is over";
	if (deed->has_later_cards)
		return "cards were plugged in since the VM was started: any that are no taps are "
		       "not contained";
	if (deed->act.dry_run && *deed->act.address)
		return "only that address of the VM would be contained: root in the guest can take "
		       "another";
	return "";
}

static void judge_rules(struct deed *deed, const struct program_result *result,
			struct deed_end *ret_end)
{
	char text[WIRE_NAME_MAX + 1];

	if (result->exit_status == 0) {
		deed_end_set(ret_end, WIRE_OUTCOME_DONE, "%s", what_stays_open(deed));
		ret_end->report = deed->report;
		ret_end->report_size = deed->report_size;
		return;
	}
	take_nft_error(result, text);
	deed_end_set(ret_end, WIRE_OUTCOME_FAILED, "the rules were not taken, all is as it was: %s",
		     *text ? text : "nft says no reason");
	ret_end->nothing_done = true; /* a script is one transaction */
}

static void judge_snapshot(struct deed *deed, struct deed_end *ret_end)
{
	struct stat status;

	deed_end_set(ret_end, WIRE_OUTCOME_DONE, "%s", deed->path);
	if (stat(deed->path, &status) < 0) {
		deed_end_set(ret_end, WIRE_OUTCOME_FAILED, "%s: %s", deed->path, strerror(errno));
		return;
	}
	if (make_file_report(deed, (uint64_t)status.st_size) < 0)
		return; /* the reason has the path */
	ret_end->report = deed->report;
	ret_end->report_size = deed->report_size;
}

static void judge_state(const struct deed *deed, const struct program_result *result,
			struct deed_end *ret_end)
{
	bool is_pause = deed->act.kind == WIRE_ACT_PAUSE;

	if (result->exit_status == 0)
		deed_end_set(ret_end, WIRE_OUTCOME_DONE, "%s", "");
	else
		deed_end_set(ret_end, WIRE_OUTCOME_DONE, "VM %s %s already", deed->name,
			     is_pause ? "was paused" : "ran");
}

static void judge_trouble(const struct deed *deed, const struct actor_options *options,
			  const struct program_result *result, struct deed_end *ret_end)
{
	const char *name = deed_program(deed, options);

	if (result->trouble == PROGRAM_LATE)
		deed_end_set(ret_end, WIRE_OUTCOME_FAILED,
			     "%s had not ended when its time was over; what it did before is not "
			     "known: look again",
			     name);
	else if (result->trouble != PROGRAM_NO_TROUBLE)
		deed_end_set(ret_end, WIRE_OUTCOME_FAILED,
			     "the report of %s could not be taken; it has perhaps done its work: "
			     "look again",
			     name);
	else if (result->signal)
		deed_end_set(ret_end, WIRE_OUTCOME_FAILED,
			     "%s was ended by signal %d; what it did before is not known: look "
			     "again",
			     name, result->signal);
	else
		deed_end_set(ret_end, WIRE_OUTCOME_FAILED, "%s",
			     *result->complaint ? result->complaint : "it failed, and no reason");
}

void deed_judge(struct deed *deed, const struct actor_options *options,
		const struct program_result *result, struct deed_end *ret_end)
{
	enum wire_act_kind kind = deed->act.kind;
	bool is_state = kind == WIRE_ACT_PAUSE || kind == WIRE_ACT_RESUME;
	int64_t status = result->exit_status;

	if (result->trouble != PROGRAM_NO_TROUBLE || result->signal)
		judge_trouble(deed, options, result, ret_end);
	else if (kind == WIRE_ACT_END_PROCESS)
		judge_process(result, ret_end);
	else if (deed->script)
		judge_rules(deed, result, ret_end);
	else if (kind == WIRE_ACT_SNAPSHOT && status == 0)
		judge_snapshot(deed, ret_end);
	else if (is_state && (status == 0 || status == EXIT_NOTHING))
		judge_state(deed, result, ret_end);
	else
		judge_trouble(deed, options, result, ret_end);
}
