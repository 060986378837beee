#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least standard deviation of each column that means anything: the caller's floor (Delta / sqrt
 * 3, the metric's resolution) and a share of the range in which the column has been seen to move,
 * so that what has been still for a whole window is not torn from all proportion by the first move.
 * One row widens a range tenfold at most, and ranges shrink again within some spans, so that one
 * absurd value does not hide all that follows. One owner.
 */
#include <stddef.h>

struct ranges;

/* share >= 0 of the range; span in rows, 0: ranges do not shrink. Returns owned, or NULL. */
struct ranges *ranges_new(double share, size_t span);
struct ranges *ranges_free(struct ranges *ranges);

int ranges_add(struct ranges *ranges, double floor); /* -ENOMEM changes nothing */
void ranges_remove(struct ranges *ranges, size_t column);
void ranges_set_floor(struct ranges *ranges, size_t column, double floor);

/* A row of all columns, NaN where nothing is known. */
void ranges_take(struct ranges *ranges, const double *row);

/* By column; borrowed until the next change. */
const double *ranges_floors(const struct ranges *ranges);
