#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/* One entry of the list `notify` of atomd.yaml: a receiver, what it is told, and how often. */
#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"

enum { SETTINGS_NOTIFY_MAX = 64 };

struct notify_settings {
	char *name;
	int kind; /* enum notify_kind */
	char *url, *token_file, *ca_file;
	char *from;
	struct config_strings to, command;
	struct config_strings groups, events; /* none: any */
	char *project;                        /* a shell pattern; "": any */
	int64_t min_level, per_hour;
	int64_t timeout_usec, resend_usec, retry_for_usec;
};

/* Checks each entry too: which key goes with which kind, and what addresses look like. */
extern const struct config_table settings_notify_table;

/* The list as a whole. -EINVAL: a name is there twice; -E2BIG. */
int settings_notify_check(const struct config_records *list, struct error *err);
/* Whether it begins with http:// or https:// and a host, and has no spaces. */
bool settings_is_url(const char *text);
