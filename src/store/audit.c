/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "store/store_internal.h"

int store_append_audit(struct store *store, int64_t number, int64_t time_usec, const char *record,
		       const char *hash, struct error *err)
{
	sqlite3_stmt *statement = store_statement(store, STATEMENT_ADD_AUDIT);

	(void)sqlite3_bind_int64(statement, 1, number);
	(void)sqlite3_bind_int64(statement, 2, time_usec);
	store_bind_text(statement, 3, record);
	store_bind_text(statement, 4, hash);
	return store_run(store, statement, "writing the audit", err);
}

static int copy_last(sqlite3_stmt *row, int64_t *ret_number, char *ret_hash, size_t size,
		     struct error *err)
{
	const char *hash = store_text_at(row, 1);
	int64_t number = sqlite3_column_int64(row, 0);
	size_t length = strlen(hash);

	if (length >= size)
		return error_set(err, -EUCLEAN,
				 "record %lld of the audit has a hash of more than %zu characters",
				 (long long)number, size - 1);
	memcpy(ret_hash, hash, length + 1);
	*ret_number = number;
	return 0;
}

int store_last_audit(struct store *store, int64_t *ret_number, char *ret_hash, size_t size,
		     struct error *err)
{
	sqlite3_stmt *statement = store_statement(store, STATEMENT_LAST_AUDIT);
	int step = sqlite3_step(statement), r = 0;

	if (step == SQLITE_ROW) {
		r = copy_last(statement, ret_number, ret_hash, size, err);
	} else if (step == SQLITE_DONE) {
		*ret_number = 0;
		ret_hash[0] = '\0';
	} else {
		r = store_error(store, "reading the audit", err);
	}
	(void)sqlite3_reset(statement);
	return r;
}

struct audit_each {
	int (*each)(void *userdata, int64_t number, int64_t time_usec, const char *record,
		    const char *hash);
};

static int use_audit(sqlite3_stmt *row, void *each, void *userdata)
{
	return ((struct audit_each *)each)
		->each(userdata, sqlite3_column_int64(row, 0), sqlite3_column_int64(row, 1),
		       store_text_at(row, 2), store_text_at(row, 3));
}

int store_each_audit(struct store *store, int64_t after, size_t limit,
		     int (*each)(void *userdata, int64_t number, int64_t time_usec,
				 const char *record, const char *hash),
		     void *userdata, struct error *err)
{
	sqlite3_stmt *statement = store_statement(store, STATEMENT_EACH_AUDIT);

	(void)sqlite3_bind_int64(statement, 1, after);
	store_bind_limit(statement, 2, limit);
	return store_walk(store, statement, use_audit, &(struct audit_each){each}, userdata, err);
}
