/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/calibration.h"

#include <assert.h>
#include <math.h>

#include "stats/quantile.h"

#define DEGREES_TOLERANCE 1e-3 /* the quantile moves less than that with them */

/* The quantile of the standardised chi-squared; kept, since it costs more than all the rest. */
static double deviate(struct calibration *calibration, double degrees)
{
	if (fabs(degrees - calibration->degrees) > DEGREES_TOLERANCE * degrees) {
		calibration->degrees = degrees;
		calibration->deviate =
			(chi2_upper_quantile(calibration->alpha, degrees) - degrees) /
			sqrt(2 * degrees);
	}
	return calibration->deviate;
}

void calibration_init(struct calibration *calibration, size_t memory, double alpha)
{
	assert(memory >= CALIBRATION_ROWS_MIN && alpha > 0 && alpha < 0.5);
	*calibration = (struct calibration){.memory = (double)memory, .alpha = alpha};
	calibration->heaviest = deviate(calibration, 1);
}

static void forget(struct calibration *calibration)
{
	double keep = 1 - 1 / calibration->memory;

	calibration->weight *= keep;
	calibration->sum *= keep;
	calibration->squares *= keep;
	calibration->cubes *= keep;
}

/* As how many times the limit counts what lies above it. When a share p of the indices lies at r
 * times the limit and the rest near the mean, the limit that follows is about r deviate(1) sqrt(p)
 * times the old one: with this r it rises until p is alpha. One index alone must not raise it,
 * which is a large share of few. */
static double reach(const struct calibration *calibration)
{
	double share = fmax(calibration->alpha, 1 / (calibration->weight + 1));

	return fmax(1, 1 / (calibration->heaviest * sqrt(share)));
}

void calibration_add(struct calibration *calibration, double index)
{
	if (calibration->limit > 0)
		index = fmin(index, reach(calibration) * calibration->limit);
	if (calibration->weight >= calibration->memory)
		forget(calibration);
	calibration->weight++;
	calibration->sum += index;
	calibration->squares += index * index;
	calibration->cubes += index * index * index;
}

bool calibration_is_ready(const struct calibration *calibration)
{
	return calibration->weight >= CALIBRATION_ROWS_MIN;
}

double calibration_mean(const struct calibration *calibration)
{
	return calibration->sum / calibration->weight;
}

/* Degrees of freedom of the chi-squared that is as skewed as the indices: skewness sqrt(8 / v). */
static double degrees_of(const struct calibration *calibration, double mean, double variance)
{
	double third = calibration->cubes / calibration->weight -
		       3 * mean * calibration->squares / calibration->weight +
		       2 * mean * mean * mean;

	if (!(third > 0) || !(variance > 0))
		return INFINITY;
	return fmax(1, 8 * variance * variance * variance / (third * third));
}

double calibration_limit(struct calibration *calibration, const struct index_shape *shape)
{
	double least = shape->mean + shape->std * deviate(calibration, shape->degrees);
	double mean, variance, degrees;

	calibration->limit = least;
	if (!calibration_is_ready(calibration))
		return least;
	mean = calibration_mean(calibration);
	variance = calibration->squares / calibration->weight - mean * mean;
	degrees = fmin(shape->degrees, degrees_of(calibration, mean, variance));
	calibration->limit =
		fmax(least, mean + sqrt(fmax(variance, 0)) * deviate(calibration, degrees));
	return calibration->limit;
}
