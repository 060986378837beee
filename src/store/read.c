/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "store/store_internal.h"

static double value_at(sqlite3_stmt *row, int column)
{
	return sqlite3_column_type(row, column) == SQLITE_NULL ? NAN
							       : sqlite3_column_double(row, column);
}

/* A callback travels in a struct, because ISO C has no room for it in a void pointer. */
struct vm_each {
	int (*each)(void *userdata, int64_t vm, const struct store_vm *seen);
};

static int use_vm(sqlite3_stmt *row, void *each, void *userdata)
{
	struct store_vm vm = {
		.node = store_text_at(row, 1),
		.name = store_text_at(row, 3),
		.instance = store_text_at(row, 4),
		.project = store_text_at(row, 5),
		.vcpus = (uint32_t)sqlite3_column_int64(row, 6),
	};

	if (sqlite3_column_bytes(row, 2) != sizeof(vm.uuid.bytes))
		return 0; /* not written by us */
	memcpy(vm.uuid.bytes, sqlite3_column_blob(row, 2), sizeof(vm.uuid.bytes));
	return ((struct vm_each *)each)->each(userdata, sqlite3_column_int64(row, 0), &vm);
}

int store_each_vm(struct store *store,
		  int (*each)(void *userdata, int64_t vm, const struct store_vm *seen),
		  void *userdata, struct error *err)
{
	return store_walk(store, store_statement(store, STATEMENT_EACH_VM), use_vm,
			  &(struct vm_each){each}, userdata, err);
}

struct series_each {
	int (*each)(void *userdata, int64_t series, enum metric metric);
};

static int use_series(sqlite3_stmt *row, void *each, void *userdata)
{
	enum metric metric;

	if (metric_parse(store_text_at(row, 1), &metric) < 0)
		return 0; /* of a metric that this version does not have */
	return ((struct series_each *)each)->each(userdata, sqlite3_column_int64(row, 0), metric);
}

int store_each_series(struct store *store, int64_t vm,
		      int (*each)(void *userdata, int64_t series, enum metric metric),
		      void *userdata, struct error *err)
{
	sqlite3_stmt *statement = store_statement(store, STATEMENT_EACH_SERIES);

	(void)sqlite3_bind_int64(statement, 1, vm);
	return store_walk(store, statement, use_series, &(struct series_each){each}, userdata, err);
}

static void read_point(sqlite3_stmt *row, struct store_point *ret_point)
{
	int state = sqlite3_column_int(row, 1);

	*ret_point = (struct store_point){
		.time_usec = sqlite3_column_int64(row, 0),
		.state = state < 0 || state > STORE_POINT_STALE ? STORE_POINT_GAP
								: (enum store_point_state)state,
		.value = value_at(row, 2),
		.delta = sqlite3_column_double(row, 3),
	};
}

int store_point_at(struct store *store, int64_t series, int64_t time_usec,
		   struct store_point *ret_point, struct error *err)
{
	sqlite3_stmt *statement = store_statement(store, STATEMENT_POINT_AT);
	int step, r = 0;

	(void)sqlite3_bind_int64(statement, 1, series);
	(void)sqlite3_bind_int64(statement, 2, time_usec);
	step = sqlite3_step(statement);
	if (step == SQLITE_ROW)
		read_point(statement, ret_point);
	else if (step == SQLITE_DONE)
		r = error_set(err, -ENOENT, "nothing is known of that time");
	else
		r = store_error(store, "reading", err);
	(void)sqlite3_reset(statement);
	return r;
}

struct point_each {
	int (*each)(void *userdata, const struct store_point *point);
};

static int use_point(sqlite3_stmt *row, void *each, void *userdata)
{
	struct store_point point;

	read_point(row, &point);
	return ((struct point_each *)each)->each(userdata, &point);
}

int store_each_point(struct store *store, int64_t series, int64_t from_usec, int64_t to_usec,
		     int (*each)(void *userdata, const struct store_point *point), void *userdata,
		     struct error *err)
{
	struct store_point first;
	sqlite3_stmt *statement;
	int r = store_point_at(store, series, from_usec, &first, err);

	if (r < 0 && r != -ENOENT)
		return r;
	if (r == 0 && first.time_usec < from_usec) {
		r = each(userdata, &first);
		if (r != 0)
			return r;
	}
	statement = store_statement(store, STATEMENT_EACH_POINT);
	(void)sqlite3_bind_int64(statement, 1, series);
	(void)sqlite3_bind_int64(statement, 2, from_usec);
	(void)sqlite3_bind_int64(statement, 3, to_usec);
	return store_walk(store, statement, use_point, &(struct point_each){each}, userdata, err);
}

struct row_each {
	int (*each)(void *userdata, const struct store_row *row);
};

static int use_group_row(sqlite3_stmt *row, void *each, void *userdata)
{
	struct store_row group_row = {
		.time_usec = sqlite3_column_int64(row, 0),
		.state = sqlite3_column_int(row, 1),
		.spe = value_at(row, 2),
		.q = value_at(row, 3),
		.components = (uint32_t)sqlite3_column_int64(row, 4),
		.level = (uint32_t)sqlite3_column_int64(row, 5),
	};

	return ((struct row_each *)each)->each(userdata, &group_row);
}

int store_each_row(struct store *store, const char *group, int64_t from_usec, int64_t to_usec,
		   size_t newest, int (*each)(void *userdata, const struct store_row *row),
		   void *userdata, struct error *err)
{
	sqlite3_stmt *statement = store_statement(store, STATEMENT_EACH_ROW);

	store_bind_text(statement, 1, group);
	(void)sqlite3_bind_int64(statement, 2, from_usec);
	(void)sqlite3_bind_int64(statement, 3, to_usec);
	(void)sqlite3_bind_int64(statement, 4, newest > 0 ? (int64_t)newest : -1);
	return store_walk(store, statement, use_group_row, &(struct row_each){each}, userdata, err);
}

struct alarm_each {
	int (*each)(void *userdata, const struct store_alarm *alarm);
	size_t seen;
};

static int use_alarm(sqlite3_stmt *row, void *each, void *userdata)
{
	struct alarm_each *alarm_each = each;
	struct store_alarm alarm = {
		.id = sqlite3_column_int64(row, 0),
		.group = store_text_at(row, 1),
		.state = store_text_at(row, 2),
		.opened_usec = sqlite3_column_int64(row, 3),
		.closed_usec = sqlite3_column_int64(row, 4),
		.level = (uint32_t)sqlite3_column_int64(row, 5),
		.summary = store_text_at(row, 6),
		.evidence = store_text_at(row, 7),
	};

	alarm_each->seen++;
	return alarm_each->each(userdata, &alarm);
}

int store_each_alarm(struct store *store, const char *state, size_t limit,
		     int (*each)(void *userdata, const struct store_alarm *alarm), void *userdata,
		     struct error *err)
{
	sqlite3_stmt *statement = store_statement(store, STATEMENT_EACH_ALARM);

	if (state)
		store_bind_text(statement, 1, state);
	store_bind_limit(statement, 2, limit);
	return store_walk(store, statement, use_alarm, &(struct alarm_each){.each = each}, userdata,
			  err);
}

int store_get_alarm(struct store *store, int64_t id,
		    int (*each)(void *userdata, const struct store_alarm *alarm), void *userdata,
		    struct error *err)
{
	sqlite3_stmt *statement = store_statement(store, STATEMENT_GET_ALARM);
	struct alarm_each alarm_each = {.each = each};
	int r;

	(void)sqlite3_bind_int64(statement, 1, id);
	r = store_walk(store, statement, use_alarm, &alarm_each, userdata, err);
	if (r == 0 && alarm_each.seen == 0)
		return error_set(err, -ENOENT, "there is no alarm %lld", (long long)id);
	return r;
}

int store_last_alarm(struct store *store, int64_t *ret_id, struct error *err)
{
	return store_last_id(store, "alarm", ret_id, err);
}

struct event_each {
	int (*each)(void *userdata, const struct store_event *event);
};

static int use_event(sqlite3_stmt *row, void *each, void *userdata)
{
	struct store_event event = {
		.id = sqlite3_column_int64(row, 0),
		.alarm = sqlite3_column_int64(row, 1),
		.time_usec = sqlite3_column_int64(row, 2),
		.event = store_text_at(row, 3),
		.text = store_text_at(row, 4),
		.vm = store_text_at(row, 5),
	};

	return ((struct event_each *)each)->each(userdata, &event);
}

int store_each_alarm_event(struct store *store, int64_t alarm,
			   int (*each)(void *userdata, const struct store_event *event),
			   void *userdata, struct error *err)
{
	sqlite3_stmt *statement = store_statement(store, STATEMENT_EACH_ALARM_EVENT);

	(void)sqlite3_bind_int64(statement, 1, alarm);
	return store_walk(store, statement, use_event, &(struct event_each){each}, userdata, err);
}

int store_each_event(struct store *store, int64_t after, size_t limit, bool newest,
		     int (*each)(void *userdata, const struct store_event *event), void *userdata,
		     struct error *err)
{
	sqlite3_stmt *statement =
		store_statement(store, newest ? STATEMENT_EACH_NEWEST_EVENT : STATEMENT_EACH_EVENT);

	(void)sqlite3_bind_int64(statement, 1, after);
	store_bind_limit(statement, 2, limit);
	return store_walk(store, statement, use_event, &(struct event_each){each}, userdata, err);
}

int store_last_event(struct store *store, int64_t *ret_id, struct error *err)
{
	return store_last_id(store, "event", ret_id, err);
}

int store_get_state(struct store *store, const char *key, char **ret_value, struct error *err)
{
	sqlite3_stmt *statement = store_statement(store, STATEMENT_GET_STATE);
	int step, r = 0;

	store_bind_text(statement, 1, key);
	step = sqlite3_step(statement);
	if (step == SQLITE_ROW) {
		char *copy = strdup(store_text_at(statement, 0));

		r = copy ? 0 : error_set(err, -ENOMEM, "out of memory");
		if (copy)
			*ret_value = copy;
	} else {
		r = step == SQLITE_DONE ? error_set(err, -ENOENT, "no state '%s' is stored", key)
					: store_error(store, "reading", err);
	}
	(void)sqlite3_reset(statement);
	return r;
}
