#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `atom detect`: rows of files through the monitor, and what is told of them as JSON. Rows of files
 * that are not reported only teach. Reported rows are counted from the first one on, over all
 * reported files. Owned by the command.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/csv.h"
#include "detect/monitor.h"
#include "stats/counts.h"

struct detect_file {
	struct csv *csv;
	size_t *columns; /* of the monitor -> of the file */
	long label;      /* the column of the truth, or -1 */
	bool is_reported;
};

struct detect_run {
	struct monitor *monitor;
	char **names; /* per column of the monitor; borrowed */
	size_t count; /* of columns */
	double *row;
	struct contribution *contributions;
	json_t *rows, *alarms;
	json_t *alarm; /* under way, one of `alarms`; or NULL */
	size_t reported, abnormal;
	const char *label; /* the name of its column, or NULL */
	struct counts counts;
};

/* One row of a file to the monitor. Returns what monitor_offer() does. */
int detect_run_offer(struct detect_run *run, const struct detect_file *file, size_t row,
		     struct error *err);
/* All of it. Returns owned. */
json_t *detect_run_describe(const struct detect_run *run);
