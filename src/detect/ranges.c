/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/ranges.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WIDEN_MAX 10.0
#define SPANS 4 /* a range shrinks by 1 / e in so many spans */

struct ranges {
	double share, shrink;
	size_t columns, capacity;
	double *given, *floors, *low, *high; /* by column; low > high: nothing seen */
};

struct ranges *ranges_new(double share, size_t span)
{
	struct ranges *ranges = calloc(1, sizeof(*ranges));

	if (!ranges)
		return NULL;
	ranges->share = share;
	ranges->shrink = span > 0 ? 1 / ((double)SPANS * (double)span) : 0;
	return ranges;
}

struct ranges *ranges_free(struct ranges *ranges)
{
	if (!ranges)
		return NULL;
	free(ranges->given);
	free(ranges->floors);
	free(ranges->low);
	free(ranges->high);
	free(ranges);
	return NULL;
}

static int grow(double **array, size_t capacity)
{
	double *grown = reallocarray(*array, capacity, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	*array = grown;
	return 0;
}

int ranges_add(struct ranges *ranges, double floor)
{
	size_t column = ranges->columns;

	if (column == ranges->capacity) {
		size_t capacity = column < 16 ? 16 : 2 * column;

		if (grow(&ranges->given, capacity) < 0 || grow(&ranges->floors, capacity) < 0 ||
		    grow(&ranges->low, capacity) < 0 || grow(&ranges->high, capacity) < 0)
			return -ENOMEM;
		ranges->capacity = capacity;
	}
	ranges->given[column] = ranges->floors[column] = floor;
	ranges->low[column] = INFINITY;
	ranges->high[column] = -INFINITY;
	ranges->columns++;
	return 0;
}

void ranges_remove(struct ranges *ranges, size_t column)
{
	double *arrays[] = {ranges->given, ranges->floors, ranges->low, ranges->high};
	size_t after = ranges->columns - column - 1;

	for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++)
		memmove(&arrays[i][column], &arrays[i][column + 1], after * sizeof(double));
	ranges->columns--;
}

static double floor_now(const struct ranges *ranges, size_t column)
{
	double range = ranges->high[column] - ranges->low[column];

	return fmax(ranges->given[column], range > 0 ? ranges->share * range : 0);
}

void ranges_set_floor(struct ranges *ranges, size_t column, double floor)
{
	ranges->given[column] = floor;
	ranges->floors[column] = floor_now(ranges, column);
}

static void widen(struct ranges *ranges, size_t column, double value)
{
	double *low = &ranges->low[column], *high = &ranges->high[column];
	double range = *high - *low, reach, middle;

	if (!(range >= 0)) {
		*low = *high = value;
		return;
	}
	reach = range > 0 ? (WIDEN_MAX - 1) * range : INFINITY;
	middle = 0.5 * *low + 0.5 * *high;
	*low += ranges->shrink * (middle - *low);
	*high += ranges->shrink * (middle - *high);
	*low = fmin(*low, fmax(value, *low - reach));
	*high = fmax(*high, fmin(value, *high + reach));
}

void ranges_take(struct ranges *ranges, const double *row)
{
	if (!(ranges->share > 0))
		return;
	for (size_t i = 0; i < ranges->columns; i++) {
		if (isnan(row[i]))
			continue;
		widen(ranges, i, row[i]);
		ranges->floors[i] = floor_now(ranges, i);
	}
}

const double *ranges_floors(const struct ranges *ranges)
{
	return ranges->floors;
}
