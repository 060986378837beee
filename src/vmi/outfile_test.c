/* SPDX-License-Identifier: Apache-2.0 */
#include "vmi/outfile.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/test.h"

struct world {
	char folder[32], path[64];
};

static void open_world(struct world *world)
{
	*world = (struct world){.folder = "/tmp/atom-outfile-XXXXXX"};
	if (!mkdtemp(world->folder))
		abort();
	(void)snprintf(world->path, sizeof(world->path), "%s/image", world->folder);
}

static size_t count_files(const struct world *world)
{
	DIR *folder = opendir(world->folder);
	size_t count = 0;

	for (const struct dirent *entry; folder && (entry = readdir(folder));)
		count += entry->d_name[0] != '.';
	if (folder)
		(void)closedir(folder);
	return count;
}

static const char *read_text(const struct world *world)
{
	static char text[64];
	FILE *stream = fopen(world->path, "re");

	text[stream ? fread(text, 1, sizeof(text) - 1, stream) : 0] = '\0';
	if (stream)
		(void)fclose(stream);
	return text;
}

/* Whether nothing was left over. */
static bool close_world(struct world *world)
{
	(void)unlink(world->path);
	return rmdir(world->folder) == 0;
}

static void write_out(struct world *world, struct outfile *ret_file, const char *text)
{
	check_int(outfile_open(world->path, ret_file, NULL), 0);
	check_int(write(ret_file->fd, text, strlen(text)), strlen(text));
}

static void test_outfile_is_there_when_it_is_whole(void)
{
	struct outfile file;
	struct world world;
	struct stat status;

	open_world(&world);
	write_out(&world, &file, "first");
	check_string(read_text(&world), "");
	check_int(outfile_commit(&file, NULL), 0);
	outfile_discard(&file);
	check_string(read_text(&world), "first");
	check_int(stat(world.path, &status), 0);
	check_int(status.st_mode & 0777, 0600);
	write_out(&world, &file, "second");
	check_string(read_text(&world), "first");
	check_int(outfile_commit(&file, NULL), 0);
	check_string(read_text(&world), "second");
	check_int(count_files(&world), 1);
	check(close_world(&world));
}

static void test_outfile_that_is_given_up_leaves_nothing(void)
{
	struct outfile file;
	struct world world;

	open_world(&world);
	write_out(&world, &file, "secret");
	outfile_discard(&file);
	check_int(count_files(&world), 0);
	check(close_world(&world));
}

/* As when we are killed: only the descriptor is closed. */
static void test_outfile_of_who_was_killed_leaves_nothing(void)
{
	struct outfile file;
	struct world world;
	bool has_name;

	open_world(&world);
	write_out(&world, &file, "secret");
	has_name = *file.fresh != '\0';
	if (has_name)
		outfile_discard(&file);
	else
		(void)close(file.fd);
	check_int(count_files(&world), 0);
	check(close_world(&world));
	if (has_name)
		test_skip("this file system has no files without a name");
}

static void test_outfile_refuses_what_is_no_file(void)
{
	struct outfile file;

	check_int(outfile_open("/dev/null", &file, NULL), -EINVAL);
	check_int(outfile_open("/nowhere/at/all", &file, NULL), -ENOENT);
}

TEST_MAIN(TEST(test_outfile_is_there_when_it_is_whole),
	  TEST(test_outfile_that_is_given_up_leaves_nothing),
	  TEST(test_outfile_of_who_was_killed_leaves_nothing),
	  TEST(test_outfile_refuses_what_is_no_file))
