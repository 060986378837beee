#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this node lets a controller do with its VMs (node-policy.yaml). It is the host's own word:
 * whatever a controller orders, a node does only what this allows. Without the file, and for a VM
 * that no rule fits, looking in is allowed and every action refused. Plain data, read once.
 */
#include <stdbool.h>

#include "config/config.h"

/* One entry of `rules`: the first that fits the VM and who asks counts. Patterns are as in glob(7);
 * empty: any. */
struct policy_rule {
	char *vm, *project;
	struct config_strings controllers; /* patterns of the names in their certificates */
	struct config_strings views;       /* of atom-vmi; "all" or empty: all. "none": none */
	struct config_strings actions; /* "end-process", "contain", "pause", "snapshot"; empty or
					  "none": none */
};

struct policy {
	struct config_records rules; /* of struct policy_rule */
};

extern const struct config_table policy_table;

/* 0, or 1 where the defaults hold: `path` is "", or of a file that is not there. Any other file is
 * an error that names it, the line and the key. Release with policy_deinit(). */
int policy_load(const char *path, struct policy *ret_policy, struct error *err);
void policy_deinit(struct policy *policy);

/* Whether it is one of atom-vmi's views. Its commands are none. */
bool policy_knows_view(const char *view);

/* Who asks, and for which VM. The texts are not NULL; "" is a name that only "any" fits. */
struct policy_case {
	const char *controller, *vm, *project;
};

/* Whether the view, or the action, is allowed in that case; false for what is not known. "none" in
 * a list outweighs what else is in it. */
bool policy_allows_view(const struct policy *policy, const struct policy_case *asked,
			const char *view);
bool policy_allows_action(const struct policy *policy, const struct policy_case *asked,
			  const char *action);
