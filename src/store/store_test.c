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

DEFINE_CLEANUP(struct store *, store_free)

static char directory[64], path[96];

static int start(void)
{
	(void)strcpy(directory, "/tmp/atom-store-test-XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/atom.db", directory);
	return 0;
}

static void finish(void)
{
	static const char *const suffixes[] = {"", "-wal", "-shm", ".lock"};
	char name[128];

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		(void)snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
		(void)unlink(name);
	}
	(void)rmdir(directory);
}

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

static int see_event(void *userdata, int64_t time, const char *event, const char *text)
{
	struct seen *seen = userdata;

	seen->times[seen->count++] = time;
	return strcmp(text, "because") == 0 ? 0 : -1;
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
	check_int(store_put_alarm_event(store, 1, 5, "opened", "because", NULL), 0);
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
	  TEST(test_store_full_disk))
