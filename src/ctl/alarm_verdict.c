/* SPDX-License-Identifier: Apache-2.0 */
/* atom alarm note N TEXT... and atom alarm normal N */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/alarm.h"
#include "ctl/confirm.h"
#include "terminal/options.h"
#include "terminal/table.h"

DEFINE_CLEANUP(json_t *, json_decref)

static const char note_help[] =
	"Usage: atom alarm note N TEXT... [--json]\n"
	"Writes a remark into the alarm's history, with your name and the time.\n";

static const char normal_help[] =
	"Usage: atom alarm normal N [--note TEXT] [--yes] [--json]\n"
	"The verdict that the alarm shows nothing bad: its rows become part of what is normal, so\n"
	"that the same will not raise an alarm again, and the alarm is closed. Asks first, unless\n"
	"--yes is given. Exit status: 0 done, 1 failed, 2 bad usage, 3 you said no.\n";

/* The words of a text that was given as several arguments. Returns owned, NULL without memory. */
static char *join(char **words, int count)
{
	char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);

	if (!stream)
		return NULL;
	for (int i = 0; i < count; i++)
		(void)fprintf(stream, "%s%s", i ? " " : "", words[i]);
	return fclose(stream) == 0 ? text : NULL;
}

int alarm_note(int argc, char **argv)
{
	bool json = false;
	const struct command_option options[] = {{"json", OPTION_FLAG, &json}};
	cleanup(json_decref) json_t *body = NULL, *answer = NULL;
	cleanup(free) char *text = NULL;
	int64_t number;
	int end, count = options_parse(argc, argv, options, 1, note_help, &end);

	if (count < 0)
		return end;
	if (count < 2) {
		(void)fputs(note_help, stderr);
		return EXIT_USAGE;
	}
	if (!command_number("an alarm", argv[1], &number))
		return EXIT_USAGE;
	text = join(argv + 2, count - 1);
	body = text ? json_pack("{s:s}", "text", text) : NULL;
	if (!body)
		return terminal_fail(EXIT_FAILED, "the text is no valid UTF-8");
	answer = alarm_post(number, "/notes", body);
	if (!answer)
		return EXIT_FAILED;
	if (json)
		return command_print_json(answer);
	printf("noted in the history of alarm %lld\n", (long long)number);
	return EXIT_OK;
}

/* What is asked for, before it is asked. */
static void explain(const json_t *alarm)
{
	terminal_say(stdout, STYLE_BOLD, 4, "%s", json_text(alarm, "summary"));
	terminal_say(stdout, STYLE_PLAIN, 0,
		     "The verdict normal: the %lld abnormal rows of this alarm become part of what "
		     "is normal for group %s. The same will not raise an alarm again. This cannot "
		     "be taken back.",
		     (long long)json_whole(alarm, "level"), json_text(alarm, "group"));
}

static int give_normal(int64_t number, const char *note, bool yes, bool json)
{
	cleanup(json_decref) json_t *alarm = alarm_get(number);
	cleanup(json_decref) json_t *body =
		json_pack("{s:s, s:s*}", "verdict", "normal", "note", note);
	cleanup(json_decref) json_t *answer = NULL;
	int status;

	if (!alarm)
		return EXIT_FAILED;
	if (!body)
		return terminal_fail(EXIT_FAILED, "the note is no valid UTF-8");
	if (!json)
		explain(alarm);
	status = confirm(yes, "give alarm %lld the verdict normal?", (long long)number);
	if (status != EXIT_OK)
		return status;
	answer = alarm_post(number, "/verdict", body);
	if (!answer)
		return EXIT_FAILED;
	if (json)
		return command_print_json(answer);
	printf("alarm %lld has the verdict normal\n", (long long)number);
	return EXIT_OK;
}

int alarm_normal(int argc, char **argv)
{
	bool json = false, yes = false;
	const char *note = NULL;
	const struct command_option options[] = {{"json", OPTION_FLAG, &json},
						 {"yes", OPTION_FLAG, &yes},
						 {"note", OPTION_VALUE, &note}};
	int64_t number;
	int end, count = options_parse(argc, argv, options, 3, normal_help, &end);

	if (count < 0)
		return end;
	if (count != 1) {
		(void)fputs(normal_help, stderr);
		return EXIT_USAGE;
	}
	if (!command_number("an alarm", argv[1], &number))
		return EXIT_USAGE;
	if (json && !yes)
		return terminal_fail(EXIT_USAGE, "--json asks nothing: it needs --yes");
	return give_normal(number, note, yes, json);
}
