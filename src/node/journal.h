#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node's own record of what it was ordered to do to VMs and what became of it: a file that only
 * grows, one line per record, "HASH JSON", each hash sealing its JSON with the hash before it
 * (src/digest). Read and checked at the start, so that the node knows which actions were begun and
 * how they ended, whoever was killed when; what cannot be recorded is not done. Writing waits for
 * the disk. On the loop's thread, one process per file.
 */
#include <stdbool.h>

#include "wire/wire.h"

enum {
	JOURNAL_ACTIONS_MAX = 4096,          /* remembered: the newest */
	JOURNAL_CONTAINMENTS_MAX = 256,      /* in force at once */
	JOURNAL_REPORT_SIZE_MAX = 512 << 10, /* a larger one is not kept */
	JOURNAL_ADDRESS_SIZE = 64,
	JOURNAL_SIZE_MAX = 256 << 20, /* of the file; then nothing more is begun */
};

struct journal;

enum journal_event { JOURNAL_BEGUN, JOURNAL_ENDED, JOURNAL_REFUSED, JOURNAL_INTERRUPTED };

struct journal_record {
	enum journal_event event;
	const struct wire_act *act;    /* action 0: no controller's order, and not remembered */
	const char *name, *controller; /* the VM's name, whose order it is: UTF-8 */
	const struct wire_outcome *outcome; /* of all but JOURNAL_BEGUN */
	bool nothing_done; /* it failed before it changed anything: a containment is not in force */
};

/* Reads what is there, and records the interruption of what was begun by an earlier process and has
 * no end. A file that is not there is made, for its owner only, and its folder. Damage is logged
 * with file and line, each place up to a number, and no reason to stop. One that is full is read.
 * Returns owned, NULL when memory is out. A journal that cannot be had says why at each
 * journal_append(). */
struct journal *journal_new(const char *path);
struct journal *journal_free(struct journal *journal);

/* What is known of an action of that number. */
enum journal_state {
	JOURNAL_NEW,    /* nothing */
	JOURNAL_OPEN,   /* begun, and its end is not recorded */
	JOURNAL_CLOSED, /* ended or refused: journal_outcome() */
	JOURNAL_OTHER,  /* the number was used for another order */
	JOURNAL_UNREAD, /* what there is cannot be read: journal_trouble() */
};
enum journal_state journal_find(const struct journal *journal, const struct wire_act *act);

/* Why the journal cannot be had; "" where it can. Borrowed until journal_free(). */
const char *journal_trouble(const struct journal *journal);

/* The outcome of a closed action as it was recorded; its reason and report are owned by the caller.
 * -ENOENT, -EIO, -EBADMSG, -ENOMEM. */
int journal_outcome(const struct journal *journal, uint64_t action,
		    struct wire_outcome *ret_outcome, struct error *err);

/* Writes a record, and waits until it is on the disk (a refusal does not wait). An error says what
 * to do; what is begun must then not be done. An end that cannot be written is remembered by this
 * process. -EFBIG: JOURNAL_SIZE_MAX. */
int journal_append(struct journal *journal, const struct journal_record *record, struct error *err);

/* A containment that may be in force: begun, not released, and not failed before it changed
 * anything. */
struct journal_containment {
	uint64_t action;
	struct vm_uuid vm;
	char name[WIRE_NAME_MAX + 1]; /* the VM's */
	int64_t until_usec;           /* wall clock */
	int64_t until_boot_usec;      /* CLOCK_BOOTTIME, and this counts; 0: of another boot */
	int64_t delay_usec;           /* of its last putting off; 0: none */
	int64_t not_before_usec;      /* monotonic: put off */
};
size_t journal_containment_count(const struct journal *journal);
/* Until its expiry; negative when that is past. */
int64_t journal_containment_left_usec(const struct journal_containment *containment);
/* The one that is to be released first, and how long that is until then (may be negative); NULL:
 * none. Borrowed until the next call of journal_append(). */
const struct journal_containment *journal_first_containment(const struct journal *journal,
							    int64_t *ret_wait_usec);
/* Its release has failed: a minute later, then twice as long, an hour at most. Of no record. */
void journal_put_off_containment(struct journal *journal, uint64_t action);
/* Of the containment of that VM by that action. */
enum journal_containment_state {
	JOURNAL_CONTAINMENT_UNKNOWN,  /* nothing is known of such an action */
	JOURNAL_CONTAINMENT_NONE,     /* it is none, or another VM's */
	JOURNAL_CONTAINMENT_IN_FORCE, /* or may be */
	JOURNAL_CONTAINMENT_OVER,
};
enum journal_containment_state journal_find_containment(const struct journal *journal,
							uint64_t action, const struct vm_uuid *vm);

/* By its place, below journal_containment_count(). Borrowed as above. */
const struct journal_containment *journal_containment_at(const struct journal *journal,
							 size_t place);

/* What a containment holds against. */
struct journal_flow {
	char peer[JOURNAL_ADDRESS_SIZE], address[JOURNAL_ADDRESS_SIZE]; /* address "": any */
	uint32_t rate;
};
/* Of a contain action that is recorded as done. -ENOENT: it is not (yet); -EIO, -EBADMSG. */
int journal_read_flow(const struct journal *journal, uint64_t action,
		      struct journal_flow *ret_flow);
