#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether what a VM's kernel shows accounts for what the hypervisor counts: a guest can forge its
 * table of processes, but not the CPU time, the bytes of the taps and of the disks that are counted
 * outside of it. A look and the node's intervals are not the same seconds. So an account is opened
 * with a look, beside the interval that ended before it, and settled when the interval in which the
 * look lay has been observed: it disagrees when it does so with both. What it says is possible, no
 * proof; account.c tells what else makes the two differ. On the loop's thread.
 */
#include <jansson.h>

struct alarm;
struct controller;
struct report;
struct vm;

/* {"account": [{"metric", "hypervisor", "within", "guest", "unit", "agrees": null, "text"}...],
 * "account_due": T}: to be merged into the alarm's entry of the look. `hypervisor` is known to
 * +-`within`, `guest` is what processes or connections together do, both in `unit`: "% of a CPU",
 * "bytes per second"; unknown is null. T is in microseconds of the node's watermark. Returns owned;
 * NULL when the report has no whole table `top`, or memory is out. */
json_t *account_open(const struct report *report, const struct vm *vm);

/* Whether the two agree, once the watermark has passed "account_due", which is then gone: `agrees`
 * true or false, null where it cannot be told (a gap, a silence in between, a VM that moved or
 * went: NULL). Returns the patterns that follow, [{"name", "text"}...], perhaps none, owned; NULL:
 * not due yet, or memory is out. */
json_t *account_settle(json_t *entry, const struct vm *vm);

/* Opens the account of the VM (NULL: it is not known any more) within `found`, if there is one to
 * open. */
void account_add(const struct vm *vm, const struct report *report, json_t *found);

/* Settles what is due of an alarm: its entries get the patterns, its history the sentences. To be
 * called after each frame. */
void account_follow(struct controller *controller, struct alarm *alarm);
