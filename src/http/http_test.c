/* SPDX-License-Identifier: Apache-2.0 */
/* The server on a loop in a thread, requests over loopback: by the client, and as raw bytes. */
#include <errno.h>
#include <stdatomic.h>

#include "base/cleanup.h"
#include "http/client.h"
#include "http/test_world.h"

enum { BIG = 200000, RIGHT_NONE = 0, RIGHT_WRITE = 7 };

static atomic_int handled;

/* Routes */

static int handle_vm(void *userdata, struct http_request *request, struct error *err)
{
	const char *at = http_request_query(request, "at");

	if (strcmp(http_request_parameter(request, 0), "none") == 0)
		return error_set(err, -ENOENT, "no VM is called '%s'",
				 http_request_parameter(request, 0));
	http_answer_json(request,
			 json_pack("{s:s, s:s, s:s}", "vm", http_request_parameter(request, 0),
				   "metric", http_request_parameter(request, 1), "at",
				   at ? at : "-"));
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

/* Fails with the errno of the path. */
static int handle_fail(void *userdata, struct http_request *request, struct error *err)
{
	return error_set(err, -atoi(http_request_parameter(request, 0)), "it went wrong");
}

/* A text that is no UTF-8, which error_set() would have mended. */
static int handle_raw(void *userdata, struct http_request *request, struct error *err)
{
	(void)snprintf(err->text, sizeof(err->text), "caf\xe9");
	return -ENOENT;
}

static int handle_none(void *userdata, struct http_request *request, struct error *err)
{
	return 200; /* forgot to answer */
}

/* Says what has reached it. */
static int handle_note(void *userdata, struct http_request *request, struct error *err)
{
	const char *who = http_request_identity(request);

	handled++;
	http_answer_json(request,
			 json_pack("{s:O, s:s, s:s, s:s}", "body", http_request_body(request),
				   "group", http_request_parameter(request, 0), "who",
				   who ? who : "-", "peer", http_request_peer(request)));
	return 202;
}

static int handle_notes(void *userdata, struct http_request *request, struct error *err)
{
	http_answer_json(request, json_pack("{s:s, s:b}", "bearer", http_request_bearer(request),
					    "body", http_request_body(request) != NULL));
	return 200;
}

static const struct http_route routes[] = {
	{"GET", "/vms/{vm}/metrics/{metric}", RIGHT_NONE, handle_vm},
	{"GET", "/big", RIGHT_NONE, handle_big},
	{"GET", "/fail/{errno}", RIGHT_NONE, handle_fail},
	{"GET", "/raw", RIGHT_NONE, handle_raw},
	{"GET", "/none", RIGHT_NONE, handle_none},
	{"GET", "/groups/{group}/notes", RIGHT_NONE, handle_notes},
	{"POST", "/groups/{group}/notes", RIGHT_WRITE, handle_note},
	{"POST", "/notes", RIGHT_WRITE, handle_note},
};

static int start(struct world *world, http_authorize *authorize, unsigned timeout_sec)
{
	struct http_server_options options = {.routes = routes,
					      .count = sizeof(routes) / sizeof(routes[0]),
					      .authorize = authorize,
					      .userdata = world,
					      .timeout_sec = timeout_sec};

	handled = 0;
	return world_start(world, &options, NULL);
}

static int get(const struct world *world, const char *path, json_t **ret_body, struct error *err)
{
	char url[256];

	(void)snprintf(url, sizeof(url), "%s%s", world->base, path);
	return http_client_request("GET", url, NULL, NULL, ret_body, err);
}

/* A POST to /notes with these headers and this body, as they are. */
static int post(const struct world *world, const char *headers, const char *body, char *answer)
{
	char request[RAW_ANSWER_SIZE];

	(void)snprintf(request, sizeof(request),
		       "POST /notes HTTP/1.1\r\nHost: localhost\r\n%s\r\n%s", headers, body);
	return raw_exchange(world, request, answer);
}

#define JSON_TYPE "Content-Type: application/json\r\n"

/* GET */

static void test_http_parameters_and_query(void)
{
	struct world world;
	json_t *body = NULL;

	check_int(start(&world, NULL, 0), 0);
	check_int(get(&world, "/vms/vm%201/metrics/CPUUtilization?x=1&at=12%3A30", &body, NULL), 0);
	check_string(json_string_value(json_object_get(body, "vm")), "vm 1");
	check_string(json_string_value(json_object_get(body, "metric")), "CPUUtilization");
	check_string(json_string_value(json_object_get(body, "at")), "12:30");
	json_decref(body);
	check_int(world_finish(&world), 0);
}

static void test_http_errors_keep_their_text(void)
{
	struct error err = ERROR_INIT;
	struct world world;
	json_t *body;

	check_int(start(&world, NULL, 0), 0);
	check_int(get(&world, "/vms/none/metrics/x", &body, &err), -ENOENT);
	check_string(err.text, "no VM is called 'none'");
	check_int(get(&world, "/fail/22", &body, &err), -EINVAL);
	check_string(err.text, "it went wrong");
	check_int(get(&world, "/nowhere", &body, &err), -ENOENT);
	check_int(get(&world, "/vms//metrics/x", &body, &err), -ENOENT);
	check_int(get(&world, "/none", &body, &err), -EIO);
	check_string(err.text, "no answer could be made");
	check_int(get(&world, "/raw", &body, &err), -ENOENT);
	check_string(err.text, "the reason cannot be told");
	check_int(world_finish(&world), 0);
}

static void test_http_every_error_has_its_status(void)
{
	static const struct {
		int code, status;
	} cases[] = {{EINVAL, 400}, {EACCES, 401}, {EPERM, 403}, {ENOENT, 404}, {EALREADY, 409},
		     {EBUSY, 409},  {E2BIG, 413},  {EROFS, 503}, {ENOSPC, 503}, {EIO, 500}};
	char request[128], answer[RAW_ANSWER_SIZE];
	struct world world;

	check_int(start(&world, NULL, 0), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		(void)snprintf(request, sizeof(request),
			       "GET /fail/%d HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
			       "\r\n",
			       cases[i].code);
		check_int(raw_exchange(&world, request, answer), cases[i].status);
		check(strstr(answer, "{\"error\":\"it went wrong\"}"));
		check_int(strstr(answer, "www-authenticate: Bearer\r\n") != NULL,
			  cases[i].status == 401);
	}
	check_int(world_finish(&world), 0);
}

static void test_http_big_answer_is_whole(void)
{
	struct world world;
	json_t *body = NULL;

	check_int(start(&world, NULL, 0), 0);
	check_int(get(&world, "/big", &body, NULL), 0);
	check_int(json_array_size(body), BIG);
	check_int(json_integer_value(json_array_get(body, BIG - 1)), BIG - 1);
	json_decref(body);
	check_int(world_finish(&world), 0);
}

/* A GET whose connection ends after it. */
static int get_status(const struct world *world, const char *method, const char *rest, char *answer)
{
	char request[RAW_ANSWER_SIZE];

	(void)snprintf(request, sizeof(request), "%s %s\r\nConnection: close\r\n\r\n", method,
		       rest);
	return raw_exchange(world, request, answer);
}

static void test_http_hosts(void)
{
	char answer[RAW_ANSWER_SIZE];
	struct world world;

	check_int(start(&world, NULL, 0), 0);
	check_int(get_status(&world, "GET", "/big HTTP/1.1\r\nHost: localhost", answer), 200);
	check_int(get_status(&world, "GET", "/big HTTP/1.1\r\nHost: evil.example", answer), 403);
	check(get_status(&world, "GET", "/big HTTP/1.1\r\nAccept: */*", answer) != 200);
	check_int(raw_exchange(&world,
			       "POST /notes HTTP/1.1\r\nHost: evil.example\r\n" JSON_TYPE
			       "Content-Length: 2\r\n\r\n{}",
			       answer),
		  403);
	check_int(world_finish(&world), 0);
	check_int(handled, 0);
}

static void test_http_methods(void)
{
	char answer[RAW_ANSWER_SIZE];
	struct world world;

	check_int(start(&world, NULL, 0), 0);
	check_int(get_status(&world, "HEAD", "/big HTTP/1.1\r\nHost: 127.0.0.1:80", answer), 200);
	check(strstr(answer, "content-length: "));
	check_string(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
	check_int(get_status(&world, "HEAD", "/notes HTTP/1.1\r\nHost: localhost", answer), 405);
	check(strstr(answer, "allow: POST\r\n"));
	check_int(get_status(&world, "GET", "/notes HTTP/1.1\r\nHost: localhost", answer), 405);
	check_int(get_status(&world, "POST", "/big HTTP/1.1\r\nHost: localhost", answer), 405);
	check(strstr(answer, "allow: GET, HEAD\r\n"));
	check_int(
		get_status(&world, "DELETE", "/groups/a/notes HTTP/1.1\r\nHost: localhost", answer),
		405);
	check(strstr(answer, "allow: GET, HEAD, POST\r\n"));
	check_int(get_status(&world, "PUT", "/big HTTP/1.1\r\nHost: localhost", answer), 405);
	check_int(get_status(&world, "OPTIONS", "/notes HTTP/1.1\r\nHost: localhost", answer), 405);
	check_int(get_status(&world, "DELETE", "/nowhere HTTP/1.1\r\nHost: localhost", answer),
		  404);
	check(raw_exchange(&world, "nonsense\r\n\r\n", answer) != 200);
	check_int(world_finish(&world), 0);
	check_int(handled, 0);
}

/* Neither another protocol nor a tunnel may come of a connection. */
static void test_http_upgrades_are_refused(void)
{
	char answer[RAW_ANSWER_SIZE];
	struct world world;

	check_int(start(&world, NULL, 0), 0);
	check_int(raw_exchange(&world,
			       "GET /big HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
			       "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
			       "Sec-WebSocket-Protocol: http\r\n"
			       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
			       answer),
		  -1);
	check_int(raw_exchange(&world,
			       "GET /big HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\n"
			       "Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n"
			       "\r\n",
			       answer),
		  -1);
	check_int(raw_exchange(&world, "CONNECT localhost:1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
			       answer),
		  -1);
	check_int(world_finish(&world), 0);
}

static void test_http_connection_is_kept_for_gets(void)
{
	static const char one[] = "GET /groups/a/notes HTTP/1.1\r\nHost: localhost\r\n\r\n";
	char answer[RAW_ANSWER_SIZE];
	struct world world;
	int fd;

	check_int(start(&world, NULL, 0), 0);
	fd = raw_connect(&world);
	for (int i = 0; i < 3; i++) {
		check_int(raw_send(fd, one), 0);
		check_int(raw_receive(fd, answer), 200);
		check(!strstr(answer, "connection: close"));
	}
	(void)close(fd);
	check_int(world_finish(&world), 0);
}

/* Who may do what */

/* userdata is the world; the identity is what the token names. */
static int authorize(void *userdata, struct http_request *request, unsigned right,
		     struct error *err)
{
	static const char *const names[] = {"anna", "victor"};

	if (right == RIGHT_NONE)
		return 0;
	for (size_t i = 0; i < 2; i++)
		if (strcmp(http_request_bearer(request), names[i]) == 0)
			http_request_set_identity(request, names[i]);
	if (!http_request_identity(request))
		return error_set(err, -EACCES, "say who you are");
	if (right != RIGHT_WRITE || strcmp(http_request_identity(request), "anna") != 0)
		return error_set(err, -EPERM, "%s may only look",
				 (const char *)http_request_identity(request));
	return 0;
}

static void test_http_authorize(void)
{
	static const char body[] = "{\"a\": 1}";
	char answer[RAW_ANSWER_SIZE];
	struct world world;

	check_int(start(&world, authorize, 0), 0);
	check_int(post(&world, JSON_TYPE "Content-Length: 8\r\n", body, answer), 401);
	check(strstr(answer, "www-authenticate: Bearer\r\n"));
	check(strstr(answer, "{\"error\":\"say who you are\"}"));
	check_int(post(&world, JSON_TYPE "Content-Length: 8\r\nAuthorization: Bearer victor\r\n",
		       body, answer),
		  403);
	check(!strstr(answer, "www-authenticate"));
	check(strstr(answer, "victor may only look"));
	check_int(handled, 0);
	check_int(post(&world, JSON_TYPE "Content-Length: 8\r\nAuthorization: Bearer anna\r\n",
		       body, answer),
		  202);
	check(strstr(answer, "\"who\":\"anna\""));
	check(strstr(answer, "\"body\":{\"a\":1}"));
	check(strstr(answer, "\"peer\":\"127.0.0.1\""));
	check_int(handled, 1);
	check_int(get_status(&world, "GET", "/big HTTP/1.1\r\nHost: localhost", answer), 200);
	check_int(world_finish(&world), 0);
}

/* Who may not is told so before it has sent anything, and whatever its body is. */
static void test_http_authorize_comes_before_the_body(void)
{
	char answer[RAW_ANSWER_SIZE];
	struct world world;

	check_int(start(&world, authorize, 0), 0);
	check_int(post(&world, JSON_TYPE "Content-Length: 60000\r\n", "", answer), 401);
	check_int(post(&world, JSON_TYPE "Content-Length: 999999999\r\n", "x", answer), 401);
	check_int(post(&world, "Transfer-Encoding: chunked\r\n", "ffff\r\n", answer), 401);
	check_int(post(&world, "Content-Type: text/plain\r\nContent-Length: 2\r\n", "hi", answer),
		  401);
	check_int(world_finish(&world), 0);
}

static void test_http_bearer(void)
{
	static const struct {
		const char *header, *token;
	} cases[] = {
		{"Authorization: Bearer abc", "abc"},
		{"authorization: bEARER  a.b-c_d~e+f/9==  ", "a.b-c_d~e+f/9=="},
		{"Authorization: Bearer", ""},
		{"Authorization: Bearer ", ""},
		{"Authorization: Bearerabc", ""},
		{"Authorization: Basic YTpi", ""},
		{"Authorization: abc", ""},
		{"Authorization: Bearer a b", ""},
		{"Authorization: Bearer a,b", ""},
		{"Authorization: Bearer \"a\"", ""},
		{"Authorization: Bearer a\r\nAuthorization: Bearer b", ""},
		{"Accept: */*", ""},
	};
	char rest[256], answer[RAW_ANSWER_SIZE], expected[64];
	struct world world;

	check_int(start(&world, NULL, 0), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		(void)snprintf(rest, sizeof(rest),
			       "/groups/a/notes HTTP/1.1\r\nHost: localhost\r\n%s",
			       cases[i].header);
		(void)snprintf(expected, sizeof(expected), "\"bearer\":\"%s\"", cases[i].token);
		check_int(get_status(&world, "GET", rest, answer), 200);
		check(strstr(answer, expected));
	}
	check_int(world_finish(&world), 0);
}

static void test_http_bearer_that_is_too_long(void)
{
	char rest[1024], answer[RAW_ANSWER_SIZE], token[600];
	struct world world;

	memset(token, 'a', sizeof(token));
	token[sizeof(token) - 1] = '\0';
	check_int(start(&world, NULL, 0), 0);
	(void)snprintf(rest, sizeof(rest),
		       "/groups/a/notes HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s",
		       token);
	check_int(get_status(&world, "GET", rest, answer), 200);
	check(strstr(answer, "\"bearer\":\"\""));
	rest[strlen(rest) - (sizeof(token) - HTTP_TOKEN_SIZE)] = '\0';
	check_int(get_status(&world, "GET", rest, answer), 200);
	check(!strstr(answer, "\"bearer\":\"\""));
	check_int(world_finish(&world), 0);
}

/* Bodies */

static void test_http_body(void)
{
	char answer[RAW_ANSWER_SIZE];
	struct world world;

	check_int(start(&world, NULL, 0), 0);
	check_int(raw_exchange(&world,
			       "POST /groups/g%201/notes HTTP/1.1\r\nHost: localhost\r\n"
			       "content-type: Application/JSON; charset=utf-8\r\n"
			       "Content-Length: 14\r\n\r\n{\"text\": \"x\"}\n",
			       answer),
		  202);
	check(strstr(answer, "\"body\":{\"text\":\"x\"}"));
	check(strstr(answer, "\"group\":\"g 1\""));
	check(strstr(answer, "connection: close\r\n"));
	check_int(world_finish(&world), 0);
	check_int(handled, 1);
}

static void test_http_body_that_is_empty(void)
{
	char answer[RAW_ANSWER_SIZE];
	struct world world;

	check_int(start(&world, NULL, 0), 0);
	check_int(post(&world, "", "", answer), 202);
	check(strstr(answer, "\"body\":{}"));
	check_int(post(&world, "Content-Length: 0\r\n", "", answer), 202);
	check(strstr(answer, "\"body\":{}"));
	check_int(post(&world, JSON_TYPE "Content-Length: 0\r\n", "", answer), 202);
	check_int(post(&world, "Transfer-Encoding: chunked\r\n", "0\r\n\r\n", answer), 202);
	check_int(handled, 4);
	check_int(world_finish(&world), 0);
}

static void test_http_body_that_is_no_object(void)
{
	static const char *const bodies[] = {
		"[1]", "\"x\"", "7", "null", "{", "{\"a\":1,\"a\":2}", "{} {}", "{\"a\":\"\xff\"}",
		" ",   "a=b"};
	char headers[128], answer[RAW_ANSWER_SIZE];
	struct world world;

	check_int(start(&world, NULL, 0), 0);
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		(void)snprintf(headers, sizeof(headers), JSON_TYPE "Content-Length: %zu\r\n",
			       strlen(bodies[i]));
		check_int(post(&world, headers, bodies[i], answer), 400);
	}
	check_int(post(&world, JSON_TYPE "Content-Length: 9\r\n", "{\n\"a\": x}", answer), 400);
	check(strstr(answer, "the body is no JSON: line 2: invalid token near 'x'"));
	check_int(post(&world, JSON_TYPE "Content-Length: 2\r\n", "[]", answer), 400);
	check(strstr(answer, "no object"));
	check_int(world_finish(&world), 0);
	check_int(handled, 0);
}

/* An array in an array in an array: the parser gives up before the stack does. */
static void test_http_body_that_is_deep(void)
{
	cleanup(free) char *request = malloc(HTTP_BODY_SIZE_MAX + 256);
	char answer[RAW_ANSWER_SIZE];
	struct world world;
	size_t size;

	check_int(start(&world, NULL, 0), 0);
	size = (size_t)sprintf(request,
			       "POST /notes HTTP/1.1\r\nHost: localhost\r\n" JSON_TYPE
			       "Content-Length: %d\r\n\r\n{\"a\":",
			       HTTP_BODY_SIZE_MAX);
	memset(request + size, '[', HTTP_BODY_SIZE_MAX - 5);
	request[size + HTTP_BODY_SIZE_MAX - 5] = '\0';
	check_int(raw_exchange(&world, request, answer), 400);
	check(strstr(answer, "depth"));
	check_int(world_finish(&world), 0);
}

static void test_http_body_of_another_type(void)
{
	static const char *const types[] = {"application/x-www-form-urlencoded",
					    "multipart/form-data; boundary=x",
					    "text/plain",
					    "application/jsonx",
					    "application/json, text/plain",
					    "application/json\r\nContent-Type: text/plain"};
	char headers[256], answer[RAW_ANSWER_SIZE];
	struct world world;

	check_int(start(&world, NULL, 0), 0);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		(void)snprintf(headers, sizeof(headers),
			       "Content-Type: %s\r\nContent-Length: 2\r\n", types[i]);
		check_int(post(&world, headers, "{}", answer), 415);
		(void)snprintf(headers, sizeof(headers),
			       "Content-Type: %s\r\nContent-Length: 0\r\n", types[i]);
		check_int(post(&world, headers, "", answer), 415);
	}
	check_int(post(&world, "Content-Length: 2\r\n", "{}", answer), 415);
	check_int(post(&world, "Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n", answer),
		  415);
	/* what a script of another site can send without asking */
	check_int(post(&world, "Origin: http://evil.example\r\nContent-Length: 0\r\n", "", answer),
		  415);
	check_int(world_finish(&world), 0);
	check_int(handled, 0);
}

/* A body of `size` bytes: an object whose one text fills it. Returns the status. */
static int post_big(const struct world *world, size_t size, char *answer)
{
	cleanup(free) char *request = malloc(size + 256);
	int head = sprintf(request,
			   "POST /notes HTTP/1.1\r\nHost: localhost\r\n" JSON_TYPE
			   "Content-Length: %zu\r\n\r\n{\"a\":\"",
			   size);

	memset(request + head, 'x', size - 8);
	(void)strcpy(request + (size_t)head + size - 8, "\"}");
	return raw_exchange(world, request, answer);
}

static void test_http_body_size(void)
{
	char answer[RAW_ANSWER_SIZE];
	struct world world;

	check_int(start(&world, NULL, 0), 0);
	check_int(post_big(&world, HTTP_BODY_SIZE_MAX, answer), 202);
	check_int(handled, 1);
	check_int(post_big(&world, HTTP_BODY_SIZE_MAX + 1, answer), 413);
	check(strstr(answer, "at most 65536 bytes"));
	check_int(post_big(&world, 700000, answer), 413);
	check_int(post(&world, JSON_TYPE "Content-Length: 9999999999999999999\r\n", "{", answer),
		  413);
	check_int(world_finish(&world), 0);
	check_int(handled, 1);
}

static void test_http_chunks(void)
{
	char answer[RAW_ANSWER_SIZE];
	struct world world;

	check_int(start(&world, NULL, 0), 0);
	check_int(post(&world, JSON_TYPE "Transfer-Encoding: Chunked\r\n",
		       "5\r\n{\"a\":\r\n00A;x=\"y\"\r\n[1,2,3,4]}\r\n0\r\nTrailer: x\r\n\r\n",
		       answer),
		  202);
	check(strstr(answer, "\"body\":{\"a\":[1,2,3,4]}"));
	check_int(world_finish(&world), 0);
	check_int(handled, 1);
}

static void test_http_chunks_in_single_bytes(void)
{
	static const char head[] = "POST /notes HTTP/1.1\r\nHost: localhost\r\n" JSON_TYPE
				   "Transfer-Encoding: chunked\r\n\r\n";
	static const char body[] = "5\r\n{\"a\":\r\na\r\n[1,2,3,4]}\r\n0\r\n\r\n";
	char answer[RAW_ANSWER_SIZE];
	struct world world;
	int fd, one = 1;

	check_int(start(&world, NULL, 0), 0);
	fd = raw_connect(&world);
	(void)setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof(one));
	check_int(raw_send(fd, head), 0);
	for (const char *c = body; *c; c++) {
		check_int(send(fd, c, 1, MSG_NOSIGNAL), 1);
		(void)usleep(1000);
	}
	check_int(raw_receive(fd, answer), 202);
	check(strstr(answer, "\"body\":{\"a\":[1,2,3,4]}"));
	(void)close(fd);
	check_int(world_finish(&world), 0);
}

static void test_http_chunks_that_are_broken(void)
{
	static const char *const bodies[] = {
		"x\r\n{}\r\n0\r\n\r\n",       "-2\r\n{}\r\n0\r\n\r\n",
		"2\n{}\r\n0\r\n\r\n",         "123456789\r\n{}",
		"\r\n{}\r\n0\r\n\r\n",        "2\r\n{}0\r\n\r\n",
		"2\r\n{}\r\nffffffffff\r\n{", "2 3\r\n{}x\r\n",
	};
	char answer[RAW_ANSWER_SIZE];
	struct world world;

	check_int(start(&world, NULL, 0), 0);
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]) - 1; i++) {
		check_int(
			post(&world, JSON_TYPE "Transfer-Encoding: chunked\r\n", bodies[i], answer),
			400);
		check(strstr(answer, "chunks"));
	}
	check_int(post(&world, JSON_TYPE "Transfer-Encoding: gzip, chunked\r\n", "", answer), 400);
	check_int(world_finish(&world), 0);
	check_int(handled, 0);
}

static void test_http_chunks_beyond_the_limit(void)
{
	cleanup(free) char *request = malloc(2 * HTTP_BODY_SIZE_MAX);
	char answer[RAW_ANSWER_SIZE];
	struct world world;
	int size;

	check_int(start(&world, NULL, 0), 0);
	size = sprintf(request, "POST /notes HTTP/1.1\r\nHost: localhost\r\n" JSON_TYPE
				"Transfer-Encoding: chunked\r\n\r\n10001\r\n");
	memset(request + size, ' ', HTTP_BODY_SIZE_MAX + 1);
	request[size + HTTP_BODY_SIZE_MAX + 1] = '\0';
	check_int(raw_exchange(&world, request, answer), 413);
	check_int(world_finish(&world), 0);
	check_int(handled, 0);
}

/* Where a request ends must have one answer only; else a second hides in the first. */
static void test_http_framing_that_is_ambiguous(void)
{
	static const char inner[] = "POST /notes HTTP/1.1\r\nHost: localhost\r\n\r\n";
	char answer[RAW_ANSWER_SIZE];
	struct world world;

	check_int(start(&world, NULL, 0), 0);
	check_int(post(&world, JSON_TYPE "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
		       "0\r\n\r\n", answer),
		  400);
	check_int(post(&world, JSON_TYPE "Content-Length: -1\r\n", "", answer), 400);
	check_int(post(&world, JSON_TYPE "Content-Length: 2x\r\n", "{}", answer), 400);
	check_int(
		post(&world, JSON_TYPE "Content-Length: 2\r\nContent-Length: 2\r\n", "{}", answer),
		400);
	check_int(post(&world, JSON_TYPE "Content-Length: 99999999999999999999\r\n", "", answer),
		  400);
	check_int(post(&world, "Content-Length: x\r\n", inner, answer), 400);
	check_int(raw_exchange(&world,
			       "GET /big HTTP/1.1\r\nHost: localhost\r\nContent-Length: 46\r\n\r\n"
			       "POST /notes HTTP/1.1\r\nHost: localhost\r\n\r\n   ",
			       answer),
		  400);
	check_int(raw_exchange(&world,
			       "GET /big HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n"
			       "POST /notes HTTP/1.1\r\nHost: localhost\r\n\r\n",
			       answer),
		  400);
	check_int(world_finish(&world), 0);
	check_int(handled, 0);
}

static void test_http_body_that_is_slow(void)
{
	char answer[RAW_ANSWER_SIZE];
	struct world world;
	int fd;

	check_int(start(&world, NULL, 1), 0);
	fd = raw_connect(&world);
	check_int(raw_send(fd, "POST /notes HTTP/1.1\r\nHost: localhost\r\n" JSON_TYPE
			       "Content-Length: 60000\r\n\r\n{"),
		  0);
	for (int i = 0; i < 6; i++) { /* not idle, but slow: 1.5 s */
		(void)usleep(250000);
		(void)raw_send(fd, " ");
	}
	check_int(raw_receive(fd, answer), 408);
	check(strstr(answer, "did not arrive in time"));
	(void)close(fd);
	check_int(world_finish(&world), 0);
	check_int(handled, 0);
}

static void test_http_body_that_is_aborted(void)
{
	char answer[RAW_ANSWER_SIZE];
	struct world world;
	int fd;

	check_int(start(&world, NULL, 0), 0);
	for (int i = 0; i < 3; i++) {
		fd = raw_connect(&world);
		check_int(raw_send(fd, "POST /notes HTTP/1.1\r\nHost: localhost\r\n" JSON_TYPE
				       "Content-Length: 60000\r\n\r\n{\"a\": \"b"),
			  0);
		(void)usleep(20000);
		(void)close(fd);
	}
	fd = raw_connect(&world); /* and one that is still at it when the server ends */
	check_int(raw_send(fd, "POST /notes HTTP/1.1\r\nHost: localhost\r\n" JSON_TYPE
			       "Content-Length: 60000\r\n\r\n{\"a\": \"b"),
		  0);
	check_int(post(&world, "", "", answer), 202);
	check_int(world_finish(&world), 0);
	check_int(handled, 1);
	(void)close(fd);
}

/* Addresses */

static void test_http_nobody_listens(void)
{
	struct error err = ERROR_INIT;
	json_t *body;

	check_int(http_client_request("GET", "http://127.0.0.1:1/x", NULL, NULL, &body, &err),
		  -ECONNREFUSED);
	check(err.text[0]);
}

static void test_http_port_in_use(void)
{
	struct http_server_options options = {.address = "127.0.0.1", .routes = routes, .count = 1};
	struct error err = ERROR_INIT;
	struct http_server *second;
	struct world world;
	uv_loop_t loop;

	check_int(start(&world, NULL, 0), 0);
	(void)uv_loop_init(&loop);
	options.port = http_server_port(world.server);
	check_int(http_server_new(&loop, &options, &second, &err), -EADDRINUSE);
	check(strstr(err.text, "in use"));
	for (int i = 0; i < 100 && uv_loop_alive(&loop); i++)
		(void)uv_run(&loop, UV_RUN_ONCE);
	(void)uv_loop_close(&loop);
	check_int(world_finish(&world), 0);
}

static void test_http_escape(void)
{
	cleanup(free) char *escaped = http_client_escape("vm 1/ä");

	check_string(escaped, "vm%201%2F%C3%A4");
}

TEST_MAIN(TEST(test_http_parameters_and_query), TEST(test_http_errors_keep_their_text),
	  TEST(test_http_every_error_has_its_status), TEST(test_http_big_answer_is_whole),
	  TEST(test_http_hosts), TEST(test_http_methods), TEST(test_http_upgrades_are_refused),
	  TEST(test_http_connection_is_kept_for_gets), TEST(test_http_authorize),
	  TEST(test_http_authorize_comes_before_the_body), TEST(test_http_bearer),
	  TEST(test_http_bearer_that_is_too_long), TEST(test_http_body),
	  TEST(test_http_body_that_is_empty), TEST(test_http_body_that_is_no_object),
	  TEST(test_http_body_that_is_deep), TEST(test_http_body_of_another_type),
	  TEST(test_http_body_size), TEST(test_http_chunks), TEST(test_http_chunks_in_single_bytes),
	  TEST(test_http_chunks_that_are_broken), TEST(test_http_chunks_beyond_the_limit),
	  TEST(test_http_framing_that_is_ambiguous), TEST(test_http_body_that_is_slow),
	  TEST(test_http_body_that_is_aborted), TEST(test_http_nobody_listens),
	  TEST(test_http_port_in_use), TEST(test_http_escape))
