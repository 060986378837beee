/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/delta_plan.h"

#include <assert.h>
#include <math.h>

void delta_plan_init(struct delta_plan *plan, size_t period_rows)
{
	assert(period_rows >= 1);
	*plan = (struct delta_plan){.period_rows = period_rows};
}

enum delta_step delta_plan_row(struct delta_plan *plan, bool trusted)
{
	size_t shrink_rows = plan->period_rows / DELTA_PLAN_SHRINK_LOOKS;

	plan->rows++;
	if (trusted && plan->rows >= plan->period_rows) {
		plan->rows = 0;
		return DELTA_STEP_ANY;
	}
	return shrink_rows < 2 || plan->rows % shrink_rows == 0 ? DELTA_STEP_SHRINK
								: DELTA_STEP_NONE;
}

uint64_t delta_plan_commit(struct delta_plan *plan)
{
	return ++plan->version;
}

double delta_plan_next(double delta, double wanted, const struct delta_limits *limits,
		       enum delta_step step)
{
	double bounded = fmin(fmax(delta, limits->floor), limits->cap), grown;

	assert(limits->floor >= 0 && limits->floor <= limits->cap);
	if (isnan(wanted) || step == DELTA_STEP_NONE || bounded != delta)
		return bounded;
	wanted = fmin(fmax(wanted, limits->floor), limits->cap);
	if (wanted < (1 - DELTA_PLAN_CHANGE_MIN) * delta)
		return wanted;
	if (step != DELTA_STEP_ANY || !(wanted > (1 + DELTA_PLAN_CHANGE_MIN) * delta))
		return delta;
	grown = delta + DELTA_PLAN_GROWTH * (wanted - delta);
	return fmin(fmax(grown, (1 + DELTA_PLAN_CHANGE_MIN) * delta), wanted);
}
