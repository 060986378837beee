/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/test.h"
#include "terminal/options.h"
#include "terminal/table.h"
#include "terminal/terminal.h"

DEFINE_CLEANUP(struct table *, table_free)

static void test_table_aligns_and_escapes(void)
{
	cleanup(table_free) struct table *table = table_new();
	cleanup(free) char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);

	table_column(table, "NAME", TABLE_LEFT);
	table_column(table, "N", TABLE_RIGHT);
	table_cell(table, "%s", "vm\033[2J");
	table_cell(table, "%d", 7);
	table_cell(table, "%s", "ä");
	table_cell(table, "%d", 123);
	table_print(table, stream);
	(void)fclose(stream);
	check_string(text, "NAME      N\nvm?[2J    7\nä       123\n");
}

static void test_table_wraps_the_last_column(void)
{
	cleanup(table_free) struct table *table = table_new();
	cleanup(free) char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);

	table_column(table, "N", TABLE_LEFT);
	table_column(table, "WHAT", TABLE_LEFT);
	table_cell(table, "1");
	table_cell(table, "vm2 goes üp and dowwwn");
	table_cell(table, "2");
	table_cell(table, "one-word-that-is-longer-than-the-screen");
	table_cell(table, "3");
	table_cell(table, "exactly sixteen");
	table_cell(table, "4");
	table_cell(table, "%s", "");
	table_print_within(table, stream, 1, 20);
	(void)fclose(stream);
	check_string(text, " N  WHAT\n"
			   " 1  vm2 goes üp and\n"
			   "    dowwwn\n"
			   " 2  one-word-that-is\n"
			   "    -longer-than-the\n"
			   "    -screen\n"
			   " 3  exactly sixteen\n"
			   " 4  \n");
}

static void test_say_escapes_into_a_file(void)
{
	cleanup(fclose) FILE *stream = tmpfile();
	char line[64];

	check(stream != NULL);
	terminal_say(stream, STYLE_PLAIN, 4, "  %s and more", "a\033[2J\nb");
	rewind(stream);
	check(fgets(line, sizeof(line), stream) != NULL);
	check_string(line, "  a?[2J?b and more\n");
}

static void test_table_escape_broken_utf8(void)
{
	char text[] = "a\xc3(\xe2\x82\xac\xff\x7f";

	char turned[] = "a\xe2\x80\xae"
			"exe.txt"; /* shown from right to left */

	check_string(table_escape(text), "a?(€??");
	check_string(table_escape(turned), "a???exe.txt");
}

static void test_options_in_any_order(void)
{
	char *argv[] = {"vm", "list", "--json", "--node=a", "--node", "b", "--", "--x", NULL};
	const char *node = NULL;
	bool json = false;
	const struct command_option options[] = {{"json", OPTION_FLAG, &json},
						 {"node", OPTION_VALUE, &node}};
	int status;

	check_int(options_parse(8, argv, options, 2, "", &status), 2);
	check_string(argv[1], "list");
	check_string(argv[2], "--x");
	check_string(node, "b");
	check(json);
}

static void test_options_mistakes_are_usage(void)
{
	char *unknown[] = {"vm", "--jsn", NULL}, *missing[] = {"vm", "--node", NULL};
	const char *node = NULL;
	const struct command_option options[] = {{"node", OPTION_VALUE, &node}};
	int status = 0;

	check_int(options_parse(2, unknown, options, 1, "", &status), -1);
	check_int(status, EXIT_USAGE);
	status = 0;
	check_int(options_parse(2, missing, options, 1, "", &status), -1);
	check_int(status, EXIT_USAGE);
}

TEST_MAIN(TEST(test_table_aligns_and_escapes), TEST(test_table_wraps_the_last_column),
	  TEST(test_say_escapes_into_a_file), TEST(test_table_escape_broken_utf8),
	  TEST(test_options_in_any_order), TEST(test_options_mistakes_are_usage))
