/* SPDX-License-Identifier: Apache-2.0 */
#include "track/grid.h"

#include <math.h>

/* Steps below this are not worth a grid: their multiples would be denormal. */
#define EXPONENT_MIN (-1000)

bool track_grid_exponent(double delta, int *ret_exponent)
{
	int exponent;

	if (!(delta > 0) || !isfinite(delta))
		return false;
	(void)frexp(delta, &exponent); /* delta = f * 2^exponent, 1/2 <= f < 1 */
	exponent -= 3;
	if (exponent < EXPONENT_MIN)
		return false;
	*ret_exponent = exponent;
	return true;
}
