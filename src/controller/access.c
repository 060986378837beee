/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/access.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "controller/api_scope.h"
#include "controller/controller.h"

#define REREAD_USEC (60 * USEC_PER_SEC)

/* Loopback is as open as it was before there were tokens; to look, that is. */
static enum access_role anonymous_role(const struct settings *settings)
{
	bool loopback = strncmp(settings->http_address, "127.", 4) == 0 ||
			strcmp(settings->http_address, "::1") == 0;

	if (settings->anonymous == ANONYMOUS_AUTO)
		return loopback ? ACCESS_VIEWER : ACCESS_NONE;
	return (enum access_role)(settings->anonymous - ANONYMOUS_NONE);
}

/* 0: there is no file. */
static int64_t file_version(const char *path)
{
	struct stat info;

	if (stat(path, &info) < 0)
		return 0;
	return (int64_t)info.st_mtim.tv_sec * USEC_PER_SEC + info.st_mtim.tv_nsec / 1000 +
	       (int64_t)info.st_ino;
}

static int load(struct access *access, struct tokens *ret_tokens, struct error *err)
{
	int r = tokens_load(access->path, ret_tokens, err);

	if (r != -ENOENT)
		return r;
	*ret_tokens = (struct tokens){0};
	return 0;
}

int access_init(struct access *access, const struct settings *settings, struct error *err)
{
	*access = (struct access){.path = settings->tokens_path,
				  .anonymous = anonymous_role(settings),
				  .file_version = file_version(settings->tokens_path)};
	return load(access, &access->tokens, err);
}

void access_deinit(struct access *access)
{
	tokens_deinit(&access->tokens);
	tokens_deinit(&access->older);
}

void access_follow(struct access *access)
{
	int64_t version = file_version(access->path), now = clock_mono_usec();
	struct error err = ERROR_INIT;
	struct tokens tokens;

	if (version == access->file_version ||
	    (access->read_usec && now - access->read_usec < REREAD_USEC))
		return;
	access->file_version = version;
	if (load(access, &tokens, &err) < 0) {
		log_error("%s; the tokens of before hold", err.text);
		return;
	}
	access->read_usec = now;
	tokens_deinit(&access->older);
	access->older = access->tokens;
	access->tokens = tokens;
	log_info("%s is read anew: %zu tokens", access->path, tokens.list.count);
}

int access_authorize(void *userdata, struct http_request *request, unsigned right,
		     struct error *err)
{
	const struct access *access = &((struct controller *)userdata)->access;
	const char *bearer = http_request_bearer(request);
	const struct token *token = *bearer ? tokens_find(&access->tokens, bearer) : NULL;
	enum access_role role = token ? (enum access_role)token->role : access->anonymous;

	if (right == ACCESS_NONE)
		return 0;
	if (*bearer && !token)
		return error_set(err, -EACCES, "this token is not known");
	http_request_set_identity(request, token);
	if (role >= right)
		return 0;
	return error_set(err, token ? -EPERM : -EACCES, "this needs the role %s%s%s; %s",
			 access_role_name((enum access_role)right),
			 token ? ", and this token's is " : "", token ? access_role_name(role) : "",
			 token ? "atom token makes another"
			       : "send a token: Authorization: Bearer");
}

const char *access_who(const struct http_request *request, char text[ACCESS_WHO_SIZE])
{
	const struct token *token = http_request_identity(request);

	if (token)
		(void)snprintf(text, ACCESS_WHO_SIZE, "%s %s",
			       access_role_name((enum access_role)token->role), token->name);
	else
		(void)snprintf(text, ACCESS_WHO_SIZE, "anonymous");
	return text;
}

const char *access_project(const struct http_request *request)
{
	const struct token *token = http_request_identity(request);

	return token ? token->project : "";
}

bool access_sees(const struct http_request *request, const struct vm *vm)
{
	const char *project = access_project(request);

	return !*project || strcmp(project, vm->project) == 0;
}

int access_find_vm(const struct http_request *request, const struct fleet *fleet,
		   const char *wanted, struct vm **ret_vm, struct error *err)
{
	return fleet_find_vm_of(fleet, access_project(request), wanted, ret_vm, err);
}

struct alarm *access_find_alarm(const struct http_request *request, const struct groups *groups,
				int64_t id)
{
	struct alarm *alarm = groups_find_alarm(groups, id);

	return alarm && scope_is_visible(alarm->evidence, access_project(request)) ? alarm : NULL;
}

int access_check_all(const struct http_request *request, struct error *err)
{
	const char *project = access_project(request);

	return *project ? error_set(err, -EPERM,
				    "this token is for project '%.100s' alone, and the answer "
				    "would show others",
				    project)
			: 0;
}
