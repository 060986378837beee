/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patterns: what several facts of one VM look like together. Each is "possible ..." and says what
 * was seen, since a backup, a load test or a database looks the same.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "suspect/suspect_internal.h"

/* From where on something is a pattern. */
static const double flood_per_second = 50, flood_share = 0.8, mining_percent = 90,
		    rewriting_rate = 0x1p20, rewriting_share = 0.5;

enum {
	FLOOD_LEAST = 20,    /* connections, for flood_share to count */
	UNHELD_LEAST = 50,   /* connections */
	STEADY_MOST = 3,     /* connections of a miner */
	WRITABLE_LEAST = 16, /* files */
	FLOODS_MAX = 3,      /* patterns of one kind */
	PROCESSES_MAX = 2,
};

static int add(json_t *patterns, const char *name, const char *text, const struct contact *contact)
{
	json_t *pattern;
	char peer[TEXT_PEER_SIZE];
	int r;

	if (json_array_size(patterns) == SUSPECT_PATTERNS_MAX)
		return 0;
	pattern = json_pack("{s:s, s:s}", "name", name, "text", text);
	r = json_array_append_new(patterns, pattern);
	if (r == 0 && contact) {
		(void)suspect_clean(contact->peer, peer, sizeof(peer));
		r = json_object_set_new(pattern, "peer", json_string(peer));
		if (r == 0)
			r = json_object_set_new(pattern, "port", json_integer(contact->port));
	}
	return r < 0 ? -ENOMEM : 0;
}

static const struct contact *first_of(const struct facts *facts, const struct target *target)
{
	return &facts->contacts[target->first];
}

/* Floods */

static bool is_flood(const struct facts *facts, const struct target *target)
{
	double seconds = facts->context->sample_usec > 0
				 ? (double)facts->context->sample_usec / (double)USEC_PER_SEC
				 : 1;

	if (!facts->network || first_of(facts, target)->is_incoming)
		return false;
	return target->opened / seconds >= flood_per_second ||
	       (target->opened >= FLOOD_LEAST && target->opened >= flood_share * facts->opened);
}

/* Opened and closed so quickly that nobody is seen with one. */
static bool is_orphaned(const struct facts *facts, const struct target *target)
{
	return facts->network && !first_of(facts, target)->is_incoming &&
	       target->best == NO_PLACE && target->unheld >= UNHELD_LEAST;
}

static void tell_who(const struct facts *facts, const struct target *target, char *text,
		     size_t size)
{
	char name[TEXT_COMMAND_SIZE + 32];
	const struct process *best =
		target->best == NO_PLACE
			? NULL
			: suspect_find_process(facts, facts->contacts[target->best].pid);

	if (!best) {
		(void)snprintf(text, size, "; no process holds one");
		return;
	}
	suspect_name(facts, best, name, sizeof(name));
	if (target->processes > 1)
		(void)snprintf(text, size, ", by %u processes, most by %s", target->processes,
			       name);
	else
		(void)snprintf(text, size, ", by %s", name);
}

static int add_flood(const struct facts *facts, const struct target *target, json_t *patterns)
{
	char text[TEXT_REASON_SIZE], who[TEXT_COMMAND_SIZE + 96];
	char whole[TEXT_REASON_SIZE + sizeof(who)];

	if (is_flood(facts, target)) {
		suspect_tell_opened(facts, first_of(facts, target), target->opened, text);
		tell_who(facts, target, who, sizeof(who));
	} else {
		suspect_tell_held(facts, first_of(facts, target), target->unheld, text);
		(void)snprintf(who, sizeof(who), "; no process holds one%s",
			       target->waiting > 0 ? " any more (TIME_WAIT)" : "");
	}
	(void)snprintf(whole, sizeof(whole), "%s%s", text, who);
	return add(patterns, "possible flood", whole, first_of(facts, target));
}

static double size_of(const struct target *target)
{
	return target->opened > target->unheld ? target->opened : target->unheld;
}

static int find_floods(const struct facts *facts, json_t *patterns)
{
	const struct target *chosen[FLOODS_MAX];
	size_t count = 0;
	int r = 0;

	for (size_t i = 0; i < facts->target_count; i++) {
		const struct target *target = &facts->targets[i];
		size_t place = count;

		if (!is_flood(facts, target) && !is_orphaned(facts, target))
			continue;
		while (place > 0 && size_of(chosen[place - 1]) < size_of(target))
			place--;
		if (place == FLOODS_MAX)
			continue;
		count += count < FLOODS_MAX;
		for (size_t j = count - 1; j > place; j--)
			chosen[j] = chosen[j - 1];
		chosen[place] = target;
	}
	for (size_t i = 0; r == 0 && i < count; i++)
		r = add_flood(facts, chosen[i], patterns);
	return r;
}

/* Being flooded: the sockets of this VM are taken */

static int find_taken(const struct facts *facts, json_t *patterns)
{
	for (size_t i = 0; facts->network && i < facts->target_count; i++) {
		const struct target *target = &facts->targets[i];
		double held = suspect_held(target);
		char text[TEXT_REASON_SIZE];

		if (!first_of(facts, target)->is_incoming ||
		    !suspect_is_taking(held, held / facts->held))
			continue;
		suspect_tell_held(facts, first_of(facts, target), held, text);
		return add(patterns, "possible denial of service", text, first_of(facts, target));
	}
	return 0;
}

static int find_queue(const struct facts *facts, json_t *patterns)
{
	for (size_t i = 0; i < facts->process_count; i++) {
		const struct process *process = &facts->processes[i];
		char text[TEXT_REASON_SIZE], name[TEXT_COMMAND_SIZE + 32];
		char whole[TEXT_REASON_SIZE + sizeof(name) + 2];

		if (process->weights[EVIDENCE_QUEUE] <= 0)
			continue;
		suspect_tell(facts, process, EVIDENCE_QUEUE, text);
		suspect_name(facts, process, name, sizeof(name));
		(void)snprintf(whole, sizeof(whole), "%s: %s", name, text);
		return add(patterns, "possible denial of service", whole, NULL);
	}
	return 0;
}

/* Processes */

static bool is_miner(const struct facts *facts, const struct process *process)
{
	double cpu, is_new;

	return facts->cpu_up && process->connections_out >= 1 &&
	       process->connections_out <= STEADY_MOST && process->opened_out == 0 &&
	       facts->tables[TABLE_PEERS] >= 0 &&
	       suspect_number(facts, process, FIELD_CPU_PERCENT, &cpu) && cpu >= mining_percent &&
	       suspect_number(facts, process, FIELD_NEW, &is_new) && is_new == 0 &&
	       !suspect_is_kernel(facts, process);
}

static const struct contact *outgoing_of(const struct facts *facts, const struct process *process)
{
	for (size_t i = 0; i < facts->contact_count; i++)
		if (facts->contacts[i].pid == process->pid && !facts->contacts[i].is_incoming)
			return &facts->contacts[i];
	return NULL;
}

static int add_miner(const struct facts *facts, const struct process *process, json_t *patterns)
{
	const struct contact *contact = outgoing_of(facts, process);
	char text[TEXT_REASON_SIZE], name[TEXT_COMMAND_SIZE + 32], peer[TEXT_PEER_SIZE];
	double cpu = 0, count = process->connections_out;

	if (!contact)
		return 0;
	suspect_name(facts, process, name, sizeof(name));
	(void)suspect_number(facts, process, FIELD_CPU_PERCENT, &cpu);
	(void)snprintf(text, sizeof(text),
		       "%s uses %.0f %% of a CPU and keeps %.0f connection%s to the outside, %sto "
		       "%s port %u",
		       name, cpu, count, count == 1 ? "" : "s", count == 1 ? "" : "one of them ",
		       suspect_clean(contact->peer, peer, sizeof(peer)), contact->port);
	return add(patterns, "possible mining", text, contact);
}

static bool is_rewriter(const struct facts *facts, const struct process *process)
{
	double rate;

	return facts->write_up && process->writable_files >= WRITABLE_LEAST &&
	       suspect_number(facts, process, FIELD_WRITE_PER_SEC, &rate) &&
	       rate >= rewriting_rate && rate >= rewriting_share * facts->write_rate;
}

static int add_rewriter(const struct facts *facts, const struct process *process, json_t *patterns)
{
	char text[TEXT_REASON_SIZE], name[TEXT_COMMAND_SIZE + 32], path[TEXT_PATH_SIZE], bytes[32];
	struct span file = {NULL, 0};
	double rate = 0;

	suspect_name(facts, process, name, sizeof(name));
	(void)suspect_number(facts, process, FIELD_WRITE_PER_SEC, &rate);
	suspect_tell_bytes(rate, bytes);
	(void)suspect_cell_text(facts, TABLE_FILES, process->writable_row, FIELD_PATH, &file);
	(void)snprintf(text, sizeof(text),
		       "%s writes %s/s and has %.0f files open for writing, one of them %s", name,
		       bytes, process->writable_files, suspect_clean(file, path, sizeof(path)));
	return add(patterns, "possible mass rewriting of files", text, NULL);
}

static int find_processes(const struct facts *facts, json_t *patterns)
{
	size_t miners = 0, rewriters = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < facts->process_count; i++) {
		const struct process *process = &facts->processes[i];

		if (miners < PROCESSES_MAX && is_miner(facts, process)) {
			r = add_miner(facts, process, patterns);
			miners++;
		}
		if (r == 0 && rewriters < PROCESSES_MAX && is_rewriter(facts, process)) {
			r = add_rewriter(facts, process, patterns);
			rewriters++;
		}
	}
	return r;
}

/* A hidden one whose number is unknown, or no number of a process, can be no suspect with a pid. */
static int find_unnumbered(const struct facts *facts, json_t *patterns)
{
	for (size_t row = 0; row < suspect_rows(facts, TABLE_HIDDEN); row++) {
		char text[TEXT_REASON_SIZE], command[TEXT_COMMAND_SIZE];
		char missing[TEXT_COMMAND_SIZE];
		struct span name = {NULL, 0}, views = {NULL, 0};
		double pid;

		if (suspect_cell_number(facts, TABLE_HIDDEN, row, FIELD_PID, &pid) &&
		    suspect_find_process(facts, pid))
			continue;
		(void)suspect_cell_text(facts, TABLE_HIDDEN, row, FIELD_COMMAND, &name);
		(void)suspect_cell_text(facts, TABLE_HIDDEN, row, FIELD_MISSING_FROM, &views);
		(void)suspect_clean(name, command, sizeof(command));
		(void)suspect_clean(views, missing, sizeof(missing));
		(void)snprintf(text, sizeof(text),
			       "a process without a number%s%s is missing from %s",
			       *command ? ", " : "", command, *missing ? missing : "some view");
		return add(patterns, "possible hidden process", text, NULL);
	}
	return 0;
}

int suspect_find_patterns(const struct facts *facts, json_t *patterns)
{
	int r = find_floods(facts, patterns);

	if (r == 0)
		r = find_unnumbered(facts, patterns);
	if (r == 0)
		r = find_taken(facts, patterns);
	if (r == 0)
		r = find_queue(facts, patterns);
	if (r == 0)
		r = find_processes(facts, patterns);
	return r;
}
