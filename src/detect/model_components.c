/* SPDX-License-Identifier: Apache-2.0 */
/* How many components are principal: the rules of model.h. */
#include "detect/model_internal.h"

#define GAP_SHARE_BELOW 0.05 /* of cpv, where candidates begin */
#define GAP_SHARE_ABOVE 0.02
#define GAP_SHARE_SLACK 0.02 /* for yesterday's k */
#define GAP_LEAST 1.2
#define GAP_CLEARLY_LARGER 1.25

static size_t rank_of(const struct spectrum *spectrum)
{
	size_t rank = 0;

	while (rank < spectrum->known &&
	       spectrum->values[rank] > MODEL_RANK_TOLERANCE * spectrum->trace)
		rank++;
	return rank;
}

/* One column, or none that varies: k = 0, and SPE is the squared length of x. */
static long by_share(const struct spectrum *spectrum, double cpv)
{
	size_t rank = rank_of(spectrum), k = 0;
	bool all = rank < spectrum->known || spectrum->known == spectrum->size;
	double sum = 0;

	while (k + 1 < rank && sum <= cpv * spectrum->trace)
		sum += spectrum->values[k++];
	return all || sum > cpv * spectrum->trace ? (long)k : MODEL_UNKNOWN_COMPONENTS;
}

struct gap {
	size_t k;
	double ratio;
};

/* The widest gap among the candidates, and that at `own` where it is one, with slack. */
static void find_gaps(const struct spectrum *spectrum, double cpv, size_t cap, struct gap *widest,
		      struct gap *own)
{
	double least = cpv - GAP_SHARE_BELOW, enough = cpv + GAP_SHARE_ABOVE, sum = 0;
	size_t rank = rank_of(spectrum);

	for (size_t k = 1; k < rank && k <= cap; k++) {
		double before = sum / spectrum->trace, share, ratio;

		sum += spectrum->values[k - 1];
		share = sum / spectrum->trace;
		ratio = spectrum->values[k - 1] / spectrum->values[k];
		if (k == own->k && share >= least - GAP_SHARE_SLACK &&
		    before < enough + GAP_SHARE_SLACK)
			own->ratio = ratio;
		if (share >= least && before < enough && ratio > widest->ratio)
			*widest = (struct gap){k, ratio};
	}
}

/* Yesterday's k while its share is near what is wanted, else the paper's. */
static long by_share_with_slack(const struct spectrum *spectrum, double cpv, size_t previous)
{
	double sum = 0;

	if (previous == 0 || previous >= rank_of(spectrum))
		return by_share(spectrum, cpv);
	for (size_t k = 0; k < previous; k++)
		sum += spectrum->values[k];
	if (sum >= (cpv - GAP_SHARE_SLACK) * spectrum->trace &&
	    sum <= (cpv + GAP_SHARE_SLACK) * spectrum->trace)
		return (long)previous;
	return by_share(spectrum, cpv);
}

long model_choose_components(const struct model_options *options, const struct spectrum *spectrum,
			     size_t cap, size_t previous)
{
	struct gap widest = {0}, own = {.k = previous};

	if (options->components == COMPONENTS_CPV)
		return by_share(spectrum, options->cpv);
	find_gaps(spectrum, options->cpv, cap, &widest, &own);
	if (own.ratio >= GAP_LEAST && widest.ratio < GAP_CLEARLY_LARGER * own.ratio)
		return (long)own.k;
	if (widest.ratio >= GAP_LEAST)
		return (long)widest.k;
	return by_share_with_slack(spectrum, options->cpv, previous);
}
