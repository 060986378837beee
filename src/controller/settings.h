#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of atomd: one struct, filled by one table of keys (settings.c). */
#include <stdint.h>

#include "config/config.h"
#include "controller/tuner.h"
#include "detect/monitor.h"
#include "notify/settings.h"
#include "wire/wire.h"

/* One entry of `groups`: which VMs belong together. Empty: any. */
struct group_settings {
	char *name, *node, *project, *vm;
};

/* What who bears no token may do; as the choices of the key. */
enum anonymous {
	ANONYMOUS_AUTO,
	ANONYMOUS_NONE, /* from here on as enum access_role */
	ANONYMOUS_VIEWER,
	ANONYMOUS_OPERATOR,
	ANONYMOUS_ADMIN
};

struct settings {
	char *bus_address;
	int64_t bus_port;
	char *tls_ca, *tls_certificate, *tls_key;
	char *http_address;
	int64_t http_port;
	char *http_certificate, *http_key;
	char *tokens_path;
	int anonymous;      /* enum anonymous */
	char *external_url; /* "": not known */
	char *store_path;
	int64_t retention_usec;
	int64_t interval_usec;
	struct config_strings metrics;
	struct config_numbers deltas, deltas_of_mean, delta_floors, delta_caps;
	double mu, power_loss_max; /* 0: off */
	int budget;                /* enum budget_method */
	int64_t tune_rows;
	int64_t window_rows, min_rows, onset_rows, clear_rows, unlock_rows;
	double alpha, cpv, b1, b2;
	int preset; /* enum monitor_preset */
	struct config_records groups;
	int64_t reopen_usec;
	struct config_records respond; /* of struct respond_rule */
	struct config_records notify;  /* of struct notify_settings */
	bool introspect;
	char *playbooks_path;
	int64_t sample_usec;
	int log_level;
};

extern const struct config_table settings_table;

/* What the nodes are told, and what the monitors get. -EINVAL where the keys do not go together. */
int settings_observation(const struct settings *settings, struct wire_settings *ret_observation,
			 struct error *err);
/* How each metric's maximum error comes about. */
void settings_delta_rules(const struct settings *settings, struct delta_rule *ret_rules);
void settings_monitor(const struct settings *settings, struct monitor_options *ret_options);
