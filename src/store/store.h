#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the controller keeps on disk: who was seen, every value received (a step function per
 * series), each group's rows (SPE, Q, verdict), the alarms with their history, what was done about
 * them (actions, and the audit that nothing changes), and the messages that wait to be sent. SQLite
 * in WAL mode, one transaction per tick; after a crash everything up to the last committed tick is
 * there. One owner, one thread. Times are wall-clock microseconds; texts are never NULL unless it
 * is said. Errors name the file and say what to do (full disk, damaged file, newer schema, locked
 * by another atomd); a failed tick is rolled back whole, nothing stored before is lost. A callback
 * of a reading must neither start the same kind of reading nor change what it reads.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "metric/metric.h"

struct store;

/* Opens or makes the database; checks it (schema version, quick integrity check of a file that was
 * not closed cleanly), brings one of an older version to this one, whole or not at all (-EPROTO: it
 * is of a newer version), and takes an exclusive lock (-EBUSY: another atomd). A damaged file is
 * -EUCLEAN: nothing is deleted; the text says how to move it aside or recover it. */
int store_open(const char *path, struct store **ret_store, struct error *err);
struct store *store_free(struct store *store);

/* An ordinary transaction outlasts the end of the process, but the last ones may go with the power.
 * One begun durably is on the disk when store_commit() has returned 0, and so is every one before
 * it: for what must be known before it is done. It costs the time of a sync. */
int store_begin(struct store *store, struct error *err);
int store_begin_durably(struct store *store, struct error *err);
int store_commit(struct store *store,
		 struct error *err); /* on failure everything since begin is undone */
void store_rollback(struct store *store);

/* The writes below belong between begin and commit. -EINVAL: what is written breaks a rule of the
 * tables (an event of no alarm, a record of the audit out of turn); the transaction goes on. */

/* Numbers for a VM of a node and for its series: made on first use, the same for ever after. */
struct store_vm {
	const char *node;
	struct vm_uuid uuid;
	const char *name, *instance, *project;
	uint32_t vcpus;
};
int store_vm_number(struct store *store, const struct store_vm *vm, int64_t *ret_vm,
		    struct error *err);
int store_series_number(struct store *store, int64_t vm, enum metric metric, int64_t *ret_series,
			struct error *err);

/* From time_usec on the series holds `value` +- `delta` (or is in the state named). */
enum store_point_state { STORE_POINT_GOOD, STORE_POINT_GAP, STORE_POINT_STALE };
struct store_point {
	int64_t time_usec;
	enum store_point_state state;
	double value; /* the last one known where the state is not good; may be NaN */
	double delta;
};
int store_put_point(struct store *store, int64_t series, const struct store_point *point,
		    struct error *err);

/* One row of a group; `state` is the caller's number for its verdict. */
struct store_row {
	int64_t time_usec;
	int state;
	double spe, q; /* NaN: none */
	uint32_t components, level;
};
int store_put_row(struct store *store, const char *group, const struct store_row *row,
		  struct error *err);

/* An alarm, new or changed; its id (1 or more) is the caller's to choose. `evidence` is JSON,
 * opaque here. */
struct store_alarm {
	int64_t id;
	const char *group;
	const char *state;   /* "open", "shifted", "cleared", ... */
	int64_t opened_usec; /* time of the onset's row */
	int64_t closed_usec; /* 0 while open */
	uint32_t level;
	const char *summary; /* the first line: VMs, metrics, direction, evidence */
	const char *evidence;
};
int store_put_alarm(struct store *store, const struct store_alarm *alarm, struct error *err);
/* The largest id so far, 0 when there is none; ids of expired alarms are not used again. */
int store_last_alarm(struct store *store, int64_t *ret_id, struct error *err);
/* Something that happened to an alarm, which must be stored. */
struct store_event {
	int64_t id; /* grows from event to event, over all alarms; never used again */
	int64_t alarm, time_usec;
	const char *event; /* "opened", ... */
	const char *text;
	const char *vm; /* the uuid, as text, of the VM that the text speaks of; "" none */
};
int store_put_alarm_event(struct store *store, int64_t alarm, int64_t time_usec, const char *event,
			  const char *text, const char *vm, struct error *err);

/* Something done to a VM, new or changed; its id (1 or more) is the caller's to choose. */
struct store_action {
	int64_t id;
	int64_t alarm;  /* 0: none */
	const char *vm; /* its uuid, as text */
	const char
		*state; /* final: done, pending, refused, failed, unknown, vetoed; or any other */
	int64_t made_usec, changed_usec;
	const char *who;    /* "operator anna", "rule stop-floods" */
	const char *detail; /* JSON, opaque here */
};
int store_put_action(struct store *store, const struct store_action *action, struct error *err);
/* The largest id so far, 0 when there is none; ids of expired actions are not used again. */
int store_last_action(struct store *store, int64_t *ret_id, struct error *err);
/* How many actions of `who` were made at or after the time; not those that were vetoed. */
int store_count_actions(struct store *store, const char *who, int64_t since_usec, size_t *ret_count,
			struct error *err);

/* The audit: numbered from 1 without a gap (-EINVAL: not the last number's successor). No record
 * ever changes or expires; the database itself refuses it, to other tools too. What record and hash
 * say is the caller's (src/digest). */
int store_append_audit(struct store *store, int64_t number, int64_t time_usec, const char *record,
		       const char *hash, struct error *err);
/* Number 0 and hash "" when there is none. `size` is the room in ret_hash; -EUCLEAN: the hash is
 * longer, so it is none of ours. */
int store_last_audit(struct store *store, int64_t *ret_number, char *ret_hash, size_t size,
		     struct error *err);

/* A message that waits to be sent. How many may wait is the caller's to limit. */
struct store_message {
	int64_t id; /* 0: a new one */
	const char *receiver;
	int64_t alarm; /* 0: none */
	int64_t made_usec, due_usec;
	uint32_t attempts;
	const char *body;
};
/* A new one gets an id, never used again (ret_id may be NULL); of one with an id only due_usec and
 * attempts are written, and the texts may be NULL (-ENOENT: it is gone). */
int store_put_message(struct store *store, const struct store_message *message, int64_t *ret_id,
		      struct error *err);
/* That it is gone already is no error. */
int store_delete_message(struct store *store, int64_t id, struct error *err);
int store_count_messages(struct store *store, const char *receiver /* NULL: all */,
			 size_t *ret_count, struct error *err);

/* Named small state, e.g. the time of the last tick. */
int store_put_state(struct store *store, const char *key, const char *value, struct error *err);
/* -ENOENT when there is none; returns owned text. */
int store_get_state(struct store *store, const char *key, char **ret_value, struct error *err);

/* Deletes what ended before the time (each series keeps the last point before it, so that values at
 * it are known; an action stays as long as its alarm, and while its state is not final; a message
 * goes unsent, by the time it was made at; the audit stays), at most `limit` rows per table and
 * call; returns how many went. */
int store_expire(struct store *store, int64_t before_usec, size_t limit, struct error *err);

/* Reads; callbacks return 0 to go on, anything else ends the reading and is returned. Borrowed
 * during the call. */

int store_each_vm(struct store *store,
		  int (*each)(void *userdata, int64_t vm, const struct store_vm *seen),
		  void *userdata, struct error *err);
int store_each_series(struct store *store, int64_t vm,
		      int (*each)(void *userdata, int64_t series, enum metric metric),
		      void *userdata, struct error *err);

/* The point in force at the time: the newest one not after it. -ENOENT when there is none. */
int store_point_at(struct store *store, int64_t series, int64_t time_usec,
		   struct store_point *ret_point, struct error *err);
/* Points with from <= time < to in order, after the one in force at `from`. */
int store_each_point(struct store *store, int64_t series, int64_t from_usec, int64_t to_usec,
		     int (*each)(void *userdata, const struct store_point *point), void *userdata,
		     struct error *err);
/* Rows with from <= time < to, in order; with newest > 0 only the newest so many of them (still in
 * order). */
int store_each_row(struct store *store, const char *group, int64_t from_usec, int64_t to_usec,
		   size_t newest, int (*each)(void *userdata, const struct store_row *row),
		   void *userdata, struct error *err);
/* Newest first; state "open", "closed", or NULL: any. */
int store_each_alarm(struct store *store, const char *state, size_t limit,
		     int (*each)(void *userdata, const struct store_alarm *alarm), void *userdata,
		     struct error *err);
int store_get_alarm(struct store *store, int64_t id,
		    int (*each)(void *userdata, const struct store_alarm *alarm), void *userdata,
		    struct error *err); /* -ENOENT */
int store_each_alarm_event(struct store *store, int64_t alarm,
			   int (*each)(void *userdata, const struct store_event *event),
			   void *userdata, struct error *err);
/* Events of all alarms with an id above `after`, in order: the first `limit` of them, or the newest
 * `limit`. */
int store_each_event(struct store *store, int64_t after, size_t limit, bool newest,
		     int (*each)(void *userdata, const struct store_event *event), void *userdata,
		     struct error *err);
/* The largest id so far, 0 when there is none. */
int store_last_event(struct store *store, int64_t *ret_id, struct error *err);

/* Newest first; of one alarm, or 0: of any and of none; in a state, or "open": in any that is not
 * final, or NULL: any. */
int store_each_action(struct store *store, int64_t alarm, const char *state, size_t limit,
		      int (*each)(void *userdata, const struct store_action *action),
		      void *userdata, struct error *err);
int store_get_action(struct store *store, int64_t id,
		     int (*each)(void *userdata, const struct store_action *action), void *userdata,
		     struct error *err); /* -ENOENT */
/* Records with a number above `after`, in order. */
int store_each_audit(struct store *store, int64_t after, size_t limit,
		     int (*each)(void *userdata, int64_t number, int64_t time_usec,
				 const char *record, const char *hash),
		     void *userdata, struct error *err);
/* Messages due at the time or before it, the longest due first. */
int store_each_message(struct store *store, int64_t due_usec, size_t limit,
		       int (*each)(void *userdata, const struct store_message *message),
		       void *userdata, struct error *err);
