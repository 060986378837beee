/* SPDX-License-Identifier: Apache-2.0 */
#include "config/value.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"

static bool has_limits(const struct config_key *key)
{
	return key->minimum != 0 || key->maximum != 0;
}

static int check_limits(const struct config_key *key, double value, struct error *err)
{
	if (!has_limits(key) || (value >= key->minimum && value <= key->maximum))
		return 0;
	return error_set(err, -ERANGE, "must lie between %.15g and %.15g%s%s", key->minimum,
			 key->maximum, key->unit ? " " : "", key->unit ? key->unit : "");
}

static int parse_number(const struct config_key *key, const char *text, double *ret_value,
			struct error *err)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !isfinite(value))
		return error_set(err, -EINVAL, "'%.60s' is no number", text);
	*ret_value = value;
	return check_limits(key, value, err);
}

static int parse_integer(const struct config_key *key, const char *text, int64_t *ret_value,
			 struct error *err)
{
	char *end;
	long long value;

	errno = 0;
	value = strtoll(text, &end, 10);
	if (end == text || *end || errno)
		return error_set(err, -EINVAL, "'%.60s' is no whole number", text);
	*ret_value = value;
	return check_limits(key, (double)value, err);
}

static int parse_boolean(const char *text, bool *ret_value, struct error *err)
{
	bool on = strcasecmp(text, "true") == 0 || strcasecmp(text, "yes") == 0 ||
		  strcasecmp(text, "on") == 0;
	bool off = strcasecmp(text, "false") == 0 || strcasecmp(text, "no") == 0 ||
		   strcasecmp(text, "off") == 0;

	if (!on && !off)
		return error_set(err, -EINVAL, "'%.60s' is neither true nor false", text);
	*ret_value = on;
	return 0;
}

static int parse_duration(const struct config_key *key, const char *text, int64_t *ret_usec,
			  struct error *err)
{
	static const struct {
		const char *unit;
		double usec;
	} units[] = {{"us", 1},    {"ms", 1e3},  {"s", 1e6},
		     {"min", 6e7}, {"h", 3.6e9}, {"d", 8.64e10}};
	char *end;
	double value = strtod(text, &end);

	while (*end == ' ')
		end++;
	if (end != text && value == 0 && !*end) {
		*ret_usec = 0;
		return check_limits(key, 0, err);
	}
	for (size_t i = 0; end != text && isfinite(value) && i < sizeof(units) / sizeof(units[0]);
	     i++) {
		if (strcmp(end, units[i].unit) != 0)
			continue;
		value *= units[i].usec;
		if (!(fabs(value) < 9e18))
			break;
		*ret_usec = (int64_t)llround(value);
		return check_limits(key, value / (double)USEC_PER_SEC, err);
	}
	return error_set(err, -EINVAL, "'%.60s' is no duration: write 250ms, 10s, 5min, 2h or 14d",
			 text);
}

/* The position of `text` in "a|b|c", or -1. */
static int find_choice(const char *choices, const char *text)
{
	size_t length = strlen(text);

	for (int position = 0; choices; position++) {
		size_t item = strcspn(choices, "|");

		if (item == length && strncmp(choices, text, item) == 0)
			return position;
		choices = choices[item] ? choices + item + 1 : NULL;
	}
	return -1;
}

static int parse_choice(const struct config_key *key, const char *text, int *ret_position,
			struct error *err)
{
	int position = find_choice(key->choices, text);

	if (position < 0)
		return error_set(err, -EINVAL, "'%.60s' is not one of %s", text, key->choices);
	*ret_position = position;
	return 0;
}

static int set_string(const char *text, char **member, struct error *err)
{
	char *copy = strdup(text);

	if (!copy)
		return error_set(err, -ENOMEM, "out of memory");
	free(*member);
	*member = copy;
	return 0;
}

int config_value_set(const struct config_key *key, const char *text, void *member,
		     struct error *err)
{
	switch (key->type) {
	case CONFIG_STRING:
		return set_string(text, member, err);
	case CONFIG_INTEGER:
		return parse_integer(key, text, member, err);
	case CONFIG_NUMBER:
		return parse_number(key, text, member, err);
	case CONFIG_BOOLEAN:
		return parse_boolean(text, member, err);
	case CONFIG_DURATION:
		return parse_duration(key, text, member, err);
	case CONFIG_CHOICE:
		return parse_choice(key, text, member, err);
	case CONFIG_STRINGS:
	case CONFIG_NUMBERS:
	case CONFIG_RECORDS:
		break;
	}
	return 0; /* a list's default is to be empty */
}

int config_value_defaults(const struct config_table *table, void *settings, struct error *err)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct config_key *key = &table->keys[i];
		int r = key->fallback ? config_value_set(key, key->fallback,
							 (char *)settings + key->offset, err)
				      : 0;

		if (r < 0)
			return error_prefix(err, r, "default of '%s'", key->name);
	}
	return 0;
}

int config_value_append(struct config_strings *strings, const struct config_key *key,
			const char *text, struct error *err)
{
	char **items;

	if (key->choices && find_choice(key->choices, text) < 0)
		return error_set(err, -EINVAL, "'%.60s' is not one of %s", text, key->choices);
	if (strings->count == CONFIG_LIST_MAX)
		return error_set(err, -E2BIG, "more than %d items", CONFIG_LIST_MAX);
	items = reallocarray(strings->items, strings->count + 1, sizeof(*items));
	if (!items)
		return error_set(err, -ENOMEM, "out of memory");
	strings->items = items;
	items[strings->count] = strdup(text);
	if (!items[strings->count])
		return error_set(err, -ENOMEM, "out of memory");
	strings->count++;
	return 0;
}

int config_value_put(struct config_numbers *numbers, const struct config_key *key, const char *name,
		     const char *text, struct error *err)
{
	struct config_number *items;
	double value;
	int r;

	if (key->choices && find_choice(key->choices, name) < 0)
		return error_set(err, -EINVAL, "'%.60s' is not one of %s", name, key->choices);
	for (size_t i = 0; i < numbers->count; i++)
		if (strcmp(numbers->items[i].name, name) == 0)
			return error_set(err, -EINVAL, "'%.60s' is there twice", name);
	r = parse_number(key, text, &value, err);
	if (r < 0)
		return error_prefix(err, r, "'%.60s'", name);
	if (numbers->count == CONFIG_LIST_MAX)
		return error_set(err, -E2BIG, "more than %d items", CONFIG_LIST_MAX);
	items = reallocarray(numbers->items, numbers->count + 1, sizeof(*items));
	if (!items)
		return error_set(err, -ENOMEM, "out of memory");
	numbers->items = items;
	items[numbers->count].name = strdup(name);
	if (!items[numbers->count].name)
		return error_set(err, -ENOMEM, "out of memory");
	items[numbers->count++].value = value;
	return 0;
}

static void reset_records(const struct config_key *key, struct config_records *records)
{
	for (size_t i = 0; i < records->count; i++)
		config_deinit(key->record, (char *)records->items + i * key->record->size);
	free(records->items);
	*records = (struct config_records){0};
}

void config_value_reset(const struct config_key *key, void *member)
{
	struct config_strings *strings = member;
	struct config_numbers *numbers = member;
	char **string = member;

	switch (key->type) {
	case CONFIG_STRING:
		free(*string);
		*string = NULL;
		break;
	case CONFIG_STRINGS:
		for (size_t i = 0; i < strings->count; i++)
			free(strings->items[i]);
		free(strings->items);
		*strings = (struct config_strings){0};
		break;
	case CONFIG_NUMBERS:
		for (size_t i = 0; i < numbers->count; i++)
			free(numbers->items[i].name);
		free(numbers->items);
		*numbers = (struct config_numbers){0};
		break;
	case CONFIG_RECORDS:
		reset_records(key, member);
		break;
	case CONFIG_INTEGER:
	case CONFIG_NUMBER:
	case CONFIG_BOOLEAN:
	case CONFIG_DURATION:
	case CONFIG_CHOICE:
		break;
	}
}

/* Edit distance of two short names; names over 63 bytes are taken for far away. */
static size_t distance(const char *a, const char *b)
{
	size_t row[64], n = strlen(b);

	if (strlen(a) > 63 || n > 63)
		return SIZE_MAX;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < n; j++) {
			size_t best = diagonal + (a[i] != b[j]);

			diagonal = row[j + 1];
			best = best < row[j] + 1 ? best : row[j] + 1;
			row[j + 1] = best < diagonal + 1 ? best : diagonal + 1;
		}
	}
	return row[n];
}

const char *config_value_nearest(const struct config_table *table, const char *name)
{
	const char *nearest = NULL;
	size_t least = strlen(name) / 2 + 1;

	for (size_t i = 0; i < table->count; i++) {
		size_t d = distance(name, table->keys[i].name);

		if (d >= least)
			continue;
		least = d;
		nearest = table->keys[i].name;
	}
	return nearest;
}
