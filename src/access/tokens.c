/* SPDX-License-Identifier: Apache-2.0 */
#include "access/tokens.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/utf8.h"
#include "digest/digest.h"

#define AT(member) offsetof(struct token, member)
#define ROLES "none|viewer|operator|admin" /* in the order of enum access_role */

enum { RANDOM_SIZE = 32 };

static const char token_prefix[] = "atom_";
static const char *const role_names[] = {[ACCESS_NONE] = "none",
					 [ACCESS_VIEWER] = "viewer",
					 [ACCESS_OPERATOR] = "operator",
					 [ACCESS_ADMIN] = "admin"};

static const struct config_key token_keys[] = {
	{"name", CONFIG_STRING, AT(name), NULL,
	 .help = "Who it is: stands in the audit log beside what was done with it."},
	{"role", CONFIG_CHOICE, AT(role), "viewer", .choices = ROLES,
	 .help = "viewer: reads; operator: also gives verdicts and acts; admin: also reads the "
		 "audit log."},
	{"project", CONFIG_STRING, AT(project), "",
	 .help = "The cloud's project whose VMs it is for; empty: all."},
	{"sha256", CONFIG_STRING, AT(sha256), NULL,
	 .help = "SHA-256 of the token in lower-case hex."},
};

static const struct config_table token_table = {"tokens", sizeof(struct token), token_keys,
						sizeof(token_keys) / sizeof(token_keys[0])};

static const struct config_key keys[] = {
	{"tokens", CONFIG_RECORDS, offsetof(struct tokens, list), "", .record = &token_table,
	 .help = "Who may use the API. Made by atom token."},
};

const struct config_table tokens_table = {"tokens.yaml", sizeof(struct tokens), keys,
					  sizeof(keys) / sizeof(keys[0])};

const char *access_role_name(enum access_role role)
{
	return role_names[role];
}

int access_role_parse(const char *name, enum access_role *ret_role)
{
	for (size_t i = 0; i < sizeof(role_names) / sizeof(role_names[0]); i++) {
		if (strcmp(role_names[i], name) != 0)
			continue;
		*ret_role = (enum access_role)i;
		return 0;
	}
	return -EINVAL;
}

/* Checks */

static int check_name(const char *name, struct error *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._@-";
	size_t length = strlen(name);

	if (length >= 1 && length <= TOKENS_NAME_MAX && strspn(name, allowed) == length &&
	    *name != '-')
		return 0;
	return error_set(err, -EINVAL,
			 "token '%.80s': a name has 1 to %d letters, digits and . _ @ -", name,
			 TOKENS_NAME_MAX);
}

static int check_project(const char *project, struct error *err)
{
	size_t length;

	for (const char *c = project; *c; c += length) {
		length = utf8_printable_length(c);
		if (length == 0)
			return error_set(err, -EINVAL, "project: may not hold control characters");
	}
	if (strlen(project) > TOKENS_PROJECT_MAX)
		return error_set(err, -EINVAL, "project: longer than %d bytes", TOKENS_PROJECT_MAX);
	return 0;
}

static int check_digest(const char *text, struct error *err)
{
	if (strlen(text) == DIGEST_TEXT_SIZE - 1 &&
	    strspn(text, "0123456789abcdef") == DIGEST_TEXT_SIZE - 1)
		return 0;
	return error_set(err, -EINVAL, "sha256: must be %d lower-case hexadecimal digits",
			 DIGEST_TEXT_SIZE - 1);
}

static struct token *token_at(const struct tokens *tokens, size_t position)
{
	return (struct token *)tokens->list.items + position;
}

/* A token by itself, and against those before it. */
static int check_token(const struct tokens *tokens, size_t position, struct error *err)
{
	const struct token *token = token_at(tokens, position);
	int r = check_name(token->name, err);

	if (r < 0)
		return r;
	r = check_project(token->project, err);
	if (r == 0)
		r = check_digest(token->sha256, err);
	for (size_t i = 0; r == 0 && i < position; i++) {
		if (strcmp(token_at(tokens, i)->name, token->name) == 0)
			r = error_set(err, -EINVAL, "the name is there twice");
		else if (strcmp(token_at(tokens, i)->sha256, token->sha256) == 0)
			r = error_set(err, -EINVAL, "has the same token as '%s'",
				      token_at(tokens, i)->name);
	}
	return r < 0 ? error_prefix(err, r, "token '%s'", token->name) : 0;
}

static int check_mode(const char *path, struct error *err)
{
	struct stat info;

	if (stat(path, &info) < 0)
		return error_set_errno(err, -errno, "%s", path);
	if (info.st_mode & (S_IWGRP | S_IWOTH))
		return error_set(err, -EPERM,
				 "%s: others than its owner may write it: chmod go-w %s", path,
				 path);
	return 0;
}

int tokens_load(const char *path, struct tokens *ret_tokens, struct error *err)
{
	struct tokens tokens;
	int r = check_mode(path, err);

	if (r == 0)
		r = config_load(&tokens_table, path, &tokens, err);
	if (r < 0)
		return r;
	if (tokens.list.count > TOKENS_MAX)
		r = error_set(err, -E2BIG, "more than %d tokens", TOKENS_MAX);
	for (size_t i = 0; r == 0 && i < tokens.list.count; i++)
		r = check_token(&tokens, i, err);
	if (r < 0) {
		tokens_deinit(&tokens);
		return error_prefix(err, r, "%s", path);
	}
	*ret_tokens = tokens;
	return 0;
}

void tokens_deinit(struct tokens *tokens)
{
	config_deinit(&tokens_table, tokens);
}

/* Without a way out at the first difference, so that time tells nothing. */
static bool is_same(const char *a, const char *b)
{
	unsigned char difference = 0;

	for (size_t i = 0; i < DIGEST_TEXT_SIZE - 1; i++)
		difference |= (unsigned char)(a[i] ^ b[i]);
	return difference == 0;
}

const struct token *tokens_find(const struct tokens *tokens, const char *token)
{
	const struct token *found = NULL;
	size_t size = strnlen(token, TOKENS_TEXT_MAX + 1);
	char hex[DIGEST_TEXT_SIZE];

	if (size > TOKENS_TEXT_MAX || digest_text(token, size, hex) < 0)
		return NULL;
	for (size_t i = 0; i < tokens->list.count; i++)
		if (is_same(token_at(tokens, i)->sha256, hex))
			found = token_at(tokens, i);
	return found;
}

/* Changes */

int tokens_make(char ret_token[TOKENS_TEXT_SIZE], struct error *err)
{
	unsigned char bytes[RANDOM_SIZE];
	char *out = stpcpy(ret_token, token_prefix);
	ssize_t size;

	do
		size = getrandom(bytes, sizeof(bytes), 0);
	while (size < 0 && errno == EINTR);
	if (size != sizeof(bytes))
		return error_set_errno(err, size < 0 ? -errno : -EIO, "no random bytes");
	for (size_t i = 0; i < sizeof(bytes); i++)
		out += sprintf(out, "%02x", bytes[i]);
	explicit_bzero(bytes, sizeof(bytes));
	return 0;
}

int tokens_add(struct tokens *tokens, const char *name, enum access_role role, const char *project,
	       const char *token, struct error *err)
{
	size_t count = tokens->list.count;
	char hex[DIGEST_TEXT_SIZE];
	void *items;
	struct token *added;
	int r = check_name(name, err);

	if (r == 0)
		r = check_project(project, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++)
		if (strcmp(token_at(tokens, i)->name, name) == 0)
			return error_set(err, -EEXIST, "there is a token '%s' already", name);
	if (count == TOKENS_MAX)
		return error_set(err, -E2BIG, "there are %d tokens: no more fit", TOKENS_MAX);
	r = digest_text(token, strlen(token), hex);
	if (r < 0)
		return error_set_errno(err, r, "SHA-256");
	items = reallocarray(tokens->list.items, count + 1, sizeof(struct token));
	if (!items)
		return error_set(err, -ENOMEM, "out of memory");
	tokens->list.items = items;
	tokens->list.count++;
	added = token_at(tokens, count);
	*added = (struct token){strdup(name), (int)role, strdup(project), strdup(hex)};
	if (added->name && added->project && added->sha256)
		return 0;
	config_deinit(&token_table, added);
	tokens->list.count--;
	return error_set(err, -ENOMEM, "out of memory");
}

int tokens_remove(struct tokens *tokens, const char *name, struct error *err)
{
	for (size_t i = 0; i < tokens->list.count; i++) {
		struct token *token = token_at(tokens, i);

		if (strcmp(token->name, name) != 0)
			continue;
		config_deinit(&token_table, token);
		memmove(token, token + 1, (--tokens->list.count - i) * sizeof(*token));
		return 0;
	}
	return error_set(err, -ENOENT, "there is no token '%.80s'", name);
}

/* The folder is what is locked: the file itself is another one after each change. */
int tokens_lock(const char *path, struct error *err)
{
	cleanup(free) char *copy = strdup(path);
	const char *folder;
	int fd;

	if (!copy)
		return error_set(err, -ENOMEM, "out of memory");
	folder = dirname(copy);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_set_errno(err, -errno, "%s", folder);
	if (flock(fd, LOCK_EX) < 0) {
		int code = -errno;

		(void)close(fd);
		return error_set_errno(err, code, "%s: lock", folder);
	}
	return fd;
}

/* As YAML between double quotes; what the checks let through needs no more. */
static void write_text(const char *text, FILE *stream)
{
	(void)fputc('"', stream);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			(void)fputc('\\', stream);
		(void)fputc(*text, stream);
	}
	(void)fputs("\"\n", stream);
}

static void write_tokens(const struct tokens *tokens, FILE *stream)
{
	(void)fputs("# Who may use the API of atomd. Written by atom token; comments are lost when "
		    "it writes again.\n",
		    stream);
	(void)fputs(tokens->list.count > 0 ? "tokens:\n" : "tokens: []\n", stream);
	for (size_t i = 0; i < tokens->list.count; i++) {
		const struct token *token = token_at(tokens, i);

		(void)fputs("  - name: ", stream);
		write_text(token->name, stream);
		(void)fprintf(stream, "    role: %s\n    project: ",
			      access_role_name((enum access_role)token->role));
		write_text(token->project, stream);
		(void)fprintf(stream, "    sha256: %s\n", token->sha256);
	}
}

/* What the file was like. Where atomd runs as another user, its right to read stays. */
static int take_over_mode(int fd, const char *path, struct error *err)
{
	struct stat old;

	if (stat(path, &old) < 0)
		return errno == ENOENT ? 0 : error_set_errno(err, -errno, "%s", path);
	if (fchown(fd, old.st_uid, old.st_gid) < 0 || fchmod(fd, old.st_mode & 07777) < 0)
		return error_set_errno(err, -errno, "%s: keep its owner and mode", path);
	return 0;
}

static int fill(int fd, const struct tokens *tokens, const char *path, struct error *err)
{
	FILE *stream = fdopen(fd, "w");
	int r;

	if (!stream) {
		r = -errno;
		(void)close(fd);
		return error_set_errno(err, r, "%s", path);
	}
	r = take_over_mode(fd, path, err);
	write_tokens(tokens, stream);
	errno = EIO;
	if (r == 0 && (fflush(stream) != 0 || ferror(stream) || fsync(fd) < 0))
		r = error_set_errno(err, -errno, "%s", path);
	(void)fclose(stream); /* it is on disk, or an error already */
	return r;
}

int tokens_save(const struct tokens *tokens, const char *path, struct error *err)
{
	char target[PATH_MAX], temporary[PATH_MAX];
	int fd, r;

	if (!realpath(path, target)) /* through a link, not over it; there may be none yet */
		(void)snprintf(target, sizeof(target), "%s", path);
	if (snprintf(temporary, sizeof(temporary), "%s.new", target) >= PATH_MAX)
		return error_set(err, -ENAMETOOLONG, "%.100s...: the path is too long", path);
	(void)unlink(temporary); /* of one that was killed; the lock keeps others away */
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_set_errno(err, -errno, "%s", temporary);
	r = fill(fd, tokens, target, err);
	if (r == 0 && rename(temporary, target) < 0)
		r = error_set_errno(err, -errno, "%s", target);
	if (r < 0)
		(void)unlink(temporary);
	return r;
}
