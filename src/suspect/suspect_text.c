/* SPDX-License-Identifier: Apache-2.0 */
/* Evidence in plain sentences, with its figures and nothing that was not seen. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "suspect/suspect_internal.h"

/* Bytes that `text` puts at `out`: those of one character of it, `ret_taken` long. */
static size_t clean_character(struct span text, char out[4], size_t *ret_taken)
{
	static const char replacement[] = "\xef\xbf\xbd";
	char c[5] = "";
	size_t length;

	memcpy(c, text.bytes, text.size < 4 ? text.size : 4);
	length = utf8_printable_length(c);
	*ret_taken = length ? length : 1;
	if (length) {
		memcpy(out, c, length);
	} else if (c[0] == '\n' || c[0] == '\t' || c[0] == '\r') {
		out[0] = ' ';
		length = 1;
	} else {
		length = strlen(replacement);
		memcpy(out, replacement, length);
	}
	return length;
}

char *suspect_clean(struct span text, char *ret_text, size_t size)
{
	size_t used = 0;

	while (text.size > 0) {
		char out[4];
		size_t taken, length = clean_character(text, out, &taken);

		if (used + length + sizeof("...") > size) {
			memcpy(ret_text + used, "...", 3);
			used += 3;
			break;
		}
		memcpy(ret_text + used, out, length);
		used += length;
		text.bytes += taken;
		text.size -= taken;
	}
	ret_text[used] = '\0';
	return ret_text;
}

void suspect_name(const struct facts *facts, const struct process *process, char *ret_text,
		  size_t size)
{
	char command[TEXT_COMMAND_SIZE];
	struct span text;

	if (suspect_text(facts, process, FIELD_COMMAND, &text) && text.size > 0)
		(void)snprintf(ret_text, size, "%s (pid %u)",
			       suspect_clean(text, command, sizeof(command)), process->pid);
	else
		(void)snprintf(ret_text, size, "pid %u", process->pid);
}

void suspect_tell_bytes(double bytes, char ret_text[32])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	size_t unit = 0;

	while (bytes >= 1000 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		bytes /= 1024;
		unit++;
	}
	(void)snprintf(ret_text, 32, "%.*f %s", unit && bytes < 100 ? 1 : 0, bytes, units[unit]);
}

static double percent(double part, double whole)
{
	return whole > 0 ? 100 * fmin(part / whole, 1) : 0;
}

static const char *plural(double count)
{
	return count == 1 ? "" : "s";
}

/* "to 10.0.0.9 port 80", "from 10.0.0.7 to its port 80" */
static const char *tell_service(const struct contact *contact, char text[TEXT_PEER_SIZE + 32])
{
	char peer[TEXT_PEER_SIZE];

	(void)snprintf(text, TEXT_PEER_SIZE + 32,
		       contact->is_incoming ? "from %s to its port %u" : "to %s port %u",
		       suspect_clean(contact->peer, peer, sizeof(peer)), contact->port);
	return text;
}

static const char *tell_sample(const struct facts *facts, char text[64])
{
	if (facts->context->sample_usec > 0)
		(void)snprintf(text, 64, "in %.1f s",
			       (double)facts->context->sample_usec / (double)USEC_PER_SEC);
	else
		(void)snprintf(text, 64, "between the two samples");
	return text;
}

void suspect_tell_opened(const struct facts *facts, const struct contact *whose, double opened,
			 char ret_text[TEXT_REASON_SIZE])
{
	char service[TEXT_PEER_SIZE + 32], sample[64];

	(void)snprintf(ret_text, TEXT_REASON_SIZE,
		       "%.0f connection%s %s opened %s, %.0f %% of this VM's", opened,
		       plural(opened), tell_service(whose, service), tell_sample(facts, sample),
		       percent(opened, facts->opened));
}

void suspect_tell_held(const struct facts *facts, const struct contact *whose, double connections,
		       char ret_text[TEXT_REASON_SIZE])
{
	char service[TEXT_PEER_SIZE + 32];

	(void)snprintf(ret_text, TEXT_REASON_SIZE, "%.0f connection%s %s, %.0f %% of this VM's",
		       connections, plural(connections), tell_service(whose, service),
		       percent(connections, facts->connections));
}

void suspect_tell_contact(const struct facts *facts, const struct contact *whose,
			  double connections, double opened, char ret_text[TEXT_REASON_SIZE])
{
	bool is_opened;

	(void)suspect_contact_weight(facts, connections, opened, &is_opened);
	if (is_opened)
		suspect_tell_opened(facts, whose, opened, ret_text);
	else
		suspect_tell_held(facts, whose, connections, ret_text);
}

static void tell_unheld(const struct facts *facts, const struct target *target,
			char text[TEXT_REASON_SIZE])
{
	char service[TEXT_PEER_SIZE + 32];

	(void)snprintf(text, TEXT_REASON_SIZE,
		       "%.0f more connections %s that no process holds any more%s; of those that "
		       "speak with it this one opens most",
		       target->unheld, tell_service(&facts->contacts[target->first], service),
		       target->waiting > 0 ? " (TIME_WAIT)" : "");
}

static void tell_family(const struct facts *facts, const struct family *family, bool is_parent,
			char text[TEXT_REASON_SIZE])
{
	const struct process *parent = suspect_find_process(facts, family->parent);
	char name[TEXT_COMMAND_SIZE + 32] = "", whole[TEXT_REASON_SIZE];

	suspect_tell_contact(facts, &facts->contacts[facts->targets[family->target].first],
			     family->connections, family->opened, whole);
	if (parent)
		suspect_name(facts, parent, name, sizeof(name));
	else
		(void)snprintf(name, sizeof(name), "pid %u", family->parent);
	if (is_parent)
		(void)snprintf(text, TEXT_REASON_SIZE, "its %.0f children together: %.300s",
			       family->children, whole);
	else
		(void)snprintf(text, TEXT_REASON_SIZE,
			       "one of %.0f children of %s, together: %.300s", family->children,
			       name, whole);
}

static void tell_queue(const struct facts *facts, size_t row, char text[TEXT_REASON_SIZE])
{
	struct span local = {NULL, 0}, address;
	double waiting = 0, most = 0;
	char where[TEXT_PEER_SIZE];
	uint32_t port;

	(void)suspect_cell_number(facts, TABLE_NET, row, FIELD_BACKLOG, &waiting);
	(void)suspect_cell_number(facts, TABLE_NET, row, FIELD_BACKLOG_MAX, &most);
	(void)suspect_cell_text(facts, TABLE_NET, row, FIELD_LOCAL, &local); /* all were known */
	if (suspect_split(local, &address, &port))
		(void)snprintf(where, sizeof(where), "its port %u", port);
	else
		(void)snprintf(where, sizeof(where), "one of its ports");
	(void)snprintf(text, TEXT_REASON_SIZE,
		       "%.0f connection%s wait%s to be accepted at %s, where %.0f may", waiting,
		       plural(waiting), waiting == 1 ? "s" : "", where, most);
}

static void tell_rate(const char *verb, double rate, double whole, const char *what,
		      char text[TEXT_REASON_SIZE])
{
	char bytes[32];

	suspect_tell_bytes(rate, bytes);
	(void)snprintf(text, TEXT_REASON_SIZE, "%s %s/s, %.0f %% of what %s", verb, bytes,
		       percent(rate, whole), what);
}

bool suspect_is_since_look(const struct facts *facts, double start)
{
	return facts->context->looked_usec > 0 && start > (double)facts->context->looked_usec;
}

/* "started 3 s before onset" */
static void tell_start(const struct facts *facts, const struct process *process,
		       char text[TEXT_REASON_SIZE])
{
	char since[64] = "", time[CLOCK_TEXT_SIZE];
	double start, after, amount;
	const char *unit = "s";

	if (!suspect_number(facts, process, FIELD_START, &start)) {
		(void)snprintf(text, TEXT_REASON_SIZE, "started between the two samples");
		return;
	}
	if (suspect_is_since_look(facts, start))
		(void)snprintf(since, sizeof(since), ", since the last look (%.8s)",
			       clock_format(facts->context->looked_usec, time) + 11);
	after = (start - (double)facts->context->onset_usec) / (double)USEC_PER_SEC;
	amount = fabs(after);
	if (amount < 0.5) {
		(void)snprintf(text, TEXT_REASON_SIZE, "started at onset%s", since);
		return;
	}
	if (amount >= 7200) {
		amount /= 3600;
		unit = "h";
	} else if (amount >= 120) {
		amount /= 60;
		unit = "min";
	}
	(void)snprintf(text, TEXT_REASON_SIZE, "started %.0f %s %s onset%s", amount, unit,
		       after < 0 ? "before" : "after", since);
}

static void tell_file(const struct facts *facts, const struct process *process,
		      char text[TEXT_REASON_SIZE])
{
	char path[TEXT_PATH_SIZE] = "";
	struct span executable;
	double flag = 0;

	if (suspect_text(facts, process, FIELD_EXECUTABLE, &executable))
		(void)suspect_clean(executable, path, sizeof(path));
	(void)suspect_number(facts, process, FIELD_IN_MEMORY, &flag);
	(void)snprintf(text, TEXT_REASON_SIZE, "executes a file that %s%s%s%s",
		       flag != 0 ? "is only in memory" : "is deleted", *path ? " (" : "", path,
		       *path ? ")" : "");
}

static void tell_hiding(const struct facts *facts, const struct process *process,
			char text[TEXT_REASON_SIZE])
{
	char missing[TEXT_COMMAND_SIZE] = "", seen[TEXT_COMMAND_SIZE] = "";
	struct span views;

	if (suspect_text(facts, process, FIELD_MISSING_FROM, &views))
		(void)suspect_clean(views, missing, sizeof(missing));
	if (suspect_text(facts, process, FIELD_SEEN_IN, &views))
		(void)suspect_clean(views, seen, sizeof(seen));
	(void)snprintf(text, TEXT_REASON_SIZE, "hidden: seen in %s, missing from %s",
		       *seen ? seen : "some view", *missing ? missing : "others");
}

static void tell_cpu(const struct facts *facts, const struct process *process,
		     char text[TEXT_REASON_SIZE])
{
	double children, cpu = suspect_cpu(facts, process, &children);
	char whose[64] = "";

	if (children >= 1)
		(void)snprintf(whose, sizeof(whose), " (%.0f %% by children that ended meanwhile)",
			       fmin(children, 1e6));
	(void)snprintf(text, TEXT_REASON_SIZE, "%.0f %% of a CPU%s, %.0f %% of what this VM uses",
		       cpu, whose, percent(cpu, facts->cpu));
}

void suspect_tell(const struct facts *facts, const struct process *process, enum evidence evidence,
		  char ret_text[TEXT_REASON_SIZE])
{
	uint32_t ref = process->refs[evidence];
	double rate = 0;

	switch (evidence) {
	case EVIDENCE_CONTACT:
	case EVIDENCE_INCOMING:
		suspect_tell_contact(facts, &facts->contacts[ref], facts->contacts[ref].connections,
				     facts->contacts[ref].opened, ret_text);
		break;
	case EVIDENCE_UNHELD:
		tell_unheld(facts, &facts->targets[ref], ret_text);
		break;
	case EVIDENCE_FAMILY:
	case EVIDENCE_PARENT:
		tell_family(facts, &facts->families[ref], evidence == EVIDENCE_PARENT, ret_text);
		break;
	case EVIDENCE_QUEUE:
		tell_queue(facts, ref, ret_text);
		break;
	case EVIDENCE_SENT:
		tell_rate("sends", process->sent_rate, facts->sent_rate,
			  "this VM's connections send", ret_text);
		break;
	case EVIDENCE_RECEIVED:
		tell_rate("receives", process->received_rate, facts->received_rate,
			  "this VM's connections receive", ret_text);
		break;
	case EVIDENCE_CPU:
		tell_cpu(facts, process, ret_text);
		break;
	case EVIDENCE_READ:
		(void)suspect_number(facts, process, FIELD_READ_PER_SEC, &rate);
		tell_rate("reads", rate, facts->read_rate, "this VM reads from disk", ret_text);
		break;
	case EVIDENCE_WRITTEN:
		(void)suspect_number(facts, process, FIELD_WRITE_PER_SEC, &rate);
		tell_rate("writes", rate, facts->write_rate, "this VM writes to disk", ret_text);
		break;
	case EVIDENCE_STARTED:
		tell_start(facts, process, ret_text);
		break;
	case EVIDENCE_FILE:
		tell_file(facts, process, ret_text);
		break;
	case EVIDENCE_HIDDEN:
		tell_hiding(facts, process, ret_text);
		break;
	case EVIDENCE_COUNT:
		ret_text[0] = '\0';
		break;
	}
}
