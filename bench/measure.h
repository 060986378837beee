#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a detector is measured by, on labelled rows: the counts behind precision, recall and F1;
 * point adjustment; the areas AUC-PR and VUS-PR of a row score; alarms and delays by event; the
 * identified columns. Rows are 0 .. rows - 1, `label` says which are abnormal in truth, `verdict`
 * which were called so, `score` ranks them (finite, higher is more abnormal). Pure functions; any
 * thread. What has nothing to divide by is NaN.
 */
#include <stdbool.h>
#include <stddef.h>

#include "stats/counts.h"

/* A run of rows, both ends included. */
struct span {
	size_t first, last;
};

enum { VUS_THRESHOLDS = 250, VUS_LENGTH_MAX = 10000 };

/* The runs of true rows, in order; room for (rows + 1) / 2 of them. Returns how many. */
size_t measure_spans(const bool *label, size_t rows, struct span *ret_spans);

/* Adds the rows to the counts. */
void measure_count(const bool *verdict, const bool *label, size_t rows, struct counts *counts);

/* Calls every row of an event abnormal when one of them is (Xu et al., WWW 2018). It flatters: with
 * long events a random verdict scores high. In place. */
void measure_point_adjust(bool *verdict, const bool *label, size_t rows);

/* Average precision: the sum over the distinct scores, from the highest, of (recall's increment) x
 * (precision at that score); equal scores are one threshold. NaN without an abnormal row. -ENOMEM.
 */
int measure_auc_pr(const double *score, const bool *label, size_t rows, double *ret_area);

/* VUS-PR: volume under the surface of range precision and recall, after Paparrizos et al., "Volume
 * Under the Surface: a new accuracy evaluation measure for time-series anomaly detection", PVLDB
 * 15(11), 2022, as the benchmark TSB-AD (Liu and Paparrizos, NeurIPS 2024) computes it. The mean of
 * the range AUC-PR over the buffer lengths l = 0, 1 .. length. For one l:
 * - the weight of a row is 1 inside an event, and at d = 1 .. l / 2 (whole) rows before or after it
 *   sqrt(1 - d / l); where slopes meet they add up, to 1 at most;
 * - events whose buffers touch are one event of the existence reward E, the share of those with a
 *   row predicted in event or buffer;
 * - VUS_THRESHOLDS thresholds are the scores at evenly spaced ranks, the highest first; a row is
 *   predicted when its score is at least that;
 * - TP is the weight of the predicted rows; P the mean of the labelled rows and of (those plus the
 *   weight of predicted buffer rows); recall min(1, TP / P) x E; precision TP / predicted rows;
 * - the area is the sum of (recall's increment) x (precision).
 * TSB-AD's `length` is twice the period of the data by autocorrelation. NaN without an abnormal
 * row; -EINVAL for a length over VUS_LENGTH_MAX, -ENOMEM. */
int measure_vus_pr(const double *score, const bool *label, size_t rows, size_t length,
		   double *ret_volume);

/* How many alarms touch no event; an event still counts `tolerance` rows after its end, since an
 * episode ends a little later than its cause. */
size_t measure_false_alarms(const struct span *alarms, size_t alarm_count,
			    const struct span *events, size_t event_count, size_t tolerance);

/* Rows from the event's start to its first abnormal verdict; false where there is none in it. */
bool measure_delay(const bool *verdict, const struct span *event, size_t *ret_delay);

/* HitRate@100 (Su et al., KDD 2019): of the n true columns, the share among the first n of
 * `ranked` (`count` columns, the most suspected first). `is_true` is by column. */
double measure_hit_rate(const size_t *ranked, size_t count, const bool *is_true, size_t columns);

/* F1 of the set of flagged columns against the true ones; 0 where no column is in both. */
double measure_set_f1(const bool *flagged, const bool *is_true, size_t columns);
