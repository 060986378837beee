/* SPDX-License-Identifier: Apache-2.0 */
/* The ranked list. The texts are made for those that come into it only. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "suspect/suspect_internal.h"

enum { SUMMARY_REASONS_MAX = 3 };

/* A process that is only new (0.25), or whose file was only deleted, is not worth a sentence. */
static const double score_worth_saying = 0.3;

/* As json_object_set_new(), and a value that could not be made is a failure. */
static int put(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value) < 0 ? -ENOMEM : 0;
}

static json_t *text_or_null(const struct facts *facts, const struct process *process,
			    enum field field, size_t size)
{
	char clean[TEXT_LINE_SIZE];
	struct span text;

	if (!suspect_text(facts, process, field, &text))
		return json_null();
	return json_string(suspect_clean(text, clean, size));
}

static json_t *number_or_null(const struct facts *facts, const struct process *process,
			      enum field field)
{
	double number;

	if (!suspect_number(facts, process, field, &number))
		return json_null();
	return json_integer((json_int_t)number);
}

/* A double holds 104 days in nanoseconds; a process's identity must be exact. */
static json_t *start_or_null(const struct facts *facts, const struct process *process)
{
	for (int i = 0; i < TABLE_PER_PROCESS; i++) {
		const struct report_cell *cell;

		if (process->rows[i] == NO_PLACE || facts->columns[i][FIELD_START_NSEC] < 0)
			continue;
		cell = report_cell(facts->report, (size_t)facts->tables[i], process->rows[i],
				   (size_t)facts->columns[i][FIELD_START_NSEC]);
		if (cell->known && cell->number <= INT64_MAX)
			return json_integer((json_int_t)cell->number);
	}
	return json_null();
}

/* Parents, the nearest first. A forged circle ends where it closes. */
static json_t *tell_parents(const struct facts *facts, const struct process *process)
{
	const struct process *chain[SUSPECT_PARENTS_MAX + 1] = {process};
	json_t *parents = json_array();
	size_t count = 1;

	while (count <= SUSPECT_PARENTS_MAX) {
		const struct process *parent = NULL;
		double pid;
		json_t *entry;

		if (suspect_number(facts, chain[count - 1], FIELD_PPID, &pid))
			parent = suspect_find_process(facts, pid);
		for (size_t i = 0; parent && i < count; i++)
			if (chain[i] == parent)
				parent = NULL;
		if (!parent)
			break;
		entry = json_pack("{s:I, s:o}", "pid", (json_int_t)parent->pid, "command",
				  text_or_null(facts, parent, FIELD_COMMAND, TEXT_COMMAND_SIZE));
		if (json_array_append_new(parents, entry) < 0) {
			json_decref(parents);
			return NULL;
		}
		chain[count++] = parent;
	}
	return parents;
}

struct reason {
	enum evidence evidence;
	double weight;
};

static int by_weight(const void *a, const void *b)
{
	const struct reason *left = a, *right = b;

	if (left->weight != right->weight)
		return left->weight > right->weight ? -1 : 1;
	return (int)left->evidence - (int)right->evidence;
}

static json_t *tell_reasons(const struct facts *facts, const struct process *process)
{
	struct reason list[EVIDENCE_COUNT];
	json_t *reasons = json_array();
	size_t count = 0;

	for (int i = 0; i < EVIDENCE_COUNT; i++)
		if (process->weights[i] > 0)
			list[count++] = (struct reason){(enum evidence)i, process->weights[i]};
	qsort(list, count, sizeof(list[0]), by_weight);
	for (size_t i = 0; i < count && i < SUSPECT_REASONS_MAX; i++) {
		char text[TEXT_REASON_SIZE];

		suspect_tell(facts, process, list[i].evidence, text);
		if (json_array_append_new(reasons, json_string(text)) < 0) {
			json_decref(reasons);
			return NULL;
		}
	}
	return reasons;
}

static json_t *tell_process(const struct facts *facts, const struct process *process)
{
	json_t *entry = json_object();
	int r = put(entry, "pid", json_integer(process->pid));

	r |= put(entry, "start_nsec", start_or_null(facts, process));
	r |= put(entry, "command", text_or_null(facts, process, FIELD_COMMAND, TEXT_COMMAND_SIZE));
	r |= put(entry, "command_line",
		 text_or_null(facts, process, FIELD_COMMAND_LINE, TEXT_LINE_SIZE));
	r |= put(entry, "uid", number_or_null(facts, process, FIELD_UID));
	r |= put(entry, "parents", tell_parents(facts, process));
	r |= put(entry, "score", json_real(round(process->score * 100) / 100));
	r |= put(entry, "reasons", tell_reasons(facts, process));
	if (r < 0) {
		json_decref(entry);
		return NULL;
	}
	return entry;
}

static bool is_before(const struct process *a, const struct process *b)
{
	return a->score > b->score || (a->score == b->score && a->pid < b->pid);
}

/* The highest scores, in their order. */
static size_t choose(const struct facts *facts, const struct process *chosen[SUSPECTS_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < facts->process_count; i++) {
		const struct process *process = &facts->processes[i];
		size_t place = count;

		if (process->score <= 0)
			continue;
		if (count == SUSPECTS_MAX && !is_before(process, chosen[count - 1]))
			continue;
		if (count < SUSPECTS_MAX)
			count++;
		else
			place--;
		for (; place > 0 && is_before(process, chosen[place - 1]); place--)
			chosen[place] = chosen[place - 1];
		chosen[place] = process;
	}
	return count;
}

static int put_suspects(const struct facts *facts, json_t *found)
{
	const struct process *chosen[SUSPECTS_MAX] = {NULL};
	size_t count = choose(facts, chosen);
	json_t *suspects = json_array();
	int r = put(found, "suspects", suspects);

	for (size_t i = 0; r == 0 && i < count; i++)
		r = json_array_append_new(suspects, tell_process(facts, chosen[i])) < 0 ? -ENOMEM
											: 0;
	return r;
}

/* For suspects_across() */

static int by_connections(const void *a, const void *b)
{
	const struct target *left = a, *right = b;
	double l = fmax(left->connections, left->opened),
	       r = fmax(right->connections, right->opened);

	if (l != r)
		return l > r ? -1 : 1;
	return (left->first > right->first) - (left->first < right->first);
}

static double share_of(double part, double whole)
{
	return whole > 0 ? part / whole : 0;
}

/* The share of what is held is cut, not rounded: suspect_is_taking() is to say of it what it says
 * within the VM. */
static json_t *tell_peer(const struct facts *facts, const struct target *target)
{
	const struct contact *contact = &facts->contacts[target->first];
	double held = suspect_held(target);
	char peer[TEXT_PEER_SIZE];

	return json_pack("{s:s, s:i, s:s, s:I, s:I, s:f, s:I, s:f}", "peer",
			 suspect_clean(contact->peer, peer, sizeof(peer)), "port",
			 (int)contact->port, "direction", contact->is_incoming ? "in" : "out",
			 "connections", (json_int_t)fmin(target->connections, 0x1p53), "opened",
			 (json_int_t)fmin(target->opened, 0x1p53), "share",
			 round(100 * share_of(target->connections, facts->connections)) / 100,
			 "held", (json_int_t)fmin(held, 0x1p53), "held_share",
			 floor(1000 * share_of(held, facts->held)) / 1000);
}

/* Reorders the targets: nothing refers to them any more. */
static int put_peers(struct facts *facts, json_t *found)
{
	json_t *peers = json_array();
	int r = put(found, "peers", peers);

	qsort(facts->targets, facts->target_count, sizeof(*facts->targets), by_connections);
	for (size_t i = 0; r == 0 && i < facts->target_count && i < SUSPECT_PEERS_MAX; i++)
		r = json_array_append_new(peers, tell_peer(facts, &facts->targets[i])) < 0 ? -ENOMEM
											   : 0;
	return r;
}

static int put_addresses(const struct facts *facts, json_t *found)
{
	json_t *addresses = json_array();
	int r = put(found, "addresses", addresses);

	for (size_t i = 0; r == 0 && i < facts->address_count; i++) {
		char text[TEXT_PEER_SIZE];

		(void)suspect_clean(facts->addresses[i], text, sizeof(text));
		r = json_array_append_new(addresses, json_string(text)) < 0 ? -ENOMEM : 0;
	}
	return r;
}

json_t *suspects_find(const struct report *report, const struct suspect_context *context)
{
	cleanup(json_decref) json_t *found = json_object();
	json_t *patterns = json_array();
	struct facts facts;
	int r = suspect_facts_read(report, context, &facts);

	if (r < 0) {
		json_decref(patterns);
		return NULL;
	}
	r = suspect_weigh(&facts);
	if (r == 0)
		r = put_suspects(&facts, found);
	if (r == 0)
		r = suspect_find_patterns(&facts, patterns);
	r |= put(found, "patterns", patterns);
	if (r == 0)
		r = put_peers(&facts, found);
	if (r == 0)
		r = put_addresses(&facts, found);
	suspect_facts_deinit(&facts);
	return r == 0 ? keep(found) : NULL;
}

/* One sentence */

static void print_head(const json_t *suspect, FILE *stream)
{
	const json_t *parent = json_array_get(json_object_get(suspect, "parents"), 0);
	const char *command = text_of(suspect, "command"), *of = text_of(parent, "command");
	long long pid = json_integer_value(json_object_get(suspect, "pid"));

	(void)fputs("suspect ", stream);
	if (*command)
		(void)fprintf(stream, "%s (pid %lld", command, pid);
	else
		(void)fprintf(stream, "process (pid %lld", pid);
	(void)fprintf(stream, "%s%s): ", *of ? ", child of " : "", of);
}

static void print_suspect(const json_t *suspects, FILE *stream)
{
	const json_t *suspect = json_array_get(suspects, 0), *reason;
	size_t i, others = 0;

	print_head(suspect, stream);
	json_array_foreach(json_object_get(suspect, "reasons"), i, reason)
	{
		if (i == SUMMARY_REASONS_MAX)
			break;
		(void)fprintf(stream, "%s%s", i ? "; " : "", json_string_value(reason));
	}
	json_array_foreach(suspects, i, suspect)
	{
		double score = number_of(suspect, "score");

		others += i > 0 && score >= score_worth_saying;
	}
	if (others > 0)
		(void)fprintf(stream, "; and %zu other%s", others, others == 1 ? "" : "s");
}

char *suspects_summarise(const json_t *found)
{
	const json_t *suspects = json_object_get(found, "suspects");
	const json_t *first = json_array_get(suspects, 0);
	const json_t *pattern = json_array_get(json_object_get(found, "patterns"), 0);
	bool is_worth = number_of(first, "score") >= score_worth_saying;
	char *text = NULL;
	size_t size;
	FILE *stream;

	if (!is_worth && !pattern)
		return NULL;
	stream = open_memstream(&text, &size);
	if (!stream)
		return NULL;
	if (is_worth)
		print_suspect(suspects, stream);
	else
		(void)fprintf(stream, "%s: %s", text_of(pattern, "name"), text_of(pattern, "text"));
	if (fclose(stream) == 0)
		return text;
	free(text);
	return NULL;
}
