/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "store/store_internal.h"

enum { BUSY_TIMEOUT_MSEC = 5000 };

DEFINE_CLEANUP(struct store *, store_free)

/* Errors */

static int code_of(int sqlite_code)
{
	switch (sqlite_code & 0xff) {
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EUCLEAN;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_READONLY:
	case SQLITE_PERM:
		return -EACCES;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_CONSTRAINT:
		return -EINVAL;
	default:
		return -EIO;
	}
}

static const char *advice(int code)
{
	switch (code) {
	case -ENOSPC:
		return "; make room on this disk: what was stored before is intact";
	case -EUCLEAN:
		return "; the file is damaged and was left as it is: move it aside to start a new "
		       "one, or recover it with 'sqlite3 FILE .recover'";
	case -EACCES:
		return "; the file and its folder must be writable for this user";
	default:
		return "";
	}
}

int store_error(struct store *store, const char *doing, struct error *err)
{
	int code = code_of(sqlite3_extended_errcode(store->db));

	return error_set(err, code, "store %s: %s: %s%s", store->path, doing,
			 sqlite3_errmsg(store->db), advice(code));
}

sqlite3_stmt *store_statement(struct store *store, enum statement statement)
{
	sqlite3_stmt *prepared = store->statements[statement];

	(void)sqlite3_reset(prepared); /* repeats the error of its last step, which was reported */
	(void)sqlite3_clear_bindings(prepared);
	return prepared;
}

int store_run(struct store *store, sqlite3_stmt *statement, const char *doing, struct error *err)
{
	int r = 0;

	if (sqlite3_step(statement) != SQLITE_DONE)
		r = store_error(store, doing, err);
	(void)sqlite3_reset(statement);
	return r;
}

int store_walk(struct store *store, sqlite3_stmt *statement, store_use_row *use, void *each,
	       void *userdata, struct error *err)
{
	int r = 0, step;

	while (r == 0 && (step = sqlite3_step(statement)) != SQLITE_DONE) {
		if (step != SQLITE_ROW)
			r = store_error(store, "reading", err);
		else
			r = use(statement, each, userdata);
	}
	(void)sqlite3_reset(statement);
	return r;
}

int store_read_number(struct store *store, sqlite3_stmt *statement, int64_t *ret_number,
		      struct error *err)
{
	int step = sqlite3_step(statement), r = 0;

	if (step == SQLITE_ROW)
		*ret_number = sqlite3_column_int64(statement, 0);
	else if (step == SQLITE_DONE)
		*ret_number = 0;
	else
		r = store_error(store, "reading", err);
	(void)sqlite3_reset(statement);
	return r;
}

int store_last_id(struct store *store, const char *table, int64_t *ret_id, struct error *err)
{
	sqlite3_stmt *statement = store_statement(store, STATEMENT_LAST_ID);

	store_bind_text(statement, 1, table);
	return store_read_number(store, statement, ret_id, err);
}

static int execute(struct store *store, const char *text, const char *doing, struct error *err)
{
	if (sqlite3_exec(store->db, text, NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	return store_error(store, doing, err);
}

/* Opening */

/* A lock beside the database, so that reading it with other tools stays possible. */
static int take_lock(struct store *store, struct error *err)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s.lock", store->path) >= PATH_MAX)
		return error_set(err, -ENAMETOOLONG, "store %.100s...: the path is too long",
				 store->path);
	store->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (store->lock_fd < 0)
		return error_set_errno(err, -errno, "store %s", path);
	if (flock(store->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return error_set(err, -EBUSY,
				 "store %s is in use by another atomd: end it, or give this one "
				 "another store.path",
				 store->path);
	return 0;
}

static int get_integer(struct store *store, const char *query, const char *doing,
		       int64_t *ret_value, struct error *err)
{
	sqlite3_stmt *statement = NULL;
	int r = 0;

	if (sqlite3_prepare_v2(store->db, query, -1, &statement, NULL) != SQLITE_OK ||
	    sqlite3_step(statement) != SQLITE_ROW)
		r = store_error(store, doing, err);
	else
		*ret_value = sqlite3_column_int64(statement, 0);
	(void)sqlite3_finalize(statement);
	return r;
}

static int migrate(struct store *store, struct error *err)
{
	int64_t version = 0;
	int r = get_integer(store, "PRAGMA user_version", "opening", &version, err);

	if (r < 0)
		return r;
	if (version > STORE_SCHEMA_VERSION)
		return error_set(
			err, -EPROTO,
			"store %s was written by a newer atomd (schema %d, this one knows %d): "
			"use that one, or another store.path",
			store->path, (int)version, STORE_SCHEMA_VERSION);
	for (; version < STORE_SCHEMA_VERSION; version++) {
		char text[64];

		(void)snprintf(text, sizeof(text), "PRAGMA user_version = %d", (int)version + 1);
		r = execute(store, "BEGIN IMMEDIATE", "making the tables", err);
		if (r == 0)
			r = execute(store, store_migrations[version], "making the tables", err);
		if (r == 0)
			r = execute(store, text, "making the tables", err);
		if (r == 0)
			r = execute(store, "COMMIT", "making the tables", err);
		if (r < 0) {
			store_rollback(store);
			return r;
		}
	}
	return 0;
}

static int check_integrity(struct store *store, struct error *err)
{
	sqlite3_stmt *statement = NULL;
	const char *answer = NULL;
	int r = 0;

	if (sqlite3_prepare_v2(store->db, "PRAGMA quick_check(1)", -1, &statement, NULL) !=
		    SQLITE_OK ||
	    sqlite3_step(statement) != SQLITE_ROW)
		r = store_error(store, "checking", err);
	else
		answer = (const char *)sqlite3_column_text(statement, 0);
	if (r == 0 && (!answer || strcmp(answer, "ok") != 0))
		r = error_set(err, -EUCLEAN, "store %s: checking: %.200s%s", store->path,
			      answer ? answer : "no answer", advice(-EUCLEAN));
	(void)sqlite3_finalize(statement);
	return r;
}

static int prepare_all(struct store *store, struct error *err)
{
	for (size_t i = 0; i < STATEMENT_COUNT; i++)
		if (sqlite3_prepare_v3(store->db, store_statement_texts[i], -1,
				       SQLITE_PREPARE_PERSISTENT, &store->statements[i],
				       NULL) != SQLITE_OK)
			return store_error(store, "preparing", err);
	return 0;
}

static int open_database(struct store *store, struct error *err)
{
	int r;

	if (sqlite3_open_v2(store->path, &store->db,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
			    NULL) != SQLITE_OK)
		return store_error(store, "opening", err);
	(void)sqlite3_busy_timeout(store->db, BUSY_TIMEOUT_MSEC);
	r = execute(store,
		    "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;"
		    "PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON",
		    "opening", err);
	if (r == 0)
		r = check_integrity(store, err);
	if (r == 0)
		r = migrate(store, err);
	return r == 0 ? prepare_all(store, err) : r;
}

int store_open(const char *path, struct store **ret_store, struct error *err)
{
	cleanup(store_free) struct store *store = calloc(1, sizeof(*store));
	int r;

	if (!store)
		return error_set(err, -ENOMEM, "out of memory");
	store->lock_fd = -1;
	store->path = strdup(path);
	if (!store->path)
		return error_set(err, -ENOMEM, "out of memory");
	r = take_lock(store, err);
	if (r == 0)
		r = open_database(store, err);
	if (r < 0)
		return r;
	*ret_store = keep(store);
	return 0;
}

struct store *store_free(struct store *store)
{
	if (!store)
		return NULL;
	for (size_t i = 0; i < STATEMENT_COUNT; i++)
		(void)sqlite3_finalize(store->statements[i]);
	(void)sqlite3_close(store->db);
	if (store->lock_fd >= 0)
		(void)close(store->lock_fd);
	free(store->path);
	free(store);
	return NULL;
}

/* Transactions */

/* The level cannot be changed within a transaction, and only a commit that syncs by itself is
 * undone where the disk fails it. Where going back fails, commits are slower, which is no failure.
 */
static void end_durable(struct store *store)
{
	if (!store->durable || !sqlite3_get_autocommit(store->db))
		return;
	(void)sqlite3_exec(store->db, "PRAGMA synchronous = NORMAL", NULL, NULL, NULL);
	store->durable = false;
}

int store_begin(struct store *store, struct error *err)
{
	return execute(store, "BEGIN IMMEDIATE", "beginning", err);
}

int store_begin_durably(struct store *store, struct error *err)
{
	int r = execute(store, "PRAGMA synchronous = FULL", "beginning", err);

	if (r < 0)
		return r;
	store->durable = true;
	r = store_begin(store, err);
	if (r < 0)
		end_durable(store);
	return r;
}

int store_commit(struct store *store, struct error *err)
{
	int r = execute(store, "COMMIT", "writing", err);

	if (r < 0)
		store_rollback(store);
	end_durable(store);
	return r;
}

void store_rollback(struct store *store)
{
	/* where SQLite has rolled back by itself there is nothing to undo, which is no failure */
	if (!sqlite3_get_autocommit(store->db))
		(void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	end_durable(store);
}
