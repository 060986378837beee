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
	EXPIRY_CHECK_MSEC = 60000, /* at most so long: the wall clock may be set */
	EXPIRY_RETRY_MSEC = 60000,
};

#define EXPIRY_TIMEOUT_USEC (30 * USEC_PER_SEC)

/* Numbers that JSON has; a controller's begin at 1. */
#define NUMBER_MAX ((uint64_t)INT64_MAX)

/* One action, from being allowed to its end. */
struct job {
	struct actor *owner;
	struct deed deed;
	bool is_expiry; /* the node's own release: nobody waits for the answer */
	bool is_begun;  /* by the journal */
};

struct actor {
	uv_loop_t *loop;
	struct actor_options options;
	char *program, *uri, *nft, *evidence;
	struct job *running[ACTOR_RUNNING_MAX];
	struct job *waiting[ACTOR_WAITING_MAX + 1]; /* the oldest first; one is an expiry's place */
	size_t running_count, waiting_count;
	uv_timer_t *expiry; /* outlives the actor until its close callback */
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
	const struct journal_record line = {event, act, job->deed.name, job->deed.controller,
					    &outcome};

	if (end) {
		outcome.status = end->status;
		outcome.reason = end->reason;
		outcome.report = end->report;
		outcome.report_size = end->report_size;
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

static void schedule_expiry(struct actor *actor, uint64_t at_least_msec);

static void end_expiry(struct job *job, const struct deed_end *end)
{
	struct actor *actor = job->owner;
	bool is_done = end->status == WIRE_OUTCOME_DONE;

	actor->is_expiring = false;
	log_write(is_done ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING,
		  "containment %llu of VM %s is over%s%s", (unsigned long long)job->deed.act.undoes,
		  job->deed.name,
		  is_done ? "" : ", but its table is left: ", is_done ? "" : end->reason);
	schedule_expiry(actor, is_done ? 0 : EXPIRY_RETRY_MSEC);
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
	if (job->is_expiry && r < 0)
		deed_end_set(end, WIRE_OUTCOME_FAILED, "%s", error_text(&err, r));
	if (job->is_expiry)
		end_expiry(job, end);
	else
		answer_end(job->owner, job->deed.act.action, end);
	if (!job->is_expiry && job->deed.act.kind == WIRE_ACT_CONTAIN)
		schedule_expiry(job->owner, 0);
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

/* What cannot be recorded is not done. False: the end says so. */
static bool begin(struct job *job, struct deed_end *ret_end)
{
	struct error err = ERROR_INIT;
	int r = 0;

	if (job->deed.act.dry_run || job->is_expiry)
		return true;
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
	r = deed_start(&job->deed, actor->loop, &actor->options, on_ended, job);
	if (r == 0) {
		actor->running[actor->running_count++] = job;
		return true;
	}
	deed_end_set(ret_end, WIRE_OUTCOME_FAILED, "%s cannot be started: %s",
		     deed_program(&job->deed, &actor->options), uv_strerror(r));
	return false;
}

static bool is_busy(const struct actor *actor, const struct vm_uuid *vm)
{
	for (size_t i = 0; i < actor->running_count; i++)
		if (vm_uuid_equal(&actor->running[i]->deed.act.vm, vm))
			return true;
	return false;
}

/* The oldest whose VM is free; NULL: none. */
static struct job *take_waiting(struct actor *actor)
{
	for (size_t i = 0; i < actor->waiting_count; i++) {
		struct job *job = actor->waiting[i];

		if (is_busy(actor, &job->deed.act.vm))
			continue;
		actor->waiting_count--;
		memmove(actor->waiting + i, actor->waiting + i + 1,
			(actor->waiting_count - i) * sizeof(struct job *));
		return job;
	}
	return NULL;
}

static void start_waiting(struct actor *actor)
{
	struct deed_end end;
	struct job *job;

	while (actor->running_count < ACTOR_RUNNING_MAX && (job = take_waiting(actor)))
		if (!start_job(actor, job, &end)) {
			end_job(job, &end);
			free_job(job);
		}
}

/* Containments whose time is over */

static void on_expiry(uv_timer_t *timer);

static void schedule_expiry(struct actor *actor, uint64_t at_least_msec)
{
	const struct journal_containment *first = journal_first_containment(actor->options.journal);
	int64_t msec = first ? (first->until_usec - clock_wall_usec()) / USEC_PER_MSEC + 1 : 0;

	if (!first || actor->is_expiring)
		return;
	if (msec < (int64_t)at_least_msec)
		msec = (int64_t)at_least_msec;
	if (msec > EXPIRY_CHECK_MSEC)
		msec = EXPIRY_CHECK_MSEC;
	(void)uv_timer_start(actor->expiry, on_expiry, (uint64_t)msec, 0);
}

/* Returns owned, NULL when memory is out. */
static struct job *make_job(struct actor *actor, const struct wire_act *act, const char *name,
			    const char *controller)
{
	struct job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->owner = actor;
	return deed_init(&job->deed, act, name, controller) < 0 ? free_job(job) : job;
}

static void on_expiry(uv_timer_t *timer)
{
	struct actor *actor = timer->data;
	const struct journal_containment *first = journal_first_containment(actor->options.journal);
	struct wire_act act = {.kind = WIRE_ACT_RELEASE,
			       .timeout_usec = EXPIRY_TIMEOUT_USEC,
			       .who = "expiry",
			       .command = "",
			       .peer = "",
			       .address = ""};
	struct job *job = NULL;

	if (!first || first->until_usec > clock_wall_usec()) {
		schedule_expiry(actor, 0);
		return;
	}
	act.vm = first->vm;
	act.undoes = first->action;
	job = make_job(actor, &act, first->name, "");
	if (!job) {
		schedule_expiry(actor, EXPIRY_RETRY_MSEC);
		return;
	}
	job->is_expiry = true;
	actor->is_expiring = true;
	actor->waiting[actor->waiting_count++] = job;
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

/* Whether it is no new one; it is answered then. */
static bool was_ordered(const struct actor *actor, const struct wire_act *act)
{
	struct deed_end end;

	switch (journal_find(actor->options.journal, act)) {
	case JOURNAL_NEW:
		return false;
	case JOURNAL_CLOSED:
		answer_again(actor, act->action);
		return true;
	case JOURNAL_OPEN:
		deed_end_set(&end, WIRE_OUTCOME_UNKNOWN,
			     "it was begun, and its end could not be recorded: look again");
		break;
	case JOURNAL_OTHER:
		deed_end_set(&end, WIRE_OUTCOME_REFUSED,
			     "this node's journal has another order under this number");
		break;
	}
	answer_end(actor, act->action, &end);
	return true;
}

/* What speaks against it whatever it is. False: the end says it. */
static bool may_act(const struct actor *actor, const struct deed *deed,
		    const struct policy_case *asked, struct deed_end *ret_end)
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
	const struct wire_act *act = &job->deed.act;
	struct deed_end end;

	log_info("action %llu, alarm %lld, ordered by %s (%s): %s%s of VM %s",
		 (unsigned long long)act->action, (long long)act->alarm, act->who,
		 job->deed.controller, wire_act_kind_name(act->kind),
		 act->dry_run ? ", dry run," : "", job->deed.name);
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

void actor_order(struct actor *actor, const struct wire_act *act, const struct policy_case *asked)
{
	struct deed_end end;
	struct job *job;

	if (is_known(actor->running, actor->running_count, act->action) ||
	    is_known(actor->waiting, actor->waiting_count, act->action)) {
		log_debug("action %llu is said again", (unsigned long long)act->action);
		return;
	}
	if (!act->dry_run && was_ordered(actor, act))
		return;
	if (!asked) {
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
	actor->expiry = calloc(1, sizeof(*actor->expiry));
	if (actor->expiry) {
		(void)uv_timer_init(loop, actor->expiry); /* cannot fail */
		actor->expiry->data = actor;
	}
	if (!copy_options(actor, options) || !actor->expiry)
		return actor_free(actor);
	schedule_expiry(actor, 0);
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
	if (actor->expiry)
		uv_close((uv_handle_t *)actor->expiry, close_timer);
	free(actor->program);
	free(actor->uri);
	free(actor->nft);
	free(actor->evidence);
	free(actor);
	return NULL;
}
