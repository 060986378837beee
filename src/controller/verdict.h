#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What people say of an alarm: notes and verdicts (paper V). Each is on the disk, with its record
 * in the audit, before it has an effect and before it is answered; where that fails it has not been
 * said. On the loop's thread.
 */
#include "controller/alarm.h"

struct controller;

/* `project` is whose person says it, "" nobody's in particular: who may read the words. */

/* Errors of alarm_note(), and those of the store. */
int verdict_note(struct controller *controller, struct alarm *alarm, const char *by,
		 const char *project, const char *text, struct error *err);

/* The rows of one that is normal are merged into M: those of A while it is open, those in the store
 * when it is over. What rules have announced for it is not done then. Errors of alarm_judge(), and
 * those of the store. */
int verdict_give(struct controller *controller, struct alarm *alarm, enum alarm_state verdict,
		 const char *by, const char *project, const char *note, struct error *err);
