/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/credentials.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* A token goes into a header line: no line end may be in it. */
static int take(const char *text, const char *source, char **ret_token, struct error *err)
{
	size_t size;
	char *token;

	text += strspn(text, " \t\r\n");
	size = strcspn(text, " \t\r\n");
	if (size == 0 || size > CREDENTIALS_SIZE_MAX ||
	    text[size + strspn(text + size, " \t\r\n")] != '\0')
		return error_set(err, -EINVAL, "%s holds no token: one word is expected", source);
	for (size_t i = 0; i < size; i++)
		if (!isgraph((unsigned char)text[i]))
			return error_set(err, -EINVAL,
					 "%s: a token has only printable ASCII characters", source);
	token = strndup(text, size);
	if (!token)
		return error_set(err, -ENOMEM, "out of memory");
	*ret_token = token;
	return 0;
}

static int read_file(const char *path, char **ret_token, struct error *err)
{
	cleanup(fclose) FILE *stream = fopen(path, "re");
	char text[CREDENTIALS_SIZE_MAX + 64];
	size_t size;

	if (!stream)
		return error_set_errno(err, -errno, "%s", path);
	size = fread(text, 1, sizeof(text) - 1, stream);
	if (ferror(stream))
		return error_set_errno(err, -EIO, "%s", path);
	text[size] = '\0';
	return take(text, path, ret_token, err);
}

static int usual_path(char path[PATH_MAX])
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	int length;

	if (config && *config)
		length = snprintf(path, PATH_MAX, "%s/atom/token", config);
	else
		length = home ? snprintf(path, PATH_MAX, "%s/.config/atom/token", home) : -1;
	return length > 0 && length < PATH_MAX ? 0 : -ENOENT;
}

int credentials_find(const char *file, char **ret_token, struct error *err)
{
	const char *text = getenv("ATOM_TOKEN");
	char path[PATH_MAX];
	int r;

	if (file)
		return read_file(file, ret_token, err);
	if (text && *text)
		return take(text, "ATOM_TOKEN", ret_token, err);
	r = usual_path(path);
	if (r == 0)
		r = read_file(path, ret_token, err);
	if (r != -ENOENT && r != -ENOTDIR)
		return r;
	if (err)
		*err = ERROR_INIT;
	*ret_token = NULL;
	return 0;
}
