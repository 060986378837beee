/* SPDX-License-Identifier: Apache-2.0 */
#include "suspect/playbook.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/test.h"

static char views[PLAYBOOK_VIEWS_MAX][PLAYBOOK_VIEW_SIZE];
static char names[64];

static int load(const char *text, struct playbooks *playbooks, struct error *err)
{
	char path[] = "/tmp/atom-playbook-test-XXXXXX";
	int fd = mkstemp(path), r;

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return -EIO;
	(void)close(fd);
	r = playbooks_load(path, playbooks, err);
	(void)unlink(path);
	return r;
}

/* Both as one text, so that a difference shows. */
static char *print(const struct playbooks *playbooks)
{
	const struct playbook *list = playbooks->list.items;
	char *text = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&text, &size);

	for (size_t i = 0; stream && i < playbooks->list.count; i++) {
		(void)fprintf(stream, "%s %d '%s'", list[i].name, list[i].direction,
			      list[i].reason);
		for (size_t j = 0; j < list[i].metrics.count; j++)
			(void)fprintf(stream, " %s", list[i].metrics.items[j]);
		for (size_t j = 0; j < list[i].views.count; j++)
			(void)fprintf(stream, " -%s", list[i].views.items[j]);
		(void)fputc('\n', stream);
	}
	if (stream)
		(void)fclose(stream);
	return text;
}

static void test_playbooks_built_in_are_those_of_the_file(void)
{
	struct playbooks playbooks, file;
	struct error err = ERROR_INIT;
	char *text, *expected;

	check_int(playbooks_load("", &playbooks, NULL), 0);
	check_int(playbooks_load(ATOM_PLAYBOOKS, &file, &err), 0);
	text = print(&playbooks);
	expected = print(&file);
	check_string(text, expected);
	free(text);
	free(expected);
	playbooks_deinit(&playbooks);
	playbooks_deinit(&file);
}

static void test_playbooks_every_metric_is_a_choice(void)
{
	for (size_t i = 0; i < METRIC_COUNT; i++) {
		struct playbooks playbooks;
		char text[256];

		(void)snprintf(text, sizeof(text),
			       "playbooks: [{name: a, metrics: [%s], views: [top]}]",
			       metric_info((enum metric)i)->name);
		check_int(load(text, &playbooks, NULL), 0);
		playbooks_deinit(&playbooks);
	}
}

static void test_playbooks_choose_network(void)
{
	const struct playbook_metric metrics[] = {{METRIC_NETWORK_OUT, 5}, {METRIC_NETWORK_IN, -1}};
	struct playbooks playbooks;

	check_int(playbooks_load("", &playbooks, NULL), 0);
	check_int(playbooks_choose(&playbooks, metrics, 2, views, names, sizeof(names)), 5);
	check_string(views[0], "top");
	check_string(views[1], "net");
	check_string(views[2], "ps");
	check_string(views[3], "hidden");
	check_string(views[4], "exe");
	check_string(names, "network, any");
	playbooks_deinit(&playbooks);
}

static void test_playbooks_choose_by_direction(void)
{
	struct playbook_metric metric = {METRIC_DISK_WRITE_BYTES, 5};
	struct playbooks playbooks;

	check_int(playbooks_load("", &playbooks, NULL), 0);
	check_int(playbooks_choose(&playbooks, &metric, 1, views, names, sizeof(names)), 5);
	check_string(views[2], "files");
	check_string(names, "disk, disk-writing, any");
	metric.change = -5;
	check_int(playbooks_choose(&playbooks, &metric, 1, views, names, sizeof(names)), 4);
	check_string(names, "disk, any");
	metric.change = NAN;
	check_int(playbooks_choose(&playbooks, &metric, 1, views, names, sizeof(names)), 4);
	playbooks_deinit(&playbooks);
}

static void test_playbooks_choose_nothing(void)
{
	const struct playbook_metric metric = {METRIC_MEMORY_RESIDENT, 1};
	struct playbooks playbooks;

	check_int(playbooks_load("", &playbooks, NULL), 0);
	check_int(playbooks_choose(&playbooks, &metric, 0, views, names, sizeof(names)), 0);
	check_string(names, "");
	playbooks_deinit(&playbooks);
	check_int(load("playbooks: [{name: a, metrics: [NetworkIn], views: [net]}]", &playbooks,
		       NULL),
		  0);
	check_int(playbooks_choose(&playbooks, &metric, 1, views, names, sizeof(names)), 0);
	playbooks_deinit(&playbooks);
}

static void test_playbooks_choose_cuts(void)
{
	const struct playbook_metric metric = {METRIC_NETWORK_IN, 1};
	struct playbooks playbooks;

	check_int(load("playbooks:\n"
		       "- {name: first, views: [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]}\n"
		       "- {name: second, views: [q, a]}\n",
		       &playbooks, NULL),
		  0);
	check_int(playbooks_choose(&playbooks, &metric, 1, views, names, 8), PLAYBOOK_VIEWS_MAX);
	check_string(views[15], "p");
	check_string(names, "first"); /* "first, second" has no room */
	playbooks_deinit(&playbooks);
}

static void check_refused(const char *text, const char *first, const char *second)
{
	struct playbooks playbooks = {{NULL, 77}};
	struct error err = ERROR_INIT;

	check(load(text, &playbooks, &err) < 0);
	check_int(playbooks.list.count, 77); /* untouched */
	if (!strstr(err.text, first) || !strstr(err.text, second))
		printf("# %s\n", err.text);
	check(strstr(err.text, first));
	check(strstr(err.text, second));
}

static void test_playbooks_refused(void)
{
	check_refused("", ":1: key 'playbooks' is missing", "");
	check_refused("playbooks: []", "key 'playbooks': the list is empty", "");
	check_refused("playbooks:\n- name: a\n  views: [top]\n  metrics: [NetworkIm]\n",
		      ":4: key 'metrics'", "NetworkIm");
	check_refused("playbooks:\n- name: a\n  view: [top]\n", ":3: unknown key 'view'", "views");
	check_refused("playbooks:\n- name: a\n", ":2: key 'views' is missing", "");
	check_refused("playbooks: [{name: a, views: [top], direction: out}]",
		      ":1: ", "any|up|down");
	check_refused("playbooks: [{name: a, views: [Top]}]", "playbook 'a': key 'views'", "'Top'");
	check_refused("playbooks: [{name: a, views: ['']}]", "playbook 'a'", "no view");
	check_refused("playbooks: [{name: a, views: [top, --json]}]", "playbook 'a'", "'--json'");
	check_refused("playbooks: [{name: a, views: [abcdefghijklmnop]}]", "playbook 'a'",
		      "at most 15");
	check_refused("playbooks: [{name: a, views: []}]", "playbook 'a'", "1 to 16");
	check_refused("playbooks: [{name: a, views: [top]}, {name: a, views: [ps]}]",
		      "playbook 'a'", "taken");
	check_refused("playbooks: [{name: '', views: [top]}]", "playbook ''", "empty");
}

static void test_playbooks_of_no_file(void)
{
	struct playbooks playbooks;
	struct error err = ERROR_INIT;

	check_int(playbooks_load("/nowhere/playbooks.yaml", &playbooks, &err), -ENOENT);
	check(strstr(err.text, "/nowhere/playbooks.yaml"));
}

TEST_MAIN(TEST(test_playbooks_built_in_are_those_of_the_file),
	  TEST(test_playbooks_every_metric_is_a_choice), TEST(test_playbooks_choose_network),
	  TEST(test_playbooks_choose_by_direction), TEST(test_playbooks_choose_nothing),
	  TEST(test_playbooks_choose_cuts), TEST(test_playbooks_refused),
	  TEST(test_playbooks_of_no_file))
