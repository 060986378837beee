/* SPDX-License-Identifier: Apache-2.0 */
/* Alarms that a receiver has not been told of because they have not reached its min_level. */
#include <string.h>

#include "notify/outbox_internal.h"

static size_t position_of(const struct outbox_recipient *recipient, int64_t alarm)
{
	size_t i = 0;

	while (i < recipient->held_count && recipient->held[i] != alarm)
		i++;
	return i;
}

static void remove_at(struct outbox_recipient *recipient, size_t position)
{
	recipient->held_count--;
	memmove(recipient->held + position, recipient->held + position + 1,
		(recipient->held_count - position) * sizeof(*recipient->held));
}

void outbox_hold(struct outbox_recipient *recipient, int64_t alarm)
{
	if (position_of(recipient, alarm) < recipient->held_count)
		return;
	if (recipient->held_count == OUTBOX_HELD_MAX)
		remove_at(recipient, 0);
	recipient->held[recipient->held_count++] = alarm;
}

bool outbox_release(struct outbox_recipient *recipient, int64_t alarm)
{
	size_t position = position_of(recipient, alarm);

	if (position == recipient->held_count)
		return false;
	remove_at(recipient, position);
	return true;
}
