#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/* A row of small bars for a terminal. Pure. */
#include <stddef.h>
#include <stdio.h>

/* One character per value, scaled between the least and the largest; NaN is a space. */
void sparkline_print(const double *values, size_t count, FILE *stream);
