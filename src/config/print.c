/* SPDX-License-Identifier: Apache-2.0 */
/* What --help-config and the reference page say, made from the table that validates. */
#include <string.h>

#include "config/config.h"

static const char *type_name(enum config_type type)
{
	switch (type) {
	case CONFIG_STRING:
		return "text";
	case CONFIG_INTEGER:
		return "whole number";
	case CONFIG_NUMBER:
		return "number";
	case CONFIG_BOOLEAN:
		return "true or false";
	case CONFIG_DURATION:
		return "duration";
	case CONFIG_CHOICE:
		return "choice";
	case CONFIG_STRINGS:
		return "list of texts";
	case CONFIG_NUMBERS:
		return "names with numbers";
	case CONFIG_RECORDS:
		return "list of records";
	}
	return "?";
}

static void print_type(const struct config_key *key, FILE *stream)
{
	(void)fputs(type_name(key->type), stream);
	if (key->choices)
		(void)fprintf(stream, " (%s)", key->choices);
	if (key->minimum != 0 || key->maximum != 0)
		(void)fprintf(stream, ", %.15g to %.15g%s", key->minimum, key->maximum,
			      key->type == CONFIG_DURATION ? " s" : "");
	if (key->unit)
		(void)fprintf(stream, " %s", key->unit);
}

static const char *default_text(const struct config_key *key)
{
	if (!key->fallback)
		return "required";
	if (*key->fallback)
		return key->fallback;
	return key->type == CONFIG_STRING ? "\"\"" : "none";
}

static void print_keys(const struct config_table *table, const char *indent, FILE *stream)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct config_key *key = &table->keys[i];

		(void)fprintf(stream, "%s%s\n%s    ", indent, key->name, indent);
		print_type(key, stream);
		(void)fprintf(stream, "; default: %s\n%s    %s\n", default_text(key), indent,
			      key->help);
		if (key->type == CONFIG_RECORDS)
			print_keys(key->record, "      ", stream);
	}
}

void config_print_help(const struct config_table *table, FILE *stream)
{
	(void)fprintf(stream, "Keys of %s (dots are levels of YAML):\n\n", table->title);
	print_keys(table, "  ", stream);
}

/* "a|b" as a cell of a Markdown table. */
static void print_escaped(const char *text, FILE *stream)
{
	for (; *text; text++) {
		if (*text == '|')
			(void)fputc('\\', stream);
		(void)fputc(*text, stream);
	}
}

static void print_rows(const struct config_table *table, const char *prefix, FILE *stream)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct config_key *key = &table->keys[i];

		(void)fprintf(stream, "| `%s%s` | %s", prefix, key->name, type_name(key->type));
		if (key->choices) {
			(void)fputs(" (", stream);
			print_escaped(key->choices, stream);
			(void)fputc(')', stream);
		}
		if (key->minimum != 0 || key->maximum != 0)
			(void)fprintf(stream, ", %.15g to %.15g%s", key->minimum, key->maximum,
				      key->type == CONFIG_DURATION ? " s" : "");
		(void)fprintf(stream, "%s%s | `%s` | ", key->unit ? " " : "",
			      key->unit ? key->unit : "", default_text(key));
		print_escaped(key->help, stream);
		(void)fputs(" |\n", stream);
		if (key->type == CONFIG_RECORDS)
			print_rows(key->record, "- ", stream);
	}
}

void config_print_reference(const struct config_table *table, FILE *stream)
{
	(void)fprintf(
		stream,
		"# %s\n\nMade from the table of keys that the program validates with. Dots are "
		"levels of YAML.\n\n| key | type and range | default | meaning |\n"
		"|---|---|---|---|\n",
		table->title);
	print_rows(table, "", stream);
}
