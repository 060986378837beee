/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as QEMU's "info registers -a". */
#include "introspect/registers.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct registers *vcpus = malloc(4 * sizeof(*vcpus)); /* so that sanitizers see its end */
	char *text = fuzz_text(data, size);
	int count;

	assert(vcpus);
	count = registers_parse(text, vcpus, 4, NULL);
	assert(count != 0 && count <= 4);
	free(text);
	free(vcpus);
	return 0;
}
