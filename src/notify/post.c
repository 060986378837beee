/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP: a blocking POST in a worker thread of the loop. */
#include "http/post.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "notify/notify_internal.h"

enum { TOKEN_SIZE = 4096, CONNECT_SEC_MAX = 10 };

/* One POST. The worker reads the copies and writes the outcome; all else is the loop's. */
struct post {
	struct notify_delivery delivery; /* first */
	uv_work_t work;
	atomic_bool abandoned;
	char *url, *token_file, *ca_file, *body;
	int64_t timeout_usec;
	enum notify_outcome outcome;
	char text[NOTIFY_TEXT_SIZE];
};

static void say(struct post *post, enum notify_outcome outcome, const char *what, const char *text)
{
	char line[2 * NOTIFY_TEXT_SIZE];
	cleanup(free) char *clean = NULL;

	(void)snprintf(line, sizeof(line), "%s%s%s", what, *text ? ": " : "", text);
	clean = notify_clean(line, NOTIFY_TEXT_SIZE - 1, NOTIFY_ONE_LINE);
	post->outcome = outcome;
	(void)snprintf(post->text, sizeof(post->text), "%s", clean ? clean : "out of memory");
}

/* In the worker from here on */

/* The first line of the file. 0, or -1 when it was said why not. */
static int read_token(struct post *post, char ret_token[TOKEN_SIZE])
{
	cleanup(close) int fd = open(post->token_file, O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? -1 : read(fd, ret_token, TOKEN_SIZE - 1);
	size_t length;

	if (size < 0) {
		say(post, NOTIFY_AGAIN, post->token_file, strerrordesc_np(errno));
		return -1;
	}
	ret_token[size] = '\0';
	length = strcspn(ret_token, "\r\n");
	ret_token[length] = '\0';
	for (size_t i = 0; i < length; i++)
		if (ret_token[i] <= ' ' || ret_token[i] > '~')
			length = 0;
	if (length == 0) {
		say(post, NOTIFY_AGAIN, post->token_file, "holds no token in its first line");
		return -1;
	}
	return 0;
}

static void judge_status(struct post *post, int status, char *answer)
{
	bool is_for_now = status >= 500 || status == 408 || status == 425 || status == 429;
	char what[128];

	if (status <= 299) {
		post->outcome = NOTIFY_DELIVERED;
		return;
	}
	(void)snprintf(what, sizeof(what), "it answered with status %d%s", status,
		       status <= 399 ? ", and nothing is followed to another address" : "");
	answer[strcspn(answer, "\r\n")] = '\0';
	say(post, is_for_now ? NOTIFY_AGAIN : NOTIFY_REFUSED, what, answer);
}

static void run(uv_work_t *work)
{
	struct post *post = work->data;
	int64_t most = CONNECT_SEC_MAX * USEC_PER_SEC;
	char token[TOKEN_SIZE], answer[HTTP_POST_ANSWER_SIZE] = "";
	struct error err = ERROR_INIT;
	struct http_post request = {
		.url = post->url,
		.content_type = "application/json",
		.body = post->body,
		.bearer = *post->token_file ? token : NULL,
		.ca_file = *post->ca_file ? post->ca_file : NULL,
		.connect_timeout_usec = post->timeout_usec < most ? post->timeout_usec : most,
		.timeout_usec = post->timeout_usec,
		.abandoned = &post->abandoned,
	};
	int r;

	if (request.bearer && read_token(post, token) < 0)
		return;
	r = http_client_post_text(&request, answer, &err);
	explicit_bzero(token, sizeof(token));
	if (r < 0)
		say(post, r == -EINVAL ? NOTIFY_REFUSED : NOTIFY_AGAIN, error_text(&err, r), "");
	else
		judge_status(post, r, answer);
}

/* On the loop again */

static void free_post(struct post *post)
{
	free(post->url);
	free(post->token_file);
	free(post->ca_file);
	free(post->body);
	free(post);
}

static void on_done(uv_work_t *work, int status)
{
	struct post *post = work->data;

	/* a status other than 0 is a job that was taken back before it began: abandoned */
	if (post->delivery.done)
		post->delivery.done(post->delivery.userdata, post->outcome, post->text);
	free_post(post);
}

static void end(struct notify_delivery *delivery)
{
	struct post *post = (struct post *)delivery;

	atomic_store(&post->abandoned, true);
	(void)uv_cancel((uv_req_t *)&post->work); /* fails for one that runs: it will see */
}

/* Alertmanager's own address is in the settings, as its people write it. Returns owned. */
static char *make_url(const struct notify_receiver *receiver)
{
	size_t length = strlen(receiver->url);
	char *url = NULL;

	if (receiver->kind != NOTIFY_ALERTMANAGER)
		return strdup(receiver->url);
	while (length > 0 && receiver->url[length - 1] == '/')
		length--;
	return asprintf(&url, "%.*s/api/v2/alerts", (int)length, receiver->url) < 0 ? NULL : url;
}

int notify_post(uv_loop_t *loop, const struct notify_receiver *receiver, const char *body,
		int64_t timeout_usec, const struct notify_delivery *delivery,
		struct notify_delivery **ret_delivery)
{
	struct post *post = calloc(1, sizeof(*post));

	if (!post)
		return -ENOMEM;
	post->delivery = *delivery;
	post->delivery.end = end;
	post->work.data = post;
	post->timeout_usec = timeout_usec;
	post->url = make_url(receiver);
	post->token_file = strdup(receiver->token_file);
	post->ca_file = strdup(receiver->ca_file);
	post->body = strdup(body);
	if (!post->url || !post->token_file || !post->ca_file || !post->body) {
		free_post(post);
		return -ENOMEM;
	}
	(void)uv_queue_work(loop, &post->work, run, on_done); /* fails only without a callback */
	*ret_delivery = &post->delivery;
	return 0;
}
