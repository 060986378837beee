/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "vmi/view.h"

int view_top(struct session *session, struct error *err)
{
	return error_set(err, -ENOSYS, "later");
}
