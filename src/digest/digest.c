/* SPDX-License-Identifier: Apache-2.0 */
#include "digest/digest.h"

#include <assert.h>
#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/hex.h"

enum { DIGEST_SIZE = (DIGEST_TEXT_SIZE - 1) / 2 };

DEFINE_CLEANUP(EVP_MD_CTX *, EVP_MD_CTX_free)

struct part {
	const void *data;
	size_t size;
};

static int digest_parts(const struct part *parts, size_t count, char ret_hex[DIGEST_TEXT_SIZE])
{
	cleanup(EVP_MD_CTX_free) EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned char bytes[EVP_MAX_MD_SIZE];
	unsigned int size = 0;

	if (!context || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1)
		return -EIO;
	for (size_t i = 0; i < count; i++)
		if (EVP_DigestUpdate(context, parts[i].data, parts[i].size) != 1)
			return -EIO;
	if (EVP_DigestFinal_ex(context, bytes, &size) != 1)
		return -EIO;
	assert(size == DIGEST_SIZE);
	(void)hex_write(bytes, DIGEST_SIZE, ret_hex);
	return 0;
}

int digest_text(const void *data, size_t size, char ret_hex[DIGEST_TEXT_SIZE])
{
	struct part part = {size > 0 ? data : "", size};

	return digest_parts(&part, 1, ret_hex);
}

int digest_seal(const char *previous, const char *text, char ret_hex[DIGEST_TEXT_SIZE])
{
	const struct part parts[] = {{previous, strlen(previous)}, {"\n", 1}, {text, strlen(text)}};

	return digest_parts(parts, sizeof(parts) / sizeof(parts[0]), ret_hex);
}
