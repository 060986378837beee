/* SPDX-License-Identifier: Apache-2.0 */
/* atom audit list and atom audit verify */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/action.h"
#include "ctl/audit_chain.h"
#include "ctl/command.h"
#include "terminal/options.h"
#include "terminal/table.h"

DEFINE_CLEANUP(json_t *, json_decref)
DEFINE_CLEANUP(struct table *, table_free)

enum { PAGE = 1000, LIST_DEFAULT = 20, PATH_SIZE = 96 };

static const char help[] =
	"Usage: atom audit [list] [--after N] [--limit N] [--json]\n"
	"       atom audit verify [--expect HASH] [--json]\n"
	"What was done by whom: a log in which each record is sealed together with the one before\n"
	"it. list: the records after number N (default: the newest 20). verify: fetches all,\n"
	"checks that none is missing or changed, and tells the last hash, which you note "
	"elsewhere:\n"
	"--expect HASH later says whether the log still holds that record. Needs the role admin.\n"
	"Exit status of verify: 0 whole, 1 broken (it says where).\n";

static json_t *get_page(int64_t after, int64_t limit)
{
	char path[PATH_SIZE];

	(void)snprintf(path, sizeof(path), "/api/v1/audit?after=%lld&limit=%lld", (long long)after,
		       (long long)limit);
	return command_get(path);
}

/* list */

/* What stands in a record beside time, event and author, as far as it is one value. */
static void write_values(const json_t *record, FILE *stream)
{
	static const char *const columns[] = {"time", "event", "by"};
	const json_t *value;
	const char *key;
	size_t said = 0;

	json_object_foreach((json_t *)record, key, value)
	{
		bool is_column = false;

		for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
			is_column |= strcmp(columns[i], key) == 0;
		if (is_column || (!json_is_string(value) && !json_is_integer(value)) ||
		    (json_is_string(value) && !*json_string_value(value)))
			continue;
		if (json_is_string(value))
			(void)fprintf(stream, "%s%s %s", said++ ? ", " : "", key,
				      json_string_value(value));
		else
			(void)fprintf(stream, "%s%s %lld", said++ ? ", " : "", key,
				      (long long)json_integer_value(value));
	}
}

/* One of an action holds all of it; here it is told in short. */
static void write_action(const json_t *record, FILE *stream)
{
	cleanup(free) char *what =
		action_describe(json_text(record, "kind"), json_text(record, "vm"),
				json_object_get(record, "arguments"));
	const char *reason = json_text(record, "reason");
	const char *verified = json_text(record, "verified");

	(void)fprintf(stream, "action %lld%s: %s", (long long)json_whole(record, "action"),
		      json_is_true(json_object_get(record, "dry_run")) ? ", dry" : "",
		      what ? what : "");
	if (*reason || *verified)
		(void)fprintf(stream, ": %s", *verified ? verified : reason);
}

/* Returns owned, NULL where the record is no JSON object. */
static char *summarize(const json_t *record)
{
	char *text = NULL;
	size_t size;
	FILE *stream = json_is_object(record) ? open_memstream(&text, &size) : NULL;

	if (!stream)
		return NULL;
	if (json_object_get(record, "kind") && json_object_get(record, "action"))
		write_action(record, stream);
	else
		write_values(record, stream);
	return fclose(stream) == 0 ? text : NULL;
}

static void add_record(struct table *table, const json_t *item)
{
	const char *text = json_text(item, "record");
	cleanup(json_decref) json_t *record = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	cleanup(free) char *summary = summarize(record);
	char time[NUMBER_SIZE];

	table_cell(table, "%lld", (long long)json_whole(item, "number"));
	table_cell(table, "%s", format_time(json_text(record, "time"), time));
	table_cell(table, "%.8s", json_text(item, "hash"));
	table_cell(table, "%s", json_text(record, "event"));
	table_cell(table, "%s", json_text(record, "by"));
	table_cell(table, "%s", summary ? summary : text);
}

static json_t *get_listed(const char *after_text, unsigned long limit)
{
	cleanup(json_decref) json_t *newest = NULL;
	unsigned long after;
	int64_t last;

	if (after_text && !options_number("after", after_text, 0, INT64_MAX, &after))
		return NULL;
	if (after_text)
		return get_page((int64_t)after, (int64_t)limit);
	newest = get_page(0, 1); /* for the number of the last one */
	if (!newest)
		return NULL;
	last = json_whole(json_object_get(newest, "last"), "number");
	return get_page(last > (int64_t)limit ? last - (int64_t)limit : 0, (int64_t)limit);
}

static int audit_list(int argc, char **argv)
{
	bool json = false;
	const char *after = NULL, *limit_text = NULL;
	const struct command_option options[] = {{"json", OPTION_FLAG, &json},
						 {"after", OPTION_VALUE, &after},
						 {"limit", OPTION_VALUE, &limit_text}};
	cleanup(json_decref) json_t *body = NULL;
	cleanup(table_free) struct table *table = table_new();
	const json_t *records, *item;
	unsigned long limit = LIST_DEFAULT;
	size_t i;
	int end, count = options_parse(argc, argv, options, 3, help, &end);

	if (count < 0)
		return end;
	if (count > 0) {
		(void)fputs(help, stderr);
		return EXIT_USAGE;
	}
	if (limit_text && !options_number("limit", limit_text, 1, PAGE, &limit))
		return EXIT_USAGE;
	body = get_listed(after, limit);
	if (!body)
		return EXIT_FAILED;
	if (json)
		return command_print_json(body);
	records = json_object_get(body, "records");
	if (json_array_size(records) == 0) {
		puts("there are no records in the audit log from there on");
		return EXIT_OK;
	}
	table_column(table, "NUMBER", TABLE_RIGHT);
	table_column(table, "TIME", TABLE_LEFT);
	table_column(table, "HASH", TABLE_LEFT);
	table_column(table, "EVENT", TABLE_LEFT);
	table_column(table, "BY", TABLE_LEFT);
	table_column(table, "RECORD", TABLE_LEFT);
	json_array_foreach(records, i, item) add_record(table, item);
	table_print(table, stdout);
	return EXIT_OK;
}

/* verify */

/* All pages into the chain. Returns 0 when the log is whole up to its end, 1 when it is broken (err
 * says where), -1 when it could not be read (said). */
static int check_all(struct audit_chain *chain, struct error *err)
{
	for (;;) {
		cleanup(json_decref) json_t *body = get_page(chain->count, PAGE);
		const json_t *records = json_object_get(body, "records"), *item;
		int64_t last = json_whole(json_object_get(body, "last"), "number");
		size_t i;

		if (!body)
			return -1;
		json_array_foreach(records, i,
				   item) if (audit_chain_add(chain, json_whole(item, "number"),
							     json_text(item, "record"),
							     json_text(item, "hash"),
							     err) < 0) return 1;
		if (json_array_size(records) > 0)
			continue;
		if (last <= chain->count)
			return 0;
		(void)error_set(err, -EBADMSG, "records %lld to %lld are not there",
				(long long)chain->count + 1, (long long)last);
		return 1;
	}
}

static int say_broken(const struct audit_chain *chain, const char *problem, bool json)
{
	cleanup(json_decref) json_t *body = NULL;

	if (!json)
		return terminal_fail(EXIT_FAILED,
				     "the audit log is broken: %s (%lld records before are whole)",
				     problem, (long long)chain->count);
	body = json_pack("{s:b, s:I, s:s, s:s}", "whole", 0, "records", (json_int_t)chain->count,
			 "last_hash", chain->hash, "problem", problem);
	(void)command_print_json(body);
	return EXIT_FAILED;
}

static int say_whole(const struct audit_chain *chain, bool json)
{
	cleanup(json_decref) json_t *body = NULL;

	if (json) {
		body = json_pack("{s:b, s:I, s:s, s:n}", "whole", 1, "records",
				 (json_int_t)chain->count, "last_hash", chain->hash, "problem");
		return command_print_json(body);
	}
	terminal_say(stdout, STYLE_GREEN, 0, "the audit log is whole: %lld records",
		     (long long)chain->count);
	if (chain->expected_number > 0)
		printf("the record of --expect is number %lld: nothing up to it has changed\n",
		       (long long)chain->expected_number);
	if (chain->count > 0)
		printf("last hash  %s\nNote it elsewhere: atom audit verify --expect HASH shows "
		       "later that nothing up to it has changed.\n",
		       chain->hash);
	return EXIT_OK;
}

static int audit_verify(int argc, char **argv)
{
	bool json = false;
	struct audit_chain chain = {0};
	const struct command_option options[] = {{"json", OPTION_FLAG, &json},
						 {"expect", OPTION_VALUE, &chain.expected}};
	struct error err = ERROR_INIT;
	int r, end, count = options_parse(argc, argv, options, 2, help, &end);

	if (count < 0)
		return end;
	if (count > 0) {
		(void)fputs(help, stderr);
		return EXIT_USAGE;
	}
	if (chain.expected && strlen(chain.expected) != DIGEST_TEXT_SIZE - 1)
		return terminal_fail(EXIT_USAGE, "--expect needs a hash of %d hexadecimal digits",
				     DIGEST_TEXT_SIZE - 1);
	r = check_all(&chain, &err);
	if (r < 0)
		return EXIT_FAILED;
	if (r == 0 && chain.expected && chain.expected_number == 0)
		r = error_set(&err, -EBADMSG,
			      "no record has the hash of --expect: the log was made anew, or "
			      "shortened and written on") < 0;
	return r > 0 ? say_broken(&chain, err.text, json) : say_whole(&chain, json);
}

int command_audit(int argc, char **argv)
{
	static const struct subcommand subcommands[] = {{"audit list", audit_list},
							{"audit verify", audit_verify}};

	return command_dispatch(argc, argv, subcommands, 2, help);
}
