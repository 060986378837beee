#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which columns are behind the abnormal rows (paper IV-C3): rd_j, stddev_j and meandiff_j of the
 * rows A under the model frozen at the onset. Pure.
 */
#include <stddef.h>

struct contribution;
struct model;
struct window;

/* One entry per model column that still exists, abnormal ones first, by falling stddev. `scratch`
 * holds 3 x model_columns() doubles. Returns the number of entries. */
size_t identify_columns(const struct model *model, const struct window *abnormal, double b1,
			double b2, double *scratch, struct contribution *ret_contributions);
