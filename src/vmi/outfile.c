/* SPDX-License-Identifier: Apache-2.0 */
#include "vmi/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TRIES = 16 };

/* A file without a name, of which nothing is left whoever ends us when. Not on every file system.
 */
static int open_nameless(const char *path)
{
	char copy[OUTFILE_PATH_SIZE];

	(void)snprintf(copy, sizeof(copy), "%s", path);
	return open(dirname(copy), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

int outfile_open(const char *path, struct outfile *ret_file, struct error *err)
{
	struct outfile file = {.fresh = ""};
	struct stat status;

	if (stat(path, &status) == 0 && !S_ISREG(status.st_mode))
		return error_set(err, -EINVAL, "%s is there and is no regular file", path);
	if (snprintf(file.path, sizeof(file.path), "%s", path) >= (int)sizeof(file.path))
		return error_set(err, -ENAMETOOLONG, "the name of the output is too long");
	file.fd = open_nameless(file.path);
	if (file.fd < 0) {
		(void)snprintf(file.fresh, sizeof(file.fresh), "%s.part-XXXXXX", file.path);
		file.fd = mkostemp(file.fresh, O_CLOEXEC); /* mode 0600 */
	}
	if (file.fd < 0)
		return error_set_errno(err, -errno, "%s", path);
	*ret_file = file;
	return 0;
}

/* The random end of a name, as mkostemp() makes it. */
static int choose_name(struct outfile *file)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz012345";
	unsigned char bytes[6];
	char end[sizeof(bytes) + 1] = "";

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return -EIO;
	for (size_t i = 0; i < sizeof(bytes); i++)
		end[i] = letters[bytes[i] % 32];
	(void)snprintf(file->fresh, sizeof(file->fresh), "%s.part-%s", file->path, end);
	return 0;
}

/* Gives a nameless file its name, or where that is another's one to be renamed from. */
static int give_name(struct outfile *file)
{
	char self[64];
	const char *name = file->path;

	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", file->fd);
	for (int i = 0; i < TRIES; i++) {
		int r;

		if (linkat(AT_FDCWD, self, AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0) {
			if (name == file->path)
				file->fresh[0] = '\0';
			return 0;
		}
		if (errno != EEXIST)
			return -errno;
		r = choose_name(file);
		if (r < 0)
			return r;
		name = file->fresh;
	}
	return -EEXIST;
}

int outfile_commit(struct outfile *file, struct error *err)
{
	bool is_nameless = !*file->fresh;
	int r = fsync(file->fd) < 0 ? -errno : 0;

	if (r == 0 && is_nameless)
		r = give_name(file);
	if (r < 0 && is_nameless)
		file->fresh[0] = '\0';
	if (close(file->fd) < 0 && r == 0)
		r = -errno;
	file->fd = -1;
	if (r == 0 && *file->fresh && rename(file->fresh, file->path) < 0)
		r = -errno;
	if (r == 0)
		return 0;
	if (*file->fresh)
		(void)unlink(file->fresh); /* half a file is of no use */
	return error_set_errno(err, r, "%s", file->path);
}

void outfile_discard(struct outfile *file)
{
	if (file->fd < 0)
		return;
	(void)close(file->fd);
	if (*file->fresh)
		(void)unlink(file->fresh);
	file->fd = -1;
}
