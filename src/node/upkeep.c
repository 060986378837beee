/* SPDX-License-Identifier: Apache-2.0 */
#include "node/upkeep.h"

#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "node/containment.h"
#include "node/program.h"

#define RETRY_USEC (30 * USEC_PER_SEC)
#define TIMEOUT_USEC (30 * USEC_PER_SEC)

enum { NOTES_MAX = 64 };

/* The taps of a VM: a name alone may be another device's by now. */
struct places {
	char names[CONTAINMENT_TAPS_MAX][HYPERVISOR_TAP_SIZE];
	unsigned numbers[CONTAINMENT_TAPS_MAX]; /* of the interfaces */
	size_t count;
};

struct entry {
	struct journal_containment containment;
	struct journal_flow flow;
	bool has_flow;   /* it is recorded as done */
	bool has_places; /* `places` is where its table is */
	bool is_old;     /* an earlier process made its table, nobody knows where */
	bool is_ours;    /* its table was made here, after its action */
	bool is_over;
	struct places places;
	int64_t not_before_usec; /* monotonic */
};

/* What an action was told since the last look. */
struct note {
	struct vm_uuid vm;
	struct places places;
};

struct upkeep {
	uv_loop_t *loop;
	struct upkeep_options options;
	char *nft;
	struct entry entries[JOURNAL_CONTAINMENTS_MAX];
	size_t count;
	struct note notes[NOTES_MAX]; /* the oldest of each VM */
	size_t note_count;
	int64_t next_usec; /* monotonic */
	struct program_run *run;
	/* of what runs */
	uint64_t action;
	struct places wanted;
};

static struct entry *find_entry(struct upkeep *upkeep, uint64_t action)
{
	for (size_t i = 0; i < upkeep->count; i++)
		if (upkeep->entries[i].containment.action == action)
			return &upkeep->entries[i];
	return NULL;
}

static struct note *find_note(struct upkeep *upkeep, const struct vm_uuid *vm)
{
	for (size_t i = 0; i < upkeep->note_count; i++)
		if (vm_uuid_equal(&upkeep->notes[i].vm, vm))
			return &upkeep->notes[i];
	return NULL;
}

static void number_places(struct places *places)
{
	for (size_t i = 0; i < places->count; i++)
		places->numbers[i] = if_nametoindex(places->names[i]);
}

void upkeep_note(struct upkeep *upkeep, const struct vm_uuid *vm,
		 char (*names)[HYPERVISOR_TAP_SIZE], size_t count)
{
	struct note *note;

	if (find_note(upkeep, vm) || upkeep->note_count == NOTES_MAX ||
	    count > CONTAINMENT_TAPS_MAX)
		return;
	note = &upkeep->notes[upkeep->note_count++];
	*note = (struct note){.vm = *vm, .places.count = count};
	memcpy(note->places.names, names, count * sizeof(names[0]));
	number_places(&note->places);
}

/* What the journal has */

static struct entry *add_entry(struct upkeep *upkeep, const struct vm_uuid *vm, bool is_old)
{
	struct entry *entry = &upkeep->entries[upkeep->count++];
	const struct note *note = find_note(upkeep, vm);

	*entry = (struct entry){.is_old = is_old, .has_places = note != NULL};
	if (note)
		entry->places = note->places;
	return entry;
}

static void take_containments(struct upkeep *upkeep, bool is_old)
{
	size_t count = journal_containment_count(upkeep->options.journal);

	for (size_t i = 0; i < upkeep->count; i++)
		upkeep->entries[i].is_over = true;
	for (size_t i = 0; i < count; i++) {
		const struct journal_containment *containment =
			journal_containment_at(upkeep->options.journal, i);
		struct entry *entry = find_entry(upkeep, containment->action);

		if (!entry && upkeep->count < JOURNAL_CONTAINMENTS_MAX)
			entry = add_entry(upkeep, &containment->vm, is_old);
		if (entry) {
			entry->containment = *containment;
			entry->is_over = false;
		}
	}
}

/* What is over is forgotten; a table that we made may have come after its deletion, and goes first.
 */
static void forget_what_is_over(struct upkeep *upkeep)
{
	size_t kept = 0;

	for (size_t i = 0; i < upkeep->count; i++)
		if (!upkeep->entries[i].is_over || upkeep->entries[i].is_ours)
			upkeep->entries[kept++] = upkeep->entries[i];
	upkeep->count = kept;
}

static int64_t left_usec(const struct entry *entry)
{
	return journal_containment_left_usec(&entry->containment);
}

/* Making tables */

static void describe(const struct upkeep *upkeep, const struct entry *entry, char *text,
		     size_t size)
{
	const struct places *places = &upkeep->wanted;
	size_t used;

	(void)snprintf(text, size, "containment %" PRIu64 " %s", entry->containment.action,
		       entry->is_over ? "is over: what was made of it meanwhile is deleted"
		       : places->count == 0
			       ? "has no tap to be at: its table is deleted until there "
				 "is one"
			       : "is made again at");
	for (size_t i = 0; i < places->count; i++) {
		used = strlen(text);
		(void)snprintf(text + used, size - used, " %s", places->names[i]);
	}
}

static void record(struct upkeep *upkeep, const struct entry *entry, char *reason)
{
	struct wire_act act = {.kind = WIRE_ACT_CONTAIN,
			       .vm = entry->containment.vm,
			       .who = "atom-node",
			       .command = "",
			       .peer = (char *)entry->flow.peer, /* only read */
			       .address = (char *)entry->flow.address,
			       .rate = entry->flow.rate,
			       .expiry_usec = left_usec(entry)};
	struct wire_outcome outcome = {.status = WIRE_OUTCOME_DONE, .reason = reason};
	const struct journal_record line = {.event = JOURNAL_ENDED,
					    .act = &act,
					    .name = entry->containment.name,
					    .controller = "",
					    .outcome = &outcome};
	struct error err = ERROR_INIT;
	int r;

	if (act.expiry_usec < USEC_PER_MSEC)
		act.expiry_usec = USEC_PER_MSEC;
	r = journal_append(upkeep->options.journal, &line, &err);
	if (r < 0)
		log_error("%s: this is not recorded: %s", reason, error_text(&err, r));
}

static void on_ended(void *userdata, const struct program_result *result)
{
	struct upkeep *upkeep = userdata;
	struct entry *entry = find_entry(upkeep, upkeep->action);
	char text[512];

	upkeep->run = NULL;
	upkeep->next_usec = 0; /* there may be more to do */
	if (!entry)
		return;
	describe(upkeep, entry, text, sizeof(text));
	if (result->trouble != PROGRAM_NO_TROUBLE || result->signal || result->exit_status != 0) {
		log_warning("%s; that has failed and is tried again: %s", text, result->complaint);
		entry->not_before_usec = clock_mono_usec() + RETRY_USEC;
		return;
	}
	log_warning("VM %s: %s", entry->containment.name, text);
	entry->is_ours = !entry->is_over && upkeep->wanted.count > 0;
	entry->is_old = false;
	entry->has_places = true;
	entry->places = upkeep->wanted;
	if (!entry->is_over)
		record(upkeep, entry, text);
}

/* The rules for where the VM is now; owned. NULL: none can be made. */
static char *make_script(const struct upkeep *upkeep, const struct entry *entry)
{
	struct containment containment = {.action = entry->containment.action,
					  .peer = entry->flow.peer,
					  .address = entry->flow.address,
					  .rate = entry->flow.rate,
					  .is_renewal = true,
					  .expiry_usec = left_usec(entry),
					  .tap_count = upkeep->wanted.count};
	struct error err = ERROR_INIT;
	char *script = NULL;
	int r;

	if (entry->is_over || upkeep->wanted.count == 0)
		return containment_release_script(entry->containment.action);
	for (size_t i = 0; i < upkeep->wanted.count; i++)
		containment.taps[i] = upkeep->wanted.names[i];
	r = containment_script(&containment, &script, &err);
	if (r < 0)
		log_warning("containment %" PRIu64 " cannot be made again: %s",
			    entry->containment.action, error_text(&err, r));
	return script;
}

static void start(struct upkeep *upkeep, struct entry *entry, const struct places *wanted)
{
	const char *const arguments[] = {upkeep->nft, "-f", "-", NULL};
	cleanup(free) char *script = NULL;
	struct program_options run = {.arguments = arguments,
				      .output_max = 65536,
				      .timeout_usec = TIMEOUT_USEC,
				      .ended = on_ended,
				      .userdata = upkeep};
	int r = -ENOMEM;

	upkeep->action = entry->containment.action;
	upkeep->wanted = *wanted;
	script = make_script(upkeep, entry);
	run.input = script;
	run.input_size = script ? strlen(script) : 0;
	if (script)
		r = program_run_new(upkeep->loop, &run, &upkeep->run);
	if (r < 0)
		entry->not_before_usec = clock_mono_usec() + RETRY_USEC;
	if (r < 0 && script)
		log_warning("%s cannot be started: %s", upkeep->nft, uv_strerror(r));
}

/* Looking */

/* Whether it is known where the VM's taps are; none: it does not run here, or has none. */
static bool look(const struct upkeep *upkeep, const struct entry *entry, struct places *ret_places)
{
	size_t cards;
	int r;

	memset(ret_places, 0, sizeof(*ret_places));
	r = upkeep->options.taps(upkeep->options.userdata, &entry->containment.vm,
				 ret_places->names, CONTAINMENT_TAPS_MAX, &cards);
	if (r < 0)
		return r == -ENOENT;
	ret_places->count = (size_t)r;
	number_places(ret_places);
	return true;
}

static bool has(const struct places *places, const char *name, unsigned number)
{
	for (size_t i = 0; i < places->count; i++)
		if (strcmp(places->names[i], name) == 0 && places->numbers[i] == number)
			return true;
	return false;
}

/* The kernel lists them in any order. */
static bool are_same(const struct places *a, const struct places *b)
{
	for (size_t i = 0; i < a->count; i++)
		if (!has(b, a->names[i], a->numbers[i]))
			return false;
	return a->count == b->count;
}

/* Whether the entry needs nothing just now. */
static bool is_settled(struct upkeep *upkeep, struct entry *entry, struct places *ret_wanted)
{
	if (clock_mono_usec() < entry->not_before_usec)
		return true;
	memset(ret_wanted, 0, sizeof(*ret_wanted));
	if (entry->is_over)
		return false;
	if (!entry->has_flow)
		entry->has_flow = journal_read_flow(upkeep->options.journal,
						    entry->containment.action, &entry->flow) == 0;
	if (!entry->has_flow) {
		/* its action is under way, or has failed */
		entry->not_before_usec = clock_mono_usec() + upkeep->options.interval_usec;
		return true;
	}
	if (left_usec(entry) < USEC_PER_SEC || !look(upkeep, entry, ret_wanted))
		return true;
	if (!entry->has_places && !entry->is_old) {
		/* its action has found them, and too many others have been told of theirs */
		entry->has_places = true;
		entry->places = *ret_wanted;
	}
	return entry->has_places && are_same(&entry->places, ret_wanted);
}

void upkeep_check(struct upkeep *upkeep)
{
	int64_t now_usec = clock_mono_usec();
	struct places wanted;

	if (upkeep->run || now_usec < upkeep->next_usec)
		return;
	upkeep->next_usec = now_usec + upkeep->options.interval_usec;
	take_containments(upkeep, false);
	upkeep->note_count = 0;
	forget_what_is_over(upkeep);
	for (size_t i = 0; i < upkeep->count && !upkeep->run; i++)
		if (!is_settled(upkeep, &upkeep->entries[i], &wanted))
			start(upkeep, &upkeep->entries[i], &wanted);
}

/* Life */

struct upkeep *upkeep_new(uv_loop_t *loop, const struct upkeep_options *options)
{
	struct upkeep *upkeep = calloc(1, sizeof(*upkeep));

	if (!upkeep)
		return NULL;
	upkeep->loop = loop;
	upkeep->options = *options;
	upkeep->nft = strdup(options->nft);
	if (!upkeep->nft)
		return upkeep_free(upkeep);
	take_containments(upkeep, true);
	return upkeep;
}

struct upkeep *upkeep_free(struct upkeep *upkeep)
{
	if (!upkeep)
		return NULL;
	if (upkeep->run)
		program_run_free(upkeep->run);
	free(upkeep->nft);
	free(upkeep);
	return NULL;
}
