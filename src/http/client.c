/* SPDX-License-Identifier: Apache-2.0 */
#include "http/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

enum { CONNECT_TIMEOUT_SEC = 5, TIMEOUT_SEC = 60 };

struct answer {
	char *data;
	size_t size;
};

DEFINE_CLEANUP(CURL *, curl_easy_cleanup)

static size_t take(const char *data, size_t one, size_t size, void *userdata)
{
	struct answer *answer = userdata;
	char *grown;

	if (answer->size + size > HTTP_CLIENT_ANSWER_SIZE_MAX)
		return 0;
	grown = realloc(answer->data, answer->size + size + 1);
	if (!grown)
		return 0;
	answer->data = grown;
	memcpy(grown + answer->size, data, size);
	answer->size += size;
	grown[answer->size] = '\0';
	return size;
}

static int code_of(CURLcode code)
{
	switch ((int)code) {
	case CURLE_COULDNT_CONNECT:
		return -ECONNREFUSED;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return -EINVAL;
	default:
		return -EIO;
	}
}

static int get(const char *url, struct answer *answer, long *ret_status, struct error *err)
{
	cleanup(curl_easy_cleanup) CURL *curl = curl_easy_init();
	char text[CURL_ERROR_SIZE] = "";
	CURLcode code;

	if (!curl)
		return error_set(err, -ENOMEM, "out of memory");
	(void)curl_easy_setopt(curl, CURLOPT_URL, url);
	(void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
	(void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, text);
	(void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_SEC);
	(void)curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)TIMEOUT_SEC);
	(void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_NOPROXY, "localhost,127.0.0.1,::1");
	code = curl_easy_perform(curl);
	if (code != CURLE_OK)
		return error_set(err, code_of(code), "%s",
				 text[0] ? text : curl_easy_strerror(code));
	(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, ret_status);
	return 0;
}

static int refused(long status, const json_t *body, struct error *err)
{
	const char *text = json_string_value(json_object_get(body, "error"));
	int code = status == 404 ? -ENOENT : status == 400 ? -EINVAL : -EIO;

	if (text)
		return error_set(err, code, "%s", text);
	return error_set(err, code, "the server answered with status %ld", status);
}

int http_client_get_json(const char *url, json_t **ret_body, struct error *err)
{
	struct answer answer = {0};
	json_error_t problem;
	json_t *body;
	long status = 0;
	int r = get(url, &answer, &status, err);

	if (r < 0) {
		free(answer.data);
		return r;
	}
	body = answer.data ? json_loadb(answer.data, answer.size, 0, &problem) : NULL;
	free(answer.data);
	if (status < 200 || status > 299) {
		r = refused(status, body, err);
		json_decref(body);
		return r;
	}
	if (!body)
		return error_set(err, -EPROTO, "the answer of %s is no JSON: is this atomd?", url);
	*ret_body = body;
	return 0;
}

char *http_client_escape(const char *text)
{
	char *escaped = curl_easy_escape(NULL, text, 0);
	char *copy = escaped ? strdup(escaped) : NULL;

	curl_free(escaped);
	return copy;
}
