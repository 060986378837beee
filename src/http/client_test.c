/* SPDX-License-Identifier: Apache-2.0 */
/* The client against the server, in the clear and over TLS with certificates made for the test, and
 * against servers that do not keep to the rules. */
#include "http/client.h"

#include <errno.h>
#include <poll.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "http/test_world.h"
#include "pki/pki.h"

enum { BIG = 50000 };

static char directory[64];

static const char *in(const char *name)
{
	static char paths[8][128];
	static unsigned next;
	char *path = paths[next++ % 8];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
	return path;
}

/* An authority with a server's certificate for loopback, another server's, and another authority.
 */
static int make_keys(void)
{
	static const char *const names[] = {"localhost", "127.0.0.1"};
	static const char *const elsewhere[] = {"other.example"};

	(void)snprintf(directory, sizeof(directory), "/tmp/atom-http-test-XXXXXX");
	if (!mkdtemp(directory) || pki_create_authority(directory, NULL) < 0 ||
	    pki_issue_controller(directory, names, 2, directory, NULL) < 0)
		return -1;
	if (mkdir(in("elsewhere"), 0700) < 0 ||
	    pki_issue_controller(directory, elsewhere, 1, in("elsewhere"), NULL) < 0)
		return -1;
	return pki_create_authority(in("other"), NULL);
}

static void remove_keys(void)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -r %s", directory);
	if (system(command) != 0)
		printf("# %s is left behind\n", directory);
}

/* Says what has reached it: the body with the token beside it. */
static int handle_echo(void *userdata, struct http_request *request, struct error *err)
{
	http_answer_json(request, json_pack("{s:s, s:O?}", "token", http_request_bearer(request),
					    "body", http_request_body(request)));
	return 200;
}

static int handle_big(void *userdata, struct http_request *request, struct error *err)
{
	json_t *list = json_array();

	for (int i = 0; i < BIG; i++)
		(void)json_array_append_new(list, json_integer(i));
	http_answer_json(request, list);
	return 200;
}

static int handle_text(void *userdata, struct http_request *request, struct error *err)
{
	http_answer_text(request, "text/plain", "ok\n", 3);
	return 200;
}

/* Fails with the errno of the path. */
static int handle_fail(void *userdata, struct http_request *request, struct error *err)
{
	return error_set(err, -atoi(http_request_parameter(request, 0)), "it went wrong");
}

static const struct http_route routes[] = {
	{"GET", "/echo", 0, handle_echo},
	{"POST", "/echo", 0, handle_echo},
	{"GET", "/big", 0, handle_big},
	{"GET", "/text", 0, handle_text},
	{"POST", "/fail/{errno}", 0, handle_fail},
};

static int start(struct world *world, const char *certificate, const char *key, struct error *err)
{
	struct http_server_options options = {.certificate_file = certificate,
					      .key_file = key,
					      .routes = routes,
					      .count = sizeof(routes) / sizeof(routes[0])};

	return world_start(world, &options, err);
}

static int start_tls(struct world *world)
{
	return start(world, in("controller.crt"), in("controller.key"), NULL);
}

static int request(const struct world *world, const char *method, const char *path,
		   const struct http_client_options *options, const json_t *body, json_t **ret_body,
		   struct error *err)
{
	char url[256];

	(void)snprintf(url, sizeof(url), "%s%s", world->base, path);
	return http_client_request(method, url, options, body, ret_body, err);
}

static void test_client_post(void)
{
	json_t *body = json_pack("{s:s, s:[i, i]}", "text", "zwölf", "list", 1, 2), *answer = NULL;
	struct http_client_options options = {.token = "abc.def"};
	struct world world;

	check_int(start(&world, NULL, NULL, NULL), 0);
	check_int(request(&world, "POST", "/echo", &options, body, &answer, NULL), 0);
	check(json_equal(json_object_get(answer, "body"), body));
	check_string(json_string_value(json_object_get(answer, "token")), "abc.def");
	json_decref(answer);
	check_int(request(&world, "POST", "/echo", NULL, NULL, &answer, NULL), 0);
	check_int(json_object_size(json_object_get(answer, "body")), 0);
	check_string(json_string_value(json_object_get(answer, "token")), "");
	json_decref(answer);
	check_int(request(&world, "POST", "/echo", NULL, body, NULL, NULL), 0);
	json_decref(body);
	check_int(world_finish(&world), 0);
}

static void test_client_get_with_token(void)
{
	struct http_client_options options = {.token = "abc"};
	json_t *answer = NULL;
	struct world world;

	check_int(start(&world, NULL, NULL, NULL), 0);
	check_int(request(&world, "GET", "/echo", &options, NULL, &answer, NULL), 0);
	check_string(json_string_value(json_object_get(answer, "token")), "abc");
	check(json_is_null(json_object_get(answer, "body")));
	json_decref(answer);
	check_int(world_finish(&world), 0);
}

static void test_client_errors(void)
{
	static const struct {
		int code, expected;
	} cases[] = {{EINVAL, -EINVAL},     {EACCES, -EACCES},  {EPERM, -EPERM}, {ENOENT, -ENOENT},
		     {EALREADY, -EALREADY}, {EBUSY, -EALREADY}, {ENOSPC, -EIO},  {EIO, -EIO}};
	struct error err = ERROR_INIT;
	struct world world;
	json_t *answer;
	char path[32];

	check_int(start(&world, NULL, NULL, NULL), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		(void)snprintf(path, sizeof(path), "/fail/%d", cases[i].code);
		check_int(request(&world, "POST", path, NULL, NULL, &answer, &err),
			  cases[i].expected);
		check_string(err.text, "it went wrong");
	}
	check_int(request(&world, "GET", "/fail/1", NULL, NULL, &answer, &err), -EIO);
	check(strstr(err.text, "does not answer to this method"));
	check_int(request(&world, "GET", "/text", NULL, NULL, &answer, &err), -EPROTO);
	check_int(world_finish(&world), 0);
}

/* The server says so while the body is still on its way. */
static void test_client_body_that_is_too_big(void)
{
	cleanup(free) char *text = calloc(1, 1 << 20);
	struct error err = ERROR_INIT;
	struct world world;
	json_t *body;

	memset(text, 'x', (1 << 20) - 1);
	body = json_pack("{s:s}", "text", text);
	check_int(start(&world, NULL, NULL, NULL), 0);
	check_int(request(&world, "POST", "/echo", NULL, body, NULL, &err), -EIO);
	check(strstr(err.text, "at most"));
	json_decref(body);
	check_int(world_finish(&world), 0);
}

static void test_client_token_that_is_none(void)
{
	static const char *const tokens[] = {"abc\n", "abc\r\nX: y", "a b", "t\xc3\xb6ken"};
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
		struct http_client_options options = {.token = tokens[i]};

		check_int(http_client_request("GET", "http://127.0.0.1:1/", &options, NULL, NULL,
					      &err),
			  -EINVAL);
		check(strstr(err.text, "token"));
		check(!strstr(err.text, tokens[i]));
	}
}

/* Redirects: a server that answers once, with a text of the test's. */

struct impostor {
	int fd;
	uint16_t port;
	const char *answer;
	pthread_t thread;
};

static int impostor_listen(struct impostor *impostor)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);

	impostor->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(impostor->fd, (struct sockaddr *)&address, size) < 0 ||
	    listen(impostor->fd, 1) < 0 ||
	    getsockname(impostor->fd, (struct sockaddr *)&address, &size) < 0)
		return -1;
	impostor->port = ntohs(address.sin_port);
	return 0;
}

static void *impostor_run(void *userdata)
{
	struct impostor *impostor = userdata;
	char request_text[RAW_ANSWER_SIZE];
	int fd = accept(impostor->fd, NULL, NULL);

	if (recv(fd, request_text, sizeof(request_text), 0) > 0)
		(void)raw_send(fd, impostor->answer);
	(void)close(fd);
	return NULL;
}

static void test_client_follows_no_redirect(void)
{
	struct http_client_options options = {.token = "secret"};
	struct impostor first = {0}, second = {0};
	char text[256], url[64];
	struct error err = ERROR_INIT;
	json_t *answer;

	check_int(impostor_listen(&first), 0);
	check_int(impostor_listen(&second), 0);
	(void)snprintf(text, sizeof(text),
		       "HTTP/1.1 307 Elsewhere\r\nLocation: http://127.0.0.1:%u/\r\n"
		       "Content-Length: 0\r\n\r\n",
		       second.port);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/", first.port);
	first.answer = text;
	check_int(pthread_create(&first.thread, NULL, impostor_run, &first), 0);
	check_int(http_client_request("GET", url, &options, NULL, &answer, &err), -EIO);
	check(strstr(err.text, "not followed"));
	(void)pthread_join(first.thread, NULL);
	check_int(poll(&(struct pollfd){.fd = second.fd, .events = POLLIN}, 1, 0), 0);
	(void)close(first.fd);
	(void)close(second.fd);
}

/* TLS */

static void test_client_tls(void)
{
	struct http_client_options options = {.token = "abc", .ca_file = in("ca.crt")};
	json_t *body = json_pack("{s:i}", "a", 1), *answer = NULL;
	struct error err = ERROR_INIT;
	struct world world;

	check_int(start_tls(&world), 0);
	check_int(request(&world, "POST", "/echo", &options, body, &answer, &err), 0);
	check(json_equal(json_object_get(answer, "body"), body));
	check_string(json_string_value(json_object_get(answer, "token")), "abc");
	json_decref(answer);
	check_int(request(&world, "GET", "/big", &options, NULL, &answer, &err), 0);
	check_int(json_array_size(answer), BIG);
	json_decref(answer);
	check_int(request(&world, "GET", "/nowhere", &options, NULL, &answer, &err), -ENOENT);
	json_decref(body);
	check_int(world_finish(&world), 0);
}

static void test_client_tls_big_body(void)
{
	struct http_client_options options = {.ca_file = in("ca.crt")};
	cleanup(free) char *text = calloc(1, HTTP_BODY_SIZE_MAX);
	struct error err = ERROR_INIT;
	json_t *body, *answer = NULL;
	struct world world;

	memset(text, 'x', HTTP_BODY_SIZE_MAX - sizeof("{\"text\":\"\"}"));
	body = json_pack("{s:s}", "text", text);
	check_int(start_tls(&world), 0);
	check_int(request(&world, "POST", "/echo", &options, body, &answer, &err), 0);
	check(json_equal(json_object_get(answer, "body"), body));
	json_decref(answer);
	json_decref(body);
	check_int(world_finish(&world), 0);
}

static void test_client_tls_of_somebody_else(void)
{
	struct http_client_options other = {.ca_file = in("other/ca.crt")};
	struct http_client_options missing = {.ca_file = in("missing.crt")};
	struct http_client_options ours = {.ca_file = in("ca.crt")};
	struct error err = ERROR_INIT;
	struct world world;

	check_int(start_tls(&world), 0);
	check_int(request(&world, "GET", "/echo", NULL, NULL, NULL, &err), -EIO);
	check(strstr(err.text, "certificate"));
	check_int(request(&world, "GET", "/echo", &other, NULL, NULL, &err), -EIO);
	check_int(request(&world, "GET", "/echo", &missing, NULL, NULL, &err), -EINVAL);
	check(strstr(err.text, "missing.crt"));
	check_int(world_finish(&world), 0);
	check_int(
		start(&world, in("elsewhere/controller.crt"), in("elsewhere/controller.key"), NULL),
		0);
	check_int(request(&world, "GET", "/echo", &ours, NULL, NULL, &err), -EIO);
	check_int(world_finish(&world), 0);
}

/* Neither end falls back to the clear. */
static void test_client_tls_and_clear_do_not_mix(void)
{
	char answer[RAW_ANSWER_SIZE], url[64];
	struct error err = ERROR_INIT;
	struct world world;

	check_int(start_tls(&world), 0);
	check_int(raw_exchange(&world, "GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n", answer),
		  -1);
	check_int(world_finish(&world), 0);
	check_int(start(&world, NULL, NULL, NULL), 0);
	(void)snprintf(url, sizeof(url), "https://127.0.0.1:%u/echo",
		       http_server_port(world.server));
	check_int(http_client_request("GET", url, NULL, NULL, NULL, &err), -EIO);
	check_int(world_finish(&world), 0);
}

/* What is wrong with a server's certificate and key; the loop stays as it was. */
static int refuse(const char *certificate, const char *key, struct error *err)
{
	struct http_server_options options = {.address = "127.0.0.1",
					      .certificate_file = certificate,
					      .key_file = key,
					      .routes = routes,
					      .count = 1};
	struct http_server *server;
	uv_loop_t loop;
	int r;

	*err = ERROR_INIT;
	(void)uv_loop_init(&loop);
	r = http_server_new(&loop, &options, &server, err);
	return uv_loop_close(&loop) == 0 ? r : -1;
}

static void test_server_certificate_that_is_bad(void)
{
	const char *certificate = in("controller.crt"), *key = in("controller.key");
	struct error err;

	check_int(refuse(in("missing.crt"), key, &err), -EINVAL);
	check(strstr(err.text, "missing.crt") && strstr(err.text, "No such file"));
	check_int(refuse(certificate, in("missing.key"), &err), -EINVAL);
	check(strstr(err.text, "missing.key"));
	check_int(refuse(key, key, &err), -EINVAL);
	check(strstr(err.text, "the certificate ") && strstr(err.text, "controller.key"));
	check_int(refuse(certificate, certificate, &err), -EINVAL);
	check(strstr(err.text, "the key ") && strstr(err.text, "controller.crt"));
	check_int(refuse(certificate, in("elsewhere/controller.key"), &err), -EINVAL);
	check(strstr(err.text, "mismatch"));
	check_int(refuse(certificate, NULL, &err), -EINVAL);
	check(strstr(err.text, "both"));
	check_int(refuse("", key, &err), -EINVAL);
	check(strstr(err.text, "both"));
}

static const struct test_case cases[] = {
	TEST(test_client_post),
	TEST(test_client_get_with_token),
	TEST(test_client_errors),
	TEST(test_client_body_that_is_too_big),
	TEST(test_client_token_that_is_none),
	TEST(test_client_follows_no_redirect),
	TEST(test_client_tls),
	TEST(test_client_tls_big_body),
	TEST(test_client_tls_of_somebody_else),
	TEST(test_client_tls_and_clear_do_not_mix),
	TEST(test_server_certificate_that_is_bad),
};

int main(void)
{
	int failed;

	if (make_keys() < 0)
		return 1;
	failed = test_run(cases, sizeof(cases) / sizeof(cases[0]));
	remove_keys();
	return failed;
}
