/* SPDX-License-Identifier: Apache-2.0 */
/* atom-vmi snapshot VM: saves the guest's memory. Nothing of it is parsed, so there is no child. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "introspect/dump.h"
#include "terminal/terminal.h"
#include "vmi/command.h"
#include "vmi/outfile.h"
#include "vmi/pause.h"

enum { PIECE = 1 << 20, PAGE = 4096 };

/* After so many bytes it is looked again whether there is room. */
#define CHECK_EVERY (UINT64_C(64) << 20)
#define KEEP_FREE_DEFAULT (UINT64_C(1) << 30)

struct copy {
	struct memory *memory;
	int fd;
	bool is_raw;
	uint64_t keep_free; /* bytes of the file system */
	uint64_t unchecked; /* bytes written since the last look */
};

static const char help[] =
	"Usage: atom-vmi snapshot VM --output FILE [--raw] [--pause] [--keep-free BYTES] "
	"[--connect URI]\n"
	"Saves the guest's memory as a LiME image, which Volatility 3 and 'atom-vmi --dump' open; "
	"with\n"
	"--raw as a plain one, in which a byte's place is its guest-physical address. The guest "
	"runs on\n"
	"meanwhile, so that what changes is torn, unless --pause is given. It is given up where "
	"less than\n"
	"--keep-free (1073741824) bytes would stay free beside FILE.\n";

static int write_at(int fd, const uint8_t *bytes, size_t size, uint64_t at)
{
	while (size > 0) {
		ssize_t n = pwrite(fd, bytes, size, (off_t)at);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			bytes += n;
			size -= (size_t)n;
			at += (uint64_t)n;
		}
	}
	return 0;
}

/* -ENOSPC: there is not enough room for what is written until the next look. */
static int check_room(struct copy *copy, struct error *err)
{
	struct statvfs space;
	uint64_t bytes;

	copy->unchecked = 0;
	if (fstatvfs(copy->fd, &space) < 0)
		return error_set_errno(err, -errno, "the room for the snapshot");
	bytes = (uint64_t)space.f_bavail * space.f_frsize;
	if (bytes < CHECK_EVERY || bytes - CHECK_EVERY < copy->keep_free)
		return error_set(err, -ENOSPC,
				 "only %" PRIu64 " MiB are free there, and %" PRIu64
				 " are to stay free (--keep-free)",
				 bytes >> 20, copy->keep_free >> 20);
	return 0;
}

/* Pages of zeros become holes of the file. */
static int write_sparse(struct copy *copy, const uint8_t *bytes, size_t size, uint64_t at)
{
	static const uint8_t zeros[PAGE];

	for (size_t i = 0; i < size; i += PAGE) {
		size_t part = size - i < PAGE ? size - i : PAGE;
		int r;

		if (memcmp(bytes + i, zeros, part) == 0)
			continue;
		r = write_at(copy->fd, bytes + i, part, at + i);
		if (r < 0)
			return r;
		copy->unchecked += part;
	}
	return 0;
}

static int copy_block(struct copy *copy, uint64_t gpa, uint64_t size, uint64_t at,
		      struct error *err)
{
	cleanup(free) uint8_t *piece = malloc(PIECE);

	if (!piece)
		return error_set_errno(err, -ENOMEM, "snapshot");
	for (uint64_t done = 0; done < size; done += PIECE) {
		size_t part = size - done < PIECE ? (size_t)(size - done) : PIECE;
		int r = memory_read_through(copy->memory, gpa + done, piece, part);

		if (r < 0)
			return error_set_errno(err, r, "reading guest memory at 0x%" PRIx64,
					       gpa + done);
		r = write_sparse(copy, piece, part, at + done);
		if (r < 0)
			return error_set_errno(err, r, "writing the snapshot");
		/* one piece more than that may be written */
		r = copy->unchecked >= CHECK_EVERY - PIECE ? check_room(copy, err) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

static int copy_all(struct copy *copy, uint64_t *ret_size, struct error *err)
{
	uint64_t gpa, size, at = 0;
	int r = check_room(copy, err);

	for (size_t i = 0; r == 0 && memory_block(copy->memory, i, &gpa, &size); i++) {
		uint8_t header[DUMP_LIME_HEADER_SIZE];

		if (copy->is_raw) {
			at = gpa;
		} else {
			dump_lime_header(gpa, size, header);
			r = write_at(copy->fd, header, sizeof(header), at);
			at += sizeof(header);
		}
		if (r < 0)
			return error_set_errno(err, r, "writing the snapshot");
		r = copy_block(copy, gpa, size, at, err);
		at += size;
	}
	if (r < 0)
		return r;
	*ret_size = at;
	return ftruncate(copy->fd, (off_t)at) < 0
		       ? error_set_errno(err, -errno, "writing the snapshot")
		       : 0;
}

static int copy_paused(struct target *target, struct copy *copy, uint64_t *ret_size,
		       struct error *err)
{
	struct pause pause = {.target = target};
	struct error resume_err = ERROR_INIT;
	int resumed, r = pause_begin(&pause, err);
	bool was_paused = r == -EALREADY;

	if (r < 0 && !was_paused)
		return r;
	r = copy_all(copy, ret_size, err);
	resumed = was_paused ? 0 : pause_end(&pause, &resume_err);
	pause_deinit(&pause);
	return resumed < 0 ? error_set(err, resumed, "the VM is left paused: %s", resume_err.text)
			   : r;
}

static int save(const struct target_options *options, const char *path, struct copy *copy,
		bool pause)
{
	struct error err = ERROR_INIT;
	struct outfile file;
	struct target target;
	uint64_t size = 0;
	int64_t started_usec;
	int r = target_open(options, &target, &err);

	if (r < 0)
		return terminal_fail(EXIT_FAILED, "%s", error_text(&err, r));
	started_usec = clock_mono_usec();
	r = outfile_open(path, &file, &err);
	if (r == 0) {
		copy->memory = target.memory;
		copy->fd = file.fd;
		r = pause ? copy_paused(&target, copy, &size, &err) : copy_all(copy, &size, &err);
		if (r == 0)
			r = outfile_commit(&file, &err);
		outfile_discard(&file);
	}
	target_close(&target);
	if (r < 0)
		return terminal_fail(EXIT_FAILED, "%s", error_text(&err, r));
	printf("%s: %" PRIu64 " MiB in %.2f s, the VM %s\n", path, size >> 20,
	       (double)(clock_mono_usec() - started_usec) / (double)USEC_PER_SEC,
	       pause ? "paused" : "running");
	return EXIT_OK;
}

int command_snapshot(int argc, char **argv)
{
	const char *output = NULL, *keep_free = NULL;
	struct copy copy = {.keep_free = KEEP_FREE_DEFAULT};
	bool pause = false;
	const struct command_option own[] = {{"output", OPTION_VALUE, &output},
					     {"raw", OPTION_FLAG, &copy.is_raw},
					     {"pause", OPTION_FLAG, &pause},
					     {"keep-free", OPTION_VALUE, &keep_free}};
	struct command command = {.help = help, .own = own, .own_count = 4};
	int status;

	if (!command_parse(&command, argc, argv, &status))
		return status;
	if (!output)
		return terminal_fail(EXIT_USAGE, "--output must name the file");
	if (command.target.dump)
		return terminal_fail(EXIT_USAGE, "a dump is a snapshot already");
	if (keep_free && !options_number("keep-free", keep_free, 0, INT64_MAX, &copy.keep_free))
		return EXIT_USAGE;
	return save(&command.target, output, &copy, pause);
}
