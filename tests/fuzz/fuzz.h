#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/* What every target has: the function that libFuzzer and the replay driver call. A target is broken
 * when it crashes, asserts, leaks, or takes long. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy on the heap, so that sanitizers see its end. Returns owned; NULL for no bytes. */
static inline void *fuzz_copy(const void *data, size_t size)
{
	void *copy = size > 0 ? malloc(size) : NULL;

	assert(copy || size == 0);
	return copy ? memcpy(copy, data, size) : NULL;
}

/* The same with a NUL behind. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	assert(text);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	return text;
}
