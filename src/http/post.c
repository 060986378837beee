/* SPDX-License-Identifier: Apache-2.0 */
#include "http/post.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"

enum { HEADER_SIZE = 8192, ANSWER_READ_MAX = 1 << 20 };

DEFINE_CLEANUP(CURL *, curl_easy_cleanup)
DEFINE_CLEANUP(struct curl_slist *, curl_slist_free_all)

struct answer {
	char *text; /* of HTTP_POST_ANSWER_SIZE */
	size_t size, seen;
};

static void start_library(void)
{
	(void)curl_global_init(CURL_GLOBAL_DEFAULT); /* a failure shows in every handle */
}

/* Keeps the beginning and reads on, so that a wordy server is no error; up to a limit. */
static size_t take(const char *data, size_t one, size_t size, void *userdata)
{
	struct answer *answer = userdata;
	size_t room = HTTP_POST_ANSWER_SIZE - 1 - answer->size;
	size_t kept = size < room ? size : room;

	memcpy(answer->text + answer->size, data, kept);
	answer->size += kept;
	answer->seen += size;
	return answer->seen > ANSWER_READ_MAX ? 0 : size;
}

static int on_progress(void *userdata, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
		       curl_off_t up)
{
	const atomic_bool *abandoned = userdata;

	return abandoned && atomic_load(abandoned);
}

/* A program that is started meanwhile must not get it. */
static curl_socket_t open_socket(void *userdata, curlsocktype purpose,
				 struct curl_sockaddr *address)
{
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static int code_of(CURLcode code)
{
	switch ((int)code) {
	case CURLE_COULDNT_CONNECT:
		return -ECONNREFUSED;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_ABORTED_BY_CALLBACK:
		return -ECANCELED;
	case CURLE_URL_MALFORMAT:
		return -EINVAL;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return -EHOSTUNREACH;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
		return -EPROTO;
	default:
		return -EIO;
	}
}

/* Appends "name: value". False: memory is out, or it is too long. */
static bool add_header(struct curl_slist **headers, const char *name, const char *value)
{
	char line[HEADER_SIZE];
	struct curl_slist *longer;

	if (snprintf(line, sizeof(line), "%s: %s", name, value) >= HEADER_SIZE)
		return false;
	longer = curl_slist_append(*headers, line);
	explicit_bzero(line, sizeof(line)); /* it may hold the token */
	if (longer)
		*headers = longer;
	return longer != NULL;
}

static int make_headers(const struct http_post *post, struct curl_slist **headers,
			struct error *err)
{
	char bearer[HEADER_SIZE];
	bool is_made = add_header(headers, "Content-Type", post->content_type) &&
		       add_header(headers, "User-Agent", "atomd/" ATOM_VERSION) &&
		       add_header(headers, "Expect", ""); /* no waiting for "100 Continue" */

	if (post->bearer) {
		int size = snprintf(bearer, sizeof(bearer), "Bearer %s", post->bearer);

		is_made = is_made && size < HEADER_SIZE &&
			  add_header(headers, "Authorization", bearer);
		explicit_bzero(bearer, sizeof(bearer));
	}
	return is_made ? 0 : error_set(err, -ENOMEM, "out of memory, or too long a header");
}

static void set_request(CURL *curl, const struct http_post *post, const struct curl_slist *headers)
{
	(void)curl_easy_setopt(curl, CURLOPT_URL, post->url);
	(void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, post->body);
	(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(post->body));
	(void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	(void)curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	(void)curl_easy_setopt(curl, CURLOPT_NOPROXY, "localhost,127.0.0.1,::1");
	if (post->ca_file)
		(void)curl_easy_setopt(curl, CURLOPT_CAINFO, post->ca_file);
}

static void set_limits(CURL *curl, const struct http_post *post)
{
	(void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
			       (long)(post->connect_timeout_usec / USEC_PER_MSEC));
	(void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS,
			       (long)(post->timeout_usec / USEC_PER_MSEC));
	(void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	/* a name server that does not answer holds up nothing after the time is over */
	(void)curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	(void)curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	(void)curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	(void)curl_easy_setopt(curl, CURLOPT_XFERINFODATA, (void *)post->abandoned);
}

int http_client_post_text(const struct http_post *post, char ret_answer[HTTP_POST_ANSWER_SIZE],
			  struct error *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	cleanup(curl_slist_free_all) struct curl_slist *headers = NULL;
	cleanup(curl_easy_cleanup) CURL *curl = NULL;
	char text[CURL_ERROR_SIZE] = "";
	struct answer answer = {ret_answer};
	long status = 0;
	CURLcode code;
	int r;

	if (strncasecmp(post->url, "http://", 7) != 0 && strncasecmp(post->url, "https://", 8) != 0)
		return error_set(err, -EINVAL, "'%.100s' begins with neither http:// nor https://",
				 post->url);
	(void)pthread_once(&once, start_library);
	curl = curl_easy_init();
	if (!curl)
		return error_set(err, -ENOMEM, "out of memory");
	r = make_headers(post, &headers, err);
	if (r < 0)
		return r;
	set_request(curl, post, headers);
	set_limits(curl, post);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
	(void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, text);
	code = curl_easy_perform(curl);
	ret_answer[answer.size] = '\0';
	(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	/* the status of an answer counts, whatever went wrong with the rest of it */
	if (status < 200)
		return error_set(err, code == CURLE_OK ? -EIO : code_of(code), "%s",
				 text[0] ? text : curl_easy_strerror(code));
	return (int)status;
}
