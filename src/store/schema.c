/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_internal.h"

/* Step n brings schema n to n + 1. A step never changes once released. */
const char *const store_migrations[STORE_SCHEMA_VERSION] = {
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

	/* Numbers of events become such that are never used again, for who asks what came after
	 * one. */
	"CREATE TABLE event_2 (id INTEGER PRIMARY KEY AUTOINCREMENT, alarm INTEGER NOT NULL"
	" REFERENCES alarm (id) ON DELETE CASCADE, time INTEGER NOT NULL, event TEXT NOT NULL,"
	" text TEXT NOT NULL, vm TEXT NOT NULL DEFAULT '') STRICT;"
	"INSERT INTO event_2 (id, alarm, time, event, text)"
	" SELECT id, alarm, time, event, text FROM event ORDER BY id;"
	"DROP TABLE event;"
	"ALTER TABLE event_2 RENAME TO event;"
	"CREATE INDEX event_alarm ON event (alarm, id);"
	"CREATE TABLE action (id INTEGER PRIMARY KEY AUTOINCREMENT, alarm INTEGER NOT NULL,"
	" vm TEXT NOT NULL, state TEXT NOT NULL, made INTEGER NOT NULL, changed INTEGER NOT NULL,"
	" who TEXT NOT NULL, detail TEXT NOT NULL) STRICT;"
	"CREATE INDEX action_alarm ON action (alarm, id);"
	"CREATE INDEX action_who ON action (who, made);"
	"CREATE TABLE audit (number INTEGER PRIMARY KEY, time INTEGER NOT NULL,"
	" record TEXT NOT NULL, hash TEXT NOT NULL) STRICT;"
	/* the third keeps REPLACE out too, which deletes without asking the second */
	"CREATE TRIGGER audit_update BEFORE UPDATE ON audit"
	" BEGIN SELECT RAISE (ABORT, 'the audit is append-only'); END;"
	"CREATE TRIGGER audit_delete BEFORE DELETE ON audit"
	" BEGIN SELECT RAISE (ABORT, 'the audit is append-only'); END;"
	"CREATE TRIGGER audit_insert BEFORE INSERT ON audit"
	" WHEN NEW.number <> (SELECT coalesce(max(number), 0) + 1 FROM audit)"
	" BEGIN SELECT RAISE (ABORT, 'the audit is append-only: each number follows the last"
	" one'); END;"
	"CREATE TABLE outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, receiver TEXT NOT NULL,"
	" alarm INTEGER NOT NULL, made INTEGER NOT NULL, due INTEGER NOT NULL,"
	" attempts INTEGER NOT NULL, body TEXT NOT NULL) STRICT;"
	"CREATE INDEX outbox_due ON outbox (due, id);"
	"CREATE INDEX outbox_receiver ON outbox (receiver);",
};

/* States in which nothing more happens to an action. */
#define FINAL_STATES "('done', 'pending', 'refused', 'failed', 'unknown', 'vetoed')"

#define ACTION_COLUMNS "id, alarm, vm, state, made, changed, who, detail"
#define EVENT_COLUMNS "id, alarm, time, event, text, vm"

/* Of an action, by the third parameter. */
#define STATE_IS_ASKED \
	"(?3 IS NULL OR state = ?3 OR (?3 = 'open' AND state NOT IN " FINAL_STATES "))"

const char *const store_statement_texts[STATEMENT_COUNT] = {
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
	[STATEMENT_LAST_ID] = "SELECT seq FROM sqlite_sequence WHERE name = ?",
	[STATEMENT_ADD_EVENT] =
		"INSERT INTO event (alarm, time, event, text, vm) VALUES (?, ?, ?, ?, ?)",
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
	[STATEMENT_EXPIRE_ACTIONS] =
		"DELETE FROM action WHERE id IN (SELECT id FROM action WHERE changed < ?1"
		" AND state IN " FINAL_STATES
		" AND NOT EXISTS (SELECT 1 FROM alarm WHERE alarm.id = action.alarm) LIMIT ?2)",
	[STATEMENT_EXPIRE_MESSAGES] = "DELETE FROM outbox WHERE id IN"
				      " (SELECT id FROM outbox WHERE made < ?1 LIMIT ?2)",
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
	[STATEMENT_EACH_ALARM_EVENT] =
		"SELECT " EVENT_COLUMNS " FROM event WHERE alarm = ? ORDER BY id",
	[STATEMENT_EACH_EVENT] =
		"SELECT " EVENT_COLUMNS " FROM event WHERE id > ?1 ORDER BY id LIMIT ?2",
	[STATEMENT_EACH_NEWEST_EVENT] =
		"SELECT * FROM (SELECT " EVENT_COLUMNS " FROM event WHERE id > ?1"
		" ORDER BY id DESC LIMIT ?2) ORDER BY id",
	[STATEMENT_PUT_ACTION] =
		"INSERT INTO action (" ACTION_COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
		" ON CONFLICT (id) DO UPDATE SET alarm = excluded.alarm, vm = excluded.vm,"
		" state = excluded.state, made = excluded.made, changed = excluded.changed,"
		" who = excluded.who, detail = excluded.detail",
	[STATEMENT_GET_ACTION] = "SELECT " ACTION_COLUMNS " FROM action WHERE id = ?",
	[STATEMENT_EACH_ACTION] = "SELECT " ACTION_COLUMNS " FROM action WHERE " STATE_IS_ASKED
				  " ORDER BY id DESC LIMIT ?2",
	[STATEMENT_EACH_ALARM_ACTION] =
		"SELECT " ACTION_COLUMNS " FROM action WHERE alarm = ?1 AND " STATE_IS_ASKED
		" ORDER BY id DESC LIMIT ?2",
	[STATEMENT_COUNT_ACTIONS] = "SELECT count(*) FROM action"
				    " WHERE who = ? AND made >= ? AND state <> 'vetoed'",
	[STATEMENT_ADD_AUDIT] =
		"INSERT INTO audit (number, time, record, hash) VALUES (?, ?, ?, ?)",
	[STATEMENT_LAST_AUDIT] = "SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1",
	[STATEMENT_EACH_AUDIT] = "SELECT number, time, record, hash FROM audit WHERE number > ?"
				 " ORDER BY number LIMIT ?",
	[STATEMENT_ADD_MESSAGE] = "INSERT INTO outbox (receiver, alarm, made, due, attempts, body)"
				  " VALUES (?, ?, ?, ?, ?, ?)",
	[STATEMENT_UPDATE_MESSAGE] = "UPDATE outbox SET due = ?, attempts = ? WHERE id = ?",
	[STATEMENT_DELETE_MESSAGE] = "DELETE FROM outbox WHERE id = ?",
	[STATEMENT_EACH_MESSAGE] = "SELECT id, receiver, alarm, made, due, attempts, body"
				   " FROM outbox WHERE due <= ? ORDER BY due, id LIMIT ?",
	[STATEMENT_COUNT_MESSAGES] =
		"SELECT count(*) FROM outbox WHERE ?1 IS NULL OR receiver = ?1",
};
