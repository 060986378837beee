#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run of a monitor over rows of a family, counted: what `far` adds up over runs. A preset is a
 * function that fills the monitor's options.
 */
#include <stddef.h>
#include <stdint.h>

#include "detect/monitor.h"
#include "far_family.h"

enum { FAR_WINDOW = 720, FAR_BATCH = 1000, FAR_STATES = ROW_EMPTY + 1 };

struct preset {
	const char *name;
	void (*fill)(struct monitor_options *options);
};

struct plan {
	struct family family;
	const struct preset *preset;
	uint64_t seed;
	size_t rows;       /* with a verdict, counted after two windows of rows */
	size_t exact_rows; /* of them, one in so many is asked for its exact probability; 0: none */
};

struct tally {
	int failed; /* negative errno: the rest means nothing */
	size_t rows, states[FAR_STATES];
	size_t longest_run; /* abnormal rows in a row, shifted ones among them */
	size_t longest_episode, episodes, unlocks;
	size_t batches; /* of FAR_BATCH rows: how unevenly alarms fall */
	double batch_sum, batch_squares;
	double components;             /* sum over rows */
	size_t exact_count, exact_off; /* off: the copy of M was not M */
	double next_sum, fresh_sum;
	double alpha;
};

void far_run(const struct plan *plan, struct tally *ret_tally);

/* Adds one run's counts to a sum. */
void tally_add(struct tally *sum, const struct tally *run);

/* Rows called abnormal: all rows here are normal. */
size_t tally_false_alarms(const struct tally *tally);
