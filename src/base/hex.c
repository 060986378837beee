/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hex.h"

#include <errno.h>

static const char digits_of[] = "0123456789abcdef";

char *hex_write(const void *bytes, size_t size, char *ret_text)
{
	const uint8_t *from = bytes;

	for (size_t i = 0; i < size; i++) {
		ret_text[2 * i] = digits_of[from[i] >> 4];
		ret_text[2 * i + 1] = digits_of[from[i] & 15];
	}
	ret_text[2 * size] = '\0';
	return ret_text;
}

static int value_of(char digit)
{
	for (int i = 0; i < 16; i++)
		if (digits_of[i] == digit)
			return i;
	return -EINVAL;
}

int hex_read(const char *digits, size_t size, uint8_t *ret_bytes)
{
	for (size_t i = 0; i < size; i++) {
		int high = value_of(digits[2 * i]), low = value_of(digits[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		ret_bytes[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}
