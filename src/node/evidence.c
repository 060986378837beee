/* SPDX-License-Identifier: Apache-2.0 */
#include "node/evidence.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"

DEFINE_CLEANUP(DIR *, closedir)

static size_t remove_leftover(int folder, const char *path, const char *name)
{
	struct stat status;

	if (fnmatch("evidence-*.lime.part-??????", name, 0) != 0 ||
	    fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(status.st_mode))
		return 0;
	if (unlinkat(folder, name, 0) < 0) {
		log_warning("%s/%s, a part of a snapshot, is left: %s", path, name,
			    strerror(errno));
		return 0;
	}
	log_info("%s/%s, a part of a snapshot that was ended, is deleted", path, name);
	return 1;
}

size_t evidence_sweep(const char *folder)
{
	cleanup(closedir) DIR *stream = opendir(folder);
	const struct dirent *entry;
	size_t count = 0;

	while (stream && (entry = readdir(stream)))
		count += remove_leftover(dirfd(stream), folder, entry->d_name);
	return count;
}
