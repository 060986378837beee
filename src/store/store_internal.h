#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the store's files share: the open database, its prepared statements, and how SQLite's errors
 * become ours.
 */
#include <limits.h>
#include <sqlite3.h>

#include "store/store.h"

enum { STORE_SCHEMA_VERSION = 2 };

/* Step n brings schema n to n + 1. A step never changes once released. */
extern const char *const store_migrations[STORE_SCHEMA_VERSION];

/* One prepared statement per thing that is done often; the text is in schema.c. */
enum statement {
	STATEMENT_FIND_VM,
	STATEMENT_ADD_VM,
	STATEMENT_UPDATE_VM,
	STATEMENT_FIND_SERIES,
	STATEMENT_ADD_SERIES,
	STATEMENT_PUT_POINT,
	STATEMENT_PUT_ROW,
	STATEMENT_PUT_ALARM,
	STATEMENT_LAST_ID,
	STATEMENT_ADD_EVENT,
	STATEMENT_PUT_STATE,
	STATEMENT_GET_STATE,
	STATEMENT_EXPIRE_POINTS,
	STATEMENT_EXPIRE_ROWS,
	STATEMENT_EXPIRE_ALARMS,
	STATEMENT_EXPIRE_ACTIONS,
	STATEMENT_EXPIRE_MESSAGES,
	STATEMENT_EACH_VM,
	STATEMENT_EACH_SERIES,
	STATEMENT_POINT_AT,
	STATEMENT_EACH_POINT,
	STATEMENT_EACH_ROW,
	STATEMENT_EACH_ALARM,
	STATEMENT_GET_ALARM,
	STATEMENT_EACH_ALARM_EVENT,
	STATEMENT_EACH_EVENT,
	STATEMENT_EACH_NEWEST_EVENT,
	STATEMENT_PUT_ACTION,
	STATEMENT_GET_ACTION,
	STATEMENT_EACH_ACTION,
	STATEMENT_EACH_ALARM_ACTION,
	STATEMENT_COUNT_ACTIONS,
	STATEMENT_ADD_AUDIT,
	STATEMENT_LAST_AUDIT,
	STATEMENT_EACH_AUDIT,
	STATEMENT_ADD_MESSAGE,
	STATEMENT_UPDATE_MESSAGE,
	STATEMENT_DELETE_MESSAGE,
	STATEMENT_EACH_MESSAGE,
	STATEMENT_COUNT_MESSAGES,
	STATEMENT_COUNT
};

extern const char *const store_statement_texts[STATEMENT_COUNT];

struct store {
	sqlite3 *db;
	char *path;
	int lock_fd;
	bool durable; /* the transaction that is open is one that outlasts a loss of power */
	sqlite3_stmt *statements[STATEMENT_COUNT];
};

/* The statement, reset and without bindings. */
sqlite3_stmt *store_statement(struct store *store, enum statement statement);

/* Sets an error that names the file and says what to do. */
int store_error(struct store *store, const char *doing, struct error *err);

/* Steps a statement that returns nothing, and resets it. */
int store_run(struct store *store, sqlite3_stmt *statement, const char *doing, struct error *err);

/* Steps through all rows; `use` unpacks one and calls the caller's callback `each`. Anything but 0
 * ends it and is returned. Statements are shared, so a callback must not start the reading that it
 * is called from. */
typedef int store_use_row(sqlite3_stmt *row, void *each, void *userdata);
int store_walk(struct store *store, sqlite3_stmt *statement, store_use_row *use, void *each,
	       void *userdata, struct error *err);

/* The first column of the only row, 0 where there is none. */
int store_read_number(struct store *store, sqlite3_stmt *statement, int64_t *ret_number,
		      struct error *err);

/* The largest number that a table with AUTOINCREMENT has given so far. */
int store_last_id(struct store *store, const char *table, int64_t *ret_id, struct error *err);

/* Borrows the text until the statement is stepped; NULL is NULL. */
static inline void store_bind_text(sqlite3_stmt *statement, int place, const char *text)
{
	(void)sqlite3_bind_text(statement, place, text, -1, SQLITE_STATIC);
}

/* Of a LIMIT. */
static inline void store_bind_limit(sqlite3_stmt *statement, int place, size_t limit)
{
	(void)sqlite3_bind_int64(statement, place, limit < INT_MAX ? (int64_t)limit : INT_MAX);
}

static inline const char *store_text_at(sqlite3_stmt *row, int column)
{
	const char *text = (const char *)sqlite3_column_text(row, column);

	return text ? text : "";
}
