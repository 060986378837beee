/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/audit.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "controller/api.h"

int audit_init(struct audit *audit, struct store *store, struct error *err)
{
	*audit = (struct audit){.store = store};
	return store_last_audit(store, &audit->number, audit->seal, sizeof(audit->seal), err);
}

static int append(struct audit *audit, const char *text, struct error *err)
{
	struct audit next = *audit;
	int r = digest_seal(audit->seal, text, next.seal);

	next.number++;
	if (r < 0)
		return error_set(err, r, "the audit's record could not be sealed");
	r = store_append_audit(audit->store, next.number, clock_wall_usec(), text, next.seal, err);
	if (r < 0)
		return r;
	*audit = next;
	log_info("audit %lld, seal %s: %s", (long long)audit->number, audit->seal, text);
	return 0;
}

int audit_append(struct audit *audit, json_t *record, struct error *err)
{
	cleanup(free) char *text = NULL;

	if (record && json_object_set_new(record, "time", api_time(clock_wall_usec())) == 0)
		text = json_dumps(record, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(record);
	return text ? append(audit, text, err) : error_set(err, -ENOMEM, "out of memory");
}
