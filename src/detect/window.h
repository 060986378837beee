#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded list of rows (matrix M or A of paper IV-C): the newest `capacity` ones, oldest first.
 * Columns may be added (NaN in the rows that are there) and taken out. Missing values are NaN. One
 * owner.
 */
#include <stddef.h>

struct window;

/* capacity >= 1. No columns, no rows. Returns owned, or NULL when memory is out. */
struct window *window_new(size_t capacity);
struct window *window_free(struct window *window);

/* At the end. -ENOMEM changes nothing. */
int window_add_column(struct window *window);
void window_remove_column(struct window *window, size_t column);

/* Copies a row of window_columns() values; the oldest goes when the window is full. */
void window_push(struct window *window, const double *row);
void window_clear(struct window *window);
/* Every second row goes; the newest stays. */
void window_thin(struct window *window);
/* Adds `offset` to every value of the column. */
void window_move_column(struct window *window, size_t column, double offset);

size_t window_capacity(const struct window *window);
size_t window_rows(const struct window *window);
size_t window_columns(const struct window *window);
/* Row 0 is the oldest. Borrowed until the next change. */
const double *window_row(const struct window *window, size_t row);
/* How many rows hold a value of the column. */
size_t window_present(const struct window *window, size_t column);
