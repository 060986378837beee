#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/* The subcommands of `atom alarm`, one file each, and what they share. */
#include "ctl/command.h"
#include "terminal/table.h"

command_function alarm_show, alarm_note, alarm_normal, alarm_malicious, alarm_watch;

/* Gets the alarm that `number` names, or with `part` ("/notes") answers of a POST to it. Returns
 * owned, NULL when it failed (said). */
json_t *alarm_get(int64_t number);
json_t *alarm_post(int64_t number, const char *part, const json_t *body);

/* The colour of an event of an alarm's history. */
enum terminal_style alarm_style_of(const char *event);
