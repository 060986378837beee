/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/window.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* A ring of rows of `stride` places each, of which the first `columns` are in use. */
struct window {
	size_t capacity, rows, first;
	size_t columns, stride;
	double *values;
	size_t *present; /* per column */
};

DEFINE_CLEANUP(struct window *, window_free)

static int grow(struct window *window, size_t stride)
{
	cleanup(free) double *values = calloc(window->capacity * stride, sizeof(*values));
	size_t *present = reallocarray(window->present, stride, sizeof(*present));

	if (!present)
		return -ENOMEM;
	window->present = present;
	if (!values)
		return -ENOMEM;
	for (size_t row = 0; row < window->capacity && window->columns > 0; row++)
		memcpy(values + row * stride, window->values + row * window->stride,
		       window->columns * sizeof(*values));
	free(window->values);
	window->values = keep(values);
	window->stride = stride;
	return 0;
}

struct window *window_new(size_t capacity)
{
	cleanup(window_free) struct window *window = calloc(1, sizeof(*window));

	if (!window)
		return NULL;
	window->capacity = capacity;
	if (grow(window, 8) < 0)
		return NULL;
	return keep(window);
}

struct window *window_free(struct window *window)
{
	if (!window)
		return NULL;
	free(window->values);
	free(window->present);
	free(window);
	return NULL;
}

static double *row_at(const struct window *window, size_t row)
{
	return window->values + (window->first + row) % window->capacity * window->stride;
}

int window_add_column(struct window *window)
{
	if (window->columns == window->stride && grow(window, 2 * window->stride) < 0)
		return -ENOMEM;
	for (size_t row = 0; row < window->rows; row++)
		row_at(window, row)[window->columns] = NAN;
	window->present[window->columns++] = 0;
	return 0;
}

void window_remove_column(struct window *window, size_t column)
{
	size_t after = window->columns - column - 1;

	for (size_t row = 0; row < window->rows; row++) {
		double *place = row_at(window, row) + column;

		memmove(place, place + 1, after * sizeof(*place));
	}
	memmove(&window->present[column], &window->present[column + 1],
		after * sizeof(*window->present));
	window->columns--;
}

void window_push(struct window *window, const double *row)
{
	double *place;

	if (window->rows == window->capacity) {
		const double *oldest = row_at(window, 0);

		for (size_t i = 0; i < window->columns; i++)
			window->present[i] -= !isnan(oldest[i]);
		window->first = (window->first + 1) % window->capacity;
		window->rows--;
	}
	place = row_at(window, window->rows++);
	memcpy(place, row, window->columns * sizeof(*row));
	for (size_t i = 0; i < window->columns; i++)
		window->present[i] += !isnan(row[i]);
}

void window_clear(struct window *window)
{
	window->rows = 0;
	window->first = 0;
	memset(window->present, 0, window->columns * sizeof(*window->present));
}

static void count_present(struct window *window)
{
	memset(window->present, 0, window->columns * sizeof(*window->present));
	for (size_t row = 0; row < window->rows; row++)
		for (size_t i = 0; i < window->columns; i++)
			window->present[i] += !isnan(row_at(window, row)[i]);
}

void window_thin(struct window *window)
{
	size_t kept = 0;

	for (size_t row = (window->rows + 1) % 2; row < window->rows; row += 2)
		memcpy(row_at(window, kept++), row_at(window, row),
		       window->columns * sizeof(*window->values));
	window->rows = kept;
	count_present(window);
}

void window_move_column(struct window *window, size_t column, double offset)
{
	for (size_t row = 0; row < window->rows; row++)
		row_at(window, row)[column] += offset;
}

size_t window_capacity(const struct window *window)
{
	return window->capacity;
}

size_t window_rows(const struct window *window)
{
	return window->rows;
}

size_t window_columns(const struct window *window)
{
	return window->columns;
}

const double *window_row(const struct window *window, size_t row)
{
	return row_at(window, row);
}

size_t window_present(const struct window *window, size_t column)
{
	return window->present[column];
}
