#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The labelled data sets of ../shared/data as the measurement wants them: per entity (a machine, a
 * trace, a run) the rows to learn from, then the rows to be judged, with the truth about the
 * latter. What a set's files look like is known here only. Owned by the caller; any thread.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "measure.h"

enum set_kind {
	SET_EVENTS,  /* a train and a test file; events.csv names the columns of each event */
	SET_QUIET,   /* nothing abnormal in it: every alarm is false */
	SET_CULPRIT, /* one run: a normal part, then one with the fault of one known column */
	SET_ATTACK,  /* one run with labelled rows of an attack */
};

struct set_info {
	const char *name, *title;
	enum set_kind kind;
	double interval_sec;
	const char *label;    /* the column of the truth, or NULL */
	const char *suffix;   /* of the files that are judged */
	const char *baseline; /* what another implementation reached, for people */
};

/* The sets in order; NULL behind the last. */
const struct set_info *set_at(size_t position);

struct event {
	struct span rows; /* among the judged ones */
	bool *is_true;    /* per column */
};

struct entity {
	const struct set_info *set;
	char *name;
	size_t columns, rows, train_rows; /* rows: of both parts */
	char **names;
	double *values; /* rows x columns, the rows to learn from first */
	bool *label;    /* rows - train_rows */
	struct event *events;
	size_t event_count;
	long culprit; /* SET_CULPRIT: column, or -1 */
};

/* The names of the set's entities, in order; free each and the array. 0 of them where the folder is
 * not there. -ENOMEM. */
int set_list(const char *folder, const struct set_info *set, char ***ret_names, size_t *ret_count);

/* Reads one. Returns owned. Errors: those of csv_read(), -EINVAL where the files contradict each
 * other. */
int entity_load(const char *folder, const struct set_info *set, const char *name,
		struct entity **ret_entity, struct error *err);
struct entity *entity_free(struct entity *entity);
