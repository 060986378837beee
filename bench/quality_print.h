#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/* The figures of the entities of one set, as a table for people and as JSON. What is measured is
 * one list in quality_print.c: title, key, over which kinds of sets, and how entities are put
 * together. */
#include <jansson.h>

#include "quality_run.h"

struct report {
	const struct set_info *set;
	const struct preset *preset;
	char *const *names;
	const struct result *results; /* count of them; those not done are left out */
	size_t count;
};

void report_print(const struct report *report);
/* Returns owned. */
json_t *report_json(const struct report *report);
