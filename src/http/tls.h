#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the server: what TLS needs beside lws, which does not say which file is bad. */
#include "base/error.h"

/* Whether the two files can be read and belong together; -EINVAL names the one that is bad. */
int http_tls_check(const char *certificate_file, const char *key_file, struct error *err);

/* TLS 1.2 and nothing older, for an SSL_CTX. Returns 0, or -1 for a callback to pass on. */
int http_tls_restrict(void *ssl_context);
