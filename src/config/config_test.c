/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/test.h"

struct group {
	char *name;
	int64_t rows;
};

struct settings {
	char *address;
	int64_t port;
	double alpha;
	bool verbose;
	int64_t interval;
	int method;
	struct config_strings metrics;
	struct config_numbers delta;
	struct config_records groups;
};

static const struct config_key group_keys[] = {
	{"name", CONFIG_STRING, offsetof(struct group, name), NULL, .help = "name of the group"},
	{"rows", CONFIG_INTEGER, offsetof(struct group, rows), "7", 1, 100, .help = "rows"},
};
static int check_group(const void *settings, struct error *err)
{
	const struct group *group = settings;

	return group->rows == 13
		       ? error_set(err, -EINVAL, "13 rows are too few for '%s'", group->name)
		       : 0;
}

static const struct config_table group_table = {"groups", sizeof(struct group), group_keys, 2,
						check_group};

static const struct config_key keys[] = {
	{"http.address", CONFIG_STRING, offsetof(struct settings, address), "127.0.0.1",
	 .help = "where to listen"},
	{"http.port", CONFIG_INTEGER, offsetof(struct settings, port), "7480", 0, 65535,
	 .help = "port"},
	{"alpha", CONFIG_NUMBER, offsetof(struct settings, alpha), "0.002", 1e-9, 0.4,
	 .help = "false alarm rate"},
	{"verbose", CONFIG_BOOLEAN, offsetof(struct settings, verbose), "false", .help = "talk"},
	{"interval", CONFIG_DURATION, offsetof(struct settings, interval), "10s", 0.1, 300,
	 .help = "interval"},
	{"method", CONFIG_CHOICE, offsetof(struct settings, method), "hbe", .choices = "hbe|paper",
	 .help = "threshold"},
	{"metrics", CONFIG_STRINGS, offsetof(struct settings, metrics), "", .help = "more metrics"},
	{"delta", CONFIG_NUMBERS, offsetof(struct settings, delta), "", 0, 1e12,
	 .choices = "CPU|Net", .help = "maximum error"},
	{"groups", CONFIG_RECORDS, offsetof(struct settings, groups), "", .help = "groups",
	 .record = &group_table},
};
static int check_all(const void *userdata, struct error *err)
{
	const struct settings *settings = userdata;

	return settings->verbose && settings->port == 99
		       ? error_set(err, -EINVAL, "port 99 is no place to talk")
		       : 0;
}

static const struct config_table table = {"test.yaml", sizeof(struct settings), keys,
					  sizeof(keys) / sizeof(keys[0]), check_all};

static int load(const char *text, struct settings *settings, struct error *err)
{
	char path[] = "/tmp/atom-config-test-XXXXXX";
	int fd = mkstemp(path), r;

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return -EIO;
	(void)close(fd);
	r = config_load(&table, path, settings, err);
	(void)unlink(path);
	return r;
}

static void test_config_defaults(void)
{
	struct settings settings;

	check_int(config_load(&table, NULL, &settings, NULL), 0);
	check_string(settings.address, "127.0.0.1");
	check_int(settings.interval, 10000000);
	check_int(settings.method, 0);
	check_int(settings.groups.count, 0);
	config_deinit(&table, &settings);
}

static void test_config_every_type(void)
{
	static const char text[] = "http:\n  port: 1\nalpha: 0.01\nverbose: yes\ninterval: 250ms\n"
				   "method: paper\nmetrics: [a, b]\ndelta: {CPU: 3, Net: 1e3}\n"
				   "groups:\n  - name: web\n  - name: db\n    rows: 9\n";
	struct settings settings;
	const struct group *groups;

	check_int(load(text, &settings, NULL), 0);
	check_int(settings.port, 1);
	check_string(settings.address, "127.0.0.1");
	check(settings.verbose);
	check_int(settings.interval, 250000);
	check_int(settings.method, 1);
	check_string(settings.metrics.items[1], "b");
	check_near(settings.delta.items[1].value, 1000, 0);
	groups = settings.groups.items;
	check_int(settings.groups.count, 2);
	check_string(groups[1].name, "db");
	check_int(groups[0].rows, 7);
	check_int(groups[1].rows, 9);
	config_deinit(&table, &settings);
}

static void test_config_empty_file_is_the_defaults(void)
{
	struct settings settings;

	check_int(load("", &settings, NULL), 0);
	check_int(settings.port, 7480);
	config_deinit(&table, &settings);
	check_int(load("http:\n", &settings, NULL), 0);
	config_deinit(&table, &settings);
}

static void test_config_errors_name_line_and_key(void)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{"alpha: 1\nhttp:\n  prt: 3\n", ":1: key 'alpha': must lie between"},
		{"http:\n  prt: 3\n", ":2: unknown key 'http.prt': did you mean 'http.port'?"},
		{"alpha: 0.1\nalpha: 0.2\n", ":2: key 'alpha' is there twice"},
		{"alpha: many\n", ":1: key 'alpha': 'many' is no number"},
		{"interval: 10\n", ":1: key 'interval': '10' is no duration"},
		{"method: jm\n", ":1: key 'method': 'jm' is not one of hbe|paper"},
		{"metrics: a\n", ":1: key 'metrics': must be a list"},
		{"delta:\n  CPU: -1\n", ":2: key 'delta': 'CPU': must lie between"},
		{"delta:\n  Disk: 1\n", ":2: key 'delta': 'Disk' is not one of CPU|Net"},
		{"groups:\n  - rows: 3\n", ":2: key 'name' is missing"},
		{"groups:\n  - name: a\n    rows: 0\n", ":3: key 'rows': must lie"},
		{"http: 3\n", ":1: 'http' must hold keys"},
		{"alpha: [1]\n", ":1: key 'alpha': must be a single value"},
		{"a: b: c\n", ":1: "},
		{"\talpha: 1\n", ":1: "},
		{"- 1\n", ":1: "},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct settings settings = {.port = 99};
		struct error err = ERROR_INIT;

		check(load(bad[i].text, &settings, &err) < 0);
		if (!strstr(err.text, bad[i].says))
			printf("# got: %s\n", err.text);
		check(strstr(err.text, bad[i].says));
		check_int(settings.port, 99);
	}
}

static void test_config_alias_bomb_is_bounded(void)
{
	static const char text[] =
		"groups:\n  - &a {name: x}\n  - *a\n  - *a\nmetrics: &m [a, b]\n";
	struct settings settings;

	check_int(load(text, &settings, NULL), 0);
	check_int(settings.groups.count, 3);
	config_deinit(&table, &settings);
}

static void test_config_checks_what_goes_together(void)
{
	struct error err = ERROR_INIT;
	struct settings settings;

	check_int(load("groups:\n  - {name: a}\n  - {name: b, rows: 13}\n", &settings, &err),
		  -EINVAL);
	check(strstr(err.text, ":3: 13 rows are too few for 'b'"));
	check_int(load("verbose: yes\nhttp: {port: 99}\n", &settings, &err), -EINVAL);
	check(strstr(err.text, ": port 99 is no place to talk"));
}

static void test_config_missing_file(void)
{
	struct error err = ERROR_INIT;
	struct settings settings;

	check_int(config_load(&table, "/nonexistent.yaml", &settings, &err), -ENOENT);
	check(strstr(err.text, "/nonexistent.yaml: No such file"));
}

static void test_config_help_names_every_key(void)
{
	char *text = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&text, &size);

	check(stream);
	config_print_help(&table, stream);
	config_print_reference(&table, stream);
	(void)fclose(stream);
	for (size_t i = 0; i < table.count; i++)
		check(strstr(text, keys[i].name));
	check(strstr(text, "hbe\\|paper"));
	free(text);
}

TEST_MAIN(TEST(test_config_defaults), TEST(test_config_every_type),
	  TEST(test_config_empty_file_is_the_defaults), TEST(test_config_errors_name_line_and_key),
	  TEST(test_config_alias_bomb_is_bounded), TEST(test_config_checks_what_goes_together),
	  TEST(test_config_missing_file), TEST(test_config_help_names_every_key))
