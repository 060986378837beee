/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/suspect.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/command.h"
#include "terminal/table.h"

enum { INDENT = 7 };

/* ", child of sh 101 < init 1". Returns owned, or NULL when memory is out. */
static char *ancestry(const json_t *parents)
{
	const json_t *parent;
	char *text = NULL;
	size_t size, i;
	FILE *stream = open_memstream(&text, &size);

	if (!stream)
		return NULL;
	json_array_foreach(parents, i, parent)
	{
		(void)fprintf(stream, "%s%s %lld", i ? " < " : ", child of ",
			      json_text(parent, "command"), (long long)json_whole(parent, "pid"));
	}
	return fclose(stream) == 0 ? text : NULL;
}

void suspect_print(const json_t *suspect, const char *head)
{
	cleanup(free) char *parents = ancestry(json_object_get(suspect, "parents"));
	const json_t *reasons = json_object_get(suspect, "reasons"), *reason;
	const char *command = json_text(suspect, "command");
	const char *command_line = json_text(suspect, "command_line");
	char uid[NUMBER_SIZE] = "";
	size_t i;

	if (json_is_integer(json_object_get(suspect, "uid")))
		(void)snprintf(uid, sizeof(uid), ", uid %lld",
			       (long long)json_whole(suspect, "uid"));
	terminal_say(stdout, STYLE_PLAIN, INDENT, "    %s%s (pid %lld%s%s), score %.2f", head,
		     *command ? command : "?", (long long)json_whole(suspect, "pid"), uid,
		     parents ? parents : "", json_number_value(json_object_get(suspect, "score")));
	if (*command_line && strcmp(command_line, command) != 0)
		terminal_say(stdout, STYLE_PLAIN, INDENT + 2, "       $ %s", command_line);
	json_array_foreach(reasons, i, reason)
	{
		const char *text = json_string_value(reason);

		terminal_say(stdout, STYLE_PLAIN, INDENT + 2, "       - %s", text ? text : "");
	}
}
