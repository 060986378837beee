#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration of atom-node: one struct, filled by one table of keys (settings.c). How to
 * observe (interval, metrics, Delta) is not here: the controller says it.
 */
#include <stdint.h>

#include "config/config.h"

struct settings {
	char *name; /* "": the host's name */
	char *controller_host;
	int64_t controller_port;
	char *tls_ca, *tls_certificate, *tls_key;
	char *hypervisor_uri;
	double hypervisor_speed;
	int hypervisor_start;  /* position in SETTINGS_STARTS */
	int64_t deadline_usec; /* 0: half the interval, at most one second */
	char *policy_file;     /* "": the defaults */
	char *introspect_program;
	char *action_journal, *action_evidence, *action_nft;
	int log_level; /* position in "error|warning|info|debug" */
};

#define SETTINGS_STARTS "recorded|now"

extern const struct config_table settings_table;
