/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/command.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "http/client.h"
#include "terminal/table.h"

const char *command_server = "http://127.0.0.1:7480";

json_t *command_get(const char *path)
{
	cleanup(free) char *url = NULL;
	struct error err = ERROR_INIT;
	json_t *body = NULL;
	int r;

	if (asprintf(&url, "%s%s", command_server, path) < 0) {
		url = NULL;
		(void)terminal_fail(EXIT_FAILED, "out of memory");
		return NULL;
	}
	r = http_client_get_json(url, &body, &err);
	if (r == 0)
		return body;
	if (r == -ECONNREFUSED || r == -ETIMEDOUT)
		(void)terminal_fail(EXIT_FAILED,
				    "cannot reach atomd at %s: %s; is it running? (atom up "
				    "starts one, --server names another)",
				    command_server, err.text);
	else
		(void)terminal_fail(EXIT_FAILED, "%s", error_text(&err, r));
	return NULL;
}

int command_print_json(const json_t *body)
{
	(void)json_dumpf(body, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
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
