/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/pki.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"

enum { AUTHORITY_DAYS = 3650, CERTIFICATE_DAYS = 730, SERIAL_BITS = 127, NAMES_SIZE = 4096 };

DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free)
DEFINE_CLEANUP(X509 *, X509_free)

/* What distinguishes the three kinds of certificate. */
struct kind {
	const char *basic_constraints, *key_usage, *extended_key_usage;
	int days;
};

static const struct kind authority_kind = {"critical,CA:TRUE,pathlen:0",
					   "critical,keyCertSign,cRLSign", NULL, AUTHORITY_DAYS};
static const struct kind node_kind = {"critical,CA:FALSE", "critical,digitalSignature",
				      "clientAuth", CERTIFICATE_DAYS};
static const struct kind controller_kind = {"critical,CA:FALSE", "critical,digitalSignature",
					    "serverAuth", CERTIFICATE_DAYS};

static int openssl_error(struct error *err, const char *doing)
{
	char text[256];

	ERR_error_string_n(ERR_get_error(), text, sizeof(text));
	ERR_clear_error();
	return error_set(err, -EIO, "%s: %s", doing, text);
}

/* Files */

static int join(char *path, const char *directory, const char *name, const char *suffix,
		struct error *err)
{
	int length = snprintf(path, PATH_MAX, "%s/%s%s", directory, name, suffix);

	if (length < 0 || length >= PATH_MAX)
		return error_set(err, -ENAMETOOLONG, "%.100s...: the path is too long", directory);
	return 0;
}

static int refuse_existing(const char *path, const char *what, struct error *err)
{
	struct stat info;

	if (lstat(path, &info) < 0)
		return errno == ENOENT ? 0 : error_set_errno(err, -errno, "%s", path);
	return error_set(err, -EEXIST, "%s is there already: %s", path, what);
}

static int make_directory(const char *directory, struct error *err)
{
	if (mkdir(directory, 0700) == 0 || errno == EEXIST)
		return 0;
	return error_set_errno(err, -errno, "%s", directory);
}

typedef int write_pem(FILE *stream, void *object);

static int write_key(FILE *stream, void *key)
{
	return PEM_write_PrivateKey(stream, key, NULL, NULL, 0, NULL, NULL);
}

static int write_certificate(FILE *stream, void *certificate)
{
	return PEM_write_X509(stream, certificate);
}

/* Into a new file beside it, then renamed: a file is there whole or not at all. */
static int write_file(const char *path, mode_t mode, write_pem *write, void *object,
		      struct error *err)
{
	char temporary[PATH_MAX];
	FILE *stream;
	int fd, failed;

	if (snprintf(temporary, sizeof(temporary), "%s.new", path) >= PATH_MAX)
		return error_set(err, -ENAMETOOLONG, "%.100s...: the path is too long", path);
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return error_set_errno(err, -errno, "%s", temporary);
	stream = fdopen(fd, "w");
	if (!stream) {
		(void)close(fd);
		return error_set_errno(err, -errno, "%s", temporary);
	}
	errno = EIO;
	failed = !write(stream, object) || fflush(stream) != 0 || fsync(fd) < 0;
	failed |= fclose(stream) != 0;
	if (failed || rename(temporary, path) < 0) {
		int code = -errno;

		(void)unlink(temporary);
		return error_set_errno(err, code, "%s", path);
	}
	return 0;
}

static int read_certificate(const char *path, X509 **ret_certificate, struct error *err)
{
	cleanup(fclose) FILE *stream = fopen(path, "re");

	if (!stream)
		return error_set_errno(err, -errno, "%s", path);
	*ret_certificate = PEM_read_X509(stream, NULL, NULL, NULL);
	if (!*ret_certificate) {
		ERR_clear_error();
		return error_set(err, -EINVAL, "%s: no certificate in PEM form", path);
	}
	return 0;
}

static int read_key(const char *path, EVP_PKEY **ret_key, struct error *err)
{
	cleanup(fclose) FILE *stream = fopen(path, "re");

	if (!stream)
		return error_set_errno(err, -errno, "%s", path);
	*ret_key = PEM_read_PrivateKey(stream, NULL, NULL, NULL);
	if (!*ret_key) {
		ERR_clear_error();
		return error_set(err, -EINVAL, "%s: no private key in PEM form", path);
	}
	return 0;
}

/* Certificates */

static int set_serial(X509 *certificate)
{
	BIGNUM *number = BN_new();
	int ok = number && BN_rand(number, SERIAL_BITS, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) &&
		 BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));

	BN_free(number);
	return ok;
}

static int set_name(X509 *certificate, const char *name)
{
	return X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
					  (const unsigned char *)name, -1, -1, 0);
}

static int add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;
	int ok;

	if (!value)
		return 1;
	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	if (!extension)
		return 0;
	ok = X509_add_ext(certificate, extension, -1);
	X509_EXTENSION_free(extension);
	return ok;
}

static int fill(X509 *certificate, EVP_PKEY *key, const char *name, const char *alternative_names,
		const struct kind *kind, X509 *issuer)
{
	return X509_set_version(certificate, 2) && set_serial(certificate) &&
	       X509_gmtime_adj(X509_getm_notBefore(certificate), -3600) &&
	       X509_time_adj_ex(X509_getm_notAfter(certificate), kind->days, 0, NULL) &&
	       set_name(certificate, name) &&
	       X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) &&
	       X509_set_pubkey(certificate, key) &&
	       add_extension(certificate, issuer, NID_basic_constraints, kind->basic_constraints) &&
	       add_extension(certificate, issuer, NID_key_usage, kind->key_usage) &&
	       add_extension(certificate, issuer, NID_ext_key_usage, kind->extended_key_usage) &&
	       add_extension(certificate, issuer, NID_subject_alt_name, alternative_names) &&
	       add_extension(certificate, issuer, NID_subject_key_identifier, "hash") &&
	       add_extension(certificate, issuer, NID_authority_key_identifier, "keyid");
}

/* Makes a key and a certificate for it; issuer and its key NULL: signed by itself. */
static int make_certificate(const char *name, const char *alternative_names,
			    const struct kind *kind, X509 *issuer, EVP_PKEY *issuer_key,
			    EVP_PKEY **ret_key, X509 **ret_certificate, struct error *err)
{
	cleanup(EVP_PKEY_free) EVP_PKEY *key = EVP_EC_gen("P-256");
	cleanup(X509_free) X509 *certificate = X509_new();

	if (!key || !certificate)
		return openssl_error(err, "making a key");
	if (!fill(certificate, key, name, alternative_names, kind, issuer ? issuer : certificate) ||
	    !X509_sign(certificate, issuer_key ? issuer_key : key, EVP_sha256()))
		return openssl_error(err, "making a certificate");
	*ret_key = keep(key);
	*ret_certificate = keep(certificate);
	return 0;
}

static int save_pair(const char *directory, const char *name, EVP_PKEY *key, X509 *certificate,
		     struct error *err)
{
	char path[PATH_MAX];
	int r = join(path, directory, name, ".key", err);

	if (r == 0)
		r = write_file(path, 0600, write_key, key, err);
	if (r == 0)
		r = join(path, directory, name, ".crt", err);
	return r == 0 ? write_file(path, 0644, write_certificate, certificate, err) : r;
}

static int refuse_existing_pair(const char *directory, const char *name, const char *what,
				struct error *err)
{
	char path[PATH_MAX];
	int r = join(path, directory, name, ".key", err);

	if (r == 0)
		r = refuse_existing(path, what, err);
	if (r == 0)
		r = join(path, directory, name, ".crt", err);
	return r == 0 ? refuse_existing(path, what, err) : r;
}

int pki_create_authority(const char *directory, struct error *err)
{
	cleanup(EVP_PKEY_free) EVP_PKEY *key = NULL;
	cleanup(X509_free) X509 *certificate = NULL;
	int r = make_directory(directory, err);

	if (r == 0)
		r = refuse_existing_pair(
			directory, "ca",
			"certificates made by it would no longer be trusted; remove "
			"it yourself if that is what you want",
			err);
	if (r == 0)
		r = make_certificate("ATOM authority", NULL, &authority_kind, NULL, NULL, &key,
				     &certificate, err);
	return r == 0 ? save_pair(directory, "ca", key, certificate, err) : r;
}

static int issue(const char *directory, const char *name, const char *alternative_names,
		 const struct kind *kind, const char *out_directory, struct error *err)
{
	cleanup(EVP_PKEY_free) EVP_PKEY *ca_key = NULL;
	cleanup(X509_free) X509 *ca = NULL;
	cleanup(EVP_PKEY_free) EVP_PKEY *key = NULL;
	cleanup(X509_free) X509 *certificate = NULL;
	char path[PATH_MAX];
	int r = make_directory(out_directory, err);

	if (r == 0)
		r = refuse_existing_pair(out_directory, name,
					 "remove it first, or choose another name", err);
	if (r == 0)
		r = join(path, directory, "ca", ".crt", err);
	if (r == 0)
		r = read_certificate(path, &ca, err);
	if (r == 0)
		r = join(path, directory, "ca", ".key", err);
	if (r == 0)
		r = read_key(path, &ca_key, err);
	if (r < 0)
		return error_prefix(err, r, "the authority in %s", directory);
	r = make_certificate(name, alternative_names, kind, ca, ca_key, &key, &certificate, err);
	return r == 0 ? save_pair(out_directory, name, key, certificate, err) : r;
}

/* Names */

int pki_check_name(const char *name, struct error *err)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t length = strlen(name);

	if (length == 0 || length > PKI_NAME_MAX)
		return error_set(err, -EINVAL, "a node name has 1 to %d characters", PKI_NAME_MAX);
	if (strspn(name, allowed) != length || *name == '.' || *name == '-')
		return error_set(err, -EINVAL,
				 "'%s' is no node name: letters, digits, '.', '_' and '-', not "
				 "beginning with '.' or '-'",
				 name);
	if (strcmp(name, "ca") == 0 || strcmp(name, "controller") == 0)
		return error_set(err, -EINVAL, "the name '%s' is taken by ATOM itself", name);
	return 0;
}

int pki_issue_node(const char *directory, const char *name, const char *out_directory,
		   struct error *err)
{
	int r = pki_check_name(name, err);

	return r == 0 ? issue(directory, name, NULL, &node_kind, out_directory, err) : r;
}

static bool is_address(const char *name)
{
	unsigned char address[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
}

static int check_host(const char *name, struct error *err)
{
	size_t length = strlen(name);

	if (is_address(name))
		return 0;
	/* a comma would begin another name in OpenSSL's syntax */
	if (length == 0 || length > 253 ||
	    strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-") !=
		    length)
		return error_set(err, -EINVAL, "'%.100s' is neither a DNS name nor an IP address",
				 name);
	return 0;
}

int pki_issue_controller(const char *directory, const char *const *names, size_t count,
			 const char *out_directory, struct error *err)
{
	char text[NAMES_SIZE] = "";
	size_t used = 0;

	if (count == 0)
		return error_set(err, -EINVAL, "a controller needs at least one name or address");
	for (size_t i = 0; i < count; i++) {
		int r = check_host(names[i], err);

		if (r < 0)
			return r;
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s:%s", i ? "," : "",
					 is_address(names[i]) ? "IP" : "DNS", names[i]);
		if (used >= sizeof(text))
			return error_set(err, -E2BIG, "too many names for one certificate");
	}
	return issue(directory, "controller", text, &controller_kind, out_directory, err);
}

/* Checks */

static int verify_chain(X509 *ca, X509 *certificate, const char *path, struct error *err)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *context = X509_STORE_CTX_new();
	int r = -ENOMEM;

	if (store && context && X509_STORE_add_cert(store, ca) &&
	    X509_STORE_CTX_init(context, store, certificate, NULL)) {
		int ok = X509_verify_cert(context);

		r = ok == 1 ? 0
			    : error_set(err, -EINVAL, "%s: %s; make a new one with atom enroll",
					path,
					X509_verify_cert_error_string(
						X509_STORE_CTX_get_error(context)));
	}
	X509_STORE_CTX_free(context);
	X509_STORE_free(store);
	return r;
}

static void describe(X509 *certificate, char *ret_name, int64_t *ret_expires)
{
	struct tm parts = {0};

	if (ret_name)
		(void)X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName,
						ret_name, PKI_NAME_MAX + 1);
	if (ret_expires && ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &parts))
		*ret_expires = (int64_t)timegm(&parts);
}

int pki_check_files(const char *ca_file, const char *certificate_file, const char *key_file,
		    char ret_name[PKI_NAME_MAX + 1], int64_t *ret_expires, struct error *err)
{
	cleanup(X509_free) X509 *ca = NULL;
	cleanup(X509_free) X509 *certificate = NULL;
	cleanup(EVP_PKEY_free) EVP_PKEY *key = NULL;
	int r = read_certificate(ca_file, &ca, err);

	if (r == 0)
		r = read_certificate(certificate_file, &certificate, err);
	if (r == 0)
		r = read_key(key_file, &key, err);
	if (r < 0)
		return r;
	if (X509_check_private_key(certificate, key) != 1) {
		ERR_clear_error();
		return error_set(err, -EINVAL, "%s is not the key of %s", key_file,
				 certificate_file);
	}
	r = verify_chain(ca, certificate, certificate_file, err);
	if (r == 0)
		describe(certificate, ret_name, ret_expires);
	return r;
}
