#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as hexadecimal digits, two lower-case ones each. Pure; any thread. */
#include <stddef.h>
#include <stdint.h>

/* `ret_text` has 2 * size bytes, and one for the end of the text. Returns it. */
char *hex_write(const void *bytes, size_t size, char *ret_text);

/* The bytes of 2 * size digits, as hex_write() writes them. -EINVAL: something else is among them;
 * then some of ret_bytes are written. */
int hex_read(const char *digits, size_t size, uint8_t *ret_bytes);
