#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/* What the files about actions share: the action itself, its record and its second look. */
#include "controller/action.h"
#include "controller/controller.h"

struct report;

enum action_effect { EFFECT_UNKNOWN, EFFECT_SEEN, EFFECT_NOT_SEEN };

struct action {
	int64_t id;
	uint64_t number; /* on the wire */
	int64_t alarm;
	enum action_state state;
	enum action_state outcome; /* while verifying: how it ends */
	enum wire_act_kind kind;
	bool dry_run;
	struct vm_uuid uuid;
	char vm[VM_UUID_TEXT_SIZE]; /* the UUID as text: VMs come and go */
	char node[BUS_NAME_MAX + 1];
	char *name, *by, *why;
	char *project; /* of the VM when it was ordered: who may see it, whatever becomes of the VM
			*/
	json_t *arguments;
	json_t *findings; /* for the first record of the audit; NULL: none */
	int64_t made_usec, due_usec, sent_usec, ended_usec; /* wall clock, 0: not yet */
	int64_t after;                                      /* the action that it waits for */
	char *reason, *verified;                            /* NULL: nothing to say */
	enum action_effect effect;                          /* as the second look showed it */
	json_t *report;                                     /* NULL: none */

	/* Of this life; times are monotonic. */
	bool is_sent, is_unsaved;
	const char *unsaved; /* what the audit will say of it; NULL nothing */
	int64_t give_up_usec;
	uint64_t look; /* the request of the second look, 0: not asked */
	bool look_is_sent;
};

struct action *action_free(struct action *action);

/* action_record.c */

/* -EINVAL: an argument is missing, wrong, or not of this kind. */
int action_check(enum wire_act_kind kind, const json_t *arguments, bool dry_run, struct error *err);
/* "end process 214 (ab) of vm2". Owned. */
char *action_tell(const struct action *action);
/* As the API shows it, and as the store keeps it. Owned. */
json_t *action_describe(const struct action *action);
/* What an earlier life wrote. Returns owned; NULL: it makes no sense, or memory is out. */
struct action *action_parse(const json_t *described);
/* The order for the node; borrows from the action. */
void action_fill(const struct action *action, struct wire_act *ret_act);
/* Tables as {"NAME": [{column: value}...]}, bounded. Owned. */
json_t *action_report(const struct report *report);
/* Writes the action and, where `event` is not NULL, a record of the audit, in one durable
 * transaction. */
int action_save(struct actions *actions, struct action *action, const char *event,
		struct error *err);
const char *action_text(const struct action *action, const char *argument); /* "" none */
int64_t action_whole(const struct action *action, const char *argument);    /* 0 none */

/* action_verify.c */

/* Whether a second look can tell what became of it. */
bool action_is_verifiable(const struct action *action);
int action_send_look(struct action *action, struct inquiries *inquiries, struct bus_peer *peer);
/* What a second look tells, a sentence, and whether it shows the effect. Owned. */
char *action_judge_look(const struct action *action, const struct wire_findings *findings,
			enum action_effect *ret_effect);
