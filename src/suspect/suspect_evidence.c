/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is seen becomes evidence, each with a weight w from 0 to below 1, and a process's score is
 * 1 - (1 - w1)(1 - w2)...: several weak signs add up, and none outweighs what is strong. The
 * weights are judgement, no statistics. "Share" is of what the whole VM does, over loopback left
 * out; x / y is cut at 1.
 *
 *   where a network metric is abnormal
 *     CONTACT   the greater of 0.9 share-of-opened * opened / 20 and 0.7 share-of-held * held / 50
 *     UNHELD    0.6 unheld / 100, of those who speak with that peer the one that opens most
 *     FAMILY    0.7 of CONTACT of all children of one parent; not who does half of it alone
 *     PARENT    0.7 of CONTACT of its children together
 *     INCOMING  0.4 of CONTACT, for connections that others opened
 *     SENT, RECEIVED (metric up)  0.7 share * rate / 64 KiB/s, from 16 KiB/s
 *   where CPU is up
 *     CPU       0.8 of the greater of share * percent / 10 and 0.6 percent / 100, from 5 percent
 *   where reading or writing is up
 *     READ, WRITTEN  0.8 share * rate / 256 KiB/s, from 16 KiB/s
 *   always
 *     STARTED   0.25 within 60 s of the onset, 0.12 later, or earlier but since the last look
 *     FILE      0.6 in memory only; deleted: 0.5 from a folder of temporary files, else 0.25 (an
 *               upgraded package leaves such)
 *     HIDDEN    0.8 from the list of processes, else 0.6
 *     QUEUE     0.25 (rather the one that is hit)
 *
 * Evidence under 0.1 is left out. A kernel thread or process 1 is named only when CONTACT, UNHELD,
 * SENT, RECEIVED, CPU, READ, WRITTEN, FILE and HIDDEN alone score 0.5.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "suspect/suspect_internal.h"

static const double weight_least = 0.1, strong_score = 0.5, rate_least = 16384;

enum { NEAR_SECONDS = 60, UNHELD_LEAST = 20 };

static void bear(struct process *process, enum evidence evidence, double weight, size_t ref)
{
	if (!process || !(weight >= weight_least) || weight <= process->weights[evidence])
		return;
	process->weights[evidence] = fmin(weight, 0.95);
	process->refs[evidence] = (uint32_t)ref;
}

static double share(double part, double whole)
{
	return whole > 0 ? fmin(part / whole, 1) : 0;
}

double suspect_contact_weight(const struct facts *facts, double connections, double opened,
			      bool *ret_is_opened)
{
	double by_opened = 0.9 * share(opened, facts->opened) * fmin(opened / 20, 1);
	double by_held = 0.7 * share(connections, facts->connections) * fmin(connections / 50, 1);

	*ret_is_opened = opened > 0 && by_opened >= by_held;
	return fmax(by_opened, by_held);
}

static void weigh_contacts(struct facts *facts)
{
	for (size_t i = 0; i < facts->contact_count; i++) {
		const struct contact *contact = &facts->contacts[i];
		bool is_opened;
		double weight = suspect_contact_weight(facts, contact->connections, contact->opened,
						       &is_opened);

		if (contact->is_incoming)
			bear(suspect_find_process(facts, contact->pid), EVIDENCE_INCOMING,
			     0.4 * weight, i);
		else
			bear(suspect_find_process(facts, contact->pid), EVIDENCE_CONTACT, weight,
			     i);
	}
}

static void weigh_unheld(struct facts *facts)
{
	for (size_t i = 0; i < facts->target_count; i++) {
		const struct target *target = &facts->targets[i];

		if (target->unheld < UNHELD_LEAST || target->best == NO_PLACE ||
		    facts->contacts[target->first].is_incoming)
			continue;
		bear(suspect_find_process(facts, facts->contacts[target->best].pid),
		     EVIDENCE_UNHELD, 0.6 * fmin(target->unheld / 100, 1), i);
	}
}

/* Families */

struct member {
	uint32_t target, parent, contact;
};

static int by_family(const void *a, const void *b)
{
	const struct member *left = a, *right = b;

	if (left->target != right->target)
		return left->target < right->target ? -1 : 1;
	return (left->parent > right->parent) - (left->parent < right->parent);
}

/* Every process is some process's child: those of 1 and of kthreadd are no family. */
static uint32_t parent_of(const struct facts *facts, uint32_t pid)
{
	const struct process *process = suspect_find_process(facts, pid);
	double parent;

	if (!process || !suspect_number(facts, process, FIELD_PPID, &parent) || parent <= 2)
		return 0;
	return parent <= INT32_MAX ? (uint32_t)parent : 0;
}

static size_t collect_members(const struct facts *facts, struct member *members)
{
	size_t count = 0;

	for (size_t i = 0; i < facts->target_count; i++) {
		const struct target *target = &facts->targets[i];

		if (facts->contacts[target->first].is_incoming || target->processes < 2)
			continue;
		for (uint32_t j = target->first; j < target->first + target->count; j++) {
			uint32_t parent = parent_of(facts, facts->contacts[j].pid);

			if (parent)
				members[count++] = (struct member){(uint32_t)i, parent, j};
		}
	}
	return count;
}

static void weigh_family(struct facts *facts, const struct member *members, size_t count)
{
	struct family family = {.target = members[0].target, .parent = members[0].parent};
	size_t place = facts->family_count;
	bool is_opened;
	double weight;

	if (count < 2)
		return;
	for (size_t i = 0; i < count; i++) {
		const struct contact *contact = &facts->contacts[members[i].contact];

		family.children++;
		family.connections += contact->connections;
		family.opened += contact->opened;
	}
	facts->families[facts->family_count++] = family;
	weight = 0.7 * suspect_contact_weight(facts, family.connections, family.opened, &is_opened);
	bear(suspect_find_process(facts, family.parent), EVIDENCE_PARENT, weight, place);
	for (size_t i = 0; i < count; i++) {
		const struct contact *contact = &facts->contacts[members[i].contact];

		if (is_opened ? contact->opened < family.opened / 2
			      : contact->connections < family.connections / 2)
			bear(suspect_find_process(facts, contact->pid), EVIDENCE_FAMILY, weight,
			     place);
	}
}

static int weigh_families(struct facts *facts)
{
	cleanup(free) struct member *members = calloc(facts->contact_count + 1, sizeof(*members));
	size_t count, first = 0;

	facts->families = calloc(facts->contact_count / 2 + 1, sizeof(*facts->families));
	if (!members || !facts->families)
		return -ENOMEM;
	count = collect_members(facts, members);
	qsort(members, count, sizeof(*members), by_family);
	for (size_t i = 1; i <= count; i++) {
		if (i < count && by_family(&members[first], &members[i]) == 0)
			continue;
		weigh_family(facts, members + first, i - first);
		first = i;
	}
	return 0;
}

/* What a process alone tells */

static void weigh_rate(struct process *process, enum evidence evidence, double rate, double whole,
		       double most, double full)
{
	if (rate >= rate_least)
		bear(process, evidence, most * share(rate, whole) * fmin(rate / full, 1), 0);
}

static void weigh_usage(const struct facts *facts, struct process *process)
{
	double children, cpu = suspect_cpu(facts, process, &children), rate;

	if (facts->cpu_up && cpu >= 5)
		bear(process, EVIDENCE_CPU,
		     0.8 * fmax(share(cpu, facts->cpu) * fmin(cpu / 10, 1),
				0.6 * fmin(cpu / 100, 1)),
		     0);
	if (facts->network_up) {
		weigh_rate(process, EVIDENCE_SENT, process->sent_rate, facts->sent_rate, 0.7,
			   0x1p16);
		weigh_rate(process, EVIDENCE_RECEIVED, process->received_rate, facts->received_rate,
			   0.7, 0x1p16);
	}
	if (facts->read_up && suspect_number(facts, process, FIELD_READ_PER_SEC, &rate))
		weigh_rate(process, EVIDENCE_READ, rate, facts->read_rate, 0.8, 0x1p18);
	if (facts->write_up && suspect_number(facts, process, FIELD_WRITE_PER_SEC, &rate))
		weigh_rate(process, EVIDENCE_WRITTEN, rate, facts->write_rate, 0.8, 0x1p18);
}

static void weigh_start(const struct facts *facts, struct process *process)
{
	double onset = (double)facts->context->onset_usec, start, is_new;

	if (suspect_number(facts, process, FIELD_START, &start)) {
		double after = (start - onset) / (double)USEC_PER_SEC;

		if (after >= -NEAR_SECONDS)
			bear(process, EVIDENCE_STARTED, after <= NEAR_SECONDS ? 0.25 : 0.12, 0);
		else if (suspect_is_since_look(facts, start))
			bear(process, EVIDENCE_STARTED, 0.12, 0);
	} else if (suspect_number(facts, process, FIELD_NEW, &is_new) && is_new != 0) {
		bear(process, EVIDENCE_STARTED, 0.12, 0);
	}
}

static bool contains(struct span text, const char *part)
{
	return text.size && memmem(text.bytes, text.size, part, strlen(part));
}

static bool is_temporary(struct span path)
{
	static const char *const folders[] = {"/tmp/", "/var/tmp/", "/dev/shm/", "/run/"};

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		if (path.size > strlen(folders[i]) &&
		    memcmp(path.bytes, folders[i], strlen(folders[i])) == 0)
			return true;
	return false;
}

static void weigh_file(const struct facts *facts, struct process *process)
{
	struct span path = {NULL, 0};
	double flag;

	(void)suspect_text(facts, process, FIELD_EXECUTABLE, &path); /* then nowhere */
	if (suspect_number(facts, process, FIELD_IN_MEMORY, &flag) && flag != 0)
		bear(process, EVIDENCE_FILE, 0.6, 0);
	else if (suspect_number(facts, process, FIELD_DELETED, &flag) && flag != 0)
		bear(process, EVIDENCE_FILE, is_temporary(path) ? 0.5 : 0.25, 0);
}

static void weigh_hiding(const struct facts *facts, struct process *process)
{
	struct span missing = {NULL, 0};

	if (process->rows[TABLE_HIDDEN] == NO_PLACE)
		return;
	(void)suspect_text(facts, process, FIELD_MISSING_FROM, &missing); /* then not the list */
	bear(process, EVIDENCE_HIDDEN, contains(missing, "list") ? 0.8 : 0.6, 0);
}

static void weigh_queues(struct facts *facts)
{
	for (size_t row = 0; row < suspect_rows(facts, TABLE_NET); row++) {
		double pid, waiting, most;

		if (suspect_cell_number(facts, TABLE_NET, row, FIELD_BACKLOG, &waiting) &&
		    suspect_cell_number(facts, TABLE_NET, row, FIELD_BACKLOG_MAX, &most) &&
		    suspect_cell_number(facts, TABLE_NET, row, FIELD_PID, &pid) && most > 0 &&
		    waiting >= most)
			bear(suspect_find_process(facts, pid), EVIDENCE_QUEUE, 0.25, row);
	}
}

static void weigh_process(const struct facts *facts, struct process *process)
{
	static const bool is_direct[EVIDENCE_COUNT] = {
		[EVIDENCE_CONTACT] = true,  [EVIDENCE_UNHELD] = true, [EVIDENCE_SENT] = true,
		[EVIDENCE_RECEIVED] = true, [EVIDENCE_CPU] = true,    [EVIDENCE_READ] = true,
		[EVIDENCE_WRITTEN] = true,  [EVIDENCE_FILE] = true,   [EVIDENCE_HIDDEN] = true,
	};
	double none = 1, none_direct = 1;

	weigh_usage(facts, process);
	weigh_start(facts, process);
	weigh_file(facts, process);
	weigh_hiding(facts, process);
	for (int i = 0; i < EVIDENCE_COUNT; i++) {
		none *= 1 - process->weights[i];
		none_direct *= is_direct[i] ? 1 - process->weights[i] : 1;
	}
	process->score = 1 - none;
	if ((process->pid == 1 || suspect_is_kernel(facts, process)) &&
	    1 - none_direct < strong_score)
		process->score = 0;
}

int suspect_weigh(struct facts *facts)
{
	int r = 0;

	if (facts->network) {
		weigh_contacts(facts);
		weigh_unheld(facts);
		r = weigh_families(facts);
	}
	weigh_queues(facts);
	for (size_t i = 0; r == 0 && i < facts->process_count; i++)
		weigh_process(facts, &facts->processes[i]);
	return r;
}
