#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One value of a configuration: from text to the member of the settings struct that its key names.
 * Used by the reader of files and by the defaults alike, so that both obey the same rules. Messages
 * lack file and line: the reader puts them before.
 */
#include "config/config.h"

/* Every default of the table. Members without one are left as they are. */
int config_value_defaults(const struct config_table *table, void *settings, struct error *err);

/* A scalar. The member holds nothing that must be freed but an earlier string. */
int config_value_set(const struct config_key *key, const char *text, void *member,
		     struct error *err);

int config_value_append(struct config_strings *strings, const struct config_key *key,
			const char *text, struct error *err);
int config_value_put(struct config_numbers *numbers, const struct config_key *key, const char *name,
		     const char *text, struct error *err);

/* Frees what the member holds and makes it empty. */
void config_value_reset(const struct config_key *key, void *member);

/* The key that `name` most looks like, or NULL when none does. */
const char *config_value_nearest(const struct config_table *table, const char *name);
