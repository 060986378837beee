/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>

#include "store/store_internal.h"

int store_put_action(struct store *store, const struct store_action *action, struct error *err)
{
	sqlite3_stmt *statement = store_statement(store, STATEMENT_PUT_ACTION);

	assert(action->id > 0);
	(void)sqlite3_bind_int64(statement, 1, action->id);
	(void)sqlite3_bind_int64(statement, 2, action->alarm);
	store_bind_text(statement, 3, action->vm);
	store_bind_text(statement, 4, action->state);
	(void)sqlite3_bind_int64(statement, 5, action->made_usec);
	(void)sqlite3_bind_int64(statement, 6, action->changed_usec);
	store_bind_text(statement, 7, action->who);
	store_bind_text(statement, 8, action->detail);
	return store_run(store, statement, "writing an action", err);
}

int store_last_action(struct store *store, int64_t *ret_id, struct error *err)
{
	return store_last_id(store, "action", ret_id, err);
}

struct action_each {
	int (*each)(void *userdata, const struct store_action *action);
	size_t seen;
};

static int use_action(sqlite3_stmt *row, void *each, void *userdata)
{
	struct action_each *action_each = each;
	struct store_action action = {
		.id = sqlite3_column_int64(row, 0),
		.alarm = sqlite3_column_int64(row, 1),
		.vm = store_text_at(row, 2),
		.state = store_text_at(row, 3),
		.made_usec = sqlite3_column_int64(row, 4),
		.changed_usec = sqlite3_column_int64(row, 5),
		.who = store_text_at(row, 6),
		.detail = store_text_at(row, 7),
	};

	action_each->seen++;
	return action_each->each(userdata, &action);
}

int store_each_action(struct store *store, int64_t alarm, const char *state, size_t limit,
		      int (*each)(void *userdata, const struct store_action *action),
		      void *userdata, struct error *err)
{
	sqlite3_stmt *statement =
		store_statement(store, alarm ? STATEMENT_EACH_ALARM_ACTION : STATEMENT_EACH_ACTION);

	/* the first parameter is there in both, and used by one */
	(void)sqlite3_bind_int64(statement, 1, alarm);
	store_bind_limit(statement, 2, limit);
	store_bind_text(statement, 3, state);
	return store_walk(store, statement, use_action, &(struct action_each){.each = each},
			  userdata, err);
}

int store_get_action(struct store *store, int64_t id,
		     int (*each)(void *userdata, const struct store_action *action), void *userdata,
		     struct error *err)
{
	sqlite3_stmt *statement = store_statement(store, STATEMENT_GET_ACTION);
	struct action_each action_each = {.each = each};
	int r;

	(void)sqlite3_bind_int64(statement, 1, id);
	r = store_walk(store, statement, use_action, &action_each, userdata, err);
	if (r == 0 && action_each.seen == 0)
		return error_set(err, -ENOENT, "there is no action %lld", (long long)id);
	return r;
}

int store_count_actions(struct store *store, const char *who, int64_t since_usec, size_t *ret_count,
			struct error *err)
{
	sqlite3_stmt *statement = store_statement(store, STATEMENT_COUNT_ACTIONS);
	int64_t count;
	int r;

	store_bind_text(statement, 1, who);
	(void)sqlite3_bind_int64(statement, 2, since_usec);
	r = store_read_number(store, statement, &count, err);
	if (r == 0)
		*ret_count = (size_t)count;
	return r;
}
