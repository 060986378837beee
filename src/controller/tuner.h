#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which maximum tracking error each series shall have: fixed by the configuration, a share of the
 * series' mean, or from mu by the model of its group (paper IV-C4, detect/budget.h). A group looks
 * every few rows; what is planned and what a node has in force are two things, and the difference
 * goes to the node until a frame or an epoch of it says that they are one. On the loop's thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "detect/budget.h"
#include "detect/delta_plan.h"
#include "metric/metric.h"

struct group;
struct history;
struct node;
struct series;
struct settings;
struct wire_frame;

enum delta_source { DELTA_FIXED, DELTA_OF_MEAN, DELTA_OF_MU };

/* Of one metric, for all VMs. */
struct delta_rule {
	enum delta_source source;
	double fixed;               /* DELTA_FIXED; what a series has first, else */
	double share;               /* DELTA_OF_MEAN */
	struct delta_limits limits; /* not of fixed ones */
};

struct tuner {
	struct delta_rule rules[METRIC_COUNT];
	struct budget_options budget; /* mu 0: off */
	size_t period_rows, window_rows;
};

/* Of one group. */
struct tuning {
	struct delta_plan plan;
	struct budget budget; /* the newest; all 0: mu is off, or there is no model */
	double power_loss;    /* of the Deltas in force, as a share; NAN: no model */
	double *std;          /* workspace: columns */
};

void tuner_init(struct tuner *tuner, const struct settings *settings);
void tuning_init(const struct tuner *tuner, struct tuning *tuning);

/* The group's newest row has its verdict. */
void tuner_row(const struct tuner *tuner, struct group *group);

/* A series is there with this Delta in force, in an epoch or out of the store. */
void tuner_adopt(const struct tuner *tuner, struct series *series, enum metric metric,
		 double delta);

/* Sends the node what differs of its series from the plan, unless an answer is awaited. */
void tuner_send(struct node *node);

/* A frame's Deltas: first the grids that its payload is in (-EPROTO: a series that there is not),
 * then, with the payload taken, what is in force. */
int tuner_set_grids(struct node *node, const struct wire_frame *frame, struct error *err);
void tuner_set_in_force(struct history *history, struct node *node, const struct wire_frame *frame);

/* "fixed", "mean", "mu". */
const char *delta_source_name(enum delta_source source);
