#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which columns are behind the abnormal rows (paper IV-C3): rd_j, stddev_j and meandiff_j of the
 * rows A under the model frozen at the onset, and two figures beside them, of which the paper has
 * none: `deviation`, which ranks, and `rbc`, which breaks ties. Pure.
 */
#include <stddef.h>

struct contribution;
struct model;
struct window;

/* One entry per model column that still exists, in the model's order. `scratch` holds
 * 3 x model_columns() doubles. Returns the number of entries. A cell without a value is left out of
 * its column's figures; a column of which A holds none has zeros, and NaN for what is of a mean. */
size_t identify_columns(const struct model *model, const struct window *abnormal, double b1,
			double b2, double *scratch, struct contribution *ret_contributions);

enum contribution_order {
	CONTRIBUTIONS_BY_STDDEV,    /* the paper's */
	CONTRIBUTIONS_BY_DEVIATION, /* not led astray by what hardly ever moves */
};

/* Abnormal ones first, each part by the falling figure, then by falling rbc, then by column. */
void identify_rank(struct contribution *contributions, size_t count, enum contribution_order order);
