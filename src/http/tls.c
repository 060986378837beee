/* SPDX-License-Identifier: Apache-2.0 */
#include "http/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>

#include "base/cleanup.h"

DEFINE_CLEANUP(SSL_CTX *, SSL_CTX_free)

static int complain(struct error *err, const char *what, const char *file)
{
	unsigned long code = ERR_get_error();
	const char *reason = ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code))
						    : ERR_reason_error_string(code);

	ERR_clear_error();
	return error_set(err, -EINVAL, "%s %s cannot be used: %s", what, file,
			 reason ? reason : "unknown reason");
}

/* A key with a password would ask at the terminal. */
static int no_password(char *buffer, int size, int writing, void *userdata)
{
	return -1;
}

int http_tls_check(const char *certificate_file, const char *key_file, struct error *err)
{
	cleanup(SSL_CTX_free) SSL_CTX *context = SSL_CTX_new(TLS_server_method());

	if (!context)
		return error_set(err, -ENOMEM, "out of memory");
	ERR_clear_error();
	SSL_CTX_set_default_passwd_cb(context, no_password);
	if (SSL_CTX_use_certificate_chain_file(context, certificate_file) != 1)
		return complain(err, "the certificate", certificate_file);
	if (SSL_CTX_use_PrivateKey_file(context, key_file, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(context) != 1)
		return complain(err, "the key", key_file);
	return 0;
}

int http_tls_restrict(void *ssl_context)
{
	return SSL_CTX_set_min_proto_version(ssl_context, TLS1_2_VERSION) ? 0 : -1;
}
