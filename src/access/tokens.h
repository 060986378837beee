#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may use the API: the file of tokens, /etc/atom/tokens.yaml, a list `tokens:` of {name, role,
 * project, sha256}. The file holds only the SHA-256 of a token, so that who reads it cannot use it;
 * the token itself is told once, when it is made. Read by atomd, changed by `atom token`. A token
 * is 256 random bits, so a plain hash of it cannot be guessed back. One owner, one thread.
 */
#include <stddef.h>

#include "base/error.h"
#include "config/config.h"

/* Each may do what the one before it may. NONE: a token that is kept but opens nothing. */
enum access_role { ACCESS_NONE, ACCESS_VIEWER, ACCESS_OPERATOR, ACCESS_ADMIN };

enum {
	TOKENS_MAX = 1000,
	TOKENS_NAME_MAX = 63,
	TOKENS_PROJECT_MAX = 255,
	TOKENS_TEXT_SIZE = 70,  /* of one that tokens_make() makes, with its NUL */
	TOKENS_TEXT_MAX = 1024, /* a longer one is nobody's */
};

struct token {
	char *name;    /* of the person or program: 1 to TOKENS_NAME_MAX of [A-Za-z0-9._@-] */
	int role;      /* enum access_role */
	char *project; /* whose VMs it is for; "" all */
	char *sha256;  /* of the token, lower-case hex */
};

struct tokens {
	struct config_records list; /* of struct token */
};

/* The keys of the file, for a reference page. */
extern const struct config_table tokens_table;

/* -ENOENT where there is no file (said: a caller may take it for no tokens); -EPERM where others
 * than its owner may write it; -EINVAL with FILE:LINE and the key, or the name of the token that is
 * wrong or there twice. */
int tokens_load(const char *path, struct tokens *ret_tokens, struct error *err);
void tokens_deinit(struct tokens *tokens);

/* Whose token this is, or NULL. Takes as long for a wrong one as for a right one. Borrowed until
 * the tokens change. */
const struct token *tokens_find(const struct tokens *tokens, const char *token);

/* A new token "atom_<64 hex digits>". */
int tokens_make(char ret_token[TOKENS_TEXT_SIZE], struct error *err);

/* -EEXIST where the name is there, -EINVAL for a bad name or project, -E2BIG past TOKENS_MAX. */
int tokens_add(struct tokens *tokens, const char *name, enum access_role role, const char *project,
	       const char *token, struct error *err);
int tokens_remove(struct tokens *tokens, const char *name, struct error *err); /* -ENOENT */

/* Holds off others who change the file; before tokens_load(), until the descriptor that it returns
 * is closed. */
int tokens_lock(const char *path, struct error *err);
/* Writes the file anew, whole or not at all, with the mode and owner that it had (new: 0600). What
 * a person wrote into it as comments is lost. */
int tokens_save(const struct tokens *tokens, const char *path, struct error *err);

/* "none", "viewer", "operator", "admin". */
const char *access_role_name(enum access_role role);
int access_role_parse(const char *name, enum access_role *ret_role); /* -EINVAL */
