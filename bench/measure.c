/* SPDX-License-Identifier: Apache-2.0 */
#include "measure.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

size_t measure_spans(const bool *label, size_t rows, struct span *ret_spans)
{
	size_t count = 0;

	for (size_t i = 0; i < rows; i++) {
		if (!label[i])
			continue;
		if (i == 0 || !label[i - 1])
			ret_spans[count++].first = i;
		ret_spans[count - 1].last = i;
	}
	return count;
}

void measure_count(const bool *verdict, const bool *label, size_t rows, struct counts *counts)
{
	for (size_t i = 0; i < rows; i++)
		counts_add(counts, verdict[i], label[i]);
}

void measure_point_adjust(bool *verdict, const bool *label, size_t rows)
{
	for (size_t first = 0, last; first < rows; first = last + 1) {
		bool found = false;

		last = first;
		if (!label[first])
			continue;
		while (last + 1 < rows && label[last + 1])
			last++;
		for (size_t i = first; i <= last; i++)
			found |= verdict[i];
		for (size_t i = first; i <= last; i++)
			verdict[i] = found;
	}
}

static int compare_falling(const void *left, const void *right, void *userdata)
{
	const double *score = userdata;
	double a = score[*(const size_t *)left], b = score[*(const size_t *)right];

	return (a < b) - (a > b);
}

/* The rows by falling score. Returns owned, or NULL when memory is out. */
static size_t *rank_rows(const double *score, size_t rows)
{
	size_t *order = calloc(rows + 1, sizeof(*order));

	for (size_t i = 0; order && i < rows; i++)
		order[i] = i;
	if (order)
		qsort_r(order, rows, sizeof(*order), compare_falling, (void *)score);
	return order;
}

/* How many of the ranked rows score at least as high as the one at `position`. */
static size_t rows_down_to(const double *score, const size_t *order, size_t rows, size_t position)
{
	size_t end = position + 1;

	while (end < rows && score[order[end]] >= score[order[position]])
		end++;
	return end;
}

int measure_auc_pr(const double *score, const bool *label, size_t rows, double *ret_area)
{
	cleanup(free) size_t *order = rank_rows(score, rows);
	size_t positive = 0, hits = 0;
	double area = 0;

	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < rows; i++)
		positive += label[i];
	for (size_t begin = 0, end; begin < rows; begin = end) {
		size_t before = hits;

		end = rows_down_to(score, order, rows, begin);
		for (size_t i = begin; i < end; i++)
			hits += label[order[i]];
		area += (double)(hits - before) * ((double)hits / (double)end);
	}
	*ret_area = positive > 0 ? area / (double)positive : NAN;
	return 0;
}

/* Volume under the surface */

struct surface {
	const bool *label;
	size_t rows, positive, event_count;
	struct span *events;
	unsigned char *first; /* per row: the first threshold at which it is predicted */
	size_t predicted[VUS_THRESHOLDS], hits[VUS_THRESHOLDS];
	double *weight; /* of buffer rows */
};

static void set_thresholds(struct surface *surface, const double *score, const size_t *order)
{
	double step = (double)(surface->rows - 1) / (VUS_THRESHOLDS - 1);
	size_t position = 0, hits = 0;

	for (size_t k = 0; k < VUS_THRESHOLDS; k++) {
		size_t rank =
			k == VUS_THRESHOLDS - 1 ? surface->rows - 1 : (size_t)((double)k * step);

		surface->predicted[k] = rows_down_to(score, order, surface->rows, rank);
		for (; position < surface->predicted[k]; position++) {
			surface->first[order[position]] = (unsigned char)k;
			hits += surface->label[order[position]];
		}
		surface->hits[k] = hits;
	}
}

/* The part of a buffer of `half` rows around the event that lies in the data. */
static struct span widened(const struct surface *surface, size_t event, size_t half)
{
	const struct span *span = &surface->events[event];

	return (struct span){span->first > half ? span->first - half : 0,
			     span->last + half < surface->rows ? span->last + half
							       : surface->rows - 1};
}

/* weight[row] of the rows that are in a buffer and in no event. */
static void set_weights(struct surface *surface, size_t length)
{
	double *weight = surface->weight;

	memset(weight, 0, surface->rows * sizeof(*weight));
	for (size_t i = 0; i < surface->event_count; i++) {
		const struct span *event = &surface->events[i];
		struct span wide = widened(surface, i, length / 2);

		for (size_t row = wide.first; row < event->first; row++)
			weight[row] += sqrt(1 - (double)(event->first - row) / (double)length);
		for (size_t row = event->last + 1; row <= wide.last; row++)
			weight[row] += sqrt(1 - (double)(row - event->last) / (double)length);
	}
	for (size_t row = 0; row < surface->rows; row++)
		weight[row] = surface->label[row] ? 0 : fmin(weight[row], 1);
}

/* Counts, per threshold, the joined events that are found there first. Returns how many there are.
 */
static size_t find_events(const struct surface *surface, size_t half, size_t *ret_found)
{
	size_t count = 0;

	memset(ret_found, 0, VUS_THRESHOLDS * sizeof(*ret_found));
	for (size_t i = 0; i < surface->event_count; count++) {
		struct span joined = widened(surface, i++, half);
		unsigned char first = VUS_THRESHOLDS - 1;

		while (i < surface->event_count &&
		       surface->events[i - 1].last + 2 * half >= surface->events[i].first)
			joined.last = widened(surface, i++, half).last;
		for (size_t row = joined.first; row <= joined.last; row++)
			if (surface->first[row] < first)
				first = surface->first[row];
		ret_found[first]++;
	}
	return count;
}

static double range_auc_pr(struct surface *surface, size_t length)
{
	double buffer[VUS_THRESHOLDS] = {0}, weight = 0, recall = 0, area = 0;
	size_t found_at[VUS_THRESHOLDS], found = 0;
	size_t events = find_events(surface, length / 2, found_at);

	set_weights(surface, length);
	for (size_t row = 0; row < surface->rows; row++)
		buffer[surface->first[row]] += surface->weight[row];
	for (size_t k = 0; k < VUS_THRESHOLDS; k++) {
		double before = recall, hits, positive;

		found += found_at[k];
		weight += buffer[k];
		hits = (double)surface->hits[k] + weight;
		positive = (double)surface->positive + weight / 2;
		recall = fmin(hits / positive, 1) * (double)found / (double)events;
		area += (recall - before) * hits / (double)surface->predicted[k];
	}
	return area;
}

int measure_vus_pr(const double *score, const bool *label, size_t rows, size_t length,
		   double *ret_volume)
{
	cleanup(free) size_t *order = rank_rows(score, rows);
	cleanup(free) struct span *events = calloc(rows / 2 + 1, sizeof(*events));
	cleanup(free) unsigned char *first = calloc(rows + 1, 1);
	cleanup(free) double *weight = calloc(rows + 1, sizeof(*weight));
	struct surface surface = {
		.label = label, .rows = rows, .events = events, .first = first, .weight = weight};
	double sum = 0;

	if (length > VUS_LENGTH_MAX)
		return -EINVAL;
	if (!order || !events || !first || !weight)
		return -ENOMEM;
	surface.event_count = measure_spans(label, rows, events);
	*ret_volume = NAN;
	if (surface.event_count == 0)
		return 0;
	for (size_t i = 0; i < rows; i++)
		surface.positive += label[i];
	set_thresholds(&surface, score, order);
	for (size_t l = 0; l <= length; l++)
		sum += range_auc_pr(&surface, l);
	*ret_volume = sum / (double)(length + 1);
	return 0;
}

/* Events */

size_t measure_false_alarms(const struct span *alarms, size_t alarm_count,
			    const struct span *events, size_t event_count, size_t tolerance)
{
	size_t count = 0;

	for (size_t i = 0; i < alarm_count; i++) {
		bool touches = false;

		for (size_t j = 0; j < event_count && !touches; j++)
			touches = alarms[i].first <= events[j].last + tolerance &&
				  alarms[i].last >= events[j].first;
		count += !touches;
	}
	return count;
}

bool measure_delay(const bool *verdict, const struct span *event, size_t *ret_delay)
{
	for (size_t row = event->first; row <= event->last; row++) {
		if (!verdict[row])
			continue;
		*ret_delay = row - event->first;
		return true;
	}
	return false;
}

double measure_hit_rate(const size_t *ranked, size_t count, const bool *is_true, size_t columns)
{
	size_t truth = 0, hits = 0;

	for (size_t i = 0; i < columns; i++)
		truth += is_true[i];
	for (size_t i = 0; i < count && i < truth; i++)
		hits += is_true[ranked[i]];
	return truth > 0 ? (double)hits / (double)truth : NAN;
}

double measure_set_f1(const bool *flagged, const bool *is_true, size_t columns)
{
	struct counts counts = {0};

	measure_count(flagged, is_true, columns, &counts);
	return counts.true_positive > 0 ? counts_f1(&counts) : 0;
}
