#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the store's files share: the open database, its prepared statements, and how SQLite's errors
 * become ours.
 */
#include <sqlite3.h>

#include "store/store.h"

/* One prepared statement per thing that is done often; the text is in store.c. */
enum statement {
	STATEMENT_FIND_VM,
	STATEMENT_ADD_VM,
	STATEMENT_UPDATE_VM,
	STATEMENT_FIND_SERIES,
	STATEMENT_ADD_SERIES,
	STATEMENT_PUT_POINT,
	STATEMENT_PUT_ROW,
	STATEMENT_PUT_ALARM,
	STATEMENT_LAST_ALARM,
	STATEMENT_ADD_EVENT,
	STATEMENT_PUT_STATE,
	STATEMENT_GET_STATE,
	STATEMENT_EXPIRE_POINTS,
	STATEMENT_EXPIRE_ROWS,
	STATEMENT_EXPIRE_ALARMS,
	STATEMENT_EACH_VM,
	STATEMENT_EACH_SERIES,
	STATEMENT_POINT_AT,
	STATEMENT_EACH_POINT,
	STATEMENT_EACH_ROW,
	STATEMENT_EACH_ALARM,
	STATEMENT_GET_ALARM,
	STATEMENT_EACH_EVENT,
	STATEMENT_COUNT
};

struct store {
	sqlite3 *db;
	char *path;
	int lock_fd;
	sqlite3_stmt *statements[STATEMENT_COUNT];
};

/* The statement, reset and without bindings. */
sqlite3_stmt *store_statement(struct store *store, enum statement statement);

/* Sets an error that names the file and says what to do. */
int store_error(struct store *store, const char *doing, struct error *err);

/* Steps a statement that returns nothing, and resets it. */
int store_run(struct store *store, sqlite3_stmt *statement, const char *doing, struct error *err);
