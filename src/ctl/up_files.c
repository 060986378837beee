/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/up_files.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/tokens.h"
#include "base/cleanup.h"
#include "pki/pki.h"

DEFINE_CLEANUP(json_t *, json_decref)

enum { INDENT = 2 };

static int choose_directory(const char *wanted, char directory[PATH_MAX], struct error *err)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	cleanup(free) char *text = NULL;
	char *absolute;
	int length;

	if (wanted)
		length = asprintf(&text, "%s", wanted);
	else if (geteuid() == 0)
		length = asprintf(&text, "/var/lib/atom");
	else if (state && *state)
		length = asprintf(&text, "%s/atom", state);
	else
		length = asprintf(&text, "%s/.local/state/atom", home ? home : ".");
	if (length < 0) {
		text = NULL;
		return error_set(err, -ENOMEM, "out of memory");
	}
	for (char *slash = strchr(text + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(text, 0755); /* what fails here fails clearly below */
		*slash = '/';
	}
	if (mkdir(text, 0700) < 0 && errno != EEXIST)
		return error_set_errno(err, -errno, "%s", text);
	absolute = realpath(text, directory);
	return absolute ? 0 : error_set_errno(err, -errno, "%s", text);
}

static bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static int make_keys(const char *directory, struct error *err)
{
	static const char *const names[] = {"localhost", "127.0.0.1", "::1"};
	char pki[PATH_MAX], ca[PATH_MAX + 16];
	int r;

	if (snprintf(pki, sizeof(pki), "%s/pki", directory) >= (int)sizeof(pki))
		return error_set(err, -ENAMETOOLONG, "%.100s...: the path is too long", directory);
	(void)snprintf(ca, sizeof(ca), "%s/ca.crt", pki);
	if (exists(ca))
		return 0;
	r = pki_create_authority(pki, err);
	if (r == 0)
		r = pki_issue_controller(pki, names, 3, pki, err);
	return r == 0 ? pki_issue_node(pki, "local", pki, err) : r;
}

/* The token itself is kept for the person who runs this; atomd gets its hash. */
static int write_token(const char *path, const char *token, struct error *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	FILE *stream = fd < 0 ? NULL : fdopen(fd, "w");

	if (!stream)
		return error_set_errno(err, -errno, "%s", path);
	(void)fprintf(stream, "%s\n", token);
	if (fclose(stream) != 0)
		return error_set_errno(err, -errno, "%s", path);
	return 0;
}

/* The token first: were this ended between the two, the next start would make another. */
static int make_token(const struct up_files *files, const char *tokens_path, struct error *err)
{
	struct tokens tokens = {0};
	char token[TOKENS_TEXT_SIZE];
	int r;

	if (exists(tokens_path))
		return 0;
	r = tokens_make(token, err);
	if (r == 0)
		r = write_token(files->token, token, err);
	if (r == 0)
		r = tokens_add(&tokens, "local", ACCESS_ADMIN, "", token, err);
	if (r == 0)
		r = tokens_save(&tokens, tokens_path, err);
	tokens_deinit(&tokens);
	return r;
}

/* Configuration is put together as nested objects and written as YAML. */

static void put(json_t *object, const char *key, const char *value)
{
	const char *dot = strchr(key, '.');
	char section[128];
	json_t *inner;

	if (!dot) {
		(void)json_object_set_new(object, key, json_string(value));
		return;
	}
	(void)snprintf(section, sizeof(section), "%.*s", (int)(dot - key), key);
	inner = json_object_get(object, section);
	if (!json_is_object(inner)) {
		inner = json_object();
		(void)json_object_set_new(object, section, inner);
	}
	put(inner, dot + 1, value);
}

static void put_path(json_t *object, const char *key, const char *directory, const char *name)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%.3000s/%s", directory, name);
	put(object, key, path);
}

/* Plain where YAML takes it as it is; lists and maps are passed on; all else in quotes. */
static void write_scalar(const char *text, FILE *stream)
{
	static const char plain[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/+-";
	cleanup(json_decref) json_t *value = NULL;

	if ((*text && strspn(text, plain) == strlen(text) && *text != '-') || *text == '[' ||
	    *text == '{') {
		(void)fputs(text, stream);
		return;
	}
	value = json_string(text);
	(void)json_dumpf(value, stream, JSON_ENCODE_ANY);
}

static void write_yaml(const json_t *object, int indent, FILE *stream)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)object, key, value)
	{
		(void)fprintf(stream, "%*s%s:", indent, "", key);
		if (json_is_object(value)) {
			(void)fputc('\n', stream);
			write_yaml(value, indent + INDENT, stream);
			continue;
		}
		(void)fputc(' ', stream);
		write_scalar(json_string_value(value), stream);
		(void)fputc('\n', stream);
	}
}

static int write_config(const char *path, const json_t *object, struct error *err)
{
	FILE *stream = fopen(path, "wxe");

	if (!stream)
		return error_set_errno(err, -errno, "%s", path);
	(void)fputs("# Written once by atom up; edit as you like, it is not written again.\n",
		    stream);
	write_yaml(object, 0, stream);
	if (fclose(stream) != 0)
		return error_set_errno(err, -errno, "%s", path);
	return 0;
}

/* "atomd.detect.alpha=0.01" for "atomd". */
static int put_settings(json_t *object, const char *program, const struct option_list *settings,
			struct error *err)
{
	size_t length = strlen(program);

	for (size_t i = 0; i < settings->count; i++) {
		const char *item = settings->items[i], *equals = strchr(item, '=');
		char key[256];

		if (!equals || (strncmp(item, "atomd.", 6) != 0 && strncmp(item, "node.", 5) != 0))
			return error_set(err, -EINVAL,
					 "--set '%.100s': write atomd.KEY=VALUE or node.KEY=VALUE",
					 item);
		if (strncmp(item, program, length) != 0 || item[length] != '.')
			continue;
		(void)snprintf(key, sizeof(key), "%.*s", (int)(equals - item - length - 1),
			       item + length + 1);
		put(object, key, equals + 1);
	}
	return 0;
}

/* A port that nobody has just now, as text. */
static int free_port(char text[8], struct error *err)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t size = sizeof(address);
	cleanup(close) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &size) < 0)
		return error_set_errno(err, -errno, "no free port");
	(void)snprintf(text, 8, "%u", ntohs(address.sin_port));
	return 0;
}

/* --set may name tokens that are kept elsewhere; then there are none to make. */
static int make_wanted_token(const json_t *atomd, const struct up_files *files, struct error *err)
{
	const char *wanted =
		json_string_value(json_object_get(json_object_get(atomd, "http"), "tokens"));
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%.3000s/tokens.yaml", files->directory);
	return wanted && strcmp(wanted, path) == 0 ? make_token(files, path, err) : 0;
}

static int write_atomd(const struct up_choices *choices, const struct up_files *files,
		       const char *bus_port, struct error *err)
{
	cleanup(json_decref) json_t *object = json_object();
	int r;

	put(object, "bus.address", "127.0.0.1");
	put(object, "bus.port", bus_port);
	put(object, "http.port", choices->http_port ? choices->http_port : "7480");
	put_path(object, "http.tokens", files->directory, "tokens.yaml");
	put_path(object, "tls.ca", files->directory, "pki/ca.crt");
	put_path(object, "tls.certificate", files->directory, "pki/controller.crt");
	put_path(object, "tls.key", files->directory, "pki/controller.key");
	put_path(object, "store.path", files->directory, "atom.db");
	if (choices->interval)
		put(object, "track.interval", choices->interval);
	if (choices->window)
		put(object, "detect.window_rows", choices->window);
	r = put_settings(object, "atomd", &choices->settings, err);
	if (r == 0)
		r = make_wanted_token(object, files, err);
	return r < 0 ? r : write_config(files->atomd_config, object, err);
}

static int write_node(const struct up_choices *choices, const struct up_files *files,
		      const char *bus_port, struct error *err)
{
	cleanup(json_decref) json_t *object = json_object();
	int r;

	put(object, "name", "local");
	put(object, "controller.host", "127.0.0.1");
	put(object, "controller.port", bus_port);
	put_path(object, "tls.ca", files->directory, "pki/ca.crt");
	put_path(object, "tls.certificate", files->directory, "pki/local.crt");
	put_path(object, "tls.key", files->directory, "pki/local.key");
	put(object, "hypervisor.uri", choices->hypervisor);
	put_path(object, "action.journal", files->directory, "actions.journal");
	put_path(object, "action.evidence", files->directory, "evidence");
	r = put_settings(object, "node", &choices->settings, err);
	return r < 0 ? r : write_config(files->node_config, object, err);
}

static int write_configs(const struct up_choices *choices, const struct up_files *files,
			 struct error *err)
{
	const char *wanted = choices->bus_port ? choices->bus_port : "7443";
	char port[8];
	int r;

	if (strlen(wanted) >= sizeof(port))
		return error_set(err, -EINVAL, "--bus-port '%.20s' is no port", wanted);
	(void)snprintf(port, sizeof(port), "%s", wanted);
	r = strcmp(wanted, "0") == 0 ? free_port(port, err) : 0;
	if (r == 0)
		r = write_atomd(choices, files, port, err);
	return r == 0 ? write_node(choices, files, port, err) : r;
}

int up_files_prepare(const struct up_choices *choices, struct up_files *ret_files,
		     struct error *err)
{
	struct up_files files;
	int r = choose_directory(choices->directory, files.directory, err);

	if (r < 0)
		return r;
	if (snprintf(files.atomd_config, PATH_MAX, "%s/atomd.yaml", files.directory) >= PATH_MAX ||
	    snprintf(files.node_config, PATH_MAX, "%s/node.yaml", files.directory) >= PATH_MAX ||
	    snprintf(files.token, PATH_MAX, "%s/token", files.directory) >= PATH_MAX)
		return error_set(err, -ENAMETOOLONG, "%.100s...: the path is too long",
				 files.directory);
	r = make_keys(files.directory, err);
	if (r < 0)
		return r;
	if (exists(files.atomd_config) && exists(files.node_config))
		printf("using atomd.yaml and node.yaml in %s as they are\n", files.directory);
	else
		r = write_configs(choices, &files, err);
	if (r < 0)
		return r;
	*ret_files = files;
	return 0;
}
