#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verdicts beside the truth: how many of each kind, and the shares that are made of them. A share
 * of nothing is NaN. Pure; any thread.
 */
#include <stdbool.h>
#include <stddef.h>

struct counts {
	size_t true_positive, false_positive, false_negative, true_negative;
};

void counts_add(struct counts *counts, bool verdict, bool truth);
double counts_precision(const struct counts *counts); /* of the positive verdicts, the true ones */
double counts_recall(const struct counts *counts);    /* of what is positive, what was called so */
double counts_f1(const struct counts *counts);        /* the harmonic mean of the two */
double
counts_false_alarm_rate(const struct counts *counts); /* of what is negative, called not so */
