#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `atom up` needs on disk: a folder with keys, an administrator's token of the API and the two
 * configuration files, made once and then used as they are.
 */
#include <limits.h>

#include "base/error.h"
#include "terminal/options.h"

/* NULL: the default. */
struct up_choices {
	const char *directory, *hypervisor, *interval, *window, *http_port, *bus_port;
	struct option_list settings; /* "atomd.KEY=VALUE", "node.KEY=VALUE" */
};

struct up_files {
	char directory[PATH_MAX], atomd_config[PATH_MAX], node_config[PATH_MAX];
	char token[PATH_MAX]; /* file of the token (0600); not there where --set names others */
};

int up_files_prepare(const struct up_choices *choices, struct up_files *ret_files,
		     struct error *err);
