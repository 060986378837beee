#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what was seen inside a VM to a ranked list of suspect processes with plain reasons (paper V,
 * VI-B), and to patterns that are named as possible. Nothing is invented: each reason says what was
 * seen, with its figures. Pure: a report and an onset in, JSON out. The report is the guest's word.
 * Any thread.
 */
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "suspect/playbook.h"
#include "wire/report.h"

enum {
	SUSPECTS_MAX = 20,
	SUSPECT_REASONS_MAX = 12,
	SUSPECT_PARENTS_MAX = 8,
	SUSPECT_PATTERNS_MAX = 8,
	SUSPECT_PEERS_MAX = 16,
	SUSPECT_ADDRESSES_MAX = 16,
};

struct suspect_context {
	const struct playbook_metric *metrics; /* that are abnormal in this VM */
	size_t metric_count;
	int64_t onset_usec;  /* wall clock */
	int64_t sample_usec; /* between the two samples of `top`; 0: not known */
	int64_t looked_usec; /* of the look into this VM before this one, wall clock; 0: none */
};

/* {"suspects": [{"pid", "start_nsec", "command", "command_line", "uid", "parents": [{"pid",
 * "command"}...], "score": 0..1, "reasons": ["412 connections to 10.0.0.9 port 80 ...", ...]}...],
 * "patterns": [{"name": "possible flood", "text": "...", "peer", "port"}...],
 * "peers": [{"peer", "port", "direction", "connections", "opened", "share", "held",
 * "held_share"}...],
 * "addresses": ["10.0.0.4"...]}: the highest score first; processes without a reason are left out,
 * and kernel threads and process 1 without a strong one. Unknown is null; peer and port are there
 * where a pattern has them. `peers` are those with most connections, `share` is of all connections
 * of the VM (0..1), `held` are those that a process holds and `held_share` is of all such;
 * `addresses` are the VM's own, as its established connections show them. Both are for
 * suspects_across(). Loopback does not count. Texts are printable UTF-8. Returns owned, or NULL
 * when memory is out. */
json_t *suspects_find(const struct report *report, const struct suspect_context *context);

/* One plain sentence for an alarm's history: "suspect ab (pid 214, child of sh): 412 connections
 * ...". A process of which nothing more is known than that it is new, or that its file is deleted,
 * is not worth one. Without a suspect: the first pattern, "possible flood: ...". Owned; NULL when
 * there is neither. */
char *suspects_summarise(const json_t *found);

struct suspect_vm {
	const char *name;
	const json_t *found; /* of suspects_find(), or what an alarm kept of it; NULL: not known */
	const struct playbook_metric *metrics; /* that are abnormal in it */
	size_t metric_count;
};

/* What the looks into several VMs of one group tell together: sockets of one are taken by another
 * (paper VI-B, the resource-freeing attack), a flood towards one peer from several. [{"name",
 * "text", "vms": ["vm3", "vm2"]}...], at most SUSPECT_PATTERNS_MAX; in `vms` those that act come
 * first. Returns owned, or NULL when memory is out. */
json_t *suspects_across(const struct suspect_vm *vms, size_t count);
