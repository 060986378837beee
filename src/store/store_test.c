/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/test.h"
#include "store/store_internal.h"
#include "store/test_file.h"

static const struct store_vm vm1 = {.node = "node-a",
				    .uuid = {{1}},
				    .name = "vm1",
				    .instance = "i-1",
				    .project = "shop",
				    .vcpus = 2};

static int put_point(struct store *store, int64_t series, int64_t time, double value)
{
	struct store_point point = {
		.time_usec = time, .state = STORE_POINT_GOOD, .value = value, .delta = 0.5};

	return store_put_point(store, series, &point, NULL);
}

struct seen {
	size_t count;
	int64_t times[64];
	double values[64];
};

static int see_point(void *userdata, const struct store_point *point)
{
	struct seen *seen = userdata;

	seen->times[seen->count] = point->time_usec;
	seen->values[seen->count++] = point->value;
	return 0;
}

static void test_store_points_are_a_step_function(void)
{
	cleanup(store_free) struct store *store = NULL;
	struct store_point point, gap = {.time_usec = 400, .state = STORE_POINT_GAP, .value = NAN};
	struct seen seen = {0};
	int64_t vm, again, series;

	check_int(start(), 0);
	check_int(store_open(path, &store, NULL), 0);
	check_int(store_begin(store, NULL), 0);
	check_int(store_vm_number(store, &vm1, &vm, NULL), 0);
	check_int(store_vm_number(store, &vm1, &again, NULL), 0);
	check_int(vm, again);
	check_int(store_series_number(store, vm, METRIC_NETWORK_OUT, &series, NULL), 0);
	for (int i = 1; i <= 3; i++)
		check_int(put_point(store, series, 100 * i, i), 0);
	check_int(store_put_point(store, series, &gap, NULL), 0);
	check_int(store_commit(store, NULL), 0);
	check_int(store_point_at(store, series, 99, &point, NULL), -ENOENT);
	check_int(store_point_at(store, series, 250, &point, NULL), 0);
	check_near(point.value, 2, 0);
	check_near(point.delta, 0.5, 0);
	check_int(store_point_at(store, series, 1000, &point, NULL), 0);
	check_int(point.state, STORE_POINT_GAP);
	check(isnan(point.value));
	check_int(store_each_point(store, series, 250, 400, see_point, &seen, NULL), 0);
	check_int(seen.count, 2);
	check_int(seen.times[0], 200);
	check_int(seen.times[1], 300);
	finish();
}

static void test_store_expire_keeps_the_point_in_force(void)
{
	cleanup(store_free) struct store *store = NULL;
	struct seen seen = {0};
	int64_t vm, series;

	check_int(start(), 0);
	check_int(store_open(path, &store, NULL), 0);
	check_int(store_begin(store, NULL), 0);
	check_int(store_vm_number(store, &vm1, &vm, NULL), 0);
	check_int(store_series_number(store, vm, METRIC_NETWORK_OUT, &series, NULL), 0);
	for (int i = 1; i <= 10; i++)
		check_int(put_point(store, series, 100 * i, i), 0);
	check_int(store_expire(store, 550, 2, NULL), 2);
	check_int(store_expire(store, 550, 100, NULL), 2);
	check_int(store_expire(store, 550, 100, NULL), 0);
	check_int(store_commit(store, NULL), 0);
	check_int(store_each_point(store, series, 550, 2000, see_point, &seen, NULL), 0);
	check_int(seen.count, 6);
	check_int(seen.times[0], 500);
	finish();
}

static int see_row(void *userdata, const struct store_row *row)
{
	struct seen *seen = userdata;

	seen->times[seen->count] = row->time_usec;
	seen->values[seen->count++] = row->spe;
	return 0;
}

static void test_store_newest_rows_in_order(void)
{
	cleanup(store_free) struct store *store = NULL;
	struct seen seen = {0};

	check_int(start(), 0);
	check_int(store_open(path, &store, NULL), 0);
	check_int(store_begin(store, NULL), 0);
	for (int i = 1; i <= 20; i++) {
		struct store_row row = {.time_usec = i, .spe = i == 18 ? NAN : i, .q = 3};

		check_int(store_put_row(store, "g", &row, NULL), 0);
	}
	check_int(store_commit(store, NULL), 0);
	check_int(store_each_row(store, "g", 0, INT64_MAX, 5, see_row, &seen, NULL), 0);
	check_int(seen.count, 5);
	check_int(seen.times[0], 16);
	check(isnan(seen.values[2]));
	check_int(seen.times[4], 20);
	finish();
}

static int see_alarm(void *userdata, const struct store_alarm *alarm)
{
	struct seen *seen = userdata;

	seen->times[seen->count++] = alarm->id;
	return strcmp(alarm->group, "g") == 0 ? 0 : -1;
}

static int see_event(void *userdata, const struct store_event *event)
{
	struct seen *seen = userdata;

	seen->times[seen->count++] = event->id;
	return strcmp(event->text, "because") == 0 && strcmp(event->vm, "u-1") == 0 ? 0 : -1;
}

static void test_store_alarms_and_their_history(void)
{
	cleanup(store_free) struct store *store = NULL;
	struct store_alarm alarm = {.id = 1,
				    .group = "g",
				    .state = "open",
				    .opened_usec = 5,
				    .summary = "s",
				    .evidence = "{}"};
	int64_t last = -1;
	struct seen open = {0}, closed = {0}, events = {0};

	check_int(start(), 0);
	check_int(store_open(path, &store, NULL), 0);
	check_int(store_last_alarm(store, &last, NULL), 0);
	check_int(last, 0);
	check_int(store_begin(store, NULL), 0);
	check_int(store_put_alarm(store, &alarm, NULL), 0);
	check_int(store_put_alarm_event(store, 1, 5, "opened", "because", "u-1", NULL), 0);
	alarm.state = "cleared";
	alarm.closed_usec = 9;
	check_int(store_put_alarm(store, &alarm, NULL), 0);
	alarm = (struct store_alarm){
		.id = 2, .group = "g", .state = "open", .summary = "", .evidence = "{}"};
	check_int(store_put_alarm(store, &alarm, NULL), 0);
	check_int(store_commit(store, NULL), 0);
	check_int(store_last_alarm(store, &last, NULL), 0);
	check_int(last, 2);
	check_int(store_each_alarm(store, "open", 10, see_alarm, &open, NULL), 0);
	check_int(open.count, 1);
	check_int(open.times[0], 2);
	check_int(store_each_alarm(store, NULL, 10, see_alarm, &closed, NULL), 0);
	check_int(closed.count, 2);
	check_int(store_each_alarm_event(store, 1, see_event, &events, NULL), 0);
	check_int(events.count, 1);
	check_int(store_get_alarm(store, 77, see_alarm, &closed, NULL), -ENOENT);
	finish();
}

/* A process that dies in mid-transaction loses that transaction and nothing else. */
static void test_store_killed_in_mid_transaction(void)
{
	cleanup(store_free) struct store *store = NULL;
	char *value = NULL;
	pid_t child;
	int status;

	check_int(start(), 0);
	child = fork();
	check(child >= 0);
	if (child == 0) {
		if (store_open(path, &store, NULL) < 0 || store_begin(store, NULL) < 0 ||
		    store_put_state(store, "a", "1", NULL) < 0 || store_commit(store, NULL) < 0 ||
		    store_begin(store, NULL) < 0 || store_put_state(store, "a", "2", NULL) < 0)
			_exit(1);
		(void)kill(getpid(), SIGKILL);
	}
	check(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
	check_int(store_open(path, &store, NULL), 0);
	check_int(store_get_state(store, "a", &value, NULL), 0);
	check_string(value, "1");
	free(value);
	finish();
}

static void test_store_one_owner(void)
{
	cleanup(store_free) struct store *store = NULL;
	cleanup(store_free) struct store *second = NULL;
	struct error err = ERROR_INIT;

	check_int(start(), 0);
	check_int(store_open(path, &store, NULL), 0);
	check_int(store_open(path, &second, &err), -EBUSY);
	check(strstr(err.text, "another atomd"));
	finish();
}

static void test_store_damaged_file_is_left_alone(void)
{
	cleanup(store_free) struct store *store = NULL;
	struct error err = ERROR_INIT;
	struct stat before, after;
	char garbage[8192];
	int fd;

	memset(garbage, 'x', sizeof(garbage));
	check_int(start(), 0);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	check(write(fd, garbage, sizeof(garbage)) == (ssize_t)sizeof(garbage));
	(void)close(fd);
	check_int(stat(path, &before), 0);
	check_int(store_open(path, &store, &err), -EUCLEAN);
	check(strstr(err.text, path) && strstr(err.text, "move it aside"));
	check_int(stat(path, &after), 0);
	check_int(after.st_size, before.st_size);
	finish();
}

static void test_store_truncated_file_is_named(void)
{
	cleanup(store_free) struct store *store = NULL;
	struct error err = ERROR_INIT;
	int64_t vm, series;

	check_int(start(), 0);
	check_int(store_open(path, &store, NULL), 0);
	check_int(store_begin(store, NULL), 0);
	check_int(store_vm_number(store, &vm1, &vm, NULL), 0);
	check_int(store_series_number(store, vm, METRIC_NETWORK_OUT, &series, NULL), 0);
	for (int i = 0; i < 5000; i++)
		check_int(put_point(store, series, i, i), 0);
	check_int(store_commit(store, NULL), 0);
	store = store_free(store);
	check_int(truncate(path, 20000), 0);
	check_int(store_open(path, &store, &err), -EUCLEAN);
	check(strstr(err.text, "damaged"));
	finish();
}

static void test_store_newer_schema_is_refused(void)
{
	cleanup(store_free) struct store *store = NULL;
	struct error err = ERROR_INIT;
	uint8_t version[4] = {0, 0, 0, 99};
	int fd;

	check_int(start(), 0);
	check_int(store_open(path, &store, NULL), 0);
	store = store_free(store);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	check(pwrite(fd, version, 4, 60) == 4); /* user_version in the header of the file */
	(void)close(fd);
	check_int(store_open(path, &store, &err), -EPROTO);
	check(strstr(err.text, "newer atomd"));
	finish();
}

/* A file as the first version wrote it. */
static int write_first_version(void)
{
	sqlite3 *db;
	int r = sqlite3_open(path, &db);

	if (r == SQLITE_OK)
		r = sqlite3_exec(db, store_migrations[0], NULL, NULL, NULL);
	if (r == SQLITE_OK)
		r = sqlite3_exec(db,
				 "PRAGMA user_version = 1;"
				 "INSERT INTO alarm VALUES (7, 'g', 'open', 5, 0, 1, 's', '{}');"
				 "INSERT INTO event VALUES (3, 7, 5, 'opened', 'first');"
				 "INSERT INTO event VALUES (9, 7, 6, 'cleared', 'second');"
				 "INSERT INTO state VALUES ('key', 'kept')",
				 NULL, NULL, NULL);
	(void)sqlite3_close(db);
	return r;
}

static int see_old_event(void *userdata, const struct store_event *event)
{
	struct seen *seen = userdata;

	seen->times[seen->count++] = event->id;
	if (event->alarm != 7 || event->time_usec != (event->id == 3 ? 5 : 6))
		return -1;
	return strcmp(event->text, event->id == 3 ? "first" : "second") == 0 &&
			       strcmp(event->vm, "") == 0
		       ? 0
		       : -1;
}

static void test_store_first_version_is_migrated(void)
{
	cleanup(store_free) struct store *store = NULL;
	char *value = NULL;
	struct seen alarms = {0}, events = {0};
	int64_t last;

	check_int(start(), 0);
	check_int(write_first_version(), SQLITE_OK);
	check_int(store_open(path, &store, NULL), 0);
	check_int(store_each_alarm(store, NULL, 10, see_alarm, &alarms, NULL), 0);
	check_int(alarms.count, 1);
	check_int(alarms.times[0], 7);
	check_int(store_each_event(store, 0, 10, false, see_old_event, &events, NULL), 0);
	check_int(events.count, 2);
	check_int(events.times[0], 3);
	check_int(events.times[1], 9);
	check_int(store_last_event(store, &last, NULL), 0);
	check_int(last, 9);
	check_int(store_get_state(store, "key", &value, NULL), 0);
	check_string(value, "kept");
	free(value);
	/* and it goes on as one of this version, now and when it is opened again */
	check_int(store_put_alarm_event(store, 7, 8, "note", "third", "u", NULL), 0);
	check_int(store_append_audit(store, 1, 8, "{}", "h", NULL), 0);
	store = store_free(store);
	check_int(store_open(path, &store, NULL), 0);
	check_int(store_last_event(store, &last, NULL), 0);
	check_int(last, 10);
	finish();
}

/* A step that fails half-way leaves the file as it was. */
static void test_store_failed_migration_changes_nothing(void)
{
	cleanup(store_free) struct store *store = NULL;
	struct error err = ERROR_INIT;
	sqlite3 *db;

	check_int(start(), 0);
	check_int(write_first_version(), SQLITE_OK);
	check_int(sqlite3_open(path, &db), SQLITE_OK);
	check_int(sqlite3_exec(db, "CREATE TABLE outbox (x)", NULL, NULL, NULL), SQLITE_OK);
	check(store_open(path, &store, &err) < 0);
	check(strstr(err.text, "outbox"));
	check_int(sqlite3_exec(db, "DROP TABLE outbox", NULL, NULL, NULL), SQLITE_OK);
	(void)sqlite3_close(db);
	check_int(store_open(path, &store, NULL), 0);
	finish();
}

/* The file may not grow: the tick fails whole, what was there stays, and it goes on when there is
 * room again. */
static void test_store_full_disk(void)
{
	cleanup(store_free) struct store *store = NULL;
	struct rlimit limit, small;
	struct error err = ERROR_INIT;
	char *value = NULL, big[4096];
	int r = 0;

	memset(big, 'b', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	check_int(start(), 0);
	check_int(store_open(path, &store, NULL), 0);
	check_int(store_begin(store, NULL), 0);
	check_int(store_put_state(store, "kept", "1", NULL), 0);
	check_int(store_commit(store, NULL), 0);
	(void)signal(SIGXFSZ, SIG_IGN);
	check_int(getrlimit(RLIMIT_FSIZE, &limit), 0);
	small = (struct rlimit){.rlim_cur = 200000, .rlim_max = limit.rlim_max};
	check_int(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (int tick = 0; r == 0 && tick < 200; tick++) {
		char key[16];

		(void)snprintf(key, sizeof(key), "k%d", tick);
		r = store_begin(store, &err);
		if (r == 0)
			r = store_put_state(store, key, big, &err);
		if (r == 0)
			r = store_commit(store, &err);
		else
			store_rollback(store);
	}
	(void)setrlimit(RLIMIT_FSIZE, &limit);
	check(r < 0);
	check(strstr(err.text, path));
	check_int(store_get_state(store, "kept", &value, NULL), 0);
	check_string(value, "1");
	free(value);
	check_int(store_begin(store, NULL), 0);
	check_int(store_put_state(store, "after", "1", NULL), 0);
	check_int(store_commit(store, NULL), 0);
	finish();
}

TEST_MAIN(TEST(test_store_points_are_a_step_function),
	  TEST(test_store_expire_keeps_the_point_in_force), TEST(test_store_newest_rows_in_order),
	  TEST(test_store_alarms_and_their_history), TEST(test_store_killed_in_mid_transaction),
	  TEST(test_store_one_owner), TEST(test_store_damaged_file_is_left_alone),
	  TEST(test_store_truncated_file_is_named), TEST(test_store_newer_schema_is_refused),
	  TEST(test_store_first_version_is_migrated),
	  TEST(test_store_failed_migration_changes_nothing), TEST(test_store_full_disk))
