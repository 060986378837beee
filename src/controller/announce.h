#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens to alarms becomes alerts for the outbox: the events that receivers may want to know,
 * each with the alarm as it is when it is told. Embedded in the controller; on the loop's thread.
 */
#include <stddef.h>
#include <stdint.h>

#include "metric/metric.h"

enum { ANNOUNCEMENTS_MAX = 256 /* between two tellings */, ANNOUNCEMENT_TEXT_SIZE = 512 };

struct controller;

struct announcements {
	struct announcement {
		int64_t alarm;
		const char *event;          /* of the receivers' words */
		char vm[VM_UUID_TEXT_SIZE]; /* that the text speaks of; "": none or several */
		char text[ANNOUNCEMENT_TEXT_SIZE];
	} list[ANNOUNCEMENTS_MAX];
	size_t count;
};

/* history_listener; `userdata` is the controller's announcements. */
void announce_hear(void *userdata, int64_t alarm, const char *event, const char *vm,
		   const char *text);

/* Offers what was heard to the outbox. Not within a transaction of the store. */
void announce_tell(struct controller *controller);
/* Has the outbox send what is due. To be called now and then. */
void announce_follow(struct controller *controller);
