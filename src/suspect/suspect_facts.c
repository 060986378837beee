/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a report: which processes there are, and what is
 * abnormal. Any table may be absent, any
 * cell unknown, and any number or text a lie. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "suspect/suspect_internal.h"

/* Twice as many as atom-vmi reads; of more, those with the lowest numbers. */
enum { PROCESSES_MAX = 131072 };

static const char *const table_names[TABLE_COUNT] = {
	[TABLE_PS] = "ps",         [TABLE_TREE] = "tree",   [TABLE_TOP] = "top",
	[TABLE_HIDDEN] = "hidden", [TABLE_EXE] = "exe",     [TABLE_PEERS] = "peers",
	[TABLE_NET] = "net",       [TABLE_FILES] = "files",
};

enum value_kind { VALUE_NUMBER, VALUE_REAL, VALUE_TEXT };

static const struct {
	const char *name;
	enum value_kind kind;
} fields[FIELD_COUNT] = {
	[FIELD_PID] = {"pid", VALUE_NUMBER},
	[FIELD_PPID] = {"ppid", VALUE_NUMBER},
	[FIELD_UID] = {"uid", VALUE_NUMBER},
	[FIELD_COMMAND] = {"command", VALUE_TEXT},
	[FIELD_COMMAND_LINE] = {"command_line", VALUE_TEXT},
	[FIELD_START] = {"start", VALUE_NUMBER},
	[FIELD_START_NSEC] = {"start_nsec", VALUE_NUMBER},
	[FIELD_KERNEL] = {"kernel", VALUE_NUMBER},
	[FIELD_CPU_PERCENT] = {"cpu_percent", VALUE_REAL},
	[FIELD_CHILDREN_CPU_PERCENT] = {"children_cpu_percent", VALUE_REAL},
	[FIELD_READ_PER_SEC] = {"read_per_sec", VALUE_NUMBER},
	[FIELD_WRITE_PER_SEC] = {"write_per_sec", VALUE_NUMBER},
	[FIELD_RECEIVED_PER_SEC] = {"received_per_sec", VALUE_NUMBER},
	[FIELD_SENT_PER_SEC] = {"sent_per_sec", VALUE_NUMBER},
	[FIELD_NEW] = {"new", VALUE_NUMBER},
	[FIELD_SEEN_IN] = {"seen_in", VALUE_TEXT},
	[FIELD_MISSING_FROM] = {"missing_from", VALUE_TEXT},
	[FIELD_EXECUTABLE] = {"executable", VALUE_TEXT},
	[FIELD_DELETED] = {"deleted", VALUE_NUMBER},
	[FIELD_IN_MEMORY] = {"in_memory", VALUE_NUMBER},
	[FIELD_DIRECTION] = {"direction", VALUE_TEXT},
	[FIELD_PEER] = {"peer", VALUE_TEXT},
	[FIELD_PORT] = {"port", VALUE_NUMBER},
	[FIELD_CONNECTIONS] = {"connections", VALUE_NUMBER},
	[FIELD_OPENED] = {"opened", VALUE_NUMBER},
	[FIELD_PROTOCOL] = {"protocol", VALUE_TEXT},
	[FIELD_STATE] = {"state", VALUE_TEXT},
	[FIELD_LOCAL] = {"local", VALUE_TEXT},
	[FIELD_REMOTE] = {"remote", VALUE_TEXT},
	[FIELD_BACKLOG] = {"backlog", VALUE_NUMBER},
	[FIELD_BACKLOG_MAX] = {"backlog_max", VALUE_NUMBER},
	[FIELD_MODE] = {"mode", VALUE_TEXT},
	[FIELD_PATH] = {"path", VALUE_TEXT},
};

static enum value_kind value_kind_of(enum report_kind kind)
{
	if (kind == REPORT_TEXT)
		return VALUE_TEXT;
	return kind == REPORT_REAL ? VALUE_REAL : VALUE_NUMBER;
}

/* A column of the right name may be of another kind: then it is as good as absent. */
static void find_columns(struct facts *facts)
{
	for (int i = 0; i < TABLE_COUNT; i++) {
		const struct report_column *columns;
		size_t count;

		facts->tables[i] = report_find_table(facts->report, table_names[i]);
		for (int j = 0; j < FIELD_COUNT; j++)
			facts->columns[i][j] = -1;
		if (facts->tables[i] < 0)
			continue;
		columns = report_columns(facts->report, (size_t)facts->tables[i], &count);
		for (int j = 0; j < FIELD_COUNT; j++) {
			long place = report_find_column(facts->report, (size_t)facts->tables[i],
							fields[j].name);

			if (place >= 0 && value_kind_of(columns[place].kind) == fields[j].kind)
				facts->columns[i][j] = place;
		}
	}
}

size_t suspect_rows(const struct facts *facts, enum table table)
{
	return facts->tables[table] < 0 ? 0
					: report_rows(facts->report, (size_t)facts->tables[table]);
}

static const struct report_cell *cell_of(const struct facts *facts, enum table table, size_t row,
					 enum field field)
{
	const struct report_cell *cell;

	if (facts->columns[table][field] < 0)
		return NULL;
	cell = report_cell(facts->report, (size_t)facts->tables[table], row,
			   (size_t)facts->columns[table][field]);
	return cell->known ? cell : NULL;
}

bool suspect_cell_number(const struct facts *facts, enum table table, size_t row, enum field field,
			 double *ret_value)
{
	const struct report_cell *cell = cell_of(facts, table, row, field);
	double limit = field == FIELD_START_NSEC ? 0x1p63 : 0x1p53;
	double value;

	if (!cell)
		return false;
	value = fields[field].kind == VALUE_REAL ? cell->real : (double)cell->number;
	if (!(value >= 0 && value < limit))
		return false;
	*ret_value = value;
	return true;
}

bool suspect_cell_text(const struct facts *facts, enum table table, size_t row, enum field field,
		       struct span *ret_text)
{
	const struct report_cell *cell = cell_of(facts, table, row, field);

	if (!cell)
		return false;
	*ret_text = (struct span){cell->text.bytes, cell->text.size};
	return true;
}

bool suspect_number(const struct facts *facts, const struct process *process, enum field field,
		    double *ret_value)
{
	for (int i = 0; i < TABLE_PER_PROCESS; i++)
		if (process->rows[i] != NO_PLACE &&
		    suspect_cell_number(facts, (enum table)i, process->rows[i], field, ret_value))
			return true;
	return false;
}

bool suspect_text(const struct facts *facts, const struct process *process, enum field field,
		  struct span *ret_text)
{
	for (int i = 0; i < TABLE_PER_PROCESS; i++)
		if (process->rows[i] != NO_PLACE &&
		    suspect_cell_text(facts, (enum table)i, process->rows[i], field, ret_text))
			return true;
	return false;
}

uint32_t suspect_pid(const struct facts *facts, enum table table, size_t row)
{
	double pid;

	if (!suspect_cell_number(facts, table, row, FIELD_PID, &pid) || pid > INT32_MAX)
		return 0;
	return (uint32_t)pid;
}

double suspect_number_or_0(const struct facts *facts, enum table table, size_t row,
			   enum field field)
{
	double value = 0;

	(void)suspect_cell_number(facts, table, row, field, &value); /* then 0 */
	return value;
}

/* Processes */

struct mention {
	uint32_t pid, row;
	enum table table;
};

static int by_mention(const void *a, const void *b)
{
	const struct mention *left = a, *right = b;

	if (left->pid != right->pid)
		return left->pid < right->pid ? -1 : 1;
	if (left->table != right->table)
		return left->table < right->table ? -1 : 1;
	return (left->row > right->row) - (left->row < right->row);
}

static size_t collect_mentions(const struct facts *facts, struct mention *mentions)
{
	size_t count = 0;

	for (int i = 0; i < TABLE_COUNT; i++) {
		uint32_t last = 0;

		for (size_t row = 0; row < suspect_rows(facts, (enum table)i); row++) {
			uint32_t pid = suspect_pid(facts, (enum table)i, row);

			if (pid == 0 || pid == last)
				continue;
			last = pid;
			mentions[count++] = (struct mention){pid, (uint32_t)row, (enum table)i};
		}
	}
	return count;
}

/* One process per number. Where a table has several rows of a number, the first counts. */
static void add_mention(struct facts *facts, const struct mention *mention)
{
	struct process *process;

	if (facts->process_count == 0 ||
	    facts->processes[facts->process_count - 1].pid != mention->pid) {
		process = &facts->processes[facts->process_count++];
		*process = (struct process){.pid = mention->pid, .writable_row = NO_PLACE};
		for (int i = 0; i < TABLE_PER_PROCESS; i++)
			process->rows[i] = NO_PLACE;
	}
	process = &facts->processes[facts->process_count - 1];
	if (mention->table < TABLE_PER_PROCESS && process->rows[mention->table] == NO_PLACE)
		process->rows[mention->table] = mention->row;
}

static int read_processes(struct facts *facts)
{
	cleanup(free) struct mention *mentions = NULL;
	size_t rows = 0, count, distinct = 0;

	for (int i = 0; i < TABLE_COUNT; i++)
		rows += suspect_rows(facts, (enum table)i);
	mentions = calloc(rows + 1, sizeof(*mentions));
	if (!mentions)
		return -ENOMEM;
	count = collect_mentions(facts, mentions);
	qsort(mentions, count, sizeof(*mentions), by_mention);
	for (size_t i = 0; i < count; i++)
		distinct += i == 0 || mentions[i].pid != mentions[i - 1].pid;
	facts->processes = calloc((distinct < PROCESSES_MAX ? distinct : PROCESSES_MAX) + 1,
				  sizeof(*facts->processes));
	if (!facts->processes)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		bool is_new = i == 0 || mentions[i].pid != mentions[i - 1].pid;

		if (is_new && facts->process_count == PROCESSES_MAX)
			break;
		add_mention(facts, &mentions[i]);
	}
	return 0;
}

static int by_pid(const void *key, const void *member)
{
	uint32_t pid = *(const uint32_t *)key;
	const struct process *process = member;

	return (pid > process->pid) - (pid < process->pid);
}

double suspect_cpu(const struct facts *facts, const struct process *process, double *ret_children)
{
	double own = 0;

	*ret_children = 0;
	(void)suspect_number(facts, process, FIELD_CPU_PERCENT, &own); /* or 0 */
	(void)suspect_number(facts, process, FIELD_CHILDREN_CPU_PERCENT, ret_children);
	return own + *ret_children;
}

struct process *suspect_find_process(const struct facts *facts, double pid)
{
	uint32_t key;

	if (!(pid >= 1 && pid <= INT32_MAX))
		return NULL;
	key = (uint32_t)pid;
	return bsearch(&key, facts->processes, facts->process_count, sizeof(*facts->processes),
		       by_pid);
}

bool suspect_is_kernel(const struct facts *facts, const struct process *process)
{
	double value;

	if (suspect_number(facts, process, FIELD_KERNEL, &value))
		return value != 0;
	/* kthreadd and its children, in every Linux */
	return process->pid == 2 ||
	       (suspect_number(facts, process, FIELD_PPID, &value) && value == 2);
}

/* What is added up */

static void add_files(struct facts *facts)
{
	for (size_t row = 0; row < suspect_rows(facts, TABLE_FILES); row++) {
		struct process *process =
			suspect_find_process(facts, suspect_pid(facts, TABLE_FILES, row));
		struct span mode, path;

		if (!process || !suspect_cell_text(facts, TABLE_FILES, row, FIELD_MODE, &mode) ||
		    !memchr(mode.bytes, 'w', mode.size) ||
		    !suspect_cell_text(facts, TABLE_FILES, row, FIELD_PATH, &path) ||
		    !suspect_begins_with(path, "/") || suspect_begins_with(path, "/dev/") ||
		    suspect_begins_with(path, "/proc/") || suspect_begins_with(path, "/sys/"))
			continue;
		process->writable_files++;
		process->writable_row = (uint32_t)row;
	}
}

static void add_contacts(struct facts *facts)
{
	for (size_t i = 0; i < facts->contact_count; i++) {
		const struct contact *contact = &facts->contacts[i];
		struct process *process = suspect_find_process(facts, contact->pid);

		facts->connections += fmax(contact->connections, contact->waiting);
		facts->opened += contact->opened;
		facts->received_rate += contact->received_rate;
		facts->sent_rate += contact->sent_rate;
		if (!process)
			continue;
		process->received_rate += contact->received_rate;
		process->sent_rate += contact->sent_rate;
		if (contact->is_incoming)
			continue;
		process->connections_out += contact->connections;
		process->opened_out += contact->opened;
	}
}

static void add_usage(struct facts *facts)
{
	for (size_t i = 0; i < facts->process_count; i++) {
		struct process *process = &facts->processes[i];
		size_t row = process->rows[TABLE_TOP];

		if (row == NO_PLACE)
			continue;
		facts->cpu +=
			suspect_number_or_0(facts, TABLE_TOP, row, FIELD_CPU_PERCENT) +
			suspect_number_or_0(facts, TABLE_TOP, row, FIELD_CHILDREN_CPU_PERCENT);
		facts->read_rate += suspect_number_or_0(facts, TABLE_TOP, row, FIELD_READ_PER_SEC);
		facts->write_rate +=
			suspect_number_or_0(facts, TABLE_TOP, row, FIELD_WRITE_PER_SEC);
		if (facts->tables[TABLE_PEERS] >= 0)
			continue; /* which tells loopback apart */
		process->received_rate =
			suspect_number_or_0(facts, TABLE_TOP, row, FIELD_RECEIVED_PER_SEC);
		process->sent_rate = suspect_number_or_0(facts, TABLE_TOP, row, FIELD_SENT_PER_SEC);
		facts->received_rate += process->received_rate;
		facts->sent_rate += process->sent_rate;
	}
}

static void read_context(struct facts *facts)
{
	for (size_t i = 0; i < facts->context->metric_count; i++) {
		bool is_up = !(facts->context->metrics[i].change < 0);

		switch (facts->context->metrics[i].metric) {
		case METRIC_NETWORK_IN:
		case METRIC_NETWORK_OUT:
		case METRIC_NETWORK_PACKETS_IN:
		case METRIC_NETWORK_PACKETS_OUT:
		case METRIC_NETWORK_DROPS:
			facts->network = true;
			facts->network_up |= is_up;
			break;
		case METRIC_CPU_UTILIZATION:
		case METRIC_CPU_WAIT:
			facts->cpu_up |= is_up;
			break;
		case METRIC_DISK_READ_OPS:
		case METRIC_DISK_READ_BYTES:
			facts->read_up |= is_up;
			break;
		case METRIC_DISK_WRITE_OPS:
		case METRIC_DISK_WRITE_BYTES:
		case METRIC_DISK_FLUSH_OPS:
			facts->write_up |= is_up;
			break;
		case METRIC_MEMORY_RESIDENT:
		case METRIC_COUNT:
			break;
		}
	}
}

int suspect_facts_read(const struct report *report, const struct suspect_context *context,
		       struct facts *ret_facts)
{
	struct facts facts = {.report = report, .context = context};
	int r;

	read_context(&facts);
	find_columns(&facts);
	r = read_processes(&facts);
	if (r == 0)
		r = suspect_read_contacts(&facts);
	if (r < 0) {
		suspect_facts_deinit(&facts);
		return r;
	}
	add_files(&facts);
	add_contacts(&facts);
	add_usage(&facts);
	*ret_facts = facts;
	return 0;
}

void suspect_facts_deinit(struct facts *facts)
{
	free(facts->processes);
	free(facts->contacts);
	free(facts->targets);
	free(facts->families);
	*facts = (struct facts){0};
}
