/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/cleanup.h"
#include "config/value.h"

enum { NODES_MAX = 100000, PATH_SIZE = 256 };

/* One file being read into one struct of settings. `seen` has a flag per key of the table. */
struct reading {
	const struct config_table *table;
	const char *path;
	yaml_document_t *document;
	char *settings;
	bool *seen;
	size_t *nodes; /* shared by nested records: aliases make a small file look large */
	size_t depth;
	struct error *err;
};

static int read_mapping(struct reading *reading, const yaml_node_t *node, const char *prefix);

static size_t line_of(const yaml_node_t *node)
{
	return node->start_mark.line + 1;
}

static const char *text_of(const yaml_node_t *node)
{
	return (const char *)node->data.scalar.value;
}

static const yaml_node_t *node_at(const struct reading *reading, int item)
{
	return yaml_document_get_node(reading->document, item);
}

/* Sets the error "FILE:LINE: <what err says>" for a message that is there already. */
static int at_line(const struct reading *reading, const yaml_node_t *node, const char *name,
		   int code)
{
	return error_prefix(reading->err, code, "%s:%zu: key '%s'", reading->path, line_of(node),
			    name);
}

static int count_node(struct reading *reading, const yaml_node_t *node)
{
	if (++*reading->nodes > NODES_MAX)
		return error_set(reading->err, -E2BIG, "%s:%zu: more than %d values", reading->path,
				 line_of(node), NODES_MAX);
	return 0;
}

static int get_scalar(struct reading *reading, const yaml_node_t *node, const char *name,
		      const char **ret_text)
{
	int r = count_node(reading, node);

	if (r < 0)
		return r;
	if (node->type != YAML_SCALAR_NODE || strlen(text_of(node)) != node->data.scalar.length)
		return error_set(reading->err, -EINVAL, "%s:%zu: key '%s': must be a single value",
				 reading->path, line_of(node), name);
	*ret_text = text_of(node);
	return 0;
}

static int read_strings(struct reading *reading, const struct config_key *key,
			const yaml_node_t *node, struct config_strings *strings)
{
	if (node->type != YAML_SEQUENCE_NODE)
		return error_set(reading->err, -EINVAL,
				 "%s:%zu: key '%s': must be a list, as in [a, b]", reading->path,
				 line_of(node), key->name);
	for (yaml_node_item_t *item = node->data.sequence.items.start;
	     item < node->data.sequence.items.top; item++) {
		const yaml_node_t *value = node_at(reading, *item);
		const char *text;
		int r = get_scalar(reading, value, key->name, &text);

		if (r < 0)
			return r;
		r = config_value_append(strings, key, text, reading->err);
		if (r < 0)
			return at_line(reading, value, key->name, r);
	}
	return 0;
}

static int read_numbers(struct reading *reading, const struct config_key *key,
			const yaml_node_t *node, struct config_numbers *numbers)
{
	if (node->type != YAML_MAPPING_NODE)
		return error_set(reading->err, -EINVAL,
				 "%s:%zu: key '%s': must map names to numbers", reading->path,
				 line_of(node), key->name);
	for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
	     pair < node->data.mapping.pairs.top; pair++) {
		const yaml_node_t *value = node_at(reading, pair->value);
		const char *name, *text;
		int r = get_scalar(reading, node_at(reading, pair->key), key->name, &name);

		if (r == 0)
			r = get_scalar(reading, value, key->name, &text);
		if (r < 0)
			return r;
		r = config_value_put(numbers, key, name, text, reading->err);
		if (r < 0)
			return at_line(reading, value, key->name, r);
	}
	return 0;
}

static int require_all(struct reading *reading, size_t line)
{
	for (size_t i = 0; i < reading->table->count; i++) {
		const struct config_key *key = &reading->table->keys[i];

		if (reading->seen[i] || key->fallback)
			continue;
		return error_set(reading->err, -EINVAL, "%s:%zu: key '%s' is missing: %s",
				 reading->path, line, key->name, key->help);
	}
	return 0;
}

static int read_record(struct reading *reading, const struct config_table *table,
		       const yaml_node_t *node, void *ret_settings)
{
	cleanup(free) bool *seen = calloc(table->count + 1, sizeof(*seen));
	struct reading inner = *reading;
	int r;

	if (!seen)
		return error_set(reading->err, -ENOMEM, "out of memory");
	if (node->type != YAML_MAPPING_NODE)
		return error_set(reading->err, -EINVAL, "%s:%zu: must be keys with values",
				 reading->path, line_of(node));
	inner.table = table;
	inner.settings = ret_settings;
	inner.seen = seen;
	r = config_value_defaults(table, ret_settings, reading->err);
	if (r == 0)
		r = read_mapping(&inner, node, "");
	if (r == 0)
		r = require_all(&inner, line_of(node));
	if (r == 0 && table->check && (r = table->check(ret_settings, reading->err)) < 0)
		r = error_prefix(reading->err, r, "%s:%zu", reading->path, line_of(node));
	return r;
}

static int read_records(struct reading *reading, const struct config_key *key,
			const yaml_node_t *node, struct config_records *records)
{
	size_t size = key->record->size;

	if (node->type != YAML_SEQUENCE_NODE)
		return error_set(reading->err, -EINVAL, "%s:%zu: key '%s': must be a list",
				 reading->path, line_of(node), key->name);
	for (yaml_node_item_t *item = node->data.sequence.items.start;
	     item < node->data.sequence.items.top; item++) {
		void *items;
		char *record;
		int r;

		if (records->count == CONFIG_LIST_MAX)
			return error_set(reading->err, -E2BIG, "%s:%zu: key '%s': more than %d",
					 reading->path, line_of(node), key->name, CONFIG_LIST_MAX);
		items = reallocarray(records->items, records->count + 1, size);
		if (!items)
			return error_set(reading->err, -ENOMEM, "out of memory");
		records->items = items;
		record = (char *)items + records->count++ * size;
		memset(record, 0, size);
		r = read_record(reading, key->record, node_at(reading, *item), record);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_value(struct reading *reading, const struct config_key *key,
		      const yaml_node_t *node)
{
	void *member = reading->settings + key->offset;
	const char *text;
	int r;

	switch (key->type) {
	case CONFIG_STRINGS:
		config_value_reset(key, member);
		return read_strings(reading, key, node, member);
	case CONFIG_NUMBERS:
		config_value_reset(key, member);
		return read_numbers(reading, key, node, member);
	case CONFIG_RECORDS:
		return read_records(reading, key, node, member);
	case CONFIG_STRING:
	case CONFIG_INTEGER:
	case CONFIG_NUMBER:
	case CONFIG_BOOLEAN:
	case CONFIG_DURATION:
	case CONFIG_CHOICE:
		break;
	}
	r = get_scalar(reading, node, key->name, &text);
	if (r < 0)
		return r;
	r = config_value_set(key, text, member, reading->err);
	return r < 0 ? at_line(reading, node, key->name, r) : 0;
}

static bool is_section(const struct config_table *table, const char *path)
{
	size_t length = strlen(path);

	for (size_t i = 0; i < table->count; i++)
		if (strncmp(table->keys[i].name, path, length) == 0 &&
		    table->keys[i].name[length] == '.')
			return true;
	return false;
}

static int unknown_key(struct reading *reading, const yaml_node_t *node, const char *path)
{
	const char *nearest = config_value_nearest(reading->table, path);

	return error_set(reading->err, -EINVAL, "%s:%zu: unknown key '%.200s'%s%s%s", reading->path,
			 line_of(node), path, nearest ? ": did you mean '" : "",
			 nearest ? nearest : "", nearest ? "'?" : "");
}

static int read_pair(struct reading *reading, const yaml_node_t *name, const yaml_node_t *value,
		     const char *prefix)
{
	char path[PATH_SIZE];
	const char *text;
	int r = get_scalar(reading, name, prefix, &text);

	if (r < 0)
		return r;
	(void)snprintf(path, sizeof(path), "%s%s%s", prefix, *prefix ? "." : "", text);
	for (size_t i = 0; i < reading->table->count; i++) {
		if (strcmp(reading->table->keys[i].name, path) != 0)
			continue;
		if (reading->seen[i])
			return error_set(reading->err, -EINVAL, "%s:%zu: key '%s' is there twice",
					 reading->path, line_of(name), path);
		reading->seen[i] = true;
		return read_value(reading, &reading->table->keys[i], value);
	}
	if (!is_section(reading->table, path))
		return unknown_key(reading, name, path);
	return read_mapping(reading, value, path);
}

static int read_mapping(struct reading *reading, const yaml_node_t *node, const char *prefix)
{
	int r = 0;

	if (reading->depth == CONFIG_DEPTH_MAX)
		return error_set(reading->err, -E2BIG, "%s:%zu: nested too deeply", reading->path,
				 line_of(node));
	if (node->type == YAML_SCALAR_NODE && !*text_of(node))
		return 0; /* a section with nothing in it */
	if (node->type != YAML_MAPPING_NODE)
		return error_set(reading->err, -EINVAL, "%s:%zu: '%s' must hold keys with values",
				 reading->path, line_of(node), prefix);
	reading->depth++;
	for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
	     r == 0 && pair < node->data.mapping.pairs.top; pair++)
		r = read_pair(reading, node_at(reading, pair->key), node_at(reading, pair->value),
			      prefix);
	reading->depth--;
	return r;
}

static int read_document(const struct config_table *table, const char *path,
			 yaml_document_t *document, void *settings, struct error *err)
{
	cleanup(free) bool *seen = calloc(table->count + 1, sizeof(*seen));
	size_t nodes = 0;
	struct reading reading = {.table = table,
				  .path = path,
				  .document = document,
				  .settings = settings,
				  .seen = seen,
				  .nodes = &nodes,
				  .err = err};
	const yaml_node_t *root = yaml_document_get_root_node(document);
	int r;

	if (!seen)
		return error_set(err, -ENOMEM, "out of memory");
	r = root ? read_mapping(&reading, root, "") : 0;
	return r == 0 ? require_all(&reading, 1) : r;
}

static int parser_error(const yaml_parser_t *parser, const char *path, struct error *err)
{
	size_t line =
		parser->problem_mark.line ? parser->problem_mark.line : parser->context_mark.line;

	return error_set(err, -EINVAL, "%s:%zu: %s", path, line + 1,
			 parser->problem ? parser->problem : "not YAML");
}

static int parse(const struct config_table *table, const char *path, const unsigned char *text,
		 size_t size, void *settings, struct error *err)
{
	yaml_document_t document;
	yaml_parser_t parser;
	int r;

	if (!yaml_parser_initialize(&parser))
		return error_set(err, -ENOMEM, "out of memory");
	yaml_parser_set_input_string(&parser, text, size);
	if (yaml_parser_load(&parser, &document)) {
		r = read_document(table, path, &document, settings, err);
		yaml_document_delete(&document);
	} else {
		r = parser_error(&parser, path, err);
	}
	yaml_parser_delete(&parser);
	return r;
}

static int read_file(const char *path, unsigned char **ret_text, size_t *ret_size,
		     struct error *err)
{
	cleanup(fclose) FILE *stream = fopen(path, "re");
	cleanup(free) unsigned char *text = malloc(CONFIG_FILE_SIZE_MAX + 1);
	size_t size;

	if (!stream)
		return error_set_errno(err, -errno, "%s", path);
	if (!text)
		return error_set(err, -ENOMEM, "out of memory");
	size = fread(text, 1, CONFIG_FILE_SIZE_MAX + 1, stream);
	if (ferror(stream))
		return error_set_errno(err, -EIO, "%s", path);
	if (size > CONFIG_FILE_SIZE_MAX)
		return error_set(err, -E2BIG, "%s: larger than %d bytes", path,
				 CONFIG_FILE_SIZE_MAX);
	*ret_size = size;
	*ret_text = keep(text);
	return 0;
}

int config_load(const struct config_table *table, const char *path, void *ret_settings,
		struct error *err)
{
	cleanup(free) char *settings = calloc(1, table->size);
	cleanup(free) unsigned char *text = NULL;
	size_t size = 0;
	int r;

	if (!settings)
		return error_set(err, -ENOMEM, "out of memory");
	r = path ? read_file(path, &text, &size, err) : 0;
	if (r == 0)
		r = config_value_defaults(table, settings, err);
	if (r == 0 && path)
		r = parse(table, path, text, size, settings, err);
	if (r == 0 && table->check && (r = table->check(settings, err)) < 0)
		r = error_prefix(err, r, "%s", path ? path : "defaults");
	if (r < 0) {
		config_deinit(table, settings);
		return r;
	}
	memcpy(ret_settings, settings, table->size);
	return 0;
}

void config_deinit(const struct config_table *table, void *settings)
{
	for (size_t i = 0; i < table->count; i++)
		config_value_reset(&table->keys[i], (char *)settings + table->keys[i].offset);
}
