/* SPDX-License-Identifier: Apache-2.0 */
#include "node/policy.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

#define AT(member) offsetof(struct policy_rule, member)

/* Of src/vmi/view.c. Only these words ever reach atom-vmi's command line: it has commands too. */
#define VIEWS "info|ps|tree|net|files|exe|hidden|modules|syscalls|top"

/* The defaults of lists are said as what an empty one means. */
static const struct config_key rule_keys[] = {
	{"vm", CONFIG_STRING, AT(vm), "", .help = "Shell pattern of VM names; empty: any."},
	{"project", CONFIG_STRING, AT(project), "",
	 .help = "Shell pattern of the cloud's project names; empty: any."},
	{"controllers", CONFIG_STRINGS, AT(controllers), "[any]",
	 .help = "Shell patterns of the names in controllers' certificates; empty: any."},
	{"views", CONFIG_STRINGS, AT(views), "[all]", .choices = "all|none|" VIEWS,
	 .help = "What may be looked at; empty: all."},
	{"actions", CONFIG_STRINGS, AT(actions), "[none]",
	 .choices = "none|end-process|contain|pause|snapshot",
	 .help = "What may be done; empty: none."},
};

static const struct config_table rule_table = {"rules", sizeof(struct policy_rule), rule_keys,
					       sizeof(rule_keys) / sizeof(rule_keys[0])};

static const struct config_key keys[] = {
	{"rules", CONFIG_RECORDS, offsetof(struct policy, rules), "", .record = &rule_table,
	 .help = "The first that fits counts. Where none does: all views, no actions."},
};

const struct config_table policy_table = {"node-policy.yaml", sizeof(struct policy), keys,
					  sizeof(keys) / sizeof(keys[0])};

int policy_load(const char *path, struct policy *ret_policy, struct error *err)
{
	int r = *path ? config_load(&policy_table, path, ret_policy, err) : -ENOENT;

	if (r != -ENOENT)
		return r;
	if (err)
		*err = ERROR_INIT;
	r = config_load(&policy_table, NULL, ret_policy, err);
	return r < 0 ? r : 1;
}

void policy_deinit(struct policy *policy)
{
	config_deinit(&policy_table, policy);
}

bool policy_knows_view(const char *view)
{
	size_t length = strlen(view);

	if (length == 0 || strchr(view, '|'))
		return false;
	for (const char *word = VIEWS; word; word = strchr(word, '|')) {
		word += *word == '|';
		if (strncmp(word, view, length) == 0 && strchr("|", word[length]))
			return true;
	}
	return false;
}

static bool fits(const char *pattern, const char *name)
{
	return !*pattern || fnmatch(pattern, name, 0) == 0;
}

static bool fits_one(const struct config_strings *patterns, const char *name)
{
	for (size_t i = 0; i < patterns->count; i++)
		if (fits(patterns->items[i], name))
			return true;
	return patterns->count == 0;
}

/* NULL: none fits. */
static const struct policy_rule *find_rule(const struct policy *policy,
					   const struct policy_case *asked)
{
	const struct policy_rule *rules = policy->rules.items;

	for (size_t i = 0; i < policy->rules.count; i++)
		if (fits(rules[i].vm, asked->vm) && fits(rules[i].project, asked->project) &&
		    fits_one(&rules[i].controllers, asked->controller))
			return &rules[i];
	return NULL;
}

static bool has(const struct config_strings *strings, const char *word)
{
	for (size_t i = 0; i < strings->count; i++)
		if (strcmp(strings->items[i], word) == 0)
			return true;
	return false;
}

bool policy_allows_view(const struct policy *policy, const struct policy_case *asked,
			const char *view)
{
	const struct policy_rule *rule = find_rule(policy, asked);

	if (!policy_knows_view(view))
		return false;
	if (!rule || rule->views.count == 0)
		return true;
	return !has(&rule->views, "none") && (has(&rule->views, "all") || has(&rule->views, view));
}

bool policy_allows_action(const struct policy *policy, const struct policy_case *asked,
			  const char *action)
{
	const struct policy_rule *rule = find_rule(policy, asked);

	return rule && !has(&rule->actions, "none") && has(&rule->actions, action);
}
