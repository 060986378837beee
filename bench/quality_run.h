#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One entity of a data set through the monitor, row by row in one pass, the rows to learn from
 * first; what is measured is of the judged rows alone. The labels are looked at afterwards only.
 * The result is plain data, so that a child process can leave it in shared memory.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "detect/monitor.h"
#include "measure.h"
#include "quality_set.h"

/* A named way to fill the monitor's options. */
struct preset {
	const char *name;
	void (*fill)(struct monitor_options *options);
};

/* In order; NULL behind the last. */
const struct preset *preset_at(size_t position);
const struct preset *preset_find(const char *name);

enum {
	RESULT_EVENTS_MAX = 256,
	/* TSB-AD takes twice the data's period by autocorrelation, which is 16 .. 600 rows on these
	 * files, another for each, and 250 where there is none. The baselines of the data sets were
	 * made at 50 (a static fit there: SMD .437, ASD .245, the figures of their README), which
	 * is also about twice the median period of SMD: a buffer of 25 rows at each side. */
	VUS_LENGTH_DEFAULT = 50,
	/* An alarm that begins so many rows after an event is still of that event. */
	EVENT_TOLERANCE_ROWS = 5,
	CULPRIT_ROWS = 60, /* after the fault began, for the identification */
};

struct result {
	bool done;
	char text[ERROR_TEXT_SIZE]; /* why not */
	size_t train_rows, rows, columns, unscored;
	double usec_per_row, days;
	struct counts plain, adjusted;
	double auc_pr, vus_pr;
	size_t alarms, false_alarms;
	size_t events, found;
	size_t delays[RESULT_EVENTS_MAX]; /* `found` of them, in rows */
	/* Identification: of `named` events whose columns are known, in `identified` an episode was
	 * open; the sums are over those. */
	size_t named, identified;
	double hit_sum, paper_hit_sum, set_f1_sum; /* paper_: by the paper's rule */
	bool service_first, paper_service_first, culprit_first, culprit_in_three; /* SET_CULPRIT */
};

struct run_settings {
	const struct preset *preset;
	size_t vus_length;
	const char *scores; /* folder for the rows' scores as CSV, or NULL */
};

/* Fills *ret_result. Errors: the monitor's, the score file's, -ENOMEM. */
int entity_measure(const struct entity *entity, const struct run_settings *settings,
		   struct result *ret_result, struct error *err);
