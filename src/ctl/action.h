#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An action of the API (docs/http-api.md) as people read it, and the wait for its end. The JSON is
 * what atomd answered; whatever of it is missing or of another type is shown as unknown.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* "end process 214 (ab) of vm2", "contain 10.0.0.9 at vm2, for 10 min, ...". `arguments` are the
 * action's, or an order's own members. Returns owned, NULL when memory is out. */
char *action_describe(const char *kind, const char *vm, const json_t *arguments);
/* "10 min", "2 h", "90 s"; into text of NUMBER_SIZE bytes. */
const char *action_duration(int64_t seconds, char *text);

/* Nothing more will come of it but a verification. */
bool action_is_over(const json_t *action);
bool action_is_done(const json_t *action);

/* Actions, one a row; with the alarm that each belongs to where that is asked for. */
void action_print_list(const json_t *actions, bool with_alarm);
/* One with its times, its result and its report. */
void action_print(const json_t *action);
/* "action 12: end process 214 (ab) of vm2: done", and what came of it. */
void action_print_result(const json_t *action);
/* What a dry run says: whether it could be done, and each word, rule or file that it would write.
 */
void action_print_rehearsal(const json_t *action);

/* Member `key` of the one row of a table of the action's report, or NULL. */
const json_t *action_report_value(const json_t *action, const char *table, const char *key);

typedef bool action_test(const json_t *action);

/* Asks until `test` holds, or so much time has passed: then what it was like last. A controller
 * that is not reachable meanwhile may come back. Owned; NULL when nothing was heard or it is
 * refused (said). */
json_t *action_wait(int64_t id, action_test *test, int64_t timeout_usec);
