/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/sparkline.h"

#include <math.h>

void sparkline_print(const double *values, size_t count, FILE *stream)
{
	static const char *const bars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	double low = INFINITY, high = -INFINITY;

	for (size_t i = 0; i < count; i++) {
		low = fmin(low, values[i]);
		high = fmax(high, values[i]);
	}
	for (size_t i = 0; i < count; i++) {
		double share = high > low ? (values[i] - low) / (high - low) : 0;

		(void)fputs(isnan(values[i]) ? " " : bars[(int)(share * 7.999)], stream);
	}
}
