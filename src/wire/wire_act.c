/* SPDX-License-Identifier: Apache-2.0 */
/* The messages about doing something to a VM. */
#include <errno.h>
#include <string.h>

#include "wire/wire_internal.h"

static const char *const kinds[WIRE_ACT_KIND_COUNT] = {
	[WIRE_ACT_END_PROCESS] = "end-process", [WIRE_ACT_CONTAIN] = "contain",
	[WIRE_ACT_RELEASE] = "release",         [WIRE_ACT_PAUSE] = "pause",
	[WIRE_ACT_RESUME] = "resume",           [WIRE_ACT_SNAPSHOT] = "snapshot",
};

static const char *const statuses[] = {
	[WIRE_OUTCOME_DONE] = "done",       [WIRE_OUTCOME_REFUSED] = "refused",
	[WIRE_OUTCOME_FAILED] = "failed",   [WIRE_OUTCOME_PENDING] = "pending",
	[WIRE_OUTCOME_UNKNOWN] = "unknown",
};

const char *wire_act_kind_name(enum wire_act_kind kind)
{
	return kinds[kind];
}

int wire_act_kind_parse(const char *name, enum wire_act_kind *ret_kind)
{
	for (size_t i = 0; i < WIRE_ACT_KIND_COUNT; i++)
		if (strcmp(kinds[i], name) == 0) {
			*ret_kind = (enum wire_act_kind)i;
			return 0;
		}
	return -EINVAL;
}

const char *wire_outcome_status_name(enum wire_outcome_status status)
{
	return statuses[status];
}

int wire_outcome_status_parse(const char *name, enum wire_outcome_status *ret_status)
{
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (strcmp(statuses[i], name) == 0) {
			*ret_status = (enum wire_outcome_status)i;
			return 0;
		}
	return -EINVAL;
}

/* What is an address, the node's containment says; here nothing else than its letters passes. */
static int check_address(const char *address, const char *what, int code, struct error *err)
{
	size_t length = strspn(address, "0123456789abcdefABCDEF:.");

	if (address[length] || length > WIRE_ADDRESS_MAX)
		return error_set(err, code, "%s is no IPv4 or IPv6 address", what);
	return 0;
}

static int check_texts(const struct wire_act *act, int code, struct error *err)
{
	int r = wire_check_text(act->who, "who orders an action", code, err);

	if (r == 0)
		r = wire_check_text(act->command, "command", code, err);
	if (r == 0)
		r = check_address(act->peer, "the peer to contain", code, err);
	if (r == 0)
		r = check_address(act->address, "the VM's address to contain", code, err);
	return r;
}

static int check_contain(const struct wire_act *act, int code, struct error *err)
{
	if (!*act->peer)
		return error_set(err, code, "a containment of no peer");
	if (act->expiry_usec < WIRE_ACT_EXPIRY_USEC_MIN ||
	    act->expiry_usec > WIRE_ACT_EXPIRY_USEC_MAX)
		return error_set(err, code, "a containment's expiry is outside 1 s .. 7 days");
	return 0;
}

int wire_check_act(const struct wire_act *act, int code, struct error *err)
{
	int r;

	if ((unsigned)act->kind >= WIRE_ACT_KIND_COUNT)
		return error_set(err, code, "an action of unknown kind %d", (int)act->kind);
	if (act->alarm < 0)
		return error_set(err, code, "an action for alarm %lld", (long long)act->alarm);
	if (act->timeout_usec <= 0 || act->timeout_usec > WIRE_ACT_TIMEOUT_USEC_MAX)
		return error_set(err, code, "an action's timeout is not within an hour");
	r = check_texts(act, code, err);
	if (r == 0 && act->kind == WIRE_ACT_END_PROCESS && (act->pid == 0 || act->pid > INT32_MAX))
		r = error_set(err, code, "a process of number %u is to be ended", act->pid);
	if (r == 0 && act->kind == WIRE_ACT_CONTAIN)
		r = check_contain(act, code, err);
	return r;
}

int wire_encode_act(const struct wire_act *act, uint8_t **ret_data, size_t *ret_size,
		    struct error *err)
{
	Atom__Act out = ATOM__ACT__INIT;
	Atom__Envelope envelope = ATOM__ENVELOPE__INIT;

	out.action = act->action;
	out.alarm = act->alarm;
	out.vm.data = (uint8_t *)act->vm.bytes; /* only read */
	out.vm.len = sizeof(act->vm.bytes);
	out.kind = act->kind;
	out.dry_run = act->dry_run;
	out.timeout_usec = act->timeout_usec;
	out.who = act->who;
	out.pid = act->pid;
	out.start_nsec = act->start_nsec;
	out.command = act->command;
	out.peer = act->peer;
	out.address = act->address;
	out.rate = act->rate;
	out.expiry_usec = act->expiry_usec;
	out.undoes = act->undoes;
	envelope.message_case = ATOM__ENVELOPE__MESSAGE_ACT;
	envelope.act = &out;
	return wire_pack(&envelope, ret_data, ret_size, err);
}

int wire_decode_act(Atom__Act *in, struct wire_act *act, struct error *err)
{
	*act = (struct wire_act){
		.action = in->action,
		.alarm = in->alarm,
		.kind = (enum wire_act_kind)in->kind,
		.dry_run = in->dry_run,
		.timeout_usec = in->timeout_usec,
		.who = wire_take_text(&in->who),
		.pid = in->pid,
		.start_nsec = in->start_nsec,
		.command = wire_take_text(&in->command),
		.peer = wire_take_text(&in->peer),
		.address = wire_take_text(&in->address),
		.rate = in->rate,
		.expiry_usec = in->expiry_usec,
		.undoes = in->undoes,
	};
	if (in->vm.len != sizeof(act->vm.bytes))
		return error_set(err, -EBADMSG, "a VM's UUID has %zu bytes", in->vm.len);
	memcpy(act->vm.bytes, in->vm.data, sizeof(act->vm.bytes));
	return act->who && act->command && act->peer && act->address ? 0 : -ENOMEM;
}

int wire_check_outcome(const struct wire_outcome *outcome, int code, struct error *err)
{
	if ((unsigned)outcome->status > WIRE_OUTCOME_UNKNOWN)
		return error_set(err, code, "an outcome of unknown status %d",
				 (int)outcome->status);
	return wire_check_text(outcome->reason, "reason", code, err);
}

int wire_encode_outcome(const struct wire_outcome *outcome, uint8_t **ret_data, size_t *ret_size,
			struct error *err)
{
	Atom__Outcome out = ATOM__OUTCOME__INIT;
	Atom__Envelope envelope = ATOM__ENVELOPE__INIT;

	out.action = outcome->action;
	out.status = outcome->status;
	out.reason = outcome->reason;
	out.report.data = outcome->report;
	out.report.len = outcome->report_size;
	envelope.message_case = ATOM__ENVELOPE__MESSAGE_OUTCOME;
	envelope.outcome = &out;
	return wire_pack(&envelope, ret_data, ret_size, err);
}

int wire_decode_outcome(Atom__Outcome *in, struct wire_outcome *outcome)
{
	*outcome = (struct wire_outcome){
		.action = in->action,
		.status = (enum wire_outcome_status)in->status,
		.reason = wire_take_text(&in->reason),
		.report = in->report.data,
		.report_size = in->report.len,
	};
	in->report.data = NULL;
	in->report.len = 0;
	return outcome->reason ? 0 : -ENOMEM;
}
