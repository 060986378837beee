/* SPDX-License-Identifier: Apache-2.0 */
/* CSV files, packed and not: what is read has columns that are told apart, and no more rows than
 * bytes came out of the file. */
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/csv.h"
#include "base/unpack.h"
#include "fuzz.h"

DEFINE_CLEANUP(struct csv *, csv_free)
DEFINE_CLEANUP(struct unpack *, unpack_free)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup(close) int fd = memfd_create("csv", MFD_CLOEXEC);
	cleanup(csv_free) struct csv *csv = NULL;
	cleanup(unpack_free) struct unpack *unpack = NULL;
	struct error err = ERROR_INIT;
	char path[32], bytes[4096];
	size_t total = 0;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	if (csv_read(path, &csv, &err) < 0) {
		assert(err.code < 0 && *err.text);
		return 0;
	}
	assert(unpack_open(path, CSV_FILE_SIZE_MAX, &unpack, NULL) == 0);
	while ((n = unpack_read(unpack, bytes, sizeof(bytes), NULL)) > 0)
		total += (size_t)n;
	assert(n == 0 && csv->columns > 0 && csv->rows * csv->columns <= total);
	for (size_t i = 0; i < csv->columns; i++)
		assert(csv_find(csv, csv->names[i]) == (long)i);
	return 0;
}
