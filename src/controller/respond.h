#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules that a person wrote for what is done without asking (paper V): when a look that a playbook
 * asked for names a suspect above a score, an action is announced, and ordered when nobody has
 * vetoed it in its grace time. None by default. At most so many an hour, counted in the store, so
 * across restarts; never twice for the same alarm and process. On the loop's thread.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"

struct alarm;
struct controller;
struct vm;

struct respond_rule {
	char *name, *playbook, *group, *vm, *project;
	int action; /* enum respond_action */
	double min_score;
	int64_t per_hour, grace_usec, rate, expiry_usec;
	bool evidence;
};

/* As the choices of the key. */
enum respond_action { RESPOND_END_PROCESS, RESPOND_CONTAIN, RESPOND_PAUSE };

extern const struct config_table respond_table;

/* A VM of the alarm was looked into by these playbooks ("network, any"); `found` is what
 * suspects_find() made of it. */
void respond_consider(struct controller *controller, const struct alarm *alarm, struct vm *vm,
		      const char *playbooks, const json_t *found);
