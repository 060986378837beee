#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The small certificate authority behind `atom enroll`: one self-signed CA, one certificate per
 * program (ECDSA P-256, X.509 v3). A node's certificate has its name as common name and may only
 * act as a TLS client; a controller's may only act as a server and carries the names and addresses
 * it is reached by. Keys are written with mode 0600, all files atomically; nothing that exists is
 * ever overwritten (-EEXIST, saying what to do).
 */
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { PKI_NAME_MAX = 63 };

/* Makes DIR/ca.crt and DIR/ca.key (DIR is made when it is not there), valid ten years. */
int pki_create_authority(const char *directory, struct error *err);

/* Node names: 1 to PKI_NAME_MAX of [A-Za-z0-9._-], not beginning with '.' or '-'. */
int pki_check_name(const char *name, struct error *err);

/* Writes OUT/NAME.crt and OUT/NAME.key, signed by the authority in `directory`, valid two years. */
int pki_issue_node(const char *directory, const char *name, const char *out_directory,
		   struct error *err);

/* Writes OUT/controller.crt and OUT/controller.key. `names`: the DNS names and IP addresses (v4,
 * v6) of it. */
int pki_issue_controller(const char *directory, const char *const *names, size_t count,
			 const char *out_directory, struct error *err);

/* Whether the three files are there, fit together, and are in date; says which is not, and why.
 * Also returns the certificate's common name and its expiry (seconds since 1970) where asked (NULL
 * allowed). */
int pki_check_files(const char *ca_file, const char *certificate_file, const char *key_file,
		    char ret_name[PKI_NAME_MAX + 1], int64_t *ret_expires, struct error *err);
