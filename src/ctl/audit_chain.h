#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The check of the audit log, record by record: numbers without a hole, and each seal right for the
 * seal before it (digest/digest.h). Pure. One owner.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "digest/digest.h"

struct audit_chain {
	int64_t count;               /* records so far; the last one's number */
	char hash[DIGEST_TEXT_SIZE]; /* of the last one; "" before the first */
	const char *expected;        /* a hash that was noted earlier, or NULL; borrowed */
	int64_t expected_number;     /* of the record that has it; 0: not seen so far */
};

/* Begin with {0}, or {.expected = hash}. -EBADMSG, with the record that is wrong; -EIO. */
int audit_chain_add(struct audit_chain *chain, int64_t number, const char *record, const char *hash,
		    struct error *err);
