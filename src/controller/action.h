#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done to a VM: an action, ordered by a person or a rule, carried out by the VM's node as
 * far as its own policy allows, verified by a second look. Each step is in the store and the audit
 * before it has an effect; a node does an action once, under its number, however often it is said.
 * So whoever is killed when: nothing is done twice and nothing forgotten. Embedded in the
 * controller; on the loop's thread.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "controller/audit.h"
#include "controller/fleet.h"
#include "wire/wire.h"

enum { ACTIONS_MAX = 256 /* not ended */ };

/* announced (an automatic one in its grace time) -> vetoed, or ordered; waiting (for its evidence)
 * -> ordered -> sent -> verifying -> one of the last four. */
enum action_state {
	ACTION_ANNOUNCED,
	ACTION_WAITING,
	ACTION_ORDERED,
	ACTION_SENT,
	ACTION_VERIFYING,
	ACTION_VETOED,
	ACTION_DONE,
	ACTION_PENDING, /* SIGKILL is pending; the process sleeps where nothing wakes it */
	ACTION_REFUSED,
	ACTION_FAILED,
	ACTION_UNKNOWN, /* the node does not know, or has not answered */
	ACTION_STATE_COUNT
};

struct action;
struct controller;

struct actions {
	struct action *open[ACTIONS_MAX];
	size_t count;
	int64_t last_id;
	uint64_t last_number;
	struct audit audit;
	uint64_t by_state[ACTION_STATE_COUNT]; /* that ended, of this life; for Prometheus */
};

struct action_order {
	enum wire_act_kind kind;
	struct vm *vm;
	int64_t alarm; /* 0: none */
	bool dry_run;
	bool evidence;     /* save the VM's memory first; else it is not done */
	json_t *arguments; /* "pid", "start_nsec", "command", "peer", ... as docs/http-api.md */
	const json_t *findings; /* kept with the evidence, in the audit; NULL: none */
	const char *by;         /* "operator anna", "rule NAME" */
	const char *why;        /* "" none */
	int64_t grace_usec;     /* > 0: announced, and ordered when nobody has vetoed it by then */
};

const char *action_state_name(enum action_state state);

/* Takes up what an earlier life has not ended. */
int actions_init(struct actions *actions, struct store *store, struct error *err);
void actions_deinit(struct actions *actions);

/* Records it and returns its number for people; what follows comes by actions_follow(). -EINVAL: an
 * argument is wrong; -EBUSY: too many; -EROFS: the store fails, and what cannot be recorded is not
 * done. */
int actions_order(struct controller *controller, const struct action_order *order, int64_t *ret_id,
		  struct error *err);

/* -ENOENT, -EALREADY: it is not in its grace time. -EROFS: it is vetoed, and not recorded yet. */
int actions_veto(struct controller *controller, int64_t id, const char *by, struct error *err);

/* What rules have announced for the alarm is not done. */
void actions_withdraw(struct controller *controller, int64_t alarm, const char *why);

/* Sends what is due, verifies, gives up. To be called now and then. */
void actions_follow(struct controller *controller);
/* The node's connection has ended: what it has not answered is said again. */
void actions_lost(struct actions *actions, const struct node *node);

/* -EPROTO: the node answers for another one's action. */
int actions_take(struct controller *controller, const struct node *node,
		 const struct wire_outcome *outcome, struct error *err);
/* Findings of a second look. 0: they are not for an action; 1: taken. */
int actions_take_look(struct controller *controller, const struct node *node,
		      const struct wire_findings *findings, struct error *err);

/* Whether an action of that rule on that process (pid 0: on the VM) was made for the alarm. */
bool actions_exist(struct controller *controller, int64_t alarm, const char *by, const char *uuid,
		   int64_t pid);
