#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record of the journal as JSON, and what the node remembers of it. Pure. The one place that
 * knows the names of the members; docs/man/atom-node.md lists them.
 */
#include <jansson.h>

#include "digest/digest.h"
#include "node/journal.h"

enum { RECORD_BOOT_SIZE = 37 };

/* When something is recorded. */
struct record_time {
	int64_t wall_usec, boot_usec; /* since 1970, and since the machine was started */
	char boot[RECORD_BOOT_SIZE];  /* which start of the machine that is; "": not known */
};

/* What is remembered of a record. */
struct record_summary {
	enum journal_event event;
	uint64_t action;
	enum wire_act_kind kind;
	enum wire_outcome_status status; /* of all but JOURNAL_BEGUN */
	bool nothing_done;
	struct vm_uuid vm;
	struct record_time time; /* since the start: of a contain, where it is known */
	int64_t expiry_usec;     /* of a contain, else 0 */
	uint64_t undoes;         /* of a release, else 0 */
	char name[WIRE_NAME_MAX + 1];
	char order[DIGEST_TEXT_SIZE]; /* the same for the same order, whenever it is said */
};

/* Returns owned, NULL when memory is out or a text is no UTF-8. */
json_t *record_make(const struct journal_record *record, const struct record_time *time);
/* What is ordered, as struct record_summary has it. -EIO. */
int record_order(const struct wire_act *act, char ret_order[DIGEST_TEXT_SIZE]);

/* -EBADMSG: no record; -EIO. */
int record_read(const json_t *record, struct record_summary *ret_summary);
/* -EBADMSG, -ENOMEM. The reason and the report are owned by the caller. */
int record_read_outcome(const json_t *record, struct wire_outcome *ret_outcome);

/* Of a contain that is done; -ENOENT: of anything else. -EBADMSG. */
int record_read_flow(const json_t *record, struct journal_flow *ret_flow);

/* The record of the interruption of what `begun` begins. Returns owned, NULL when memory is out. */
json_t *record_make_interrupted(const json_t *begun, int64_t time_usec);
