/* SPDX-License-Identifier: Apache-2.0 */
#include "suspect/playbook.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT(member) offsetof(struct playbook, member)

static const struct config_key playbook_keys[] = {
	{"name", CONFIG_STRING, AT(name), NULL, .help = "What it is called in alarms."},
	{"metrics", CONFIG_STRINGS, AT(metrics), "", .choices = METRIC_NAMES,
	 .help = "It fits a VM when one of these is abnormal. None: any."},
	{"direction", CONFIG_CHOICE, AT(direction), "any", .choices = "any|up|down",
	 .help = "... and went this way."},
	{"views", CONFIG_STRINGS, AT(views), NULL,
	 .help = "What is looked at: views of atom-vmi, as in [top, net]; at most 16."},
	{"reason", CONFIG_STRING, AT(reason), "",
	 .help = "Why, for people: what the look can tell."},
};

static const struct config_table playbook_table = {"playbooks", sizeof(struct playbook),
						   playbook_keys,
						   sizeof(playbook_keys) / sizeof(*playbook_keys)};

static const struct config_key keys[] = {
	{"playbooks", CONFIG_RECORDS, offsetof(struct playbooks, list), NULL,
	 .record = &playbook_table,
	 .help = "Which abnormal metrics ask for which look inside a VM. All that fit are "
		 "followed; the list takes the place of the built-in one."},
};

const struct config_table playbooks_table = {"playbooks.yaml", sizeof(struct playbooks), keys, 1};

/* The built-in ones: etc/playbooks.yaml says the same, and a test holds them together. */

enum { BUILT_IN_ITEMS_MAX = 8 };

static const struct built_in {
	const char *name;
	const char *metrics[BUILT_IN_ITEMS_MAX];
	enum playbook_direction direction;
	const char *views[BUILT_IN_ITEMS_MAX];
	const char *reason;
} built_in[] = {
	{.name = "network",
	 .metrics = {"NetworkIn", "NetworkOut", "NetworkPacketsIn", "NetworkPacketsOut",
		     "NetworkDrops"},
	 .views = {"top", "net", "ps"},
	 .reason = "Connections by process and peer, their rates, listen queues, and who started "
		   "them."},
	{.name = "cpu",
	 .metrics = {"CPUUtilization", "CPUWait"},
	 .views = {"top", "ps"},
	 .reason = "CPU time by process, and what is new since the onset."},
	{.name = "disk",
	 .metrics = {"DiskReadOps", "DiskReadBytes", "DiskWriteOps", "DiskWriteBytes",
		     "DiskFlushOps"},
	 .views = {"top", "ps"},
	 .reason = "Reading and writing by process."},
	{.name = "disk-writing",
	 .metrics = {"DiskWriteOps", "DiskWriteBytes"},
	 .direction = PLAYBOOK_UP,
	 .views = {"files"},
	 .reason = "How many files a process that writes much has open for writing."},
	{.name = "any",
	 .views = {"hidden", "exe", "ps"},
	 .reason = "Hidden processes, deleted executables, and what is new since the onset."},
};

static int copy_strings(const char *const texts[BUILT_IN_ITEMS_MAX], struct config_strings *strings)
{
	strings->items = calloc(BUILT_IN_ITEMS_MAX, sizeof(*strings->items));
	if (!strings->items)
		return -ENOMEM;
	while (strings->count < BUILT_IN_ITEMS_MAX && texts[strings->count]) {
		strings->items[strings->count] = strdup(texts[strings->count]);
		if (!strings->items[strings->count])
			return -ENOMEM;
		strings->count++;
	}
	return 0;
}

static int copy_built_in(const struct built_in *from, struct playbook *playbook)
{
	playbook->name = strdup(from->name);
	playbook->reason = strdup(from->reason);
	playbook->direction = (int)from->direction;
	if (!playbook->name || !playbook->reason ||
	    copy_strings(from->metrics, &playbook->metrics) < 0)
		return -ENOMEM;
	return copy_strings(from->views, &playbook->views);
}

static int load_built_in(struct playbooks *playbooks, struct error *err)
{
	size_t count = sizeof(built_in) / sizeof(built_in[0]);
	struct playbook *list = calloc(count, sizeof(*list));
	int r = list ? 0 : -ENOMEM;

	playbooks->list = (struct config_records){.items = list, .count = list ? count : 0};
	for (size_t i = 0; r == 0 && i < count; i++)
		r = copy_built_in(&built_in[i], &list[i]);
	return r == 0 ? 0 : error_set(err, r, "out of memory");
}

/* What the table of keys cannot say */

static bool is_word(const char *text)
{
	size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz");

	return length > 0 && length < PLAYBOOK_VIEW_SIZE && !text[length];
}

static int check_views(const struct playbook *playbook, const char *path, struct error *err)
{
	if (playbook->views.count == 0 || playbook->views.count > PLAYBOOK_VIEWS_MAX)
		return error_set(err, -EINVAL,
				 "%s: playbook '%.60s': key 'views' must name 1 to %d views", path,
				 playbook->name, PLAYBOOK_VIEWS_MAX);
	for (size_t i = 0; i < playbook->views.count; i++)
		if (!is_word(playbook->views.items[i]))
			return error_set(err, -EINVAL,
					 "%s: playbook '%.60s': key 'views': '%.60s' is no view: a "
					 "word of at most %d letters a to z",
					 path, playbook->name, playbook->views.items[i],
					 PLAYBOOK_VIEW_SIZE - 1);
	return 0;
}

static bool is_taken(const struct playbook *list, size_t place)
{
	for (size_t i = 0; i < place; i++)
		if (strcmp(list[i].name, list[place].name) == 0)
			return true;
	return false;
}

static int check_all(const struct playbooks *playbooks, const char *path, struct error *err)
{
	const struct playbook *list = playbooks->list.items;

	if (playbooks->list.count == 0)
		return error_set(err, -EINVAL, "%s: key 'playbooks': the list is empty", path);
	for (size_t i = 0; i < playbooks->list.count; i++) {
		int r = check_views(&list[i], path, err);

		if (r < 0)
			return r;
		if (!list[i].name[0] || is_taken(list, i))
			return error_set(err, -EINVAL,
					 "%s: playbook '%.60s': key 'name' is empty or taken", path,
					 list[i].name);
	}
	return 0;
}

int playbooks_load(const char *path, struct playbooks *ret_playbooks, struct error *err)
{
	struct playbooks playbooks = {0};
	int r;

	if (!path[0]) {
		r = load_built_in(&playbooks, err);
	} else {
		r = config_load(&playbooks_table, path, &playbooks, err);
		if (r == 0)
			r = check_all(&playbooks, path, err);
	}
	if (r < 0)
		playbooks_deinit(&playbooks);
	else
		*ret_playbooks = playbooks;
	return r;
}

void playbooks_deinit(struct playbooks *playbooks)
{
	config_deinit(&playbooks_table, playbooks);
}

/* Choosing */

static bool fits_metric(const struct playbook *playbook, const struct playbook_metric *metric)
{
	if ((playbook->direction == PLAYBOOK_UP && !(metric->change > 0)) ||
	    (playbook->direction == PLAYBOOK_DOWN && !(metric->change < 0)))
		return false;
	for (size_t i = 0; i < playbook->metrics.count; i++)
		if (strcmp(playbook->metrics.items[i], metric_info(metric->metric)->name) == 0)
			return true;
	return playbook->metrics.count == 0;
}

static bool fits(const struct playbook *playbook, const struct playbook_metric *metrics,
		 size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (fits_metric(playbook, &metrics[i]))
			return true;
	return false;
}

static size_t add_view(char views[PLAYBOOK_VIEWS_MAX][PLAYBOOK_VIEW_SIZE], size_t count,
		       const char *view)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(views[i], view) == 0)
			return count;
	if (count == PLAYBOOK_VIEWS_MAX)
		return count;
	(void)snprintf(views[count], PLAYBOOK_VIEW_SIZE, "%s", view);
	return count + 1;
}

size_t playbooks_choose(const struct playbooks *playbooks, const struct playbook_metric *metrics,
			size_t count, char views[PLAYBOOK_VIEWS_MAX][PLAYBOOK_VIEW_SIZE],
			char *names, size_t names_size)
{
	const struct playbook *list = playbooks->list.items;
	size_t chosen = 0, used = 0;

	if (names_size > 0)
		names[0] = '\0';
	for (size_t i = 0; i < playbooks->list.count; i++) {
		size_t length = strlen(list[i].name);

		if (!fits(&list[i], metrics, count))
			continue;
		for (size_t j = 0; j < list[i].views.count; j++)
			chosen = add_view(views, chosen, list[i].views.items[j]);
		if (used + 2 + length < names_size)
			used += (size_t)snprintf(names + used, names_size - used, "%s%s",
						 used ? ", " : "", list[i].name);
	}
	return chosen;
}
