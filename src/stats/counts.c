/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/counts.h"

#include <math.h>

void counts_add(struct counts *counts, bool verdict, bool truth)
{
	counts->true_positive += verdict && truth;
	counts->false_positive += verdict && !truth;
	counts->false_negative += !verdict && truth;
	counts->true_negative += !verdict && !truth;
}

static double share(size_t part, size_t rest)
{
	return part + rest > 0 ? (double)part / (double)(part + rest) : NAN;
}

double counts_precision(const struct counts *counts)
{
	return share(counts->true_positive, counts->false_positive);
}

double counts_recall(const struct counts *counts)
{
	return share(counts->true_positive, counts->false_negative);
}

double counts_f1(const struct counts *counts)
{
	return share(2 * counts->true_positive, counts->false_positive + counts->false_negative);
}

double counts_false_alarm_rate(const struct counts *counts)
{
	return share(counts->false_positive, counts->true_negative);
}
