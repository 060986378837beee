#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/* The token that a request carries: --token-file, else ATOM_TOKEN, else ~/.config/atom/token. */
#include "base/error.h"

enum { CREDENTIALS_SIZE_MAX = 1024 };

/* `file` is what --token-file says, or NULL. Returns an owned token, without the white space around
 * it; NULL (and 0) where there is none. A file that was asked for must be there; -EINVAL where one
 * holds no token of printable ASCII. */
int credentials_find(const char *file, char **ret_token, struct error *err);
