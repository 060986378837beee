/* SPDX-License-Identifier: Apache-2.0 */
#include "node/actor.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "node/actor_deed.h"

enum {
	CHECK_MSEC = 60000, /* at most so long: the wall clock may be set */
};

#define EXPIRY_TIMEOUT_USEC (30 * USEC_PER_SEC)

/* Numbers that JSON has; a controller's begin at 1. */
#define NUMBER_MAX ((uint64_t)INT64_MAX)

/* One action, from being allowed to its end. */
struct job {
	struct actor *owner;
	struct deed deed;
	int64_t deadline_usec; /* monotonic; waiting counts */
	bool is_expiry;        /* the node's own release: nobody waits for the answer */
	bool is_begun;         /* by the journal */
};

struct actor {
	uv_loop_t *loop;
	struct actor_options options;
	char *program, *uri, *nft, *evidence;
	struct job *running[2 * ACTOR_RUNNING_MAX];
	struct job *waiting[ACTOR_WAITING_MAX + 1]; /* the oldest first; one is an expiry's place */
	size_t running_count, waiting_count;
	uv_timer_t *timer; /* of deadlines and expiries; outlives the actor until its close callback
			    */
	bool is_expiring;
};

/* Answers */

static void answer(const struct actor *actor, const struct wire_outcome *outcome)
{
	log_info("action %llu is %s%s%s", (unsigned long long)outcome->action,
		 wire_outcome_status_name(outcome->status), *outcome->reason ? ": " : "",
		 outcome->reason);
	actor->options.answer(actor->options.userdata, outcome);
}

/* Without a record. */
static void answer_end(const struct actor *actor, uint64_t action, struct deed_end *end)
{
	struct wire_outcome outcome = {.action = action,
				       .status = end->status,
				       .reason = end->reason,
				       .report = end->report,
				       .report_size = end->report_size};

	answer(actor, &outcome);
}

static int record(const struct job *job, enum journal_event event, struct deed_end *end,
		  struct error *err)
{
	const struct wire_act *act = &job->deed.act;
	struct wire_outcome outcome = {.action = act->action};
	struct journal_record line = {event,    act,  job->deed.name, job->deed.controller,
				      &outcome, false};

	if (end) {
		outcome.status = end->status;
		outcome.reason = end->reason;
		outcome.report = end->report;
		outcome.report_size = end->report_size;
		line.nothing_done =
			end->status == WIRE_OUTCOME_FAILED && (end->nothing_done || !job->is_begun);
	}
	return journal_append(job->owner->options.journal, &line, err);
}

/* The end of a job */

static struct job *free_job(struct job *job)
{
	deed_deinit(&job->deed);
	free(job);
	return NULL;
}

static void end_expiry(struct job *job, const struct deed_end *end)
{
	struct actor *actor = job->owner;
	bool is_done = end->status == WIRE_OUTCOME_DONE;

	actor->is_expiring = false;
	log_write(is_done ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING,
		  "containment %llu of VM %s is over%s%s", (unsigned long long)job->deed.act.undoes,
		  job->deed.name,
		  is_done ? "" : ", but its table is left: ", is_done ? "" : end->reason);
	if (!is_done)
		journal_put_off_containment(actor->options.journal, job->deed.act.undoes);
}

/* What is done is told as it is, whether or not it can be recorded. */
static void end_job(struct job *job, struct deed_end *end)
{
	bool is_refused = !job->is_begun && end->status == WIRE_OUTCOME_REFUSED;
	bool is_recorded =
		!job->deed.act.dry_run && (!job->is_expiry || end->status == WIRE_OUTCOME_DONE);
	struct error err = ERROR_INIT;
	int r = 0;

	if (is_recorded)
		r = record(job, is_refused ? JOURNAL_REFUSED : JOURNAL_ENDED, end, &err);
	if (r < 0)
		log_error("the end of action %llu is not recorded: %s",
			  (unsigned long long)job->deed.act.action, error_text(&err, r));
	if (job->is_expiry)
		end_expiry(job, end);
	else
		answer_end(job->owner, job->deed.act.action, end);
}

static void leave(struct actor *actor, const struct job *job)
{
	size_t i = 0;

	while (actor->running[i] != job)
		i++;
	actor->running[i] = actor->running[--actor->running_count];
}

static void start_waiting(struct actor *actor);

static void on_ended(void *userdata, const struct program_result *result)
{
	struct job *job = userdata;
	struct actor *actor = job->owner;
	struct deed_end end;

	leave(actor, job);
	deed_judge(&job->deed, &actor->options, result, &end);
	end_job(job, &end);
	free_job(job);
	start_waiting(actor);
}

/* Starting */

/* What it has waited is off the time that its order has. */
static int64_t time_left_usec(const struct job *job)
{
	int64_t left_usec = job->deadline_usec - clock_mono_usec();

	return left_usec > USEC_PER_MSEC ? left_usec : USEC_PER_MSEC;
}

/* What cannot be recorded is not done. False: the end says so. */
static bool begin(struct job *job, struct deed_end *ret_end)
{
	struct error err = ERROR_INIT;
	int r = 0;

	if (job->deed.act.dry_run || job->is_expiry)
		return true;
	if (!deed_may_begin(&job->deed, job->owner->options.journal, ret_end))
		return false;
	r = record(job, JOURNAL_BEGUN, NULL, &err);
	if (r < 0)
		deed_end_set(ret_end, WIRE_OUTCOME_REFUSED,
			     "what cannot be recorded is not done: %s", error_text(&err, r));
	job->is_begun = r == 0;
	return r == 0;
}

/* False: it has ended, as the end says. */
static bool start_job(struct actor *actor, struct job *job, struct deed_end *ret_end)
{
	int r;

	if (!deed_prepare(&job->deed, &actor->options, ret_end) || !begin(job, ret_end))
		return false;
	r = deed_start(&job->deed, actor->loop, &actor->options, time_left_usec(job), on_ended,
		       job);
	if (r == 0) {
		actor->running[actor->running_count++] = job;
		return true;
	}
	deed_end_set(ret_end, WIRE_OUTCOME_FAILED, "%s cannot be started: %s",
		     deed_program(&job->deed, &actor->options), uv_strerror(r));
	ret_end->nothing_done = true;
	return false;
}

/* At the taps, beside whatever a program does to the VM's process. */
static bool is_of_net(const struct job *job)
{
	return job->deed.act.kind == WIRE_ACT_CONTAIN || job->deed.act.kind == WIRE_ACT_RELEASE;
}

static bool is_snapshot(const struct job *job)
{
	return job->deed.act.kind == WIRE_ACT_SNAPSHOT;
}

/* Actions of one VM keep their order, but none waits for another that does not touch what it
 * touches. A snapshot lasts long and only reads: a pause or resume, which loses or gives back the
 * VM's service, passes it. Ending a process does not: what it changes may be the evidence. */
static bool must_wait_for(const struct job *job, const struct job *earlier)
{
	enum wire_act_kind kind = job->deed.act.kind;

	if (!vm_uuid_equal(&job->deed.act.vm, &earlier->deed.act.vm) ||
	    is_of_net(job) != is_of_net(earlier))
		return false;
	return !is_snapshot(earlier) || (kind != WIRE_ACT_PAUSE && kind != WIRE_ACT_RESUME);
}

/* What is done at taps is over in a moment, and has places of its own; of the others one is never a
 * snapshot's, whatever VM it is of. */
static bool may_start(const struct actor *actor, size_t position)
{
	const struct job *job = actor->waiting[position];
	size_t snapshots = 0, alike = 0;

	for (size_t i = 0; i < actor->running_count; i++) {
		snapshots += is_snapshot(actor->running[i]);
		alike += is_of_net(actor->running[i]) == is_of_net(job);
		if (must_wait_for(job, actor->running[i]))
			return false;
	}
	for (size_t i = 0; i < position; i++)
		if (must_wait_for(job, actor->waiting[i]))
			return false;
	return alike < ACTOR_RUNNING_MAX && (!is_snapshot(job) || snapshots < ACTOR_SNAPSHOTS_MAX);
}

static struct job *take_waiting(struct actor *actor, size_t position)
{
	struct job *job = actor->waiting[position];

	actor->waiting_count--;
	memmove(actor->waiting + position, actor->waiting + position + 1,
		(actor->waiting_count - position) * sizeof(struct job *));
	return job;
}

/* The oldest that may start; NULL: none. */
static struct job *take_next(struct actor *actor)
{
	for (size_t i = 0; i < actor->waiting_count; i++)
		if (may_start(actor, i))
			return take_waiting(actor, i);
	return NULL;
}

/* NULL: none. */
static struct job *take_late(struct actor *actor)
{
	int64_t now_usec = clock_mono_usec();

	for (size_t i = 0; i < actor->waiting_count; i++)
		if (actor->waiting[i]->deadline_usec <= now_usec)
			return take_waiting(actor, i);
	return NULL;
}

/* Who gave the order has taken it for lost by then: doing it later would be a surprise. */
static void end_late(struct actor *actor)
{
	struct deed_end end;
	struct job *job;

	while ((job = take_late(actor))) {
		deed_end_set(&end, WIRE_OUTCOME_FAILED, "not begun in time, nothing was done");
		end_job(job, &end);
		free_job(job);
	}
}

static void schedule(struct actor *actor);

static void start_waiting(struct actor *actor)
{
	struct deed_end end;
	struct job *job;

	end_late(actor);
	while ((job = take_next(actor)))
		if (!start_job(actor, job, &end)) {
			end_job(job, &end);
			free_job(job);
		}
	schedule(actor);
}

/* The timer */

/* Monotonic; INT64_MAX: none. */
static int64_t next_expiry_usec(const struct actor *actor)
{
	int64_t wait_usec = 0;

	if (actor->is_expiring || !journal_first_containment(actor->options.journal, &wait_usec))
		return INT64_MAX;
	return clock_mono_usec() + wait_usec;
}

static void on_timer(uv_timer_t *timer);

/* For what comes first: a deadline of what waits, or the end of a containment. */
static void schedule(struct actor *actor)
{
	int64_t next_usec = next_expiry_usec(actor), msec;

	for (size_t i = 0; i < actor->waiting_count; i++)
		if (actor->waiting[i]->deadline_usec < next_usec)
			next_usec = actor->waiting[i]->deadline_usec;
	if (next_usec == INT64_MAX) {
		(void)uv_timer_stop(actor->timer); /* cannot fail */
		return;
	}
	msec = (next_usec - clock_mono_usec()) / USEC_PER_MSEC + 1;
	if (msec < 0)
		msec = 0;
	if (msec > CHECK_MSEC)
		msec = CHECK_MSEC;
	(void)uv_timer_start(actor->timer, on_timer, (uint64_t)msec, 0);
}

/* Containments whose time is over */

/* Returns owned, NULL when memory is out. */
static struct job *make_job(struct actor *actor, const struct wire_act *act, const char *name,
			    const char *controller)
{
	struct job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->owner = actor;
	job->deadline_usec = clock_mono_usec() + act->timeout_usec;
	return deed_init(&job->deed, act, name, controller) < 0 ? free_job(job) : job;
}

/* Its place is kept. */
static void queue_expiry(struct actor *actor, const struct journal_containment *containment)
{
	const struct wire_act act = {.vm = containment->vm,
				     .kind = WIRE_ACT_RELEASE,
				     .undoes = containment->action,
				     .timeout_usec = EXPIRY_TIMEOUT_USEC,
				     .who = "expiry",
				     .command = "",
				     .peer = "",
				     .address = ""};
	struct job *job = make_job(actor, &act, containment->name, "");

	if (!job) {
		journal_put_off_containment(actor->options.journal, containment->action);
		return;
	}
	job->is_expiry = true;
	actor->is_expiring = true;
	actor->waiting[actor->waiting_count++] = job;
}

static void on_timer(uv_timer_t *timer)
{
	struct actor *actor = timer->data;
	int64_t wait_usec = 0;
	const struct journal_containment *first =
		journal_first_containment(actor->options.journal, &wait_usec);

	if (first && wait_usec <= 0 && !actor->is_expiring)
		queue_expiry(actor, first);
	start_waiting(actor);
}

/* Orders */

static bool is_known(struct job *const *jobs, size_t count, uint64_t action)
{
	for (size_t i = 0; i < count; i++)
		if (!jobs[i]->is_expiry && jobs[i]->deed.act.action == action)
			return true;
	return false;
}

static void answer_again(const struct actor *actor, uint64_t action)
{
	struct wire_outcome outcome = {0};
	struct error err = ERROR_INIT;
	struct deed_end end;
	int r = journal_outcome(actor->options.journal, action, &outcome, &err);

	if (r < 0) {
		deed_end_set(&end, WIRE_OUTCOME_UNKNOWN, "%s", error_text(&err, r));
		answer_end(actor, action, &end);
		return;
	}
	log_debug("action %llu is said again", (unsigned long long)action);
	answer(actor, &outcome);
	free(outcome.reason);
	free(outcome.report);
}

/* What was ordered before under this number, and has no end to be told again. */
static void judge_known(const struct actor *actor, enum journal_state state,
			struct deed_end *ret_end)
{
	if (state == JOURNAL_OPEN)
		deed_end_set(ret_end, WIRE_OUTCOME_UNKNOWN,
			     "it was begun, and its end could not be recorded: look again");
	else if (state == JOURNAL_OTHER)
		deed_end_set(ret_end, WIRE_OUTCOME_REFUSED,
			     "this node's journal has another order under this number");
	else
		deed_end_set(ret_end, WIRE_OUTCOME_UNKNOWN,
			     "whether it was done before cannot be read; it is not done now: %s",
			     journal_trouble(actor->options.journal));
}

/* What speaks against it whatever it is. False: the end says it. */
static bool may_act(const struct actor *actor, struct deed *deed, const struct policy_case *asked,
		    struct deed_end *ret_end)
{
	const char *word = deed_policy_word(deed->act.kind);

	if (!policy_allows_action(actor->options.policy, asked, word))
		deed_end_set(ret_end, WIRE_OUTCOME_REFUSED,
			     "this node's policy does not allow '%s' of VM %s", word, asked->vm);
	else
		return deed_check(deed, actor->options.journal, ret_end);
	return false;
}

static void queue_job(struct actor *actor, struct job *job, const struct policy_case *asked)
{
	struct deed_end end;

	if (!may_act(actor, &job->deed, asked, &end)) {
		end_job(job, &end);
		free_job(job);
		return;
	}
	actor->waiting[actor->waiting_count++] = job;
	start_waiting(actor);
}

static bool has_good_numbers(const struct wire_act *act)
{
	return act->action > 0 && act->action <= NUMBER_MAX && act->undoes <= NUMBER_MAX &&
	       act->start_nsec <= NUMBER_MAX;
}

/* What is turned away before it has a job is in no journal: this is all that is left of it. */
static void log_order(const struct wire_act *act, const struct policy_case *asked)
{
	char uuid[VM_UUID_TEXT_SIZE];

	log_info("action %llu, alarm %lld, ordered by %s (%s): %s%s of VM %s",
		 (unsigned long long)act->action, (long long)act->alarm, act->who,
		 asked->controller, wire_act_kind_name(act->kind), act->dry_run ? ", dry run," : "",
		 asked->vm ? asked->vm : vm_uuid_format(&act->vm, uuid));
}

static void take_order(struct actor *actor, const struct wire_act *act,
		       const struct policy_case *asked, enum journal_state state)
{
	struct deed_end end;
	struct job *job;

	if (state != JOURNAL_NEW) {
		judge_known(actor, state, &end);
	} else if (!asked->vm) {
		deed_end_set(&end, WIRE_OUTCOME_REFUSED, "this node has no such VM");
	} else if (!has_good_numbers(act)) {
		deed_end_set(&end, WIRE_OUTCOME_REFUSED,
			     "the order's numbers are out of range: 1 to 2^63 - 1");
	} else if (actor->waiting_count >= ACTOR_WAITING_MAX) {
		deed_end_set(&end, WIRE_OUTCOME_FAILED, "too many actions wait");
	} else if ((job = make_job(actor, act, asked->vm, asked->controller))) {
		queue_job(actor, job, asked);
		return;
	} else {
		deed_end_set(&end, WIRE_OUTCOME_FAILED, "out of memory");
	}
	answer_end(actor, act->action, &end);
}

void actor_order(struct actor *actor, const struct wire_act *act, const struct policy_case *asked)
{
	enum journal_state state =
		act->dry_run ? JOURNAL_NEW : journal_find(actor->options.journal, act);

	if (is_known(actor->running, actor->running_count, act->action) ||
	    is_known(actor->waiting, actor->waiting_count, act->action)) {
		log_debug("action %llu is said again", (unsigned long long)act->action);
	} else if (state == JOURNAL_CLOSED) {
		answer_again(actor, act->action);
	} else {
		log_order(act, asked);
		take_order(actor, act, asked, state);
	}
}

/* Life */

static void close_timer(uv_handle_t *handle)
{
	free(handle);
}

/* Whether all is there. */
static bool copy_options(struct actor *actor, const struct actor_options *options)
{
	actor->options = *options;
	actor->options.program = actor->program = program_find(options->program);
	actor->options.uri = actor->uri = strdup(options->uri);
	actor->options.nft = actor->nft = strdup(options->nft);
	actor->options.evidence = actor->evidence = strdup(options->evidence);
	return actor->program && actor->uri && actor->nft && actor->evidence;
}

struct actor *actor_new(uv_loop_t *loop, const struct actor_options *options)
{
	struct actor *actor = calloc(1, sizeof(*actor));

	if (!actor)
		return NULL;
	actor->loop = loop;
	actor->timer = calloc(1, sizeof(*actor->timer));
	if (actor->timer) {
		(void)uv_timer_init(loop, actor->timer); /* cannot fail */
		actor->timer->data = actor;
	}
	if (!copy_options(actor, options) || !actor->timer)
		return actor_free(actor);
	schedule(actor);
	return actor;
}

struct actor *actor_free(struct actor *actor)
{
	if (!actor)
		return NULL;
	for (size_t i = 0; i < actor->waiting_count; i++)
		free_job(actor->waiting[i]);
	for (size_t i = 0; i < actor->running_count; i++) {
		program_run_free(actor->running[i]->deed.run);
		free_job(actor->running[i]);
	}
	if (actor->timer)
		uv_close((uv_handle_t *)actor->timer, close_timer);
	free(actor->program);
	free(actor->uri);
	free(actor->nft);
	free(actor->evidence);
	free(actor);
	return NULL;
}
