/* SPDX-License-Identifier: Apache-2.0 */
/* What is rendered, of hostile names too, and deliveries to a small server and to scripts. */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/test.h"
#include "notify/notify_internal.h"

enum { REQUEST_SIZE = 65536, PATH_SIZE = 96, TIMEOUT_SEC = 20 };

#define OPENED INT64_C(1795487205567000) /* 2026-11-24T02:26:45.567Z */
#define NOW (OPENED + 30 * USEC_PER_SEC)

static const char *const vms[] = {"web2", "web3"};
static const char *const to[] = {"ops@example.org", "root"};

static const struct notify_alert alert = {.alarm = 7,
					  .group = "web",
					  .state = "open",
					  .opened_usec = OPENED,
					  .time_usec = NOW,
					  .level = 12,
					  .summary = "web2: NetworkOut up (8.3 sd)",
					  .details = "web2: flood (pid 42)\nweb3: nothing",
					  .vms = vms,
					  .vm_count = 2,
					  .project = "shop",
					  .event = "opened",
					  .external_url = "https://atom.example.org/"};

static struct notify_receiver receiver_of(enum notify_kind kind)
{
	return (struct notify_receiver){.name = "ops",
					.kind = kind,
					.url = "http://127.0.0.1:1",
					.token_file = "",
					.ca_file = "",
					.from = "atom@example.org",
					.to = to,
					.to_count = 2,
					.resend_usec = 60 * USEC_PER_SEC};
}

static struct notify_alert resolved_alert(void)
{
	struct notify_alert resolved = alert;

	resolved.state = "cleared";
	resolved.event = "cleared";
	resolved.status = NOTIFY_RESOLVED;
	resolved.closed_usec = OPENED + 20 * USEC_PER_SEC;
	return resolved;
}

/* Rendering */

static json_t *render_json(enum notify_kind kind, const struct notify_alert *of)
{
	struct notify_receiver receiver = receiver_of(kind);
	cleanup(free) char *text = notify_render(&receiver, of);

	return text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
}

static const char *text_at(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

static void test_webhook_has_the_v4_payload(void)
{
	cleanup(json_decref) json_t *payload = render_json(NOTIFY_WEBHOOK, &alert);
	const json_t *one = json_array_get(json_object_get(payload, "alerts"), 0);

	check_string(text_at(payload, "version"), "4");
	check_string(text_at(payload, "groupKey"), "{}:{alarm=\"7\"}");
	check_int(json_integer_value(json_object_get(payload, "truncatedAlerts")), 0);
	check_string(text_at(payload, "receiver"), "ops");
	check_string(text_at(payload, "status"), "firing");
	check_string(text_at(payload, "externalURL"), "https://atom.example.org/");
	check_string(text_at(json_object_get(payload, "groupLabels"), "alarm"), "7");
	check(json_equal(json_object_get(payload, "commonLabels"), json_object_get(one, "labels")));
	check(json_equal(json_object_get(payload, "commonAnnotations"),
			 json_object_get(one, "annotations")));
	check_int(json_array_size(json_object_get(payload, "alerts")), 1);
	check_string(text_at(one, "status"), "firing");
	check_string(text_at(one, "startsAt"), "2026-11-24T02:26:45.567Z");
	check_string(text_at(one, "endsAt"), "0001-01-01T00:00:00Z");
	check_string(text_at(one, "generatorURL"), "https://atom.example.org/alarms/7");
	check_int(strlen(text_at(one, "fingerprint")), 16);
}

static void test_annotations_say_what_is_known(void)
{
	cleanup(json_decref) json_t *one = render_json(NOTIFY_COMMAND, &alert);
	const json_t *annotations = json_object_get(one, "annotations");

	check_string(text_at(annotations, "summary"), alert.summary);
	check_string(text_at(annotations, "description"), alert.details);
	check_string(text_at(annotations, "event"), "opened");
	check_string(text_at(annotations, "state"), "open");
	check_string(text_at(annotations, "level"), "12");
	check_string(text_at(annotations, "vms"), "web2, web3");
	check_string(text_at(annotations, "project"), "shop");
}

/* Alertmanager knows an alert by its labels. */
static void test_labels_stay_the_same_over_the_life(void)
{
	struct notify_alert later = resolved_alert();
	cleanup(json_decref) json_t *first = render_json(NOTIFY_ALERTMANAGER, &alert);
	cleanup(json_decref) json_t *last = NULL;
	const json_t *labels = json_object_get(json_array_get(first, 0), "labels");

	later.level = 400;
	later.vm_count = 1;
	later.project = "";
	later.summary = "something else";
	later.time_usec += 3600 * USEC_PER_SEC;
	last = render_json(NOTIFY_ALERTMANAGER, &later);
	check(json_equal(labels, json_object_get(json_array_get(last, 0), "labels")));
	check_string(text_at(labels, "alertname"), "AtomAlarm");
	check_string(text_at(labels, "alarm"), "7");
	check_string(text_at(labels, "group"), "web");
	check_string(text_at(labels, "severity"), "warning");
}

static void test_alertmanager_firing_ends_by_itself(void)
{
	cleanup(json_decref) json_t *list = render_json(NOTIFY_ALERTMANAGER, &alert);
	const json_t *one = json_array_get(list, 0);

	check_int(json_array_size(list), 1);
	check_string(text_at(one, "startsAt"), "2026-11-24T02:26:45.567Z");
	check_string(text_at(one, "endsAt"), "2026-11-24T02:31:15.567Z"); /* NOW + 4 min */
	check_string(text_at(one, "generatorURL"), "https://atom.example.org/alarms/7");
}

static void test_alertmanager_resolved_ends_when_it_closed(void)
{
	struct notify_alert resolved = resolved_alert();
	cleanup(json_decref) json_t *list = render_json(NOTIFY_ALERTMANAGER, &resolved);
	cleanup(json_decref) json_t *ahead = NULL;

	check_string(text_at(json_array_get(list, 0), "endsAt"), "2026-11-24T02:27:05.567Z");
	/* a row's time may be ahead of the clock: an end to come would be no end, one before the
	 * beginning no alert */
	resolved.time_usec = OPENED - USEC_PER_SEC;
	ahead = render_json(NOTIFY_ALERTMANAGER, &resolved);
	check_string(text_at(json_array_get(ahead, 0), "endsAt"), "2026-11-24T02:26:44.567Z");
	check_string(text_at(json_array_get(ahead, 0), "startsAt"), "2026-11-24T02:26:44.567Z");
}

static void test_no_external_url_is_no_link(void)
{
	struct notify_alert bare = alert;
	cleanup(json_decref) json_t *list = NULL, *one = NULL;

	bare.external_url = "";
	list = render_json(NOTIFY_ALERTMANAGER, &bare);
	one = render_json(NOTIFY_COMMAND, &bare);
	check(!json_object_get(json_array_get(list, 0), "generatorURL"));
	check_string(text_at(one, "generatorURL"), "");
}

static struct notify_alert hostile_alert(void)
{
	static const char *const names[] = {"a\"b\\", "x\r\nBcc: evil@example.org", "\xff\xc0\x80"};
	struct notify_alert hostile = alert;

	hostile.vms = names;
	hostile.vm_count = 3;
	hostile.summary = "x\r\nBcc: all@example.org\n\n=?utf-8?Q?hidden?= \xe2\x80\xae";
	hostile.details = "one\ntwo\r\n.\n\x1b[2J=41\xed\xa0\x80";
	hostile.group = "g\nX-Evil: 1";
	hostile.event = "e\nX-Evil: 2";
	hostile.project = "\x7f";
	return hostile;
}

static void test_json_of_hostile_names(void)
{
	struct notify_alert hostile = hostile_alert();

	for (int kind = 0; kind < NOTIFY_KIND_COUNT; kind++) {
		cleanup(json_decref) json_t *made = NULL;

		if (kind == NOTIFY_MAIL)
			continue;
		made = render_json((enum notify_kind)kind, &hostile);
		check(made != NULL);
		if (kind != NOTIFY_COMMAND)
			continue;
		check_string(text_at(json_object_get(made, "annotations"), "vms"),
			     "a\"b\\, x??Bcc: evil@example.org, ???");
		check_string(text_at(json_object_get(made, "annotations"), "summary"),
			     "x??Bcc: all@example.org?"
			     "?=?utf-8?Q?hidden?= ?");
		check_string(text_at(json_object_get(made, "annotations"), "description"),
			     "one\ntwo?\n.\n?[2J=41???");
		check_string(text_at(json_object_get(made, "labels"), "group"), "g?X-Evil: 1");
	}
}

static void test_long_texts_are_cut_between_characters(void)
{
	static char summary[4 * NOTIFY_SUMMARY_MAX], details[2 * NOTIFY_DETAILS_MAX];
	static const char *many[NOTIFY_VMS_MAX + 5];
	struct notify_alert large = alert;
	cleanup(json_decref) json_t *one = NULL;
	const json_t *annotations;

	for (size_t i = 0; i + 3 < sizeof(summary); i += 3)
		memcpy(summary + i, "\xe2\x82\xac", 4);
	memset(details, 'd', sizeof(details) - 1);
	for (size_t i = 0; i < NOTIFY_VMS_MAX + 5; i++)
		many[i] = "vm";
	large.summary = summary;
	large.details = details;
	large.vms = many;
	large.vm_count = NOTIFY_VMS_MAX + 5;
	one = render_json(NOTIFY_COMMAND, &large);
	annotations = json_object_get(one, "annotations");
	check_int(strlen(text_at(annotations, "summary")), 1023);
	check_int(strlen(text_at(annotations, "description")), NOTIFY_DETAILS_MAX);
	check(strstr(text_at(annotations, "vms"), "vm, 5 more"));
}

/* Mail */

static char *render_mail(const struct notify_alert *of)
{
	struct notify_receiver receiver = receiver_of(NOTIFY_MAIL);

	return notify_render(&receiver, of);
}

static void test_mail_has_its_headers(void)
{
	cleanup(free) char *mail = render_mail(&alert);

	check(strncmp(mail, "From: atom@example.org\nTo: ops@example.org,\n root\nSubject: ", 57) ==
	      0);
	check(strstr(mail, "\nSubject: [firing] web2: NetworkOut up (8.3 sd) (alarm 7, opened)\n"));
	check(strstr(mail, "\nDate: Tue, 24 Nov 2026 02:27:15 +0000\n"));
	check(strstr(mail, "\nMessage-ID: <atom.7."));
	check(strstr(mail, "\nReferences: <atom.7.1795487205567000@example.org>\n"));
	check(strstr(mail, "\nAuto-Submitted: auto-generated\nMIME-Version: 1.0\n"));
	check(strstr(mail, "\n\nweb2: NetworkOut up (8.3 sd)\n\nalarm    7, open\n"));
	check(strstr(mail, "\n\nweb2: flood (pid 42)\nweb3: nothing\n"));
	check(strstr(mail, "\nhttps://atom.example.org/alarms/7\n"));
}

static void test_mail_is_another_each_time(void)
{
	cleanup(free) char *first = render_mail(&alert), *second = render_mail(&alert);

	check(strcmp(first, second) != 0);
}

/* Header lines are ours alone: a name, a colon; a line that goes on begins with a space. */
static void test_mail_of_hostile_names_has_no_header_of_theirs(void)
{
	static const char *const ours[] = {"From: ",
					   "To: ",
					   " root",
					   "Subject: =?utf-8?B?",
					   " =?utf-8?B?",
					   "Date: ",
					   "Message-ID: ",
					   "References: ",
					   "Auto-Submitted: ",
					   "MIME-Version: ",
					   "Content-Type: ",
					   "Content-Transfer-Encoding: "};
	struct notify_alert hostile = hostile_alert();
	cleanup(free) char *mail = render_mail(&hostile);
	char *end = strstr(mail, "\n\n"), *rest = mail;

	check(end && !strchr(mail, '\r'));
	end[1] = '\0';
	for (char *line; (line = strsep(&rest, "\n")) && *line;) {
		bool is_ours = false;

		for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
			is_ours |= strncmp(line, ours[i], strlen(ours[i])) == 0;
		check(is_ours);
		check(strlen(line) <= 76);
	}
	for (const char *c = end + 2; *c; c++)
		check(*c == '\n' || (*c >= ' ' && *c <= '~'));
	check(strstr(end + 2, "?[2J=3D41???"));
}

static void test_mail_subject_beyond_ascii_is_encoded(void)
{
	struct notify_alert german = alert;
	cleanup(free) char *mail = NULL;

	german.summary = "b\xc3\xbc"
			 "ro";
	mail = render_mail(&german);
	/* printf '[firing] büro (alarm 7, opened)' | base64 */
	check(strstr(mail,
		     "\nSubject: =?utf-8?B?W2ZpcmluZ10gYsO8cm8gKGFsYXJtIDcsIG9wZW5lZCk=?=\n"));
	check(strstr(mail, "\n\nb=C3=BCro\n"));
}

static void test_mail_lines_are_short(void)
{
	struct notify_alert wide = alert;
	cleanup(free) char *mail = NULL;
	char details[600], *rest;

	memset(details, 'x', sizeof(details) - 1);
	details[sizeof(details) - 1] = '\0';
	details[74] = details[75] = '=';
	details[300] = ' ';
	details[301] = '\n';
	wide.details = details;
	mail = render_mail(&wide);
	rest = strstr(mail, "\n\n");
	check(strstr(rest, "=20\n"));
	for (char *line; (line = strsep(&rest, "\n"));)
		check(strlen(line) <= 76);
}

/* Delivery */

/* Answers each connection with the next text; an empty one closes it without an answer. */
struct server {
	int fd;
	const char *const *answers;
	size_t count;
	pthread_t thread;
	char url[64];
	char request[REQUEST_SIZE]; /* the last one */
};

static void serve_one(struct server *server, const char *answer)
{
	int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC);
	size_t size = 0, length = 0;

	for (;;) {
		char *end, *header;
		ssize_t got = recv(fd, server->request + size, REQUEST_SIZE - 1 - size, 0);

		if (got <= 0)
			break;
		size += (size_t)got;
		server->request[size] = '\0';
		end = strstr(server->request, "\r\n\r\n");
		header = strcasestr(server->request, "content-length: ");
		if (header)
			length = strtoul(header + 16, NULL, 10);
		if (end && size >= (size_t)(end + 4 - server->request) + length)
			break;
	}
	(void)send(fd, answer, strlen(answer), MSG_NOSIGNAL);
	(void)close(fd);
}

static void *serve(void *userdata)
{
	struct server *server = userdata;

	for (size_t i = 0; i < server->count; i++)
		serve_one(server, server->answers[i]);
	return NULL;
}

static void start_server(struct server *server, const char *const *answers, size_t count)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);

	*server = (struct server){.answers = answers, .count = count};
	server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(server->fd, (struct sockaddr *)&address, size) < 0 || listen(server->fd, 8) < 0 ||
	    getsockname(server->fd, (struct sockaddr *)&address, &size) < 0 ||
	    pthread_create(&server->thread, NULL, serve, server) != 0)
		abort();
	(void)snprintf(server->url, sizeof(server->url), "http://127.0.0.1:%u",
		       ntohs(address.sin_port));
}

static void end_server(struct server *server)
{
	(void)pthread_join(server->thread, NULL);
	(void)close(server->fd);
}

struct given {
	int calls;
	enum notify_outcome outcome;
	char text[NOTIFY_TEXT_SIZE];
};

static void on_done(void *userdata, enum notify_outcome outcome, const char *text)
{
	struct given *given = userdata;

	given->calls++;
	given->outcome = outcome;
	(void)snprintf(given->text, sizeof(given->text), "%s", text);
}

/* Delivers and waits; calls is 1, and nothing is left in the loop, or calls is -1. */
static struct given deliver(const struct notify_receiver *receiver, const char *body,
			    int64_t timeout_usec)
{
	struct notify_delivery *delivery;
	struct given given = {0};
	uv_loop_t loop;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)uv_loop_init(&loop);
	if (notify_deliver(&loop, receiver, body, timeout_usec, on_done, &given, &delivery) < 0 ||
	    given.calls != 0)
		given.calls = -1;
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	if (uv_loop_close(&loop) < 0)
		given.calls = -1;
	return given;
}

static void test_post_brings_the_body(void)
{
	static const char *const answers[] = {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
					      "HTTP/1.1 204 No Content\r\n\r\n"};
	struct notify_receiver receiver = receiver_of(NOTIFY_WEBHOOK);
	struct server server;
	struct given given;

	start_server(&server, answers, 2);
	receiver.url = server.url;
	given = deliver(&receiver, "{\"a\":1}", TIMEOUT_SEC * USEC_PER_SEC);
	check_int(given.calls, 1);
	check_int(given.outcome, NOTIFY_DELIVERED);
	check_string(given.text, "");
	check(strncmp(server.request, "POST / HTTP/1.1\r\n", 17) == 0);
	check(strstr(server.request, "\r\nContent-Type: application/json\r\n"));
	check(!strstr(server.request, "Authorization"));
	check(strstr(server.request, "\r\n\r\n{\"a\":1}"));
	receiver.kind = NOTIFY_ALERTMANAGER;
	check_int(deliver(&receiver, "[]", TIMEOUT_SEC * USEC_PER_SEC).outcome, NOTIFY_DELIVERED);
	check(strncmp(server.request, "POST /api/v2/alerts HTTP/1.1\r\n", 30) == 0);
	end_server(&server);
}

static void test_post_statuses_are_judged(void)
{
	static const char *const answers[] = {
		"HTTP/1.1 503 Busy\r\nContent-Length: 6\r\n\r\nlater\x1b",
		"HTTP/1.1 429 Slow\r\n\r\n",
		"HTTP/1.1 408 Late\r\n\r\n",
		"HTTP/1.1 400 Bad\r\nContent-Length: 3\r\n\r\nwhy",
		"HTTP/1.1 302 There\r\nLocation: http://127.0.0.1:1/\r\n\r\n",
		"",
		"nonsense\r\n\r\n",
	};
	static const struct {
		enum notify_outcome outcome;
		const char *text;
	} expected[] = {
		{NOTIFY_AGAIN, "it answered with status 503: later?"},
		{NOTIFY_AGAIN, "it answered with status 429"},
		{NOTIFY_AGAIN, "it answered with status 408"},
		{NOTIFY_REFUSED, "it answered with status 400: why"},
		{NOTIFY_REFUSED,
		 "it answered with status 302, and nothing is followed to another address"},
		{NOTIFY_AGAIN, NULL},
		{NOTIFY_AGAIN, NULL},
	};
	struct notify_receiver receiver = receiver_of(NOTIFY_WEBHOOK);
	struct server server;

	start_server(&server, answers, 7);
	receiver.url = server.url;
	for (size_t i = 0; i < 7; i++) {
		struct given given = deliver(&receiver, "{}", TIMEOUT_SEC * USEC_PER_SEC);

		check_int(given.calls, 1);
		check_int(given.outcome, expected[i].outcome);
		if (expected[i].text)
			check_string(given.text, expected[i].text);
		check(given.text[0]);
	}
	end_server(&server);
}

static void test_post_without_an_answer(void)
{
	struct notify_receiver receiver = receiver_of(NOTIFY_WEBHOOK);
	int64_t start = clock_mono_usec();
	struct server server;

	check_int(deliver(&receiver, "{}", USEC_PER_SEC).outcome, NOTIFY_AGAIN);
	receiver.url = "ftp://127.0.0.1/";
	check_int(deliver(&receiver, "{}", USEC_PER_SEC).outcome, NOTIFY_REFUSED);
	start_server(&server, NULL, 0); /* takes connections, and says nothing */
	receiver.url = server.url;
	check_int(deliver(&receiver, "{}", 200 * USEC_PER_MSEC).outcome, NOTIFY_AGAIN);
	check(clock_mono_usec() - start < 10 * USEC_PER_SEC);
	end_server(&server);
}

static void write_file(const char *path, const char *text)
{
	FILE *stream = fopen(path, "we");

	if (!stream || fputs(text, stream) < 0 || fclose(stream) != 0)
		abort();
}

static void test_post_token_is_read_each_time(void)
{
	static const char *const answers[] = {"HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"};
	struct notify_receiver receiver = receiver_of(NOTIFY_WEBHOOK);
	char folder[] = "/tmp/atom-notify-XXXXXX", path[PATH_SIZE];
	struct server server;
	struct given given;

	check(mkdtemp(folder) != NULL);
	(void)snprintf(path, sizeof(path), "%s/token", folder);
	start_server(&server, answers, 2);
	receiver.url = server.url;
	receiver.token_file = path;
	given = deliver(&receiver, "{}", USEC_PER_SEC);
	check_int(given.outcome, NOTIFY_AGAIN);
	check(strstr(given.text, "/token: "));
	write_file(path, "tok en\n");
	check_int(deliver(&receiver, "{}", USEC_PER_SEC).outcome, NOTIFY_AGAIN);
	write_file(path, "secret1\nsecond line\n");
	check_int(deliver(&receiver, "{}", TIMEOUT_SEC * USEC_PER_SEC).outcome, NOTIFY_DELIVERED);
	check(strstr(server.request, "\r\nAuthorization: Bearer secret1\r\n"));
	write_file(path, "secret2");
	check_int(deliver(&receiver, "{}", TIMEOUT_SEC * USEC_PER_SEC).outcome, NOTIFY_DELIVERED);
	check(strstr(server.request, "\r\nAuthorization: Bearer secret2\r\n"));
	end_server(&server);
	(void)unlink(path);
	(void)rmdir(folder);
}

static struct given run_script(const char *script, const char *body, int64_t timeout_usec)
{
	const char *command[] = {"/bin/sh", "-c", script};
	struct notify_receiver receiver = receiver_of(NOTIFY_COMMAND);

	receiver.command = command;
	receiver.command_count = 3;
	return deliver(&receiver, body, timeout_usec);
}

static void test_command_gets_json_and_environment(void)
{
	struct notify_receiver receiver = receiver_of(NOTIFY_COMMAND);
	cleanup(free) char *body = notify_render(&receiver, &alert);
	struct given given;

	given = run_script("test \"$ATOM_ALARM $ATOM_STATUS $ATOM_EVENT\" = '7 firing opened' && "
			   "test \"$ATOM_SUMMARY\" = 'web2: NetworkOut up (8.3 sd)' && "
			   "test -n \"$PATH\" && grep -q '\"fingerprint\"'",
			   body, TIMEOUT_SEC * USEC_PER_SEC);
	check_string(given.text, "");
	check_int(given.calls, 1);
	check_int(given.outcome, NOTIFY_DELIVERED);
}

static void test_command_exit_statuses_are_judged(void)
{
	static const struct {
		const char *script;
		enum notify_outcome outcome;
		const char *text;
	} cases[] = {
		{"exit 75", NOTIFY_AGAIN, "sh ended with exit status 75"},
		{"exit 69", NOTIFY_AGAIN, "sh ended with exit status 69"},
		{"echo first >&2; printf 'a\\033b\\n\\n' >&2; exit 1", NOTIFY_REFUSED,
		 "sh ended with exit status 1: a?b"},
		{"yes words | head -n 20000 >&2; echo end >&2; exit 67", NOTIFY_REFUSED,
		 "sh ended with exit status 67: end"},
		{"kill -9 $$", NOTIFY_AGAIN, "sh was ended by signal 9"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct given given = run_script(cases[i].script, "{}", TIMEOUT_SEC * USEC_PER_SEC);

		check_int(given.calls, 1);
		check_int(given.outcome, cases[i].outcome);
		check_string(given.text, cases[i].text);
	}
}

static void test_command_that_is_not_there_is_final(void)
{
	const char *command[] = {"/nowhere/to/be/found"};
	struct notify_receiver receiver = receiver_of(NOTIFY_COMMAND);
	struct given given;

	receiver.command = command;
	receiver.command_count = 1;
	given = deliver(&receiver, "{}", USEC_PER_SEC);
	check_int(given.calls, 1);
	check_int(given.outcome, NOTIFY_REFUSED);
	check_string(given.text, "found cannot be started: no such file or directory");
}

/* What it has started ends with it. */
static void test_command_has_a_deadline(void)
{
	int64_t start = clock_mono_usec();
	struct given given = run_script("sleep 30; true", "{}", 100 * USEC_PER_MSEC);

	check_int(given.outcome, NOTIFY_AGAIN);
	check_string(given.text, "sh had not ended when its time was over");
	check_int(run_script("trap '' TERM; while :; do sleep 0.1; done", "{}", 100 * USEC_PER_MSEC)
			  .outcome,
		  NOTIFY_AGAIN);
	check(clock_mono_usec() - start < 10 * USEC_PER_SEC);
}

static void test_command_that_does_not_read(void)
{
	static char body[1 << 20];

	memset(body, 'x', sizeof(body) - 1);
	memcpy(body, "{\"a\":\"", 6);
	memcpy(body + sizeof(body) - 3, "\"}", 2);
	check_int(run_script("exit 0", body, TIMEOUT_SEC * USEC_PER_SEC).outcome, NOTIFY_DELIVERED);
	check_int(run_script("test $(wc -c) -eq 1048575", body, TIMEOUT_SEC * USEC_PER_SEC).outcome,
		  NOTIFY_DELIVERED);
}

static void test_mail_is_given_to_sendmail(void)
{
	static const char script[] =
		"test \"$*\" = '-i -f atom@example.org -- ops@example.org root' && "
		"grep -q '^Subject: '";
	const char *command[] = {"/bin/sh", "-c", script, "sendmail"};
	struct notify_receiver receiver = receiver_of(NOTIFY_MAIL);
	cleanup(free) char *body = notify_render(&receiver, &alert);

	receiver.command = command;
	receiver.command_count = 4;
	check_int(deliver(&receiver, body, TIMEOUT_SEC * USEC_PER_SEC).outcome, NOTIFY_DELIVERED);
}

static void test_abandoned_says_nothing_and_ends_soon(void)
{
	const char *command[] = {"/bin/sh", "-c", "sleep 30; true"};
	struct notify_receiver slow = receiver_of(NOTIFY_COMMAND),
			       mute = receiver_of(NOTIFY_WEBHOOK);
	int64_t start = clock_mono_usec();
	struct notify_delivery *deliveries[2];
	struct given given = {0};
	struct server server;
	uv_loop_t loop;

	slow.command = command;
	slow.command_count = 3;
	start_server(&server, NULL, 0);
	mute.url = server.url;
	(void)uv_loop_init(&loop);
	check_int(notify_deliver(&loop, &slow, "{}", TIMEOUT_SEC * USEC_PER_SEC, on_done, &given,
				 &deliveries[0]),
		  0);
	check_int(notify_deliver(&loop, &mute, "{}", TIMEOUT_SEC * USEC_PER_SEC, on_done, &given,
				 &deliveries[1]),
		  0);
	(void)uv_run(&loop, UV_RUN_NOWAIT);
	(void)usleep(100000); /* the worker is on its way */
	notify_abandon(deliveries[0]);
	notify_abandon(deliveries[1]);
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	check_int(uv_loop_close(&loop), 0);
	check_int(given.calls, 0);
	check(clock_mono_usec() - start < 5 * USEC_PER_SEC);
	end_server(&server);
}

TEST_MAIN(TEST(test_webhook_has_the_v4_payload), TEST(test_annotations_say_what_is_known),
	  TEST(test_labels_stay_the_same_over_the_life),
	  TEST(test_alertmanager_firing_ends_by_itself),
	  TEST(test_alertmanager_resolved_ends_when_it_closed),
	  TEST(test_no_external_url_is_no_link), TEST(test_json_of_hostile_names),
	  TEST(test_long_texts_are_cut_between_characters), TEST(test_mail_has_its_headers),
	  TEST(test_mail_is_another_each_time),
	  TEST(test_mail_of_hostile_names_has_no_header_of_theirs),
	  TEST(test_mail_subject_beyond_ascii_is_encoded), TEST(test_mail_lines_are_short),
	  TEST(test_post_brings_the_body), TEST(test_post_statuses_are_judged),
	  TEST(test_post_without_an_answer), TEST(test_post_token_is_read_each_time),
	  TEST(test_command_gets_json_and_environment), TEST(test_command_exit_statuses_are_judged),
	  TEST(test_command_that_is_not_there_is_final), TEST(test_command_has_a_deadline),
	  TEST(test_command_that_does_not_read), TEST(test_mail_is_given_to_sendmail),
	  TEST(test_abandoned_says_nothing_and_ends_soon))
