/* SPDX-License-Identifier: Apache-2.0 */
#include "vmi/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int outfile_open(const char *path, struct outfile *ret_file, struct error *err)
{
	struct outfile file;
	struct stat status;

	if (stat(path, &status) == 0 && !S_ISREG(status.st_mode))
		return error_set(err, -EINVAL, "%s is there and is no regular file", path);
	if (snprintf(file.path, sizeof(file.path), "%s", path) >= (int)sizeof(file.path))
		return error_set(err, -ENAMETOOLONG, "the name of the output is too long");
	(void)snprintf(file.fresh, sizeof(file.fresh), "%s.XXXXXX", file.path);
	file.fd = mkostemp(file.fresh, O_CLOEXEC); /* mode 0600 */
	if (file.fd < 0)
		return error_set_errno(err, -errno, "%s", path);
	*ret_file = file;
	return 0;
}

int outfile_commit(struct outfile *file, struct error *err)
{
	int r = fsync(file->fd) < 0 ? -errno : 0;

	if (close(file->fd) < 0 && r == 0)
		r = -errno;
	file->fd = -1;
	if (r == 0 && rename(file->fresh, file->path) < 0)
		r = -errno;
	if (r == 0)
		return 0;
	(void)unlink(file->fresh); /* half a file is of no use */
	return error_set_errno(err, r, "%s", file->path);
}

void outfile_discard(struct outfile *file)
{
	if (file->fd < 0)
		return;
	(void)close(file->fd);
	(void)unlink(file->fresh);
	file->fd = -1;
}
