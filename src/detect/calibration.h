#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limit of an index of deviation from the indices that earlier rows had, each scored before it
 * entered the model: mean, standard deviation and skewness of the newest `memory` ones, with
 * exponential forgetting, in the shape of a chi-squared (Pearson's third type, as in Hall, Buckley
 * and Eagleson's limit). The model's own thetas say what the shape is for Gaussian rows; where the
 * indices are more skewed, they say it. Embedded; one owner. No allocation.
 */
#include <stdbool.h>
#include <stddef.h>

enum { CALIBRATION_ROWS_MIN = 30 };

/* What an index is like by the model alone: mean, standard deviation, and the degrees of freedom of
 * the chi-squared that is as skewed (>= 1). */
struct index_shape {
	double mean, std, degrees;
};

struct calibration {
	double memory, alpha;
	double limit; /* the newest */
	double weight, sum, squares, cubes;
	double degrees, deviate; /* the newest quantile, in standard deviations, and of what */
	double heaviest;         /* that of one degree of freedom, the least there can be */
};

/* memory >= CALIBRATION_ROWS_MIN rows, 0 < alpha < 0.5. */
void calibration_init(struct calibration *calibration, size_t memory, double alpha);

/* An index >= 0. Far above the newest limit it counts as a few times that limit: as many as
 * make alpha the share of rows above it in the long run, however heavy the tail. */
void calibration_add(struct calibration *calibration, double index);

bool calibration_is_ready(const struct calibration *calibration);
double calibration_mean(const struct calibration *calibration); /* once it is ready */

/* The limit that an index passes with probability alpha. Never less than the shape's: the
 * calibration may be of a time when less was going on. */
double calibration_limit(struct calibration *calibration, const struct index_shape *shape);
