/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "store/store_internal.h"

/* NaN is NULL. */
static void bind_value(sqlite3_stmt *statement, int place, double value)
{
	if (isnan(value))
		(void)sqlite3_bind_null(statement, place);
	else
		(void)sqlite3_bind_double(statement, place, value);
}

static int add_vm(struct store *store, const struct store_vm *vm, int64_t *ret_vm,
		  struct error *err)
{
	sqlite3_stmt *statement = store_statement(store, STATEMENT_ADD_VM);
	int r;

	store_bind_text(statement, 1, vm->node);
	(void)sqlite3_bind_blob(statement, 2, vm->uuid.bytes, sizeof(vm->uuid.bytes),
				SQLITE_STATIC);
	store_bind_text(statement, 3, vm->name);
	store_bind_text(statement, 4, vm->instance);
	store_bind_text(statement, 5, vm->project);
	(void)sqlite3_bind_int64(statement, 6, vm->vcpus);
	r = store_run(store, statement, "adding a VM", err);
	if (r == 0)
		*ret_vm = sqlite3_last_insert_rowid(store->db);
	return r;
}

static bool vm_is_as_stored(sqlite3_stmt *row, const struct store_vm *vm)
{
	return strcmp((const char *)sqlite3_column_text(row, 1), vm->name) == 0 &&
	       strcmp((const char *)sqlite3_column_text(row, 2), vm->instance) == 0 &&
	       strcmp((const char *)sqlite3_column_text(row, 3), vm->project) == 0 &&
	       sqlite3_column_int64(row, 4) == vm->vcpus;
}

static int update_vm(struct store *store, int64_t number, const struct store_vm *vm,
		     struct error *err)
{
	sqlite3_stmt *statement = store_statement(store, STATEMENT_UPDATE_VM);

	store_bind_text(statement, 1, vm->name);
	store_bind_text(statement, 2, vm->instance);
	store_bind_text(statement, 3, vm->project);
	(void)sqlite3_bind_int64(statement, 4, vm->vcpus);
	(void)sqlite3_bind_int64(statement, 5, number);
	return store_run(store, statement, "renaming a VM", err);
}

int store_vm_number(struct store *store, const struct store_vm *vm, int64_t *ret_vm,
		    struct error *err)
{
	sqlite3_stmt *statement = store_statement(store, STATEMENT_FIND_VM);
	bool same = false;
	int64_t number;
	int step;

	store_bind_text(statement, 1, vm->node);
	(void)sqlite3_bind_blob(statement, 2, vm->uuid.bytes, sizeof(vm->uuid.bytes),
				SQLITE_STATIC);
	step = sqlite3_step(statement);
	if (step == SQLITE_DONE)
		return add_vm(store, vm, ret_vm, err);
	if (step != SQLITE_ROW)
		return store_error(store, "looking up a VM", err);
	number = sqlite3_column_int64(statement, 0);
	same = vm_is_as_stored(statement, vm);
	(void)sqlite3_reset(statement);
	*ret_vm = number;
	return same ? 0 : update_vm(store, number, vm, err);
}

int store_series_number(struct store *store, int64_t vm, enum metric metric, int64_t *ret_series,
			struct error *err)
{
	sqlite3_stmt *statement = store_statement(store, STATEMENT_FIND_SERIES);
	int step, r;

	(void)sqlite3_bind_int64(statement, 1, vm);
	store_bind_text(statement, 2, metric_info(metric)->name);
	step = sqlite3_step(statement);
	if (step == SQLITE_ROW)
		*ret_series = sqlite3_column_int64(statement, 0);
	else if (step != SQLITE_DONE)
		return store_error(store, "looking up a series", err);
	(void)sqlite3_reset(statement);
	if (step == SQLITE_ROW)
		return 0;
	statement = store_statement(store, STATEMENT_ADD_SERIES);
	(void)sqlite3_bind_int64(statement, 1, vm);
	store_bind_text(statement, 2, metric_info(metric)->name);
	r = store_run(store, statement, "adding a series", err);
	if (r == 0)
		*ret_series = sqlite3_last_insert_rowid(store->db);
	return r;
}

int store_put_point(struct store *store, int64_t series, const struct store_point *point,
		    struct error *err)
{
	sqlite3_stmt *statement = store_statement(store, STATEMENT_PUT_POINT);

	(void)sqlite3_bind_int64(statement, 1, series);
	(void)sqlite3_bind_int64(statement, 2, point->time_usec);
	(void)sqlite3_bind_int(statement, 3, (int)point->state);
	bind_value(statement, 4, point->value);
	(void)sqlite3_bind_double(statement, 5, point->delta);
	return store_run(store, statement, "writing a value", err);
}

int store_put_row(struct store *store, const char *group, const struct store_row *row,
		  struct error *err)
{
	sqlite3_stmt *statement = store_statement(store, STATEMENT_PUT_ROW);

	store_bind_text(statement, 1, group);
	(void)sqlite3_bind_int64(statement, 2, row->time_usec);
	(void)sqlite3_bind_int(statement, 3, row->state);
	bind_value(statement, 4, row->spe);
	bind_value(statement, 5, row->q);
	(void)sqlite3_bind_int64(statement, 6, row->components);
	(void)sqlite3_bind_int64(statement, 7, row->level);
	return store_run(store, statement, "writing a row", err);
}

int store_put_alarm(struct store *store, const struct store_alarm *alarm, struct error *err)
{
	sqlite3_stmt *statement = store_statement(store, STATEMENT_PUT_ALARM);

	(void)sqlite3_bind_int64(statement, 1, alarm->id);
	store_bind_text(statement, 2, alarm->group);
	store_bind_text(statement, 3, alarm->state);
	(void)sqlite3_bind_int64(statement, 4, alarm->opened_usec);
	(void)sqlite3_bind_int64(statement, 5, alarm->closed_usec);
	(void)sqlite3_bind_int64(statement, 6, alarm->level);
	store_bind_text(statement, 7, alarm->summary);
	store_bind_text(statement, 8, alarm->evidence);
	return store_run(store, statement, "writing an alarm", err);
}

int store_put_alarm_event(struct store *store, int64_t alarm, int64_t time_usec, const char *event,
			  const char *text, const char *vm, struct error *err)
{
	sqlite3_stmt *statement = store_statement(store, STATEMENT_ADD_EVENT);

	(void)sqlite3_bind_int64(statement, 1, alarm);
	(void)sqlite3_bind_int64(statement, 2, time_usec);
	store_bind_text(statement, 3, event);
	store_bind_text(statement, 4, text);
	store_bind_text(statement, 5, vm);
	return store_run(store, statement, "writing an alarm's history", err);
}

int store_put_state(struct store *store, const char *key, const char *value, struct error *err)
{
	sqlite3_stmt *statement = store_statement(store, STATEMENT_PUT_STATE);

	store_bind_text(statement, 1, key);
	store_bind_text(statement, 2, value);
	return store_run(store, statement, "writing state", err);
}

static int expire(struct store *store, enum statement which, int64_t before_usec, size_t limit,
		  struct error *err)
{
	sqlite3_stmt *statement = store_statement(store, which);
	int r;

	(void)sqlite3_bind_int64(statement, 1, before_usec);
	(void)sqlite3_bind_int64(statement, 2, (int64_t)limit);
	r = store_run(store, statement, "expiring", err);
	return r < 0 ? r : sqlite3_changes(store->db);
}

int store_expire(struct store *store, int64_t before_usec, size_t limit, struct error *err)
{
	/* alarms before actions: what belongs to an alarm stays as long as it does */
	static const enum statement statements[] = {
		STATEMENT_EXPIRE_POINTS, STATEMENT_EXPIRE_ROWS, STATEMENT_EXPIRE_ALARMS,
		STATEMENT_EXPIRE_ACTIONS, STATEMENT_EXPIRE_MESSAGES};
	int gone = 0;

	for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
		int r = expire(store, statements[i], before_usec, limit, err);

		if (r < 0)
			return r;
		gone += r;
	}
	return gone;
}
