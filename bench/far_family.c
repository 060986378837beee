/* SPDX-License-Identifier: Apache-2.0 */
#include "far_family.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

static double uniform(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	/* splitmix64 */
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return ((double)((z ^ (z >> 31)) >> 11) + 0.5) * 0x1p-53;
}

/* Box and Muller; the second deviate is given away. */
static double normal(uint64_t *state)
{
	double radius = sqrt(-2 * log(uniform(state)));

	return radius * cos(2 * M_PI * uniform(state));
}

static void draw_loadings(struct source *source)
{
	size_t cells = source->family.columns * source->factors;
	double sum = 0, scale;

	for (size_t i = 0; i < cells; i++) {
		source->loadings[i] =
			normal(&source->random) / sqrt((double)(i % source->factors + 1));
		sum += source->loadings[i] * source->loadings[i];
	}
	scale = sqrt((double)source->family.columns / sum);
	for (size_t i = 0; i < cells; i++)
		source->loadings[i] *= scale;
}

int source_init(struct source *source, const struct family *family, uint64_t seed)
{
	size_t d = family->columns;

	*source = (struct source){.family = *family, .random = seed};
	source->factors = (size_t)lround(sqrt((double)d));
	source->loadings = calloc(d * source->factors, sizeof(double));
	source->state = calloc(d + source->factors, sizeof(double));
	source->row = calloc(d, sizeof(double));
	if (!source->loadings || !source->state || !source->row) {
		source_deinit(source);
		return -ENOMEM;
	}
	draw_loadings(source);
	for (size_t i = 0; i < d + source->factors; i++)
		source->state[i] = normal(&source->random);
	return 0;
}

void source_deinit(struct source *source)
{
	free(source->loadings);
	free(source->state);
	free(source->row);
	*source = (struct source){0};
}

void source_next(struct source *source)
{
	size_t d = source->family.columns, factors = source->factors;
	double rho = source->family.rho, fresh = sqrt(1 - rho * rho);

	for (size_t i = 0; i < d + factors; i++)
		source->state[i] = rho * source->state[i] + fresh * normal(&source->random);
	for (size_t j = 0; j < d; j++) {
		source->row[j] = source->family.noise * source->state[factors + j];
		for (size_t i = 0; i < factors; i++)
			source->row[j] += source->loadings[j * factors + i] * source->state[i];
	}
}

void source_covariance(const struct source *source, double *ret_covariance)
{
	size_t d = source->family.columns, factors = source->factors;

	for (size_t a = 0; a < d; a++)
		for (size_t b = 0; b < d; b++) {
			double sum = a == b ? source->family.noise * source->family.noise : 0;

			for (size_t i = 0; i < factors; i++)
				sum += source->loadings[a * factors + i] *
				       source->loadings[b * factors + i];
			ret_covariance[a * d + b] = sum;
		}
}
