/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "ctl/command.h"
#include "pki/pki.h"
#include "terminal/options.h"
#include "terminal/table.h"

DEFINE_CLEANUP(DIR *, closedir)
DEFINE_CLEANUP(json_t *, json_decref)
DEFINE_CLEANUP(struct table *, table_free)

static const char help[] =
	"Usage: atom enroll init [--dir DIR] [--name NAME_OR_ADDRESS]...\n"
	"       atom enroll node NAME [--dir DIR] [--out DIR]\n"
	"       atom enroll show [--dir DIR] [--json]\n"
	"init makes the authority and the controller's certificate for the names it is reached by\n"
	"(default: this host's name, localhost, 127.0.0.1 and ::1). node makes a node's key and\n"
	"certificate in --out (default: DIR) with a copy of ca.crt, to be taken to that host. "
	"show\n"
	"lists what is there. DIR is /etc/atom/pki for root, else ~/.config/atom/pki.\n";

static int default_directory(char *path, size_t size)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	if (geteuid() == 0)
		return snprintf(path, size, "/etc/atom/pki") < (int)size ? 0 : -ENAMETOOLONG;
	if (config && *config)
		return snprintf(path, size, "%s/atom/pki", config) < (int)size ? 0 : -ENAMETOOLONG;
	return snprintf(path, size, "%s/.config/atom/pki", home ? home : ".") < (int)size
		       ? 0
		       : -ENAMETOOLONG;
}

/* As mkdir -p for the parents; the last part is pki's to make. */
static void make_parents(const char *directory)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s", directory);
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(path, 0755); /* what fails here fails clearly in pki */
		*slash = '/';
	}
}

static int init(const char *directory, const struct option_list *wanted)
{
	char host[256] = "";
	const char *const usual[] = {"localhost", "127.0.0.1", "::1", host};
	const char *const *names = wanted->count > 0 ? wanted->items : usual;
	size_t count = wanted->count;
	struct error err = ERROR_INIT;
	int r;

	if (count == 0)
		count = gethostname(host, sizeof(host) - 1) == 0 && *host ? 4 : 3;
	make_parents(directory);
	r = pki_create_authority(directory, &err);
	if (r == 0)
		r = pki_issue_controller(directory, names, count, directory, &err);
	if (r < 0)
		return terminal_fail(EXIT_FAILED, "%s", error_text(&err, r));
	printf("%s holds the authority (ca.crt, ca.key: keep the key safe) and the controller's\n"
	       "certificate for",
	       directory);
	for (size_t i = 0; i < count; i++)
		printf("%s %s", i ? "," : "", names[i]);
	printf(".\nNext: atom enroll node NAME for each host.\n");
	return EXIT_OK;
}

static int copy_file(const char *from, const char *to)
{
	cleanup(fclose) FILE *in = fopen(from, "re");
	cleanup(fclose) FILE *out = in ? fopen(to, "we") : NULL;
	char buffer[4096];
	size_t size;

	if (!out)
		return -errno;
	while ((size = fread(buffer, 1, sizeof(buffer), in)) > 0)
		if (fwrite(buffer, 1, size, out) != size)
			return -EIO;
	return fflush(out) == 0 ? 0 : -errno;
}

static int enroll_node(const char *directory, const char *name, const char *out)
{
	char from[PATH_MAX], to[PATH_MAX];
	struct error err = ERROR_INIT;
	int r;

	if (out)
		make_parents(out);
	r = pki_issue_node(directory, name, out ? out : directory, &err);
	if (r < 0)
		return terminal_fail(EXIT_FAILED, "%s", error_text(&err, r));
	(void)snprintf(from, sizeof(from), "%s/ca.crt", directory);
	(void)snprintf(to, sizeof(to), "%s/ca.crt", out ? out : directory);
	if (strcmp(from, to) != 0 && (r = copy_file(from, to)) < 0)
		return terminal_fail(EXIT_FAILED, "%s: %s", to, strerror(-r));
	printf("Take ca.crt, %s.crt and %s.key from %s to that host, and write into its "
	       "node.yaml:\n\n"
	       "name: %s\ncontroller:\n  host: <the controller's name or address>\ntls:\n"
	       "  ca: /etc/atom/pki/ca.crt\n  certificate: /etc/atom/pki/%s.crt\n"
	       "  key: /etc/atom/pki/%s.key\n",
	       name, name, out ? out : directory, name, name, name);
	return EXIT_OK;
}

static json_t *describe(const char *directory, const char *name)
{
	char ca[PATH_MAX], certificate[PATH_MAX], key[PATH_MAX], common_name[PKI_NAME_MAX + 1] = "";
	char time[CLOCK_TEXT_SIZE];
	struct error err = ERROR_INIT;
	int64_t expires = 0;
	const char *kind = strcmp(name, "ca") == 0           ? "authority"
			   : strcmp(name, "controller") == 0 ? "controller"
							     : "node";
	int r;

	(void)snprintf(ca, sizeof(ca), "%s/ca.crt", directory);
	(void)snprintf(certificate, sizeof(certificate), "%s/%s.crt", directory, name);
	(void)snprintf(key, sizeof(key), "%s/%s.key", directory, name);
	r = pki_check_files(ca, certificate, key, common_name, &expires, &err);
	return json_pack("{s:s, s:s, s:s, s:s}", "name", name, "kind", kind, "expires",
			 expires ? clock_format(expires * USEC_PER_SEC, time) : "", "problem",
			 r < 0 ? error_text(&err, r) : "");
}

static int compare_names(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_certificate(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return dot && strcmp(dot, ".crt") == 0;
}

static json_t *describe_all(const char *directory)
{
	struct dirent **entries;
	int count = scandir(directory, &entries, is_certificate, compare_names);
	json_t *list = json_array();

	for (int i = 0; i < count; i++) {
		*strrchr(entries[i]->d_name, '.') = '\0';
		(void)json_array_append_new(list, describe(directory, entries[i]->d_name));
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	return list;
}

static int show(const char *directory, bool json)
{
	cleanup(json_decref) json_t *list = describe_all(directory);
	cleanup(table_free) struct table *table = table_new();
	const json_t *entry;
	size_t i;

	if (json)
		return command_print_json(list);
	if (json_array_size(list) == 0)
		return terminal_fail(EXIT_FAILED,
				     "there are no certificates in %s; atom enroll init makes "
				     "the first",
				     directory);
	table_column(table, "NAME", TABLE_LEFT);
	table_column(table, "KIND", TABLE_LEFT);
	table_column(table, "EXPIRES", TABLE_LEFT);
	table_column(table, "PROBLEM", TABLE_LEFT);
	json_array_foreach(list, i, entry)
	{
		table_cell(table, "%s", json_text(entry, "name"));
		table_cell(table, "%s", json_text(entry, "kind"));
		table_cell(table, "%.10s", json_text(entry, "expires"));
		table_cell(table, "%s",
			   *json_text(entry, "problem") ? json_text(entry, "problem") : "-");
	}
	table_print(table, stdout);
	return EXIT_OK;
}

int command_enroll(int argc, char **argv)
{
	const char *directory = NULL, *out = NULL;
	struct option_list names = {0};
	bool json = false;
	const struct command_option options[] = {{"dir", OPTION_VALUE, &directory},
						 {"out", OPTION_VALUE, &out},
						 {"name", OPTION_LIST, &names},
						 {"json", OPTION_FLAG, &json}};
	char fallback[PATH_MAX];
	int end, count = options_parse(argc, argv, options, 4, help, &end);

	if (count < 0)
		return end;
	if (!directory && default_directory(fallback, sizeof(fallback)) < 0)
		return terminal_fail(EXIT_FAILED,
				     "the default folder's path is too long: use --dir");
	if (!directory)
		directory = fallback;
	if (count == 1 && strcmp(argv[1], "init") == 0)
		return init(directory, &names);
	if (count == 2 && strcmp(argv[1], "node") == 0)
		return enroll_node(directory, argv[2], out);
	if (count == 1 && strcmp(argv[1], "show") == 0)
		return show(directory, json);
	fputs(help, stderr);
	return EXIT_USAGE;
}
