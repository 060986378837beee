/* SPDX-License-Identifier: Apache-2.0 */
/* atom-vmi isf VM: the symbol file, made in the confined child, packed and written by the parent.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/pack.h"
#include "terminal/terminal.h"
#include "vmi/command.h"
#include "vmi/outfile.h"

#define ISF_SIZE_MAX (UINT64_C(512) << 20)
#define ISF_BUDGET_USEC (60 * USEC_PER_SEC)

static const char help[] =
	"Usage: atom-vmi isf VM --output FILE [--cache DIR] [--no-cache] [--connect URI]\n"
	"Writes a Volatility 3 symbol file of the running kernel, made from the guest's memory: "
	"FILE\n"
	"named *.json.xz is packed, *.json is not (LibVMI reads those).\n";

struct file_writer {
	int fd;
	struct pack *pack; /* NULL: as it is */
	uint64_t taken;
};

static int write_whole(int fd, const uint8_t *bytes, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, bytes, size);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			bytes += n;
			size -= (size_t)n;
		}
	}
	return 0;
}

static int write_packed(void *userdata, const void *bytes, size_t size)
{
	const struct file_writer *writer = userdata;

	return write_whole(writer->fd, bytes, size);
}

static int take_piece(void *userdata, const void *bytes, size_t size)
{
	struct file_writer *writer = userdata;

	writer->taken += size;
	if (writer->taken > ISF_SIZE_MAX)
		return -EFBIG;
	return writer->pack ? pack_write(writer->pack, bytes, size)
			    : write_whole(writer->fd, bytes, size);
}

static bool ends_with(const char *text, const char *end)
{
	size_t size = strlen(text), end_size = strlen(end);

	return size > end_size && strcmp(text + size - end_size, end) == 0;
}

static int fill_file(struct command *command, struct file_writer *writer)
{
	int status;

	command->job.take_data = take_piece;
	command->job.userdata = writer;
	status = command_run(command, NULL);
	command->job.userdata = NULL;
	if (status == EXIT_OK && writer->pack && pack_end(writer->pack) < 0)
		return terminal_fail(EXIT_FAILED, "packing the symbol file failed");
	return status;
}

static int write_file(struct command *command, const char *path)
{
	bool is_packed = ends_with(path, ".xz");
	struct file_writer writer = {0};
	struct error err = ERROR_INIT;
	struct outfile file;
	int status;

	if (outfile_open(path, &file, &err) < 0)
		return terminal_fail(EXIT_FAILED, "%s", err.text);
	writer.fd = file.fd;
	if (is_packed)
		writer.pack = pack_new(write_packed, &writer);
	if (is_packed && !writer.pack)
		status = terminal_fail(EXIT_FAILED, "out of memory");
	else
		status = fill_file(command, &writer);
	pack_free(writer.pack);
	if (status == EXIT_OK && outfile_commit(&file, &err) < 0)
		status = terminal_fail(EXIT_FAILED, "%s", err.text);
	outfile_discard(&file);
	return status;
}

int command_isf(int argc, char **argv)
{
	const char *output = NULL;
	const struct command_option own[] = {{"output", OPTION_VALUE, &output}};
	struct command command = {.help = help,
				  .takes = COMMAND_TAKES_JOB,
				  .own = own,
				  .own_count = 1,
				  .job = {.kind = JOB_SYMBOLS}};
	int status;

	if (!command_parse(&command, argc, argv, &status))
		return status;
	if (!output || (!ends_with(output, ".json.xz") && !ends_with(output, ".json")))
		return terminal_fail(EXIT_USAGE,
				     "--output must name a file that ends in .json.xz or .json");
	if (!command.budget)
		command.job.order.budget_usec = ISF_BUDGET_USEC;
	return write_file(&command, output);
}
