#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of a group out of the store, as they were tested: to rebuild a window after a restart, and
 * to learn an episode that was over when it was called normal. On the loop's thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

struct alarm;
struct controller;
struct group;

struct replay {
	struct store_row *rows;
	size_t row_count, row_capacity;
	double *values; /* rows[i]'s columns are values[i * columns ...], as the group's; NaN: none
			 */
	size_t columns;
	bool is_known_only; /* no new columns */

	/* While a series is read: the next row to fill, its column, the point in force there. */
	size_t cursor, column;
	struct store_point point;
	bool any;
};

/* Rows with from <= time < to, the newest so many (0: all). A series that had a value among them
 * becomes a column of the group. Release with replay_deinit(), after a failure too. */
int replay_read(struct controller *controller, struct group *group, int64_t from_usec,
		int64_t to_usec, size_t newest, struct replay *ret_replay, struct error *err);
/* All of them, but only of series that are columns already. */
int replay_read_known(struct controller *controller, struct group *group, int64_t from_usec,
		      int64_t to_usec, struct replay *ret_replay, struct error *err);
void replay_deinit(struct replay *replay);

/* The rows of an alarm's time, which is over. */
int replay_read_alarm(struct controller *controller, struct group *group, int64_t opened_usec,
		      int64_t closed_usec, struct replay *ret_replay, struct error *err);
/* Its abnormal and shifted rows go into M and the reference. */
void replay_teach(const struct replay *replay, struct group *group);
