#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit: who did what to which VM or alarm, when, why, and with what result. Records are JSON
 * texts in the store, numbered without a hole, each sealed over the one before it, so that one that
 * was changed or removed shows. The head's seal is logged with each record: whoever keeps the log
 * elsewhere can tell too that the newest ones were cut off. Embedded; on the loop's thread.
 */
#include <jansson.h>
#include <stdint.h>

#include "digest/digest.h"
#include "store/store.h"

struct audit {
	struct store *store;
	int64_t number; /* of the newest record, 0: none */
	char seal[DIGEST_TEXT_SIZE];
};

/* Reads where the chain ends. */
int audit_init(struct audit *audit, struct store *store, struct error *err);

/* Within a transaction of the caller's, who puts `audit` back to what it was when it fails. Takes
 * `record`, an object; adds its time. */
int audit_append(struct audit *audit, json_t *record, struct error *err);
