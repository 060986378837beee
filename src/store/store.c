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

enum { SCHEMA_VERSION = 1, BUSY_TIMEOUT_MSEC = 5000 };

DEFINE_CLEANUP(struct store *, store_free)

/* Step n brings schema n to n + 1. A step never changes once released. */
static const char *const migrations[SCHEMA_VERSION] = {
	"CREATE TABLE vm (id INTEGER PRIMARY KEY, node TEXT NOT NULL, uuid BLOB NOT NULL,"
	" name TEXT NOT NULL, instance TEXT NOT NULL, project TEXT NOT NULL, vcpus INTEGER NOT "
	"NULL,"
	" UNIQUE (node, uuid)) STRICT;"
	"CREATE TABLE series (id INTEGER PRIMARY KEY, vm INTEGER NOT NULL REFERENCES vm (id),"
	" metric TEXT NOT NULL, UNIQUE (vm, metric)) STRICT;"
	"CREATE TABLE point (series INTEGER NOT NULL, time INTEGER NOT NULL, state INTEGER NOT "
	"NULL,"
	" value REAL, delta REAL NOT NULL, PRIMARY KEY (series, time)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX point_time ON point (time);"
	"CREATE TABLE grouprow (grp TEXT NOT NULL, time INTEGER NOT NULL, state INTEGER NOT NULL,"
	" spe REAL, q REAL, components INTEGER NOT NULL, level INTEGER NOT NULL,"
	" PRIMARY KEY (grp, time)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE alarm (id INTEGER PRIMARY KEY AUTOINCREMENT, grp TEXT NOT NULL,"
	" state TEXT NOT NULL, opened INTEGER NOT NULL, closed INTEGER NOT NULL,"
	" level INTEGER NOT NULL, summary TEXT NOT NULL, evidence TEXT NOT NULL) STRICT;"
	"CREATE TABLE event (id INTEGER PRIMARY KEY, alarm INTEGER NOT NULL REFERENCES alarm (id)"
	" ON DELETE CASCADE, time INTEGER NOT NULL, event TEXT NOT NULL, text TEXT NOT NULL) "
	"STRICT;"
	"CREATE INDEX event_alarm ON event (alarm, id);"
	"CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;",
};

static const char *const statement_texts[STATEMENT_COUNT] = {
	[STATEMENT_FIND_VM] = "SELECT id, name, instance, project, vcpus FROM vm"
			      " WHERE node = ? AND uuid = ?",
	[STATEMENT_ADD_VM] = "INSERT INTO vm (node, uuid, name, instance, project, vcpus)"
			     " VALUES (?, ?, ?, ?, ?, ?)",
	[STATEMENT_UPDATE_VM] = "UPDATE vm SET name = ?, instance = ?, project = ?, vcpus = ?"
				" WHERE id = ?",
	[STATEMENT_FIND_SERIES] = "SELECT id FROM series WHERE vm = ? AND metric = ?",
	[STATEMENT_ADD_SERIES] = "INSERT INTO series (vm, metric) VALUES (?, ?)",
	[STATEMENT_PUT_POINT] = "INSERT OR REPLACE INTO point VALUES (?, ?, ?, ?, ?)",
	[STATEMENT_PUT_ROW] = "INSERT OR REPLACE INTO grouprow VALUES (?, ?, ?, ?, ?, ?, ?)",
	[STATEMENT_PUT_ALARM] =
		"INSERT INTO alarm (id, grp, state, opened, closed, level, summary, evidence)"
		" VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET grp = "
		"excluded.grp,"
		" state = excluded.state, opened = excluded.opened, closed = excluded.closed,"
		" level = excluded.level, summary = excluded.summary, evidence = excluded.evidence",
	[STATEMENT_LAST_ALARM] = "SELECT seq FROM sqlite_sequence WHERE name = 'alarm'",
	[STATEMENT_ADD_EVENT] = "INSERT INTO event (alarm, time, event, text) VALUES (?, ?, ?, ?)",
	[STATEMENT_PUT_STATE] = "INSERT OR REPLACE INTO state VALUES (?, ?)",
	[STATEMENT_GET_STATE] = "SELECT value FROM state WHERE key = ?",
	/* a point is needed as long as no newer one is in force at the limit */
	[STATEMENT_EXPIRE_POINTS] =
		"DELETE FROM point WHERE (series, time) IN (SELECT p.series, p.time FROM point p"
		" WHERE p.time < ?1 AND EXISTS (SELECT 1 FROM point n WHERE n.series = p.series"
		" AND n.time > p.time AND n.time <= ?1) ORDER BY p.time LIMIT ?2)",
	[STATEMENT_EXPIRE_ROWS] = "DELETE FROM grouprow WHERE (grp, time) IN"
				  " (SELECT grp, time FROM grouprow WHERE time < ?1 LIMIT ?2)",
	[STATEMENT_EXPIRE_ALARMS] = "DELETE FROM alarm WHERE id IN (SELECT id FROM alarm"
				    " WHERE closed > 0 AND closed < ?1 LIMIT ?2)",
	[STATEMENT_EACH_VM] = "SELECT id, node, uuid, name, instance, project, vcpus FROM vm"
			      " ORDER BY id",
	[STATEMENT_EACH_SERIES] = "SELECT id, metric FROM series WHERE vm = ? ORDER BY id",
	[STATEMENT_POINT_AT] = "SELECT time, state, value, delta FROM point WHERE series = ?"
			       " AND time <= ? ORDER BY time DESC LIMIT 1",
	[STATEMENT_EACH_POINT] = "SELECT time, state, value, delta FROM point WHERE series = ?"
				 " AND time >= ? AND time < ? ORDER BY time",
	[STATEMENT_EACH_ROW] =
		"SELECT time, state, spe, q, components, level FROM (SELECT * FROM grouprow"
		" WHERE grp = ? AND time >= ? AND time < ? ORDER BY time DESC LIMIT ?) ORDER BY "
		"time",
	[STATEMENT_EACH_ALARM] =
		"SELECT id, grp, state, opened, closed, level, summary, evidence FROM alarm"
		" WHERE ?1 IS NULL OR (?1 = 'open') = (closed = 0) ORDER BY id DESC LIMIT ?2",
	[STATEMENT_GET_ALARM] = "SELECT id, grp, state, opened, closed, level, summary, evidence"
				" FROM alarm WHERE id = ?",
	[STATEMENT_EACH_EVENT] = "SELECT time, event, text FROM event WHERE alarm = ? ORDER BY id",
};

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
	if (version > SCHEMA_VERSION)
		return error_set(
			err, -EPROTO,
			"store %s was written by a newer atomd (schema %d, this one knows %d): "
			"use that one, or another store.path",
			store->path, (int)version, SCHEMA_VERSION);
	for (; version < SCHEMA_VERSION; version++) {
		char text[64];

		(void)snprintf(text, sizeof(text), "PRAGMA user_version = %d", (int)version + 1);
		r = execute(store, "BEGIN IMMEDIATE", "making the tables", err);
		if (r == 0)
			r = execute(store, migrations[version], "making the tables", err);
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
		if (sqlite3_prepare_v3(store->db, statement_texts[i], -1, SQLITE_PREPARE_PERSISTENT,
				       &store->statements[i], NULL) != SQLITE_OK)
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

int store_begin(struct store *store, struct error *err)
{
	return execute(store, "BEGIN IMMEDIATE", "beginning", err);
}

int store_commit(struct store *store, struct error *err)
{
	int r = execute(store, "COMMIT", "writing", err);

	if (r < 0)
		store_rollback(store);
	return r;
}

void store_rollback(struct store *store)
{
	/* where SQLite has rolled back by itself there is nothing to undo, which is no failure */
	if (!sqlite3_get_autocommit(store->db))
		(void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
}
