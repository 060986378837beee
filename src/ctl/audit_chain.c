/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/audit_chain.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

int audit_chain_add(struct audit_chain *chain, int64_t number, const char *record, const char *hash,
		    struct error *err)
{
	char seal[DIGEST_TEXT_SIZE];
	long long wanted = (long long)chain->count + 1;

	if (number != wanted)
		return error_set(err, -EBADMSG, "record %lld is not there: after %lld comes %lld",
				 wanted, wanted - 1, (long long)number);
	if (digest_seal(chain->hash, record, seal) < 0)
		return error_set(err, -EIO, "record %lld: no SHA-256 on this machine", wanted);
	if (strcmp(seal, hash) != 0)
		return error_set(err, -EBADMSG,
				 "record %lld is not what was sealed, or one before it: its seal "
				 "is %.64s, it must be %s",
				 wanted, hash, seal);
	chain->count = number;
	memcpy(chain->hash, seal, sizeof(seal));
	if (chain->expected && strcasecmp(chain->expected, seal) == 0)
		chain->expected_number = number;
	return 0;
}
