/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/command.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "ctl/credentials.h"
#include "http/client.h"
#include "terminal/table.h"

const char *command_server = "http://127.0.0.1:7480", *command_token_file, *command_ca;

int command_dispatch(int argc, char **argv, const struct subcommand *subcommands, size_t count,
		     const char *help)
{
	const char *name = argc > 1 ? argv[1] : "--";

	if (strcmp(name, "--help") == 0) {
		(void)fputs(help, stdout);
		return EXIT_OK;
	}
	for (size_t i = 0; i < count; i++) {
		const char *title = subcommands[i].title;
		bool is_default = i == 0 && strncmp(name, "--", 2) == 0;

		if (!is_default && strcmp(strchr(title, ' ') + 1, name) != 0)
			continue;
		argc -= !is_default;
		argv += !is_default;
		argv[0] = (char *)title; /* read only, as a name is */
		return subcommands[i].run(argc, argv);
	}
	(void)fputs(help, stderr);
	return EXIT_USAGE;
}

int command_request(const char *method, const char *path, const json_t *body, json_t **ret_body,
		    struct error *err)
{
	struct http_client_options options = {.ca_file = command_ca};
	cleanup(free) char *url = NULL;
	cleanup(free) char *token = NULL;
	int r = credentials_find(command_token_file, &token, err);

	if (r < 0) /* not what the server says by the same number */
		return error_prefix(err, -EINVAL, "the token");
	options.token = token;
	if (asprintf(&url, "%s%s", command_server, path) < 0) {
		url = NULL;
		return error_set(err, -ENOMEM, "out of memory");
	}
	return http_client_request(method, url, &options, body, ret_body, err);
}

bool command_may_pass(int code)
{
	return code == -ECONNREFUSED || code == -ETIMEDOUT || code == -EIO || code == -EPROTO;
}

int command_explain(int code, const struct error *err)
{
	const char *text = error_text(err, code);

	if (code == -ECONNREFUSED || code == -ETIMEDOUT)
		return terminal_fail(EXIT_FAILED,
				     "cannot reach atomd at %s: %s; is it running? (atom up starts "
				     "one, --server names another)",
				     command_server, text);
	if (code == -EACCES)
		return terminal_fail(EXIT_FAILED,
				     "atomd at %s: %s (atom takes a token from ATOM_TOKEN or "
				     "--token-file FILE; atom token new makes one)",
				     command_server, text);
	if (code == -EPERM)
		return terminal_fail(EXIT_FAILED,
				     "%s (atom takes another token from ATOM_TOKEN or "
				     "--token-file FILE)",
				     text);
	return terminal_fail(EXIT_FAILED, "%s", text);
}

static json_t *request(const char *method, const char *path, const json_t *body)
{
	struct error err = ERROR_INIT;
	json_t *answer;
	int r = command_request(method, path, body, &answer, &err);

	if (r == 0)
		return answer;
	(void)command_explain(r, &err);
	return NULL;
}

json_t *command_post(const char *path, const json_t *body)
{
	return request("POST", path, body);
}

bool command_number(const char *what, const char *text, int64_t *ret_number)
{
	char *end;
	long long number;

	errno = 0;
	number = strtoll(text, &end, 10);
	if (errno || end == text || *end || number < 1) {
		(void)terminal_fail(EXIT_USAGE, "'%.60s' is no number of %s", text, what);
		return false;
	}
	*ret_number = number;
	return true;
}

json_t *command_get(const char *path)
{
	return request("GET", path, NULL);
}

int command_print_json(const json_t *body)
{
	(void)json_dumpf(body, stdout, JSON_INDENT(2) | JSON_SORT_KEYS | JSON_ENSURE_ASCII);
	(void)putchar('\n');
	return EXIT_OK;
}

const char *json_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

int64_t json_whole(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

const char *format_number(const json_t *value, char *text)
{
	static const char prefixes[] = " kMGTPE";
	double number = json_number_value(value);
	size_t power = 0;

	if (!json_is_number(value))
		return "-";
	while (fabs(number) >= 1000 && prefixes[power + 1]) {
		number /= 1000;
		power++;
	}
	(void)snprintf(text, NUMBER_SIZE, "%.4g%.*s", number, power > 0, &prefixes[power]);
	return text;
}

const char *format_time(const char *api_time, char *text)
{
	char now[CLOCK_TEXT_SIZE];

	if (strlen(api_time) < 19)
		return "-";
	(void)clock_format(clock_wall_usec(), now);
	if (strncmp(api_time, now, 10) == 0)
		(void)snprintf(text, NUMBER_SIZE, "%.8s", api_time + 11);
	else
		(void)snprintf(text, NUMBER_SIZE, "%.5s %.5s", api_time + 5, api_time + 11);
	return text;
}
