#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Playbooks (paper V, VI-B): which abnormal metrics, going which way, ask for which look inside a
 * VM. A table, read from YAML, with good ones built in. Plain data; any thread.
 */
#include <stddef.h>

#include "config/config.h"
#include "metric/metric.h"

enum { PLAYBOOK_VIEWS_MAX = 16, PLAYBOOK_VIEW_SIZE = 16 };

enum playbook_direction { PLAYBOOK_ANY, PLAYBOOK_UP, PLAYBOOK_DOWN };

/* One entry of the file's list `playbooks`. */
struct playbook {
	char *name;                    /* "network" */
	struct config_strings metrics; /* names; empty: any */
	int direction;                 /* enum playbook_direction */
	struct config_strings views;   /* of atom-vmi */
	char *reason;                  /* one sentence for people: why these views */
};

struct playbooks {
	struct config_records list; /* of struct playbook */
};

extern const struct config_table playbooks_table;

/* `path` "": the built-in ones. A file's list takes their place. Errors name the file and the line
 * where the key is unknown, missing, repeated or no metric; the file and the playbook where views
 * are none, too many or no words, or where a name is taken; an empty list is one too. */
int playbooks_load(const char *path, struct playbooks *ret_playbooks, struct error *err);
void playbooks_deinit(struct playbooks *playbooks);

struct playbook_metric {
	enum metric metric;
	double change; /* > 0: up; < 0: down; 0, NaN: fits "any" only */
};

/* The views of all playbooks that fit one of a VM's abnormal metrics, each once, in the playbooks'
 * order, cut at PLAYBOOK_VIEWS_MAX; and the names of those playbooks, "network, any", into `names`,
 * cut after a whole one. Returns how many views; 0 when none fits, as when `count` is 0. */
size_t playbooks_choose(const struct playbooks *playbooks, const struct playbook_metric *metrics,
			size_t count, char views[PLAYBOOK_VIEWS_MAX][PLAYBOOK_VIEW_SIZE],
			char *names, size_t names_size);
