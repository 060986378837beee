/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/api_scope.h"

#include <string.h>

#include "base/json.h"

static bool is_of(const json_t *entry, const char *project)
{
	return strcmp(text_of(entry, "project"), project) == 0;
}

bool scope_has_entry(const json_t *entry, const char *project)
{
	return !*project || is_of(entry, project);
}

/* The lists of the evidence whose entries say their project; the first ones are of VMs. */
static const char *const lists[] = {"columns", "introspection", "earlier_introspection", "notes"};

enum { LIST_COUNT = sizeof(lists) / sizeof(lists[0]), VM_LIST_COUNT = LIST_COUNT - 1 };

/* What speaks of no VM. All else is taken away: what comes to be kept later is not shown unless it
 * is known whose it is. */
static const char *const figures[] = {"spe",         "q",     "spe_peak", "components",
				      "window_rows", "drift", "reopened", "verdict"};

static bool is_among(const char *name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static void keep_known(json_t *evidence)
{
	const char *name;
	json_t *value;
	void *next;

	json_object_foreach_safe(evidence, next, name, value)
	{
		if (!is_among(name, lists, LIST_COUNT) &&
		    !is_among(name, figures, sizeof(figures) / sizeof(figures[0])))
			(void)json_object_del(evidence, name);
	}
}

static void keep_own(json_t *list, const char *project)
{
	for (size_t i = json_array_size(list); i-- > 0;)
		if (!is_of(json_array_get(list, i), project))
			(void)json_array_remove(list, i);
}

/* A VM that goes like one of another project: not whose. */
static void hide_likeness(json_t *looks)
{
	json_t *look;
	size_t i;

	json_array_foreach(looks, i, look) if (json_object_get(look, "alike"))(void)
		json_object_set_new(look, "alike", json_string("another VM"));
}

/* Of a verdict that somebody else gave: that it was given, not their words. */
static void hide_words(json_t *verdict, const char *project)
{
	if (is_of(verdict, project))
		return;
	(void)json_object_del(verdict, "by");
	(void)json_object_del(verdict, "note");
}

bool scope_is_visible(const json_t *evidence, const char *project)
{
	const json_t *column;
	size_t i;

	json_array_foreach(json_object_get(evidence, "columns"), i,
			   column) if (json_is_true(json_object_get(column, "abnormal")) &&
				       is_of(column, project)) return true;
	return !*project;
}

bool scope_evidence(json_t *evidence, const char *project)
{
	if (!*project)
		return true;
	keep_known(evidence);
	for (size_t i = 0; i < LIST_COUNT; i++)
		keep_own(json_object_get(evidence, lists[i]), project);
	hide_likeness(json_object_get(evidence, "introspection"));
	hide_likeness(json_object_get(evidence, "earlier_introspection"));
	hide_words(json_object_get(evidence, "verdict"), project);
	return scope_is_visible(evidence, project);
}

/* Columns of the group that are not abnormal are not named by the alarm; looks have no such mark.
 */
static bool is_named(const json_t *entry)
{
	return !json_is_false(json_object_get(entry, "abnormal"));
}

/* `found` is the project of the lists before, NULL: there was no entry. */
static const char *project_of_list(const json_t *list, const char *found)
{
	const json_t *entry;
	size_t i;

	json_array_foreach(list, i, entry)
	{
		if (!is_named(entry))
			continue;
		if (found && !is_of(entry, found))
			return "";
		found = text_of(entry, "project");
	}
	return found;
}

const char *scope_project(const json_t *evidence)
{
	const char *found = NULL;

	for (size_t i = 0; i < VM_LIST_COUNT && (!found || *found); i++)
		found = project_of_list(json_object_get(evidence, lists[i]), found);
	return found ? found : "";
}

bool scope_is_whole(const json_t *evidence, const char *project)
{
	return !*project || strcmp(scope_project(evidence), project) == 0;
}

bool scope_has_vm(const json_t *evidence, const char *uuid, const char *project)
{
	for (size_t i = 0; i < VM_LIST_COUNT; i++) {
		const json_t *entry;
		size_t j;

		json_array_foreach(json_object_get(evidence, lists[i]), j,
				   entry) if (strcmp(text_of(entry, "uuid"), uuid) == 0 &&
					      is_of(entry, project)) return true;
	}
	return false;
}
