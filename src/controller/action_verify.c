/* SPDX-License-Identifier: Apache-2.0 */
/* The second look: whether what was done has had its effect, as the guest's kernel shows it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "controller/action_internal.h"
#include "wire/report.h"

#define BUDGET_USEC (2 * USEC_PER_SEC)

DEFINE_CLEANUP(struct report *, report_free)

bool action_is_verifiable(const struct action *action)
{
	return !action->dry_run &&
	       (action->kind == WIRE_ACT_END_PROCESS || action->kind == WIRE_ACT_CONTAIN);
}

int action_send_look(struct action *action, struct inquiries *inquiries, struct bus_peer *peer)
{
	cleanup(free) uint8_t *data = NULL;
	struct wire_message message = {.type = WIRE_INTROSPECT};
	struct wire_introspect *look = &message.introspect;
	size_t size;
	int r;

	action->look = ++inquiries->last_request;
	look->request = action->look;
	look->alarm = action->alarm;
	look->vm = action->uuid;
	look->views[0] = action->kind == WIRE_ACT_END_PROCESS ? "ps" : "net"; /* only read */
	look->view_count = 1;
	look->budget_usec = BUDGET_USEC;
	r = wire_encode(&message, &data, &size, NULL);
	if (r == 0)
		r = bus_peer_send(peer, data, size);
	action->look_is_sent = r == 0;
	return r;
}

/* The cell of a row, if it is known and of that kind. */
static const struct report_cell *cell_at(const struct report *report, long table, size_t row,
					 const char *name, enum report_kind kind)
{
	long column = report_find_column(report, (size_t)table, name);
	const struct report_column *columns;
	const struct report_cell *cell;
	size_t count;

	if (column < 0)
		return NULL;
	columns = report_columns(report, (size_t)table, &count);
	cell = report_cell(report, (size_t)table, row, (size_t)column);
	return columns[column].kind == kind && cell->known ? cell : NULL;
}

static bool is_process(const struct report *report, long table, size_t row, uint64_t pid,
		       uint64_t start_nsec)
{
	const struct report_cell *number = cell_at(report, table, row, "pid", REPORT_COUNT);
	const struct report_cell *start = cell_at(report, table, row, "start_nsec", REPORT_COUNT);

	return number && start && number->number == pid && start->number == start_nsec;
}

static char *judge_processes(const struct action *action, const struct report *report, long table,
			     enum action_effect *ret_effect)
{
	uint64_t pid = (uint64_t)action_whole(action, "pid");
	uint64_t start_nsec = (uint64_t)action_whole(action, "start_nsec");
	char *text = NULL;
	int r;

	for (size_t row = 0; row < report_rows(report, (size_t)table); row++) {
		const struct report_cell *state;
		bool is_dead;

		if (!is_process(report, table, row, pid, start_nsec))
			continue;
		state = cell_at(report, table, row, "state", REPORT_TEXT);
		is_dead = state && (*state->text.bytes == 'Z' || *state->text.bytes == 'X');
		*ret_effect = is_dead ? EFFECT_SEEN : EFFECT_NOT_SEEN;
		r = asprintf(&text,
			     is_dead ? "a second look shows process %llu dead; its parent "
				       "has not taken note of it yet"
				     : "a second look STILL shows process %llu",
			     (unsigned long long)pid);
		return r < 0 ? NULL : text;
	}
	*ret_effect = EFFECT_SEEN;
	r = asprintf(&text, "a second look shows no process %llu any more",
		     (unsigned long long)pid);
	return r < 0 ? NULL : text;
}

/* "10.0.0.9:80", "[fe80::1]:80" */
static bool is_with(const struct report_cell *remote, const char *peer)
{
	const char *text = remote->text.bytes + (*remote->text.bytes == '[');
	size_t length = strlen(peer);

	return strncmp(text, peer, length) == 0 && strchr("]:", text[length]) && text[length];
}

static char *judge_connections(const struct action *action, const struct report *report, long table,
			       enum action_effect *ret_effect)
{
	const char *peer = action_text(action, "peer");
	size_t established = 0;
	char *text = NULL;
	int r;

	for (size_t row = 0; row < report_rows(report, (size_t)table); row++) {
		const struct report_cell *state = cell_at(report, table, row, "state", REPORT_TEXT);
		const struct report_cell *remote =
			cell_at(report, table, row, "remote", REPORT_TEXT);

		established += state && remote && strcmp(state->text.bytes, "ESTABLISHED") == 0 &&
			       is_with(remote, peer);
	}
	*ret_effect = established ? EFFECT_NOT_SEEN : EFFECT_SEEN;
	r = asprintf(&text, "a second look shows %zu established connections with %s", established,
		     peer);
	return r < 0 ? NULL : text;
}

static char *not_verified(const char *reason)
{
	char *text = NULL;

	return asprintf(&text, "could not be verified: %s", reason) < 0 ? NULL : text;
}

static char *judge(const struct action *action, const struct report *report,
		   enum action_effect *ret_effect)
{
	bool is_end = action->kind == WIRE_ACT_END_PROCESS;
	long table = report_find_table(report, is_end ? "ps" : "net");

	if (table < 0 || report_table_is_cut(report, (size_t)table))
		return not_verified("the second look shows not all of it");
	return is_end ? judge_processes(action, report, table, ret_effect)
		      : judge_connections(action, report, table, ret_effect);
}

/* A look may have seen not all, and says why: then what it does not show may be there. */
char *action_judge_look(const struct action *action, const struct wire_findings *findings,
			enum action_effect *ret_effect)
{
	cleanup(report_free) struct report *report = NULL;
	cleanup(free) char *told = NULL;
	struct error err = ERROR_INIT;
	char *text = NULL;
	int r;

	*ret_effect = EFFECT_UNKNOWN;
	if (findings->status != WIRE_FINDINGS_DONE)
		return not_verified(findings->reason);
	r = report_decode(findings->report, findings->report_size, &report, &err);
	if (r < 0)
		return not_verified(error_text(&err, r));
	told = judge(action, report, ret_effect);
	if (!told || !*findings->reason)
		return keep(told);
	if (*ret_effect == EFFECT_SEEN)
		*ret_effect = EFFECT_UNKNOWN;
	return asprintf(&text, "%s; but %s", told, findings->reason) < 0 ? NULL : text;
}
