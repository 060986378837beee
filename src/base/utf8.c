/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Characters that are not seen but move others: marks and embeddings of direction, separators of
 * lines, joiners of zero width (Unicode 15, general categories Cf, Zl, Zp). */
static bool is_formatting(uint32_t code)
{
	return (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
	       (code >= 0x2060 && code <= 0x206f) || code == 0x061c || code == 0xfeff ||
	       (code >= 0xfff9 && code <= 0xfffb);
}

/* The code of the character and its length; 0 when it is no valid UTF-8, or the end. */
static size_t decode(const char *text, uint32_t *ret_code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *c = (const unsigned char *)text;
	uint32_t code = c[0];
	size_t length;

	*ret_code = code;
	if (c[0] < 0x80)
		return c[0] != 0;
	if (c[0] < 0xc2 || c[0] > 0xf4)
		return 0;
	length = c[0] >= 0xf0 ? 4 : c[0] >= 0xe0 ? 3 : 2;
	code &= 0xffu >> (length + 1);
	for (size_t i = 1; i < length; i++) {
		if ((c[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (c[i] & 0x3f);
	}
	*ret_code = code;
	return code < least[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)
		       ? 0
		       : length;
}

size_t utf8_length(const char *text)
{
	uint32_t code;

	return decode(text, &code);
}

size_t utf8_printable_length(const char *text)
{
	uint32_t code;
	size_t length = decode(text, &code);
	bool is_control = code < ' ' || (code >= 0x7f && code < 0xa0); /* of both sets */

	return is_control || is_formatting(code) ? 0 : length;
}

/* Whether the text, which is no character, is the first bytes of one. */
static bool is_cut(const char *text)
{
	unsigned char lead = (unsigned char)text[0];
	size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2, i = 1;

	while (i < length && ((unsigned char)text[i] & 0xc0) == 0x80)
		i++;
	return lead >= 0xc2 && lead <= 0xf4 && i < length && !text[i];
}

char *utf8_mend(char *text)
{
	char *to = text;
	bool is_marked = false; /* the run of bytes that make no character */

	for (const char *from = text; *from;) {
		size_t length = utf8_length(from);

		if (length == 0 && is_cut(from))
			break;
		if (length == 0 && !is_marked)
			*to++ = '?';
		is_marked = length == 0;
		for (size_t i = 0; i < length; i++)
			*to++ = from[i];
		from += length > 0 ? length : 1;
	}
	*to = '\0';
	return text;
}

char *utf8_print(char *ret_text, size_t size, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(ret_text, size, format, arguments);
	va_end(arguments);
	return utf8_mend(ret_text);
}
