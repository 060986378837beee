#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 (FIPS 180-4) as lower-case hexadecimal text, and the seal of a record in a chain of them.
 * No state; any thread. Both return 0, or -EIO where libcrypto cannot (out of memory, or a policy
 * of this machine without SHA-256).
 */
#include <stddef.h>

/* 64 hexadecimal digits and the end of the text. */
enum { DIGEST_TEXT_SIZE = 65 };

/* `data` may be NULL where size is 0. */
int digest_text(const void *data, size_t size, char ret_hex[DIGEST_TEXT_SIZE]);

/* The seal of a record that follows the one sealed `previous` ("" for the first): SHA-256 over
 * previous, a newline, the text. `ret_hex` may be the array that holds `previous`. */
int digest_seal(const char *previous, const char *text, char ret_hex[DIGEST_TEXT_SIZE]);
