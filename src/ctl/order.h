#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Orders of an operator: rehearsed by a dry run, shown, asked for once, sent, followed to their
 * end. What is sent is what was shown: the identity of a process is the one that its dry run saw.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct order {
	json_t *body;            /* owned: what POST /actions takes, without dry_run */
	const char *vm;          /* what people call it; borrowed from elsewhere */
	const json_t *suspect;   /* borrowed; NULL: not one that ATOM named */
	json_t *rehearsed, *end; /* owned: the action of the dry run, the real one; NULL: not yet */
};

enum { ORDERS_MAX = 64 };

struct order_plan {
	struct order orders[ORDERS_MAX];
	size_t count;
	bool dry_run; /* stop after showing */
	bool yes;     /* do not ask */
	bool json;    /* say it all as JSON, at the end */
	bool always;  /* rehearse also where nothing is asked or needed of it */
	/* What is to happen between the yes and the first order: EXIT_OK, or another status (said).
	 * NULL: nothing. */
	int (*agreed)(void *userdata);
	void *userdata;
};

/* Adds an order for a VM (name or UUID), which people call `name`; `alarm` 0: for none. Returns its
 * body, to be given the arguments, borrowed; NULL where that cannot be (said). */
json_t *order_plan_add(struct order_plan *plan, const char *kind, const char *vm, const char *name,
		       int64_t alarm);

/* Returns EXIT_OK when all was done (or could be, for a dry run), EXIT_DECLINED when the operator
 * said no, else EXIT_FAILED; all said. */
int order_plan_run(struct order_plan *plan);

void order_plan_deinit(struct order_plan *plan);
