/* SPDX-License-Identifier: Apache-2.0 */
/* atom token: who may use the API. It changes the file that atomd reads. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "access/tokens.h"
#include "base/cleanup.h"
#include "ctl/command.h"
#include "terminal/options.h"
#include "terminal/table.h"

DEFINE_CLEANUP(json_t *, json_decref)
DEFINE_CLEANUP(struct table *, table_free)

enum { FINGERPRINT_SIZE = 12 };

static const char default_file[] = "/etc/atom/tokens.yaml";

static const char help[] =
	"Usage: atom token [list] [--file FILE] [--json]\n"
	"       atom token new NAME [--role viewer|operator|admin] [--project P] [--file FILE] "
	"[--json]\n"
	"       atom token remove NAME [--file FILE]\n"
	"Who may use the API of atomd. new makes a token and prints it, this once: the file keeps\n"
	"only its SHA-256. NAME is who will use it, as the audit log shall call them. A viewer "
	"reads;\n"
	"an operator also gives verdicts and acts; an admin also reads the audit log. --project: "
	"only\n"
	"the VMs of that one. FILE is /etc/atom/tokens.yaml, on the machine of atomd.\n";

static int fail(const struct error *err, int code)
{
	return terminal_fail(EXIT_FAILED, "%s", error_text(err, code));
}

/* A file that is not there yet has no tokens in it. */
static int load(const char *path, struct tokens *ret_tokens, struct error *err)
{
	int r = tokens_load(path, ret_tokens, err);

	if (r != -ENOENT)
		return r;
	*ret_tokens = (struct tokens){0};
	return 0;
}

/* list */

static json_t *describe(const struct token *token)
{
	return json_pack("{s:s, s:s, s:s, s:s%}", "name", token->name, "role",
			 access_role_name((enum access_role)token->role), "project", token->project,
			 "fingerprint", token->sha256, (size_t)FINGERPRINT_SIZE);
}

static json_t *describe_all(const struct tokens *tokens)
{
	const struct token *token = tokens->list.items;
	json_t *list = json_array();

	for (size_t i = 0; i < tokens->list.count; i++)
		(void)json_array_append_new(list, describe(&token[i]));
	return list;
}

static void print_tokens(const struct tokens *tokens)
{
	cleanup(table_free) struct table *table = table_new();
	const struct token *token = tokens->list.items;

	table_column(table, "NAME", TABLE_LEFT);
	table_column(table, "ROLE", TABLE_LEFT);
	table_column(table, "PROJECT", TABLE_LEFT);
	table_column(table, "SHA-256", TABLE_LEFT);
	for (size_t i = 0; i < tokens->list.count; i++) {
		table_cell(table, "%s", token[i].name);
		table_cell(table, "%s", access_role_name((enum access_role)token[i].role));
		table_cell(table, "%s", *token[i].project ? token[i].project : "all");
		table_cell(table, "%.*s...", FINGERPRINT_SIZE, token[i].sha256);
	}
	table_print(table, stdout);
}

static int list(const char *path, bool json)
{
	cleanup(json_decref) json_t *body = NULL;
	struct tokens tokens;
	struct error err = ERROR_INIT;
	int r = load(path, &tokens, &err);

	if (r < 0)
		return fail(&err, r);
	if (json) {
		body = json_pack("{s:o}", "tokens", describe_all(&tokens));
		(void)command_print_json(body);
	} else if (tokens.list.count == 0) {
		printf("there are no tokens in %s; atom token new makes the first\n", path);
	} else {
		print_tokens(&tokens);
	}
	tokens_deinit(&tokens);
	return EXIT_OK;
}

/* Changes */

/* What is printed to a pipe is the token alone, so that it can go into a file or another program.
 */
static int tell(const struct token *token, const char *text, const char *path, bool json)
{
	cleanup(json_decref) json_t *body = NULL;

	if (json) {
		body = describe(token);
		(void)json_object_set_new(body, "token", json_string(text));
		return command_print_json(body);
	}
	terminal_say(stderr, STYLE_PLAIN, 0,
		     "%s is in %s as %s of %s%s. The token, which is not told again:", token->name,
		     path, access_role_name((enum access_role)token->role),
		     *token->project ? "project " : "all projects", token->project);
	puts(text);
	(void)fflush(stdout);
	(void)fputs("atom takes it from --token-file FILE, ATOM_TOKEN, or ~/.config/atom/token.\n",
		    stderr);
	return EXIT_OK;
}

static int add(struct tokens *tokens, const char *name, const char *role_name, const char *project,
	       const char *path, bool json)
{
	enum access_role role = ACCESS_VIEWER;
	const struct token *added;
	char text[TOKENS_TEXT_SIZE];
	struct error err = ERROR_INIT;
	int status, r;

	if (role_name && (access_role_parse(role_name, &role) < 0 || role == ACCESS_NONE))
		return terminal_fail(EXIT_USAGE,
				     "--role must be viewer, operator or admin, not '%.40s'",
				     role_name);
	r = tokens_make(text, &err);
	if (r == 0)
		r = tokens_add(tokens, name, role, project ? project : "", text, &err);
	if (r == 0)
		r = tokens_save(tokens, path, &err);
	if (r < 0)
		return fail(&err, r);
	added = tokens_find(tokens, text);
	assert(added);
	status = tell(added, text, path, json);
	explicit_bzero(text, sizeof(text));
	return status;
}

static int take_out(struct tokens *tokens, const char *name, const char *path)
{
	struct error err = ERROR_INIT;
	int r = tokens_remove(tokens, name, &err);

	if (r == 0)
		r = tokens_save(tokens, path, &err);
	if (r < 0)
		return fail(&err, r);
	terminal_say(stdout, STYLE_PLAIN, 0, "%s is taken out of %s", name, path);
	return EXIT_OK;
}

struct token_options {
	const char *file, *role, *project;
	bool json;
};

static int change(const struct token_options *options, const char *name, bool is_new)
{
	struct tokens tokens;
	struct error err = ERROR_INIT;
	cleanup(close) int lock = tokens_lock(options->file, &err);
	int r = lock < 0 ? lock : load(options->file, &tokens, &err);
	int status;

	if (r < 0)
		return fail(&err, r);
	status = is_new ? add(&tokens, name, options->role, options->project, options->file,
			      options->json)
			: take_out(&tokens, name, options->file);
	tokens_deinit(&tokens);
	return status;
}

static bool parse(struct token_options *options, int argc, char **argv, int wanted, int *ret_status)
{
	const struct command_option table[] = {{"json", OPTION_FLAG, &options->json},
					       {"file", OPTION_VALUE, &options->file},
					       {"role", OPTION_VALUE, &options->role},
					       {"project", OPTION_VALUE, &options->project}};
	int count = options_parse(argc, argv, table, 4, help, ret_status);

	if (count < 0)
		return false;
	*ret_status = EXIT_USAGE;
	if (count != wanted)
		(void)fputs(help, stderr);
	return count == wanted;
}

static int token_list(int argc, char **argv)
{
	struct token_options options = {.file = default_file};
	int status;

	return parse(&options, argc, argv, 0, &status) ? list(options.file, options.json) : status;
}

static int token_new(int argc, char **argv)
{
	struct token_options options = {.file = default_file};
	int status;

	return parse(&options, argc, argv, 1, &status) ? change(&options, argv[1], true) : status;
}

static int token_remove(int argc, char **argv)
{
	struct token_options options = {.file = default_file};
	int status;

	return parse(&options, argc, argv, 1, &status) ? change(&options, argv[1], false) : status;
}

int command_token(int argc, char **argv)
{
	static const struct subcommand subcommands[] = {{"token list", token_list},
							{"token new", token_new},
							{"token remove", token_remove}};

	return command_dispatch(argc, argv, subcommands, 3, help);
}
