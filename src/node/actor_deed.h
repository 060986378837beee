#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kinds of action are: what speaks against one, which program does it, and what its end
 * means. Between actor.c, which keeps the order of things, and the programs. On the loop's thread.
 */
#include <limits.h>

#include "node/actor.h"
#include "node/program.h"

/* What became of an action. */
struct deed_end {
	enum wire_outcome_status status;
	char reason[WIRE_NAME_MAX + 1];
	uint8_t *report; /* owned by who made it: `report` of the deed, or the program's output */
	size_t report_size;
	bool nothing_done; /* it failed before it changed anything, for certain */
};

/* One action, from being allowed to its end. Embedded. */
struct deed {
	struct wire_act act; /* its texts are owned */
	char name[WIRE_NAME_MAX + 1], controller[WIRE_NAME_MAX + 1], vm[VM_UUID_TEXT_SIZE];
	char *script;         /* for nft; NULL: none */
	bool has_later_cards; /* of a contain: which are no taps cannot be told */
	char path[PATH_MAX];  /* of a snapshot */
	bool is_blind;        /* a release of what the journal does not know */
	uint8_t *report;      /* that the node itself makes */
	size_t report_size;
	struct program_run *run;
};

/* Copies. -ENOMEM. Release with deed_deinit() in any case. */
int deed_init(struct deed *deed, const struct wire_act *act, const char *name,
	      const char *controller);
void deed_deinit(struct deed *deed);

void deed_end_set(struct deed_end *ret_end, enum wire_outcome_status status, const char *format,
		  ...) __attribute__((format(printf, 3, 4)));

/* What a policy calls it. */
const char *deed_policy_word(enum wire_act_kind kind);

/* Whether the order makes sense here; else why not. */
bool deed_check(struct deed *deed, const struct journal *journal, struct deed_end *ret_end);

/* Whether there is room for it in what the journal keeps. For the moment before it is begun: others
 * may have begun since it was ordered. */
bool deed_may_begin(const struct deed *deed, const struct journal *journal,
		    struct deed_end *ret_end);

/* Makes ready what is needed. False: it has ended already, nothing is to be run. */
bool deed_prepare(struct deed *deed, const struct actor_options *options, struct deed_end *ret_end);

/* Starts the program, which `run` is then. As program_run_new(). */
int deed_start(struct deed *deed, uv_loop_t *loop, const struct actor_options *options,
	       int64_t timeout_usec, program_run_ended *ended, void *userdata);
/* The program that does it, for people. */
const char *deed_program(const struct deed *deed, const struct actor_options *options);

/* By what the program has left behind; a report is borrowed from it, or from the deed. */
void deed_judge(struct deed *deed, const struct actor_options *options,
		const struct program_result *result, struct deed_end *ret_end);
