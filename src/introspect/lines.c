/* SPDX-License-Identifier: Apache-2.0 */
#include "introspect/lines.h"

#include <string.h>

bool lines_next(const char **text, char *line, size_t size)
{
	size_t length = strcspn(*text, "\n"), kept = length < size ? length : size - 1;

	if (**text == '\0')
		return false;
	memcpy(line, *text, kept);
	line[kept] = '\0';
	*text += length + ((*text)[length] == '\n');
	return true;
}
