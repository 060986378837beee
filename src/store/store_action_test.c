/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/test.h"
#include "store/store_internal.h"
#include "store/test_file.h"

/* SQLite's syncs come here, so that they can be counted and made to fail. */
static size_t syncs;
static bool disk_fails;

static int sync_instead(void)
{
	syncs++;
	if (disk_fails)
		errno = EIO;
	return disk_fails ? -1 : 0;
}

int fsync(int fd)
{
	return sync_instead();
}

int fdatasync(int fd)
{
	return sync_instead();
}

struct seen {
	size_t count;
	int64_t ids[64];
	char last[64]; /* a text of the last one */
};

static int see(struct seen *seen, int64_t id, const char *text)
{
	if (seen->count == sizeof(seen->ids) / sizeof(seen->ids[0]))
		return -E2BIG;
	seen->ids[seen->count++] = id;
	(void)snprintf(seen->last, sizeof(seen->last), "%s", text);
	return 0;
}

static int see_action(void *userdata, const struct store_action *action)
{
	return see(userdata, action->id, action->detail);
}

static int see_audit(void *userdata, int64_t number, int64_t time_usec, const char *record,
		     const char *hash)
{
	return time_usec == 100 * number && *hash == 'h' ? see(userdata, number, record) : -1;
}

static int see_message(void *userdata, const struct store_message *message)
{
	return see(userdata, message->id, message->body);
}

static int see_event(void *userdata, const struct store_event *event)
{
	return see(userdata, event->id, event->text);
}

static int stop_at_first(void *userdata, const struct store_action *action)
{
	(*(size_t *)userdata)++;
	return 42;
}

static int put_action(struct store *store, int64_t id, int64_t alarm, const char *state,
		      const char *who)
{
	struct store_action action = {.id = id,
				      .alarm = alarm,
				      .vm = "u-1",
				      .state = state,
				      .made_usec = 100 * id,
				      .changed_usec = 100 * id + 1,
				      .who = who,
				      .detail = state};

	return store_put_action(store, &action, NULL);
}

static int put_alarm(struct store *store, int64_t id, int64_t closed_usec)
{
	struct store_alarm alarm = {.id = id,
				    .group = "g",
				    .state = closed_usec ? "cleared" : "open",
				    .opened_usec = 5,
				    .closed_usec = closed_usec,
				    .summary = "",
				    .evidence = "{}"};

	return store_put_alarm(store, &alarm, NULL);
}

static int execute(struct store *store, const char *text)
{
	return sqlite3_exec(store->db, text, NULL, NULL, NULL) & 0xff;
}

static int level(struct store *store)
{
	sqlite3_stmt *statement = NULL;
	int answer = -1;

	if (sqlite3_prepare_v2(store->db, "PRAGMA synchronous", -1, &statement, NULL) ==
		    SQLITE_OK &&
	    sqlite3_step(statement) == SQLITE_ROW)
		answer = sqlite3_column_int(statement, 0);
	(void)sqlite3_finalize(statement);
	return answer;
}

static int copy_action(void *userdata, const struct store_action *action)
{
	bool same = action->id == 1 && action->alarm == 7 && action->made_usec == 100 &&
		    action->changed_usec == 150 && strcmp(action->vm, "u-1") == 0 &&
		    strcmp(action->state, "sent") == 0 && strcmp(action->who, "operator anna") == 0;

	(void)snprintf(userdata, 32, "%s", action->detail);
	return same ? 0 : -1;
}

static void test_action_is_stored_and_changed(void)
{
	cleanup(store_free) struct store *store = NULL;
	struct store_action action = {.id = 1,
				      .alarm = 7,
				      .vm = "u-1",
				      .state = "ordered",
				      .made_usec = 100,
				      .changed_usec = 100,
				      .who = "operator anna",
				      .detail = "{}"};
	struct error err = ERROR_INIT;
	char detail[32] = "";
	int64_t last = -1;

	check_int(start(), 0);
	check_int(store_open(path, &store, NULL), 0);
	check_int(store_last_action(store, &last, NULL), 0);
	check_int(last, 0);
	check_int(store_begin(store, NULL), 0);
	check_int(store_put_action(store, &action, NULL), 0);
	action.state = "sent";
	action.changed_usec = 150;
	action.detail = "{\"pid\":4}";
	check_int(store_put_action(store, &action, NULL), 0);
	check_int(store_commit(store, NULL), 0);
	check_int(store_get_action(store, 1, copy_action, detail, NULL), 0);
	check_string(detail, "{\"pid\":4}");
	check_int(store_get_action(store, 2, copy_action, detail, &err), -ENOENT);
	check(strstr(err.text, "no action 2"));
	check_int(store_last_action(store, &last, NULL), 0);
	check_int(last, 1);
	finish();
}

static void test_action_newest_first_by_alarm_and_state(void)
{
	static const char *const states[] = {"announced", "waiting", "ordered", "sent",
					     "done",      "pending", "refused", "failed",
					     "unknown",   "vetoed"};
	cleanup(store_free) struct store *store = NULL;
	struct seen open = {0}, of_alarm = {0}, both = {0}, two = {0}, done = {0}, all = {0};
	size_t calls = 0;

	check_int(start(), 0);
	check_int(store_open(path, &store, NULL), 0);
	check_int(store_begin(store, NULL), 0);
	for (int i = 0; i < 10; i++)
		check_int(put_action(store, i + 1, i % 2 ? 7 : 0, states[i], "a"), 0);
	check_int(store_commit(store, NULL), 0);
	check_int(store_each_action(store, 0, "open", 100, see_action, &open, NULL), 0);
	check_int(open.count, 4);
	check_int(open.ids[0], 4);
	check_int(open.ids[3], 1);
	check_int(store_each_action(store, 7, NULL, 100, see_action, &of_alarm, NULL), 0);
	check_int(of_alarm.count, 5);
	check_int(of_alarm.ids[0], 10);
	check_int(store_each_action(store, 7, "open", 100, see_action, &both, NULL), 0);
	check_int(both.count, 2);
	check_int(both.ids[1], 2);
	check_int(store_each_action(store, 0, NULL, 2, see_action, &two, NULL), 0);
	check_int(two.count, 2);
	check_int(two.ids[1], 9);
	check_int(store_each_action(store, 0, "done", 100, see_action, &done, NULL), 0);
	check_int(done.count, 1);
	check_string(done.last, "done");
	check_int(store_each_action(store, 0, NULL, SIZE_MAX, see_action, &all, NULL), 0);
	check_int(all.count, 10);
	check_int(store_each_action(store, 0, NULL, 100, stop_at_first, &calls, NULL), 42);
	check_int(calls, 1);
	finish();
}

static void test_action_count_is_of_one_and_not_of_vetoed(void)
{
	cleanup(store_free) struct store *store = NULL;
	size_t count = 77;

	check_int(start(), 0);
	check_int(store_open(path, &store, NULL), 0);
	check_int(store_count_actions(store, "rule a", 0, &count, NULL), 0);
	check_int(count, 0);
	check_int(put_action(store, 1, 0, "done", "rule a"), 0);
	check_int(put_action(store, 2, 0, "sent", "rule a"), 0);
	check_int(put_action(store, 3, 0, "vetoed", "rule a"), 0);
	check_int(put_action(store, 4, 0, "failed", "rule b"), 0);
	check_int(store_count_actions(store, "rule a", 100, &count, NULL), 0);
	check_int(count, 2);
	check_int(store_count_actions(store, "rule a", 101, &count, NULL), 0);
	check_int(count, 1);
	finish();
}

static int append(struct store *store, int64_t number, struct error *err)
{
	char record[32], hash[32];

	(void)snprintf(record, sizeof(record), "record %d", (int)number);
	(void)snprintf(hash, sizeof(hash), "hash %d", (int)number);
	return store_append_audit(store, number, 100 * number, record, hash, err);
}

static void test_audit_in_order(void)
{
	cleanup(store_free) struct store *store = NULL;
	struct seen seen = {0};
	char hash[16] = "x", small[6] = "same";
	int64_t last = -1;

	check_int(start(), 0);
	check_int(store_open(path, &store, NULL), 0);
	check_int(store_last_audit(store, &last, hash, sizeof(hash), NULL), 0);
	check_int(last, 0);
	check_string(hash, "");
	for (int i = 1; i <= 12; i++)
		check_int(append(store, i, NULL), 0);
	check_int(store_last_audit(store, &last, hash, sizeof(hash), NULL), 0);
	check_int(last, 12);
	check_string(hash, "hash 12");
	check_int(store_last_audit(store, &last, small, sizeof(small), NULL), -EUCLEAN);
	check_string(small, "same");
	check_int(store_each_audit(store, 3, 5, see_audit, &seen, NULL), 0);
	check_int(seen.count, 5);
	check_int(seen.ids[0], 4);
	check_int(seen.ids[4], 8);
	check_string(seen.last, "record 8");
	finish();
}

static void test_audit_is_append_only(void)
{
	static const char *const changes[] = {
		"UPDATE audit SET record = 'x'",
		"UPDATE audit SET number = 9 WHERE number = 2",
		"DELETE FROM audit",
		"DELETE FROM audit WHERE number = 2",
		"INSERT OR REPLACE INTO audit VALUES (1, 100, 'x', 'h')",
		"REPLACE INTO audit VALUES (2, 200, 'x', 'h')",
		"INSERT INTO audit (time, record, hash) VALUES (1, 'x', 'h')",
		"INSERT INTO audit VALUES (2, 2, 'x', 'h') ON CONFLICT DO UPDATE SET record = 'x'",
	};
	cleanup(store_free) struct store *store = NULL;
	struct error err = ERROR_INIT;
	struct seen seen = {0};

	check_int(start(), 0);
	check_int(store_open(path, &store, NULL), 0);
	check_int(append(store, 1, NULL), 0);
	check_int(append(store, 2, NULL), 0);
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		check_int(execute(store, changes[i]), SQLITE_CONSTRAINT);
	check(strstr(sqlite3_errmsg(store->db), "append-only"));
	check_int(store_expire(store, INT64_MAX, 100, NULL), 0);
	check_int(store_each_audit(store, 0, 100, see_audit, &seen, NULL), 0);
	check_int(seen.count, 2);
	check_string(seen.last, "record 2");
	check_int(append(store, 2, &err), -EINVAL);
	check(strstr(err.text, "append-only"));
	check_int(append(store, 4, NULL), -EINVAL);
	check_int(append(store, 3, NULL), 0);
	finish();
}

/* What fails is undone by itself; what the transaction wrote else is committed. */
static void test_audit_out_of_turn_leaves_the_transaction(void)
{
	cleanup(store_free) struct store *store = NULL;
	struct seen seen = {0};

	check_int(start(), 0);
	check_int(store_open(path, &store, NULL), 0);
	check_int(store_begin(store, NULL), 0);
	check_int(append(store, 1, NULL), 0);
	check_int(append(store, 5, NULL), -EINVAL);
	check_int(append(store, 2, NULL), 0);
	check_int(store_commit(store, NULL), 0);
	check_int(store_each_audit(store, 0, 100, see_audit, &seen, NULL), 0);
	check_int(seen.count, 2);
	finish();
}

static int put_message(struct store *store, const char *receiver, int64_t due, int64_t *ret_id)
{
	struct store_message message = {.receiver = receiver,
					.alarm = 7,
					.made_usec = 10,
					.due_usec = due,
					.body = receiver};

	return store_put_message(store, &message, ret_id, NULL);
}

static void test_outbox_by_due_time(void)
{
	cleanup(store_free) struct store *store = NULL;
	struct seen now = {0}, one = {0};
	int64_t late, early, later;
	size_t count;

	check_int(start(), 0);
	check_int(store_open(path, &store, NULL), 0);
	check_int(put_message(store, "mail", 200, &late), 0);
	check_int(put_message(store, "hook", 100, &early), 0);
	check_int(put_message(store, "hook", 300, &later), 0);
	check(late > 0 && early > late && later > early);
	check_int(store_each_message(store, 200, 100, see_message, &now, NULL), 0);
	check_int(now.count, 2);
	check_int(now.ids[0], early);
	check_int(now.ids[1], late);
	check_string(now.last, "mail");
	check_int(store_each_message(store, INT64_MAX, 1, see_message, &one, NULL), 0);
	check_int(one.count, 1);
	check_int(store_count_messages(store, NULL, &count, NULL), 0);
	check_int(count, 3);
	check_int(store_count_messages(store, "hook", &count, NULL), 0);
	check_int(count, 2);
	check_int(store_count_messages(store, "nobody", &count, NULL), 0);
	check_int(count, 0);
	finish();
}

static int check_message(void *userdata, const struct store_message *message)
{
	(*(size_t *)userdata)++;
	return message->alarm == 7 && message->made_usec == 10 && message->due_usec == 500 &&
			       message->attempts == 3 && strcmp(message->receiver, "hook") == 0 &&
			       strcmp(message->body, "hook") == 0
		       ? 0
		       : -1;
}

static void test_outbox_later_and_gone(void)
{
	cleanup(store_free) struct store *store = NULL;
	struct store_message again = {.due_usec = 500, .attempts = 3};
	struct error err = ERROR_INIT;
	int64_t next;
	size_t count = 0;

	check_int(start(), 0);
	check_int(store_open(path, &store, NULL), 0);
	check_int(put_message(store, "hook", 100, &again.id), 0);
	check_int(store_put_message(store, &again, NULL, NULL), 0);
	check_int(store_each_message(store, 499, 10, check_message, &count, NULL), 0);
	check_int(count, 0);
	check_int(store_each_message(store, 500, 10, check_message, &count, NULL), 0);
	check_int(count, 1);
	check_int(store_delete_message(store, again.id, NULL), 0);
	check_int(store_delete_message(store, again.id, NULL), 0);
	check_int(store_put_message(store, &again, NULL, &err), -ENOENT);
	check(strstr(err.text, "no message"));
	check_int(put_message(store, "hook", 100, &next), 0);
	check(next > again.id);
	finish();
}

static void test_event_of_all_alarms_in_order(void)
{
	cleanup(store_free) struct store *store = NULL;
	struct seen first = {0}, newest = {0}, after = {0};
	int64_t last = -1;

	check_int(start(), 0);
	check_int(store_open(path, &store, NULL), 0);
	check_int(store_last_event(store, &last, NULL), 0);
	check_int(last, 0);
	check_int(put_alarm(store, 1, 0), 0);
	check_int(put_alarm(store, 2, 0), 0);
	for (int i = 1; i <= 10; i++)
		check_int(store_put_alarm_event(store, 1 + i % 2, i, "e", "t", "", NULL), 0);
	check_int(store_each_event(store, 4, 3, false, see_event, &first, NULL), 0);
	check_int(first.count, 3);
	check_int(first.ids[0], 5);
	check_int(first.ids[2], 7);
	check_int(store_each_event(store, 0, 3, true, see_event, &newest, NULL), 0);
	check_int(newest.count, 3);
	check_int(newest.ids[0], 8);
	check_int(newest.ids[2], 10);
	check_int(store_each_event(store, 9, 3, true, see_event, &after, NULL), 0);
	check_int(after.count, 1);
	check_int(store_last_event(store, &last, NULL), 0);
	check_int(last, 10);
	check_int(store_put_alarm_event(store, 99, 1, "e", "t", "", NULL), -EINVAL);
	finish();
}

/* Who asks for what came after event 2 must not miss the next one. */
static void test_event_ids_are_not_used_again(void)
{
	cleanup(store_free) struct store *store = NULL;
	struct seen seen = {0};
	int64_t last;

	check_int(start(), 0);
	check_int(store_open(path, &store, NULL), 0);
	check_int(put_alarm(store, 1, 50), 0);
	for (int i = 1; i <= 2; i++)
		check_int(store_put_alarm_event(store, 1, i, "e", "t", "", NULL), 0);
	check_int(store_expire(store, 100, 100, NULL), 1);
	check_int(store_last_event(store, &last, NULL), 0);
	check_int(last, 2);
	check_int(put_alarm(store, 2, 0), 0);
	check_int(store_put_alarm_event(store, 2, 200, "e", "t", "", NULL), 0);
	check_int(store_each_event(store, 2, 100, false, see_event, &seen, NULL), 0);
	check_int(seen.count, 1);
	check_int(seen.ids[0], 3);
	finish();
}

static void test_expire_ended_actions_without_alarm(void)
{
	cleanup(store_free) struct store *store = NULL;
	struct seen seen = {0};
	int64_t last;

	check_int(start(), 0);
	check_int(store_open(path, &store, NULL), 0);
	check_int(put_alarm(store, 7, 0), 0);
	check_int(put_action(store, 1, 0, "done", "a"), 0);    /* goes */
	check_int(put_action(store, 2, 7, "done", "a"), 0);    /* its alarm is there */
	check_int(put_action(store, 3, 0, "sent", "a"), 0);    /* not ended */
	check_int(put_action(store, 4, 8, "vetoed", "a"), 0);  /* goes */
	check_int(put_action(store, 5, 8, "unknown", "a"), 0); /* goes, in the second call */
	check_int(put_action(store, 6, 0, "failed", "a"), 0);  /* too young */
	check_int(store_expire(store, 550, 2, NULL), 2);
	check_int(store_expire(store, 550, 2, NULL), 1);
	check_int(store_expire(store, 550, 2, NULL), 0);
	check_int(store_each_action(store, 0, NULL, 100, see_action, &seen, NULL), 0);
	check_int(seen.count, 3);
	check_int(seen.ids[0], 6);
	check_int(seen.ids[1], 3);
	check_int(seen.ids[2], 2);
	check_int(put_alarm(store, 7, 500), 0);
	check_int(store_expire(store, 550, 2, NULL), 2); /* the alarm, and then its action */
	check_int(store_last_action(store, &last, NULL), 0);
	check_int(last, 6);
	finish();
}

static void test_expire_messages_by_their_age(void)
{
	cleanup(store_free) struct store *store = NULL;
	size_t count;

	check_int(start(), 0);
	check_int(store_open(path, &store, NULL), 0);
	for (int i = 0; i < 3; i++)
		check_int(put_message(store, "hook", 1000, NULL), 0);
	check_int(store_expire(store, 10, 2, NULL), 0);
	check_int(store_expire(store, 11, 2, NULL), 2);
	check_int(store_count_messages(store, NULL, &count, NULL), 0);
	check_int(count, 1);
	finish();
}

static void test_store_commit_syncs_what_was_begun_durably(void)
{
	cleanup(store_free) struct store *store = NULL;
	size_t before;

	check_int(start(), 0);
	check_int(store_open(path, &store, NULL), 0);
	before = syncs;
	check_int(store_begin(store, NULL), 0);
	check_int(append(store, 1, NULL), 0);
	check_int(store_commit(store, NULL), 0);
	check_int(syncs, before);
	check_int(store_begin_durably(store, NULL), 0);
	check_int(append(store, 2, NULL), 0);
	check_int(store_commit(store, NULL), 0);
	check(syncs > before);
	check_int(level(store), 1); /* NORMAL again */
	check_int(store_begin_durably(store, NULL), 0);
	store_rollback(store);
	check_int(level(store), 1);
	finish();
}

static void test_store_failed_sync_undoes_the_transaction(void)
{
	cleanup(store_free) struct store *store = NULL;
	struct error err = ERROR_INIT;
	struct seen actions = {0};
	char hash[16];
	int64_t last;

	check_int(start(), 0);
	check_int(store_open(path, &store, NULL), 0);
	check_int(append(store, 1, NULL), 0);
	check_int(store_begin_durably(store, NULL), 0);
	check_int(append(store, 2, NULL), 0);
	check_int(put_action(store, 1, 0, "ordered", "a"), 0);
	disk_fails = true;
	last = store_commit(store, &err);
	disk_fails = false;
	check_int(last, -EIO);
	check(strstr(err.text, path));
	check_int(store_last_audit(store, &last, hash, sizeof(hash), NULL), 0);
	check_int(last, 1);
	check_int(store_each_action(store, 0, NULL, 10, see_action, &actions, NULL), 0);
	check_int(actions.count, 0);
	check_int(store_begin_durably(store, NULL), 0);
	check_int(append(store, 2, NULL), 0);
	check_int(store_commit(store, NULL), 0);
	store = store_free(store);
	check_int(store_open(path, &store, NULL), 0);
	check_int(store_last_audit(store, &last, hash, sizeof(hash), NULL), 0);
	check_int(last, 2);
	finish();
}

/* Killed after one durable commit and in the middle of the next: the first is there, whole. */
static void test_store_killed_while_recording(void)
{
	cleanup(store_free) struct store *store = NULL;
	struct seen actions = {0};
	char hash[16];
	int64_t last;
	pid_t child;
	int status;

	check_int(start(), 0);
	child = fork();
	check(child >= 0);
	if (child == 0) {
		if (store_open(path, &store, NULL) < 0 || store_begin_durably(store, NULL) < 0 ||
		    append(store, 1, NULL) < 0 || put_action(store, 1, 0, "ordered", "a") < 0 ||
		    store_commit(store, NULL) < 0 || store_begin_durably(store, NULL) < 0 ||
		    append(store, 2, NULL) < 0 || put_action(store, 1, 0, "sent", "a") < 0 ||
		    put_message(store, "hook", 1, NULL) < 0)
			_exit(1);
		(void)kill(getpid(), SIGKILL);
	}
	check(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
	check_int(store_open(path, &store, NULL), 0);
	check_int(store_last_audit(store, &last, hash, sizeof(hash), NULL), 0);
	check_int(last, 1);
	check_int(store_each_action(store, 0, "open", 10, see_action, &actions, NULL), 0);
	check_int(actions.count, 1);
	check_string(actions.last, "ordered");
	check_int(store_each_message(store, INT64_MAX, 10, see_message, &actions, NULL), 0);
	check_int(actions.count, 1);
	finish();
}

TEST_MAIN(TEST(test_action_is_stored_and_changed),
	  TEST(test_action_newest_first_by_alarm_and_state),
	  TEST(test_action_count_is_of_one_and_not_of_vetoed), TEST(test_audit_in_order),
	  TEST(test_audit_is_append_only), TEST(test_audit_out_of_turn_leaves_the_transaction),
	  TEST(test_outbox_by_due_time), TEST(test_outbox_later_and_gone),
	  TEST(test_event_of_all_alarms_in_order), TEST(test_event_ids_are_not_used_again),
	  TEST(test_expire_ended_actions_without_alarm), TEST(test_expire_messages_by_their_age),
	  TEST(test_store_commit_syncs_what_was_begun_durably),
	  TEST(test_store_failed_sync_undoes_the_transaction),
	  TEST(test_store_killed_while_recording))
