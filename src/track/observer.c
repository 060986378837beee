/* SPDX-License-Identifier: Apache-2.0 */
#include "track/observer.h"

#include <assert.h>
#include <math.h>

#include "track/grid.h"

void observer_init(struct observer *observer, double delta, bool snap)
{
	assert(isfinite(delta) && delta >= 0);
	*observer = (struct observer){.delta = delta, .snap = snap, .last = NAN};
}

static enum observer_answer start_round(struct observer *observer, double sample)
{
	observer->low = observer->high = observer->value = sample;
	observer->held = true;
	return OBSERVER_SEND;
}

/* Whether g = `value` serves every sample of the round and the newest one, by the very predicate
 * that the guarantee is stated in. */
static bool serves(const struct observer *observer, double value, double sample)
{
	return fabs(sample - value) <= observer->delta &&
	       fabs(observer->low - value) <= observer->delta &&
	       fabs(observer->high - value) <= observer->delta;
}

/* The grid point next to `value` where it serves as well, else `value`. */
static double snapped(const struct observer *observer, double value, double sample)
{
	int exponent;
	double steps, point;

	if (!observer->snap || !track_grid_exponent(observer->delta, &exponent))
		return value;
	steps = nearbyint(ldexp(value, -exponent));
	if (!(fabs(steps) < 0x1p52))
		return value;
	point = ldexp(steps, exponent) + 0.0; /* no negative zero */
	return serves(observer, point, sample) ? point : value;
}

/* The value held is more than Delta away from `sample`: the middle of the round if that serves all
 * of it, else a new round at this same instant, so that no sample is ever left without a valid
 * value. */
static enum observer_answer answer_violation(struct observer *observer, double sample)
{
	double middle = 0.5 * observer->low + 0.5 * observer->high;

	if (!(observer->high - observer->low <= 2 * observer->delta) ||
	    !(fabs(sample - middle) <= observer->delta)) {
		(void)start_round(observer, sample);
		middle = sample;
	}
	observer->value = snapped(observer, middle, sample);
	return OBSERVER_SEND;
}

enum observer_answer observer_offer(struct observer *observer, double sample)
{
	bool first = !observer->held;

	if (!isfinite(sample)) {
		bool told = observer->started && first;

		observer->held = false;
		observer->started = true;
		observer->last = sample;
		return told ? OBSERVER_SILENT : OBSERVER_GAP;
	}
	observer->started = true;
	observer->last = sample;
	if (first) {
		(void)start_round(observer, sample);
		observer->value = snapped(observer, sample, sample);
		return OBSERVER_SEND;
	}
	observer->low = fmin(observer->low, sample);
	observer->high = fmax(observer->high, sample);
	if (fabs(sample - observer->value) <= observer->delta)
		return OBSERVER_SILENT;
	return answer_violation(observer, sample);
}

enum observer_answer observer_set_delta(struct observer *observer, double delta)
{
	assert(isfinite(delta) && delta >= 0);
	observer->delta = delta;
	if (!observer->held)
		return OBSERVER_SILENT;
	if (fabs(observer->last - observer->value) <= delta) {
		observer->low = observer->high =
			observer->last; /* what is held stays good: a new round */
		return OBSERVER_SILENT;
	}
	return answer_violation(observer, observer->last);
}

enum observer_answer observer_restart(struct observer *observer)
{
	observer->started = true;
	if (!observer->held)
		return OBSERVER_GAP;
	(void)start_round(observer, observer->last);
	observer->value = snapped(observer, observer->last, observer->last);
	return OBSERVER_SEND;
}

double observer_value(const struct observer *observer)
{
	assert(observer->held);
	return observer->value;
}

bool observer_held(const struct observer *observer)
{
	return observer->held;
}
