#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/* The subcommands of `atom act`, and the arguments that actions have on a command line. */
#include "ctl/command.h"

command_function act_end, act_contain, act_release, act_pause, act_resume, act_snapshot;

/* "10min" into whole seconds, 1 s to 7 days; NULL: ten minutes. False when it is wrong (said). */
bool act_duration(const char *text, int64_t *ret_seconds);
/* "--process"/PID: 1 to UINT32_MAX. False when it is wrong (said). */
bool act_pid(const char *text, int64_t *ret_pid);
/* Arguments of a contain order into its body; `address` and `rate` NULL: none. False when one is
 * wrong (said). */
bool act_fill_contain(json_t *body, const char *peer, const char *address, const char *rate,
		      const char *duration);
