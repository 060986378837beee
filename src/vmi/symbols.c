/* SPDX-License-Identifier: Apache-2.0 */
/* atom-vmi isf VM: the symbol file, made in the confined child, packed and written by the parent.
 */
#include <errno.h>
#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "terminal/terminal.h"
#include "vmi/command.h"
#include "vmi/outfile.h"

enum { PRESET = 3, OUT_SIZE = 64 << 10 };
#define ISF_SIZE_MAX (UINT64_C(512) << 20)
#define ISF_BUDGET_USEC (60 * USEC_PER_SEC)

static const char help[] =
	"Usage: atom-vmi isf VM --output FILE [--cache DIR] [--no-cache] [--connect URI]\n"
	"Writes a Volatility 3 symbol file of the running kernel, made from the guest's memory: "
	"FILE\n"
	"named *.json.xz is packed, *.json is not (LibVMI reads those).\n";

struct file_writer {
	int fd;
	bool is_packed;
	lzma_stream packer;
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

static int pack(struct file_writer *writer, const void *bytes, size_t size, lzma_action action)
{
	uint8_t packed[OUT_SIZE];
	lzma_ret status = LZMA_OK;

	writer->packer.next_in = bytes;
	writer->packer.avail_in = size;
	while (status == LZMA_OK) {
		int r;

		writer->packer.next_out = packed;
		writer->packer.avail_out = sizeof(packed);
		status = lzma_code(&writer->packer, action);
		r = write_whole(writer->fd, packed, sizeof(packed) - writer->packer.avail_out);
		if (r < 0)
			return r;
		if (action == LZMA_RUN && writer->packer.avail_in == 0)
			break;
	}
	return status == LZMA_OK || status == LZMA_STREAM_END ? 0 : -ENOMEM;
}

static int take_piece(void *userdata, const void *bytes, size_t size)
{
	struct file_writer *writer = userdata;

	writer->taken += size;
	if (writer->taken > ISF_SIZE_MAX)
		return -EFBIG;
	return writer->is_packed ? pack(writer, bytes, size, LZMA_RUN)
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
	if (status == EXIT_OK && writer->is_packed && pack(writer, NULL, 0, LZMA_FINISH) < 0)
		return terminal_fail(EXIT_FAILED, "packing the symbol file failed");
	return status;
}

static int write_file(struct command *command, const char *path)
{
	struct file_writer writer = {.packer = LZMA_STREAM_INIT,
				     .is_packed = ends_with(path, ".xz")};
	struct error err = ERROR_INIT;
	struct outfile file;
	int status = EXIT_FAILED;

	if (outfile_open(path, &file, &err) < 0)
		return terminal_fail(EXIT_FAILED, "%s", err.text);
	writer.fd = file.fd;
	if (!writer.is_packed ||
	    lzma_easy_encoder(&writer.packer, PRESET, LZMA_CHECK_CRC64) == LZMA_OK)
		status = fill_file(command, &writer);
	lzma_end(&writer.packer);
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
