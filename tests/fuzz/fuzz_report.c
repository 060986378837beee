/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever decodes must encode again, and then mean the same. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "wire/report.h"

DEFINE_CLEANUP(struct report *, report_free)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup(report_free) struct report *report = NULL;
	cleanup(report_free) struct report *again = NULL;
	cleanup(free) uint8_t *bytes = NULL;
	cleanup(free) uint8_t *bytes_again = NULL;
	size_t bytes_size = 0, again_size = 0;

	if (report_decode(data, size, &report, NULL) < 0)
		return 0;
	assert(report_encode(report, &bytes, &bytes_size, NULL) == 0);
	assert(report_decode(bytes, bytes_size, &again, NULL) == 0);
	assert(report_encode(again, &bytes_again, &again_size, NULL) == 0);
	assert(again_size == bytes_size && memcmp(bytes, bytes_again, bytes_size) == 0);
	return 0;
}
