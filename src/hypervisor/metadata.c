/* SPDX-License-Identifier: Apache-2.0 */
#include "hypervisor/metadata.h"

#include <ctype.h>
#include <string.h>

/* The content of the element whose tag begins at `tag` (behind '<'), or NULL when it is another
 * one. */
static const char *content_of(const char *tag, const char *element)
{
	size_t name = strcspn(tag, " \t\r\n/>"), length = strlen(element);
	const char *colon = memchr(tag, ':', name);
	const char *local = colon ? colon + 1 : tag;
	const char *end = strchr(tag, '>');

	if ((size_t)(tag + name - local) != length || strncmp(local, element, length) != 0)
		return NULL;
	return end && end[-1] != '/' ? end + 1 : NULL;
}

static const char *find_content(const char *xml, const char *element)
{
	for (const char *tag = strchr(xml, '<'); tag; tag = strchr(tag, '<')) {
		const char *content = content_of(++tag, element);

		if (content)
			return content;
	}
	return NULL;
}

/* One character of text, an entity counts as one; returns where the next begins. */
static const char *take_character(const char *text, char *ret_character)
{
	static const struct {
		const char *name;
		char character;
	} entities[] = {
		{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};

	for (size_t i = 0; *text == '&' && i < sizeof(entities) / sizeof(entities[0]); i++) {
		size_t length = strlen(entities[i].name);

		if (strncmp(text, entities[i].name, length) != 0)
			continue;
		*ret_character = entities[i].character;
		return text + length;
	}
	*ret_character = *text;
	return text + 1;
}

bool metadata_element(const char *xml, const char *element, char *ret_text, size_t capacity)
{
	const char *text = find_content(xml, element);
	size_t used = 0;

	if (!text)
		return false;
	while (isspace((unsigned char)*text))
		text++;
	while (*text && *text != '<' && used + 1 < capacity)
		text = take_character(text, &ret_text[used++]);
	while (used > 0 && isspace((unsigned char)ret_text[used - 1]))
		used--;
	ret_text[used] = '\0';
	return true;
}
